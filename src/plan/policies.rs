//! Plans customer managed policies. Compares each declared policy with the live one, and deletes undeclared policies
//! that have the owner tag.

use super::change::{Change, ResourceChange};
use super::context::PlanContext;
use super::draft::{BlockedBy, Draft};
use super::field_diff::{FieldType, FieldTypes, FieldValue, PlanFields};
use super::iam::{
    FORGET, IamObject, Ownership, delete_forbidden_by_tags, note_name_and_path_kept, tag_calls, without_own_tags,
};
use crate::ids::{Key, PolicyArn};
use crate::model::address::Address;
use crate::model::call::{Call, IamCall};
use crate::model::desired;
use crate::model::live::{LivePolicy, Observed, listed};
use crate::model::refusal::{Refusal, RefusalKind};
use crate::model::resource::{ManagedPolicy, Role, StringMap};

/// Plans every declared policy.
pub(crate) fn plan(context: &PlanContext<'_>, draft: &mut Draft) {
    for ((account_key, key), policy) in &context.desired.policies {
        let address = Address::Policy { account: account_key.clone(), key: key.clone() };
        if !context.plans(&address) {
            continue;
        }
        let Some(account) = context.account(account_key) else {
            draft.block(&address, BlockedBy::Unknown);
            continue;
        };
        let object = IamObject { context, address, account_key, account };
        let found = context.policy_by_name(account_key, &policy.name.lower_case());
        match (found, listed(found.map(|(_, live)| live), &account.policies_listed)) {
            (Some((arn, _)), Observed::Present(live)) => existing(draft, &object, policy, arn, live),
            (_, Observed::Unknown(why)) => draft.object_unknown(&object.address, why),
            (_, Observed::Present(_) | Observed::Absent) => missing(draft, &object, policy),
        }
    }
}

fn wanted(object: &IamObject<'_>, policy: &desired::Policy, live: Option<&ManagedPolicy>) -> ManagedPolicy {
    ManagedPolicy {
        name: live.map_or(&policy.name, |live| &live.name).clone(),
        path: live.map_or(&policy.path, |live| &live.path).clone(),
        // IAM cannot change the description of a policy
        description: live.map_or(&policy.description, |live| &live.description).clone(),
        document: policy.document.clone(),
        tags: object.wanted_tags(&policy.tags, policy.prevent_destroy, live.map(|live| &live.tags)),
    }
}

fn missing(draft: &mut Draft, object: &IamObject<'_>, policy: &desired::Policy) {
    let Some(account) = object.context.desired.accounts.get(object.account_key) else { return };
    let after = wanted(object, policy, None);
    let arn = PolicyArn::of(&account.partition, &account.id, &policy.path, &policy.name);
    let calls = vec![IamCall::CreatePolicy { arn, policy: after.clone() }];
    let reasons = vec![format!("declared at {}", policy.origin)];
    object.step(draft, ResourceChange::Policy(Change::Create { after }), calls, [], reasons);
}

fn existing(draft: &mut Draft, object: &IamObject<'_>, policy: &desired::Policy, arn: &PolicyArn, live: &LivePolicy) {
    let (address, quotas) = (&object.address, &object.account.quotas);
    let before = &live.policy;
    let after = wanted(object, policy, Some(before));
    let (ownership, change) = object.compare(draft, (before, &after), &before.tags, &policy.adopt);
    let change = change.map(ResourceChange::Policy);
    let (calls, deleted_versions) = update(arn, live, &after, quotas.versions_per_policy);
    if let Ownership::Foreign(owner) = ownership {
        if let Some(change) = change {
            draft.add_deferred(address, change, object.calls(calls));
        }
        return object.refuse_foreign(draft, &format!("policy `{}`", before.name), owner);
    }
    let names = (before.name.as_str(), policy.name.as_str());
    let paths = (before.path.as_str(), policy.path.as_str());
    note_name_and_path_kept(draft, address, &policy.origin, names, paths);
    let size = after.document.size();
    let too_large = size > quotas.managed_size;
    match change {
        Some(change) => {
            if before.document != after.document
                && !too_large
                && let Some(why) = used_outside_shard(object, arn, live)
            {
                draft.add_deferred(address, change, object.calls(calls));
                return draft.wait(address, Some(&policy.origin), why);
            }
            let declared = format!("declared at {}", policy.origin);
            object.step(draft, change, calls, [], [declared].into_iter().chain(deleted_versions).collect());
        }
        None if !too_large => draft.unchanged(address),
        None => {}
    }
    if too_large {
        let why = format!("it has {size} characters, but the quota is {}", quotas.managed_size);
        draft.refuse_step(address, RefusalKind::PolicySize.because(why, "split it into two policies"));
    }
}

/// The calls of an update, and a reason for each version that they delete.
fn update(arn: &PolicyArn, live: &LivePolicy, after: &ManagedPolicy, quota: usize) -> (Vec<IamCall>, Vec<String>) {
    let before = &live.policy;
    let mut calls = tag_policy(arn, &before.tags, &after.tags);
    let mut reasons = Vec::new();
    if before.document != after.document {
        // the default version and the new version count as well
        let surplus = live.other_versions.len().saturating_sub(quota.saturating_sub(2));
        for version in live.other_versions.iter().take(surplus) {
            reasons.push(format!("version `{version}` is deleted, because IAM allows {quota} versions"));
            calls.push(IamCall::DeletePolicyVersion { arn: arn.clone(), version: version.clone() });
        }
        let (from, to) = (before.document.clone(), after.document.clone());
        calls.push(IamCall::CreatePolicyVersion { arn: arn.clone(), from, to });
    }
    (calls, reasons)
}

fn tag_policy(arn: &PolicyArn, before: &StringMap, after: &StringMap) -> Vec<IamCall> {
    tag_calls(
        before,
        after,
        |from, to| IamCall::TagPolicy { arn: arn.clone(), from, to },
        |from| IamCall::UntagPolicy { arn: arn.clone(), from },
    )
}

/// Why this shard must not change the document of a policy: something outside this shard uses the policy. If a role of
/// another shard loses a principal, that must happen before the policy allows more, and only a run without `--shard`
/// orders these calls.
fn used_outside_shard(object: &IamObject<'_>, arn: &PolicyArn, live: &LivePolicy) -> Option<String> {
    object.context.scope.as_ref()?;
    let roles = object.account.roles.values().filter_map(Observed::present);
    let here: usize = roles.map(|role| uses(&role.role, arn)).sum();
    let all = live.uses();
    (all > here).then(|| {
        format!(
            "its document is used outside this shard too ({all} uses, {here} of them here), so only a run without \
             `--shard` changes it"
        )
    })
}

/// How often this role uses the policy, as IAM counts: one if the policy is attached, and one if it is the boundary
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_Policy.html>).
fn uses(role: &Role, arn: &PolicyArn) -> usize {
    usize::from(role.attached.contains(arn)) + usize::from(role.permissions_boundary.as_ref() == Some(arn))
}

/// Why roles must not attach a policy of another shard yet. Its live document may allow what the declared document no
/// longer allows, and new principals would get these permissions.
pub(crate) fn not_ready_in_other_shard(
    context: &PlanContext<'_>,
    account: &Key,
    key: &Key,
    address: &Address,
) -> Option<BlockedBy> {
    let declared = context.desired.policies.get(&(account.clone(), key.clone()))?;
    let live = context.policy_by_name(account, &declared.name.lower_case()).map(|(_, live)| live);
    match listed(live, &context.account(account)?.policies_listed) {
        Observed::Present(live) if live.policy.document == declared.document => None,
        Observed::Unknown(_) => Some(BlockedBy::Unknown),
        Observed::Present(_) | Observed::Absent => Some(BlockedBy::Waits(context.waits_for_shard(address))),
    }
}

/// Records the change that another shard will make to a policy, so that `write_order` defers the calls that must come
/// after it.
pub(crate) fn defer_change_of_other_shard(
    context: &PlanContext<'_>,
    draft: &mut Draft,
    (account, key): (&Key, &Key),
    address: &Address,
) {
    let Some(declared) = context.desired.policies.get(&(account.clone(), key.clone())) else { return };
    let found = context.policy_by_name(account, &declared.name.lower_case());
    let Some((arn, Observed::Present(live))) = found else { return };
    let (from, to) = (live.policy.document.clone(), declared.document.clone());
    let after = ManagedPolicy { document: to.clone(), ..live.policy.clone() };
    if let Some(change) = Change::update(&live.policy, &after) {
        let call = IamCall::CreatePolicyVersion { arn: arn.clone(), from, to };
        draft.add_deferred(address, ResourceChange::Policy(change), [Call::Iam(account.clone(), call)]);
        draft.blocked.entry(address.clone()).or_insert_with(|| BlockedBy::Waits(context.waits_for_shard(address)));
    }
}

/// Plans every undeclared policy with the owner tag. With `--destroy`, also the declared policies.
pub(crate) fn plan_undeclared(context: &PlanContext<'_>, draft: &mut Draft) {
    for (account_key, account) in context.accounts() {
        for (arn, live) in &account.policies {
            let address = context.address_of_live_policy(account_key, arn);
            if matches!(address, Address::Policy { .. }) && !context.options.destroy {
                continue;
            }
            match live {
                Observed::Present(live) if context.is_ours(&live.policy.tags) => {
                    undeclared(draft, &IamObject { context, address, account_key, account }, arn, live);
                }
                Observed::Unknown(why) => draft.object_unknown(&address, why.clone()),
                Observed::Present(_) | Observed::Absent => {}
            }
        }
    }
}

fn undeclared(draft: &mut Draft, object: &IamObject<'_>, arn: &PolicyArn, live: &LivePolicy) {
    let before = live.policy.clone();
    object.count_as_managed(draft);
    if object.is_forgotten(&before.tags) {
        let after = ManagedPolicy { tags: without_own_tags(&before.tags), ..before.clone() };
        let calls = tag_policy(arn, &before.tags, &after.tags);
        let change = ResourceChange::Policy(Change::Update { before, after });
        return object.step(draft, change, calls, [], vec![FORGET.to_owned()]);
    }
    let mut detached = 0;
    let mut needs = Vec::new();
    for step in draft.steps.values() {
        let Some(change) = step.change.as_role() else { continue };
        let [had, has] = [change.before(), change.after()].map(|role| role.map_or(0, |role| uses(role, arn)));
        if had > has {
            detached += had - has;
            needs.push(step.address.clone());
        }
    }
    let objection =
        delete_forbidden_by_tags(object.context, &before.tags).or_else(|| in_use(&object.address, arn, live, detached));
    let versions = live.other_versions.iter();
    let calls = versions.map(|version| IamCall::DeletePolicyVersion { arn: arn.clone(), version: version.clone() });
    let calls = calls.chain([IamCall::DeletePolicy { arn: arn.clone() }]).collect();
    object.delete(draft, ResourceChange::Policy(Change::Delete { before }), calls, needs, objection);
}

fn in_use(address: &Address, arn: &PolicyArn, live: &LivePolicy, detached: usize) -> Option<Refusal> {
    let uses = if live.uses() == 1 { "use" } else { "uses" };
    (live.uses() > detached).then(|| {
        RefusalKind::StillAttached.because(
            format!(
                "it has {} {uses} (attached, or as a permissions boundary), of which this plan ends {detached}",
                live.uses()
            ),
            format!(
                "detach it from all that `aws iam list-entities-for-policy --policy-arn {arn}` lists, or keep the \
                 policy with `forget = [\"{address}\"]`"
            ),
        )
    })
}

impl PlanFields for ManagedPolicy {
    const FIELD_TYPES: FieldTypes = &[
        ("name", FieldType::Text),
        ("path", FieldType::Text),
        ("description", FieldType::Text),
        ("document", FieldType::Document),
        ("tags", FieldType::StringMap),
    ];

    fn values(&self) -> Vec<FieldValue<'_>> {
        let Self { name, path, description, document, tags } = self;
        let [name, path, description] = [name.as_str(), path.as_str(), description].map(FieldValue::Text);
        vec![name, path, description, FieldValue::Document(document), FieldValue::strings(tags)]
    }
}
