//! What the result does not declare, beside roles and policies.

use super::{Drafter, RoleDraft, bound, flag, token_expiration};
use crate::ids::RoleArn;
use crate::import::SeenCluster;
use crate::import::select::named_role;
use crate::import::trust::ServiceAccountId;
use crate::model::live::LiveServiceAccount;
use crate::model::marks::{AUDIENCE, CHAIN, ROLE_ARN, STS_REGIONAL_ENDPOINTS, TOKEN_EXPIRATION};
use std::collections::BTreeSet;

impl Drafter<'_> {
    /// Lists the annotated ServiceAccounts that the result does not manage, and annotations that it does not declare.
    pub(super) fn unmanaged(&mut self) {
        let managed: BTreeSet<&ServiceAccountId> = self
            .draft
            .roles
            .iter()
            .flat_map(|role| &role.entries)
            .filter(|entry| entry.is_managed())
            .map(|entry| &entry.subject)
            .collect();
        let declared = self.existing.map(|existing| bound(&existing.desired)).unwrap_or_default();
        let mut left = Vec::new();
        for (subject, item) in &self.service_accounts {
            let (cluster, namespace, name) = subject;
            let is_annotated = item.annotations.keys().any(|key| key.starts_with(CHAIN));
            if !is_annotated || declared.contains(subject) || !self.scope.has_namespace(namespace.as_str()) {
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
    fn why_unmanaged(&self, subject: &ServiceAccountId, item: &LiveServiceAccount) -> Option<String> {
        let Some(arn) = named_role(item) else { return Some(format!("it has no annotation `{ROLE_ARN}`")) };
        let Ok(parsed) = RoleArn::parse(arn) else { return Some(format!("`{arn}` is not the ARN of a role")) };
        if !self.scope.has_role(parsed.name()) {
            return None;
        }
        let account = self.seen.accounts.values().find(|account| account.identity.account.as_str() == parsed.account());
        let Some(account) = account else {
            return Some(format!("its role `{arn}` is in an account that was not read"));
        };
        let mut roles = account.roles.iter();
        let live = roles.find(|role| role.role.name.as_str().eq_ignore_ascii_case(parsed.name()));
        Some(match live {
            None => format!("there is no role `{arn}`"),
            Some(live) if live.arn != parsed => format!("it names `{arn}`, and that role's ARN is `{}`", live.arn),
            Some(_) => match self.draft.roles.iter().find(|role| role.live.arn == parsed) {
                None => format!("its role `{arn}` is not imported"),
                Some(role) => Self::why_of_role(role, subject, &parsed),
            },
        })
    }

    /// Why irsa does not manage a ServiceAccount that names this role.
    fn why_of_role(role: &RoleDraft<'_>, subject: &ServiceAccountId, arn: &RoleArn) -> String {
        let entry = role.entries.iter().find(|entry| entry.subject == *subject);
        entry.and_then(|entry| entry.comment.clone()).unwrap_or_else(|| {
            format!(
                "role `{}` does not let it in by a statement that irsa would generate (without wildcards, and with the \
                 audience of the token)",
                arn.name()
            )
        })
    }

    pub(super) fn associations(&mut self) {
        for (key, SeenCluster { associations, .. }) in &self.seen.clusters {
            for item in associations.iter().filter(|item| self.scope.has_namespace(&item.namespace)) {
                let what = format!(
                    "pod identity association `{}` of `{}/{}` in cluster `{key}`",
                    item.id, item.namespace, item.service_account
                );
                self.draft.left_out.push(format!("{what}: irsa does not manage associations yet; it stays as it is"));
            }
        }
    }
}

/// Whether the annotation is one of the webhook's, and irsa cannot declare it.
fn is_undeclared(key: &str, value: &str) -> bool {
    match key {
        ROLE_ARN | AUDIENCE => false,
        TOKEN_EXPIRATION => token_expiration(value).is_none(),
        STS_REGIONAL_ENDPOINTS => flag(value).is_none(),
        _ => key.starts_with(CHAIN),
    }
}
