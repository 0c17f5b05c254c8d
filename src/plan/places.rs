//! Reports each account and cluster that irsa could not use, or could not read in full. Each gets a few entries,
//! instead of one for every object in it. Only a malformed object gets an entry of its own.

use super::context::{Issuer, PlanContext};
use super::draft::Draft;
use crate::ids::Key;
use crate::model::desired::Cluster;
use crate::model::live::{Access, Extent, Malformed, Observed};
use crate::model::note::Severity;
use crate::model::refusal::RefusalKind;

pub(crate) fn report(context: &PlanContext<'_>, draft: &mut Draft) {
    for key in context.desired.accounts.keys() {
        if context.scope.as_ref().is_none_or(|scope| scope.accounts.contains(key)) {
            account(context, draft, key);
        }
    }
    for (key, declared) in &context.desired.clusters {
        if context.scope.as_ref().is_none_or(|scope| scope.described.contains(key)) {
            cluster(context, draft, key, declared);
        }
    }
}

fn account(context: &PlanContext<'_>, draft: &mut Draft, key: &Key) {
    let place = format!("account/{key}");
    let Some(account) = context.live.accounts.get(key) else { return draft.add_unknown(place, "it was not read") };
    match &account.identity {
        Access::Granted(_) => {}
        Access::Wrong(refusal) => return draft.add_refused(place, refusal.clone()),
        Access::Unknown(why) => return draft.add_unknown(place, why),
    }
    if let Observed::Unknown(why) = &account.role_list {
        let text = format!("irsa did not search for roles that are no longer declared: {why}");
        draft.note(&place, Severity::Medium, "orphans-unseen", None, text);
        if !account.role_list_denied {
            draft.add_unknown(place.clone(), why);
        }
    }
    for Malformed { kind, name, why } in &account.malformed {
        draft.add_unknown(format!("orphan/{key}/{kind}/{name}"), why);
    }
    for (listed, what) in [(&account.policies_listed, "policies"), (&account.providers_listed, "OIDC providers")] {
        if let Observed::Unknown(why) = listed {
            draft.add_unknown(place.clone(), format!("{what} could not be listed: {why}"));
        }
    }
}

fn cluster(context: &PlanContext<'_>, draft: &mut Draft, key: &Key, declared: &Cluster) {
    let place = format!("cluster/{key}");
    if let Some(other) = context.duplicates.get(key) {
        let why = format!("it has the same issuer as cluster `{other}`");
        return draft.add_refused(place, RefusalKind::SameIssuer.because(why, "declare each cluster once"));
    }
    match context.issuer(key) {
        Issuer::Known(_) => {}
        Issuer::Gone(_) => return,
        Issuer::Missing => {
            let name = declared.name.as_ref().map_or_else(|| key.to_string(), ToString::to_string);
            let why = format!("EKS has no cluster `{name}` in account `{}`", declared.account);
            let hint = "correct `name`, `region` and `account`, or declare it `state = \"gone\"`";
            return draft.add_refused(place, RefusalKind::NoCluster.because(why, hint));
        }
        Issuer::Unknown(why) => return draft.add_unknown(place, why),
    }
    if context.scope.as_ref().is_some_and(|scope| !scope.has_cluster(key)) || !declared.has_api() {
        return;
    }
    let Some(live) = context.live.clusters.get(key) else { return draft.add_unknown(place, "it was not read") };
    match &live.api {
        Access::Granted(()) => {}
        Access::Wrong(refusal) => return draft.add_refused(place, refusal.clone()),
        Access::Unknown(why) => return draft.add_unknown(place, why),
    }
    let text = match live.extent {
        Extent::Whole | Extent::Ours => return,
        Extent::Named => {
            "not every namespace could be listed, so irsa searched for undeclared ServiceAccounts only in namespaces \
             with declared ones"
        }
        Extent::Understood => {
            "irsa could not parse some ServiceAccounts, which may use a role, so irsa deletes no role that trusts this \
             cluster"
        }
    };
    draft.note(&place, Severity::Medium, "orphans-unseen", None, text);
}
