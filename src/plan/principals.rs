//! Roles that trust other roles of the same plan.
//!
//! IAM refuses a trust policy that names a role that is not there
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>), so whoever is named is
//! made first. Only what this plan makes is waited for, and never in a circle: of two new roles that trust each other
//! neither can be first, and IAM says so.

use super::change::{Change, ResourceChange};
use super::context::PlanContext;
use super::draft::{BlockedBy, Draft};
use super::other_shards;
use crate::model::address::Address;
use crate::policy::{PolicyDocument, Statement};
use std::collections::BTreeMap;

/// Has every role wait for the new roles that it trusts.
pub(crate) fn wait(context: &PlanContext<'_>, draft: &mut Draft) {
    let made: BTreeMap<String, Address> = draft
        .steps
        .values()
        .filter_map(|step| {
            let (Address::Role { key }, ResourceChange::Role(change)) = (&step.address, &step.change) else {
                return None;
            };
            let new = matches!(**change, Change::Create { .. });
            new.then(|| Some((context.role_arn(context.desired.roles.get(key)?)?.to_string(), step.address.clone())))?
        })
        .collect();
    let absent = other_shards::absent_roles(context);
    if made.is_empty() && absent.is_empty() {
        return;
    }
    let (mut pairs, mut first) = (Vec::new(), Vec::new());
    for step in draft.steps.values() {
        let ResourceChange::Role(change) = &step.change else { continue };
        let Some(after) = change.after() else { continue };
        let before: Vec<String> = change.before().map(|before| named(&before.trust)).unwrap_or_default();
        let new = named(&after.trust).into_iter().filter(|name| !before.contains(name));
        first.extend(new.filter_map(|name| Some((step.address.clone(), absent.get(&name)?.clone()))));
        let named = named(&after.trust).into_iter().filter_map(|name| made.get(&name));
        pairs.extend(named.filter(|earlier| **earlier != step.address).map(|earlier| (step.address.clone(), earlier)));
    }
    for (later, earlier) in pairs {
        need(draft, &later, earlier);
    }
    for (later, (earlier, why)) in first {
        draft.held.entry(earlier.clone()).or_insert(BlockedBy::Waits(why));
        need(draft, &later, &earlier);
    }
}

/// `later` waits for `earlier`.
fn need(draft: &mut Draft, later: &Address, earlier: &Address) {
    if let Some(step) = draft.steps.get_mut(later)
        && !step.needs.contains(earlier)
    {
        step.needs.push(earlier.clone());
    }
}

/// Whatever stands in the principals of a trust policy.
fn named(trust: &PolicyDocument) -> Vec<String> {
    let principals = trust.statements().iter().flat_map(Statement::principals);
    principals.map(|principal| principal.text().to_owned()).collect()
}
