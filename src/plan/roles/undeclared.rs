//! Plans undeclared roles that have the owner tag. Deletes each role, unless it may still be in use. Notes foreign
//! roles that trust a declared cluster.

use super::calls;
use crate::ids::Key;
use crate::model::desired::Cluster;
use crate::model::live::{Extent, LiveAccount, LiveRole, Observed};
use crate::model::note::Severity;
use crate::model::refusal::{Refusal, RefusalKind};
use crate::model::resource::Role;
use crate::plan::change::{Change, ResourceChange};
use crate::plan::context::{Issuer, PlanContext};
use crate::plan::draft::Draft;
use crate::plan::file::FOREIGN_TRUST;
use crate::plan::iam::{FORGET, IamObject, delete_forbidden_by_tags, roles_unlisted, without_own_tags};
use crate::plan::providers::{of_issuer, refuse_lost_trust};
use crate::plan::service_accounts::undeclared::{RoleUsers, steps_that_remove, users};
use crate::policy::PolicyDocument;
use crate::policy::trust::SUBJECT_PREFIX;
use std::collections::BTreeSet;

/// Plans every undeclared role with the owner tag. With `--destroy`, also the declared roles.
pub(crate) fn plan(context: &PlanContext<'_>, draft: &mut Draft) {
    let mut roles = Vec::new();
    for (account_key, account) in context.accounts() {
        for (lower_case, live) in &account.roles {
            if context.declared_role(account_key, lower_case).is_some() && !context.options.destroy {
                continue;
            }
            let address = |name: &str| context.role_address(account_key, lower_case, name);
            match live {
                Observed::Present(live) if context.is_ours(&live.role.tags) => {
                    let address = address(live.role.name.as_str());
                    roles.push((IamObject { context, address, account_key, account }, live));
                }
                Observed::Unknown(why) => {
                    draft.object_unknown(&address(listed_name(account, lower_case)), why.clone());
                }
                Observed::Present(_) | Observed::Absent => {}
            }
        }
    }
    let users = users(context, roles.iter().map(|(_, live)| &live.arn));
    for (object, live) in roles {
        undeclared(draft, &object, live, &users);
    }
}

/// The name in the spelling of the role list, for a role that could not be read.
fn listed_name<'a>(account: &'a LiveAccount, lower_case: &'a str) -> &'a str {
    let mut listed = account.role_list.present().into_iter().flatten();
    let summary = listed.find(|summary| summary.name.lower_case() == lower_case);
    summary.map_or(lower_case, |summary| summary.name.as_str())
}

fn undeclared(draft: &mut Draft, object: &IamObject<'_>, live: &LiveRole, users: &RoleUsers<'_>) {
    let context = object.context;
    let before = live.role.clone();
    object.count_as_managed(draft);
    if object.is_forgotten(&before.tags) {
        let after = Role { tags: without_own_tags(&before.tags), ..before.clone() };
        let calls = calls::update(&before, &after);
        let change = ResourceChange::Role(Box::new(Change::Update { before, after }));
        return object.step(draft, change, calls, [], vec![FORGET.to_owned()]);
    }
    let objection = delete_forbidden_by_tags(context, &before.tags)
        .or_else(|| recently_used(context, live))
        .or_else(|| in_instance_profiles(live))
        .or_else(|| roles_unlisted(object.account))
        .or_else(|| may_have_unseen_users(object, &before.trust));
    let needs = objection.map_or_else(|| steps_that_remove(context, draft, &live.arn, users), Err);
    let (needs, objection) = match needs {
        Ok(needs) => (needs, None),
        Err(objection) => (Vec::new(), Some(objection)),
    };
    let calls = calls::delete(&before);
    object.delete(draft, ResourceChange::Role(Box::new(Change::Delete { before })), calls, needs, objection);
}

fn recently_used(context: &PlanContext<'_>, live: &LiveRole) -> Option<Refusal> {
    let since = context.options.now - live.last_used?;
    let limit = i64::try_from(context.desired.guard.recent_use.as_secs()).unwrap_or(i64::MAX);
    (since < limit && !context.options.force && !context.options.report_only).then(|| {
        RefusalKind::RecentUse.because(
            format!("it was used {} minutes ago, within `guard.recent-use`", since.max(0) / 60),
            "find out who uses it; delete it all the same with `--force`",
        )
    })
}

fn in_instance_profiles(live: &LiveRole) -> Option<Refusal> {
    (!live.instance_profiles.is_empty()).then(|| {
        RefusalKind::InstanceProfile.because(
            format!("it is in instance profiles: {}", live.instance_profiles.join(", ")),
            "remove it from them first",
        )
    })
}

/// Refuses to delete a role that trusts a cluster which was not read in full, because a ServiceAccount there may use
/// the role.
fn may_have_unseen_users(object: &IamObject<'_>, trust: &PolicyDocument) -> Option<Refusal> {
    let context = object.context;
    trust.federated_issuers().into_iter().find_map(|issuer| match context.cluster_of(&issuer) {
        Some((_, Issuer::Gone(_))) => None,
        Some((cluster, Issuer::Known(_) | Issuer::Missing | Issuer::Unknown(_))) => partly_read(context, cluster),
        None => refuse_lost_trust(context, object.account_key, &issuer)
            .or_else(|| undeclared_cluster(object, trust, &issuer)),
    })
}

fn partly_read(context: &PlanContext<'_>, cluster: &Key) -> Option<Refusal> {
    let declared = context.desired.clusters.get(cluster);
    let whole = context.cluster(cluster).is_some_and(|live| live.extent == Extent::Whole);
    if whole || declared.is_some_and(|declared| declared.unmanaged) {
        return None;
    }
    let remedy = if declared.is_some_and(Cluster::has_api) {
        "allow listing ServiceAccounts in all namespaces there"
    } else {
        "declare `kubernetes` for this cluster, so that irsa can reach it"
    };
    Some(RefusalKind::PartlyReadCluster.because(
        format!("it trusts cluster `{cluster}`, which irsa did not read in full"),
        format!(
            "{remedy}, then plan again; if irsa manages nothing there and no ServiceAccount names the role, set \
             `kubernetes = \"none\"` in `[clusters.{cluster}]`"
        ),
    ))
}

/// Refuses to delete a role if the issuer may belong to a cluster that irsa could not read, or that this configuration
/// does not declare.
fn undeclared_cluster(object: &IamObject<'_>, trust: &PolicyDocument, issuer: &str) -> Option<Refusal> {
    let context = object.context;
    if let Some(cluster) = context.any_unresolved_cluster() {
        return Some(RefusalKind::UnseenCluster.because(
            format!("it trusts issuer `{issuer}`, which may belong to cluster `{cluster}`, whose issuer is unknown"),
            format!("make `{cluster}` readable, or declare it `state = \"gone\"`"),
        ));
    }
    let provider = of_issuer(object.account, issuer)?.present()?;
    let foreign = !context.is_ours(&provider.provider.tags);
    (foreign && trusts_service_accounts(trust, issuer)).then(|| {
        RefusalKind::UnreadCluster.because(
            format!("it trusts issuer `{issuer}`, whose cluster is not declared, so irsa cannot see who uses the role"),
            format!(
                "declare the cluster with `issuer = \"https://{issuer}\"`, and `state = \"gone\"` if it was deleted"
            ),
        )
    })
}

/// Whether the trust policy names ServiceAccounts of the issuer. If not, the issuer need not belong to a cluster (for
/// example, it is GitHub's).
fn trusts_service_accounts(trust: &PolicyDocument, issuer: &str) -> bool {
    if !trust.is_parsed() {
        return trust.text().contains(SUBJECT_PREFIX);
    }
    let of_issuer = |arn: &str| arn.split_once(":oidc-provider/").is_some_and(|(_, host_path)| host_path == issuer);
    trust
        .statements()
        .iter()
        .any(|statement| statement.canonical().federated().any(of_issuer) && statement.text().contains(SUBJECT_PREFIX))
}

/// Notes each foreign role that trusts a declared cluster. Only a run without `--shard` knows which roles are foreign.
pub(crate) fn note_foreign(context: &PlanContext<'_>, draft: &mut Draft) {
    for (key, account) in context.accounts() {
        let of_account =
            if context.desired.accounts.len() > 1 { format!(" of account `{key}`") } else { String::new() };
        for summary in account.role_list.present().into_iter().flatten() {
            let lower_case = summary.name.lower_case();
            let read = account.roles.get(&lower_case).and_then(Observed::present);
            if context.declared_role(key, &lower_case).is_some()
                || read.is_some_and(|live| context.is_ours(&live.role.tags))
            {
                continue;
            }
            let issuers = summary.trust.federated_issuers();
            let clusters: BTreeSet<&Key> =
                issuers.iter().filter_map(|issuer| Some(context.cluster_of(issuer)?.0)).collect();
            for cluster in clusters {
                let text = format!(
                    "irsa does not manage role `{}`{of_account}, which can be assumed from `{cluster}`",
                    summary.name
                );
                draft.note(&format!("cluster/{cluster}"), Severity::Info, FOREIGN_TRUST, None, text);
            }
        }
    }
}
