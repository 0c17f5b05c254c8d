//! Declared customer managed policies against live ones.

use super::change::{Change, ResourceChange};
use super::context::{Owner, PlanContext};
use super::draft::{BlockedBy, Draft};
use super::other_shards;
use super::parts::{self, TagCalls};
use super::roles::{iam, name_kept, refuse_foreign};
use super::tags;
use crate::ids::{Key, PolicyArn};
use crate::model::address::{Address, Place};
use crate::model::call::IamCall;
use crate::model::desired;
use crate::model::live::{LiveAccount, LivePolicy, Observed};
use crate::model::note::Severity;
use crate::model::resource::{ManagedPolicy, StringMap};

pub(crate) struct PolicyTags<'a>(pub &'a PolicyArn);

impl TagCalls for PolicyTags<'_> {
    fn tag(&self, from: StringMap, to: StringMap) -> IamCall {
        IamCall::TagPolicy { arn: self.0.clone(), from, to }
    }

    fn untag(&self, from: StringMap) -> IamCall {
        IamCall::UntagPolicy { arn: self.0.clone(), from }
    }
}

/// Plans every declared policy.
pub(crate) fn plan(context: &PlanContext<'_>, draft: &mut Draft) {
    for ((key, name), policy) in &context.desired.policies {
        let address = Address::Policy { account: key.clone(), key: name.clone() };
        if !context.has(&address) {
            continue;
        }
        let Some(account) = context.account(key) else {
            draft.hold(&address, BlockedBy::Unknown);
            continue;
        };
        match context.policy_by_name(key, &policy.name.case_insensitive()) {
            Some((arn, Observed::Present(live))) => {
                existing(context, draft, &address, (key, policy), account, (arn, live));
            }
            Some((_, Observed::Unknown(why))) => draft.unseen(&address, why.clone()),
            Some((_, Observed::Absent)) => missing(context, draft, &address, key, policy),
            None => match &account.policies_listed {
                Observed::Unknown(why) => draft.unseen(&address, why.clone()),
                Observed::Present(()) | Observed::Absent => missing(context, draft, &address, key, policy),
            },
        }
    }
}

fn missing(context: &PlanContext<'_>, draft: &mut Draft, address: &Address, key: &Key, policy: &desired::Policy) {
    let Some(place) = context.desired.accounts.get(key) else { return };
    let after = ManagedPolicy {
        name: policy.name.clone(),
        path: policy.path.clone(),
        description: policy.description.clone(),
        document: policy.document.clone(),
        tags: tags::wanted(context, address, &policy.tags, policy.prevent_destroy, &StringMap::new()),
    };
    let arn = PolicyArn::of(&place.partition, &place.id, &policy.path, &policy.name);
    let call = IamCall::CreatePolicy { arn, policy: after.clone() };
    let reasons = vec![format!("declared at {}", policy.origin)];
    draft.step(address, ResourceChange::Policy(Change::Create { after }), iam(key, [call]), [], reasons);
}

fn existing(
    context: &PlanContext<'_>,
    draft: &mut Draft,
    address: &Address,
    (key, policy): (&Key, &desired::Policy),
    account: &LiveAccount,
    (arn, live): (&PolicyArn, &LivePolicy),
) {
    let before = &live.policy;
    let owner = context.owner(&before.tags);
    let adopted = context.may_adopt(&owner, &policy.adopt);
    let ManagedPolicy { name, path, description, document: _, tags: live_tags } = before;
    let after = ManagedPolicy {
        name: name.clone(),
        path: path.clone(),
        description: description.clone(),
        document: policy.document.clone(),
        tags: tags::wanted(context, address, &policy.tags, policy.prevent_destroy, live_tags),
    };
    let change = match (adopted, Change::from_to(before, &after)) {
        (false, change) => change,
        (true, _) => Some(Change::Adopt { before: before.clone(), after: after.clone() }),
    };
    let (calls, remarks) = update(arn, live, &after, account);
    let verb = if adopted { "taken over" } else { "differs from its declaration" };
    let mut reasons = vec![format!("{verb}, declared at {}", policy.origin)];
    reasons.extend(remarks);
    if owner == Owner::Ours {
        draft.ours.push((address.clone(), Place::Account(key.clone())));
        draft.declared_live = true;
    } else if !adopted {
        would_do(draft, address, key, change, calls);
        return refuse_foreign(context, draft, address, &format!("policy `{}`", before.name), &owner);
    }
    if policy.name != before.name {
        name_kept(draft, address, &policy.origin, (before.name.as_str(), policy.name.as_str()));
    }
    if policy.path != before.path {
        let text = format!("the live policy keeps its path `{}`; new ones get `{}`", before.path, policy.path);
        draft.note(address, Severity::Info, "path-kept", Some(&policy.origin), text);
    }
    if after.document.size() > account.quotas.managed_size {
        let why = format!("it has {} characters, the quota is {}", after.document.size(), account.quotas.managed_size);
        if let Some(change) = change {
            draft.step(address, ResourceChange::Policy(change), iam(key, calls), [], reasons);
        }
        return draft.refuse_step(address, why, "split it into two policies");
    }
    let Some(change) = change else { return draft.matches(address) };
    if before.document != after.document
        && let Some(why) = other_shards::shared(context, key, arn, live)
    {
        would_do(draft, address, key, Some(change), calls);
        return draft.wait(address, Some(&policy.origin), why);
    }
    draft.step(address, ResourceChange::Policy(change), iam(key, calls), [], reasons);
}

fn would_do(
    draft: &mut Draft,
    address: &Address,
    key: &Key,
    change: Option<Change<ManagedPolicy>>,
    calls: Vec<IamCall>,
) {
    if let Some(change) = change {
        draft.would_do(address, ResourceChange::Policy(change), iam(key, calls));
    }
}

/// The calls of an update, and what is worth saying of them.
fn update(
    arn: &PolicyArn,
    live: &LivePolicy,
    after: &ManagedPolicy,
    account: &LiveAccount,
) -> (Vec<IamCall>, Vec<String>) {
    let before = &live.policy;
    let mut calls = parts::tags(&before.tags, &after.tags, &PolicyTags(arn));
    let mut remarks = Vec::new();
    if before.document != after.document {
        // the default version counts too; only as many go as must, the oldest first
        let keep = account.quotas.versions_per_policy.saturating_sub(2);
        let surplus = live.other_versions.len().saturating_sub(keep);
        for version in live.other_versions.iter().take(surplus) {
            remarks.push(format!("version `{version}` goes: IAM keeps {}", account.quotas.versions_per_policy));
            calls.push(IamCall::DeletePolicyVersion { arn: arn.clone(), version: version.clone() });
        }
        let (from, to) = (before.document.clone(), after.document.clone());
        calls.push(IamCall::CreatePolicyVersion { arn: arn.clone(), from, to });
    }
    (calls, remarks)
}
