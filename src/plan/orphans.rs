//! IAM objects that carry our owner and are not declared (or all of ours, when everything goes away): deleted, unless
//! something speaks against it.

mod providers;

use super::change::{Change, ResourceChange};
use super::context::{Issuer, Owner, PlanContext};
use super::draft::Draft;
use super::field_ownership::{Field, FieldOwnership};
use super::parts;
use super::policies::PolicyTags;
use super::providers as declared;
use super::roles::iam;
use crate::ids::{Key, PolicyArn};
use crate::model::address::{Address, OrphanKind, Place};
use crate::model::call::IamCall;
use crate::model::desired::Cluster;
use crate::model::live::{Extent, LiveAccount, LivePolicy, LiveRole, Observed};
use crate::model::marks::{ADDRESS, PREVENT_DESTROY, ROLE_ARN, is_mark};
use crate::model::resource::{ServiceAccount, StringMap};
use crate::policy::PolicyDocument;
use std::collections::BTreeSet;

/// Plans roles, then policies, then providers: each waits for the steps that let go of it.
pub(crate) fn plan(context: &PlanContext<'_>, draft: &mut Draft) {
    // what no shard has, only a run over all may take away
    if context.scope.is_some() {
        return;
    }
    let wanted: BTreeSet<Address> = declared::wanted(context)
        .into_keys()
        .filter(|_| !context.options.destroy)
        .map(|(account, cluster)| Address::OidcProvider { account: account.clone(), cluster: cluster.clone() })
        .collect();
    for key in context.desired.accounts.keys() {
        let Some(account) = context.account(key) else { continue };
        for (folded, live) in &account.roles {
            let declared = context.declared_role(key, folded).is_some() && !context.options.destroy;
            match live {
                Observed::Present(live) if !declared && context.owner(&live.role.tags) == Owner::Ours => {
                    role(context, draft, (key, account), folded, live);
                }
                Observed::Unknown(why) if !declared => {
                    draft.unseen(&context.role_address(key, folded, listed_name(account, folded)), why.clone());
                }
                _ => {}
            }
        }
        for (arn, live) in &account.policies {
            let address = context.policy_address(key, arn);
            let declared = matches!(address, Address::Policy { .. }) && !context.options.destroy;
            match live {
                Observed::Present(live) if !declared && context.owner(&live.policy.tags) == Owner::Ours => {
                    policy(context, draft, key, &address, arn, live);
                }
                Observed::Unknown(why) if !declared => draft.unseen(&address, why.clone()),
                _ => {}
            }
        }
        for (arn, live) in &account.providers {
            let address = context.provider_address(key, arn.host_path());
            match live {
                Observed::Present(live)
                    if !wanted.contains(&address) && context.owner(&live.provider.tags) == Owner::Ours =>
                {
                    providers::provider(context, draft, (key, account), &address, arn, live);
                }
                Observed::Unknown(why) if !wanted.contains(&address) => draft.unseen(&address, why.clone()),
                _ => {}
            }
        }
    }
}

/// The role's name as it is listed, for one that could not be read.
fn listed_name<'a>(account: &'a LiveAccount, folded: &'a str) -> &'a str {
    let mut listed = account.role_list.present().into_iter().flatten();
    listed.find(|summary| summary.name.case_insensitive() == folded).map_or(folded, |summary| summary.name.as_str())
}

/// Whether the object is to be let go of: by its address or by the one that it is marked with.
fn forgotten(context: &PlanContext<'_>, address: &Address, tags: &StringMap) -> bool {
    let mark = tags.get(ADDRESS);
    context.desired.forget.iter().any(|(item, _)| item == address || mark == Some(&item.to_string()))
}

/// The tags without our marks.
fn unmarked(tags: &StringMap) -> StringMap {
    tags.iter().filter(|(key, _)| !is_mark(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The guards against deleting any object that is ours.
fn objection(context: &PlanContext<'_>, tags: &StringMap) -> Option<(String, String)> {
    if context.options.report_only {
        return None;
    }
    if tags.get(PREVENT_DESTROY).is_some_and(|value| value != "false") {
        return Some((
            format!("its live tag `{PREVENT_DESTROY}` forbids it"),
            format!("declare it again, or take the tag `{PREVENT_DESTROY}` off by hand"),
        ));
    }
    let marked = tags.get(ADDRESS)?.parse::<Address>().ok()?;
    let lacking = match (&marked, marked.place()) {
        (Address::OidcProvider { cluster, .. }, _) | (_, Some(Place::Cluster(cluster)))
            if !context.desired.clusters.contains_key(cluster) =>
        {
            format!("cluster `{cluster}`")
        }
        (_, Some(Place::Account(account))) if !context.desired.accounts.contains_key(account) => {
            format!("account `{account}`")
        }
        _ => return None,
    };
    let hint = match marked {
        Address::OidcProvider { cluster, .. } => {
            format!("declare `[clusters.{cluster}]` with `state = \"gone\"` if it is no more")
        }
        _ => "check that `owner` is this configuration's alone, and the key of the account".to_owned(),
    };
    Some((format!("it is marked as of {lacking}, which this configuration lacks"), hint))
}

fn role(
    context: &PlanContext<'_>,
    draft: &mut Draft,
    (key, account): (&Key, &LiveAccount),
    folded: &str,
    live: &LiveRole,
) {
    let before = &live.role;
    let address = context.role_address(key, folded, before.name.as_str());
    draft.ours.push((address.clone(), Place::Account(key.clone())));
    if forgotten(context, &address, &before.tags) {
        let mut after = before.clone();
        after.tags = unmarked(&before.tags);
        let calls = parts::update_role(before, &after);
        let change = Change::Update { before: before.clone(), after };
        return draft.step(
            &address,
            ResourceChange::Role(Box::new(change)),
            iam(key, calls),
            [],
            vec![parts::FORGET.into()],
        );
    }
    let against = objection(context, &before.tags)
        .or_else(|| recent(context, live))
        .or_else(|| in_profiles(live))
        .or_else(|| unseen(account))
        .or_else(|| hidden(context, key, live));
    let (needs, against) = match against.map_or_else(|| still_pointing(context, draft, live), Err) {
        Ok(needs) => (needs, None),
        Err(against) => (Vec::new(), Some(against)),
    };
    let calls = iam(key, parts::delete_role(before));
    let change = ResourceChange::Role(Box::new(Change::Delete { before: before.clone() }));
    draft.step(&address, change, calls, needs, vec![reason(context)]);
    refuse_delete(draft, &address, against);
}

/// Refuses a delete if something speaks against it.
fn refuse_delete(draft: &mut Draft, address: &Address, against: Option<(String, String)>) {
    if let Some((why, hint)) = against {
        draft.refuse_step(address, format!("it is not deleted: {why}"), hint);
    }
}

fn reason(context: &PlanContext<'_>) -> String {
    if context.options.destroy { "everything is to go (`--destroy`)".into() } else { "no longer declared".into() }
}

fn recent(context: &PlanContext<'_>, live: &LiveRole) -> Option<(String, String)> {
    let since = context.options.now - live.last_used?;
    let limit = i64::try_from(context.desired.guard.recent_use.as_secs()).unwrap_or(i64::MAX);
    (since < limit && !context.options.force && !context.options.report_only).then(|| {
        (
            format!("it was used {} minutes ago, within `guard.recent-use`", since.max(0) / 60),
            "find out who uses it; delete it all the same with `--force`".to_owned(),
        )
    })
}

fn in_profiles(live: &LiveRole) -> Option<(String, String)> {
    (!live.instance_profiles.is_empty()).then(|| {
        (
            format!("it is in instance profiles: {}", live.instance_profiles.join(", ")),
            "take it out of them first".to_owned(),
        )
    })
}

fn unseen(account: &LiveAccount) -> Option<(String, String)> {
    match &account.role_list {
        Observed::Unknown(why) => Some((format!("the account's roles could not be listed: {why}"), ALLOW_LIST.into())),
        Observed::Present(_) | Observed::Absent => None,
    }
}

/// A role of which is not known whom it trusts.
fn unclear(account: &LiveAccount) -> Option<(String, String)> {
    let odd = account.odd.iter().find(|odd| odd.kind == OrphanKind::Role)?;
    Some((format!("role `{}` may trust it: {}", odd.name, odd.why), "find out what that role is, and delete it".into()))
}

const ALLOW_LIST: &str =
    "allow `iam:ListRoles`, `iam:ListPolicies` and `iam:ListOpenIDConnectProviders`, then plan again";

/// A cluster that the role trusts and that was not read whole: a ServiceAccount there may still point at it.
fn hidden(context: &PlanContext<'_>, key: &Key, live: &LiveRole) -> Option<(String, String)> {
    for issuer in live.role.trust.federated_issuers() {
        match context.cluster_of(&issuer) {
            Some((_, Issuer::Gone(_))) => {}
            Some((cluster, _)) => {
                let declared = context.desired.clusters.get(cluster);
                let whole = context.cluster(cluster).is_some_and(|seen| seen.extent == Extent::Whole);
                if !whole && !declared.is_some_and(|declared| declared.unmanaged) {
                    let why = format!("cluster `{cluster}`, which its trust names, was not read whole");
                    let way = if declared.is_some_and(Cluster::has_api) {
                        "allow listing ServiceAccounts in all namespaces there"
                    } else {
                        "say how to reach it"
                    };
                    let hint = format!(
                        "{way}, then plan again; if nothing there is managed and no ServiceAccount names the role, say \
                         `kubernetes = \"none\"` in `[clusters.{cluster}]`"
                    );
                    return Some((why, hint));
                }
            }
            None => {
                if let Some(stray) = context.stray(key, &issuer) {
                    return Some(stray);
                }
                if let Some(cluster) = context.unseen_cluster() {
                    let why = format!(
                        "its trust names issuer `{issuer}`, which may be that of cluster `{cluster}`, not seen"
                    );
                    return Some((why, format!("make `{cluster}` readable, or declare it `state = \"gone\"`")));
                }
                let foreign = context
                    .provider(key, &issuer)
                    .is_some_and(|provider| context.owner(&provider.provider.tags) != Owner::Ours);
                if foreign && trusts_service_accounts(&live.role.trust, &issuer) {
                    let why = format!("its trust names issuer `{issuer}`, that of a cluster which was not read");
                    let hint = format!(
                        "declare the cluster with `issuer = \"https://{issuer}\"`, and `state = \"gone\"` if it is no more"
                    );
                    return Some((why, hint));
                }
            }
        }
    }
    None
}

/// Whether the issuer is that of a cluster, by the subjects that are trusted: others have providers too.
fn trusts_service_accounts(trust: &PolicyDocument, issuer: &str) -> bool {
    const SUBJECT: &str = "system:serviceaccount:";
    if !trust.is_parsed() {
        return trust.text().contains(SUBJECT);
    }
    let of_issuer = |arn: &str| arn.split_once(":oidc-provider/").is_some_and(|(_, named)| named == issuer);
    trust
        .statements()
        .iter()
        .any(|statement| statement.federated_providers().any(of_issuer) && statement.text().contains(SUBJECT))
}

/// The steps that take the role's annotation off ServiceAccounts; or the one on which it stays.
fn still_pointing(context: &PlanContext<'_>, draft: &Draft, live: &LiveRole) -> Result<Vec<Address>, (String, String)> {
    let mut needs = Vec::new();
    for (key, item) in context.pointing_at(&live.arn) {
        let address = Address::ServiceAccount {
            cluster: (*key).clone(),
            namespace: item.namespace.clone(),
            name: item.name.clone(),
        };
        let goes = draft.steps.get(&address).is_some_and(|step| match &step.change {
            ResourceChange::ServiceAccount(change) => lets_go(change, live),
            _ => false,
        });
        if !goes {
            let (namespace, name) = (&item.namespace, &item.name);
            let hint = match FieldOwnership::of(context, item).holders(Field::Annotation(ROLE_ARN))[..] {
                [] => format!(
                    "nobody else is recorded to set it: `kubectl annotate serviceaccount -n {namespace} {name} {ROLE_ARN}-` in \
                     cluster `{key}` takes it off, then plan again"
                ),
                ref names => format!(
                    "take `{ROLE_ARN}` off it, where it is made (Helm values, Git) and set by `{}`, then plan again",
                    names.join("`, `")
                ),
            };
            return Err((format!("`{address}` still points at it"), hint));
        }
        needs.push(address);
    }
    Ok(needs)
}

/// Whether a change takes the role's annotation off: by deleting the object, by writing another value, or by giving up
/// one that we hold. One that only others hold stays when we give up what is ours.
fn lets_go(change: &Change<ServiceAccount>, live: &LiveRole) -> bool {
    let points = |item: &ServiceAccount| item.annotations.get(ROLE_ARN).map(String::as_str) == Some(live.arn.as_str());
    match (change.before(), change.after()) {
        (_, None) => true,
        (before, Some(after)) => {
            !points(after) && (after.annotations.contains_key(ROLE_ARN) || before.is_some_and(points))
        }
    }
}

fn policy(
    context: &PlanContext<'_>,
    draft: &mut Draft,
    key: &Key,
    address: &Address,
    arn: &PolicyArn,
    live: &LivePolicy,
) {
    draft.ours.push((address.clone(), Place::Account(key.clone())));
    let before = &live.policy;
    if forgotten(context, address, &before.tags) {
        let mut after = before.clone();
        after.tags = unmarked(&before.tags);
        let calls = parts::tags(&before.tags, &after.tags, &PolicyTags(arn));
        let change = Change::Update { before: before.clone(), after };
        return draft.step(address, ResourceChange::Policy(change), iam(key, calls), [], vec![parts::FORGET.into()]);
    }
    let mut detached = 0;
    let mut detaching = Vec::new();
    for step in draft.steps.values() {
        let ResourceChange::Role(change) = &step.change else { continue };
        let [had, has] = [change.before(), change.after()].map(|role| role.map_or(0, |role| parts::uses(role, arn)));
        if had > has {
            detached += had - has;
            detaching.push(step.address.clone());
        }
    }
    let in_use = || {
        (live.uses() > detached).then(|| {
            (
                format!("it is attached {} times, this plan detaches {detached}", live.uses()),
                format!(
                    "see `aws iam list-entities-for-policy --policy-arn {arn}` and detach it there, or leave the policy \
                     to them with `forget = [\"{address}\"]`"
                ),
            )
        })
    };
    let against = objection(context, &before.tags).or_else(in_use);
    let versions = live.other_versions.iter();
    let calls = versions
        .map(|version| IamCall::DeletePolicyVersion { arn: arn.clone(), version: version.clone() })
        .chain([IamCall::DeletePolicy { arn: arn.clone() }]);
    let change = ResourceChange::Policy(Change::Delete { before: before.clone() });
    draft.step(address, change, iam(key, calls), detaching, vec![reason(context)]);
    refuse_delete(draft, address, against);
}
