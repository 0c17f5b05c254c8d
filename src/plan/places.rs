//! Accounts and clusters that cannot be used: one entry each, instead of one for every object in them.

use super::context::{Issuer, PlanContext};
use super::draft::Draft;
use super::step::UnknownObject;
use crate::model::live::{Access, Extent, Malformed, Observed};
use crate::model::note::Severity;

/// Says which accounts and clusters are refused or could not be seen.
pub(crate) fn plan(context: &PlanContext<'_>, draft: &mut Draft) {
    accounts(context, draft);
    clusters(context, draft);
}

fn unseen(draft: &mut Draft, place: String, why: &str) {
    draft.unknown.insert(UnknownObject { address: place, why: why.to_owned() });
}

fn accounts(context: &PlanContext<'_>, draft: &mut Draft) {
    for key in context.desired.accounts.keys() {
        if context.scope.as_ref().is_some_and(|scope| !scope.accounts.contains(key)) {
            continue;
        }
        let place = format!("account/{key}");
        let Some(account) = context.live.accounts.get(key) else {
            unseen(draft, place, "it was not read");
            continue;
        };
        match &account.identity {
            Access::Granted(_) => {}
            Access::Wrong(why, hint) => {
                draft.refuse_place(place, why.clone(), hint.clone());
                continue;
            }
            Access::Unknown(why) => {
                unseen(draft, place, why);
                continue;
            }
        }
        if let Observed::Unknown(why) = &account.role_list {
            let text = format!("roles that are no longer declared were not searched: {why}");
            draft.note(&place, Severity::Medium, "orphans-unseen", None, text);
            if !account.role_list_denied {
                unseen(draft, place.clone(), why);
            }
        }
        for Malformed { kind, name, why } in &account.odd {
            unseen(draft, format!("orphan/{key}/{kind}/{name}"), why);
        }
        for (listed, what) in [(&account.policies_listed, "policies"), (&account.providers_listed, "OIDC providers")] {
            if let Observed::Unknown(why) = listed {
                unseen(draft, place.clone(), &format!("{what} could not be listed: {why}"));
            }
        }
    }
}

fn clusters(context: &PlanContext<'_>, draft: &mut Draft) {
    for (key, cluster) in &context.desired.clusters {
        if context.scope.as_ref().is_some_and(|scope| !scope.described.contains(key)) {
            continue;
        }
        let place = format!("cluster/{key}");
        if let Some(other) = context.doubles.get(key) {
            let why = format!("it has the same issuer as cluster `{other}`");
            draft.refuse_place(place, why, "declare each cluster once");
            continue;
        }
        match context.issuer(key) {
            Issuer::Gone(_) => continue,
            Issuer::Known(_) => {}
            Issuer::Missing => {
                let name = cluster.name.as_ref().map_or_else(|| key.to_string(), ToString::to_string);
                let why = format!("EKS has no cluster `{name}` in account `{}`", cluster.account);
                let hint = "correct `name`, `region` and `account`, or declare it `state = \"gone\"`";
                draft.refuse_place(place, why, hint);
                continue;
            }
            Issuer::Unknown(why) => {
                unseen(draft, place, why);
                continue;
            }
        }
        if context.scope.as_ref().is_some_and(|scope| !scope.has_cluster(key)) || !cluster.has_api() {
            continue;
        }
        match context.live.clusters.get(key).map(|live| (&live.api, live.extent)) {
            Some((Access::Granted(()), Extent::Named)) => {
                let text = "not every namespace could be listed: ServiceAccounts that are no longer declared were searched \
                            only where others are";
                draft.note(&place, Severity::Medium, "orphans-unseen", None, text);
            }
            Some((Access::Granted(()), Extent::Understood)) => {
                let text = "not every ServiceAccount was understood: one that was not may name a role, so that no role is \
                            deleted that trusts the cluster";
                draft.note(&place, Severity::Medium, "orphans-unseen", None, text);
            }
            Some((Access::Granted(()), Extent::Whole | Extent::Ours)) => {}
            Some((Access::Wrong(why, hint), _)) => draft.refuse_place(place, why.clone(), hint.clone()),
            Some((Access::Unknown(why), _)) => unseen(draft, place, why),
            None => unseen(draft, place, "it was not read"),
        }
    }
}
