//! What has the owner's marks, and is not declared by a new configuration: a plan would delete or release it.

use super::own_fields::OwnFields;
use super::{Drafter, owner};
use crate::ids::{Key, ProviderArn};
use crate::import::SeenAccount;
use crate::import::trust::ServiceAccountId;
use crate::model::live::LiveServiceAccount;
use std::collections::BTreeSet;

/// Why an object is missing although nothing keeps irsa from declaring it.
const FILTERED: &str = "`--role` or `--namespace` leaves it out";

impl Drafter<'_> {
    pub(super) fn undeclared(&mut self) {
        if self.existing.is_some() {
            return;
        }
        let roles = self.draft.roles.iter().map(|role| role.live.arn.to_string());
        let policies = self.draft.policies.iter().map(|policy| policy.arn.to_string());
        let declared: BTreeSet<String> = roles.chain(policies).chain(self.needed_providers()).collect();
        let mut lines = Vec::new();
        for account in self.seen.accounts.values() {
            let missing = account.owned.iter().filter(|(arn, _)| !declared.contains(*arn));
            lines.extend(missing.map(|(arn, what)| format!("{what}: {}", self.why_undeclared(account, arn, what))));
        }
        let managed: BTreeSet<&ServiceAccountId> = self.managed();
        for (subject, item) in &self.service_accounts {
            if self.is_owned(item) && !managed.contains(subject) {
                let (cluster, namespace, name) = subject;
                let is_selected = self.scope.has_namespace(namespace.as_str());
                let why = is_selected.then(|| self.why_unmanaged(subject, item)).flatten();
                let why = why.unwrap_or_else(|| FILTERED.to_owned());
                lines.push(format!("ServiceAccount `{namespace}/{name}` in cluster `{cluster}`: {why}"));
            }
        }
        self.draft.undeclared = lines;
    }

    /// Whether a plan takes the ServiceAccount for one of this owner.
    fn is_owned(&self, item: &LiveServiceAccount) -> bool {
        match owner(&item.labels) {
            Some(owner) => owner == self.scope.owner.as_str(),
            None => OwnFields::of(item, &self.field_manager).has_address,
        }
    }

    /// The ARNs of the OIDC providers that bindings of the result need.
    fn needed_providers(&self) -> BTreeSet<String> {
        let mut needed = BTreeSet::new();
        for role in &self.draft.roles {
            let exact = role.entries.iter().map(|entry| &entry.subject.0);
            let clusters: BTreeSet<&Key> = exact.chain(role.patterns.keys().map(|(cluster, ..)| cluster)).collect();
            let Some(account) = self.seen.accounts.get(role.account) else { continue };
            needed.extend(
                clusters.into_iter().filter_map(|cluster| self.provider(account, cluster)).map(|arn| arn.to_string()),
            );
        }
        needed
    }

    /// The ARN that the OIDC provider of a cluster has in an account.
    pub(super) fn provider(&self, account: &SeenAccount, cluster: &Key) -> Option<ProviderArn> {
        let issuer = &self.seen.clusters.get(cluster)?.issuer;
        Some(ProviderArn::of(&account.identity.partition, &account.identity.account, issuer))
    }

    fn why_undeclared(&self, account: &SeenAccount, arn: &str, what: &str) -> String {
        let listed = self.draft.left_out.iter().find_map(|line| line.strip_prefix(what)?.strip_prefix(": "));
        if let Some(why) = listed {
            return why.to_owned();
        }
        if arn.contains(":oidc-provider/") {
            let is_cluster = self
                .seen
                .clusters
                .keys()
                .any(|key| self.provider(account, key).is_some_and(|provider| provider.as_str() == arn));
            let why =
                if is_cluster { "no imported role is bound in its cluster" } else { "its cluster is not imported" };
            return why.to_owned();
        }
        if arn.contains(":policy/") {
            return "no imported role attaches it".to_owned();
        }
        FILTERED.to_owned()
    }
}
