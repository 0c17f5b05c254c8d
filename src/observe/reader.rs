//! What the reading of one account needs at hand: whom it asks, what is declared there, and which paths are ours.

use super::limiter::Limiter;
use crate::ids::{IamPath, Key};
use crate::model::desired::{self, Desired, Role};
use crate::model::marks::default_path;
use std::collections::BTreeMap;

/// All that the reading of one account needs at hand.
pub(super) struct AccountReader<'a, A> {
    pub key: &'a Key,
    pub account: &'a desired::Account,
    pub desired: &'a Desired,
    pub aws: &'a A,
    pub destroy: bool,
    /// Whether what carries our mark and is not declared is searched.
    pub search: bool,
    pub limiter: Limiter,
}

impl<'a, A> AccountReader<'a, A> {
    /// The declared roles of this account, by folded name.
    pub(super) fn roles(&self) -> BTreeMap<String, &'a Role> {
        let roles = self.desired.roles.values().filter(|role| &role.account == self.key);
        roles.map(|role| (role.name.case_insensitive(), role)).collect()
    }

    /// The declared policies of this account, by folded name.
    pub(super) fn policies(&self) -> BTreeMap<String, &'a desired::Policy> {
        let policies = self.desired.policies.iter().filter(|((account, _), _)| account == self.key);
        policies.map(|(_, policy)| (policy.name.case_insensitive(), policy)).collect()
    }

    /// Whether a path is one under which objects of ours are made: `/irsa/<owner>/` or one of `declared`.
    pub(super) fn is_our_path<'p>(&self, path: &str, mut declared: impl Iterator<Item = &'p IamPath>) -> bool {
        self.search
            // what lies here was made by AWS services and can be neither tagged nor deleted by anyone else
        // (<https://docs.aws.amazon.com/IAM/latest/UserGuide/using-service-linked-roles.html>)
            && !path.starts_with("/aws-service-role/")
            && (path.starts_with(&default_path(self.desired.owner.as_str()))
                || declared.any(|ours| path.starts_with(ours.as_str())))
    }
}
