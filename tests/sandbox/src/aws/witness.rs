//! Who is shown every state that IAM goes through: a test that judges what was allowed at each moment.

use crate::aws::Aws;
use crate::aws::iam::Iam;
use crate::aws::query::Params;
use std::sync::{Arc, PoisonError};

/// A write to IAM that was carried out, over HTTP or past it.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// The account.
    pub account: &'a str,
    /// For example `PutRolePolicy`.
    pub action: &'a str,
    /// What it was about, as in [`crate::aws::Call`].
    pub object: &'a str,
    /// The account right after it.
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

/// Is called for each write in the order in which they are carried out; the account waits meanwhile.
pub type Witness = Arc<dyn Fn(Written<'_>) + Send + Sync>;

impl Aws {
    /// From now on this is shown every write to IAM; None shows them to nobody.
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
