//! Puts the calls of a plan in order, so that each removal of access comes before the additions that it must precede.
//!
//! During the run, nobody may have a permission that they have neither before nor after it, even if calls fail. A call
//! *takes* if it removes access to a role, and *gives* if it adds access. It does so in one or more *factors*: trust,
//! allows, denies, boundary, session length, tags, and the OIDC provider. Two rules apply to every role and every two
//! calls that affect it (`docs/write-order.md` has the proof):
//!
//! 1. A call that takes in one factor comes before a call that gives in another factor.
//! 2. Within denies, within boundary and within tags, a call that takes also comes before a call that gives.
//!
//! 3. (courtesy) Where rules 1 and 2 permit it, a new allow exists before irsa removes an old one, so that nobody loses
//!    access for a moment.
//!
//! Calls that must come after a deferred call are deferred as well. If the rules form a cycle, irsa splits a call that
//! takes and gives at once, or lets the role deny everything until its last call. If neither helps, irsa refuses the
//! changes.

mod calls;
mod deferred;
mod edges;
mod effects;
mod graph;
pub(crate) mod mutant;
mod notes;
mod quota;
mod split;

use super::context::PlanContext;
use super::draft::Draft;
use super::types::{Part, PartId, Step};
use crate::model::address::Address;
use crate::model::quoted::quoted;
use crate::model::refusal::{Refusal, RefusalKind};
use calls::Calls;
use edges::AccessGap;
use graph::{EdgeReason, Graph};
use mutant::Mutant;
use std::collections::{BTreeMap, BTreeSet};

/// Returns the steps of the draft in apply order. Each call names the calls of other steps that must have succeeded before.
pub(crate) fn arrange(context: &PlanContext<'_>, draft: &mut Draft) -> Vec<Step> {
    deferred::defer_dependents(draft);
    loop {
        if draft.steps.is_empty() {
            return Vec::new();
        }
        let mut calls = Calls::of(context, draft);
        let graph = edges::graph(&calls, draft, &BTreeSet::new(), &BTreeSet::new());
        if deferred::defer_followers(draft, &calls, &graph) {
            continue;
        }
        match order(context, draft, &mut calls) {
            Ok(order) => {
                notes::add(context, draft, &calls, &order);
                return steps(draft, &calls, &order);
            }
            Err(refused) => deferred::refuse(draft, refused),
        }
    }
}

/// An order of the calls that this run makes, and its costs.
struct Order {
    /// Positions of calls.
    sorted: Vec<usize>,
    graph: Graph,
    gaps: Vec<AccessGap>,
    /// Objects, mostly roles, that pods cannot use for a moment.
    briefly_unusable: BTreeSet<usize>,
    /// Objects that would exceed a quota if their calls did not free space first, and why.
    at_quota: BTreeMap<usize, String>,
}

/// Objects that one run cannot change safely.
struct NoSafeOrder {
    objects: BTreeSet<Address>,
    refusal: Refusal,
}

const TWO_STEPS: &str = "apply the change in two steps: first remove permissions, then add them";

fn order(context: &PlanContext<'_>, draft: &Draft, calls: &mut Calls) -> Result<Order, NoSafeOrder> {
    let (mut dropped, mut briefly_unusable) = (BTreeSet::new(), BTreeSet::new());
    let mut at_quota: BTreeMap<usize, String> = BTreeMap::new();
    loop {
        let mut graph = edges::graph(calls, draft, &dropped, &at_quota.keys().copied().collect());
        graph.retain(|first, second, _| !calls.is_deferred(first) && !calls.is_deferred(second));
        let cycles = graph.cycles();
        if !cycles.is_empty() {
            // the roles to which this pass added a deny for everything. One deny breaks every cycle of its role that a
            // deny can break, so a second one is not needed. The next pass refuses the cycles that stay
            let mut denied = BTreeSet::new();
            for cycle in cycles {
                break_cycle(context, calls, &graph, &cycle, (&mut dropped, &mut briefly_unusable, &mut denied))?;
            }
            continue;
        }
        let gaps = edges::add_before_remove(calls, &mut graph);
        let mut sorted = graph.sorted(|node| calls.rank(node));
        sorted.retain(|node| !calls.is_deferred(*node));
        let over = quota::exceeded(context, calls, &sorted);
        if over.keys().all(|object| at_quota.contains_key(object)) {
            return match over.into_iter().next() {
                None => Ok(Order { sorted, graph, gaps, briefly_unusable, at_quota }),
                Some((object, why)) => Err(NoSafeOrder {
                    objects: BTreeSet::from([calls.objects[object].address.clone()]),
                    refusal: RefusalKind::SizeOnTheWay
                        .because(why, "make room first, in a run of its own, or ask AWS for a higher quota"),
                }),
            };
        }
        at_quota.extend(over);
    }
}

/// Changes the calls, or drops a courtesy edge, so that a cycle loses one of its edges.
fn break_cycle(
    context: &PlanContext<'_>,
    calls: &mut Calls,
    graph: &Graph,
    cycle: &[usize],
    (dropped, briefly_unusable, denied): (&mut BTreeSet<(usize, usize)>, &mut BTreeSet<usize>, &mut BTreeSet<usize>),
) -> Result<(), NoSafeOrder> {
    if mutant::is_active(Mutant::NoSplit) {
        dropped.extend(cycle.iter().flat_map(|first| cycle.iter().map(|second| (*first, *second))));
        return Ok(());
    }
    if split::split(context, calls, cycle) {
        return Ok(());
    }
    let edges =
        cycle.iter().flat_map(|first| graph.after(*first).iter().map(|(next, reason)| (*first, *next, *reason)));
    let edges: Vec<(usize, usize, EdgeReason)> = edges.filter(|(_, next, _)| cycle.contains(next)).collect();
    let courtesy = edges.iter().filter(|(.., reason)| *reason == EdgeReason::Courtesy);
    if let Some((first, second, _)) =
        courtesy.max_by_key(|(first, second, _)| (calls.rank(*second), calls.rank(*first)))
    {
        let is_service_account = |node: &usize| calls.address_of(*node).is_in_cluster();
        let ends = [*first, *second];
        if ends.iter().any(is_service_account) {
            briefly_unusable
                .extend(ends.iter().filter(|node| !is_service_account(node)).map(|node| calls.nodes[*node].object));
        }
        dropped.insert((*first, *second));
        return Ok(());
    }
    let roles: BTreeSet<usize> = edges
        .iter()
        .filter_map(|(.., reason)| match reason {
            EdgeReason::TakeBeforeGive(role) => Some(*role),
            EdgeReason::Required | EdgeReason::ChangedDocument | EdgeReason::Courtesy => None,
        })
        .collect();
    if !denied.is_disjoint(&roles) {
        return Ok(());
    }
    if let Some(role) = roles.into_iter().find(|role| calls.deny_everything(*role)) {
        denied.insert(role);
        return Ok(());
    }
    let objects: BTreeSet<Address> = cycle.iter().map(|node| calls.address_of(*node).clone()).collect();
    let all = quoted(&objects).join(", ");
    let refusal = if edges.iter().all(|(.., reason)| *reason == EdgeReason::Required) {
        let why = format!("{all} need each other, so none of them can come first");
        RefusalKind::Circle.because(why, "create one of them first, without its reference to another")
    } else {
        let why = format!(
            "every order of the calls on {all} gives somebody access for a moment that they have neither before nor after"
        );
        RefusalKind::NoSafeOrder.because(why, TWO_STEPS)
    };
    Err(NoSafeOrder { objects, refusal })
}

/// Takes the steps out of the draft, and puts their calls in this order.
fn steps(draft: &mut Draft, calls: &Calls, order: &Order) -> Vec<Step> {
    // for each call, its position in its step, and the calls of other objects that come right before it
    let mut part = vec![0; calls.nodes.len()];
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); calls.nodes.len()];
    let mut parts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut objects = Vec::new();
    for node in &order.sorted {
        let object = calls.nodes[*node].object;
        let own = parts.entry(object).or_default();
        if own.is_empty() {
            objects.push(object);
        }
        part[*node] = own.len();
        own.push(*node);
        for (next, _) in order.graph.after(*node) {
            if calls.nodes[*next].object != object && !before[*next].contains(node) {
                before[*next].push(*node);
            }
        }
    }
    let mut drafted = std::mem::take(&mut draft.steps);
    let mut steps = Vec::with_capacity(drafted.len());
    for object in objects {
        let Some(mut step) = drafted.remove(&calls.objects[object].address) else { continue };
        step.needs.clear();
        step.parts.clear();
        for node in &parts[&object] {
            let Some(call) = calls.nodes[*node].call.clone() else { continue };
            let id = |node: &usize| PartId { address: calls.address_of(*node).clone(), part: part[*node] };
            let after: Vec<PartId> = before[*node].iter().map(id).collect();
            step.needs.extend(after.iter().map(|id| id.address.clone()));
            step.parts.push(Part { call, after });
        }
        step.needs.sort();
        step.needs.dedup();
        steps.push(step);
    }
    // the steps without calls, whose objects are as they should be already
    steps.extend(drafted.into_values());
    steps
}
