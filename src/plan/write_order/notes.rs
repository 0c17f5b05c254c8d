//! The notes on an order: who loses access for a moment (`dips`), and whose sessions outlast a narrower trust policy
//! (`sessions-live-on`).

use super::Order;
use super::calls::{AffectedRole, Calls, SplitCall};
use super::edges::are_of_one_field;
use super::effects::Factor;
use crate::model::call::{FieldWrite, Target};
use crate::model::note::Severity;
use crate::model::resource::Role;
use crate::plan::context::PlanContext;
use crate::plan::draft::Draft;
use crate::policy::trust::SUBJECT_PREFIX;
use crate::policy::{PolicyDocument, permission_effects, trust_effects};
use std::collections::{BTreeMap, BTreeSet};

/// The most names in a note.
const MAX_NAMES: usize = 3;

pub(super) fn add(context: &PlanContext<'_>, draft: &mut Draft, calls: &Calls, order: &Order) {
    let mut notes: Vec<(usize, String)> = Vec::new();
    let mut note = |object: usize, text: String| notes.push((object, text));
    denied(calls, &mut note);
    missing(calls, order, &mut note);
    reworded(calls, &mut note);
    for object in &order.briefly_unusable {
        note(
            *object,
            "for a moment pods cannot use it, because every safe order of the calls has such a moment".to_owned(),
        );
    }
    for (object, text) in notes {
        draft.note(&calls.objects[object].address, Severity::Medium, "dips", None, text);
    }
    for (object, text) in sessions(context, calls, order) {
        draft.note(&calls.objects[object].address, Severity::Medium, "sessions-live-on", None, text);
    }
    for (object, why) in &order.at_quota {
        if let Some(step) = draft.steps.get_mut(&calls.objects[*object].address) {
            step.reasons.push(format!("at a quota ({why}): irsa removes old policies before it adds new ones"));
        }
    }
}

/// Roles that deny everything for a moment.
fn denied(calls: &Calls, note: &mut impl FnMut(usize, String)) {
    for role in calls.roles.iter().filter(|role| role.deny.is_some_and(|deny| deny.put.is_some())) {
        let Some(object) = role.object.filter(|_| somebody_stays(role)) else { continue };
        let text = "for a moment nobody can do anything with it: no order of its calls is safe, so the inline policy \
                    `irsa-transition` denies everything until the last call";
        note(object, text.to_owned());
    }
}

/// Roles in which a call that removes permissions comes before a call that adds some of them in another policy.
fn missing(calls: &Calls, order: &Order, note: &mut impl FnMut(usize, String)) {
    let mut missing: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for gap in &order.gaps {
        let role = &calls.roles[gap.role];
        let allows =
            calls.effects(gap.first).gives_in(Factor::Allows) && calls.effects(gap.second).takes_in(Factor::Allows);
        let Some(object) = role.object.filter(|_| somebody_stays(role)) else { continue };
        if !allows || may_overlap(calls, gap.first, gap.second) {
            let text = format!("{} changes before {}", name(calls, gap.second), name(calls, gap.first));
            missing.entry(object).or_default().insert(text);
        }
    }
    for (object, pairs) in missing {
        note(object, format!("for a moment it lacks permissions that it has before and after: {}", list(pairs)));
    }
}

/// Split documents whose old and new value may allow the same thing in different words. The document between them has
/// only the statements that both write in the same way, so these permissions may be missing for a moment.
fn reworded(calls: &Calls, note: &mut impl FnMut(usize, String)) {
    let mut reworded: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (first, node) in calls.nodes.iter().enumerate().filter(|(_, node)| node.split == SplitCall::Taking) {
        let [Some(old), Some(middle)] = [false, true].map(|after| document(calls, first, after)) else { continue };
        let mut others = calls.nodes.iter().enumerate();
        let second = others.find(|(other, it)| {
            it.object == node.object && it.split == SplitCall::Giving && are_of_one_field(calls, first, *other)
        });
        let Some(new) = second.and_then(|(second, _)| document(calls, second, true)) else { continue };
        if permission_effects::between(Some(&old), Some(&middle)).allow_leaves
            && permission_effects::between(Some(&middle), Some(&new)).allow_arrives
        {
            reworded.entry(node.object).or_default().push(name(calls, first));
        }
    }
    for (object, names) in reworded {
        let text = format!(
            "irsa writes {} in two steps. Between them, permissions may be missing that both documents give in \
             different words",
            list(names)
        );
        note(object, text);
    }
}

/// Whether somebody can assume the role both before and after the plan.
fn somebody_stays(role: &AffectedRole) -> bool {
    match (&role.before, &role.after) {
        (Some(before), Some(after)) => {
            before.trust == after.trust || trust_effects::intersect(&before.trust, &after.trust).is_some()
        }
        _ => false,
    }
}

/// Whether a call may remove a permission that another call adds.
pub(super) fn may_overlap(calls: &Calls, adds: usize, removes: usize) -> bool {
    match (document(calls, adds, true), document(calls, removes, false)) {
        (Some(new), Some(old)) => permission_effects::may_overlap(&old, &new),
        _ => true,
    }
}

/// The document of the policy that a call writes, attaches or detaches, as it is after the call or before it. A deleted
/// inline policy has only the document before.
fn document(calls: &Calls, node: usize, after: bool) -> Option<PolicyDocument> {
    let side = |from, to| if after { to } else { from };
    match calls.iam(node)?.write() {
        FieldWrite::Inline(_, from, None) => from.cloned(),
        FieldWrite::Inline(_, from, to) => side(from, to).cloned(),
        FieldWrite::Document(from, to) => side(Some(from), Some(to)).cloned(),
        FieldWrite::Attach(arn) | FieldWrite::Detach(arn) => {
            calls.documents.possible(arn, after).first().copied().flatten().cloned()
        }
        _ => None,
    }
}

/// What a call writes, in a note.
fn name(calls: &Calls, node: usize) -> String {
    let Some(call) = &calls.nodes[node].call else { return "a call that irsa does not know yet".to_owned() };
    match call.iam().map(|(_, call)| (call.write(), call.target())) {
        Some((FieldWrite::Inline(policy, ..), _)) => format!("inline policy `{policy}`"),
        Some(
            (FieldWrite::Attach(arn) | FieldWrite::Detach(arn), _) | (FieldWrite::Document(..), Target::Policy(arn)),
        ) => format!("policy `{}`", arn.name()),
        _ => format!("`{}`", call.operation()),
    }
}

fn list(names: impl IntoIterator<Item = String>) -> String {
    let names: Vec<String> = names.into_iter().collect();
    match names.len().checked_sub(MAX_NAMES) {
        Some(more) if more > 0 => format!("{} and {more} more", names[..MAX_NAMES].join(", ")),
        _ => names.join(", "),
    }
}

/// Notes roles that lose a principal and gain permissions, because sessions that started before get these permissions
/// too.
fn sessions(context: &PlanContext<'_>, calls: &Calls, order: &Order) -> impl Iterator<Item = (usize, String)> {
    let changed: BTreeSet<usize> = order.sorted.iter().map(|node| calls.nodes[*node].object).collect();
    let note = move |(role, nodes): (&AffectedRole, Vec<(usize, super::effects::Effects)>)| {
        let object = role.object.filter(|object| changed.contains(object))?;
        let (before, after) = (role.before.as_ref()?, role.after.as_ref()?);
        let permissions = [Factor::Allows, Factor::Denies, Factor::Boundary, Factor::Tags];
        let grows = nodes.iter().filter(|(node, effects)| {
            !calls.is_deferred(*node) && permissions.iter().any(|factor| effects.gives_in(*factor))
        });
        let given: BTreeSet<String> = grows.map(|(node, _)| name(calls, *node)).collect();
        if given.is_empty() || !trust_effects::between(&before.trust, &after.trust).loses {
            return None;
        }
        let text = format!(
            "{} can no longer assume it, but running sessions last up to {} and also get the new permissions: {}",
            leavers(context, before, after),
            hours(before.max_session_duration),
            list(given)
        );
        Some((object, text))
    };
    calls.roles.iter().zip(calls.by_role()).filter_map(note)
}

/// The principals that the role no longer trusts.
fn leavers(context: &PlanContext<'_>, before: &Role, after: &Role) -> String {
    let kept = trust_effects::grants(&after.trust);
    let left: BTreeSet<String> = trust_effects::grants(&before.trust)
        .difference(&kept)
        .map(|grant| {
            let issuer = grant.provider.host_path();
            let cluster = context.cluster_of(issuer).map_or(issuer, |(cluster, _)| cluster.as_str());
            let subject = grant.subject.strip_prefix(SUBJECT_PREFIX).unwrap_or(&grant.subject);
            format!("`{cluster} {}`", subject.replacen(':', "/", 1))
        })
        .collect();
    if left.is_empty() { "somebody".to_owned() } else { list(left) }
}

fn hours(seconds: u32) -> String {
    let (hours, minutes) = (seconds / 3600, seconds % 3600 / 60);
    if minutes == 0 { format!("{hours}h") } else { format!("{hours}h{minutes}m") }
}
