//! Walks over what is live: declared roles and what carries our owner, where it is not as declared.

use super::declared::{attaching, audiences, home, subjects};
use super::holder::{Families, Holder, families};
use super::{Notes, Place, document, permissions, provider, trust};
use crate::ids::{Key, ProviderArn};
use crate::model::address::Address;
use crate::model::desired::{self, Attachment, Desired};
use crate::model::live::{Access, Identity, Live, LiveAccount, LiveRole, Observed};
use crate::model::marks::OWNER;
use crate::model::note::Note;
use crate::model::resource::StringMap;
use std::collections::{BTreeSet, HashMap};

/// Findings on what is live, sorted. What is there as it is declared was found by `declared`.
pub fn live(desired: &Desired, live: &Live) -> Vec<Note> {
    let mut notes = Notes::default();
    let mut declared_roles = HashMap::new();
    for (key, role) in &desired.roles {
        declared_roles.entry((&role.account, role.name.case_insensitive())).or_insert((key, role));
    }
    let asked = provider::asked(desired);
    let families = families(desired);
    for key in desired.accounts.keys() {
        let Some(account) = live.accounts.get(key) else { continue };
        let Access::Granted(identity) = &account.identity else { continue };
        let context = provider::ProviderContext { desired, live, key, account, asked: &asked };
        provider::check(&mut notes, &Place::new(&format!("account/{key}"), None), &context);
        notes.each(&account.roles, |notes, (folded, role)| {
            let Some(role) = role.present() else { return };
            let declared = declared_roles.get(&(key, folded.clone())).copied();
            if declared.is_some() || ours(desired, &role.role.tags) {
                let names = AccountNames { desired, families: &families, key };
                check_role(notes, &names, account, identity, role, declared);
            }
        });
        check_policies(&mut notes, &AccountNames { desired, families: &families, key }, account);
    }
    notes.finish()
}

/// Findings on what is declared that only the live world shows, sorted: they count against `--deny` like those of
/// `declared`. Of an account whose providers are not all known, or for which a cluster cannot be seen that may be about
/// to get one, nothing is said.
pub fn declared_against(desired: &Desired, live: &Live) -> Vec<Note> {
    let mut notes = Notes::default();
    let asked = provider::asked(desired);
    for (key, role) in desired.roles.iter().filter(|(_, role)| !role.extra_trust.is_empty()) {
        let (Some(declared), Some(account)) = (desired.accounts.get(&role.account), live.accounts.get(&role.account))
        else {
            continue;
        };
        let Access::Granted(identity) = &account.identity else { continue };
        let context = provider::ProviderContext { desired, live, key: &role.account, account, asked: &asked };
        let Some(coming) = context.coming() else { continue };
        let coming: BTreeSet<ProviderArn> =
            coming.iter().map(|issuer| ProviderArn::of(&identity.partition, &identity.account, issuer)).collect();
        let known = matches!(account.providers_listed, Observed::Present(()));
        let home = trust::Home {
            account: identity.account.as_str(),
            partition: identity.partition.as_str(),
            providers: known.then_some(&account.providers),
            coming,
            ..home(declared, role)
        };
        let place = Place::new(&Address::role(key), Some(&role.origin)).part("extra trust");
        trust::check_known(&mut notes, &place, document::named(&role.extra_trust), &home);
    }
    notes.finish()
}

/// What is known of the names in an account.
struct AccountNames<'a> {
    desired: &'a Desired,
    families: &'a Families<'a>,
    key: &'a Key,
}

fn ours(desired: &Desired, tags: &StringMap) -> bool {
    tags.get(OWNER).is_some_and(|owner| owner == desired.owner.as_str())
}

fn check_role(
    notes: &mut Notes,
    &AccountNames { desired, families, key }: &AccountNames<'_>,
    account: &LiveAccount,
    identity: &Identity,
    live: &LiveRole,
    declared: Option<(&Key, &desired::Role)>,
) {
    let place = match declared {
        Some((key, _)) => Place::new(&Address::role(key), None),
        None => Place::new(&format!("account/{key}"), None).part(&format!("role `{}`", live.role.name)),
    };
    let declared = declared.map(|(_, role)| role);
    let home = trust::Home {
        account: identity.account.as_str(),
        partition: identity.partition.as_str(),
        certain: true,
        providers: matches!(account.providers_listed, Observed::Present(())).then_some(&account.providers),
        coming: BTreeSet::new(),
        audiences: declared.map(audiences).unwrap_or_default(),
        subjects: declared.map(subjects).unwrap_or_default(),
    };
    let part = place.part("live trust");
    let statements = live.role.trust.statements();
    let undeclared = document::named(statements)
        .filter(|(_, statement)| !declared.is_some_and(|role| role.extra_trust.contains(statement)));
    trust::check(notes, &part, undeclared, &home);
    document::check(notes, &part, Some(&live.role.trust), statements);
    document::check_size(notes, &place, "live trust policy", live.role.trust.size(), account.quotas.trust_size);
    let holder = Holder::of(desired, families, key, declared.into_iter()).and_role(live.arn.as_str());
    for (name, policy) in &live.role.inline {
        if declared.and_then(|role| role.inline.get(name)) != Some(policy) {
            permissions::check(notes, &place.part(&format!("live inline policy `{name}`")), policy, &holder);
        }
    }
    let attached: BTreeSet<_> = declared.into_iter().flat_map(|role| &role.attach).collect();
    for arn in live.role.attached.iter().filter(|arn| !attached.contains(&Attachment::Arn((*arn).clone()))) {
        permissions::check_attached(notes, &place, arn);
    }
}

/// Policies of ours whose live document is not the declared one.
fn check_policies(
    notes: &mut Notes,
    &AccountNames { desired, families, key }: &AccountNames<'_>,
    account: &LiveAccount,
) {
    let attaching = attaching(desired);
    let mut declared_policies = HashMap::new();
    for ((_, name), item) in desired.policies.iter().filter(|((account, _), _)| account == key) {
        declared_policies.entry(item.name.case_insensitive()).or_insert((name, item));
    }
    for (arn, policy) in &account.policies {
        let Some(policy) = policy.present().map(|live| &live.policy).filter(|policy| ours(desired, &policy.tags))
        else {
            continue;
        };
        let place = match declared_policies.get(&policy.name.case_insensitive()) {
            Some((_, item)) if item.document == policy.document => continue,
            Some((name, _)) => {
                Place::new(&Address::Policy { account: key.clone(), key: (*name).clone() }, None).part("live policy")
            }
            None => Place::new(&format!("account/{key}"), None).part(&format!("policy `{}`", arn.name())),
        };
        let declared = declared_policies.get(&policy.name.case_insensitive());
        let roles = declared.and_then(|(name, _)| attaching.get(&(key, *name))).into_iter().flatten().copied();
        permissions::check(notes, &place, &policy.document, &Holder::of(desired, families, key, roles));
    }
}
