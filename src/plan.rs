//! Decides: what is wanted against what is there, into a list of changes in the order in which they must be made.
//!
//! Pure, synchronous and total: no IO, no clock (the time comes in as an option), no async; what is decided side by side
//! does not depend on each other. A plan leaves apply no choice: every step is a list of calls, and
//! what must not be done is refused here.

pub mod change;
mod config_keys;
mod confirm;
mod context;
mod draft;
mod field_ownership;
mod fields;
pub mod file;
mod guard;
mod orphans;
mod other_shards;
mod parts;
mod places;
mod policies;
mod principals;
mod providers;
mod release;
mod roles;
pub mod safeguards;
pub mod saved;
mod select;
mod service_accounts;
pub mod step;
mod tags;
mod write_order;

pub use change::{Change, FieldChange, ResourceChange};
pub use config_keys::ConfigKeys;
pub use confirm::confirm;
pub use file::PlanV2;
pub use step::{Options, Part, PartId, Plan, Refused, Step, Summary, UnknownObject};

use crate::model::desired::Desired;
use crate::model::live::Live;
use crate::model::note::Note;
use context::{Issuer, PlanContext};
use draft::Draft;

/// Compares `desired` with `live`. `findings` are the linter's, kept among the notes.
pub fn plan(desired: &Desired, live: &Live, options: &Options, findings: Vec<Note>) -> Plan {
    let context = PlanContext::new(desired, live, options);
    let mut draft = Draft { selecting: !options.only.is_empty(), ..Draft::default() };
    places::plan(&context, &mut draft);
    if !options.destroy {
        providers::plan(&context, &mut draft);
        policies::plan(&context, &mut draft);
        other_shards::plan(&context, &mut draft);
    }
    let mut released = draft.fork();
    let plan_declared = || {
        if !options.destroy {
            roles::plan(&context, &mut draft);
            service_accounts::plan(&context, &mut draft);
        }
    };
    rayon::join(plan_declared, || release::plan(&context, &mut released));
    draft.merge(released);
    orphans::plan(&context, &mut draft);
    roles::note_strangers(&context, &mut draft);
    draft.notes.extend(findings.into_iter().filter(|note| other_shards::is_told_here(&context, note)));
    let unmatched = select::select(&context, &mut draft);
    guard::guard(&context, &mut draft);
    draft.notes.extend(safeguards::notes(desired));
    principals::wait(&context, &mut draft);
    let steps = write_order::arrange(&context, &mut draft);
    finish(&context, draft, steps, unmatched)
}

fn finish(context: &PlanContext<'_>, draft: Draft, steps: Vec<Step>, unmatched: Vec<String>) -> Plan {
    let Draft { refused, unknown, mut notes, waiting, matching, shown, mut held_back, .. } = draft;
    notes.sort_by(|a, b| {
        (b.severity, &a.address, &a.rule, &a.origin, &a.text)
            .cmp(&(a.severity, &b.address, &b.rule, &b.origin, &b.text))
    });
    notes.dedup();
    Plan {
        owner: context.desired.owner.clone(),
        config_digest: context.desired.config_digest.clone(),
        options: context.options.clone(),
        steps,
        refused: refused.into_iter().collect(),
        withheld: shown.iter().filter_map(|address| held_back.remove(address)).collect(),
        unknown: unknown.into_iter().collect(),
        notes,
        unchanged: matching.len(),
        settled: matching,
        waiting: waiting.into_iter().collect(),
        unmatched,
        names: names(context),
    }
}

/// What the configuration calls issuers and roles.
fn names(context: &PlanContext<'_>) -> ConfigKeys {
    let clusters = context.desired.clusters.keys().filter_map(|key| match context.issuer(key) {
        Issuer::Known(issuer) => Some((issuer.host_path().to_owned(), key.clone())),
        Issuer::Gone(issuer) => Some((issuer.clone()?, key.clone())),
        Issuer::Missing | Issuer::Unknown(_) => None,
    });
    let roles = context.desired.roles.iter();
    let roles = roles.filter_map(|(key, role)| Some((context.role_arn(role)?.to_string(), key.clone())));
    ConfigKeys { clusters: clusters.collect(), roles: roles.collect() }
}

#[cfg(test)]
pub(crate) mod tests;
