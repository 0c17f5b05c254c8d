//! Plans declared roles: compares each with the live role, and refuses what irsa or AWS does not allow.

pub(crate) mod calls;
pub(crate) mod trusted_roles;
pub(crate) mod undeclared;

use super::change::{Change, ResourceChange};
use super::context::{Issuer, PlanContext, policy_address, provider_address};
use super::draft::{BlockedBy, Draft};
use super::field_diff::{FieldType, FieldTypes, FieldValue, PlanFields};
use super::iam::{IamObject, Ownership, note_name_and_path_kept};
use super::providers::refuse_lost_trust;
use crate::ids::PolicyArn;
use crate::model::address::Address;
use crate::model::desired::{self, Attachment, Boundary};
use crate::model::live::{LiveRole, Observed, Quotas};
use crate::model::pattern::any_matches;
use crate::model::refusal::{Refusal, RefusalKind};
use crate::model::resource::Role;
use crate::policy::{PolicyDocument, budget, trust};
use std::collections::BTreeSet;

/// Plans every declared role.
pub(crate) fn plan(context: &PlanContext<'_>, draft: &mut Draft) {
    draft.par_for_each_role(context.desired, |draft, key, role| {
        let address = Address::role(key);
        if !context.plans(&address) {
            return;
        }
        let Some(account) = context.account(&role.account) else {
            return draft.block(&address, BlockedBy::Unknown);
        };
        let object = IamObject { context, address, account_key: &role.account, account };
        match account.roles.get(&role.name.lower_case()) {
            Some(Observed::Present(live)) => existing(draft, &object, role, live),
            Some(Observed::Absent) => missing(draft, &object, role),
            Some(Observed::Unknown(why)) => draft.object_unknown(&object.address, why.clone()),
            None => draft.object_unknown(&object.address, "it was not read"),
        }
    });
}

/// The trust policy that the bindings need.
fn wanted_trust(context: &PlanContext<'_>, role: &desired::Role) -> Result<PolicyDocument, (BlockedBy, String)> {
    let grants = context.bindings(role).map(|binding| context.grant(role, binding));
    Ok(trust::build(&grants.collect::<Result<BTreeSet<_>, _>>()?, &role.extra_trust))
}

/// The role in its declared state. A live role keeps its name, its path, and the tags and policies that the
/// configuration ignores.
fn wanted(object: &IamObject<'_>, role: &desired::Role, live: Option<&Role>, trust: PolicyDocument) -> Role {
    let declared = role.attach.iter().filter_map(|item| object.context.attachment_arn(&role.account, item));
    let live_policies = live.into_iter().flat_map(|live| &live.attached);
    let ignored = live_policies.filter(|arn| any_matches(&role.ignore_attached, arn.as_str())).cloned();
    Role {
        name: live.map_or(&role.name, |live| &live.name).clone(),
        path: live.map_or(&role.path, |live| &live.path).clone(),
        description: role.description.clone(),
        max_session_duration: role.max_session_duration,
        permissions_boundary: match &role.permissions_boundary {
            Boundary::Undeclared => live.and_then(|live| live.permissions_boundary.clone()),
            Boundary::None => None,
            Boundary::Policy(arn) => Some(arn.clone()),
        },
        tags: object.wanted_tags(&role.tags, role.prevent_destroy, live.map(|live| &live.tags)),
        trust,
        attached: declared.chain(ignored).collect(),
        inline: role.inline.clone(),
    }
}

fn missing(draft: &mut Draft, object: &IamObject<'_>, role: &desired::Role) {
    let trust = match wanted_trust(object.context, role) {
        Ok(trust) => trust,
        Err((BlockedBy::Unknown, why)) => return draft.object_unknown(&object.address, why),
        Err((_, why)) => {
            let hint = "correct the cluster's `name`, `region` and `account`, or declare it `state = \"gone\"`";
            return draft.refuse(&object.address, RefusalKind::MissingCluster.because(why, hint));
        }
    };
    let after = wanted(object, role, None, trust);
    let quotas = &object.account.quotas;
    if let Some(refusal) = missing_policy(object, role, None).or_else(|| over_quota(&after, quotas)) {
        return draft.refuse(&object.address, refusal);
    }
    let calls = calls::create(&after);
    let reasons = vec![format!("declared at {}", role.origin), trust_size(&after, quotas)];
    let change = ResourceChange::Role(Box::new(Change::Create { after }));
    object.step(draft, change, calls, object.context.dependencies(role), reasons);
}

fn existing(draft: &mut Draft, object: &IamObject<'_>, role: &desired::Role, live: &LiveRole) {
    let (context, address, quotas) = (object.context, &object.address, &object.account.quotas);
    let before = &live.role;
    let (trust, blocked) = match wanted_trust(context, role) {
        Ok(trust) => (trust, None),
        Err((blocked, _)) => (before.trust.clone(), Some(blocked)),
    };
    if blocked.is_some() {
        draft.trust_unknown.insert(address.clone());
    }
    let trust_changes = before.trust != trust;
    let after = wanted(object, role, Some(before), trust);
    let (ownership, change) = object.compare(draft, (before, &after), &before.tags, &role.adopt);
    let unchanged = change.is_none();
    let change = change.map(|change| (ResourceChange::Role(Box::new(change)), calls::update(before, &after)));
    if let Ownership::Foreign(owner) = ownership {
        if let Some((change, calls)) = change {
            draft.add_deferred(address, change, object.calls(calls));
        }
        return object.refuse_foreign(draft, &format!("role `{}`", before.name), owner);
    }
    let refusal = path_differs(role, before)
        .or_else(|| trust_changes.then(|| lost_issuer(context, role, &before.trust, &after.trust)).flatten())
        .or_else(|| missing_policy(object, role, Some(before)))
        .or_else(|| over_quota(&after, quotas));
    if let Some((change, calls)) = change {
        let mut reasons = vec![format!("declared at {}", role.origin)];
        reasons.extend(trust_changes.then(|| trust_size(&after, quotas)));
        let needs = if refusal.is_none() { needs(context, role, before, &after) } else { Vec::new() };
        object.step(draft, change, calls, needs, reasons);
    }
    if let Some(refusal) = refusal {
        return draft.refuse_step(address, refusal);
    }
    let names = (before.name.as_str(), role.name.as_str());
    let paths = (before.path.as_str(), role.path.as_str());
    note_name_and_path_kept(draft, address, &role.origin, names, paths);
    match blocked {
        Some(blocked) => draft.block(address, blocked),
        None if unchanged => draft.unchanged(address),
        None => {}
    }
}

/// Refuses a role whose live path is not the declared one, because IAM cannot move a role.
fn path_differs(role: &desired::Role, before: &Role) -> Option<Refusal> {
    (role.path_declared && role.path != before.path).then(|| {
        let (live, declared) = (&before.path, &role.path);
        RefusalKind::RolePath.because(
            format!("the live role has path `{live}`, the declared path is `{declared}`, and IAM cannot move a role"),
            "declare the live path, or give the role a new `name`",
        )
    })
}

/// Refuses to remove trust in an issuer that no declared cluster has, but whose provider irsa manages.
fn lost_issuer(
    context: &PlanContext<'_>,
    role: &desired::Role,
    before: &PolicyDocument,
    after: &PolicyDocument,
) -> Option<Refusal> {
    let kept = after.federated_issuers();
    let before = before.federated_issuers();
    before.difference(&kept).find_map(|issuer| refuse_lost_trust(context, &role.account, issuer))
}

/// Refuses a role that names the ARN of a policy which does not exist.
fn missing_policy(object: &IamObject<'_>, role: &desired::Role, before: Option<&Role>) -> Option<Refusal> {
    let context = object.context;
    let is_declared = |arn: &PolicyArn| context.declared_policies(&role.account).any(|(_, other)| other == *arn);
    let is_missing =
        |arn: &PolicyArn| object.account.foreign_policies.get(arn) == Some(&Observed::Absent) && !is_declared(arn);
    let attached = role.attach.iter().filter_map(|attachment| match attachment {
        Attachment::Arn(arn) => Some((arn, "which it attaches")),
        Attachment::Declared(_) => None,
    });
    let attached = attached.filter(|(arn, _)| !before.is_some_and(|before| before.attached.contains(*arn)));
    let boundary = match &role.permissions_boundary {
        Boundary::Policy(arn) => Some((arn, "its permissions boundary")),
        Boundary::Undeclared | Boundary::None => None,
    };
    let boundary = boundary.filter(|(arn, _)| before.and_then(|role| role.permissions_boundary.as_ref()) != Some(*arn));
    let (arn, what) = attached.chain(boundary).find(|(arn, _)| is_missing(arn))?;
    let origin = role.policy_origins.get(arn).unwrap_or(&role.origin);
    Some(RefusalKind::NoPolicy.because(
        format!("policy `{arn}`, {what} at {origin}, does not exist"),
        "correct the ARN, or create the policy first, or declare it under `[policies]`",
    ))
}

/// Refuses a role that would exceed a quota of AWS, or that nobody could assume.
fn over_quota(after: &Role, quotas: &Quotas) -> Option<Refusal> {
    let size = after.trust.size();
    if after.trust.statements().is_empty() && after.trust.is_parsed() {
        let hint = "bind it to a ServiceAccount, or remove the role";
        return Some(RefusalKind::NoTrust.because("its trust policy would have no statement", hint));
    }
    if let Some(advice) = budget::trust_advice(size, quotas.trust_size) {
        let why = format!("its trust policy has {size} characters, but the quota is {}", quotas.trust_size);
        return Some(RefusalKind::TrustSize.because(why, advice));
    }
    let attached = after.attached.len();
    if attached > quotas.attached_per_role {
        let why = format!("it has {attached} attached policies, but the quota is {}", quotas.attached_per_role);
        return Some(RefusalKind::AttachedPolicies.because(why, "merge policies, or ask AWS for a higher quota"));
    }
    let inline: usize = after.inline.values().map(PolicyDocument::size).sum();
    if inline > quotas.inline_size {
        let why = format!("its inline policies have {inline} characters, but the quota is {}", quotas.inline_size);
        return Some(RefusalKind::InlineSize.because(why, "move statements into a policy under `[policies]`"));
    }
    None
}

fn trust_size(after: &Role, quotas: &Quotas) -> String {
    format!("trust policy: {} of {} characters", after.trust.size(), quotas.trust_size)
}

/// The objects whose steps must come before an update: all providers of the role if its trust policy changes, and the
/// policies that it newly attaches.
fn needs(context: &PlanContext<'_>, role: &desired::Role, before: &Role, after: &Role) -> Vec<Address> {
    let changes = before.trust != after.trust;
    let providers = context.bindings(role);
    let providers = providers.filter(|binding| changes && matches!(context.issuer(&binding.cluster), Issuer::Known(_)));
    let providers = providers.map(|binding| provider_address(&role.account, &binding.cluster));
    let policies = role.attach.iter().filter_map(|attachment| {
        let arn = context.attachment_arn(&role.account, attachment)?;
        policy_address(&role.account, attachment).filter(|_| !before.attached.contains(&arn))
    });
    providers.chain(policies).collect()
}

impl PlanFields for Role {
    const FIELD_TYPES: FieldTypes = &[
        ("name", FieldType::Text),
        ("path", FieldType::Text),
        ("description", FieldType::Text),
        ("max-session-duration", FieldType::Number),
        ("permissions-boundary", FieldType::TextOrNull),
        ("tags", FieldType::StringMap),
        ("trust", FieldType::Document),
        ("attached", FieldType::Texts),
        ("inline", FieldType::Documents),
    ];

    fn values(&self) -> Vec<FieldValue<'_>> {
        let Self { name, path, description, max_session_duration, permissions_boundary, tags, trust, attached, inline } =
            self;
        let [name, path, description] = [name.as_str(), path.as_str(), description].map(FieldValue::Text);
        let inline = inline.iter().map(|(name, document)| (name.as_str(), FieldValue::Document(document)));
        vec![
            name,
            path,
            description,
            FieldValue::Number(*max_session_duration),
            permissions_boundary.as_ref().map_or(FieldValue::Null, |arn| FieldValue::Text(arn.as_str())),
            FieldValue::strings(tags),
            FieldValue::Document(trust),
            FieldValue::Texts(attached.iter().map(PolicyArn::as_str).collect()),
            FieldValue::Map(inline.collect()),
        ]
    }
}
