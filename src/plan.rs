//! Decides: what is wanted against what is there, into a list of changes in the order in which they must be made.
//!
//! Pure, synchronous and total: no IO, no clock (the time comes in as an option), no async; what is decided side by side
//! does not depend on each other. A plan leaves apply no choice: every step is a list of calls, and
//! what must not be done is refused here.

pub mod change;
mod confirm;
mod draft;
mod elsewhere;
mod fields;
pub mod file;
mod guard;
mod held;
mod names;
mod orphans;
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
mod site;
pub mod step;
mod tags;
mod write_order;

pub use change::{Change, FieldChange, ResourceChange};
pub use confirm::confirm;
pub use file::PlanV2;
pub use names::Names;
pub use step::{Options, Part, PartId, Plan, Refused, Step, Summary, Unseen};

use crate::model::desired::Desired;
use crate::model::live::Live;
use crate::model::note::Note;
use draft::Draft;
use site::{Issuer, Site};

/// Compares `desired` with `live`. `findings` are the linter's, kept among the notes.
pub fn plan(desired: &Desired, live: &Live, options: &Options, findings: Vec<Note>) -> Plan {
    let site = Site::new(desired, live, options);
    let mut draft = Draft { selecting: !options.only.is_empty(), ..Draft::default() };
    places::plan(&site, &mut draft);
    if !options.destroy {
        providers::plan(&site, &mut draft);
        policies::plan(&site, &mut draft);
        elsewhere::plan(&site, &mut draft);
    }
    let mut released = draft.beside();
    let plan_declared = || {
        if !options.destroy {
            roles::plan(&site, &mut draft);
            service_accounts::plan(&site, &mut draft);
        }
    };
    rayon::join(plan_declared, || release::plan(&site, &mut released));
    draft.absorb(released);
    orphans::plan(&site, &mut draft);
    roles::note_strangers(&site, &mut draft);
    draft.notes.extend(findings.into_iter().filter(|note| elsewhere::is_told_here(&site, note)));
    let unmatched = select::select(&site, &mut draft);
    guard::guard(&site, &mut draft);
    draft.notes.extend(safeguards::notes(desired));
    principals::wait(&site, &mut draft);
    let steps = write_order::arrange(&site, &mut draft);
    finish(&site, draft, steps, unmatched)
}

fn finish(site: &Site<'_>, draft: Draft, steps: Vec<Step>, unmatched: Vec<String>) -> Plan {
    let Draft { refused, unknown, mut notes, waiting, matching, shown, mut held_back, .. } = draft;
    notes.sort_by(|a, b| {
        (b.severity, &a.address, &a.rule, &a.origin, &a.text)
            .cmp(&(a.severity, &b.address, &b.rule, &b.origin, &b.text))
    });
    notes.dedup();
    Plan {
        owner: site.desired.owner.clone(),
        config_digest: site.desired.config_digest.clone(),
        options: site.options.clone(),
        steps,
        refused: refused.into_iter().collect(),
        withheld: shown.iter().filter_map(|address| held_back.remove(address)).collect(),
        unknown: unknown.into_iter().collect(),
        notes,
        unchanged: matching.len(),
        settled: matching,
        waiting: waiting.into_iter().collect(),
        unmatched,
        names: names(site),
    }
}

/// What the configuration calls issuers and roles.
fn names(site: &Site<'_>) -> Names {
    let clusters = site.desired.clusters.keys().filter_map(|key| match site.issuer(key) {
        Issuer::Known(issuer) => Some((issuer.host_path().to_owned(), key.clone())),
        Issuer::Gone(issuer) => Some((issuer.clone()?, key.clone())),
        Issuer::Missing | Issuer::Unknown(_) => None,
    });
    let roles = site.desired.roles.iter();
    let roles = roles.filter_map(|(key, role)| Some((site.role_arn(role)?.to_string(), key.clone())));
    Names { clusters: clusters.collect(), roles: roles.collect() }
}

#[cfg(test)]
pub(crate) mod tests;
