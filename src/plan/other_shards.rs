//! What a shard needs of the others. No step of this run can make it, so whatever needs it waits until a later run sees
//! it there; and what only a run over all can put in a safe order waits for that one.
//!
//! Without `--shard` nothing is elsewhere, and nothing here changes a plan.

use super::change::{Change, ResourceChange};
use super::context::{Issuer, PlanContext};
use super::draft::{BlockedBy, Draft};
use super::parts;
use super::roles::policies;
use crate::ids::{Key, PolicyArn};
use crate::model::address::Address;
use crate::model::call::{Call, IamCall};
use crate::model::desired::{Attachment, Binding, Boundary, Role};
use crate::model::live::{LivePolicy, Observed};
use crate::model::note::Note;
use crate::model::pattern::Pattern;
use crate::model::resource::ManagedPolicy;
use crate::policy::trust::Grant;
use crate::policy::trust_effects;
use std::collections::{BTreeMap, BTreeSet};

/// Whether a role is ready to be pointed at.
pub(crate) enum Ready {
    /// It is this run's own: its step, if it has one, comes first.
    Ours,
    /// It is there and lets the ServiceAccount in.
    Yes,
    /// Not yet.
    No(String),
    /// It could not be seen.
    Unknown(String),
}

/// Finds the providers and policies of other shards that roles of this one need and that are not ready.
pub(crate) fn plan(context: &PlanContext<'_>, draft: &mut Draft) {
    let mut needed: BTreeSet<Address> = BTreeSet::new();
    for (key, role) in &context.desired.roles {
        if context.scope.is_none() || !context.has(&Address::role(key)) {
            continue;
        }
        needed.extend(
            context.bindings(role).map(|binding| Address::OidcProvider {
                account: role.account.clone(),
                cluster: binding.cluster.clone(),
            }),
        );
        needed.extend(policies(role));
        for address in bounded_by(context, role) {
            will_change(context, draft, &address);
        }
    }
    for address in needed.into_iter().filter(|address| !context.has(address)) {
        let hold = match &address {
            Address::OidcProvider { account, cluster } => provider(context, account, cluster, &address),
            Address::Policy { account, key } => policy(context, account, key, &address),
            _ => None,
        };
        if let Some(hold) = hold {
            draft.hold(&address, hold);
        }
        will_change(context, draft, &address);
    }
}

/// The declared policies that are a role's boundary, or are to be.
fn bounded_by(context: &PlanContext<'_>, role: &Role) -> Vec<Address> {
    let live =
        context.account(&role.account).and_then(|account| account.roles.get(&role.name.case_insensitive())?.present());
    let declared = match &role.permissions_boundary {
        Boundary::Policy(arn) => Some(arn),
        Boundary::Undeclared | Boundary::None => None,
    };
    let bounds: Vec<_> =
        live.and_then(|live| live.role.permissions_boundary.as_ref()).into_iter().chain(declared).collect();
    let of_account = context.desired.policies.keys().filter(|(account, _)| *account == role.account);
    let bounding = of_account.filter(move |(account, key)| {
        let arn = context.attachment_arn(account, &Attachment::Declared(key.clone()));
        arn.is_some_and(|arn| bounds.contains(&&arn))
    });
    bounding.map(|(account, key)| Address::Policy { account: account.clone(), key: key.clone() }).collect()
}

/// Records what another shard is about to do to a policy: who comes must not have what it gives only before.
fn will_change(context: &PlanContext<'_>, draft: &mut Draft, address: &Address) {
    let Address::Policy { account, key } = address else { return };
    if context.has(address) {
        return;
    }
    let Some(declared) = context.desired.policies.get(&(account.clone(), key.clone())) else { return };
    let Some((arn, Observed::Present(live))) = context.policy_by_name(account, &declared.name.case_insensitive())
    else {
        return;
    };
    let (from, to) = (live.policy.document.clone(), declared.document.clone());
    let after = ManagedPolicy { document: to.clone(), ..live.policy.clone() };
    if let Some(change) = Change::from_to(&live.policy, &after) {
        let call = IamCall::CreatePolicyVersion { arn: arn.clone(), from, to };
        draft.would_do(address, ResourceChange::Policy(change), [Call::Iam(account.clone(), call)]);
        draft.held.entry(address.clone()).or_insert_with(|| BlockedBy::Waits(maker(context, address)));
    }
}

/// Who makes an object of another shard.
fn maker(context: &PlanContext<'_>, address: &Address) -> String {
    match context.scope.as_ref().and_then(|scope| scope.owner(address)) {
        Some(shard) => format!("shard {shard} has it, which must run first"),
        None => "no shard has it".to_owned(),
    }
}

/// IAM is asked for nothing that another run has yet to make: whether it takes a provider that is not there is not
/// documented (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>).
fn provider(context: &PlanContext<'_>, account: &Key, cluster: &Key, address: &Address) -> Option<BlockedBy> {
    // what is not known of a cluster holds its roles back by itself
    let Issuer::Known(issuer) = context.issuer(cluster) else { return None };
    let live = context.account(account)?;
    match context.provider_arn(account, issuer).and_then(|arn| live.providers.get(&arn)) {
        Some(Observed::Present(_)) => None,
        Some(Observed::Unknown(_)) => Some(BlockedBy::Unknown),
        None if matches!(live.providers_listed, Observed::Unknown(_)) => Some(BlockedBy::Unknown),
        Some(Observed::Absent) | None => Some(BlockedBy::Waits(maker(context, address))),
    }
}

/// A policy that is not as declared is not attached anew: who comes must not have what it gives only before.
fn policy(context: &PlanContext<'_>, account: &Key, key: &Key, address: &Address) -> Option<BlockedBy> {
    let declared = context.desired.policies.get(&(account.clone(), key.clone()))?;
    let live = context.account(account)?;
    match context.policy_by_name(account, &declared.name.case_insensitive()) {
        Some((_, Observed::Present(live))) if live.policy.document == declared.document => None,
        Some((_, Observed::Unknown(_))) => Some(BlockedBy::Unknown),
        None if matches!(live.policies_listed, Observed::Unknown(_)) => Some(BlockedBy::Unknown),
        Some((_, Observed::Present(_) | Observed::Absent)) | None => Some(BlockedBy::Waits(maker(context, address))),
    }
}

/// Why the document of a policy must not change in this shard: others have it too, and whoever leaves them must have
/// left before it gives more. Only a run over all sees both.
pub(crate) fn shared(context: &PlanContext<'_>, account: &Key, arn: &PolicyArn, live: &LivePolicy) -> Option<String> {
    context.scope.as_ref()?;
    let roles = context.account(account)?.roles.values().filter_map(Observed::present);
    let here: usize = roles.map(|role| parts::uses(&role.role, arn)).sum();
    let all = live.uses();
    (all > here).then(|| {
        format!(
            "it differs from its declaration, and roles outside this shard have it: {all} uses, {here} of them here; a \
             run without `--shard` changes it"
        )
    })
}

/// Whether the role is ready for the ServiceAccount of a binding.
pub(crate) fn ready(context: &PlanContext<'_>, key: &Key, role: &Role, binding: &Binding) -> Ready {
    let address = Address::role(key);
    if context.has(&address) {
        return Ready::Ours;
    }
    let Some(account) = context.account(&role.account) else {
        return Ready::Unknown(format!("account `{}`, which holds `{address}`, could not be used", role.account));
    };
    if let Observed::Unknown(why) = &account.role_list {
        return Ready::Unknown(format!("`{address}` belongs to another shard, and roles could not be listed: {why}"));
    }
    let Some(listed) = context.listed(role) else {
        return Ready::No(format!("`{address}` is not there yet: {}", maker(context, &address)));
    };
    let Issuer::Known(issuer) = context.issuer(&binding.cluster) else {
        return Ready::Unknown(format!("the issuer of cluster `{}` is unknown", binding.cluster));
    };
    let Some(provider) = context.provider_arn(&role.account, issuer) else {
        return Ready::Unknown(format!("account `{}` is not declared", role.account));
    };
    let grant = Grant { provider, audience: binding.effective_audience().to_owned(), subject: binding.subject.claim() };
    if trust_effects::grants(&listed.trust).contains(&grant) {
        return Ready::Yes;
    }
    Ready::No(format!("`{address}` does not let it in yet: {}", maker(context, &address)))
}

/// The roles of other shards that are certainly not there, by ARN, and who makes them.
pub(crate) fn absent_roles(context: &PlanContext<'_>) -> BTreeMap<String, (Address, String)> {
    let other_shards =
        context.desired.roles.iter().filter(|(key, _)| context.scope.is_some() && !context.has(&Address::role(key)));
    other_shards
        .filter(|(_, role)| {
            let seen = context.account(&role.account).is_some_and(|account| account.role_list.present().is_some());
            seen && context.listed(role).is_none()
        })
        .filter_map(|(key, role)| {
            let address = Address::role(key);
            let why = maker(context, &address);
            Some((context.role_arn(role)?.to_string(), (address, why)))
        })
        .collect()
}

/// Whether a finding is told by this run: one about an object by the shard that has it, all others by every run.
pub(crate) fn is_told_here(context: &PlanContext<'_>, note: &Note) -> bool {
    note.address.parse().map_or(true, |address: Address| context.has(&address))
}

/// Whether a glob of `--only` selects something that is declared, in whichever shard.
pub(crate) fn declares(context: &PlanContext<'_>, pattern: &Pattern) -> bool {
    let Some(scope) = &context.scope else { return false };
    let matches = |address: Address| scope.owner(&address).is_some() && pattern.matches(&address.to_string());
    let roles = context.desired.roles.keys().map(Address::role);
    let policies = context.desired.policies.keys();
    let policies = policies.map(|(account, key)| Address::Policy { account: account.clone(), key: key.clone() });
    let providers = super::providers::wanted(context)
        .into_keys()
        .map(|(account, cluster)| Address::OidcProvider { account: account.clone(), cluster: cluster.clone() });
    let accounts = context.exact_bindings().map(|(_, reference)| reference.address());
    roles.chain(policies).chain(providers).chain(accounts).any(matches)
}
