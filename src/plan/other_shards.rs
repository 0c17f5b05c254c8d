//! With `--shard`, an object of this shard may need an object of another shard. It then waits until a run of that shard
//! has created or changed the other object. Without `--shard`, nothing here changes a plan.

use super::context::{PlanContext, provider_address};
use super::draft::Draft;
use super::{policies, providers};
use crate::ids::{Key, PolicyArn};
use crate::model::address::Address;
use crate::model::desired::{Binding, Boundary, Role};
use crate::model::live::Observed;
use crate::model::note::Note;
use crate::model::pattern::Pattern;
use crate::policy::trust_effects;
use std::collections::{BTreeMap, BTreeSet};

/// Blocks each provider and policy of another shard that a role of this shard needs and that is not ready. Also records
/// how other shards will change the policies and boundaries of these roles, so that `write_order` can wait for that.
pub(crate) fn block(context: &PlanContext<'_>, draft: &mut Draft) {
    if context.scope.is_none() {
        return;
    }
    let is_other = |address: &Address| !context.plans(address);
    let of_account = |account| context.declared_policies(account).map(move |(address, arn)| ((account, arn), address));
    let policies: BTreeMap<(&Key, PolicyArn), Address> = context.desired.accounts.keys().flat_map(of_account).collect();
    let mut needed: BTreeSet<Address> = BTreeSet::new();
    let mut changing: BTreeSet<Address> = BTreeSet::new();
    for (_, role) in context.desired.roles.iter().filter(|(key, _)| context.plans(&Address::role(key))) {
        needed.extend(context.dependencies(role).filter(is_other));
        let declared = boundaries(context, role).filter_map(|arn| policies.get(&(&role.account, arn.clone())));
        changing.extend(declared.filter(|address| is_other(address)).cloned());
    }
    for address in &needed {
        let blocked_by = match address {
            Address::OidcProvider { account, cluster } => {
                providers::not_ready_in_other_shard(context, account, cluster, address)
            }
            Address::Policy { account, key } => policies::not_ready_in_other_shard(context, account, key, address),
            // a role depends only on providers and policies
            _ => None,
        };
        if let Some(blocked_by) = blocked_by {
            draft.block(address, blocked_by);
        }
    }
    changing.extend(needed);
    for address in &changing {
        if let Address::Policy { account, key } = address {
            policies::defer_change_of_other_shard(context, draft, (account, key), address);
        }
    }
}

/// The role's live and declared permissions boundaries.
fn boundaries<'a>(context: &PlanContext<'a>, role: &'a Role) -> impl Iterator<Item = &'a PolicyArn> {
    let account = context.account(&role.account);
    let live = account.and_then(|account| account.roles.get(&role.name.lower_case())?.present());
    let declared = match &role.permissions_boundary {
        Boundary::Policy(arn) => Some(arn),
        Boundary::Undeclared | Boundary::None => None,
    };
    live.and_then(|live| live.role.permissions_boundary.as_ref()).into_iter().chain(declared)
}

/// Whether a role of another shard already trusts the ServiceAccount of a binding.
pub(crate) enum Ready {
    Yes,
    /// Not yet, for this reason.
    No(String),
    /// It is unknown, for this reason.
    Unknown(String),
}

pub(crate) fn role_ready(context: &PlanContext<'_>, address: &Address, role: &Role, binding: &Binding) -> Ready {
    let Some(account) = context.account(&role.account) else {
        return Ready::Unknown(format!("account `{}`, which holds `{address}`, could not be used", role.account));
    };
    if let Observed::Unknown(why) = &account.role_list {
        return Ready::Unknown(format!("`{address}` belongs to another shard, and roles could not be listed: {why}"));
    }
    let waits = context.waits_for_shard(address);
    let Some(listed) = context.listed_role(role) else {
        return Ready::No(format!("`{address}` does not exist yet: {waits}"));
    };
    match context.grant(role, binding) {
        Ok(grant) if trust_effects::grants(&listed.trust).contains(&grant) => Ready::Yes,
        Ok(_) => Ready::No(format!("`{address}` does not trust it yet: {waits}")),
        Err((_, why)) => Ready::Unknown(why),
    }
}

/// The roles of other shards that do not exist, by ARN, with the reason to wait for them. Leaves out roles of accounts
/// whose roles could not be listed.
pub(crate) fn absent_roles(context: &PlanContext<'_>) -> BTreeMap<String, (Address, String)> {
    let mut absent = BTreeMap::new();
    if context.scope.is_none() {
        return absent;
    }
    for (key, role) in &context.desired.roles {
        let address = Address::role(key);
        let listed = context.account(&role.account).is_some_and(|account| account.role_list.present().is_some());
        if listed && !context.plans(&address) && context.listed_role(role).is_none() {
            let why = context.waits_for_shard(&address);
            absent.extend(context.role_arn(role).map(|arn| (arn.to_string(), (address, why))));
        }
    }
    absent
}

/// Whether this run reports a lint finding. If the finding is about an object, only the run of its shard reports it.
pub(crate) fn is_reported_here(context: &PlanContext<'_>, note: &Note) -> bool {
    note.address.parse().map_or(true, |address: Address| context.plans(&address))
}

/// With `--shard`: whether a glob of `--only` selects a declared object of any shard. Without `--shard`: false.
pub(crate) fn selects_declared(context: &PlanContext<'_>, pattern: &Pattern) -> bool {
    let Some(scope) = &context.scope else { return false };
    let matches = |address: Address| scope.owner(&address).is_some() && pattern.matches(&address.to_string());
    let policy = |(account, key): &(Key, Key)| Address::Policy { account: account.clone(), key: key.clone() };
    context.desired.roles.keys().map(Address::role).any(matches)
        || context.desired.policies.keys().map(policy).any(matches)
        || providers::wanted(context).into_keys().any(|(account, cluster)| matches(provider_address(account, cluster)))
        || context.exact_bindings().any(|(_, reference)| matches(reference.address()))
}
