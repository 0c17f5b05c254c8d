//! Checks declared objects: extra trust, bindings, policies and attachments. The trust that irsa generates needs no
//! check.

use super::arns::{AttachedRoles, ManagedByAccount, managed_by_account};
use super::{Findings, Location, aws_policies, document, permissions, role, trust};
use crate::ids::Key;
use crate::model::address::Address;
use crate::model::desired::{Account, Attachment, Binding, Desired, Role};
use crate::model::marks::DEFAULT_AUDIENCE;
use crate::model::note::Note;
use crate::policy::{PolicyDocument, budget};
use std::collections::{BTreeMap, BTreeSet};

/// Findings on declared objects, sorted.
pub fn declared(desired: &Desired) -> Vec<Note> {
    let mut findings = Findings::default();
    let managed = managed_by_account(desired);
    let attaching = attaching_roles(desired);
    for ((account, key), policy) in &desired.policies {
        let address = Address::Policy { account: account.clone(), key: key.clone() };
        let location = Location::new(&address, Some(&policy.origin));
        let roles = attaching.get(&(account, key)).into_iter().flatten().copied();
        let attached = AttachedRoles::of(desired, &managed, account, roles);
        permissions::check(&mut findings, &location, &policy.document, &attached);
        document::check_size(&mut findings, &location, "the policy", policy.document.size(), budget::MANAGED_SIZE);
    }
    findings.check_each(&desired.roles, |findings, (key, role)| {
        let location = Location::new(&Address::role(key), Some(&role.origin));
        role::check(findings, &location, desired, role);
        check_policies(findings, &location, role, desired, &managed);
    });
    findings.into_notes(desired)
}

/// The roles that attach a declared policy, by its account and key.
pub(super) fn attaching_roles(desired: &Desired) -> BTreeMap<(&Key, &Key), Vec<&Role>> {
    let mut attaching: BTreeMap<(&Key, &Key), Vec<&Role>> = BTreeMap::new();
    for role in desired.roles.values() {
        for attachment in &role.attach {
            if let Attachment::Declared(key) = attachment {
                attaching.entry((&role.account, key)).or_default().push(role);
            }
        }
    }
    attaching
}

fn check_policies(
    findings: &mut Findings,
    location: &Location,
    role: &Role,
    desired: &Desired,
    managed: &ManagedByAccount<'_>,
) {
    if let Some(account) = desired.accounts.get(&role.account) {
        let extra_trust = location.part("extra trust");
        trust::check(findings, &extra_trust, document::named(&role.extra_trust), &role_facts(account, role));
        document::check(findings, &extra_trust, None, &role.extra_trust);
    }
    let attached = AttachedRoles::of(desired, managed, &role.account, std::iter::once(role));
    for (name, policy) in &role.inline {
        permissions::check(findings, &location.part(&format!("inline policy `{name}`")), policy, &attached);
    }
    let mut policies: Vec<&PolicyDocument> = role.inline.values().collect();
    for attachment in &role.attach {
        match attachment {
            Attachment::Declared(key) => {
                let policy = desired.policies.get(&(role.account.clone(), key.clone()));
                policies.extend(policy.map(|policy| &policy.document));
            }
            Attachment::Arn(arn) => aws_policies::check(findings, location, arn),
        }
    }
    permissions::check_together(findings, &location.part("its policies together"), &policies, &attached);
    let inline = role.inline.values().map(PolicyDocument::size).sum();
    document::check_size(findings, location, "all inline policies together", inline, budget::INLINE_SIZE);
}

/// What is known of a declared role without live state.
fn role_facts<'a>(account: &'a Account, role: &'a Role) -> trust::RoleFacts<'a> {
    trust::RoleFacts {
        account: account.id.as_str(),
        partition: account.partition.as_str(),
        account_is_known: account.is_known(),
        providers: None,
        planned_providers: BTreeSet::new(),
        audiences: audiences(role),
        // extra trust that repeats the wildcard of a binding has no reason of its own
        bound_subjects: BTreeSet::new(),
    }
}

/// The audiences of a role's bindings, and the default one.
pub(super) fn audiences(role: &Role) -> BTreeSet<&str> {
    role.bindings.iter().map(Binding::effective_audience).chain([DEFAULT_AUDIENCE]).collect()
}
