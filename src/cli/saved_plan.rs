//! Saved plans: reads the file, and decides which options of the file and of the command line hold.
//!
//! A plan file is not signed. So it can only narrow a run: it selects objects and changes. Options that widen a run must
//! be repeated on the command line.

use super::files::{self, MAKE_A_NEW_ONE};
use super::session::refusal;
use crate::error::{Error, ExitStatus};
use crate::model::quoted::quoted;
use crate::plan::file::OptionsV2;
use crate::plan::{Options, Plan, PlanV2};
use crate::ui::Ui;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Reads a plan for `irsa show`. Warns if the file was changed.
pub(super) fn read_to_show(path: &Path, ui: &Ui) -> Result<PlanV2, Error> {
    let (plan, is_unchanged) = read(path)?;
    if !is_unchanged {
        ui.warning("someone changed the file: its counts do not match its changes; irsa shows the correct counts");
    }
    Ok(plan)
}

/// Reads a plan for `irsa apply`. Refuses a file that was changed.
pub(super) fn read_to_apply(path: &Path) -> Result<PlanV2, Error> {
    match read(path)? {
        (plan, true) => Ok(plan),
        (_, false) => Err(unusable(path, "it was changed after it was written: its counts do not match its changes")),
    }
}

/// Reads a plan. Returns false with a plan whose digests are right but whose derived parts were changed.
fn read(path: &Path) -> Result<(PlanV2, bool), Error> {
    let text = files::read(path)?;
    let plan = PlanV2::read(&text).map_err(|error| unusable(path, &error.to_string()))?;
    let is_unchanged = plan.to_text() == text;
    Ok((plan, is_unchanged))
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::new(ExitStatus::Stale, format!("`{}`: {why}", path.display())).hint(MAKE_A_NEW_ONE)
}

/// The flags that widen a run, each with whether the plan has it.
fn widening(options: &OptionsV2) -> [(&'static str, bool); 6] {
    let OptionsV2 { only: _, destroy, adopt, force, force_conflicts, allow_incomplete, skip_refused, shard: _ } =
        options;
    [
        ("--destroy", *destroy),
        ("--adopt", *adopt),
        ("--force", *force),
        ("--force-conflicts", *force_conflicts),
        ("--allow-incomplete", *allow_incomplete),
        ("--skip-refused", *skip_refused),
    ]
}

/// The options to derive the plan with: those of the file that the command line repeats. `--allow-incomplete` and
/// `--skip-refused` come from the command line alone.
///
/// # Errors
/// If the file has options that the command line does not repeat.
pub(super) fn options(saved: &PlanV2, given: &Options, ui: &Ui, path: &Path) -> Result<Options, Error> {
    let Options { destroy, adopt, force, force_conflicts, allow_incomplete, skip_refused, .. } = *given;
    let given_flags = [destroy, adopt, force, force_conflicts, allow_incomplete, skip_refused];
    let flags = || widening(&saved.options).into_iter().zip(given_flags);
    let missing: Vec<&str> =
        flags().filter(|((_, saved), given)| *saved && !given).map(|((flag, _), _)| flag).collect();
    if !missing.is_empty() {
        let message = format!(
            "the saved plan was made with {}: repeat that to apply it; nothing was written",
            quoted(&missing).join(", ")
        );
        let command = format!("`irsa apply {} {}`", missing.join(" "), path.display());
        return Err(Error::new(ExitStatus::Stale, message)
            .hint(format!("the file is not signed: if you want these options, use {command}")));
    }
    // without the last two, which only continue past a refusal
    let without_effect: Vec<&str> =
        flags().take(4).filter(|((_, saved), given)| !saved && *given).map(|((flag, _), _)| flag).collect();
    if !without_effect.is_empty() {
        let flags = quoted(without_effect).join(", ");
        ui.warning(&format!("the saved plan was made without {flags}: it is applied as it was made"));
    }
    let OptionsV2 { only, destroy, adopt, force, force_conflicts, shard, .. } = saved.options.clone();
    let shard = shard.map(|text| text.parse()).transpose();
    let shard = shard.map_err(|error| unusable(path, &format!("its shard is invalid: {error}")))?;
    Ok(Options { only, destroy, adopt, force, force_conflicts, shard, ..given.clone() })
}

/// The flags that `irsa apply` needs for this plan, each followed by a space.
pub(super) fn flags(plan: &PlanV2) -> String {
    let flags = widening(&plan.options).into_iter().filter(|(_, on)| *on);
    flags.flat_map(|(flag, _)| [flag, " "]).collect()
}

/// The message after `irsa plan -o FILE`: how to apply the file.
pub(super) fn next_command(plan: &PlanV2, status: ExitStatus, path: &Path) -> String {
    let (flags, path) = (flags(plan), path.display());
    if status != ExitStatus::Refused {
        return format!("saved; apply exactly this with `irsa apply {flags}{path}`");
    }
    let refused = plan.refused_addresses();
    let skip = !refused.is_empty() && !plan.options.skip_refused;
    let incomplete = !plan.complete && !plan.options.allow_incomplete;
    let why = if skip { "it has refusals" } else { "a part of the live state could not be read" };
    let has_others = plan.changes.iter().any(|change| !refused.contains(change.address.as_str()));
    let rest = if has_others {
        let skip = if skip { "--skip-refused " } else { "" };
        let allow = if incomplete { "--allow-incomplete " } else { "" };
        format!(", or apply the rest with `irsa apply {flags}{skip}{allow}{path}`")
    } else {
        String::new()
    };
    format!("saved, but `irsa apply` refuses it as it is: {why}; resolve that and plan again{rest}")
}

/// What the file or the fresh plan refuses: reasons by address.
pub(super) fn refusals(saved: &PlanV2, fresh: &Plan) -> BTreeMap<String, String> {
    let in_file = saved.refused.iter().map(|item| (item.address.clone(), item.reason()));
    in_file.chain(fresh.refused.iter().map(|item| (item.address.clone(), item.reason()))).collect()
}

/// Fails if the file is of another owner, or its `--only` selects nothing.
pub(super) fn same_run(saved: &PlanV2, fresh: &Plan) -> Result<(), Error> {
    let why = if saved.owner != fresh.owner.as_str() {
        format!("it belongs to owner `{}`, but the configuration belongs to `{}`", saved.owner, fresh.owner)
    } else if let Some(glob) = fresh.unmatched.first() {
        format!("`--only '{glob}'`, which it was made with, matches no object")
    } else {
        return Ok(());
    };
    let message = format!("the saved plan cannot be applied: {why}; nothing was written");
    Err(Error::new(ExitStatus::Stale, message).hint(MAKE_A_NEW_ONE))
}

/// Fails if the file or the fresh plan has refusals, or if live state was or is unreadable. The fresh plan counts too:
/// someone may have removed refusals from the file.
pub(super) fn not_refused(saved: &PlanV2, plan: &Plan) -> Result<(), Error> {
    let line = |address: &str, why: &str| format!("{address}: {why}");
    let refused = plan.refused.iter().map(|item| line(&item.address, &item.reason()));
    let refused: BTreeSet<String> =
        refused.chain(saved.refused.iter().map(|item| line(&item.address, &item.reason()))).collect();
    let unknown = plan.unknown.iter().map(|item| line(&item.address, &item.why));
    let unknown: BTreeSet<String> =
        unknown.chain(saved.unknown.iter().map(|item| line(&item.address, &item.why))).collect();
    if !refused.is_empty() && !plan.options.skip_refused {
        return Err(refusal(true).details(refused));
    }
    if !(unknown.is_empty() && saved.complete || plan.options.allow_incomplete) {
        return Err(refusal(false).details(unknown));
    }
    Ok(())
}
