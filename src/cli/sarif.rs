//! SARIF of errors and lint findings: for `irsa validate`, and for a run that ends before it has a plan.

use super::repository::Repository;
use crate::config::Diagnostic;
use crate::error::{Error, ExitStatus, LintFindings};
use crate::model::note::Note;
use crate::model::origin::file_and_line;
use crate::model::sanitize::scrub;
use crate::render::sarif::{SarifFailure, SarifResult};

/// The result of a finding. `denied`: whether it ends the run. `column` finds the column of a line of a file.
pub(super) fn of_note(
    note: &Note,
    denied: bool,
    repository: &Repository,
    column: impl Fn(&str, usize) -> Option<usize>,
) -> SarifResult {
    let place = file_and_line(&note.origin).map(|(file, line)| (repository.path(file), line, column(file, line)));
    SarifResult {
        rule: note.rule.clone(),
        severity: note.severity.as_str().to_owned(),
        address: scrub(&note.address).into_owned(),
        text: scrub(&note.text).into_owned(),
        place,
        ignored: note.ignored.as_ref().map(|ignored| ignored.reason.clone()),
        denied,
    }
}

/// The mistakes and findings of an error. An error without these is a failure of the run.
pub(super) fn of_error(error: &Error, repository: &Repository) -> (Vec<SarifResult>, Option<SarifFailure>) {
    let mistakes = error.diagnostics.as_deref().map(crate::config::Diagnostics::list).unwrap_or_default();
    let mut results: Vec<SarifResult> = mistakes.iter().map(|mistake| of_mistake(mistake, repository)).collect();
    let LintFindings { denied, allowed } = &*error.findings;
    let notes = denied.iter().map(|note| (note, true)).chain(allowed.iter().map(|note| (note, false)));
    results.extend(notes.map(|(note, denied)| of_note(note, denied, repository, |_, _| None)));
    let failure = results.is_empty().then(|| SarifFailure(scrub(&error.message).into_owned()));
    (results, failure)
}

fn of_mistake(mistake: &Diagnostic, repository: &Repository) -> SarifResult {
    let hint = mistake.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    let place = mistake.labels.first();
    SarifResult {
        rule: format!("exit-{}", ExitStatus::Invalid.code()),
        severity: "high".to_owned(),
        address: String::new(),
        text: scrub(&format!("{}{hint}", mistake.message)).into_owned(),
        place: place.map(|(origin, _)| (repository.path(&origin.file), origin.line, Some(origin.column))),
        ignored: None,
        denied: false,
    }
}
