//! Draws the edges: which call must come before which. An edge has one of four reasons (`EdgeReason`): the second call
//! would fail or be unsafe before the first one, rule 1 or 2 (take before give), a role that attaches or detaches a
//! policy whose document changes, or courtesy (nobody loses access for a moment).

use super::calls::{Calls, DenyCalls, PlannedCall, SplitCall};
use super::effects::{Effects, Factor};
use super::graph::{EdgeReason, Graph};
use super::mutant::{self, Mutant};
use crate::ids::PolicyArn;
use crate::model::call::{Field, FieldWrite, IamCall, Target};
use crate::model::marks::is_mark;
use crate::model::resource::{Role, StringMap};
use crate::plan::change::Action;
use crate::plan::draft::Draft;
use crate::policy::permission_effects::PermissionEffects;
use crate::policy::{PolicyDocument, trust_effects};
use std::collections::{BTreeSet, HashMap};

/// The calls on policies and providers, by the ARN with which roles refer to them.
#[derive(Default)]
struct WritesByArn<'c> {
    /// Calls that create the object, or add an audience to it.
    creating: HashMap<&'c str, Vec<usize>>,
    /// The call that writes the new document. If it is split, the first call, which only takes.
    taking: HashMap<&'c str, usize>,
    /// The call that writes the new document. If it is split, the second call, which only gives.
    giving: HashMap<&'c str, usize>,
    deleting: HashMap<&'c str, usize>,
}

impl<'c> WritesByArn<'c> {
    fn of(calls: &'c Calls) -> Self {
        let mut writes = Self::default();
        for (position, node) in calls.nodes.iter().enumerate() {
            let Some(call) = node.iam() else { continue };
            let arn = match call.target() {
                Target::Policy(arn) => arn.as_str(),
                Target::Provider(arn) => arn.as_str(),
                Target::Role(_) => continue,
            };
            if call.deletes() {
                writes.deleting.insert(arn, position);
            } else if call.creates() || matches!(call.write(), FieldWrite::AddAudience(_)) {
                writes.creating.entry(arn).or_default().push(position);
            } else if call.field() == Field::Document {
                if node.split != SplitCall::Giving {
                    writes.taking.insert(arn, position);
                }
                if node.split != SplitCall::Taking {
                    writes.giving.insert(arn, position);
                }
            }
        }
        writes
    }
}

/// The graph of all calls, also of deferred ones. Leaves out the courtesy edges in `dropped`, which form cycles. In the
/// objects in `at_quota`, calls that free space come first.
pub(super) fn graph(
    calls: &Calls,
    draft: &Draft,
    dropped: &BTreeSet<(usize, usize)>,
    at_quota: &BTreeSet<usize>,
) -> Graph {
    let mut graph = Graph::new(calls.nodes.len());
    take_before_give(calls, &mut graph);
    let writes = WritesByArn::of(calls);
    for position in 0..calls.nodes.len() {
        references(calls, &writes, position, &mut graph);
    }
    let by_object = calls.by_object();
    for nodes in &by_object {
        within_object(calls, nodes, &mut graph);
    }
    between_objects(calls, &by_object, &mut graph);
    annotation_before_old_trust(calls, draft, &by_object, &mut graph);
    graph.retain(|first, second, reason| {
        (reason != EdgeReason::Courtesy && !mutant::is_active(Mutant::NoSplit)) || !dropped.contains(&(first, second))
    });
    for object in at_quota {
        super::quota::free_space_first(calls, &by_object[*object], &mut graph);
    }
    graph
}

/// Rules 1 and 2, for each role and every two calls that affect it.
fn take_before_give(calls: &Calls, graph: &mut Graph) {
    for ((position, role), nodes) in calls.roles.iter().enumerate().zip(&calls.by_role()) {
        if let Some(DenyCalls { put, delete }) = role.deny {
            let own = nodes.iter().map(|(node, _)| *node).filter(|node| *node != delete);
            for node in own.chain(put) {
                if let Some(put) = put {
                    graph.edge(put, node, EdgeReason::Required);
                }
                graph.edge(node, delete, EdgeReason::Required);
            }
        }
        let counted = |effects: &Effects| if role.deny.is_some() { effects.outlasting_a_deny() } else { *effects };
        let deletion = || {
            let is_deletion = |node: &PlannedCall| node.iam().is_some_and(IamCall::deletes);
            let object = role.object?;
            calls.nodes.iter().position(|node| node.object == object && is_deletion(node))
        };
        let reason = EdgeReason::TakeBeforeGive(position);
        for (first, takes) in nodes {
            for (second, gives) in nodes {
                if counted(takes).come_before(counted(gives)) && !are_tags_of_one_role(calls, *first, *second) {
                    graph.edge(*first, *second, reason);
                }
            }
            // the role is deleted before its provider accepts more, so that nobody new can use the role
            if takes.gives_in(Factor::Provider)
                && let Some(deletion) = deletion()
            {
                graph.edge(deletion, *first, reason);
            }
        }
    }
}

/// `TagRole` and `UntagRole` are two calls of one change. docs/write-order.md says which tags the role has between
/// them.
fn are_tags_of_one_role(calls: &Calls, first: usize, second: usize) -> bool {
    calls.nodes[first].object == calls.nodes[second].object && writes_tags(calls, first) && writes_tags(calls, second)
}

fn writes_tags(calls: &Calls, node: usize) -> bool {
    calls.iam(node).is_some_and(|call| call.field() == Field::Tags)
}

/// The policies that a role has only after a call on it, and the policies that it has only before.
fn policies_added_and_removed<'c>(calls: &'c Calls, node: usize) -> (Vec<&'c PolicyArn>, Vec<&'c PolicyArn>) {
    let (Some(call), Some(role)) = (calls.iam(node), calls.own_role(node)) else { return Default::default() };
    let boundary = |end: &'c Option<Role>| end.iter().filter_map(|role| role.permissions_boundary.as_ref()).collect();
    match call.write() {
        FieldWrite::Attach(arn) => (vec![arn], Vec::new()),
        FieldWrite::Detach(arn) => (Vec::new(), vec![arn]),
        FieldWrite::Boundary(from, to) => (to.into_iter().collect(), from.into_iter().collect()),
        FieldWrite::Create(_) => (boundary(&role.after), Vec::new()),
        FieldWrite::Delete => (Vec::new(), boundary(&role.before)),
        _ => Default::default(),
    }
}

/// The OIDC providers that a role trusts before a call on it, and the providers that it trusts afterwards.
fn providers_before_and_after(calls: &Calls, node: usize) -> (BTreeSet<String>, BTreeSet<String>) {
    let (Some(call), Some(role)) = (calls.iam(node), calls.own_role(node)) else { return Default::default() };
    let (old, new) = match call.write() {
        FieldWrite::Trust(from, to) => (Some(from), Some(to)),
        FieldWrite::Create(_) => (None, role.after.as_ref().map(|role| &role.trust)),
        FieldWrite::Delete => (role.before.as_ref().map(|role| &role.trust), None),
        _ => (None, None),
    };
    let providers = |trust: Option<&PolicyDocument>| trust.map(PolicyDocument::federated_providers).unwrap_or_default();
    (providers(old), providers(new))
}

/// A policy or provider is created before a role refers to it, and deleted after no role refers to it.
fn references(calls: &Calls, writes: &WritesByArn<'_>, node: usize, graph: &mut Graph) {
    let created_before = |arn: &str, graph: &mut Graph| {
        let creating = writes.creating.get(arn).into_iter().flatten();
        creating.for_each(|creating| graph.edge(*creating, node, EdgeReason::Required));
    };
    let deleted_after = |arn: &str, graph: &mut Graph| {
        if let Some(deleting) = writes.deleting.get(arn) {
            graph.edge(node, *deleting, EdgeReason::Required);
        }
    };
    let (added, removed) = policies_added_and_removed(calls, node);
    for arn in added {
        created_before(arn.as_str(), graph);
        if let Some(taking) = document_call_if(calls, &writes.taking, arn, PermissionEffects::takes) {
            graph.edge(taking, node, EdgeReason::ChangedDocument);
        }
    }
    for arn in removed {
        deleted_after(arn.as_str(), graph);
        if let Some(giving) = document_call_if(calls, &writes.giving, arn, PermissionEffects::gives) {
            graph.edge(node, giving, EdgeReason::ChangedDocument);
        }
    }
    if calls.iam(node).is_some_and(IamCall::deletes) {
        let before = calls.own_role(node).and_then(|role| role.before.as_ref());
        before.into_iter().flat_map(|role| &role.attached).for_each(|arn| deleted_after(arn.as_str(), graph));
    }
    let (old, new) = providers_before_and_after(calls, node);
    new.difference(&old).for_each(|arn| created_before(arn, graph));
    old.difference(&new).for_each(|arn| deleted_after(arn, graph));
}

/// The call that writes the document of a policy, if the document changes in this way.
fn document_call_if(
    calls: &Calls,
    writing: &HashMap<&str, usize>,
    arn: &PolicyArn,
    how: fn(PermissionEffects) -> bool,
) -> Option<usize> {
    let changes = calls.documents.changes.get(arn).is_some_and(|change| how(change.effects));
    writing.get(arn.as_str()).copied().filter(|_| changes && !mutant::is_active(Mutant::NoChangedDocument))
}

/// The order of the calls of one object.
fn within_object(calls: &Calls, nodes: &[usize], graph: &mut Graph) {
    let Some(first) = nodes.first() else { return };
    let object = &calls.objects[calls.nodes[*first].object];
    let mut in_line = |nodes: &[usize]| {
        nodes.windows(2).for_each(|pair| graph.edge(pair[0], pair[1], EdgeReason::Required));
    };
    if object.role.is_none() {
        return in_line(nodes);
    }
    let tags: Vec<usize> = nodes.iter().copied().filter(|node| writes_tags(calls, *node)).collect();
    in_line(&tags);
    for node in nodes {
        let Some(call) = calls.iam(*node) else { continue };
        let owner_tags = |tags: &StringMap| tags.keys().all(|key| is_mark(key));
        let adopts =
            matches!(call.write(), FieldWrite::SetTags(_, to) if object.action == Action::Adopt && owner_tags(to));
        for other in nodes {
            if call.creates() || adopts {
                graph.edge(*node, *other, EdgeReason::Required);
            }
            if call.deletes() {
                graph.edge(*other, *node, EdgeReason::Required);
            }
            let parts = [*node, *other].map(|node| calls.nodes[node].split);
            if parts == [SplitCall::Taking, SplitCall::Giving] && are_of_one_field(calls, *node, *other) {
                graph.edge(*node, *other, EdgeReason::Required);
            }
        }
    }
}

/// Whether two calls write the same field of the same kind of object.
pub(super) fn are_of_one_field(calls: &Calls, one: usize, other: usize) -> bool {
    calls.iam(one).map(IamCall::field) == calls.iam(other).map(IamCall::field)
}

/// The order between the calls of an object and the calls of an object that it needs.
fn between_objects(calls: &Calls, by_object: &[Vec<usize>], graph: &mut Graph) {
    let positions = calls.objects_by_address();
    for (object, nodes) in calls.objects.iter().zip(by_object) {
        for needed in object.needs.iter().filter_map(|need| positions.get(need)) {
            for earlier in &by_object[*needed] {
                for later in nodes {
                    if let Some(reason) = needs_first(calls, *earlier, *later) {
                        graph.edge(*earlier, *later, reason);
                    }
                }
            }
        }
    }
}

/// Why `later` comes after `earlier`, where the object of `later` needs the object of `earlier`.
fn needs_first(calls: &Calls, earlier: usize, later: usize) -> Option<EdgeReason> {
    let is_service_account = |node: usize| calls.address_of(node).is_in_cluster();
    let role_call = |node: usize| calls.iam(node).filter(|call| matches!(call.target(), Target::Role(_)));
    let (earlier_on_role, later_on_role) = (role_call(earlier), role_call(later));
    let creates_role = earlier_on_role.is_some_and(IamCall::creates);
    if is_service_account(later) {
        return Some(if creates_role { EdgeReason::Required } else { EdgeReason::Courtesy });
    }
    if is_service_account(earlier) {
        // a role is deleted after the annotation that names it
        let deletes_role = later_on_role.is_some_and(IamCall::deletes);
        return Some(if deletes_role { EdgeReason::Required } else { EdgeReason::Courtesy });
    }
    let begins = later_on_role.is_some_and(IamCall::creates);
    // IAM refuses a trust policy that names a role that does not exist
    if creates_role && (begins || later_on_role.is_some_and(|call| call.field() == Field::Trust)) {
        return Some(EdgeReason::Required);
    }
    let earlier_call = calls.iam(earlier)?;
    if trusts_new_audience(earlier_call, calls.iam(later)?) {
        return Some(EdgeReason::Courtesy);
    }
    // a role is created only after everything that it needs was created
    let creates = earlier_on_role.is_none()
        && (earlier_call.creates() || matches!(earlier_call.write(), FieldWrite::AddAudience(_)));
    (begins && creates).then_some(EdgeReason::Required)
}

/// Whether a trust policy starts to accept tokens of the audience that the earlier call adds.
fn trusts_new_audience(earlier: &IamCall, later: &IamCall) -> bool {
    match (earlier, later.write()) {
        (IamCall::AddAudience { arn, audience }, FieldWrite::Trust(from, to)) => {
            let (old, new) = (trust_effects::grants(from), trust_effects::grants(to));
            new.difference(&old).any(|grant| grant.provider == *arn && grant.audience == *audience)
        }
        _ => false,
    }
}

/// If a ServiceAccount moves to another role, its annotation changes before the old role stops trusting it.
fn annotation_before_old_trust(calls: &Calls, draft: &Draft, by_object: &[Vec<usize>], graph: &mut Graph) {
    let loses = |node: usize| match calls.iam(node).map(IamCall::write) {
        Some(FieldWrite::Trust(from, to)) => trust_effects::between(from, to).loses,
        _ => false,
    };
    for (object, nodes) in calls.objects.iter().zip(by_object) {
        let Some(step) = draft.steps.get(&object.address) else { continue };
        let [Some(old), Some(new)] = step.change.pod_roles() else { continue };
        let Some(old_role) = calls.objects_by_arn.get(old).filter(|_| old != new) else { continue };
        for trust in by_object[*old_role].iter().filter(|node| loses(**node)) {
            for node in nodes {
                graph.edge(*node, *trust, EdgeReason::Courtesy);
            }
        }
    }
}

/// Two calls of a role. If `second` runs before `first`, the role lacks access between them.
pub(super) struct AccessGap {
    /// The position of the role among the affected ones.
    pub role: usize,
    /// The call that should come first.
    pub first: usize,
    /// The call that should come second.
    pub second: usize,
}

/// Rule 3: new allows exist before irsa removes old ones. A role attaches a policy after the policy's document gives,
/// and detaches a policy before the document takes. Adds these edges unless they form a cycle. Returns the calls
/// between which it could not add an edge.
pub(super) fn add_before_remove(calls: &Calls, graph: &mut Graph) -> Vec<AccessGap> {
    let mut wanted: Vec<AccessGap> = Vec::new();
    for (role, nodes) in calls.by_role().iter().enumerate() {
        for (first, _) in nodes.iter().filter(|(_, effects)| effects.gives_in(Factor::Allows)) {
            let removing = nodes.iter().filter(|(node, effects)| node != first && effects.takes_in(Factor::Allows));
            wanted.extend(removing.map(|(second, _)| AccessGap { role, first: *first, second: *second }));
        }
    }
    let writes = WritesByArn::of(calls);
    for node in 0..calls.nodes.len() {
        let Some(role) = calls.objects[calls.nodes[node].object].role else { continue };
        let (added, removed) = policies_added_and_removed(calls, node);
        let giving =
            added.into_iter().filter_map(|arn| document_call_if(calls, &writes.giving, arn, PermissionEffects::gives));
        wanted.extend(giving.map(|first| AccessGap { role, first, second: node }));
        let taking = removed
            .into_iter()
            .filter_map(|arn| document_call_if(calls, &writes.taking, arn, PermissionEffects::takes));
        wanted.extend(taking.map(|second| AccessGap { role, first: node, second }));
    }
    let mut gaps = Vec::new();
    for gap in wanted {
        let denied = calls.roles[gap.role].deny.is_some();
        if denied || calls.is_deferred(gap.first) || calls.is_deferred(gap.second) {
            continue;
        }
        if graph.reaches(gap.second, gap.first) {
            gaps.push(gap);
        } else {
            graph.edge(gap.first, gap.second, EdgeReason::Courtesy);
        }
    }
    gaps
}
