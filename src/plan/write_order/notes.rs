//! What is worth saying of an order: who is without something for a moment, and whose sessions see what is added.

use super::Order;
use super::calls::{Calls, Half, Node, Viewer};
use super::effects::Factor;
use crate::model::address::Address;
use crate::model::call::{Call, IamCall};
use crate::model::note::Severity;
use crate::plan::context::PlanContext;
use crate::plan::draft::Draft;
use crate::policy::{PolicyDocument, permission_effects, trust_effects};
use std::collections::{BTreeMap, BTreeSet};

/// The most names in a note.
const NAMED: usize = 3;

pub(super) fn add(context: &PlanContext<'_>, draft: &mut Draft, calls: &Calls, order: &Order) {
    dips(draft, calls, order);
    sessions(context, draft, calls, order);
}

/// Who loses for a moment what they have before and after.
fn dips(draft: &mut Draft, calls: &Calls, order: &Order) {
    for viewer in calls.viewers.iter().filter(|viewer| viewer.denied.is_some_and(|(on, _)| on.is_some())) {
        let Some(object) = viewer.object.filter(|_| somebody_stays(viewer)) else { continue };
        let text = "for a moment nobody can do anything with it: no order of its calls keeps everybody to what they hold \
                    before or after, so the inline policy `irsa-transition` denies everything until the last of them";
        note(draft, calls, object, text);
    }
    let mut missed: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for (viewer, arrives, leaves) in &order.missed {
        let seen = &calls.viewers[*viewer];
        let kinds = [*arrives, *leaves].map(|node| calls.effects(node));
        let allows = kinds[0].gives_in(Factor::Allows) && kinds[1].takes_in(Factor::Allows);
        if let Some(object) =
            seen.object.filter(|_| somebody_stays(seen) && (!allows || overlap(calls, *arrives, *leaves)))
        {
            let names = [leaves, arrives].map(|node| words(calls, *node));
            missed.entry(object).or_default().insert(format!("{} before {}", names[0], names[1]));
        }
    }
    for (object, pairs) in missed {
        let pairs: Vec<String> = pairs.into_iter().collect();
        let text = format!("for a moment it is without what both ends allow: {}", short(&pairs));
        note(draft, calls, object, &text);
    }
    for (object, names) in exchanged(calls) {
        let text = format!(
            "{} first allows only what both ends allow in the same words, then the rest: what they allow in other words is \
             missing for a moment",
            short(&names)
        );
        note(draft, calls, object, &text);
    }
    for object in &order.parted {
        let text = "for a moment its ServiceAccounts cannot use it: what else changes does not wait for them";
        note(draft, calls, *object, text);
    }
    for (object, why) in &order.crowded {
        let address = &calls.objects[*object].address;
        if let Some(step) = draft.steps.get_mut(address) {
            step.reasons.push(format!("at a quota ({why}): what goes is removed before the new is added"));
        }
    }
}

/// Documents that are split and lose allows as well as gain some, by object.
fn exchanged(calls: &Calls) -> BTreeMap<usize, Vec<String>> {
    let mut all: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (position, node) in calls.nodes.iter().enumerate().filter(|(_, node)| node.half == Half::Taking) {
        let Some(from) = document(calls, position, false) else { continue };
        let Some(middle) = document(calls, position, true) else { continue };
        let last =
            calls.nodes.iter().enumerate().find(|(_, other)| {
                other.object == node.object && other.half == Half::Giving && same_field(node, other)
            });
        let end = last.and_then(|(last, _)| document(calls, last, true).filter(|end| *end != middle));
        let Some(end) = end else { continue };
        if permission_effects::between(Some(&from), Some(&middle)).allow_leaves
            && permission_effects::between(Some(&middle), Some(&end)).allow_arrives
        {
            all.entry(node.object).or_default().push(words(calls, position));
        }
    }
    all
}

fn same_field(one: &Node, other: &Node) -> bool {
    match (&one.call, &other.call) {
        (Some(Call::Iam(_, one)), Some(Call::Iam(_, other))) => one.field() == other.field(),
        _ => false,
    }
}

fn note(draft: &mut Draft, calls: &Calls, object: usize, text: &str) {
    let address = calls.objects[object].address.clone();
    draft.note(&address, Severity::Medium, "dips", None, text);
}

/// Whether anybody may use the role before and after.
fn somebody_stays(viewer: &Viewer) -> bool {
    match (&viewer.before, &viewer.after) {
        (Some(before), Some(after)) => {
            before.trust == after.trust || trust_effects::intersect(&before.trust, &after.trust).is_some()
        }
        _ => false,
    }
}

/// Whether something that a call takes away is something that another one brings.
pub(super) fn overlap(calls: &Calls, arrives: usize, leaves: usize) -> bool {
    let known = |node: usize, comes: bool| document(calls, node, comes);
    let (Some(new), Some(old)) = (known(arrives, true), known(leaves, false)) else { return true };
    permission_effects::may_overlap(&old, &new)
}

/// The document that comes or goes with a call.
fn document(calls: &Calls, node: usize, comes: bool) -> Option<PolicyDocument> {
    let Some(Call::Iam(_, call)) = &calls.nodes[node].call else { return None };
    match call {
        IamCall::PutInline { from, to, .. } => {
            if comes {
                Some(to.clone())
            } else {
                from.clone()
            }
        }
        IamCall::CreatePolicyVersion { from, to, .. } => Some(if comes { to } else { from }.clone()),
        IamCall::DeleteInline { from, .. } => Some(from.clone()),
        IamCall::Attach { arn, .. } | IamCall::Detach { arn, .. } => {
            calls.documents.met(arn, comes).first().copied().flatten().cloned()
        }
        _ => None,
    }
}

fn words(calls: &Calls, node: usize) -> String {
    match &calls.nodes[node].call {
        Some(Call::Iam(_, IamCall::PutInline { policy, .. } | IamCall::DeleteInline { policy, .. })) => {
            format!("inline policy `{policy}`")
        }
        Some(Call::Iam(
            _,
            IamCall::Attach { arn, .. } | IamCall::Detach { arn, .. } | IamCall::CreatePolicyVersion { arn, .. },
        )) => format!("policy `{}`", arn.name()),
        Some(call) => format!("`{}`", call.operation()),
        None => "what is not known".to_owned(),
    }
}

fn short(items: &[String]) -> String {
    match items.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!("{} and {more} more", items[..NAMED].join(", ")),
        _ => items.join(", "),
    }
}

/// Whose sessions, issued before trust is narrowed, see what is given to the role afterwards.
fn sessions(context: &PlanContext<'_>, draft: &mut Draft, calls: &Calls, order: &Order) {
    let by_viewer = calls.by_viewer();
    let mut notes: Vec<(Address, String)> = Vec::new();
    for (viewer, nodes) in calls.viewers.iter().zip(&by_viewer) {
        let (Some(object), Some(before), Some(after)) = (viewer.object, &viewer.before, &viewer.after) else {
            continue;
        };
        if !trust_effects::between(&before.trust, &after.trust).loses {
            continue;
        }
        let grows = |(node, effects): &&(usize, super::effects::Effects)| {
            !calls.is_held(*node)
                && [Factor::Allows, Factor::Denies, Factor::Boundary, Factor::Tags]
                    .iter()
                    .any(|it| effects.gives_in(*it))
        };
        let given: BTreeSet<String> = nodes.iter().filter(grows).map(|(node, _)| words(calls, *node)).collect();
        if given.is_empty() || !order.sorted.iter().any(|node| calls.nodes[*node].object == object) {
            continue;
        }
        let given: Vec<String> = given.into_iter().collect();
        let text = format!(
            "{} may no longer assume it, but sessions that were issued before live on for up to {} and see what comes now: {}",
            leavers(context, before, after),
            hours(before.max_session_duration),
            short(&given)
        );
        notes.push((calls.objects[object].address.clone(), text));
    }
    for (address, text) in notes {
        draft.note(&address, Severity::Medium, "sessions-live-on", None, text);
    }
}

fn leavers(
    context: &PlanContext<'_>,
    before: &crate::model::resource::Role,
    after: &crate::model::resource::Role,
) -> String {
    let kept = trust_effects::grants(&after.trust);
    let left: BTreeSet<String> = trust_effects::grants(&before.trust)
        .difference(&kept)
        .map(|grant| {
            let issuer = grant.provider.host_path();
            let cluster = context.cluster_of(issuer).map_or(issuer, |(cluster, _)| cluster.as_str());
            let subject = grant.subject.strip_prefix("system:serviceaccount:").unwrap_or(&grant.subject);
            format!("`{cluster} {}`", subject.replacen(':', "/", 1))
        })
        .collect();
    let left: Vec<String> = left.into_iter().collect();
    if left.is_empty() { "somebody".to_owned() } else { short(&left) }
}

fn hours(seconds: u32) -> String {
    let (hours, minutes) = (seconds / 3600, seconds % 3600 / 60);
    if minutes == 0 { format!("{hours}h") } else { format!("{hours}h{minutes}m") }
}
