//! Makes each role wait for the new roles that its trust policy names.
//!
//! IAM refuses a trust policy with a role that does not exist
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>). If two new roles
//! trust each other, neither can be first, so `write_order` refuses both.

use crate::model::address::Address;
use crate::plan::change::Change;
use crate::plan::context::PlanContext;
use crate::plan::draft::{BlockedBy, Draft};
use crate::plan::other_shards;
use crate::policy::canonical::Principal;
use crate::policy::{PolicyDocument, Statement};
use std::collections::BTreeMap;

pub(crate) fn wait_for_new_roles(context: &PlanContext<'_>, draft: &mut Draft) {
    let mut new_roles: BTreeMap<String, Address> = BTreeMap::new();
    for (key, role) in &context.desired.roles {
        let address = Address::role(key);
        let change = draft.steps.get(&address).and_then(|step| step.change.as_role());
        if matches!(change, Some(Change::Create { .. })) {
            new_roles.extend(context.role_arn(role).map(|arn| (arn.to_string(), address)));
        }
    }
    let absent = other_shards::absent_roles(context);
    if new_roles.is_empty() && absent.is_empty() {
        return;
    }
    let mut missing = Vec::new();
    for step in draft.steps.values_mut() {
        let Some(change) = step.change.as_role() else { continue };
        let Some(after) = change.after() else { continue };
        let trusted = change.before().map(|before| principals(&before.trust)).unwrap_or_default();
        let mut needs = Vec::new();
        for principal in principals(&after.trust) {
            needs.extend(new_roles.get(principal));
            if let Some((role, why)) = absent.get(principal).filter(|_| !trusted.contains(&principal)) {
                missing.push((role, why));
                needs.push(role);
            }
        }
        for need in needs {
            if *need != step.address && !step.needs.contains(need) {
                step.needs.push(need.clone());
            }
        }
    }
    for (role, why) in missing {
        draft.blocked.entry(role.clone()).or_insert_with(|| BlockedBy::Waits(why.clone()));
    }
}

fn principals(trust: &PolicyDocument) -> Vec<&str> {
    trust.statements().iter().flat_map(Statement::principals).map(Principal::text).collect()
}
