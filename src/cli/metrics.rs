//! The file of `irsa drift --metrics-file`, in Prometheus' text format for the textfile collector
//! (<https://github.com/prometheus/node_exporter#textfile-collector>).

use crate::model::sanitize::scrub;
use crate::model::shard::Shard;
use crate::plan::PlanV2;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The metrics of a run that ended with exit code `code` at `now`, in seconds since 1970.
pub(crate) fn of_plan(plan: &PlanV2, now: i64, code: u8) -> String {
    let labels = labels(&plan.owner, plan.options.shard.as_deref());
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for change in &plan.changes {
        let kind = change.address.split('/').next().unwrap_or_default();
        *counts.entry((escape(kind), escape(&change.action))).or_default() += 1;
    }
    if counts.is_empty() {
        counts.insert((String::new(), String::new()), 0);
    }
    let counts = counts.into_iter();
    let objects =
        counts.map(|((kind, action), count)| (format!("{labels},kind=\"{kind}\",action=\"{action}\""), count));
    let mut text = String::new();
    gauge(&mut text, "irsa_drift_objects", "Objects that differ from their declaration.", objects);
    let waiting = "Objects that wait for others, for example ServiceAccounts for their namespace.";
    for (name, help, value) in [
        ("irsa_unchanged_objects", "Declared objects that match.", plan.summary.unchanged),
        ("irsa_refused_objects", "Objects that irsa refuses to bring to their declaration.", plan.summary.refused),
        ("irsa_waiting_objects", waiting, plan.summary.waiting),
        ("irsa_unknown_objects", "Objects, accounts and clusters that could not be read.", plan.unknown.len()),
    ] {
        gauge(&mut text, name, help, [(&labels, value)]);
    }
    last_run(&mut text, &labels, plan.complete, now, code);
    text
}

/// The metrics of a run without a plan. `before` is the file of the run before: its labels are used if the
/// configuration cannot be read. None if the file has anything but metrics of irsa.
pub(crate) fn of_failure(
    before: &str,
    owner: Option<&str>,
    shard: Option<Shard>,
    now: i64,
    code: u8,
) -> Option<String> {
    let last = before.lines().find_map(|line| line.strip_prefix("irsa_last_run_exit_code{")?.split_once('}'));
    if last.is_none() && !before.trim().is_empty() {
        return None;
    }
    let labels = match (owner, last) {
        (Some(owner), _) => labels(owner, shard.map(|shard| shard.to_string()).as_deref()),
        (None, Some((labels, _))) => labels.to_owned(),
        (None, None) => labels("", None),
    };
    let mut text = String::new();
    last_run(&mut text, &labels, false, now, code);
    Some(text)
}

fn labels(owner: &str, shard: Option<&str>) -> String {
    let shard = shard.map_or_else(String::new, |shard| format!(",shard=\"{}\"", escape(shard)));
    format!("owner=\"{}\"{shard}", escape(owner))
}

fn last_run(text: &mut String, labels: &str, complete: bool, now: i64, code: u8) {
    gauge(text, "irsa_complete", "Whether everything could be read.", [(labels, i64::from(complete))]);
    gauge(text, "irsa_last_run_timestamp_seconds", "When irsa last ran.", [(labels, now)]);
    gauge(text, "irsa_last_run_exit_code", "What the last run ended with.", [(labels, i64::from(code))]);
}

/// Appends one metric with its samples. Writing to a String cannot fail.
fn gauge<L: AsRef<str>, V: std::fmt::Display>(
    text: &mut String,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (L, V)>,
) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
    for (labels, value) in samples {
        let _ = writeln!(text, "{name}{{{}}} {value}", labels.as_ref());
    }
}

fn escape(value: &str) -> String {
    scrub(value).replace('\\', "\\\\").replace('"', "\\\"")
}
