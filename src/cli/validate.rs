//! `irsa validate`: parses, resolves, checks AWS's limits and lints; touches no network.

use super::arguments::{FormatName, Global, Validate};
use super::{output, session};
use crate::config::Diagnostics;
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::lint;
use crate::model::desired::Desired;
use crate::model::note::Note;
use crate::model::unseen::{printable, scrub, unobeyed};
use crate::ui::Ui;
use serde_json::{Value, json};
use std::io::Write;

pub(crate) fn run(context: &Context, ui: &Ui, global: &Global, arguments: &Validate) -> Result<ExitStatus, Error> {
    let Validate {} = arguments;
    output::allow(global, "validate", &[FormatName::Text, FormatName::Json])?;
    let desired = session::load(global).and_then(|loaded| loaded.resolve(&session::offline(context)));
    let json = global.format == FormatName::Json;
    match desired {
        Err(diagnostics) if json => {
            print_json(ui, false, &diagnostics, &[])?;
            Err(Error::new(ExitStatus::Invalid, ""))
        }
        Err(diagnostics) => Err(diagnostics.into()),
        Ok(desired) => {
            let findings = lint::declared(&desired);
            let denied = session::deny(&findings, global.deny());
            if json {
                print_json(ui, denied.is_ok(), &Diagnostics::default(), &findings)?;
                return Ok(denied.map_or(ExitStatus::Invalid, |()| ExitStatus::Success));
            }
            for finding in findings.iter().filter(|finding| global.deny().is_none_or(|deny| finding.severity < deny)) {
                ui.message(&output::finding(finding));
            }
            denied?;
            writeln!(ui.stdout(), "{}", unobeyed(&scrub(&summary(global, &desired))))?;
            Ok(ExitStatus::Success)
        }
    }
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

/// `{format-version, valid, diagnostics, findings}`
fn print_json(ui: &Ui, valid: bool, diagnostics: &Diagnostics, findings: &[Note]) -> Result<(), Error> {
    let findings: Vec<Value> = findings
        .iter()
        .map(|note| {
            json!({
                "address": note.address, "severity": note.severity.as_str(), "rule": note.rule,
                "origin": note.origin, "text": note.text,
            })
        })
        .collect();
    let document = json!({
        "format-version": "1.0", "valid": valid, "diagnostics": diagnostics.to_json(), "findings": findings,
    });
    writeln!(ui.stdout(), "{}", printable(&format!("{document:#}")))?;
    Ok(())
}
