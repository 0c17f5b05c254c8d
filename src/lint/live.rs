//! Checks live objects, where they differ from their declaration or have none.

use super::arns::{AttachedRoles, ManagedByAccount, managed_by_account};
use super::declared::{attaching_roles, audiences};
use super::providers::{self, ProviderContext, bindings_by_cluster, is_owned};
use super::{Findings, Location, aws_policies, document, permissions, trust};
use crate::ids::{Key, ProviderArn};
use crate::model::address::Address;
use crate::model::desired::{self, Attachment, Desired};
use crate::model::live::{Access, Identity, Live, LiveAccount, LiveRole, Observed};
use crate::model::note::Note;
use std::collections::{BTreeSet, HashMap};

/// Findings on live objects, sorted. Checks declared roles and policies, and those with the owner tag. What is as
/// declared has its findings from `declared`.
pub fn live(desired: &Desired, live: &Live) -> Vec<Note> {
    let mut findings = Findings::default();
    let mut declared_roles = HashMap::new();
    for (key, role) in &desired.roles {
        declared_roles.entry((&role.account, role.name.lower_case())).or_insert((key, role));
    }
    let bindings = bindings_by_cluster(desired);
    let managed = managed_by_account(desired);
    for key in desired.accounts.keys() {
        let Some(account) = live.accounts.get(key) else { continue };
        let Access::Granted(identity) = &account.identity else { continue };
        let location = account_location(key);
        let context = ProviderContext { desired, live, key, account, bindings: &bindings };
        providers::check(&mut findings, &location, &context);
        let context = AccountContext { desired, managed: &managed, key, account, identity };
        findings.check_each(&account.roles, |findings, (name, role)| {
            let Some(role) = role.present() else { return };
            let declared = declared_roles.get(&(key, name.clone())).copied();
            if declared.is_some() || is_owned(desired, &role.role.tags) {
                check_role(findings, &context, role, declared);
            }
        });
        check_policies(&mut findings, &context);
    }
    findings.into_notes(desired)
}

/// Findings on declared objects that need live state, sorted. They count against `--deny` like those of `declared`.
/// None for an account if its providers, or the issuer of a cluster that needs one there, are unknown.
pub fn declared_against(desired: &Desired, live: &Live) -> Vec<Note> {
    let mut findings = Findings::default();
    let bindings = bindings_by_cluster(desired);
    for (key, role) in desired.roles.iter().filter(|(_, role)| !role.extra_trust.is_empty()) {
        let Some(account) = live.accounts.get(&role.account) else { continue };
        let Access::Granted(identity) = &account.identity else { continue };
        let context = ProviderContext { desired, live, key: &role.account, account, bindings: &bindings };
        let Some(planned) = context.planned_issuers() else { continue };
        let arn = |issuer| ProviderArn::of(&identity.partition, &identity.account, issuer);
        let facts = trust::RoleFacts {
            planned_providers: planned.into_iter().map(arn).collect(),
            ..facts(account, identity, Some(role))
        };
        let location = Location::new(&Address::role(key), Some(&role.origin)).part("extra trust");
        trust::check_providers(&mut findings, &location, document::named(&role.extra_trust), &facts);
    }
    findings.into_notes(desired)
}

/// A live account.
struct AccountContext<'a> {
    desired: &'a Desired,
    managed: &'a ManagedByAccount<'a>,
    key: &'a Key,
    account: &'a LiveAccount,
    identity: &'a Identity,
}

fn account_location(key: &Key) -> Location {
    Location::new(&format!("account/{key}"), None)
}

/// What is known of a live role, and of its declaration if it has one.
fn facts<'a>(
    account: &'a LiveAccount,
    identity: &'a Identity,
    declared: Option<&'a desired::Role>,
) -> trust::RoleFacts<'a> {
    let bindings = declared.iter().flat_map(|role| &role.bindings);
    trust::RoleFacts {
        account: identity.account.as_str(),
        partition: identity.partition.as_str(),
        account_is_known: true,
        providers: matches!(account.providers_listed, Observed::Present(())).then_some(&account.providers),
        planned_providers: BTreeSet::new(),
        audiences: declared.map(audiences).unwrap_or_default(),
        bound_subjects: bindings.map(|binding| binding.subject.claim()).collect(),
    }
}

fn check_role(
    findings: &mut Findings,
    context: &AccountContext<'_>,
    live: &LiveRole,
    declared: Option<(&Key, &desired::Role)>,
) {
    let &AccountContext { desired, managed, key, account, identity } = context;
    let location = match declared {
        Some((key, _)) => Location::new(&Address::role(key), None),
        None => account_location(key).part(&format!("role `{}`", live.role.name)),
    };
    let declared = declared.map(|(_, role)| role);
    let trust_location = location.part("live trust");
    let statements = live.role.trust.statements();
    let undeclared = document::named(statements)
        .filter(|(_, statement)| !declared.is_some_and(|role| role.extra_trust.contains(statement)));
    trust::check(findings, &trust_location, undeclared, &facts(account, identity, declared));
    document::check(findings, &trust_location, Some(&live.role.trust), statements);
    document::check_size(findings, &location, "live trust policy", live.role.trust.size(), account.quotas.trust_size);
    let attached = AttachedRoles::of(desired, managed, key, declared.into_iter()).and_role(live.arn.as_str());
    for (name, policy) in &live.role.inline {
        if declared.and_then(|role| role.inline.get(name)) != Some(policy) {
            permissions::check(findings, &location.part(&format!("live inline policy `{name}`")), policy, &attached);
        }
    }
    for arn in &live.role.attached {
        if !declared.is_some_and(|role| role.attach.contains(&Attachment::Arn(arn.clone()))) {
            aws_policies::check(findings, &location, arn);
        }
    }
}

/// Checks policies that irsa owns and whose document is not the declared one.
fn check_policies(findings: &mut Findings, context: &AccountContext<'_>) {
    let &AccountContext { desired, managed, key, account, .. } = context;
    let attaching = attaching_roles(desired);
    let mut declared_policies = HashMap::new();
    for ((_, name), item) in desired.policies.iter().filter(|((account, _), _)| account == key) {
        declared_policies.entry(item.name.lower_case()).or_insert((name, item));
    }
    for (arn, policy) in &account.policies {
        let Some(policy) = policy.present().map(|live| &live.policy) else { continue };
        let declared = declared_policies.get(&policy.name.lower_case());
        let as_declared = declared.is_some_and(|(_, item)| item.document == policy.document);
        if as_declared || !is_owned(desired, &policy.tags) {
            continue;
        }
        let location = match declared {
            Some((name, _)) => {
                Location::new(&Address::Policy { account: key.clone(), key: (*name).clone() }, None).part("live policy")
            }
            None => account_location(key).part(&format!("policy `{}`", arn.name())),
        };
        let roles = declared.and_then(|(name, _)| attaching.get(&(key, *name))).into_iter().flatten().copied();
        let attached = AttachedRoles::of(desired, managed, key, roles);
        permissions::check(findings, &location, &policy.document, &attached);
    }
}
