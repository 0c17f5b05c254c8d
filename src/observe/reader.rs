//! What all reads of one account share: the client, the declared objects, the limit on concurrent reads, and which
//! paths irsa searches.

use crate::ids::{IamPath, Key};
use crate::model::desired::{self, Desired, Role};
use crate::model::marks::default_path;
use std::collections::BTreeMap;
use tokio::sync::Semaphore;

pub(super) struct AccountReader<'a, A> {
    pub key: &'a Key,
    pub account: &'a desired::Account,
    pub desired: &'a Desired,
    pub aws: &'a A,
    /// Whether the plan deletes everything.
    pub destroy: bool,
    /// Whether to search for undeclared objects with this owner's tag. False with `--shard`.
    pub search_undeclared: bool,
    /// How many objects are read at the same time.
    pub slots: Semaphore,
}

impl<'a, A> AccountReader<'a, A> {
    /// Reads an object that takes several calls, once there is a free slot. Without slots, all objects would start at
    /// once and share the rate limit, so no object would be complete before the end.
    pub(super) async fn object<T>(&self, read: impl Future<Output = T>) -> T {
        // never closed
        let _slot = self.slots.acquire().await;
        read.await
    }

    /// The declared roles of this account, by case-insensitive name.
    pub(super) fn roles(&self) -> BTreeMap<String, &'a Role> {
        let roles = self.desired.roles.values().filter(|role| &role.account == self.key);
        roles.map(|role| (role.name.lower_case(), role)).collect()
    }

    /// The declared policies of this account, by case-insensitive name.
    pub(super) fn policies(&self) -> BTreeMap<String, &'a desired::Policy> {
        let policies = self.desired.policies.iter().filter(|((account, _), _)| account == self.key);
        policies.map(|(_, policy)| (policy.name.lower_case(), policy)).collect()
    }

    /// Whether to search this path for undeclared objects: with `--shard` never, otherwise if it begins with
    /// `/irsa/<owner>/` or with one of the `declared` paths.
    pub(super) fn is_searched_path<'p>(&self, path: &str, mut declared: impl Iterator<Item = &'p IamPath>) -> bool {
        // roles under `/aws-service-role/` belong to an AWS service; irsa can neither tag nor change them, so none is
        // this owner's (<https://docs.aws.amazon.com/IAM/latest/UserGuide/using-service-linked-roles.html>)
        let is_service_linked = path.starts_with("/aws-service-role/");
        self.search_undeclared
            && !is_service_linked
            && (path.starts_with(&default_path(self.desired.owner.as_str()))
                || declared.any(|ours| path.starts_with(ours.as_str())))
    }
}
