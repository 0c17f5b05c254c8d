//! Refuses a plan that is too big to be meant. `--force` overrules the limits of `[guard]`, `--destroy` that everything
//! in an account or cluster goes; neither overrules `irsa/prevent-destroy`. Guards are for writing: a plan that is only
//! reported has none, and one that may be applied shows what they refuse.

use super::change::Action;
use super::context::PlanContext;
use super::draft::Draft;
use super::step::{Part, Step};
use crate::ids::Key;
use crate::model::address::{Address, Place};
use crate::model::call::{Call, KubernetesCall};
use crate::model::marks::OWNER;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Takes the guarded steps out of the draft and refuses them.
pub(crate) fn guard(context: &PlanContext<'_>, draft: &mut Draft) {
    if context.options.report_only {
        return;
    }
    if !context.options.destroy {
        reused_owner(draft);
        emptied_places(draft);
    }
    if !context.options.force {
        too_many_deletes(context, draft);
        too_many_changes(context, draft);
    }
}

/// Whether the step takes something of ours away: a delete, or the release of a ServiceAccount.
fn takes_away(step: &Step) -> bool {
    let released = |part: &Part| match &part.call {
        Call::Kubernetes(_, KubernetesCall::Release { .. }) => true,
        Call::Kubernetes(_, KubernetesCall::Remove { from, .. }) => from.labels.contains_key(OWNER),
        _ => false,
    };
    step.change.action() == Action::Delete || step.parts.iter().any(released)
}

fn deletes(draft: &Draft) -> Vec<Address> {
    let steps = draft.steps.values().filter(|step| step.change.action() == Action::Delete);
    steps.map(|step| step.address.clone()).collect()
}

fn refuse(draft: &mut Draft, addresses: impl IntoIterator<Item = Address>, why: &str, hint: &str) {
    for address in addresses {
        draft.refuse_step(&address, why, hint);
    }
}

/// Deletes, while nothing that is declared exists: the `owner` is probably another configuration's.
fn reused_owner(draft: &mut Draft) {
    let taken: BTreeSet<Address> =
        draft.steps.values().filter(|step| takes_away(step)).map(|step| step.address.clone()).collect();
    if taken.is_empty() || draft.declared_live {
        return;
    }
    let why = "nothing that is declared exists, yet objects of this owner do: `owner` may be another configuration's";
    refuse(draft, taken, why, "use an `owner` of your own; if all of it is to go, use `--destroy`");
}

fn place(step: &Step) -> Option<Place<Key>> {
    step.parts.first().map(|part| match &part.call {
        Call::Iam(account, _) => Place::Account(account.clone()),
        Call::Kubernetes(cluster, _) => Place::Cluster(cluster.clone()),
    })
}

/// Everything owned in an account or a cluster goes, and nothing comes in its place.
fn emptied_places(draft: &mut Draft) {
    if !draft.steps.values().any(takes_away) {
        return;
    }
    let mut owned: BTreeMap<Place<Key>, Vec<Address>> = BTreeMap::new();
    for (address, place) in draft.ours.iter().cloned() {
        owned.entry(place).or_default().push(address);
    }
    for (emptied, addresses) in owned {
        let all_go = addresses.iter().all(|address| draft.steps.get(address).is_some_and(takes_away));
        let some_come = || draft.steps.values().any(|step| !takes_away(step) && place(step).as_ref() == Some(&emptied));
        if all_go && !some_come() {
            let why = format!("everything that is ours in {emptied} would go");
            refuse(draft, addresses, &why, "if that is meant, use `--destroy` (with `--only` for a part)");
        }
    }
}

fn too_many_deletes(context: &PlanContext<'_>, draft: &mut Draft) {
    let limit = context.desired.guard.deletes();
    let deletes = deletes(draft);
    if deletes.len() > limit.value {
        let why = format!("{} deletes are more than `{}` = {}", deletes.len(), limit.name, limit.value);
        refuse(draft, deletes, &why, "check that they are meant, then use `--force`");
    }
}

fn too_many_changes(context: &PlanContext<'_>, draft: &mut Draft) {
    let guard = &context.desired.guard;
    let existing = draft.ours.len();
    if draft.steps.is_empty() {
        return;
    }
    let ours: HashSet<&Address> = draft.ours.iter().map(|(address, _)| address).collect();
    let changing: Vec<Address> = draft
        .steps
        .values()
        .filter(|step| matches!(step.change.action(), Action::Update | Action::Delete))
        .filter(|step| ours.contains(&step.address))
        .map(|step| step.address.clone())
        .collect();
    let percent = guard.change_percent();
    let limit = u64::from(percent.value) * existing as u64;
    if existing >= guard.counts_from() && changing.len() as u64 * 100 > limit {
        let why = format!(
            "{} of our {existing} live objects would change, more than `{}` = {}",
            changing.len(),
            percent.name,
            percent.value
        );
        refuse(draft, changing, &why, "check that they are meant, then use `--force`");
    }
}
