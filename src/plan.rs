//! Compares desired with live state. Returns the changes to make, in a safe order, and everything that is refused,
//! unknown or waiting.
//!
//! Pure and synchronous: no IO, and no clock (the time is an option). `apply` decides nothing, because each step
//! already has its API calls.
//!
//! `context` has the lookups, and `draft` collects the decisions. Each kind of object has a module: `providers`,
//! `policies`, `roles` (these three share `iam`) and `service_accounts`. `plan` below calls them in the order in which
//! they need each other, after `places`, which reports what could not be read. `select`, `guard`,
//! `roles::trusted_roles` and `write_order` then work on the whole draft.

pub mod change;
mod context;
mod draft;
mod field_diff;
pub mod file;
mod guard;
mod iam;
mod live_object;
mod other_shards;
mod places;
mod policies;
mod providers;
mod roles;
pub mod safeguards;
pub mod saved;
mod seen_twice;
mod select;
mod service_accounts;
pub mod types;
mod write_order;

pub use change::{Change, ResourceChange};
pub use field_diff::FieldChange;
pub use file::PlanV2;
pub use live_object::{LiveObject, object as live_object};
pub use seen_twice::confirm;
pub use types::{ConfigKeys, Options, Part, PartId, Plan, Refused, Step, Summary, UnknownObject};

use crate::ids::Key;
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::live::Live;
use crate::model::note::Note;
use crate::model::origin::Origin;
use context::PlanContext;
use draft::Draft;
use std::collections::BTreeMap;

/// Compares `desired` with `live`. The plan's notes include the linter's `findings`.
pub fn plan(desired: &Desired, live: &Live, options: &Options, findings: Vec<Note>) -> Plan {
    let context = PlanContext::new(desired, live, options);
    let mut draft = Draft::default();
    places::report(&context, &mut draft);
    if !options.destroy {
        providers::plan(&context, &mut draft);
        policies::plan(&context, &mut draft);
        other_shards::block(&context, &mut draft);
    }
    let mut undeclared = Draft::default();
    let plan_declared = || {
        if !options.destroy {
            roles::plan(&context, &mut draft);
            service_accounts::plan(&context, &mut draft);
        }
    };
    rayon::join(plan_declared, || service_accounts::undeclared::plan(&context, &mut undeclared));
    draft.merge(undeclared);
    // An undeclared IAM object belongs to no shard, so only a run without `--shard` deletes it. Keep this order: the
    // roles need the ServiceAccounts' steps, and policies and providers need the roles' steps.
    if context.scope.is_none() {
        roles::undeclared::plan(&context, &mut draft);
        policies::plan_undeclared(&context, &mut draft);
        providers::plan_undeclared(&context, &mut draft);
        roles::undeclared::note_foreign(&context, &mut draft);
    }
    draft.notes.extend(findings.into_iter().filter(|note| other_shards::is_reported_here(&context, note)));
    let unmatched = select::select(&context, &mut draft);
    guard::guard(&context, &mut draft);
    draft.notes.extend(safeguards::notes(desired));
    roles::trusted_roles::wait_for_new_roles(&context, &mut draft);
    let steps = write_order::arrange(&context, &mut draft);
    finish(&context, draft, steps, unmatched)
}

fn finish(context: &PlanContext<'_>, draft: Draft, steps: Vec<Step>, unmatched: Vec<String>) -> Plan {
    let Draft { refused, unknown, mut notes, waiting, unchanged, refused_steps, mut deferred, .. } = draft;
    notes.sort_by(|a, b| {
        (b.severity, &a.address, &a.rule, &a.origin, &a.text)
            .cmp(&(a.severity, &b.address, &b.rule, &b.origin, &b.text))
    });
    notes.dedup();
    let of_notes = notes.iter().map(|note| &note.address);
    let addresses =
        of_notes.chain(refused.iter().map(|item| &item.address)).chain(unknown.iter().map(|item| &item.address));
    let origins =
        addresses.filter_map(|address| Some((address.clone(), origin(context.desired, address)?.to_string())));
    let names = ConfigKeys { origins: origins.collect(), ..config_keys(context) };
    let (ignored, notes) = notes.into_iter().partition(|note| note.ignored.is_some());
    Plan {
        owner: context.desired.owner.clone(),
        config_digest: context.desired.config_digest.clone(),
        options: context.options.clone(),
        steps,
        refused: refused.into_iter().collect(),
        refused_steps: refused_steps.iter().filter_map(|address| deferred.remove(address)).collect(),
        unknown: unknown.into_iter().collect(),
        notes,
        ignored,
        unchanged,
        waiting: waiting.into_iter().collect(),
        unmatched,
        names,
    }
}

/// Keys by issuer, role ARN and account id, and documents by policy ARN.
fn config_keys(context: &PlanContext<'_>) -> ConfigKeys {
    let clusters = context.desired.clusters.keys();
    let clusters = clusters.filter_map(|key| Some((context.issuer(key).host_path()?.to_owned(), key.clone())));
    let roles = context.desired.roles.iter();
    let roles = roles.filter_map(|(key, role)| Some((context.role_arn(role)?.to_string(), key.clone())));
    let accounts = context.desired.accounts.iter().map(|(key, account)| (account.id.to_string(), key.clone()));
    let managed = context.live.accounts.values().flat_map(|account| &account.policies);
    let managed = managed.filter_map(|(arn, live)| Some((arn, &live.present()?.policy.document)));
    let foreign = context.live.accounts.values().flat_map(|account| &account.foreign_policies);
    let foreign = foreign.filter_map(|(arn, live)| Some((arn, live.present()?.as_ref()?)));
    let documents = managed.chain(foreign).map(|(arn, document)| (arn.to_string(), document.clone()));
    ConfigKeys {
        clusters: clusters.collect(),
        roles: roles.collect(),
        accounts: accounts.collect(),
        documents: documents.collect(),
        origins: BTreeMap::new(),
    }
}

/// Where the object, the account or the cluster of an address is declared. For a provider: where its cluster
/// is declared.
fn origin<'a>(desired: &'a Desired, address: &str) -> Option<&'a Origin> {
    let key = |kind: &str| address.strip_prefix(kind).and_then(|key| Key::parse(key).ok());
    let of_cluster = |key: &Key| desired.clusters.get(key).map(|cluster| &cluster.origin);
    if let Some(account) = key("account/") {
        return desired.accounts.get(&account)?.origin.as_ref();
    }
    if let Some(cluster) = key("cluster/") {
        return of_cluster(&cluster);
    }
    match address.parse().ok()? {
        Address::OidcProvider { cluster, .. } => of_cluster(&cluster),
        address => desired.origin(&address),
    }
}

#[cfg(test)]
pub(crate) mod tests;
