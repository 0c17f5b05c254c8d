//! `irsa validate`: parses, resolves, checks AWS's limits and lints; touches no network.

use super::annotations;
use super::arguments::{FormatName, Global, Validate};
use super::output::{self, Output};
use super::session;
use crate::config::{Configuration, Diagnostics};
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::lint;
use crate::model::desired::Desired;
use crate::model::note::Note;
use crate::model::origin::file_and_line;
use crate::model::sanitize::{inert, printable, scrub};
use crate::render::github::{self, Annotation, Level};
use crate::render::schema::VALIDATION_FORMAT_VERSION;
use crate::ui::Ui;
use serde_json::{Value, json};
use std::io::Write;

const FORMS: &[FormatName] = &[FormatName::Text, FormatName::Json, FormatName::Github];

pub(crate) async fn run(
    context: &Context,
    ui: &Ui,
    global: &Global,
    arguments: &Validate,
) -> Result<ExitStatus, Error> {
    let Validate {} = arguments;
    let output = Output::open(context, ui, global, ("validate", FORMS), None)?;
    let json = global.format == FormatName::Json;
    let loaded = session::load(global);
    output.spares(loaded.as_ref().map_or_else(|mistakes| mistakes.files().to_vec(), Configuration::files))?;
    let checked = loaded.and_then(|configuration| {
        let desired = configuration.resolve(&session::offline(context))?;
        let findings = lint::declared(&desired);
        Ok(Sound { configuration, desired, findings })
    });
    output.keep(|out| out.write_all(document(&checked, global).as_bytes())).await?;
    if json {
        output.print(&document(&checked, global))?;
    }
    match checked {
        Err(_) if json => Ok(ExitStatus::Invalid),
        Err(diagnostics) => Err(diagnostics.into()),
        Ok(Sound { desired, findings, .. }) => {
            let denied = session::deny(&findings, global.deny());
            if json {
                return Ok(denied.map_or(ExitStatus::Invalid, |()| ExitStatus::Success));
            }
            let let_through = findings.iter().filter(|finding| !is_denied(global, finding));
            let summary = denied.is_ok().then(|| summary(global, &desired));
            if global.format == FormatName::Github {
                let findings = let_through.map(|finding| annotations::of_finding(finding, output.repository()));
                let last = summary.map(|text| Annotation {
                    level: Level::Notice,
                    place: None,
                    title: "irsa validate".to_owned(),
                    text: scrub(&text).into_owned(),
                });
                github::annotations(&findings.chain(last).collect::<Vec<_>>(), &mut output.people().0)?;
            } else {
                let_through.for_each(|finding| ui.message(&output::finding(finding)));
                if let Some(summary) = summary {
                    writeln!(output.people().0, "{}", inert(&scrub(&summary)))?;
                }
            }
            denied?;
            Ok(ExitStatus::Success)
        }
    }
}

/// A configuration without a mistake.
struct Sound {
    configuration: Configuration,
    desired: Desired,
    findings: Vec<Note>,
}

fn is_denied(global: &Global, finding: &Note) -> bool {
    global.deny().is_some_and(|deny| finding.severity >= deny)
}

fn summary(global: &Global, desired: &Desired) -> String {
    let bindings: usize = desired.roles.values().map(|role| role.bindings.len()).sum();
    let count = |number: usize, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    format!(
        "`{}` is valid: {}, {}, {}, {}, {}",
        global.config().display(),
        count(desired.accounts.len(), "account", "accounts"),
        count(desired.clusters.len(), "cluster", "clusters"),
        count(desired.policies.len(), "policy", "policies"),
        count(desired.roles.len(), "role", "roles"),
        count(bindings, "ServiceAccount", "ServiceAccounts"),
    )
}

/// What `irsa schema validation` describes.
fn document(checked: &Result<Sound, Diagnostics>, global: &Global) -> String {
    let (diagnostics, findings) = match checked {
        Err(diagnostics) => (diagnostics.to_json(), Vec::new()),
        Ok(Sound { configuration, findings, .. }) => {
            (json!([]), findings.iter().map(|note| finding(note, configuration, is_denied(global, note))).collect())
        }
    };
    let valid = checked.is_ok() && findings.iter().all(|finding| finding["denied"] == false);
    let document = json!({
        "format-version": VALIDATION_FORMAT_VERSION, "valid": valid, "diagnostics": diagnostics, "findings": findings,
    });
    printable(&format!("{document:#}\n"))
}

fn finding(note: &Note, configuration: &Configuration, denied: bool) -> Value {
    let place = file_and_line(&note.origin);
    let column = place.and_then(|(file, line)| configuration.first_column(file, line));
    json!({
        "file": place.map(|(file, _)| file), "line": place.map(|(_, line)| line), "column": column,
        "rule": note.rule, "severity": note.severity.as_str(), "address": note.address, "text": note.text,
        "hint": format!("docs/lint-rules.md says what {} wants", note.rule), "denied": denied, "origin": note.origin,
    })
}
