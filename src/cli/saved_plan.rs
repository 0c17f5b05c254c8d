//! Saved plans on their way in: what is taken of a file, and what must be said again on the command line.
//!
//! Nobody signs a plan file. So it decides only what is left out: which objects, which changes. What widens a run is for
//! whoever runs it to say.

use super::files;
use crate::error::{Error, ExitStatus};
use crate::plan::file::OptionsV2;
use crate::plan::{Options, Plan, PlanV2};
use crate::ui::Ui;
use std::collections::BTreeMap;
use std::path::Path;

/// Reads a plan to be shown. Says so where its counts were not those of its changes.
pub(crate) fn read_to_show(path: &Path, ui: &Ui) -> Result<PlanV2, Error> {
    let (plan, true_to_itself) = read(path)?;
    if !true_to_itself {
        ui.warning(
            "the counts in the file are not those of what it asks for: someone changed it; shown are the true ones",
        );
    }
    Ok(plan)
}

/// Reads a plan to be applied.
pub(crate) fn read_to_apply(path: &Path) -> Result<PlanV2, Error> {
    match read(path)? {
        (plan, true) => Ok(plan),
        (_, false) => {
            Err(unfit(path, "it was changed since it was written: its counts are not those of what it asks for"))
        }
    }
}

/// A saved plan, and whether its counts were true; one that is not as it was written ends the run with 5.
fn read(path: &Path) -> Result<(PlanV2, bool), Error> {
    let text = files::read(path)?;
    let plan = PlanV2::read(&text).map_err(|error| unfit(path, &error.to_string()))?;
    let as_written = plan.to_text() == text;
    Ok((plan, as_written))
}

fn unfit(path: &Path, why: &str) -> Error {
    Error::new(ExitStatus::Stale, format!("`{}`: {why}", path.display()))
        .hint("make a new one with `irsa plan -o FILE`")
}

/// The flags that widen a run, and whether an option has each.
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

/// The options to plan anew with: those of the file, as far as the command line has said them. What may be left undone
/// is for the command line alone.
///
/// # Errors
/// If the file has more than was said.
pub(crate) fn options(saved: &PlanV2, said: &Options, ui: &Ui, path: &Path) -> Result<Options, Error> {
    let Options { destroy, adopt, force, force_conflicts, allow_incomplete, skip_refused, now, .. } = *said;
    let on_the_line = [destroy, adopt, force, force_conflicts, allow_incomplete, skip_refused];
    let flags = widening(&saved.options).into_iter().zip(on_the_line);
    let unsaid: Vec<&str> =
        flags.clone().filter(|((_, saved), said)| *saved && !said).map(|((flag, _), _)| flag).collect();
    if !unsaid.is_empty() {
        let message = format!(
            "the saved plan was made with {}: that must be said again to apply it; nothing was written",
            quoted(&unsaid, ", ")
        );
        let line = format!("`irsa apply {} {}`", unsaid.join(" "), path.display());
        return Err(Error::new(ExitStatus::Stale, message)
            .hint(format!("nobody has signed the file: if this is meant, use {line}")));
    }
    // the last two only let a run go on
    let unmeant: Vec<&str> =
        flags.take(4).filter(|((_, saved), said)| !saved && *said).map(|((flag, _), _)| flag).collect();
    if !unmeant.is_empty() {
        ui.warning(&format!(
            "the saved plan was made without {}: it is applied as it was made",
            quoted(&unmeant, ", ")
        ));
    }
    let OptionsV2 { only, destroy, adopt, force, force_conflicts, shard, .. } = saved.options.clone();
    let shard = shard.map(|text| text.parse()).transpose();
    let shard = shard.map_err(|error| unfit(path, &format!("it names no shard: {error}")))?;
    Ok(Options {
        only,
        destroy,
        adopt,
        force,
        force_conflicts,
        allow_incomplete,
        skip_refused,
        shard,
        report_only: false,
        now,
    })
}

fn quoted(flags: &[&str], between: &str) -> String {
    flags.iter().map(|flag| format!("`{flag}`")).collect::<Vec<_>>().join(between)
}

/// The flags that a plan was made with and that must be said again to apply it.
pub(crate) fn flags(plan: &PlanV2) -> String {
    let said = widening(&plan.options).into_iter().filter(|(_, on)| *on);
    said.flat_map(|(flag, _)| [flag, " "]).collect()
}

/// What to do with a plan that was saved in a file, of a run that ended with `verdict`.
pub(crate) fn next(plan: &PlanV2, verdict: ExitStatus, path: &Path) -> String {
    let (flags, path) = (flags(plan), path.display());
    if verdict != ExitStatus::Refused {
        return format!("saved; apply exactly this with `irsa apply {flags}{path}`");
    }
    let refused = plan.refused_addresses();
    let skip = !refused.is_empty() && !plan.options.skip_refused;
    let left = plan.changes.iter().any(|change| !refused.contains(change.address.as_str()));
    let ways = [("--skip-refused ", skip), ("--allow-incomplete ", !plan.complete && !plan.options.allow_incomplete)];
    let more: String = ways.iter().filter(|(_, needed)| *needed).map(|(flag, _)| *flag).collect();
    let why = if skip { "it has refusals" } else { "a part of the live state could not be read" };
    let rest = if left { format!(", or apply the rest with `irsa apply {flags}{more}{path}`") } else { String::new() };
    format!("saved, but `irsa apply` refuses it as it is: {why}; resolve that and plan again{rest}")
}

/// What the file or the fresh plan refuses, by address, with the reason.
pub(crate) fn refusals(saved: &PlanV2, fresh: &Plan) -> BTreeMap<String, String> {
    let of_file = saved.refused.iter().map(|item| (item.address.clone(), item.why.clone()));
    of_file.chain(fresh.refused.iter().map(|item| (item.address.clone(), item.why.clone()))).collect()
}

/// Whether the file and the fresh plan are of one owner, and select something.
pub(crate) fn same_run(saved: &PlanV2, fresh: &Plan) -> Result<(), Error> {
    let why = if saved.owner != fresh.owner.as_str() {
        format!("it is of owner `{}`, the configuration is of `{}`", saved.owner, fresh.owner)
    } else if let Some(glob) = fresh.unmatched.first() {
        format!("`--only '{glob}'`, which it was made with, matches no object")
    } else {
        return Ok(());
    };
    Err(Error::new(ExitStatus::Stale, format!("the saved plan cannot be applied: {why}; nothing was written"))
        .hint("make a new one with `irsa plan -o FILE`"))
}

/// Whether nothing holds the run back, by the file and as it is now: the file may leave out what it likes.
pub(crate) fn not_refused(saved: &PlanV2, plan: &Plan) -> Result<(), Error> {
    let mut refused: Vec<String> = plan.refused.iter().map(|item| format!("{}: {}", item.address, item.why)).collect();
    refused.extend(saved.refused.iter().map(|item| format!("{}: {}", item.address, item.why)));
    let mut unseen: Vec<String> = plan.unknown.iter().map(|item| format!("{}: {}", item.address, item.why)).collect();
    unseen.extend(saved.unknown.iter().map(|item| format!("{}: {}", item.address, item.why)));
    for list in [&mut refused, &mut unseen] {
        list.sort();
        list.dedup();
    }
    if !refused.is_empty() && !plan.options.skip_refused {
        return Err(Error::new(ExitStatus::Refused, "the plan has refusals; nothing was written")
            .details(refused)
            .hint("resolve them and plan again, or apply the rest with `--skip-refused`"));
    }
    if !(unseen.is_empty() && saved.complete || plan.options.allow_incomplete) {
        return Err(Error::new(ExitStatus::Refused, "a part of the live state could not be read; nothing was written")
            .details(unseen)
            .hint("make it readable and plan again, or go on with `--allow-incomplete`"));
    }
    Ok(())
}
