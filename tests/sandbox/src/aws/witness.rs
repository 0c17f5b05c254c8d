//! A callback that sees every IAM write and the state after it. Tests use it to check each intermediate state.

use crate::aws::Aws;
use crate::aws::iam::Iam;
use crate::aws::query::Params;
use std::sync::{Arc, PoisonError};

/// A completed IAM write, over HTTP or direct.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// The account ID.
    pub account: &'a str,
    /// For example `PutRolePolicy`.
    pub action: &'a str,
    /// The object, as in [`crate::aws::Call`].
    pub object: &'a str,
    /// The account's state right after the write.
    pub iam: &'a Iam,
    params: &'a Params,
}

impl Written<'_> {
    /// A field of the request, for example `PolicyName` or `Tags.member.1.Key`.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.params.text(name)
    }

    /// All fields of the request.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.params.all()
    }
}

/// Called for each write, in order. The account stays locked during the call.
pub type Witness = Arc<dyn Fn(Written<'_>) + Send + Sync>;

impl Aws {
    /// Sets the callback for later IAM writes. None removes it.
    pub(crate) fn set_witness(&self, witness: Option<Witness>) {
        *self.witness.write().unwrap_or_else(PoisonError::into_inner) = witness;
    }

    pub(super) fn show(&self, account: &str, action: &str, params: &Params, iam: &Iam) {
        let witness = self.witness.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(witness) = witness {
            let object = Iam::object_of(action, params);
            witness(Written { account, action, object: &object, iam, params });
        }
    }
}
