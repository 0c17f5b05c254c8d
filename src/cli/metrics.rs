//! What `irsa drift --metrics-file` writes: Prometheus' text format, for the textfile collector
//! (<https://github.com/prometheus/node_exporter#textfile-collector>).

use crate::model::sanitize::scrub;
use crate::model::shard::Shard;
use crate::plan::PlanV2;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The metrics of one run that ended with `code` at `now`, in seconds since 1970.
pub(crate) fn text(plan: &PlanV2, now: i64, code: u8) -> String {
    let own = labels_of(&plan.owner, plan.options.shard.as_deref());
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for change in &plan.changes {
        let kind = change.address.split('/').next().unwrap_or_default();
        *counts.entry((label(kind), label(&change.action))).or_default() += 1;
    }
    let mut text = String::new();
    head(&mut text, "irsa_drift_objects", "Objects that differ from their declaration.");
    if counts.is_empty() {
        line(&mut text, "irsa_drift_objects", &format!("{own},kind=\"\",action=\"\""), 0);
    }
    for ((kind, action), count) in counts {
        line(&mut text, "irsa_drift_objects", &format!("{own},kind=\"{kind}\",action=\"{action}\""), count);
    }
    let numbers = [
        ("irsa_unchanged_objects", "Declared objects that match.", plan.summary.unchanged),
        ("irsa_refused_objects", "Objects that irsa refuses to bring to their declaration.", plan.summary.refused),
        (
            "irsa_waiting_objects",
            "Objects that wait for others, for example ServiceAccounts for their namespace.",
            plan.summary.waiting,
        ),
        ("irsa_unknown_objects", "Objects, accounts and clusters that could not be read.", plan.unknown.len()),
    ];
    for (name, help, value) in numbers {
        head(&mut text, name, help);
        line(&mut text, name, &own, value);
    }
    last_run(&mut text, &own, plan.complete, now, code);
    text
}

/// The metrics of a run that ended with `code` at `now` before there was a plan, over those of the run before it: where
/// the configuration cannot be read, only those can tell whose they are. Nothing where the file has other things.
pub(crate) fn of_failure(
    before: &str,
    owner: Option<&str>,
    shard: Option<Shard>,
    now: i64,
    code: u8,
) -> Option<String> {
    let labels = before.lines().find_map(|line| line.strip_prefix("irsa_last_run_exit_code{")?.split_once('}'));
    if labels.is_none() && !before.trim().is_empty() {
        return None;
    }
    let own = match (owner, labels) {
        (Some(owner), _) => labels_of(owner, shard.map(|shard| shard.to_string()).as_deref()),
        (None, Some((labels, _))) => labels.to_owned(),
        (None, None) => labels_of("", None),
    };
    let mut text = String::new();
    last_run(&mut text, &own, false, now, code);
    Some(text)
}

/// Whose metrics they are.
fn labels_of(owner: &str, shard: Option<&str>) -> String {
    let shard = shard.map_or_else(String::new, |shard| format!(",shard=\"{}\"", label(shard)));
    format!("owner=\"{}\"{shard}", label(owner))
}

fn last_run(text: &mut String, own: &str, complete: bool, now: i64, code: u8) {
    head(text, "irsa_complete", "Whether everything could be read.");
    line(text, "irsa_complete", own, u8::from(complete));
    head(text, "irsa_last_run_timestamp_seconds", "When irsa last ran.");
    line(text, "irsa_last_run_timestamp_seconds", own, now);
    head(text, "irsa_last_run_exit_code", "What the last run ended with.");
    line(text, "irsa_last_run_exit_code", own, code);
}

fn head(text: &mut String, name: &str, help: &str) {
    // writing to a String cannot fail
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
}

fn line(text: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    // writing to a String cannot fail
    let _ = writeln!(text, "{name}{{{labels}}} {value}");
}

fn label(value: &str) -> String {
    scrub(value).replace('\\', "\\\\").replace('"', "\\\"")
}
