//! The calls that make a change, in an order in which no principal ever has a permission that it has neither before
//! nor after.
//!
//! Trust narrows first and widens last. In between permissions are added before others are removed, so that nothing
//! that stays is missed for a moment; denies come first and go last. Where nobody keeps the role, or its boundary is
//! exchanged, permissions that go are removed first: adding first would give them to the wrong ones.

use super::denies::{Ends, Guarded, Stage};
use crate::ids::{PolicyArn, PolicyName, RoleName};
use crate::model::call::{IamCall, RoleSettings};
use crate::model::live::Quotas;
use crate::model::resource::{InlinePolicies, Pairs, Role};
use crate::policy::PolicyDocument;
use crate::policy::narrow::{self, Way};
use std::collections::{BTreeMap, BTreeSet};

/// How many tags a role, policy or provider may carry
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
const TAG_LIMIT: usize = 50;

/// The calls of a change, and what is worth saying of their order.
pub(crate) struct Parts {
    pub calls: Vec<IamCall>,
    pub remarks: Vec<String>,
}

/// What is known of the policies that a role has attached: their documents, where they are ours.
pub(crate) type Documents<'a> = BTreeMap<PolicyArn, &'a PolicyDocument>;

/// The calls that make a role from nothing.
pub(crate) fn create_role(after: &Role, documents: &Documents<'_>) -> Vec<IamCall> {
    // permissions come with the calls after it, under the boundary that CreateRole has set
    let bare = Role { attached: BTreeSet::new(), inline: InlinePolicies::new(), ..after.clone() };
    let mut calls = vec![IamCall::CreateRole { role: Box::new(bare.clone()) }];
    let permissions = Permissions::between(&bare, after, documents);
    calls.extend(permissions.shield(false));
    calls.extend(permissions.add(true, false));
    calls.extend(permissions.unshield(false));
    calls
}

/// The calls that make one role from another.
pub(crate) fn update_role(before: &Role, after: &Role, quotas: &Quotas, documents: &Documents<'_>) -> Parts {
    let mut calls = tags(&before.tags, &after.tags, &RoleTags(&after.name));
    let settings = |role: &Role| RoleSettings {
        description: role.description.clone(),
        max_session_duration: role.max_session_duration,
    };
    if settings(before) != settings(after) {
        let (from, to) = (settings(before), settings(after));
        calls.push(IamCall::UpdateRole { name: after.name.clone(), from, to });
    }
    let permissions = Permissions::between(before, after, documents);
    let trust = |from: &PolicyDocument, to: &PolicyDocument| IamCall::UpdateTrust {
        name: after.name.clone(),
        from: from.clone(),
        to: to.clone(),
    };
    let mut remarks = Vec::new();
    let (old, new) = (&before.trust, &after.trust);
    if old == new {
        calls.extend(permissions.order(quotas, &mut remarks));
    } else if permissions.is_empty() {
        calls.push(trust(old, new));
    } else {
        match narrow::way(old, new) {
            Way::Narrows => {
                calls.push(trust(old, new));
                calls.extend(permissions.order(quotas, &mut remarks));
            }
            Way::Widens => {
                calls.extend(permissions.order(quotas, &mut remarks));
                calls.push(trust(old, new));
            }
            Way::Through(common) => {
                calls.push(trust(old, &common));
                calls.extend(permissions.order(quotas, &mut remarks));
                calls.push(trust(&common, new));
            }
            Way::Apart => {
                remarks.push("nobody keeps the role: permissions that go are removed before trust is exchanged".into());
                calls.extend(permissions.exchange(trust(old, new), documents));
            }
        }
    }
    Parts { calls, remarks }
}

/// The calls that delete a role: permissions first.
pub(crate) fn delete_role(before: &Role, documents: &Documents<'_>) -> Vec<IamCall> {
    let bare = Role { attached: BTreeSet::new(), inline: InlinePolicies::new(), ..before.clone() };
    let permissions = Permissions::between(before, &bare, documents);
    let mut calls = permissions.shield(false);
    calls.extend(permissions.staged(Stage::Give, false));
    calls.extend(permissions.remove(true));
    calls.extend(permissions.unshield(false));
    calls.push(IamCall::DeleteRole { name: before.name.clone() });
    calls
}

/// One permission of a role that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item<'a> {
    Attached(&'a PolicyArn),
    Inline(&'a PolicyName, Option<&'a PolicyDocument>, Option<&'a PolicyDocument>),
}

/// The permissions that differ between two states of a role.
struct Permissions<'a> {
    before: &'a Role,
    after: &'a Role,
    /// What only denies and is new: it comes before all else.
    shields: Vec<Item<'a>>,
    added: Vec<Item<'a>>,
    changed: Vec<Item<'a>>,
    removed: Vec<Item<'a>>,
    /// What denies and goes: after all else.
    unshields: Vec<Item<'a>>,
    /// Inline policies with denies that cannot come, change or go in one call.
    guarded: Vec<Guarded<'a>>,
}

impl<'a> Permissions<'a> {
    fn between(before: &'a Role, after: &'a Role, documents: &Documents<'a>) -> Self {
        let mut added: Vec<(u8, Item<'a>)> = Vec::new();
        let mut changed = Vec::new();
        let mut removed: Vec<(u8, Item<'a>)> = Vec::new();
        let mut guarded = Vec::new();
        let rank_of = |arn: &PolicyArn| documents.get(arn).map_or(2, |document| rank(document));
        added.extend(after.attached.difference(&before.attached).map(|arn| (rank_of(arn), Item::Attached(arn))));
        removed.extend(before.attached.difference(&after.attached).map(|arn| (rank_of(arn), Item::Attached(arn))));
        for (name, new) in &after.inline {
            match before.inline.get(name) {
                None if rank(new) == 1 => match Guarded::of(name, None, Some(new)) {
                    Some(item) => guarded.push(item),
                    None => added.push((1, Item::Inline(name, None, Some(new)))),
                },
                None => added.push((rank(new), Item::Inline(name, None, Some(new)))),
                Some(old) if old != new => match Guarded::of(name, Some(old), Some(new)) {
                    Some(item) => guarded.push(item),
                    None => changed.push((rank(new), Item::Inline(name, Some(old), Some(new)))),
                },
                Some(_) => {}
            }
        }
        for (name, old) in before.inline.iter().filter(|(name, _)| !after.inline.contains_key(*name)) {
            match Guarded::of(name, Some(old), None).filter(|_| rank(old) == 1) {
                Some(item) => guarded.push(item),
                None => removed.push((rank(old), Item::Inline(name, Some(old), None))),
            }
        }
        // stable: by kind of document, then as found
        added.sort_by_key(|(rank, _)| *rank);
        changed.sort_by_key(|(rank, _)| *rank);
        removed.sort_by_key(|(rank, _)| 2 - *rank);
        let (shields, added): (Vec<_>, Vec<_>) = added.into_iter().partition(|(rank, _)| *rank == 0);
        let (removed, unshields): (Vec<_>, Vec<_>) = removed.into_iter().partition(|(rank, _)| *rank == 2);
        let items = |list: Vec<(u8, Item<'a>)>| list.into_iter().map(|(_, item)| item).collect();
        Self {
            before,
            after,
            shields: items(shields),
            added: items(added),
            changed: items(changed),
            removed: items(removed),
            unshields: items(unshields),
            guarded,
        }
    }

    fn is_empty(&self) -> bool {
        self.guarded.is_empty() && self.is_otherwise_empty()
    }

    /// Whether nothing changes but, perhaps, inline policies with denies.
    fn is_otherwise_empty(&self) -> bool {
        [&self.shields, &self.added, &self.changed, &self.removed, &self.unshields].into_iter().all(Vec::is_empty)
            && self.before.permissions_boundary == self.after.permissions_boundary
    }

    /// Everything, under a trust that both ends share.
    fn order(&self, quotas: &Quotas, remarks: &mut Vec<String>) -> Vec<IamCall> {
        let mut calls = Vec::new();
        if let [only] = &self.guarded[..]
            && self.is_otherwise_empty()
        {
            // one call has nothing in between
            return self.inline(only, only.ends()).into_iter().collect();
        }
        match (&self.before.permissions_boundary, &self.after.permissions_boundary) {
            (Some(old), Some(new)) if old != new => {
                remarks.push("the boundary is exchanged: permissions that go are removed before it".into());
                calls.extend(self.shield(true));
                calls.extend(self.remove(true));
                calls.extend(self.boundary());
                calls.extend(self.add(true, true));
                calls.extend(self.unshield(true));
                return calls;
            }
            (None, Some(_)) => calls.extend(self.boundary()),
            _ => {}
        }
        if self.too_many(quotas) {
            remarks.push("at a quota: what goes is removed before the new is added".into());
            calls.extend(self.remove(false));
            calls.extend(self.each(&self.unshields, take));
            calls.extend(self.shield(true));
            calls.extend(self.add(false, true));
            calls.extend(self.staged(Stage::Take, true));
            calls.extend(self.staged(Stage::Settle, true));
        } else {
            calls.extend(self.shield(false));
            calls.extend(self.add(false, false));
            calls.extend(self.remove(false));
            calls.extend(self.unshield(false));
        }
        if self.after.permissions_boundary.is_none() {
            calls.extend(self.boundary());
        }
        calls
    }

    /// Everything, where those who had the role and those who get it have nobody in common.
    fn exchange(&self, trust: IamCall, documents: &Documents<'_>) -> Vec<IamCall> {
        let mut calls = Vec::new();
        match (&self.before.permissions_boundary, &self.after.permissions_boundary) {
            // neither end may have what stays under the other's boundary
            (Some(old), Some(new)) if old != new => {
                let bare = Role { attached: BTreeSet::new(), inline: InlinePolicies::new(), ..self.before.clone() };
                let goes = Permissions::between(self.before, &bare, documents);
                calls.extend(goes.shield(false));
                calls.extend(goes.staged(Stage::Give, false));
                calls.extend(goes.remove(true));
                calls.extend(goes.unshield(false));
                calls.push(trust);
                calls.extend(self.boundary());
                let comes = Permissions::between(&bare, self.after, documents);
                calls.extend(comes.shield(false));
                calls.extend(comes.add(true, false));
                calls.extend(comes.unshield(false));
            }
            (old, _) => {
                calls.extend(self.shield(true));
                calls.extend(self.remove(true));
                calls.extend(self.boundary().filter(|_| old.is_none()));
                calls.push(trust);
                calls.extend(self.boundary().filter(|_| old.is_some()));
                calls.extend(self.add(true, true));
                calls.extend(self.unshield(true));
            }
        }
        calls
    }

    /// Whether both ends together are more than the role may have.
    fn too_many(&self, quotas: &Quotas) -> bool {
        let attached = self.before.attached.union(&self.after.attached).count();
        let sizes = |role: &Role| -> BTreeMap<PolicyName, usize> {
            role.inline.iter().map(|(name, document)| (name.clone(), document.size())).collect()
        };
        let mut inline = sizes(self.before);
        inline.extend(sizes(self.after));
        inline.extend(self.guarded.iter().map(|item| (item.name.clone(), item.size())));
        let inline: usize = inline.values().sum();
        let gone = self.removed.iter().chain(&self.unshields);
        let going = gone.into_iter().any(|item| matches!(item, Item::Inline(..))) || !self.guarded.is_empty();
        attached > quotas.attached_per_role || (going && inline > quotas.inline_size)
    }

    fn each(&self, items: &[Item<'a>], call: impl Fn(&RoleName, &Item<'_>) -> Option<IamCall>) -> Vec<IamCall> {
        items.iter().filter_map(|item| call(&self.after.name, item)).collect()
    }

    /// The calls of one stage; with `bare` no permission of the policies that deny stays between the ends.
    fn staged(&self, stage: Stage, bare: bool) -> Vec<IamCall> {
        let lone = self.guarded.len() == 1;
        let call = |item: &Guarded<'_>| self.inline(item, item.step(stage, bare, lone)?);
        self.guarded.iter().filter_map(call).collect()
    }

    fn inline(&self, item: &Guarded<'_>, ends: Ends) -> Option<IamCall> {
        let (name, policy) = (self.after.name.clone(), item.name.clone());
        Some(match ends {
            (from, Some(to)) => IamCall::PutInline { name, policy, from, to },
            (from, None) => IamCall::DeleteInline { name, policy, from: from? },
        })
    }

    /// The denies that come.
    fn shield(&self, bare: bool) -> Vec<IamCall> {
        let mut calls = self.each(&self.shields, put);
        calls.extend(self.staged(Stage::Join, bare));
        calls
    }

    /// What is new and what changes in place; `apart` when the changed ones have been removed before.
    fn add(&self, apart: bool, bare: bool) -> Vec<IamCall> {
        let name = &self.after.name;
        let changed = self.changed.iter().map(|item| match item {
            Item::Inline(policy, _, to) if apart => Item::Inline(policy, None, *to),
            other => other.clone(),
        });
        let mut calls: Vec<IamCall> =
            self.added.iter().cloned().chain(changed).filter_map(|item| put(name, &item)).collect();
        calls.extend(self.staged(Stage::Give, bare));
        calls
    }

    /// What goes; with `apart` also what changes in place.
    fn remove(&self, apart: bool) -> Vec<IamCall> {
        let name = &self.after.name;
        let changed = self.changed.iter().filter(|_| apart);
        self.removed.iter().chain(changed).filter_map(|item| take(name, item)).collect()
    }

    /// The denies that go.
    fn unshield(&self, bare: bool) -> Vec<IamCall> {
        let mut calls = self.staged(Stage::Take, bare);
        calls.extend(self.staged(Stage::Settle, bare));
        calls.extend(self.each(&self.unshields, take));
        calls
    }

    fn boundary(&self) -> Option<IamCall> {
        let name = self.after.name.clone();
        match (&self.before.permissions_boundary, &self.after.permissions_boundary) {
            (old, Some(new)) if old.as_ref() != Some(new) => {
                Some(IamCall::PutBoundary { name, from: old.clone(), to: new.clone() })
            }
            (Some(old), None) => Some(IamCall::DeleteBoundary { name, from: old.clone() }),
            _ => None,
        }
    }
}

fn put(name: &RoleName, item: &Item<'_>) -> Option<IamCall> {
    let name = name.clone();
    Some(match item {
        Item::Attached(arn) => IamCall::Attach { name, arn: (*arn).clone() },
        Item::Inline(policy, from, to) => {
            IamCall::PutInline { name, policy: (*policy).clone(), from: from.cloned(), to: (*to)?.clone() }
        }
    })
}

fn take(name: &RoleName, item: &Item<'_>) -> Option<IamCall> {
    let name = name.clone();
    Some(match item {
        Item::Attached(arn) => IamCall::Detach { name, arn: (*arn).clone() },
        Item::Inline(policy, from, _) => {
            IamCall::DeleteInline { name, policy: (*policy).clone(), from: (*from)?.clone() }
        }
    })
}

/// 0: only denies, 1: denies and allows, 2: only allows.
fn rank(document: &PolicyDocument) -> u8 {
    let statements = document.statements();
    let denies = statements.iter().filter(|statement| statement.denies()).count();
    match denies {
        0 => 2,
        all if all == statements.len() => 0,
        _ => 1,
    }
}

/// The tag calls of one kind of object.
pub(crate) trait TagCalls {
    /// Sets tags: `from` has the old values.
    fn tag(&self, from: Pairs, to: Pairs) -> IamCall;
    /// Takes tags away.
    fn untag(&self, from: Pairs) -> IamCall;
}

struct RoleTags<'a>(&'a RoleName);

impl TagCalls for RoleTags<'_> {
    fn tag(&self, from: Pairs, to: Pairs) -> IamCall {
        IamCall::TagRole { name: self.0.clone(), from, to }
    }

    fn untag(&self, from: Pairs) -> IamCall {
        IamCall::UntagRole { name: self.0.clone(), from }
    }
}

/// The calls that turn one set of tags into another.
pub(crate) fn tags(before: &Pairs, after: &Pairs, kind: &impl TagCalls) -> Vec<IamCall> {
    let to: Pairs = after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(value))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    let from: Pairs = to.keys().filter_map(|key| before.get(key).map(|value| (key.clone(), value.clone()))).collect();
    let gone: Pairs =
        before.iter().filter(|(key, _)| !after.contains_key(*key)).map(|(k, v)| (k.clone(), v.clone())).collect();
    let crowded = before.len() + to.len() - from.len() > TAG_LIMIT;
    let tag = (!to.is_empty()).then(|| kind.tag(from, to));
    let untag = (!gone.is_empty()).then(|| kind.untag(gone));
    if crowded { untag.into_iter().chain(tag).collect() } else { tag.into_iter().chain(untag).collect() }
}
