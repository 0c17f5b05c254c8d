//! Refuses unexpectedly large plans. `--force` turns off the limits of `[guard]`. `--destroy` turns off the checks for
//! an emptied account or cluster and for a reused owner. Neither turns off `irsa/prevent-destroy`. Guards protect
//! writes, so `drift` has none.

use super::change::Action;
use super::context::PlanContext;
use super::draft::Draft;
use super::types::Step;
use crate::ids::Key;
use crate::model::address::{Address, Place};
use crate::model::call::{Call, KubernetesCall};
use crate::model::marks::OWNER;
use crate::model::refusal::{Refusal, RefusalKind};
use std::collections::{BTreeMap, HashSet};

/// Refuses the steps that a guard forbids.
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

/// Whether the step deletes an object of any kind, or releases a ServiceAccount.
fn deletes_or_releases(step: &Step) -> bool {
    step.change.action() == Action::Delete
        || step.parts.iter().any(|part| match &part.call {
            Call::Kubernetes(_, KubernetesCall::Remove { from, .. }) => from.labels.contains_key(OWNER),
            call => matches!(call, Call::Kubernetes(_, KubernetesCall::Release { .. })),
        })
}

fn addresses(draft: &Draft, which: impl Fn(&Step) -> bool) -> Vec<Address> {
    draft.steps.values().filter(|step| which(step)).map(|step| step.address.clone()).collect()
}

fn refuse(draft: &mut Draft, addresses: Vec<Address>, refusal: &Refusal) {
    for address in addresses {
        draft.refuse_step(&address, refusal.clone());
    }
}

/// Refuses all deletes and releases if irsa manages none of the declared objects, because another configuration
/// probably uses the same `owner`.
fn reused_owner(draft: &mut Draft) {
    if draft.declared_live {
        return;
    }
    let why = "none of the declared objects is managed, but other objects with this `owner` exist: another \
               configuration may use the same `owner`";
    let hint = "use an `owner` of your own; to delete all these objects, use `--destroy`";
    refuse(draft, addresses(draft, deletes_or_releases), &RefusalKind::OwnerReused.because(why, hint));
}

/// Refuses to delete or release every object that irsa manages in an account or a cluster, if the plan changes nothing
/// else there.
fn emptied_places(draft: &mut Draft) {
    if !draft.steps.values().any(deletes_or_releases) {
        return;
    }
    let mut owned: BTreeMap<Place<Key>, Vec<Address>> = BTreeMap::new();
    for (address, place) in draft.managed.iter().cloned() {
        owned.entry(place).or_default().push(address);
    }
    for (emptied, addresses) in owned {
        let all_removed = addresses.iter().all(|address| draft.steps.get(address).is_some_and(deletes_or_releases));
        let others_change =
            || draft.steps.values().any(|step| !deletes_or_releases(step) && step.place() == Some(emptied.as_ref()));
        if all_removed && !others_change() {
            let why = format!("this plan would delete or release everything that irsa manages in {emptied}");
            let hint = "if you want that, use `--destroy`; add `--only` to delete only a part";
            refuse(draft, addresses, &RefusalKind::Everything.because(why, hint));
        }
    }
}

fn too_many_deletes(context: &PlanContext<'_>, draft: &mut Draft) {
    let limit = context.desired.guard.deletes();
    let deletes = addresses(draft, |step| step.change.action() == Action::Delete);
    if deletes.len() > limit.value {
        let objects = if deletes.len() == 1 { "object" } else { "objects" };
        let why =
            format!("the plan deletes {} {objects}, but `{}` allows only {}", deletes.len(), limit.name, limit.value);
        refuse(
            draft,
            deletes,
            &RefusalKind::MaxDelete.because(why, "check that you want these changes, then use `--force`"),
        );
    }
}

fn too_many_changes(context: &PlanContext<'_>, draft: &mut Draft) {
    if draft.steps.is_empty() {
        return;
    }
    let guard = &context.desired.guard;
    let existing = draft.managed.len();
    let ours: HashSet<&Address> = draft.managed.iter().map(|(address, _)| address).collect();
    let changing = addresses(draft, |step| {
        matches!(step.change.action(), Action::Update | Action::Delete) && ours.contains(&step.address)
    });
    let percent = guard.change_percent();
    let limit = u64::from(percent.value) * existing as u64;
    if existing >= guard.counts_from() && changing.len() as u64 * 100 > limit {
        let why = format!(
            "{} of the {existing} objects that irsa manages would change, but `{}` allows only {} percent",
            changing.len(),
            percent.name,
            percent.value
        );
        let hint = "check that you want these changes, then use `--force`";
        refuse(draft, changing, &RefusalKind::MaxChangePercent.because(why, hint));
    }
}
