//! Whether a role or policy is so near a default quota that irsa must read the account's own quotas.
//!
//! The defaults are right for most accounts, and a raised quota matters only near the default one.

use super::reader::AccountReader;
use crate::ids::{IssuerUrl, Key, ProviderArn};
use crate::model::desired::Role;
use crate::model::live::{LiveRole, Observed, Quotas};
use crate::policy::PolicyDocument;
use crate::policy::trust::{self, Grant};
use std::collections::{BTreeMap, BTreeSet};

/// Whether `size` is above 80 % of `quota`.
fn near(size: usize, quota: usize) -> bool {
    size * 5 > quota * 4
}

/// Whether a declared role or policy is near a default quota.
pub(super) fn declared_near_quota<A>(reader: &AccountReader<'_, A>, issuers: &BTreeMap<Key, IssuerUrl>) -> bool {
    reader
        .roles()
        .into_values()
        .any(|role| near_quota(trust_size(reader, role, issuers), role.inline.values(), role.attach.len()))
        || reader.policies().into_values().any(|policy| near(policy.document.size(), Quotas::default().managed_size))
}

/// Whether a live role is near a default quota, or would be with its declared attachments.
pub(super) fn live_near_quota<A>(reader: &AccountReader<'_, A>, roles: &BTreeMap<String, Observed<LiveRole>>) -> bool {
    reader.roles().iter().any(|(name, declared)| {
        roles.get(name).and_then(Observed::present).is_some_and(|LiveRole { role, .. }| {
            near_quota(role.trust.size(), role.inline.values(), role.attached.len().max(declared.attach.len()))
        })
    })
}

fn near_quota<'p>(trust: usize, inline: impl Iterator<Item = &'p PolicyDocument>, attached: usize) -> bool {
    let quotas = Quotas::default();
    near(trust, quotas.trust_size)
        || near(inline.map(PolicyDocument::size).sum(), quotas.inline_size)
        || near(attached, quotas.attached_per_role)
}

/// The size of the trust policy that the role will get. Leaves out clusters whose issuer is not known yet.
fn trust_size<A>(reader: &AccountReader<'_, A>, role: &Role, issuers: &BTreeMap<Key, IssuerUrl>) -> usize {
    let grants: BTreeSet<Grant> = role
        .bindings
        .iter()
        .filter_map(|binding| {
            let issuer = issuers.get(&binding.cluster)?;
            Some(Grant {
                provider: ProviderArn::of(&reader.account.partition, &reader.account.id, issuer),
                audience: binding.effective_audience().to_owned(),
                subject: binding.subject.claim(),
            })
        })
        .collect();
    trust::build(&grants, &role.extra_trust).size()
}
