//! The calls that create, change or delete a role. `write_order` decides their order.

use crate::model::call::{IamCall, RoleSettings};
use crate::model::resource::{InlinePolicies, Role};
use crate::plan::iam::tag_calls;
use std::collections::BTreeSet;

/// The role without permissions, as `CreateRole` creates and `DeleteRole` deletes it.
pub(crate) fn without_permissions(role: &Role) -> Role {
    Role { attached: BTreeSet::new(), inline: InlinePolicies::new(), ..role.clone() }
}

/// `CreateRole` already sets the boundary, so it limits the permissions from the start.
pub(crate) fn create(after: &Role) -> Vec<IamCall> {
    let created = without_permissions(after);
    let permissions = permissions(&created, after);
    [IamCall::CreateRole { role: Box::new(created) }].into_iter().chain(permissions).collect()
}

pub(crate) fn update(before: &Role, after: &Role) -> Vec<IamCall> {
    let name = &after.name;
    let mut calls = tag_calls(
        &before.tags,
        &after.tags,
        |from, to| IamCall::TagRole { name: name.clone(), from, to },
        |from| IamCall::UntagRole { name: name.clone(), from },
    );
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
        (_, Some(_)) | (None, None) => {}
    }
    calls.extend(permissions(before, after));
    calls
}

pub(crate) fn delete(before: &Role) -> Vec<IamCall> {
    let mut calls = permissions(before, &without_permissions(before));
    calls.push(IamCall::DeleteRole { name: before.name.clone() });
    calls
}

fn settings(role: &Role) -> RoleSettings {
    RoleSettings { description: role.description.clone(), max_session_duration: role.max_session_duration }
}

/// Lists the calls that attach and write policies, then the calls that detach and delete them. `write_order` decides
/// the order in which they run.
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
