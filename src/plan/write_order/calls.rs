//! Every call of a plan and of its deferred changes, with the effects of the call on each role.

use super::effects::{DocumentChange, Documents, Effects, Factor};
use super::mutant::{self, Mutant};
use crate::ids::{Key, PolicyArn, PolicyName, ProviderArn, RoleArn};
use crate::model::address::Address;
use crate::model::call::{Call, FieldWrite, IamCall, Target};
use crate::model::desired::Attachment;
use crate::model::live::{LiveAccount, LivePolicy, Observed};
use crate::model::marks::TRANSITION;
use crate::model::resource::Role;
use crate::plan::change::{Action, ResourceChange, rank};
use crate::plan::context::PlanContext;
use crate::plan::draft::Draft;
use crate::plan::types::Step;
use crate::policy::permission_effects;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// An object that the plan changes, or would change if it were not deferred.
#[derive(Debug)]
pub(super) struct PlannedObject {
    pub address: Address,
    pub action: Action,
    /// Objects that it depends on.
    pub needs: Vec<Address>,
    /// Whether this run does not change it. Its calls are in the graph all the same, because calls on other objects may
    /// wait for them.
    pub deferred: bool,
    /// The account of an IAM object that has calls.
    pub account: Option<Key>,
    /// If it is a role, its position among the affected roles.
    pub role: Option<usize>,
    /// The sort key of calls that no edge puts in order.
    rank: u8,
}

/// Which call of a split change this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SplitCall {
    /// From the old value to the new value.
    Unsplit,
    /// From the old value to the common part of both values.
    Taking,
    /// From the common part to the new value.
    Giving,
}

/// A call and its effects.
#[derive(Debug)]
pub(super) struct PlannedCall {
    /// The position of its object.
    pub object: usize,
    /// `None` if irsa does not know what would be written.
    pub call: Option<Call>,
    pub split: SplitCall,
    /// Its effects on the affected roles at these positions.
    pub effects: Vec<(usize, Effects)>,
    /// The sort key of calls of one object that no edge puts in order.
    pub sequence: usize,
}

/// A role that some call affects, even if the plan does not change the role itself.
#[derive(Debug, Default)]
pub(super) struct AffectedRole {
    /// The position of its object, if the role itself changes.
    pub object: Option<usize>,
    pub before: Option<Role>,
    pub after: Option<Role>,
    /// Only for the invented role of `add_unread_users`: the changed policies that these users have attached.
    unread_attached: BTreeSet<PolicyArn>,
    /// Likewise, the changed policies that are their boundary.
    unread_bounds: BTreeSet<PolicyArn>,
    /// The calls on the inline policy that denies everything, if the role has or gets this policy.
    pub deny: Option<DenyCalls>,
}

/// The calls that add and remove the inline policy that denies everything, by position.
#[derive(Debug, Clone, Copy)]
pub(super) struct DenyCalls {
    /// `None` if an earlier run left the policy there.
    pub put: Option<usize>,
    pub delete: usize,
}

/// All calls, with the objects that they change and the roles that they affect. A position is an index into one of
/// these lists.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub objects: Vec<PlannedObject>,
    /// The calls, which are the nodes of the graph.
    pub nodes: Vec<PlannedCall>,
    pub roles: Vec<AffectedRole>,
    pub documents: Documents,
    /// Positions of roles by account and lower-case name.
    roles_by_name: HashMap<(Key, String), usize>,
    /// Positions of the role objects by their present ARN.
    pub objects_by_arn: HashMap<String, usize>,
}

/// The distance between the sequence numbers of two calls, so that the parts of a split call fit between them.
const SPREAD: usize = 4;

impl Calls {
    pub(super) fn of(context: &PlanContext<'_>, draft: &Draft) -> Self {
        let mut calls = Self::default();
        let mut steps: Vec<(&Step, bool)> = draft.steps.values().map(|step| (step, false)).collect();
        steps.extend(draft.deferred.values().map(|step| (step, true)));
        steps.sort_by(|(one, _), (other, _)| one.address.cmp(&other.address));
        for (step, deferred) in &steps {
            calls.add_object(context, step, *deferred);
        }
        calls.read_documents(context);
        calls.add_unchanged_roles(context);
        calls.add_unknown_trust(context, draft);
        calls.add_unread_users(context);
        for (object, (step, _)) in steps.iter().enumerate() {
            calls.add_calls(object, step);
        }
        calls.find_left_denies();
        calls
    }

    fn add_object(&mut self, context: &PlanContext<'_>, step: &Step, deferred: bool) {
        let first = step.parts.first().and_then(|part| part.call.iam());
        let account = first.map(|(account, _)| account);
        let object = self.objects.len();
        let mut role = None;
        match (&step.change, account) {
            (ResourceChange::Role(change), Some(account)) => {
                role = Some(self.roles.len());
                self.add_role(context, object, account, (change.before(), change.after()));
            }
            (ResourceChange::Policy(change), _)
                if change.before().map(|it| &it.document) != change.after().map(|it| &it.document) =>
            {
                if let Some(Target::Policy(arn)) = first.map(|(_, call)| call.target()) {
                    let [before, after] = [change.before(), change.after()].map(|it| it.map(|it| it.document.clone()));
                    let effects = permission_effects::between(before.as_ref(), after.as_ref());
                    self.documents.changes.insert(arn.clone(), DocumentChange { before, after, effects });
                }
            }
            _ => {}
        }
        self.objects.push(PlannedObject {
            address: step.address.clone(),
            action: step.change.action(),
            needs: step.needs.clone(),
            deferred,
            account: account.cloned(),
            role,
            rank: rank(&step.address, step.change.action()),
        });
    }

    fn add_role(
        &mut self,
        context: &PlanContext<'_>,
        object: usize,
        account: &Key,
        ends: (Option<&Role>, Option<&Role>),
    ) {
        let (before, after) = (ends.0.cloned(), ends.1.cloned());
        if let Some(role) = before.as_ref().or(after.as_ref()) {
            self.roles_by_name.insert((account.clone(), role.name.lower_case()), self.roles.len());
            if let Some(declared) = context.desired.accounts.get(account) {
                let arn = RoleArn::of(&declared.partition, &declared.id, &role.path, &role.name);
                self.objects_by_arn.insert(arn.to_string(), object);
            }
        }
        self.roles.push(AffectedRole { object: Some(object), before, after, ..AffectedRole::default() });
    }

    fn read_documents(&mut self, context: &PlanContext<'_>) {
        for account in context.desired.accounts.keys().filter_map(|key| context.account(key)) {
            let ours = account.policies.iter().filter_map(|(arn, live)| Some((arn, &live.present()?.policy.document)));
            let others = account.foreign_policies.iter();
            let others = others.filter_map(|(arn, live)| Some((arn, live.present()?.as_ref()?)));
            let all = ours.chain(others).map(|(arn, document)| (arn.clone(), document.clone()));
            self.documents.live.extend(all);
        }
        // policies that another shard creates
        for ((account, key), policy) in &context.desired.policies {
            if let Some(arn) = context.attachment_arn(account, &Attachment::Declared(key.clone())) {
                self.documents.live.entry(arn).or_insert_with(|| policy.document.clone());
            }
        }
    }

    /// Adds each unchanged role that has two or more policies whose documents change.
    fn add_unchanged_roles(&mut self, context: &PlanContext<'_>) {
        if self.documents.changes.is_empty() {
            return;
        }
        for key in context.desired.accounts.keys() {
            for (lower_case, live) in context.account(key).into_iter().flat_map(|account| &account.roles) {
                let Some(live) = live.present() else { continue };
                let changes = |arn: &&PolicyArn| self.documents.changes.contains_key(*arn);
                if live.role.attached.iter().chain(&live.role.permissions_boundary).filter(changes).count() > 1 {
                    self.unchanged_role(key, lower_case, &live.role);
                }
            }
        }
    }

    /// The position of a live role. Adds it as an unchanged role if it is not there yet.
    fn unchanged_role(&mut self, account: &Key, lower_case: &str, role: &Role) -> usize {
        let next = self.roles.len();
        let position = *self.roles_by_name.entry((account.clone(), lower_case.to_owned())).or_insert(next);
        if position == next {
            let role = Some(role.clone());
            self.roles.push(AffectedRole { before: role.clone(), after: role, ..AffectedRole::default() });
        }
        position
    }

    /// Adds a call of unknown content for each role whose declared trust is unknown, because somebody may be about to
    /// lose the role. Calls that give must wait for it.
    fn add_unknown_trust(&mut self, context: &PlanContext<'_>, draft: &Draft) {
        for address in draft.trust_unknown.iter().filter(|_| !mutant::is_active(Mutant::UnknownTrustStays)) {
            let Address::Role { key } = address else { continue };
            let Some(role) = context.desired.roles.get(key) else { continue };
            let lower_case = role.name.lower_case();
            let live = context.account(&role.account).and_then(|account| account.roles.get(&lower_case)?.present());
            let Some(live) = live else { continue };
            let position = self.unchanged_role(&role.account, &lower_case, &live.role);
            self.add_unknown(address.clone(), position);
        }
    }

    fn add_unknown(&mut self, address: Address, role: usize) {
        let (object, needs, action) = (self.objects.len(), Vec::new(), Action::Update);
        self.objects.push(PlannedObject { address, action, needs, deferred: true, account: None, role: None, rank: 2 });
        let effects = vec![(role, Effects::of(Factor::Trust, true, true))];
        self.nodes.push(PlannedCall::new(object, None, effects, 0));
    }

    /// Adds the users of changed policies that this run does not read: IAM users, groups, and roles that irsa does not
    /// manage. One invented role stands for all of them. It has all their policies, so an order that is safe for it is
    /// safe for each of them. A declared role that could not be read may be one of them, and its trust may change.
    fn add_unread_users(&mut self, context: &PlanContext<'_>) {
        for key in context.desired.accounts.keys() {
            let Some(account) = context.account(key) else { continue };
            let mut users = AffectedRole::default();
            for (arn, live) in &account.policies {
                let Some(live) = live.present().filter(|_| self.documents.changes.contains_key(arn)) else { continue };
                let (attached, bounds) = has_unread_users(account, arn, live);
                users.unread_attached.extend(attached.then(|| arn.clone()));
                users.unread_bounds.extend(bounds.then(|| arn.clone()));
            }
            if users.unread_attached.is_empty() && users.unread_bounds.is_empty() {
                continue;
            }
            let position = self.roles.len();
            self.roles.push(users);
            for (lower_case, _) in account.roles.iter().filter(|(_, live)| matches!(live, Observed::Unknown(_))) {
                self.add_unknown(context.role_address(key, lower_case, lower_case), position);
            }
        }
    }

    fn add_calls(&mut self, object: usize, step: &Step) {
        let role = self.objects[object].role;
        for (sequence, part) in step.parts.iter().enumerate() {
            let mut effects = match (part.call.iam(), role) {
                (None, _) => Vec::new(),
                (Some((_, call)), Some(role)) => vec![(role, self.documents.effects(call))],
                (Some((_, call)), None) => self.effects_on_others(call),
            };
            effects.retain(|(_, effects)| !effects.is_none());
            self.nodes.push(PlannedCall::new(object, Some(part.call.clone()), effects, sequence * SPREAD));
        }
    }

    /// How a call on a policy or provider affects each role.
    fn effects_on_others(&self, call: &IamCall) -> Vec<(usize, Effects)> {
        let on_each = |effects: &dyn Fn(&AffectedRole) -> Effects| {
            self.roles.iter().enumerate().map(|(position, role)| (position, effects(role))).collect()
        };
        match (call.target(), call.write()) {
            (Target::Policy(arn), FieldWrite::Document(..)) => match self.documents.changes.get(arn) {
                Some(change) => on_each(&|role| role.effects_of_document(arn, change)),
                None => Vec::new(),
            },
            (Target::Provider(arn), FieldWrite::Create(_)) => on_each(&|role| role.effects_of_provider(arn, None)),
            (Target::Provider(arn), FieldWrite::AddAudience(audience)) => {
                on_each(&|role| role.effects_of_provider(arn, Some(audience)))
            }
            (Target::Provider(_) | Target::Policy(_) | Target::Role(_), _) => Vec::new(),
        }
    }

    /// Finds the inline policies that deny everything and that an earlier run left behind.
    fn find_left_denies(&mut self) {
        for (position, node) in self.nodes.iter().enumerate() {
            let Some(IamCall::DeleteInline { policy, .. }) = node.iam() else { continue };
            if policy.as_str() == TRANSITION {
                for (role, _) in &node.effects {
                    self.roles[*role].deny = Some(DenyCalls { put: None, delete: position });
                }
            }
        }
    }

    /// The sort key of calls that no edge puts in order.
    pub(super) fn rank(&self, node: usize) -> (u8, usize, usize) {
        let PlannedCall { object, sequence, .. } = self.nodes[node];
        (self.objects[object].rank, object, sequence)
    }

    pub(super) fn is_deferred(&self, node: usize) -> bool {
        self.objects[self.nodes[node].object].deferred
    }

    pub(super) fn address_of(&self, node: usize) -> &Address {
        &self.objects[self.nodes[node].object].address
    }

    pub(super) fn iam(&self, node: usize) -> Option<&IamCall> {
        self.nodes[node].iam()
    }

    /// The role that the call itself changes.
    pub(super) fn own_role(&self, node: usize) -> Option<&AffectedRole> {
        self.objects[self.nodes[node].object].role.map(|role| &self.roles[role])
    }

    /// The effects of a call on all roles together.
    pub(super) fn effects(&self, node: usize) -> Effects {
        self.nodes[node].effects.iter().fold(Effects::default(), |all, (_, effects)| all.or(*effects))
    }

    /// The calls that affect each role.
    pub(super) fn by_role(&self) -> Vec<Vec<(usize, Effects)>> {
        let mut all = vec![Vec::new(); self.roles.len()];
        for (position, node) in self.nodes.iter().enumerate() {
            node.effects.iter().for_each(|(role, effects)| all[*role].push((position, *effects)));
        }
        all
    }

    /// The calls of each object, by sequence number.
    pub(super) fn by_object(&self) -> Vec<Vec<usize>> {
        let mut all = vec![Vec::new(); self.objects.len()];
        self.nodes.iter().enumerate().for_each(|(position, node)| all[node.object].push(position));
        for nodes in &mut all {
            nodes.sort_by_key(|node| self.nodes[*node].sequence);
        }
        all
    }

    /// Adds two calls to a role: the first puts the inline policy that denies everything, and the last deletes it.
    /// `false` if the role has the policy already, or has no calls of its own.
    pub(super) fn deny_everything(&mut self, role: usize) -> bool {
        let AffectedRole { object: Some(object), before, after, deny: None, .. } = &self.roles[role] else {
            return false;
        };
        let Some(account) = &self.objects[*object].account else { return false };
        let (Some(end), Ok(policy)) = (after.as_ref().or(before.as_ref()), PolicyName::parse(TRANSITION)) else {
            return false;
        };
        let (name, to) = (end.name.clone(), permission_effects::deny_everything());
        let put = IamCall::PutInline { name: name.clone(), policy: policy.clone(), from: None, to: to.clone() };
        let delete = IamCall::DeleteInline { name, policy, from: to };
        let (first, object) = (self.nodes.len(), *object);
        for (call, sequence) in [(put, 0), (delete, usize::MAX)] {
            let call = Some(Call::Iam(account.clone(), call));
            self.nodes.push(PlannedCall::new(object, call, Vec::new(), sequence));
        }
        self.roles[role].deny = Some(DenyCalls { put: Some(first), delete: first + 1 });
        true
    }

    /// Replaces a call by a call that only takes and a call that only gives, with the call `between` them.
    pub(super) fn split(&mut self, position: usize, [taking, giving]: [IamCall; 2], between: Option<IamCall>) {
        let PlannedCall { object, ref effects, sequence, .. } = self.nodes[position];
        let Some(account) = self.objects[object].account.clone() else { return };
        let iam = |call| Some(Call::Iam(account.clone(), call));
        let part = |which: fn(Effects) -> Effects| {
            let parts = effects.iter().map(|(role, effects)| (*role, which(*effects)));
            parts.filter(|(_, effects)| !effects.is_none()).collect::<Vec<_>>()
        };
        let (taken, given) = (part(Effects::only_takes), part(Effects::only_gives));
        if let Some(call) = between {
            self.nodes.push(PlannedCall::new(object, iam(call), Vec::new(), sequence + 1));
        }
        let giving = PlannedCall::new(object, iam(giving), given, sequence + SPREAD - 1);
        self.nodes.push(PlannedCall { split: SplitCall::Giving, ..giving });
        let node = &mut self.nodes[position];
        (node.call, node.split, node.effects) = (iam(taking), SplitCall::Taking, taken);
    }

    pub(super) fn objects_by_address(&self) -> BTreeMap<&Address, usize> {
        self.objects.iter().enumerate().map(|(position, object)| (&object.address, position)).collect()
    }
}

impl PlannedCall {
    fn new(object: usize, call: Option<Call>, effects: Vec<(usize, Effects)>, sequence: usize) -> Self {
        Self { object, call, split: SplitCall::Unsplit, effects, sequence }
    }

    pub(super) fn iam(&self) -> Option<&IamCall> {
        self.call.as_ref().and_then(Call::iam).map(|(_, call)| call)
    }
}

impl AffectedRole {
    /// Whether the role has this property before and after.
    fn both(&self, has: impl Fn(&Role) -> bool) -> bool {
        [&self.before, &self.after].into_iter().all(|end| end.as_ref().is_some_and(&has))
    }

    /// The effects of a new document of a policy that the role has before and after.
    fn effects_of_document(&self, arn: &PolicyArn, change: &DocumentChange) -> Effects {
        let attached = self.unread_attached.contains(arn) || self.both(|role| role.attached.contains(arn));
        let bounds =
            self.unread_bounds.contains(arn) || self.both(|role| role.permissions_boundary.as_ref() == Some(arn));
        let only_if = |has: bool, effects: Effects| if has { effects } else { Effects::default() };
        only_if(attached, Effects::of_policy(change.effects)).or(only_if(bounds, Effects::of_boundary(change.effects)))
    }

    /// The effects of creating a provider, or of adding an audience, for a role that trusts it already.
    fn effects_of_provider(&self, arn: &ProviderArn, audience: Option<&str>) -> Effects {
        let trusts = |role: &Role| {
            role.trust.federated_providers().contains(arn.as_str())
                && audience.is_none_or(|audience| role.trust.text().contains(audience))
        };
        Effects::of(Factor::Provider, false, self.before.as_ref().is_some_and(trusts))
    }
}

/// Whether something that this run does not read has the policy attached, and whether something has it as its boundary.
fn has_unread_users(account: &LiveAccount, arn: &PolicyArn, live: &LivePolicy) -> (bool, bool) {
    let roles = || account.roles.values().filter_map(Observed::present).map(|live| &live.role);
    let attached = roles().filter(|role| role.attached.contains(arn)).count();
    let bounds = roles().filter(|role| role.permissions_boundary.as_ref() == Some(arn)).count();
    let all = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    (all(live.attachments) > attached, all(live.boundaries) > bounds)
}
