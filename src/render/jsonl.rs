//! Writes plans and reports as JSON, one object a line, for programs that read a stream.
//!
//! Every line has `type` and `format-version`. A plan is `version`, then `planned_change`, `refused`, `unknown` and
//! `note` lines, then `change_summary`. A report is `version`, then `apply_complete`, `apply_skipped` and
//! `apply_errored` lines, then `apply_summary`. The keys beside `type` are those of the documents that `json` writes.

use super::json::{REPORT_FORMAT_VERSION, ReportV1};
use super::write_text;
use crate::apply::report::Report;
use crate::model::sanitize::printable;
use crate::plan::file::PlanV2;
use serde::Serialize;
use serde_json::json;
use std::io::{self, Write};

/// Writes a plan.
pub fn plan(plan: &PlanV2, out: &mut dyn Write) -> io::Result<()> {
    let PlanV2 {
        format_version,
        irsa_version,
        created_at,
        owner,
        config_digest,
        options,
        complete,
        summary,
        changes,
        refused,
        unknown,
        notes,
        ignored,
        plan_digest,
        digest,
    } = plan;
    let mut lines = JsonLines { version: format_version, text: String::new() };
    let about = json!({
        "irsa-version": irsa_version, "created-at": created_at, "owner": owner, "config-digest": config_digest,
        "options": options,
    });
    lines.push("version", &about)?;
    lines.all("planned_change", changes)?;
    lines.all("refused", refused)?;
    lines.all("unknown", unknown)?;
    lines.all("note", notes)?;
    lines.all("ignored", ignored)?;
    let end = json!({ "complete": complete, "summary": summary, "plan-digest": plan_digest, "digest": digest });
    lines.push("change_summary", &end)?;
    write_text(&lines.text, out)
}

/// Writes a report.
pub fn report(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let ReportV1 { format_version: _, irsa_version, succeeded, interrupted, lock_lost, summary, outcomes } =
        ReportV1::of(report);
    let mut lines = JsonLines { version: REPORT_FORMAT_VERSION, text: String::new() };
    lines.push("version", &json!({ "irsa-version": irsa_version }))?;
    for step in &outcomes {
        let kind = match step.outcome.as_str() {
            "failed" => "apply_errored",
            "skipped" => "apply_skipped",
            _ => "apply_complete",
        };
        lines.push(kind, step)?;
    }
    let end = json!({ "succeeded": succeeded, "interrupted": interrupted, "lock-lost": lock_lost, "summary": summary });
    lines.push("apply_summary", &end)?;
    write_text(&lines.text, out)
}

struct JsonLines<'a> {
    version: &'a str,
    text: String,
}

impl JsonLines<'_> {
    fn all(&mut self, kind: &str, items: &[impl Serialize]) -> io::Result<()> {
        items.iter().try_for_each(|item| self.push(kind, item))
    }

    /// One line: the type, the version, and the keys of `body`.
    fn push(&mut self, kind: &str, body: &impl Serialize) -> io::Result<()> {
        let line = JsonLine { kind, format_version: self.version, body };
        self.text.push_str(&printable(&serde_json::to_string(&line)?));
        self.text.push('\n');
        Ok(())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct JsonLine<'a, T> {
    #[serde(rename = "type")]
    kind: &'a str,
    format_version: &'a str,
    #[serde(flatten)]
    body: &'a T,
}
