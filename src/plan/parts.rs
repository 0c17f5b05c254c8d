//! The calls that make a change of one object. In which order they are made `write_order` decides.

use crate::ids::{PolicyArn, RoleName};
use crate::model::call::{IamCall, RoleSettings};
use crate::model::marks::is_mark;
use crate::model::resource::{InlinePolicies, Role, StringMap};
use std::collections::BTreeSet;

/// Why an object changes that `forget` names.
pub(crate) const FORGET: &str = "let go by `forget`: the marks go, the rest stays";

/// How many tags a role, policy or provider may carry
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
const TAG_LIMIT: usize = 50;

/// The role without permissions: what `CreateRole` makes and `DeleteRole` takes away.
pub(crate) fn bare(role: &Role) -> Role {
    Role { attached: BTreeSet::new(), inline: InlinePolicies::new(), ..role.clone() }
}

/// The calls that make a role from nothing. Permissions come under the boundary that `CreateRole` sets.
pub(crate) fn create_role(after: &Role) -> Vec<IamCall> {
    let bare = bare(after);
    let mut calls = vec![IamCall::CreateRole { role: Box::new(bare.clone()) }];
    calls.extend(permissions(&bare, after));
    calls
}

/// The calls that make one role from another.
pub(crate) fn update_role(before: &Role, after: &Role) -> Vec<IamCall> {
    let name = &after.name;
    let mut calls = tags(&before.tags, &after.tags, &RoleTags(name));
    let (from, to) = (settings(before), settings(after));
    if from != to {
        calls.push(IamCall::UpdateRole { name: name.clone(), from, to });
    }
    if before.trust != after.trust {
        let (from, to) = (before.trust.clone(), after.trust.clone());
        calls.push(IamCall::UpdateTrust { name: name.clone(), from, to });
    }
    match (&before.permissions_boundary, &after.permissions_boundary) {
        (old, Some(new)) if old.as_ref() != Some(new) => {
            calls.push(IamCall::PutBoundary { name: name.clone(), from: old.clone(), to: new.clone() });
        }
        (Some(old), None) => calls.push(IamCall::DeleteBoundary { name: name.clone(), from: old.clone() }),
        _ => {}
    }
    calls.extend(permissions(before, after));
    calls
}

/// The calls that delete a role.
pub(crate) fn delete_role(before: &Role) -> Vec<IamCall> {
    let mut calls = permissions(before, &bare(before));
    calls.push(IamCall::DeleteRole { name: before.name.clone() });
    calls
}

fn settings(role: &Role) -> RoleSettings {
    RoleSettings { description: role.description.clone(), max_session_duration: role.max_session_duration }
}

/// Policies: what comes, what changes, what goes.
fn permissions(before: &Role, after: &Role) -> Vec<IamCall> {
    let name = &after.name;
    let attach = |arn| IamCall::Attach { name: name.clone(), arn };
    let detach = |arn| IamCall::Detach { name: name.clone(), arn };
    let mut calls: Vec<IamCall> = after.attached.difference(&before.attached).cloned().map(attach).collect();
    for (policy, to) in &after.inline {
        let from = before.inline.get(policy);
        if from != Some(to) {
            let (policy, from, to) = (policy.clone(), from.cloned(), to.clone());
            calls.push(IamCall::PutInline { name: name.clone(), policy, from, to });
        }
    }
    calls.extend(before.attached.difference(&after.attached).cloned().map(detach));
    for (policy, from) in before.inline.iter().filter(|(policy, _)| !after.inline.contains_key(*policy)) {
        let (policy, from) = (policy.clone(), from.clone());
        calls.push(IamCall::DeleteInline { name: name.clone(), policy, from });
    }
    calls
}

/// The tag calls of one kind of object.
pub(crate) trait TagCalls {
    /// Sets tags: `from` has the old values.
    fn tag(&self, from: StringMap, to: StringMap) -> IamCall;
    /// Takes tags away.
    fn untag(&self, from: StringMap) -> IamCall;
}

struct RoleTags<'a>(&'a RoleName);

impl TagCalls for RoleTags<'_> {
    fn tag(&self, from: StringMap, to: StringMap) -> IamCall {
        IamCall::TagRole { name: self.0.clone(), from, to }
    }

    fn untag(&self, from: StringMap) -> IamCall {
        IamCall::UntagRole { name: self.0.clone(), from }
    }
}

/// The calls that turn one set of tags into another. Where our marks change beside other tags they have a call of their
/// own, first: they say whose the object is, and nobody's access depends on them.
pub(crate) fn tags(before: &StringMap, after: &StringMap, kind: &impl TagCalls) -> Vec<IamCall> {
    let to = pick(after, |key, value| before.get(key) != Some(value));
    let from = pick(before, |key, _| to.contains_key(key));
    let gone = pick(before, |key, _| !after.contains_key(key));
    let crowded = before.len() + to.len() - from.len() > TAG_LIMIT;
    let set = |marks: bool| {
        let [from, to] = [&from, &to].map(|tags| pick(tags, |key, _| is_mark(key) == marks));
        (!to.is_empty()).then(|| kind.tag(from, to))
    };
    let set: Vec<IamCall> = [true, false].into_iter().filter_map(set).collect();
    let untag = (!gone.is_empty()).then(|| kind.untag(gone));
    if crowded { untag.into_iter().chain(set).collect() } else { set.into_iter().chain(untag).collect() }
}

fn pick(tags: &StringMap, which: impl Fn(&String, &String) -> bool) -> StringMap {
    tags.iter().filter(|(key, value)| which(key, value)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// How often a role has the policy: attached, as its boundary, or both. IAM counts them apart
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_Policy.html>).
pub(crate) fn uses(role: &Role, arn: &PolicyArn) -> usize {
    usize::from(role.attached.contains(arn)) + usize::from(role.permissions_boundary.as_ref() == Some(arn))
}
