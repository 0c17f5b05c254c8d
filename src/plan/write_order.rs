//! Puts the calls of a plan in order: take before you give.
//!
//! At no moment may anybody hold a permission that they hold neither before nor after the run, whichever calls fail. Two
//! rules give that, for every role and every two calls that it sees (`docs/write-order.md` has their proof):
//!
//! 1. a call that takes in one factor of the role comes before a call that gives in another factor;
//! 2. in denies, boundary and tags what takes comes before what gives also within the factor.
//!
//! What is held back has no call in this run, and what must come after it is held back as well. A circle is broken by
//! splitting a call that takes and gives at once, else by a deny for everything in front of the role; what is left is
//! refused.

mod calls;
mod edges;
mod effects;
mod graph;
mod held;
pub(crate) mod mutant;
mod notes;
mod quota;
mod split;

use super::context::PlanContext;
use super::draft::Draft;
use super::step::{Part, PartId, Step};
use crate::model::address::Address;
use crate::model::call::Call;
use calls::Calls;
use graph::{Graph, Why};
use mutant::Mutant;
use std::collections::{BTreeMap, BTreeSet};

/// The steps of the draft, in an order in which they may be made, each call with those that must come before it.
pub(crate) fn arrange(context: &PlanContext<'_>, draft: &mut Draft) -> Vec<Step> {
    held::hold_dependents(draft);
    loop {
        if draft.steps.is_empty() {
            return Vec::new();
        }
        let mut calls = Calls::of(context, draft);
        if held::follow(draft, &calls, &edges::graph(&calls, draft, &BTreeSet::new(), &BTreeSet::new())) {
            continue;
        }
        match ordered(context, draft, &mut calls) {
            Ok(order) => {
                notes::add(context, draft, &calls, &order);
                return steps(draft, &calls, &order);
            }
            Err(refused) => held::refuse(draft, refused),
        }
    }
}

/// An order of the calls, and what it costs.
pub(super) struct Order {
    /// Positions among the nodes.
    sorted: Vec<usize>,
    graph: Graph,
    /// Of a viewer, what arrives and what leaves: the other way round would have been kinder.
    missed: Vec<(usize, usize, usize)>,
    /// Objects whose ServiceAccounts are without them for a moment.
    parted: BTreeSet<usize>,
    /// Objects at a quota.
    crowded: BTreeMap<usize, String>,
}

/// Objects that cannot be changed in one run, and why.
pub(super) struct Impossible {
    objects: BTreeSet<Address>,
    why: String,
    hint: &'static str,
}

const TWO_STEPS: &str = "apply the change in two steps: first what takes permissions away, then what gives them";

fn ordered(context: &PlanContext<'_>, draft: &Draft, calls: &mut Calls) -> Result<Order, Impossible> {
    let (mut dropped, mut parted) = (BTreeSet::new(), BTreeSet::new());
    let mut crowded: BTreeMap<usize, String> = BTreeMap::new();
    loop {
        let freeing: BTreeSet<usize> = crowded.keys().copied().collect();
        let mut graph = edges::graph(calls, draft, &dropped, &freeing);
        graph.retain(|first, second, _| !calls.is_held(first) && !calls.is_held(second));
        let circles = graph.circles();
        if !circles.is_empty() {
            for circle in circles {
                open(context, calls, &graph, &circle, &mut dropped, &mut parted)?;
            }
            continue;
        }
        let missed = edges::nothing_missed(calls, &mut graph);
        let mut sorted = graph.sorted(|node| calls.rank(node));
        sorted.retain(|node| !calls.is_held(*node));
        let over = over_quota(context, calls, &sorted);
        if over.keys().all(|object| crowded.contains_key(object)) {
            return match over.into_iter().next() {
                None => Ok(Order { sorted, graph, missed, parted, crowded }),
                Some((object, why)) => Err(Impossible {
                    objects: BTreeSet::from([calls.objects[object].address.clone()]),
                    why,
                    hint: "make room first, in a run of its own, or ask AWS for a higher quota",
                }),
            };
        }
        crowded.extend(over);
    }
}

/// Breaks a circle, or says that it cannot be broken.
fn open(
    context: &PlanContext<'_>,
    calls: &mut Calls,
    graph: &Graph,
    circle: &[usize],
    dropped: &mut BTreeSet<(usize, usize)>,
    parted: &mut BTreeSet<usize>,
) -> Result<(), Impossible> {
    if mutant::is(Mutant::NoSplit) {
        dropped.extend(circle.iter().flat_map(|first| circle.iter().map(|second| (*first, *second))));
        return Ok(());
    }
    if split::split(context, calls, circle) {
        return Ok(());
    }
    let within = || {
        let edges = circle.iter().flat_map(|first| graph.after(*first).iter().map(|edge| (*first, *edge)));
        edges.filter(|(_, (second, _))| circle.contains(second))
    };
    let courtesy = within().filter(|(_, (_, why))| *why == Why::Courtesy).map(|(first, (second, _))| (first, second));
    if let Some(edge) = courtesy.max_by_key(|(first, second)| (calls.rank(*second), calls.rank(*first))) {
        let objects = [edge.0, edge.1].map(|node| calls.nodes[node].object);
        let is_account = |object: usize| matches!(calls.objects[object].address, Address::ServiceAccount { .. });
        if objects.iter().any(|object| is_account(*object)) {
            parted.extend(objects.into_iter().filter(|object| !is_account(*object)));
        }
        dropped.insert(edge);
        return Ok(());
    }
    let viewers: BTreeSet<usize> = within()
        .filter_map(|(_, (_, why))| match why {
            Why::TakeBeforeGive(viewer) => Some(viewer),
            Why::Existence | Why::ChangedDocument | Why::Courtesy => None,
        })
        .collect();
    if viewers.into_iter().any(|viewer| calls.deny(viewer)) {
        return Ok(());
    }
    let objects: BTreeSet<Address> =
        circle.iter().map(|node| calls.objects[calls.nodes[*node].object].address.clone()).collect();
    let all: Vec<String> = objects.iter().map(|address| format!("`{address}`")).collect();
    let all = all.join(", ");
    if within().all(|(_, (_, why))| why == Why::Existence) {
        let why = format!("of {all} each must be there before another one of them");
        let hint = "make one of them first, without what names another";
        return Err(Impossible { objects, why, hint });
    }
    let why = format!("in no order of the calls on {all} would everybody keep to what they hold before or after");
    Err(Impossible { objects, why, hint: TWO_STEPS })
}

/// The objects that would go past a quota of their account on the way.
fn over_quota(context: &PlanContext<'_>, calls: &Calls, sorted: &[usize]) -> BTreeMap<usize, String> {
    let mut by_object: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for node in sorted {
        by_object.entry(calls.nodes[*node].object).or_default().push(*node);
    }
    let mut over = BTreeMap::new();
    for viewer in &calls.viewers {
        let (Some(object), Some(role)) = (viewer.object, viewer.before.as_ref().or(viewer.after.as_ref())) else {
            continue;
        };
        let nodes = by_object.get(&object).into_iter().flatten();
        let iam = |node: &usize| match &calls.nodes[*node].call {
            Some(Call::Iam(account, call)) => Some((account, call)),
            _ => None,
        };
        let Some((account, _)) = nodes.clone().find_map(iam) else { continue };
        let Some(account) = context.account(account) else { continue };
        let bare = super::roles::calls::without_permissions(role);
        let start = if viewer.before.is_some() { role } else { &bare };
        let made = nodes.filter_map(iam).map(|(_, call)| call);
        over.extend(quota::exceeded(start, made, &account.quotas).map(|why| (object, why)));
    }
    over
}

/// The steps of the draft with their calls in this order.
fn steps(draft: &mut Draft, calls: &Calls, order: &Order) -> Vec<Step> {
    let mut drafted = std::mem::take(&mut draft.steps);
    let mut parts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut place = vec![0; calls.nodes.len()];
    let mut objects = Vec::new();
    for node in &order.sorted {
        let object = calls.nodes[*node].object;
        let list = parts.entry(object).or_default();
        if list.is_empty() {
            objects.push(object);
        }
        place[*node] = list.len();
        list.push(*node);
    }
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); calls.nodes.len()];
    for node in &order.sorted {
        for (next, _) in order.graph.after(*node) {
            if calls.nodes[*next].object != calls.nodes[*node].object && !before[*next].contains(node) {
                before[*next].push(*node);
            }
        }
    }
    let address = |node: usize| &calls.objects[calls.nodes[node].object].address;
    let mut steps = Vec::with_capacity(objects.len());
    for object in objects {
        let Some(mut step) = drafted.remove(&calls.objects[object].address) else { continue };
        step.needs.clear();
        step.parts = Vec::new();
        for node in &parts[&object] {
            let Some(call) = calls.nodes[*node].call.clone() else { continue };
            let after = before[*node].iter().map(|node| PartId { address: address(*node).clone(), part: place[*node] });
            let after: Vec<PartId> = after.collect();
            step.needs.extend(after.iter().map(|part| part.address.clone()));
            step.parts.push(Part { call, after });
        }
        step.needs.sort();
        step.needs.dedup();
        steps.push(step);
    }
    // a step of no calls: what it would write is there
    steps.extend(drafted.into_values());
    steps
}
