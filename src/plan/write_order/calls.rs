//! Every call of a plan, and of what is held back, with the roles that see it.

use super::effects::{Documents, Effects, Exchange, Factor};
use super::mutant::{self, Mutant};
use crate::ids::{Key, PolicyArn, PolicyName, ProviderArn, RoleArn};
use crate::model::address::Address;
use crate::model::call::{Call, IamCall};
use crate::model::desired::Attachment;
use crate::model::live::{LiveAccount, LivePolicy, Observed};
use crate::model::marks::TRANSITION;
use crate::model::resource::Role;
use crate::plan::change::{Action, ResourceChange};
use crate::plan::context::PlanContext;
use crate::plan::draft::Draft;
use crate::plan::step::Step;
use crate::policy::permission_effects;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// An object of the plan.
#[derive(Debug)]
pub(super) struct Object {
    pub address: Address,
    pub action: Action,
    /// Objects that it cannot do without.
    pub needs: Vec<Address>,
    /// Whether nothing of it is done in this run. Its calls still say what would have to come before others.
    pub held: bool,
    /// The order of kinds among calls that do not depend on each other.
    rank: u8,
}

/// Which part of a change a call makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Whole,
    /// To what both ends have in common.
    Taking,
    /// From there to the end.
    Giving,
}

/// A call, and what it does to whom.
#[derive(Debug)]
pub(super) struct Node {
    /// The position of its object.
    pub object: usize,
    /// `None` where it cannot be told what would be written.
    pub call: Option<Call>,
    pub half: Half,
    /// Its effects on the viewers at these positions.
    pub seen: Vec<(usize, Effects)>,
    /// Its place among the calls of its object, where nothing else decides.
    pub place: usize,
}

/// A role through which somebody may hold something.
#[derive(Debug, Default)]
pub(super) struct Viewer {
    /// The object, if it is one of the plan's.
    pub object: Option<usize>,
    pub before: Option<Role>,
    pub after: Option<Role>,
    /// Policies that change and that somebody has whom this run does not see.
    other_shards: Uses,
    /// The calls that put a deny for everything in front of it and take it away; the first is not there where a run before
    /// this one left the deny.
    pub denied: Option<(Option<usize>, usize)>,
}

/// Policies by how they are used.
#[derive(Debug, Default)]
struct Uses {
    attached: BTreeSet<PolicyArn>,
    bounds: BTreeSet<PolicyArn>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub objects: Vec<Object>,
    pub nodes: Vec<Node>,
    pub viewers: Vec<Viewer>,
    pub documents: Documents,
    /// Roles by account and folded name.
    roles: HashMap<(Key, String), usize>,
    /// The role of each object that is one, as a viewer.
    viewer_of: HashMap<usize, usize>,
    /// Roles of the plan by their ARN as it is now.
    pub by_arn: HashMap<String, usize>,
}

/// Room between two calls for what a split adds.
const SPREAD: usize = 4;

impl Calls {
    pub(super) fn of(context: &PlanContext<'_>, draft: &Draft) -> Self {
        let mut calls = Self::default();
        let mut steps: Vec<(&Step, bool)> = draft.steps.values().map(|step| (step, false)).collect();
        steps.extend(draft.held_back.values().map(|step| (step, true)));
        steps.sort_by(|(one, _), (other, _)| one.address.cmp(&other.address));
        for (step, held) in &steps {
            calls.objects.push(Object {
                address: step.address.clone(),
                action: step.change.action(),
                needs: step.needs.clone(),
                held: *held,
                rank: rank(step),
            });
        }
        calls.read_documents(context, steps.iter().map(|(step, _)| *step));
        for (object, (step, _)) in steps.iter().enumerate() {
            calls.add_role(context, object, step);
        }
        calls.add_onlookers(context);
        calls.add_unknown_trust(context, draft);
        calls.add_others(context);
        for (object, (step, _)) in steps.iter().enumerate() {
            calls.add_nodes(object, step);
        }
        calls.find_left_denies();
        calls
    }

    fn read_documents<'s>(&mut self, context: &PlanContext<'_>, steps: impl Iterator<Item = &'s Step>) {
        for step in steps {
            let ResourceChange::Policy(change) = &step.change else { continue };
            let Some(arn) = step.parts.iter().find_map(|part| written_policy(&part.call)) else { continue };
            let (before, after) = (change.before(), change.after());
            let (before, after) = (before.map(|it| it.document.clone()), after.map(|it| it.document.clone()));
            if before != after {
                let effects = permission_effects::between(before.as_ref(), after.as_ref());
                self.documents.changes.insert(arn.clone(), Exchange { before, after, effects });
            }
        }
        for key in context.desired.accounts.keys() {
            let Some(account) = context.account(key) else { continue };
            let ours = account.policies.iter().filter_map(|(arn, live)| Some((arn, &live.present()?.policy.document)));
            let others = account.foreign_policies.iter();
            let others = others.filter_map(|(arn, live)| Some((arn, live.present()?.as_ref()?)));
            let all = ours.chain(others).map(|(arn, document)| (arn.clone(), document.clone()));
            self.documents.live.extend(all);
        }
        // what another shard makes
        for ((account, key), policy) in &context.desired.policies {
            if let Some(arn) = context.attachment_arn(account, &Attachment::Declared(key.clone())) {
                self.documents.live.entry(arn).or_insert_with(|| policy.document.clone());
            }
        }
    }

    fn add_role(&mut self, context: &PlanContext<'_>, object: usize, step: &Step) {
        let ResourceChange::Role(change) = &step.change else { return };
        let Some(Call::Iam(account, _)) = step.parts.first().map(|part| &part.call) else { return };
        let (before, after) = (change.before().cloned(), change.after().cloned());
        let Some(role) = before.as_ref().or(after.as_ref()) else { return };
        self.roles.insert((account.clone(), role.name.case_insensitive()), self.viewers.len());
        if let Some(place) = context.desired.accounts.get(account) {
            let arn = RoleArn::of(&place.partition, &place.id, &role.path, &role.name);
            self.by_arn.insert(arn.to_string(), object);
        }
        self.viewer_of.insert(object, self.viewers.len());
        self.viewers.push(Viewer { object: Some(object), before, after, ..Viewer::default() });
    }

    /// Roles that do not change by themselves, and that have two of the policies that do.
    fn add_onlookers(&mut self, context: &PlanContext<'_>) {
        if self.documents.changes.is_empty() {
            return;
        }
        for key in context.desired.accounts.keys() {
            for (folded, live) in context.account(key).into_iter().flat_map(|account| &account.roles) {
                let Some(live) = live.present() else { continue };
                let changes = |arn: &&PolicyArn| self.documents.changes.contains_key(*arn);
                let seen = live.role.attached.iter().chain(&live.role.permissions_boundary).filter(changes).count();
                if seen > 1 {
                    self.onlooker(key, folded, &live.role);
                }
            }
        }
    }

    fn onlooker(&mut self, account: &Key, folded: &str, role: &Role) -> usize {
        let next = self.viewers.len();
        let position = *self.roles.entry((account.clone(), folded.to_owned())).or_insert(next);
        if position == next {
            let role = Some(role.clone());
            self.viewers.push(Viewer { before: role.clone(), after: role, ..Viewer::default() });
        }
        position
    }

    /// Roles whose trust should change, but into what cannot be told: somebody may be about to lose them.
    fn add_unknown_trust(&mut self, context: &PlanContext<'_>, draft: &Draft) {
        for address in draft.trust_unknown.iter().filter(|_| !mutant::is(Mutant::UnknownTrustStays)) {
            let Address::Role { key } = address else { continue };
            let Some(role) = context.desired.roles.get(key) else { continue };
            let folded = role.name.case_insensitive();
            let live = context.account(&role.account).and_then(|account| account.roles.get(&folded)?.present());
            let Some(live) = live else { continue };
            let viewer = self.onlooker(&role.account, &folded, &live.role);
            self.add_unknown(address.clone(), viewer);
        }
    }

    fn add_unknown(&mut self, address: Address, viewer: usize) {
        let object = self.objects.len();
        self.objects.push(Object { address, action: Action::Update, needs: Vec::new(), held: true, rank: 2 });
        let seen = vec![(viewer, Effects::both(Factor::Trust))];
        self.nodes.push(Node { object, call: None, half: Half::Whole, seen, place: 0 });
    }

    /// Whoever else has one of the policies that change: users, groups, roles that are not ours. They are taken for one role
    /// that has them all, which is more than there can be. A declared role that could not be read is one of them.
    fn add_others(&mut self, context: &PlanContext<'_>) {
        for key in context.desired.accounts.keys() {
            let Some(account) = context.account(key) else { continue };
            let mut other_shards = Uses::default();
            for (arn, live) in &account.policies {
                let Some(live) = live.present().filter(|_| self.documents.changes.contains_key(arn)) else { continue };
                let (attached, bounds) = used_elsewhere(account, arn, live);
                other_shards.attached.extend(attached.then(|| arn.clone()));
                other_shards.bounds.extend(bounds.then(|| arn.clone()));
            }
            if other_shards.attached.is_empty() && other_shards.bounds.is_empty() {
                continue;
            }
            let viewer = self.viewers.len();
            self.viewers.push(Viewer { other_shards, ..Viewer::default() });
            let unread = account.roles.iter().filter(|(_, live)| matches!(live, Observed::Unknown(_)));
            for (folded, _) in unread {
                self.add_unknown(context.role_address(key, folded, folded), viewer);
            }
        }
    }

    fn add_nodes(&mut self, object: usize, step: &Step) {
        let viewer = match (&step.change, step.parts.first().map(|part| &part.call)) {
            (ResourceChange::Role(change), Some(Call::Iam(account, _))) => {
                let role = change.before().or(change.after());
                role.and_then(|role| self.roles.get(&(account.clone(), role.name.case_insensitive())).copied())
            }
            _ => None,
        };
        for (place, part) in step.parts.iter().enumerate() {
            let seen = match (&part.call, viewer) {
                (Call::Iam(_, call), Some(viewer)) => vec![(viewer, self.documents.effects(call))],
                (Call::Iam(_, IamCall::CreatePolicyVersion { arn, .. }), None) => self.see_document(arn),
                (Call::Iam(_, IamCall::CreateProvider { arn, .. }), None) => self.see_provider(arn, None),
                (Call::Iam(_, IamCall::AddAudience { arn, audience }), None) => self.see_provider(arn, Some(audience)),
                _ => Vec::new(),
            };
            let seen = seen.into_iter().filter(|(_, effects)| !effects.is_none()).collect();
            let call = Some(part.call.clone());
            self.nodes.push(Node { object, call, half: Half::Whole, seen, place: place * SPREAD });
        }
    }

    /// Who has the policy, before and after.
    fn see_document(&self, arn: &PolicyArn) -> Vec<(usize, Effects)> {
        let Some(change) = self.documents.changes.get(arn) else { return Vec::new() };
        let effects = |viewer: &Viewer| {
            let both = |has: &dyn Fn(&Role) -> bool| {
                [&viewer.before, &viewer.after].into_iter().all(|it| it.as_ref().is_some_and(has))
            };
            let attached = viewer.other_shards.attached.contains(arn) || both(&|role| role.attached.contains(arn));
            let bounds = viewer.other_shards.bounds.contains(arn)
                || both(&|role| role.permissions_boundary.as_ref() == Some(arn));
            let of = |on: bool, effects: Effects| if on { effects } else { Effects::default() };
            of(attached, Effects::of_policy(change.effects)).or(of(bounds, Effects::of_boundary(change.effects)))
        };
        self.viewers.iter().enumerate().map(|(position, viewer)| (position, effects(viewer))).collect()
    }

    /// Roles that trust a provider that is not there, or not with this audience, until this call: it lets somebody in.
    fn see_provider(&self, arn: &ProviderArn, audience: Option<&str>) -> Vec<(usize, Effects)> {
        let trusts = |role: &Role| {
            role.trust.federated_providers().contains(arn.as_str())
                && audience.is_none_or(|audience| role.trust.text().contains(audience))
        };
        let seen = self.viewers.iter().enumerate();
        seen.filter(|(_, viewer)| viewer.before.as_ref().is_some_and(trusts))
            .map(|(position, _)| (position, Effects::of(Factor::Provider, false, true)))
            .collect()
    }

    /// A deny that a run before this one put in front of a role, and did not take away.
    fn find_left_denies(&mut self) {
        for (position, node) in self.nodes.iter().enumerate() {
            let Some(Call::Iam(_, IamCall::DeleteInline { policy, .. })) = &node.call else { continue };
            if policy.as_str() == TRANSITION {
                for (viewer, _) in &node.seen {
                    self.viewers[*viewer].denied = Some((None, position));
                }
            }
        }
    }

    /// Where a call stands among those that may come next.
    pub(super) fn rank(&self, node: usize) -> (u8, usize, usize) {
        let Node { object, place, .. } = self.nodes[node];
        (self.objects[object].rank, object, place)
    }

    pub(super) fn is_held(&self, node: usize) -> bool {
        self.objects[self.nodes[node].object].held
    }

    /// The role of a node's object, as a viewer.
    pub(super) fn viewer_of(&self, object: usize) -> Option<usize> {
        self.viewer_of.get(&object).copied()
    }

    /// The effects of a call on all that see it, together.
    pub(super) fn effects(&self, node: usize) -> Effects {
        self.nodes[node].seen.iter().fold(Effects::default(), |all, (_, effects)| all.or(*effects))
    }

    /// The calls that each viewer sees.
    pub(super) fn by_viewer(&self) -> Vec<Vec<(usize, Effects)>> {
        let mut all = vec![Vec::new(); self.viewers.len()];
        for (position, node) in self.nodes.iter().enumerate() {
            node.seen.iter().for_each(|(viewer, effects)| all[*viewer].push((position, *effects)));
        }
        all
    }

    /// The calls of each object.
    pub(super) fn by_object(&self) -> Vec<Vec<usize>> {
        let mut all = vec![Vec::new(); self.objects.len()];
        self.nodes.iter().enumerate().for_each(|(position, node)| all[node.object].push(position));
        for nodes in &mut all {
            nodes.sort_by_key(|node| self.nodes[*node].place);
        }
        all
    }

    /// Puts a deny for everything in front of a role of the plan, from before the first of its calls until after the last.
    pub(super) fn deny(&mut self, viewer: usize) -> bool {
        let Viewer { object: Some(object), before, after, denied: None, .. } = &self.viewers[viewer] else {
            return false;
        };
        let (object, account) = (*object, self.account_of(*object));
        let (Some(role), Some(account)) = (after.as_ref().or(before.as_ref()), account) else { return false };
        let (name, Ok(policy)) = (role.name.clone(), PolicyName::parse(TRANSITION)) else { return false };
        let to = permission_effects::deny_everything();
        let on = IamCall::PutInline { name: name.clone(), policy: policy.clone(), from: None, to: to.clone() };
        let off = IamCall::DeleteInline { name, policy, from: to };
        let first = self.nodes.len();
        for (call, place) in [(on, 0), (off, usize::MAX)] {
            let call = Some(Call::Iam(account.clone(), call));
            self.nodes.push(Node { object, call, half: Half::Whole, seen: Vec::new(), place });
        }
        self.viewers[viewer].denied = Some((Some(first), first + 1));
        true
    }

    fn account_of(&self, object: usize) -> Option<Key> {
        self.nodes.iter().filter(|node| node.object == object).find_map(|node| match &node.call {
            Some(Call::Iam(account, _)) => Some(account.clone()),
            _ => None,
        })
    }

    /// Replaces a call by two: to what both ends have in common, and from there to the end. What lies between is `middle`.
    pub(super) fn split(&mut self, position: usize, [taking, giving]: [IamCall; 2], between: Vec<IamCall>) {
        let Some(Call::Iam(account, _)) = self.nodes[position].call.clone() else { return };
        let iam = |call| Some(Call::Iam(account.clone(), call));
        let Node { object, ref seen, place, .. } = self.nodes[position];
        let half = |which: fn(Effects) -> Effects| {
            let halves = seen.iter().map(|(viewer, effects)| (*viewer, which(*effects)));
            halves.filter(|(_, effects)| !effects.is_none()).collect()
        };
        let (first, second) = (half(Effects::taking), half(Effects::giving));
        for (index, call) in between.into_iter().enumerate() {
            let (seen, place) = (Vec::new(), place + 1 + index.min(1));
            self.nodes.push(Node { object, call: iam(call), half: Half::Whole, seen, place });
        }
        let place_of_second = place + SPREAD - 1;
        self.nodes.push(Node { object, call: iam(giving), half: Half::Giving, seen: second, place: place_of_second });
        let node = &mut self.nodes[position];
        node.call = iam(taking);
        node.half = Half::Taking;
        node.seen = first;
    }

    pub(super) fn positions(&self) -> BTreeMap<&Address, usize> {
        self.objects.iter().enumerate().map(|(position, object)| (&object.address, position)).collect()
    }
}

/// The policy whose document a call writes or takes away.
fn written_policy(call: &Call) -> Option<&PolicyArn> {
    match call {
        Call::Iam(
            _,
            IamCall::CreatePolicy { arn, .. }
            | IamCall::CreatePolicyVersion { arn, .. }
            | IamCall::DeletePolicy { arn },
        ) => Some(arn),
        _ => None,
    }
}

/// Whether the policy is attached, or a boundary, where this run does not look.
fn used_elsewhere(account: &LiveAccount, arn: &PolicyArn, live: &LivePolicy) -> (bool, bool) {
    let roles = || account.roles.values().filter_map(Observed::present).map(|live| &live.role);
    let attached = roles().filter(|role| role.attached.contains(arn)).count();
    let bounds = roles().filter(|role| role.permissions_boundary.as_ref() == Some(arn)).count();
    let all = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    (all(live.attachments) > attached, all(live.boundaries) > bounds)
}

/// Makers first, deletes in reverse.
fn rank(step: &Step) -> u8 {
    let delete = step.change.action() == Action::Delete;
    match (&step.change, delete) {
        (ResourceChange::Provider(_), false) => 0,
        (ResourceChange::Policy(_), false) => 1,
        (ResourceChange::Role(_), false) => 2,
        (ResourceChange::ServiceAccount(_), _) => 3,
        (ResourceChange::Role(_), true) => 4,
        (ResourceChange::Policy(_), true) => 5,
        (ResourceChange::Provider(_), true) => 6,
    }
}
