//! Who has which permissions in a live state, by the JSON of the documents. Shares no code with `policy`.

use super::sketch::{ACTIONS, RESOURCES};
use crate::ids::PolicyArn;
use crate::model::live::{Live, LiveAccount, Observed};
use crate::plan::tests::kit::key;
use crate::policy::PolicyDocument;
use serde_json::Value;
use std::collections::BTreeSet;

/// Permissions that somebody has: ServiceAccount, role, action, resource, hour of the session.
pub(super) type Permissions = BTreeSet<(String, String, &'static str, &'static str, u32)>;

/// The factors that decide what somebody can do through a role.
struct Factors {
    name: String,
    who: BTreeSet<String>,
    hours: u32,
    policies: Vec<Value>,
    bound: Option<Value>,
    team: Option<String>,
}

fn factors(live: &Live) -> Vec<Factors> {
    let account = &live.accounts[&key("default")];
    let of = |role: &crate::model::resource::Role| {
        let managed = |arn: &PolicyArn| document_of(account, arn);
        let inline = role.inline.values().map(PolicyDocument::to_value);
        Factors {
            name: role.name.to_string(),
            who: trusted(&role.trust.to_value(), account),
            hours: role.max_session_duration / 3600,
            policies: inline.chain(role.attached.iter().map(managed)).collect(),
            bound: role.permissions_boundary.as_ref().map(managed),
            team: role.tags.get("team").cloned(),
        }
    };
    account.roles.values().filter_map(Observed::present).map(|live| of(&live.role)).collect()
}

/// Whether a request is allowed if each factor has the value of the given state of the role.
fn allowed(allows: &Factors, denies: &Factors, bound: &Factors, tags: &Factors, action: &str, resource: &str) -> bool {
    let says = |document: &Value, effect: &str| speaks(document, effect, action, resource, tags.team.as_deref());
    !denies.policies.iter().chain(&bound.bound).any(|document| says(document, "Deny"))
        && allows.policies.iter().any(|document| says(document, "Allow"))
        && bound.bound.as_ref().is_none_or(|document| says(document, "Allow"))
}

fn requests() -> impl Iterator<Item = (&'static str, &'static str)> {
    ACTIONS.into_iter().flat_map(|action| RESOURCES.into_iter().map(move |resource| (action, resource)))
}

pub(super) fn held(live: &Live) -> Permissions {
    let mut held = Permissions::new();
    for role in &factors(live) {
        for (action, resource) in
            requests().filter(|(action, resource)| allowed(role, role, role, role, action, resource))
        {
            for who in &role.who {
                held.extend((1..=role.hours).map(|hour| (who.clone(), role.name.clone(), action, resource, hour)));
            }
        }
    }
    held
}

/// The permissions that somebody has in every mix of old and new factors of a role, so that rule 1 cannot remove them
/// for a moment. (If one factor removes a permission and another factor adds it back, the permission is missing in
/// between, because rule 1 removes first.)
pub(super) fn kept(before: &Live, after: &Live) -> Permissions {
    let (old, new) = (factors(before), factors(after));
    let mut kept = Permissions::new();
    for old in &old {
        let Some(new) = new.iter().find(|new| new.name == old.name) else { continue };
        let ends = [old, new];
        let always = |(action, resource): &(&str, &str)| {
            ends.iter().all(|allows| {
                ends.iter().all(|denies| {
                    ends.iter()
                        .all(|bound| ends.iter().all(|tags| allowed(allows, denies, bound, tags, action, resource)))
                })
            })
        };
        for (action, resource) in requests().filter(always) {
            for who in old.who.intersection(&new.who) {
                let hours = 1..=old.hours.min(new.hours);
                kept.extend(hours.map(|hour| (who.clone(), old.name.clone(), action, resource, hour)));
            }
        }
    }
    kept
}

fn document_of(account: &LiveAccount, arn: &PolicyArn) -> Value {
    let ours = account.policies.get(arn).and_then(Observed::present).map(|live| &live.policy.document);
    let foreign = account.foreign_policies.get(arn).and_then(Observed::present).and_then(Option::as_ref);
    ours.or(foreign).unwrap_or_else(|| panic!("no document of {arn}")).to_value()
}

fn list(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        Value::String(text) => vec![text],
        _ => Vec::new(),
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => {
            text.strip_prefix(head).is_some_and(|rest| (0..=rest.len()).any(|from| fits(tail, &rest[from..])))
        }
    }
}

fn speaks(document: &Value, effect: &str, action: &str, resource: &str, team: Option<&str>) -> bool {
    let statements = match &document["Statement"] {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    statements.iter().filter(|statement| statement["Effect"] == effect).any(|statement| {
        let named = |value: &Value| list(value).iter().any(|pattern| fits(pattern, action));
        let acts = match statement.get("NotAction") {
            Some(value) => !named(value),
            None => named(&statement["Action"]),
        };
        let wanted = &statement["Condition"]["StringEquals"]["aws:PrincipalTag/team"];
        acts && list(&statement["Resource"]).iter().any(|pattern| fits(pattern, resource))
            && (wanted.is_null() || list(wanted).iter().any(|value| Some(*value) == team))
    })
}

/// The ServiceAccounts that a trust policy trusts through existing providers.
fn trusted(trust: &Value, account: &LiveAccount) -> BTreeSet<String> {
    let mut who = BTreeSet::new();
    for statement in trust["Statement"].as_array().into_iter().flatten() {
        if statement["Effect"] == "Deny" && statement["Principal"] == "*" && statement.get("Condition").is_none() {
            return BTreeSet::new();
        }
        assert_eq!(statement["Effect"], "Allow", "{statement}");
        for provider in list(&statement["Principal"]["Federated"]) {
            if account.providers.keys().any(|arn| arn.as_str() == provider) {
                let conditions = statement["Condition"]["StringEquals"].as_object().into_iter().flatten();
                for (_, value) in conditions.filter(|(key, _)| key.ends_with(":sub")) {
                    who.extend(list(value).into_iter().map(|subject| format!("{provider} {subject}")));
                }
            }
        }
    }
    who
}
