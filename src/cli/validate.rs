//! `irsa validate`: parses, resolves, checks AWS limits, and lints. Does not use the network.

use super::output::{self, Output};
use super::{Run, annotations, sarif, session};
use crate::config::{Configuration, Diagnostics};
use crate::error::{Error, ExitStatus};
use crate::lint;
use crate::model::desired::Desired;
use crate::model::note::Note;
use crate::model::origin::file_and_line;
use crate::model::sanitize::{inert, printable, scrub};
use crate::render::github::{self, Annotation, Level};
use crate::render::schema::VALIDATION_FORMAT_VERSION;
use crate::render::{self, Format};
use crate::view;
use serde_json::{Value, json};
use std::io::Write;

const FORMATS: &[Format] = &[Format::Text, Format::Json, Format::Github, Format::Sarif];

/// A configuration without mistakes.
struct Valid {
    configuration: Configuration,
    desired: Desired,
    findings: Vec<Note>,
    /// The findings that the configuration ignores.
    ignored: Vec<Note>,
}

pub(super) async fn run(run: Run<'_>) -> Result<ExitStatus, Error> {
    let output = Output::open(run, "validate", FORMATS, None)?;
    let is_json = run.global.format == Format::Json;
    let loaded = session::load(run.global);
    output.spares(loaded.as_ref().map_or_else(|mistakes| mistakes.files().to_vec(), Configuration::files))?;
    let checked = loaded.and_then(|configuration| {
        let desired = configuration.resolve(&session::offline(run.context))?;
        let (ignored, mut findings): (Vec<Note>, Vec<Note>) =
            lint::declared(&desired).into_iter().partition(|finding| finding.ignored.is_some());
        let unused = lint::unused(&desired, &ignored, None);
        findings.extend(unused);
        Ok(Valid { configuration, desired, findings, ignored })
    });
    output.write_json(|out| out.write_all(document(run, &checked).as_bytes())).await?;
    if is_json {
        output.print(&document(run, &checked))?;
    }
    if run.global.format == Format::Sarif
        && let Ok(valid) = &checked
    {
        let findings = valid.findings.iter().chain(&valid.ignored);
        let results: Vec<_> = findings
            .map(|note| {
                sarif::of_note(note, is_denied(run, note), &output.repository, |file, line| {
                    valid.configuration.first_column(file, line)
                })
            })
            .collect();
        render::sarif::document(&results, &output.repository.top_file(), None, &mut output.people().0)?;
        return Ok(
            session::deny(&valid.findings, run.global.deny()).map_or(ExitStatus::Invalid, |()| ExitStatus::Success)
        );
    }
    let Valid { desired, findings, ignored, .. } = match checked {
        Err(_) if is_json => return Ok(ExitStatus::Invalid),
        Err(diagnostics) => return Err(diagnostics.into()),
        Ok(valid) => valid,
    };
    let denied = session::deny(&findings, run.global.deny());
    if is_json {
        return Ok(denied.map_or(ExitStatus::Invalid, |()| ExitStatus::Success));
    }
    let allowed = findings.iter().filter(|finding| !is_denied(run, finding));
    let summary = denied.is_ok().then(|| summary(run, &desired));
    if run.global.format == Format::Github {
        let findings = allowed.map(|finding| annotations::of_finding(finding, &output.repository));
        let counted = (!ignored.is_empty()).then(|| view::ignored_count(ignored.len()));
        let last = summary.into_iter().chain(counted).map(|text| {
            let title = "irsa validate".to_owned();
            Annotation { level: Level::Notice, place: None, title, text: scrub(&text).into() }
        });
        github::annotations(&findings.chain(last).collect::<Vec<_>>(), &mut output.people().0)?;
    } else {
        allowed.for_each(|finding| run.ui.message(&output::finding(finding)));
        if run.global.verbose > 0 {
            for finding in &ignored {
                run.ui.message(&output::finding(finding));
            }
        } else if !ignored.is_empty() {
            run.ui.message(&format!("{}; `-v` lists all", view::ignored_count(ignored.len())));
        }
        if let Some(summary) = summary {
            writeln!(output.people().0, "{}", inert(&scrub(&summary)))?;
        }
    }
    denied.map(|()| ExitStatus::Success)
}

fn is_denied(run: Run<'_>, finding: &Note) -> bool {
    run.global.deny().is_some_and(|deny| session::is_denied(finding, deny))
}

fn summary(run: Run<'_>, desired: &Desired) -> String {
    let bindings: usize = desired.roles.values().map(|role| role.bindings.len()).sum();
    let counts = [
        (desired.accounts.len(), "account", "accounts"),
        (desired.clusters.len(), "cluster", "clusters"),
        (desired.policies.len(), "policy", "policies"),
        (desired.roles.len(), "role", "roles"),
        (bindings, "ServiceAccount", "ServiceAccounts"),
    ];
    let counts = counts.map(|(number, one, many)| crate::view::count(number, one, many));
    format!("`{}` is valid: {}", run.global.config().display(), counts.join(", "))
}

/// The document that `irsa schema validation` describes.
fn document(run: Run<'_>, checked: &Result<Valid, Diagnostics>) -> String {
    let (diagnostics, findings, ignored) = match checked {
        Err(diagnostics) => (diagnostics.to_json(), Vec::new(), Vec::new()),
        Ok(valid) => {
            let json = |note, denied| finding(note, &valid.configuration, denied);
            let findings = valid.findings.iter().map(|note| json(note, is_denied(run, note))).collect();
            let ignored = valid.ignored.iter().map(|note| {
                let mut entry = json(note, false);
                entry["reason"] = json!(note.ignored.as_ref().map(|ignored| &ignored.reason));
                entry
            });
            (json!([]), findings, ignored.collect())
        }
    };
    let valid = checked.is_ok() && findings.iter().all(|finding| finding["denied"] == false);
    let document = json!({
        "format-version": VALIDATION_FORMAT_VERSION, "valid": valid, "diagnostics": diagnostics, "findings": findings,
        "ignored": ignored,
    });
    printable(&format!("{document:#}\n"))
}

fn finding(note: &Note, configuration: &Configuration, denied: bool) -> Value {
    let position = file_and_line(&note.origin);
    let column = position.and_then(|(file, line)| configuration.first_column(file, line));
    json!({
        "file": position.map(|(file, _)| file), "line": position.map(|(_, line)| line), "column": column,
        "rule": note.rule, "severity": note.severity.as_str(), "address": note.address, "text": note.text,
        "hint": format!("`irsa explain {}` says more", note.rule), "denied": denied, "origin": note.origin,
    })
}
