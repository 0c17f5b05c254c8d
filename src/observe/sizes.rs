//! Whether a role or policy comes so near a default quota that the account's own must be known.
//!
//! Quotas are asked for only then, and where there are many roles anyway: the defaults are right for most accounts, and
//! a higher quota matters only to those who come near the default one.

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

/// Whether what is declared comes near a default quota.
pub(super) fn declared_near_quota<A>(reader: &AccountReader<'_, A>, issuers: &BTreeMap<Key, IssuerUrl>) -> bool {
    let quotas = Quotas::default();
    let roles = reader.roles().into_values().any(|role| {
        near(trust_size(reader, role, issuers), quotas.trust_size)
            || near(role.inline.values().map(PolicyDocument::size).sum(), quotas.inline_size)
            || near(role.attach.len(), quotas.attached_per_role)
    });
    roles || reader.policies().into_values().any(|policy| near(policy.document.size(), quotas.managed_size))
}

/// The size of the trust policy that the role will have, as far as issuers are known.
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

/// Whether a live role comes near a default quota, or would with what is to be attached.
pub(super) fn live_near_quota<A>(reader: &AccountReader<'_, A>, roles: &BTreeMap<String, Observed<LiveRole>>) -> bool {
    let quotas = Quotas::default();
    reader.roles().iter().any(|(folded, declared)| {
        let Some(live) = roles.get(folded).and_then(Observed::present) else { return false };
        near(live.role.trust.size(), quotas.trust_size)
            || near(live.role.inline.values().map(PolicyDocument::size).sum(), quotas.inline_size)
            || near(live.role.attached.len().max(declared.attach.len()), quotas.attached_per_role)
    })
}
