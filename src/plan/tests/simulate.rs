//! IAM and Kubernetes in memory, for the calls of a plan. As apply does, each call first compares its `from` with the live
//! value; a difference is an error.

use super::kit::NOW;
use crate::ids::{Key, RoleArn, RoleName};
use crate::model::call::{Call, IamCall, KubernetesCall};
use crate::model::live::{
    FieldManager, Live, LiveAccount, LivePolicy, LiveProvider, LiveRole, LiveServiceAccount, Observed, RoleSummary,
};
use crate::model::marks::{CREATED, OWNER};
use crate::model::resource::{Role, ServiceAccount, StringMap};
use crate::plan::Plan;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) const US: &str = "irsa-team";

/// Runs a plan. `choose` picks the next call among those that are ready, and `look` sees the live state after every call.
pub(crate) fn run(live: &mut Live, plan: &Plan, choose: impl FnMut(usize) -> usize, mut look: impl FnMut(&Live)) {
    let left = run_until(live, plan, choose, |live, _| {
        look(live);
        true
    });
    assert_eq!(left, 0, "every call is made");
}

/// Like `run`, with calls that fail: `look` gets each call that was made, and returns whether the next one succeeds.
/// Returns the number of calls that were not made.
pub(crate) fn run_until(
    live: &mut Live,
    plan: &Plan,
    mut choose: impl FnMut(usize) -> usize,
    mut look: impl FnMut(&Live, &Call) -> bool,
) -> usize {
    let positions: BTreeMap<String, usize> =
        plan.steps.iter().enumerate().map(|(index, step)| (step.address.to_string(), index)).collect();
    let mut next: Vec<usize> = vec![0; plan.steps.len()];
    let mut failed: BTreeSet<usize> = BTreeSet::new();
    let mut succeeds = true;
    loop {
        let ready: Vec<usize> = (0..plan.steps.len())
            .filter(|index| !failed.contains(index))
            .filter(|index| {
                plan.steps[*index]
                    .parts
                    .get(next[*index])
                    .is_some_and(|part| part.after.iter().all(|id| next[positions[&id.address.to_string()]] > id.part))
            })
            .collect();
        let Some(&index) = ready.get(choose(ready.len().max(1)) % ready.len().max(1)) else { break };
        let step = &plan.steps[index];
        let made = &step.parts[next[index]].call;
        if !succeeds {
            succeeds = true;
            failed.insert(index);
            continue;
        }
        call(live, made).unwrap_or_else(|why| panic!("{}: {why}", step.address));
        next[index] += 1;
        succeeds = look(live, made);
    }
    plan.steps.iter().zip(next).map(|(step, next)| step.parts.len() - next).sum()
}

pub(crate) fn call(live: &mut Live, call: &Call) -> Result<(), String> {
    match call {
        Call::Iam(account, call) => {
            let account = live.accounts.get_mut(account).ok_or("no such account")?;
            iam(account, call)?;
            account.role_list =
                Observed::Present(account.roles.values().filter_map(Observed::present).map(summary).collect());
            count_attachments(account);
            Ok(())
        }
        Call::Kubernetes(cluster, call) => kubernetes(live, cluster, call),
    }
}

/// A role as ListRoles shows it.
pub(crate) fn summary(role: &LiveRole) -> RoleSummary {
    RoleSummary {
        name: role.role.name.clone(),
        path: role.role.path.to_string(),
        trust: role.role.trust.clone(),
        description: role.role.description.clone(),
        max_session_duration: role.role.max_session_duration,
    }
}

fn count_attachments(account: &mut LiveAccount) {
    let roles: Vec<Role> = account.roles.values().filter_map(Observed::present).map(|role| role.role.clone()).collect();
    for (arn, policy) in &mut account.policies {
        if let Observed::Present(policy) = policy {
            let count = roles.iter().filter(|role| role.attached.contains(arn)).count();
            policy.attachments = u32::try_from(count).unwrap();
            let count = roles.iter().filter(|role| role.permissions_boundary.as_ref() == Some(arn)).count();
            policy.boundaries = u32::try_from(count).unwrap();
        }
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, live: &T, from: &T) -> Result<(), String> {
    if live == from { Ok(()) } else { Err(format!("{what}: there is {live:?}, planned from {from:?}")) }
}

fn retag(tags: &mut StringMap, from: &StringMap, to: &StringMap) -> Result<(), String> {
    for key in to.keys() {
        same(key, &tags.get(key), &from.get(key))?;
    }
    tags.extend(to.clone());
    Ok(())
}

fn untag(tags: &mut StringMap, from: &StringMap) -> Result<(), String> {
    for (key, value) in from {
        same(key, &tags.remove(key).as_ref(), &Some(value))?;
    }
    Ok(())
}

fn role<'a>(account: &'a mut LiveAccount, name: &RoleName) -> Result<&'a mut Role, String> {
    match account.roles.get_mut(&name.lower_case()) {
        Some(Observed::Present(live)) => Ok(&mut live.role),
        _ => Err(format!("no role {name}")),
    }
}

#[expect(clippy::too_many_lines, reason = "one arm for each call")]
fn iam(account: &mut LiveAccount, call: &IamCall) -> Result<(), String> {
    match call {
        IamCall::CreateProvider { arn, provider } => {
            let live = LiveProvider { provider: provider.clone(), thumbprints: Vec::new() };
            account.providers.insert(arn.clone(), Observed::Present(live));
        }
        IamCall::AddAudience { arn, .. } | IamCall::TagProvider { arn, .. } | IamCall::UntagProvider { arn, .. } => {
            let Some(Observed::Present(live)) = account.providers.get_mut(arn) else {
                return Err("no provider".into());
            };
            match call {
                IamCall::AddAudience { audience, .. } => {
                    live.provider.audiences.insert(audience.clone());
                }
                IamCall::TagProvider { from, to, .. } => retag(&mut live.provider.tags, from, to)?,
                IamCall::UntagProvider { from, .. } => untag(&mut live.provider.tags, from)?,
                _ => {}
            }
        }
        IamCall::DeleteProvider { arn } => {
            let trusted = account.roles.values().filter_map(Observed::present);
            if trusted.into_iter().any(|role| role.role.trust.federated_issuers().contains(arn.host_path())) {
                return Err(format!("{arn} is trusted"));
            }
            account.providers.remove(arn).ok_or("no provider")?;
        }
        IamCall::CreatePolicy { arn, policy } => {
            let live = LivePolicy {
                policy: policy.clone(),
                default_version: "v1".into(),
                other_versions: Vec::new(),
                attachments: 0,
                boundaries: 0,
            };
            if account.policies.insert(arn.clone(), Observed::Present(live)).is_some() {
                return Err("there is one already".into());
            }
        }
        IamCall::CreatePolicyVersion { arn, .. }
        | IamCall::DeletePolicyVersion { arn, .. }
        | IamCall::TagPolicy { arn, .. }
        | IamCall::UntagPolicy { arn, .. } => {
            let Some(Observed::Present(live)) = account.policies.get_mut(arn) else { return Err("no policy".into()) };
            match call {
                IamCall::CreatePolicyVersion { from, to, .. } => {
                    same("document", &live.policy.document, from)?;
                    if live.other_versions.len() >= 4 {
                        return Err("LimitExceeded: versions".into());
                    }
                    live.policy.document = to.clone();
                    live.other_versions.push(live.default_version.clone());
                    let number: u32 = live.default_version[1..].parse().unwrap();
                    live.default_version = format!("v{}", number + 1);
                }
                IamCall::DeletePolicyVersion { version, .. } => {
                    if !live.other_versions.contains(version) {
                        return Err(format!("no version {version}"));
                    }
                    live.other_versions.retain(|other| other != version);
                }
                IamCall::TagPolicy { from, to, .. } => retag(&mut live.policy.tags, from, to)?,
                IamCall::UntagPolicy { from, .. } => untag(&mut live.policy.tags, from)?,
                _ => {}
            }
        }
        IamCall::DeletePolicy { arn } => {
            let Some(Observed::Present(live)) = account.policies.remove(arn) else { return Err("no policy".into()) };
            if live.attachments > 0 || !live.other_versions.is_empty() {
                return Err("DeleteConflict".into());
            }
        }
        IamCall::CreateRole { role } => {
            if matches!(account.roles.get(&role.name.lower_case()), Some(Observed::Present(_))) {
                return Err("there is one already".into());
            }
            if !role.attached.is_empty() || !role.inline.is_empty() {
                return Err("CreateRole gives no permissions".into());
            }
            for provider in role.trust.federated_issuers() {
                if !account.providers.keys().any(|arn| arn.host_path() == provider) {
                    return Err(format!("no provider {provider}"));
                }
            }
            let arn = RoleArn::parse(format!("arn:aws:iam::111122223333:role{}{}", role.path, role.name)).unwrap();
            let live =
                LiveRole { role: (**role).clone(), arn, last_used: Some(NOW - 864_000), instance_profiles: vec![] };
            account.roles.insert(role.name.lower_case(), Observed::Present(live));
        }
        IamCall::UpdateRole { name, from, to } => {
            let role = role(account, name)?;
            same("description", &role.description, &from.description)?;
            role.description.clone_from(&to.description);
            role.max_session_duration = to.max_session_duration;
        }
        IamCall::UpdateTrust { name, from, to } => {
            let role = role(account, name)?;
            same("trust", &role.trust, from)?;
            role.trust = to.clone();
        }
        IamCall::PutBoundary { name, from, to } => {
            let role = role(account, name)?;
            same("boundary", &role.permissions_boundary, from)?;
            role.permissions_boundary = Some(to.clone());
        }
        IamCall::DeleteBoundary { name, from } => {
            let role = role(account, name)?;
            same("boundary", &role.permissions_boundary.as_ref(), &Some(from))?;
            role.permissions_boundary = None;
        }
        IamCall::PutInline { name, policy, from, to } => {
            let role = role(account, name)?;
            same("inline", &role.inline.get(policy), &from.as_ref())?;
            role.inline.insert(policy.clone(), to.clone());
        }
        IamCall::DeleteInline { name, policy, from } => {
            let role = role(account, name)?;
            same("inline", &role.inline.remove(policy).as_ref(), &Some(from))?;
        }
        IamCall::Attach { name, arn } => {
            if arn.account() == "111122223333" && !matches!(account.policies.get(arn), Some(Observed::Present(_))) {
                return Err(format!("no policy {arn}"));
            }
            if !role(account, name)?.attached.insert(arn.clone()) {
                return Err(format!("{arn} is attached already"));
            }
        }
        IamCall::Detach { name, arn } => {
            if !role(account, name)?.attached.remove(arn) {
                return Err(format!("{arn} is not attached"));
            }
        }
        IamCall::TagRole { name, from, to } => retag(&mut role(account, name)?.tags, from, to)?,
        IamCall::UntagRole { name, from } => untag(&mut role(account, name)?.tags, from)?,
        IamCall::DeleteRole { name } => {
            let role = role(account, name)?;
            if !role.attached.is_empty() || !role.inline.is_empty() {
                return Err("DeleteConflict".into());
            }
            account.roles.remove(&name.lower_case());
        }
    }
    Ok(())
}

fn kubernetes(live: &mut Live, cluster: &Key, call: &KubernetesCall) -> Result<(), String> {
    let cluster = live.clusters.get_mut(cluster).ok_or("no cluster")?;
    let key = |item: &ServiceAccount| (item.namespace.clone(), item.name.clone());
    match call {
        KubernetesCall::Create { service_account } => {
            cluster.service_accounts.insert(key(service_account), Observed::Present(made(service_account, "uid-1")));
        }
        KubernetesCall::Apply { uid, from, to, .. } => {
            let entry = cluster.service_accounts.get_mut(&key(to));
            let Some(Observed::Present(item)) = entry.filter(|_| !uid.is_empty()) else { return Err("gone".into()) };
            apply(item, from, to);
        }
        KubernetesCall::Release { from, .. } => {
            let Some(Observed::Present(item)) = cluster.service_accounts.get_mut(&key(from)) else {
                return Err("gone".into());
            };
            let none = ServiceAccount { labels: StringMap::new(), annotations: StringMap::new(), ..from.clone() };
            apply(item, from, &none);
        }
        KubernetesCall::Remove { from, .. } => {
            let Some(Observed::Present(item)) = cluster.service_accounts.get_mut(&key(from)) else {
                return Err("gone".into());
            };
            for (gone, live) in [(&from.labels, &mut item.labels), (&from.annotations, &mut item.annotations)] {
                for (key, value) in gone {
                    same(key, &live.remove(key).as_ref(), &Some(value))?;
                }
            }
            for manager in &mut item.managers {
                let manager = Arc::make_mut(manager);
                manager.labels.retain(|key| !from.labels.contains_key(key));
                manager.annotations.retain(|key| !from.annotations.contains_key(key));
            }
        }
        KubernetesCall::Delete { from, .. } => {
            cluster.service_accounts.remove(&key(from)).ok_or("gone")?;
        }
    }
    Ok(())
}

/// A ServiceAccount that irsa created.
pub(crate) fn made(item: &ServiceAccount, uid: &str) -> LiveServiceAccount {
    let mut live = LiveServiceAccount {
        namespace: item.namespace.clone(),
        name: item.name.clone(),
        uid: uid.into(),
        resource_version: "1".into(),
        labels: StringMap::new(),
        annotations: StringMap::new(),
        owner_references: Vec::new(),
        managers: Vec::new(),
        deleting: None,
        pods: Some(Observed::Present(Vec::new())),
    };
    apply(&mut live, &ServiceAccount { labels: StringMap::new(), annotations: StringMap::new(), ..item.clone() }, item);
    assert!(live.labels.contains_key(OWNER) && live.annotations.contains_key(CREATED));
    live
}

/// Server-side apply. Deletes the fields that irsa owned and no longer applies, unless another manager owns them.
fn apply(live: &mut LiveServiceAccount, from: &ServiceAccount, to: &ServiceAccount) {
    let others: Vec<Arc<FieldManager>> = live.managers.iter().filter(|manager| manager.name != US).cloned().collect();
    live.labels
        .retain(|key, _| !from.labels.contains_key(key) || others.iter().any(|other| other.labels.contains(key)));
    live.annotations.retain(|key, _| {
        !from.annotations.contains_key(key) || others.iter().any(|other| other.annotations.contains(key))
    });
    live.labels.extend(to.labels.clone());
    live.annotations.extend(to.annotations.clone());
    live.managers = others;
    for manager in &mut live.managers {
        // a forced field gets a new owner
        Arc::make_mut(manager)
            .annotations
            .retain(|key| !to.annotations.contains_key(key) || from.annotations.get(key) == to.annotations.get(key));
    }
    if !(to.labels.is_empty() && to.annotations.is_empty()) {
        live.managers.push(Arc::new(FieldManager {
            name: US.into(),
            operation: "Apply".into(),
            labels: to.labels.keys().cloned().collect(),
            annotations: to.annotations.keys().cloned().collect(),
            others: false,
        }));
    }
}
