//! What a share needs of the others. No step of this run can make it, so whatever needs it waits until a later run sees
//! it there; and what only a run over all can put in a safe order waits for that one.
//!
//! Without `--shard` nothing is elsewhere, and nothing here changes a plan.

use super::change::{Change, ResourceChange};
use super::draft::{Draft, Hold};
use super::parts;
use super::roles::policies;
use super::site::{Issuer, Site};
use crate::ids::{Key, PolicyArn};
use crate::model::address::Address;
use crate::model::call::{Call, IamCall};
use crate::model::desired::{Attachment, Binding, Boundary, Role};
use crate::model::live::{LivePolicy, Observed};
use crate::model::note::Note;
use crate::model::pattern::Pattern;
use crate::model::resource::ManagedPolicy;
use crate::policy::narrow;
use crate::policy::trust::Grant;
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

/// Finds the providers and policies of other shares that roles of this one need and that are not ready.
pub(crate) fn plan(site: &Site<'_>, draft: &mut Draft) {
    let mut needed: BTreeSet<Address> = BTreeSet::new();
    for (key, role) in &site.desired.roles {
        if site.scope.is_none() || !site.has(&Address::role(key)) {
            continue;
        }
        needed.extend(
            site.bindings(role).map(|binding| Address::OidcProvider {
                account: role.account.clone(),
                cluster: binding.cluster.clone(),
            }),
        );
        needed.extend(policies(role));
        for address in bounded_by(site, role) {
            will_change(site, draft, &address);
        }
    }
    for address in needed.into_iter().filter(|address| !site.has(address)) {
        let hold = match &address {
            Address::OidcProvider { account, cluster } => provider(site, account, cluster, &address),
            Address::Policy { account, key } => policy(site, account, key, &address),
            _ => None,
        };
        if let Some(hold) = hold {
            draft.hold(&address, hold);
        }
        will_change(site, draft, &address);
    }
}

/// The declared policies that are a role's boundary, or are to be.
fn bounded_by(site: &Site<'_>, role: &Role) -> Vec<Address> {
    let live = site.account(&role.account).and_then(|account| account.roles.get(&role.name.folded())?.present());
    let declared = match &role.permissions_boundary {
        Boundary::Policy(arn) => Some(arn),
        Boundary::Undeclared | Boundary::None => None,
    };
    let bounds: Vec<_> =
        live.and_then(|live| live.role.permissions_boundary.as_ref()).into_iter().chain(declared).collect();
    let of_account = site.desired.policies.keys().filter(|(account, _)| *account == role.account);
    let bounding = of_account.filter(move |(account, key)| {
        let arn = site.attachment_arn(account, &Attachment::Declared(key.clone()));
        arn.is_some_and(|arn| bounds.contains(&&arn))
    });
    bounding.map(|(account, key)| Address::Policy { account: account.clone(), key: key.clone() }).collect()
}

/// Records what another share is about to do to a policy: who comes must not have what it gives only before.
fn will_change(site: &Site<'_>, draft: &mut Draft, address: &Address) {
    let Address::Policy { account, key } = address else { return };
    if site.has(address) {
        return;
    }
    let Some(declared) = site.desired.policies.get(&(account.clone(), key.clone())) else { return };
    let Some((arn, Observed::Present(live))) = site.policy_by_name(account, &declared.name.folded()) else { return };
    let (from, to) = (live.policy.document.clone(), declared.document.clone());
    let after = ManagedPolicy { document: to.clone(), ..live.policy.clone() };
    if let Some(change) = Change::from_to(&live.policy, &after) {
        let call = IamCall::CreatePolicyVersion { arn: arn.clone(), from, to };
        draft.would_do(address, ResourceChange::Policy(change), [Call::Iam(account.clone(), call)]);
        draft.held.entry(address.clone()).or_insert_with(|| Hold::Waits(maker(site, address)));
    }
}

/// Who makes an object of another share.
fn maker(site: &Site<'_>, address: &Address) -> String {
    match site.scope.as_ref().and_then(|scope| scope.owner(address)) {
        Some(share) => format!("share {share} has it, which must run first"),
        None => "no share has it".to_owned(),
    }
}

/// IAM is asked for nothing that another run has yet to make: whether it takes a provider that is not there is not
/// documented (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>).
fn provider(site: &Site<'_>, account: &Key, cluster: &Key, address: &Address) -> Option<Hold> {
    // what is not known of a cluster holds its roles back by itself
    let Issuer::Known(issuer) = site.issuer(cluster) else { return None };
    let live = site.account(account)?;
    match site.provider_arn(account, issuer).and_then(|arn| live.providers.get(&arn)) {
        Some(Observed::Present(_)) => None,
        Some(Observed::Unknown(_)) => Some(Hold::Unknown),
        None if matches!(live.providers_listed, Observed::Unknown(_)) => Some(Hold::Unknown),
        Some(Observed::Absent) | None => Some(Hold::Waits(maker(site, address))),
    }
}

/// A policy that is not as declared is not attached anew: who comes must not have what it gives only before.
fn policy(site: &Site<'_>, account: &Key, key: &Key, address: &Address) -> Option<Hold> {
    let declared = site.desired.policies.get(&(account.clone(), key.clone()))?;
    let live = site.account(account)?;
    match site.policy_by_name(account, &declared.name.folded()) {
        Some((_, Observed::Present(live))) if live.policy.document == declared.document => None,
        Some((_, Observed::Unknown(_))) => Some(Hold::Unknown),
        None if matches!(live.policies_listed, Observed::Unknown(_)) => Some(Hold::Unknown),
        Some((_, Observed::Present(_) | Observed::Absent)) | None => Some(Hold::Waits(maker(site, address))),
    }
}

/// Why the document of a policy must not change in this share: others have it too, and whoever leaves them must have
/// left before it gives more. Only a run over all sees both.
pub(crate) fn shared(site: &Site<'_>, account: &Key, arn: &PolicyArn, live: &LivePolicy) -> Option<String> {
    site.scope.as_ref()?;
    let roles = site.account(account)?.roles.values().filter_map(Observed::present);
    let here: usize = roles.map(|role| parts::uses(&role.role, arn)).sum();
    let all = live.uses();
    (all > here).then(|| {
        format!(
            "it differs from its declaration, and roles outside this share have it: {all} uses, {here} of them here; a \
             run without `--shard` changes it"
        )
    })
}

/// Whether the role is ready for the ServiceAccount of a binding.
pub(crate) fn ready(site: &Site<'_>, key: &Key, role: &Role, binding: &Binding) -> Ready {
    let address = Address::role(key);
    if site.has(&address) {
        return Ready::Ours;
    }
    let Some(account) = site.account(&role.account) else {
        return Ready::Unknown(format!("account `{}`, which holds `{address}`, could not be used", role.account));
    };
    if let Observed::Unknown(why) = &account.roster {
        return Ready::Unknown(format!("`{address}` belongs to another share, and roles could not be listed: {why}"));
    }
    let Some(listed) = site.listed(role) else {
        return Ready::No(format!("`{address}` is not there yet: {}", maker(site, &address)));
    };
    let Issuer::Known(issuer) = site.issuer(&binding.cluster) else {
        return Ready::Unknown(format!("the issuer of cluster `{}` is unknown", binding.cluster));
    };
    let Some(provider) = site.provider_arn(&role.account, issuer) else {
        return Ready::Unknown(format!("account `{}` is not declared", role.account));
    };
    let grant = Grant { provider, audience: binding.effective_audience().to_owned(), subject: binding.subject.claim() };
    if narrow::grants(&listed.trust).contains(&grant) {
        return Ready::Yes;
    }
    Ready::No(format!("`{address}` does not let it in yet: {}", maker(site, &address)))
}

/// The roles of other shares that are certainly not there, by ARN, and who makes them.
pub(crate) fn absent_roles(site: &Site<'_>) -> BTreeMap<String, (Address, String)> {
    let elsewhere = site.desired.roles.iter().filter(|(key, _)| site.scope.is_some() && !site.has(&Address::role(key)));
    elsewhere
        .filter(|(_, role)| {
            let seen = site.account(&role.account).is_some_and(|account| account.roster.present().is_some());
            seen && site.listed(role).is_none()
        })
        .filter_map(|(key, role)| {
            let address = Address::role(key);
            let why = maker(site, &address);
            Some((site.role_arn(role)?.to_string(), (address, why)))
        })
        .collect()
}

/// Whether a finding is told by this run: one about an object by the share that has it, all others by every run.
pub(crate) fn is_told_here(site: &Site<'_>, note: &Note) -> bool {
    note.address.parse().map_or(true, |address: Address| site.has(&address))
}

/// Whether a glob of `--only` selects something that is declared, in whichever share.
pub(crate) fn declares(site: &Site<'_>, pattern: &Pattern) -> bool {
    let Some(scope) = &site.scope else { return false };
    let matches = |address: Address| scope.owner(&address).is_some() && pattern.matches(&address.to_string());
    let roles = site.desired.roles.keys().map(Address::role);
    let policies = site.desired.policies.keys();
    let policies = policies.map(|(account, key)| Address::Policy { account: account.clone(), key: key.clone() });
    let providers = super::providers::wanted(site)
        .into_keys()
        .map(|(account, cluster)| Address::OidcProvider { account: account.clone(), cluster: cluster.clone() });
    let accounts = site.exact_bindings().map(|(_, spot)| spot.address());
    roles.chain(policies).chain(providers).chain(accounts).any(matches)
}
