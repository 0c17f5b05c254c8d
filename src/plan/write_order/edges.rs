//! Which calls must come before which: by the two rules, and because objects need each other.

use super::calls::{Calls, Half};
use super::effects::{Effects, Factor};
use super::graph::{Graph, Why};
use super::mutant::{self, Mutant};
use crate::ids::{Key, PolicyArn, ProviderArn};
use crate::model::address::Address;
use crate::model::call::{Call, Field, IamCall};
use crate::model::marks::{ROLE_ARN, is_mark};
use crate::plan::change::{Action, ResourceChange};
use crate::plan::draft::Draft;
use crate::policy::permission_effects::PermissionEffects;
use crate::policy::{PolicyDocument, trust_effects};
use std::collections::{BTreeSet, HashMap};

/// The calls that make, change and delete what roles refer to.
#[derive(Default)]
struct Makers<'c> {
    /// By policy: the call that makes it, those that write its document, and the one that deletes it.
    created: HashMap<&'c PolicyArn, usize>,
    /// Up to the first the document takes.
    taken: HashMap<&'c PolicyArn, usize>,
    /// From the last on the document gives.
    given: HashMap<&'c PolicyArn, usize>,
    deleted: HashMap<&'c PolicyArn, usize>,
    /// By provider: what makes it or lets an audience in, and what deletes it.
    providers: HashMap<(&'c Key, &'c str), Vec<usize>>,
    no_providers: HashMap<(&'c Key, &'c str), usize>,
}

impl<'c> Makers<'c> {
    fn of(calls: &'c Calls) -> Self {
        let mut makers = Self::default();
        for (position, node) in calls.nodes.iter().enumerate() {
            let Some(Call::Iam(account, call)) = &node.call else { continue };
            let provider = |arn: &'c ProviderArn| (account, arn.as_str());
            match call {
                IamCall::CreatePolicy { arn, .. } => drop(makers.created.insert(arn, position)),
                IamCall::CreatePolicyVersion { arn, .. } => {
                    if node.half != Half::Giving {
                        makers.taken.insert(arn, position);
                    }
                    if node.half != Half::Taking {
                        makers.given.insert(arn, position);
                    }
                }
                IamCall::DeletePolicy { arn } => drop(makers.deleted.insert(arn, position)),
                IamCall::CreateProvider { arn, .. } | IamCall::AddAudience { arn, .. } => {
                    makers.providers.entry(provider(arn)).or_default().push(position);
                }
                IamCall::DeleteProvider { arn } => drop(makers.no_providers.insert(provider(arn), position)),
                _ => {}
            }
        }
        makers
    }
}

/// The graph of all calls, held ones too; `dropped` are edges of courtesy that gave way, `freeing` the objects in which
/// what makes room comes first.
pub(super) fn graph(
    calls: &Calls,
    draft: &Draft,
    dropped: &BTreeSet<(usize, usize)>,
    freeing: &BTreeSet<usize>,
) -> Graph {
    let mut graph = Graph::new(calls.nodes.len());
    by_the_rules(calls, &mut graph);
    let makers = Makers::of(calls);
    for position in 0..calls.nodes.len() {
        references(calls, &makers, position, &mut graph);
    }
    let by_object = calls.by_object();
    for nodes in &by_object {
        within_object(calls, nodes, &mut graph);
    }
    between_objects(calls, &by_object, &mut graph);
    moves(calls, draft, &by_object, &mut graph);
    graph.retain(|first, second, why| {
        (why != Why::Courtesy && !mutant::is(Mutant::NoSplit)) || !dropped.contains(&(first, second))
    });
    for object in freeing {
        super::quota::room_first(calls, &by_object[*object], &mut graph);
    }
    graph
}

/// Take before you give, for each role that sees two calls.
fn by_the_rules(calls: &Calls, graph: &mut Graph) {
    for (viewer, nodes) in calls.by_viewer().iter().enumerate() {
        if let Some((on, off)) = calls.viewers[viewer].denied {
            for (node, _) in nodes.iter().filter(|(node, _)| *node != off) {
                if let Some(on) = on {
                    graph.edge(on, *node, Why::Existence);
                }
                graph.edge(*node, off, Why::Existence);
            }
            if let Some(on) = on {
                graph.edge(on, off, Why::Existence);
            }
        }
        let is_denied = calls.viewers[viewer].denied.is_some();
        let counts = |effects: &Effects| if is_denied { effects.outlasting() } else { *effects };
        for (first, takes) in nodes {
            for (second, gives) in nodes {
                if counts(takes).come_before(counts(gives)) && !are_tags_of_one_role(calls, *first, *second) {
                    graph.edge(*first, *second, Why::TakeBeforeGive(viewer));
                }
            }
            // a role that goes must not be let in anew by its provider
            if takes.gives_in(Factor::Provider)
                && let Some(deleted) = deletion(calls, viewer)
            {
                graph.edge(deleted, *first, Why::TakeBeforeGive(viewer));
            }
        }
    }
}

/// The call that deletes the viewer's role.
fn deletion(calls: &Calls, viewer: usize) -> Option<usize> {
    let object = calls.viewers[viewer].object?;
    calls
        .nodes
        .iter()
        .position(|node| node.object == object && matches!(node.call, Some(Call::Iam(_, IamCall::DeleteRole { .. }))))
}

/// Tags that are set and tags that are taken away are two calls of one change. What holds between them `docs/write-order.md`
/// says.
fn are_tags_of_one_role(calls: &Calls, first: usize, second: usize) -> bool {
    let tags = |node: usize| match &calls.nodes[node].call {
        Some(Call::Iam(_, call)) => call.field() == Field::Tags,
        _ => false,
    };
    calls.nodes[first].object == calls.nodes[second].object && tags(first) && tags(second)
}

/// The policies that a call on a role takes, and those that it leaves.
fn taken_and_left(calls: &Calls, position: usize) -> (Vec<&PolicyArn>, Vec<&PolicyArn>) {
    let node = &calls.nodes[position];
    let Some(Call::Iam(_, call)) = &node.call else { return Default::default() };
    match call {
        IamCall::Attach { arn, .. } => (vec![arn], Vec::new()),
        IamCall::Detach { arn, .. } => (Vec::new(), vec![arn]),
        IamCall::PutBoundary { from, to, .. } => (vec![to], from.iter().collect()),
        IamCall::DeleteBoundary { from, .. } => (Vec::new(), vec![from]),
        IamCall::CreateRole { role } => (role.permissions_boundary.iter().collect(), Vec::new()),
        IamCall::DeleteRole { .. } => {
            let before = calls.viewer_of(node.object).and_then(|viewer| calls.viewers[viewer].before.as_ref());
            (Vec::new(), before.iter().filter_map(|role| role.permissions_boundary.as_ref()).collect())
        }
        _ => Default::default(),
    }
}

/// What a call on a role refers to must be there, and must not go before the call lets go of it.
fn references(calls: &Calls, makers: &Makers<'_>, position: usize, graph: &mut Graph) {
    let node = &calls.nodes[position];
    let Some(Call::Iam(account, call)) = &node.call else { return };
    let before = || calls.viewer_of(node.object).and_then(|viewer| calls.viewers[viewer].before.as_ref());
    let (mut old_trust, mut new_trust): (Option<&PolicyDocument>, Option<&PolicyDocument>) = (None, None);
    match call {
        IamCall::CreateRole { role } => new_trust = Some(&role.trust),
        IamCall::DeleteRole { .. } => {
            old_trust = before().map(|role| &role.trust);
            for arn in before().into_iter().flat_map(|role| &role.attached) {
                makers.deleted.get(arn).into_iter().for_each(|deleted| graph.edge(position, *deleted, Why::Existence));
            }
        }
        IamCall::UpdateTrust { from, to, .. } => (old_trust, new_trust) = (Some(from), Some(to)),
        _ => {}
    }
    let (taken, left) = taken_and_left(calls, position);
    for arn in taken {
        makers.created.get(arn).into_iter().for_each(|made| graph.edge(*made, position, Why::Existence));
        if changes(calls, arn, PermissionEffects::takes) {
            makers.taken.get(arn).into_iter().for_each(|taken| graph.edge(*taken, position, Why::ChangedDocument));
        }
    }
    for arn in left {
        makers.deleted.get(arn).into_iter().for_each(|deleted| graph.edge(position, *deleted, Why::Existence));
        if changes(calls, arn, PermissionEffects::gives) {
            makers.given.get(arn).into_iter().for_each(|given| graph.edge(position, *given, Why::ChangedDocument));
        }
    }
    let providers = |trust: Option<&PolicyDocument>| trust.map(PolicyDocument::federated_providers).unwrap_or_default();
    let (old, new) = (providers(old_trust), providers(new_trust));
    for arn in new.difference(&old) {
        let made = makers.providers.get(&(account, arn.as_str()));
        made.into_iter().flatten().for_each(|made| graph.edge(*made, position, Why::Existence));
    }
    for arn in old.difference(&new) {
        let deleted = makers.no_providers.get(&(account, arn.as_str()));
        if let Some(deleted) = deleted {
            graph.edge(position, *deleted, Why::Existence);
        }
    }
}

/// Whether the document of a policy changes in this way.
fn changes(calls: &Calls, arn: &PolicyArn, how: fn(PermissionEffects) -> bool) -> bool {
    let change = calls.documents.changes.get(arn);
    change.is_some_and(|change| how(change.effects)) && !mutant::is(Mutant::NoChangedDocument)
}

/// The calls of one object among themselves.
fn within_object(calls: &Calls, nodes: &[usize], graph: &mut Graph) {
    let iam = |node: &usize| match &calls.nodes[*node].call {
        Some(Call::Iam(_, call)) => Some(call),
        _ => None,
    };
    let Some(first) = nodes.first() else { return };
    if !matches!(calls.objects[calls.nodes[*first].object].address, Address::Role { .. })
        && !nodes.iter().any(|node| matches!(iam(node), Some(IamCall::DeleteRole { .. })))
        && calls.viewer_of(calls.nodes[*first].object).is_none()
    {
        // a policy's versions and a provider's audiences, in the order in which they were listed
        nodes.windows(2).for_each(|pair| graph.edge(pair[0], pair[1], Why::Existence));
        return;
    }
    let adopts = calls.objects[calls.nodes[*first].object].action == Action::Adopt;
    let tags: Vec<usize> =
        nodes.iter().copied().filter(|node| iam(node).is_some_and(|call| call.field() == Field::Tags)).collect();
    tags.windows(2).for_each(|pair| graph.edge(pair[0], pair[1], Why::Existence));
    for node in nodes {
        let before_all = match iam(node) {
            Some(IamCall::CreateRole { .. }) => true,
            Some(IamCall::TagRole { to, .. }) => adopts && to.keys().all(|key| is_mark(key)),
            _ => false,
        };
        let after_all = matches!(iam(node), Some(IamCall::DeleteRole { .. }));
        for other in nodes {
            if before_all {
                graph.edge(*node, *other, Why::Existence);
            }
            if after_all {
                graph.edge(*other, *node, Why::Existence);
            }
        }
        // the second half of a split call begins where the first has ended
        if calls.nodes[*node].half == Half::Taking {
            let second = nodes.iter().filter(|other| calls.nodes[**other].half == Half::Giving);
            let field = |node: &usize| iam(node).map(IamCall::field);
            second.filter(|other| field(node) == field(other)).for_each(|other| {
                graph.edge(*node, *other, Why::Existence);
            });
        }
    }
}

/// What one object needs of others as a whole.
fn between_objects(calls: &Calls, by_object: &[Vec<usize>], graph: &mut Graph) {
    let positions = calls.positions();
    let iam = |node: usize| match &calls.nodes[node].call {
        Some(Call::Iam(_, call)) => Some(call),
        _ => None,
    };
    for (object, nodes) in calls.objects.iter().zip(by_object) {
        for needed in object.needs.iter().filter_map(|need| positions.get(need)) {
            let needed_is_account = matches!(calls.objects[*needed].address, Address::ServiceAccount { .. });
            for earlier in &by_object[*needed] {
                for later in nodes {
                    let makes = matches!(iam(*earlier), Some(IamCall::CreateRole { .. }));
                    let deletes = matches!(iam(*later), Some(IamCall::DeleteRole { .. }));
                    let begins = matches!(iam(*later), Some(IamCall::CreateRole { .. }));
                    let is_made_first = matches!(
                        iam(*earlier),
                        Some(
                            IamCall::CreatePolicy { .. } | IamCall::CreateProvider { .. } | IamCall::AddAudience { .. }
                        )
                    );
                    let trusts = matches!(iam(*later), Some(IamCall::CreateRole { .. } | IamCall::UpdateTrust { .. }));
                    let why = match &object.address {
                        Address::ServiceAccount { .. } if makes => Why::Existence,
                        Address::ServiceAccount { .. } => Why::Courtesy,
                        // the annotation goes before the role
                        _ if needed_is_account && deletes => Why::Existence,
                        _ if needed_is_account => Why::Courtesy,
                        // IAM refuses a trust policy that names a role that is not there
                        _ if makes && trusts => Why::Existence,
                        // a token is taken once its audience is
                        _ if takes_audience(iam(*earlier), iam(*later)) => Why::Courtesy,
                        // nothing is begun that cannot be ended
                        _ if begins && is_made_first => Why::Existence,
                        _ => continue,
                    };
                    graph.edge(*earlier, *later, why);
                }
            }
        }
    }
}

/// A ServiceAccount that moves from one role to another leaves the old one once its annotation names the new one.
fn moves(calls: &Calls, draft: &Draft, by_object: &[Vec<usize>], graph: &mut Graph) {
    for (object, nodes) in calls.objects.iter().zip(by_object) {
        let Some(step) = draft.steps.get(&object.address) else { continue };
        let ResourceChange::ServiceAccount(change) = &step.change else { continue };
        let (Some(before), Some(after)) = (change.before(), change.after()) else { continue };
        let (Some(old), Some(new)) = (before.annotations.get(ROLE_ARN), after.annotations.get(ROLE_ARN)) else {
            continue;
        };
        let Some(left) = calls.by_arn.get(old).filter(|_| old != new) else { continue };
        for trust in by_object[*left].iter().filter(|node| loses(calls, **node)) {
            for node in nodes {
                graph.edge(*node, *trust, Why::Courtesy);
            }
        }
    }
}

fn loses(calls: &Calls, node: usize) -> bool {
    match &calls.nodes[node].call {
        Some(Call::Iam(_, IamCall::UpdateTrust { from, to, .. })) => trust_effects::between(from, to).loses,
        _ => false,
    }
}

/// Whether trust comes to take tokens of an audience that the provider is about to let in.
fn takes_audience(earlier: Option<&IamCall>, later: Option<&IamCall>) -> bool {
    let (Some(IamCall::AddAudience { arn, audience }), Some(IamCall::UpdateTrust { from, to, .. })) = (earlier, later)
    else {
        return false;
    };
    let old = trust_effects::grants(from);
    let new = trust_effects::grants(to);
    new.difference(&old).any(|grant| grant.provider == *arn && grant.audience == *audience)
}

/// What nobody should miss for a moment, where nothing speaks against it: allows arrive before allows leave, and who leaves
/// or takes a policy whose document changes has nothing of the change. Returns the pairs (of a viewer, what should come
/// first, what second) where something does.
pub(super) fn nothing_missed(calls: &Calls, graph: &mut Graph) -> Vec<(usize, usize, usize)> {
    let mut wanted: Vec<(usize, usize, usize)> = Vec::new();
    for (viewer, nodes) in calls.by_viewer().iter().enumerate() {
        for (arrives, _) in nodes.iter().filter(|(_, effects)| effects.gives_in(Factor::Allows)) {
            let leaves = nodes.iter().filter(|(node, effects)| node != arrives && effects.takes_in(Factor::Allows));
            wanted.extend(leaves.map(|(leaves, _)| (viewer, *arrives, *leaves)));
        }
    }
    let makers = Makers::of(calls);
    for position in 0..calls.nodes.len() {
        let Some(viewer) = calls.viewer_of(calls.nodes[position].object) else { continue };
        let (taken, left) = taken_and_left(calls, position);
        let given = taken.into_iter().filter(|arn| changes(calls, arn, PermissionEffects::gives));
        wanted.extend(given.filter_map(|arn| Some((viewer, *makers.given.get(arn)?, position))));
        let taken = left.into_iter().filter(|arn| changes(calls, arn, PermissionEffects::takes));
        wanted.extend(taken.filter_map(|arn| Some((viewer, position, *makers.taken.get(arn)?))));
    }
    let mut missed = Vec::new();
    for (viewer, first, second) in wanted {
        if calls.viewers[viewer].denied.is_some() || calls.is_held(first) || calls.is_held(second) {
            continue;
        }
        if graph.reaches(second, first) {
            missed.push((viewer, first, second));
        } else {
            graph.edge(first, second, Why::Courtesy);
        }
    }
    missed
}
