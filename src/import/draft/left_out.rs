//! What the result does not declare, beside roles and policies.

use super::{Drafter, flag, token_expiration};
use crate::ids::{Key, Namespace, RoleArn, ServiceAccountName};
use crate::import::select::named_role;
use crate::import::trust::{ProviderState, ServiceAccountId, reason};
use crate::import::{SeenAccount, SeenAssociation, SeenCluster};
use crate::model::desired::Manage;
use crate::model::live::{LiveRole, LiveServiceAccount, Observed};
use crate::model::marks::{AUDIENCE, CHAIN, ROLE_ARN, STS_REGIONAL_ENDPOINTS, TOKEN_EXPIRATION};
use crate::world::AssociationSummary;
use std::collections::BTreeSet;

impl Drafter<'_> {
    /// The ServiceAccounts that the result manages.
    pub(super) fn managed(&self) -> BTreeSet<&ServiceAccountId> {
        let entries = self.draft.roles.iter().flat_map(|role| &role.entries);
        entries.filter(|entry| entry.is_managed()).map(|entry| &entry.subject).collect()
    }

    /// Lists the annotated ServiceAccounts that the result does not manage, and annotations that it does not declare.
    pub(super) fn unmanaged(&mut self) {
        let managed = self.managed();
        let mut left = Vec::new();
        for (subject, item) in &self.service_accounts {
            let (cluster, namespace, name) = subject;
            let is_annotated = item.annotations.keys().any(|key| key.starts_with(CHAIN));
            let is_managed_there =
                self.declared.get(subject).is_some_and(|(_, binding)| binding.manage != Manage::None);
            if !is_annotated || is_managed_there || !self.scope.has_namespace(namespace.as_str()) {
                continue;
            }
            let what = format!("ServiceAccount `{namespace}/{name}` in cluster `{cluster}`");
            if managed.contains(subject) {
                let odd = item.annotations.iter().filter(|(key, value)| is_undeclared(key, value));
                left.extend(odd.map(|(key, value)| {
                    format!(
                        "{what}: its annotation `{key}` has the value `{value}`, which irsa does not write; it stays"
                    )
                }));
            } else if let Some(why) = self.why_unmanaged(subject, item) {
                left.push(format!("{what}: {why}; its annotations stay as they are"));
            }
        }
        self.draft.left_out.extend(left);
    }

    /// Why irsa does not manage an annotated ServiceAccount. None if `--role` left its role out.
    pub(super) fn why_unmanaged(&self, subject: &ServiceAccountId, item: &LiveServiceAccount) -> Option<String> {
        let Some(arn) = named_role(item) else { return Some(format!("it has no annotation `{ROLE_ARN}`")) };
        let Ok(parsed) = RoleArn::parse(arn) else { return Some(format!("`{arn}` is not the ARN of a role")) };
        if !self.scope.has_role(parsed.name()) {
            return None;
        }
        if let Some((key, binding)) = self.declared.get(subject) {
            return Some(format!(
                "role `{key}` binds it with `manage = \"none\"` at {}, and its annotation names `{arn}`",
                binding.origin
            ));
        }
        let account =
            self.seen.accounts.iter().find(|(_, account)| account.identity.account.as_str() == parsed.account());
        let Some((account_key, account)) = account else {
            return Some(format!("its role `{arn}` is in an account that was not read"));
        };
        let mut roles = account.roles.iter();
        let live = roles.find(|role| role.role.name.as_str().eq_ignore_ascii_case(parsed.name()));
        Some(match live {
            None if account.unread.all_roles || account.unread.roles.contains(&parsed.name().to_lowercase()) => {
                format!("its role `{arn}` could not be read")
            }
            None => format!("there is no role `{arn}`"),
            Some(live) if live.arn != parsed => format!("it names `{arn}`, and that role's ARN is `{}`", live.arn),
            Some(live) => match self.draft.roles.iter().find(|role| role.live.arn == parsed) {
                Some(role) => {
                    let entry = role.entries.iter().find(|entry| entry.subject == *subject);
                    let comment = entry.and_then(|entry| entry.comment.clone());
                    comment.unwrap_or_else(|| {
                        let why = self.why_not_bound(account, live, subject);
                        let why = why.unwrap_or_else(|| "its statement has another form".to_owned());
                        let name = parsed.name();
                        format!("role `{name}` does not let it in by a statement that irsa would generate: {why}")
                    })
                }
                None => match self.declared_key(account_key, parsed.name()) {
                    Some(key) => {
                        let why = self.why_not_bound(account, live, subject);
                        let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
                        format!("the configuration declares its role as `roles.{key}`, which does not bind it{why}")
                    }
                    None => format!("its role `{arn}` is not imported"),
                },
            },
        })
    }

    /// Why no statement that irsa would generate lets the ServiceAccount into this role.
    fn why_not_bound(&self, account: &SeenAccount, role: &LiveRole, subject: &ServiceAccountId) -> Option<String> {
        let provider = self.provider(account, &subject.0)?;
        let state = match account.providers.get(&provider) {
            Some(audiences) => ProviderState::Read(audiences),
            None if account.listed_providers.is_none() || account.unread.providers.contains(&provider) => {
                ProviderState::Unread
            }
            None => ProviderState::Missing,
        };
        let drafts = self.draft.roles.iter().find(|draft| draft.live.arn == role.arn);
        let own: BTreeSet<&ServiceAccountId> =
            drafts.into_iter().flat_map(|draft| &draft.entries).map(|entry| &entry.subject).collect();
        let is_taken = |other: &ServiceAccountId| {
            let named = self.service_accounts.get(other).and_then(|item| named_role(item));
            let names_other = named
                .and_then(|arn| RoleArn::parse(arn).ok())
                .is_some_and(|arn| arn != role.arn && self.arns.contains(&arn));
            other != subject && (names_other || self.claimed.contains(other) && !own.contains(other))
        };
        reason(&role.role.trust, (&provider, state), subject, is_taken)
    }

    pub(super) fn associations(&mut self) {
        for (key, SeenCluster { associations, .. }) in &self.seen.clusters {
            let selected = associations.iter().filter(|item| self.scope.has_namespace(&item.summary.namespace));
            for SeenAssociation { summary, role } in selected {
                let what = format!(
                    "pod identity association `{}` of `{}/{}` in cluster `{key}`",
                    summary.id, summary.namespace, summary.service_account
                );
                let role = match role {
                    Observed::Present(arn) => format!("; its role is `{arn}`"),
                    Observed::Absent => continue,
                    Observed::Unknown(why) => format!("; its role is unknown: {why}"),
                };
                let id = association_of(key, summary);
                let annotated =
                    id.and_then(|id| self.service_accounts.get(&id)).is_some_and(|item| named_role(item).is_some());
                let wins = if annotated { "; new pods get their role from it, not from the annotation" } else { "" };
                self.draft
                    .left_out
                    .push(format!("{what}: irsa does not manage associations yet; it stays as it is{role}{wins}"));
            }
        }
    }
}

/// The ServiceAccount of an association. None if its names are invalid.
pub(super) fn association_of(cluster: &Key, summary: &AssociationSummary) -> Option<ServiceAccountId> {
    let namespace = Namespace::parse(summary.namespace.as_str()).ok()?;
    Some((cluster.clone(), namespace, ServiceAccountName::parse(summary.service_account.as_str()).ok()?))
}

/// Whether the annotation is one of the webhook's, and irsa cannot declare it.
pub(super) fn is_undeclared(key: &str, value: &str) -> bool {
    match key {
        ROLE_ARN | AUDIENCE => false,
        TOKEN_EXPIRATION => token_expiration(value).is_none(),
        STS_REGIONAL_ENDPOINTS => flag(value).is_none(),
        _ => key.starts_with(CHAIN),
    }
}
