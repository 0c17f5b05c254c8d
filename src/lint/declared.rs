//! Walks over what is declared. The trust that irsa generates is right by construction; what is looked at is what
//! people wrote: extra trust, bindings, documents, attachments.

use super::holder::{Families, Holder, families};
use super::{Notes, Place, binding, document, permissions, trust};
use crate::ids::Key;
use crate::model::address::Address;
use crate::model::desired::{Account, Attachment, Binding, Desired, Role};
use crate::model::marks::DEFAULT_AUDIENCE;
use crate::model::note::Note;
use crate::policy::{PolicyDocument, budget};
use std::collections::{BTreeMap, BTreeSet};

/// Findings on what is declared, sorted.
pub fn declared(desired: &Desired) -> Vec<Note> {
    let mut notes = Notes::default();
    let families = families(desired);
    let attaching = attaching(desired);
    for ((account, key), policy) in &desired.policies {
        let address = Address::Policy { account: account.clone(), key: key.clone() };
        let place = Place::new(&address, Some(&policy.origin));
        let roles = attaching.get(&(account, key)).into_iter().flatten().copied();
        let holder = Holder::of(desired, &families, account, roles);
        permissions::check(&mut notes, &place, &policy.document, &holder);
        document::check_size(&mut notes, &place, "the policy", policy.document.size(), budget::MANAGED_SIZE);
    }
    notes.each(&desired.roles, |notes, (key, role)| {
        let place = Place::new(&Address::role(key), Some(&role.origin));
        binding::check(notes, &place, &binding::RoleContext { desired, role });
        check_role(notes, &place, role, desired, &families);
    });
    notes.finish()
}

/// The roles that attach a declared policy, by its account and key.
pub(super) fn attaching(desired: &Desired) -> BTreeMap<(&Key, &Key), Vec<&Role>> {
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

fn check_role(notes: &mut Notes, place: &Place, role: &Role, desired: &Desired, families: &Families<'_>) {
    if let Some(account) = desired.accounts.get(&role.account) {
        let part = place.part("extra trust");
        trust::check(notes, &part, document::named(&role.extra_trust), &home(account, role));
        document::check(notes, &part, None, &role.extra_trust);
    }
    let holder = Holder::of(desired, families, &role.account, std::iter::once(role));
    for (name, policy) in &role.inline {
        permissions::check(notes, &place.part(&format!("inline policy `{name}`")), policy, &holder);
    }
    let attached = role.attach.iter().filter_map(|attachment| match attachment {
        Attachment::Declared(key) => desired.policies.get(&(role.account.clone(), key.clone())),
        Attachment::Arn(_) => None,
    });
    let policies: Vec<&PolicyDocument> = role.inline.values().chain(attached.map(|policy| &policy.document)).collect();
    permissions::check_together(notes, &place.part("its policies together"), &policies, &holder);
    let inline = role.inline.values().map(PolicyDocument::size).sum();
    document::check_size(notes, place, "all inline policies together", inline, budget::INLINE_SIZE);
    for attachment in &role.attach {
        if let Attachment::Arn(arn) = attachment {
            permissions::check_attached(notes, place, arn);
        }
    }
}

pub(super) fn home<'a>(account: &'a Account, role: &'a Role) -> trust::Home<'a> {
    trust::Home {
        account: account.id.as_str(),
        partition: account.partition.as_str(),
        certain: account.is_known(),
        providers: None,
        coming: BTreeSet::new(),
        audiences: audiences(role),
        // an extra statement is not what a binding gave its reason for
        subjects: BTreeSet::new(),
    }
}

/// The audiences that a role's bindings ask for.
pub(super) fn audiences(role: &Role) -> BTreeSet<&str> {
    role.bindings.iter().map(Binding::effective_audience).chain([DEFAULT_AUDIENCE]).collect()
}

/// The subjects of a role's bindings, which are looked at as bindings and not again in the live trust.
pub(super) fn subjects(role: &Role) -> BTreeSet<String> {
    role.bindings.iter().map(|binding| binding.subject.claim()).collect()
}
