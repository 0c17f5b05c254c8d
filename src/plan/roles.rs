//! Declared roles against live ones.

use super::change::{Change, ResourceChange};
use super::context::{Blocked, Issuer, Owner, PlanContext};
use super::draft::{BlockedBy, Draft};
use super::file::FOREIGN_TRUST;
use super::parts;
use super::tags;
use crate::ids::{Key, PolicyArn};
use crate::model::address::{Address, Place};
use crate::model::call::Call;
use crate::model::desired::{self, Attachment, Boundary};
use crate::model::live::{LiveAccount, LiveRole, Observed};
use crate::model::note::Severity;
use crate::model::origin::Origin;
use crate::model::pattern::any_matches;
use crate::model::resource::{Role, StringMap};
use crate::policy::{PolicyDocument, budget, trust};
use std::collections::BTreeSet;

/// Plans every declared role.
pub(crate) fn plan(context: &PlanContext<'_>, draft: &mut Draft) {
    draft.par_for_each_role(context.desired, |draft, key, role| {
        let address = Address::role(key);
        if !context.has(&address) {
            return;
        }
        draft.depends(&address, dependencies(context, role));
        let Some(account) = context.account(&role.account) else {
            draft.hold(&address, BlockedBy::Unknown);
            return;
        };
        match account.roles.get(&role.name.case_insensitive()) {
            Some(Observed::Present(live)) => existing(context, draft, &address, role, account, live),
            Some(Observed::Absent) => missing(context, draft, &address, role, account),
            Some(Observed::Unknown(why)) => draft.unseen(&address, why.clone()),
            None => draft.unseen(&address, "it was not read"),
        }
    });
}

/// The providers and policies that a role needs.
fn dependencies(context: &PlanContext<'_>, role: &desired::Role) -> Vec<Address> {
    let providers = context
        .bindings(role)
        .map(|binding| Address::OidcProvider { account: role.account.clone(), cluster: binding.cluster.clone() });
    providers.chain(policies(role)).collect()
}

pub(crate) fn policies(role: &desired::Role) -> impl Iterator<Item = Address> {
    role.attach.iter().filter_map(|attachment| match attachment {
        Attachment::Declared(key) => Some(Address::Policy { account: role.account.clone(), key: key.clone() }),
        Attachment::Arn(_) => None,
    })
}

fn missing(
    context: &PlanContext<'_>,
    draft: &mut Draft,
    address: &Address,
    role: &desired::Role,
    account: &LiveAccount,
) {
    let trust = match context.grants(role) {
        Ok(grants) => trust::build(&grants, &role.extra_trust),
        Err(Blocked::Unknown(why)) => return draft.unseen(address, why),
        Err(Blocked::Missing(why)) => return draft.refuse(address, why, GONE_HINT),
    };
    let after = Role {
        name: role.name.clone(),
        path: role.path.clone(),
        description: role.description.clone(),
        max_session_duration: role.max_session_duration,
        permissions_boundary: match &role.permissions_boundary {
            Boundary::Policy(arn) => Some(arn.clone()),
            Boundary::Undeclared | Boundary::None => None,
        },
        tags: tags::wanted(context, address, &role.tags, role.prevent_destroy, &StringMap::new()),
        trust,
        attached: role.attach.iter().filter_map(|item| context.attachment_arn(&role.account, item)).collect(),
        inline: role.inline.clone(),
    };
    if let Some((why, hint)) = missing_policy(context, role, None, account).or_else(|| over_quota(&after, account)) {
        return draft.refuse(address, why, hint);
    }
    let calls = parts::create_role(&after);
    let reasons = vec![format!("declared at {}", role.origin), budget_line(&after, account)];
    let change = ResourceChange::Role(Box::new(Change::Create { after }));
    draft.step(address, change, iam(&role.account, calls), dependencies(context, role), reasons);
}

const GONE_HINT: &str = "correct the cluster's `name`, `region` and `account`, or declare it `state = \"gone\"`";

fn existing(
    context: &PlanContext<'_>,
    draft: &mut Draft,
    address: &Address,
    role: &desired::Role,
    account: &LiveAccount,
    live: &LiveRole,
) {
    let before = &live.role;
    let owner = context.owner(&before.tags);
    let adopted = context.may_adopt(&owner, &role.adopt);
    let grants = context.grants(role);
    let trust = match &grants {
        Ok(grants) => trust::build(grants, &role.extra_trust),
        // while an issuer is unknown or its cluster is not found, trust stays as it is
        Err(_) => before.trust.clone(),
    };
    if grants.is_err() {
        draft.trust_unknown.insert(address.clone());
    }
    let trust_changes = before.trust != trust;
    let after = wanted(context, address, role, before, trust);
    let change = match (adopted, Change::from_to(before, &after)) {
        (false, change) => change,
        (true, _) => Some(Change::Adopt { before: before.clone(), after: after.clone() }),
    };
    if owner == Owner::Ours {
        draft.ours.push((address.clone(), Place::Account(role.account.clone())));
        draft.declared_live = true;
    }
    let refusal = objection(context, role, before, &after, (&owner, adopted))
        .or_else(|| missing_policy(context, role, Some(before), account))
        .or_else(|| over_quota(&after, account));
    let verb = if adopted { "taken over" } else { "differs from its declaration" };
    let mut reasons = vec![format!("{verb}, declared at {}", role.origin)];
    reasons.extend(trust_changes.then(|| budget_line(&after, account)));
    if let Some((why, hint)) = refusal {
        if let Some(change) = change {
            let calls = iam(&role.account, parts::update_role(before, &after));
            let change = ResourceChange::Role(Box::new(change));
            if owner == Owner::Ours || adopted {
                draft.step(address, change, calls, [], reasons);
                return draft.refuse_step(address, why, hint);
            }
            // what others own is theirs: how it differs from our declaration is nobody's concern
            draft.would_do(address, change, calls);
        }
        return draft.refuse(address, why, hint);
    }
    if role.name != before.name {
        name_kept(draft, address, &role.origin, (before.name.as_str(), role.name.as_str()));
    }
    if role.path != before.path {
        let text = format!("the live role keeps its path `{}`; new roles get `{}`", before.path, role.path);
        draft.note(address, Severity::Info, "path-kept", Some(&role.origin), text);
    }
    match &grants {
        Ok(_) => {}
        Err(Blocked::Unknown(_)) => draft.hold(address, BlockedBy::Unknown),
        Err(Blocked::Missing(_)) => draft.hold(address, BlockedBy::Refused),
    }
    let Some(change) = change else {
        draft.know(address);
        if !draft.held.contains_key(address) {
            draft.matches(address);
        }
        return;
    };
    let needs = needs(context, role, before, &after);
    let calls = iam(&role.account, parts::update_role(before, &after));
    draft.step(address, ResourceChange::Role(Box::new(change)), calls, needs, reasons);
}

/// Why an existing role must not be brought to its declared state, and what to do.
fn objection(
    context: &PlanContext<'_>,
    role: &desired::Role,
    before: &Role,
    after: &Role,
    (owner, adopted): (&Owner, bool),
) -> Option<(String, String)> {
    if *owner != Owner::Ours && !adopted {
        return Some(foreign(context, &format!("role `{}`", before.name), owner));
    }
    if role.path_declared && role.path != before.path {
        let why = format!(
            "the live role has path `{}`, declared is `{}`, and IAM cannot move a role",
            before.path, role.path
        );
        return Some((why, "declare the live path, or give the role a new `name`".to_owned()));
    }
    if before.trust == after.trust { None } else { lost_issuer(context, role, &before.trust, &after.trust) }
}

/// The role as it should be, given what it is.
fn wanted(
    context: &PlanContext<'_>,
    address: &Address,
    role: &desired::Role,
    before: &Role,
    trust: PolicyDocument,
) -> Role {
    let Role {
        name,
        path,
        description: _,
        max_session_duration: _,
        permissions_boundary,
        tags: live_tags,
        trust: _,
        attached,
        inline: _,
    } = before;
    let kept = attached.iter().filter(|arn| any_matches(&role.ignore_attached, arn.as_str())).cloned();
    Role {
        name: name.clone(),
        path: path.clone(),
        description: role.description.clone(),
        max_session_duration: role.max_session_duration,
        permissions_boundary: match &role.permissions_boundary {
            Boundary::Undeclared => permissions_boundary.clone(),
            Boundary::None => None,
            Boundary::Policy(arn) => Some(arn.clone()),
        },
        tags: tags::wanted(context, address, &role.tags, role.prevent_destroy, live_tags),
        trust,
        attached: role
            .attach
            .iter()
            .filter_map(|item| context.attachment_arn(&role.account, item))
            .chain(kept)
            .collect::<BTreeSet<_>>(),
        inline: role.inline.clone(),
    }
}

/// Says that a live object keeps its name: IAM takes two names that differ in case for one, and keeps the first spelling
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-names>).
pub(crate) fn name_kept(draft: &mut Draft, address: &Address, origin: &Origin, (live, declared): (&str, &str)) {
    let text =
        format!("IAM keeps the spelling `{live}`: it does not tell names apart by case, so `{declared}` is the same");
    draft.note(address, Severity::Info, "name-kept", Some(origin), text);
}

/// An issuer of ours, which no declared cluster has, that the role would cease to trust.
fn lost_issuer(
    context: &PlanContext<'_>,
    role: &desired::Role,
    before: &PolicyDocument,
    after: &PolicyDocument,
) -> Option<(String, String)> {
    let kept = after.federated_issuers();
    before
        .federated_issuers()
        .into_iter()
        .filter(|issuer| !kept.contains(issuer))
        .find_map(|issuer| context.stray(&role.account, &issuer))
}

/// Refuses an object that exists and is not ours.
pub(crate) fn refuse_foreign(
    context: &PlanContext<'_>,
    draft: &mut Draft,
    address: &Address,
    what: &str,
    owner: &Owner,
) {
    let (why, hint) = foreign(context, what, owner);
    draft.refuse(address, why, hint);
}

fn foreign(context: &PlanContext<'_>, what: &str, owner: &Owner) -> (String, String) {
    let flag = if context.options.report_only { "" } else { " or `--adopt`" };
    match owner {
        Owner::Other(owner) => (
            format!("{what} exists and belongs to owner `{owner}`"),
            format!("use another `name`, or set `adopt-from = \"{owner}\"` once that configuration has let it go"),
        ),
        Owner::Ours | Owner::Nobody => (
            format!("{what} exists and carries no owner"),
            format!("use another `name`, or take it over with `adopt = true`{flag}"),
        ),
    }
}

/// A policy that the role comes to have, by its ARN, and that is not there.
fn missing_policy(
    context: &PlanContext<'_>,
    role: &desired::Role,
    before: Option<&Role>,
    account: &LiveAccount,
) -> Option<(String, String)> {
    let is_missing = |arn: &&PolicyArn| {
        account.foreign_policies.get(*arn) == Some(&Observed::Absent) && !context.is_declared(&role.account, arn)
    };
    let attached = role.attach.iter().filter_map(|item| match item {
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
    Some((
        format!("policy `{arn}`, {what} at {origin}, does not exist"),
        "correct the ARN, or make the policy first; one of yours can be declared under `[policies]`".to_owned(),
    ))
}

/// What AWS would refuse of a role, and what to do.
fn over_quota(after: &Role, account: &LiveAccount) -> Option<(String, String)> {
    let quotas = &account.quotas;
    let size = after.trust.size();
    if after.trust.statements().is_empty() && after.trust.is_parsed() {
        let hint = "bind it to a ServiceAccount, or remove the role";
        return Some(("its trust policy would have no statement".to_owned(), hint.to_owned()));
    }
    if let Some(advice) = budget::trust_advice(size, quotas.trust_size) {
        let why = format!("its trust policy has {size} characters, the quota is {}", quotas.trust_size);
        return Some((why, advice));
    }
    if after.attached.len() > quotas.attached_per_role {
        let why =
            format!("it has {} attached policies, the quota is {}", after.attached.len(), quotas.attached_per_role);
        return Some((why, "merge policies, or ask AWS for a higher quota".to_owned()));
    }
    let inline: usize = after.inline.values().map(PolicyDocument::size).sum();
    if inline > quotas.inline_size {
        let why = format!("its inline policies have {inline} characters, the quota is {}", quotas.inline_size);
        return Some((why, "move statements into a policy under `[policies]`".to_owned()));
    }
    None
}

fn budget_line(after: &Role, account: &LiveAccount) -> String {
    format!("trust policy: {} of {} characters", after.trust.size(), account.quotas.trust_size)
}

/// The steps that must come before an update: providers that it begins to trust, policies that it begins to attach.
fn needs(context: &PlanContext<'_>, role: &desired::Role, before: &Role, after: &Role) -> Vec<Address> {
    let trusted = before.trust.federated_issuers();
    let providers = context.bindings(role).filter_map(|binding| {
        let Issuer::Known(issuer) = context.issuer(&binding.cluster) else { return None };
        let new = !trusted.contains(issuer.host_path()) || before.trust != after.trust;
        new.then(|| Address::OidcProvider { account: role.account.clone(), cluster: binding.cluster.clone() })
    });
    let policies = role.attach.iter().filter_map(|attachment| {
        let Attachment::Declared(key) = attachment else { return None };
        let arn = context.attachment_arn(&role.account, attachment)?;
        (!before.attached.contains(&arn)).then(|| Address::Policy { account: role.account.clone(), key: key.clone() })
    });
    providers.chain(policies).collect()
}

/// Calls of one account.
pub(crate) fn iam(
    account: &Key,
    calls: impl IntoIterator<Item = crate::model::call::IamCall>,
) -> impl Iterator<Item = Call> {
    calls.into_iter().map(move |call| Call::Iam(account.clone(), call))
}

/// Undeclared, unowned roles that trust our clusters: worth knowing, never touched. A shard does not know whose they are.
pub(crate) fn note_strangers(context: &PlanContext<'_>, draft: &mut Draft) {
    if context.scope.is_some() {
        return;
    }
    for key in context.desired.accounts.keys() {
        let Some(account) = context.account(key) else { continue };
        for summary in account.role_list.present().into_iter().flatten() {
            let folded = summary.name.case_insensitive();
            let owned = account.roles.get(&folded).and_then(Observed::present);
            if context.declared_role(key, &folded).is_some()
                || owned.is_some_and(|role| context.owner(&role.role.tags) == Owner::Ours)
            {
                continue;
            }
            let issuers = summary.trust.federated_issuers();
            let clusters: BTreeSet<&Key> =
                issuers.iter().filter_map(|issuer| Some(context.cluster_of(issuer)?.0)).collect();
            let account =
                if context.desired.accounts.len() > 1 { format!(" of account `{key}`") } else { String::new() };
            for cluster in clusters {
                let text = format!("role `{}`{account} is not ours and can be assumed from `{cluster}`", summary.name);
                draft.note(&format!("cluster/{cluster}"), Severity::Info, FOREIGN_TRUST, None, text);
            }
        }
    }
}
