//! GitHub annotations of errors and lint findings: for a run that ends before it has a plan.

use super::repository::Repository;
use crate::config::{Diagnostic, Diagnostics};
use crate::error::Error;
use crate::model::note::{Note, Severity};
use crate::model::origin::file_and_line;
use crate::model::sanitize::scrub;
use crate::render::github::{Annotation, FileLine, Level};

/// One annotation for each mistake and finding; one for an error without these.
pub(super) fn of_error(error: &Error, repository: &Repository) -> Vec<Annotation> {
    let mistakes = error.diagnostics.as_deref().map(Diagnostics::list).unwrap_or_default();
    let mistakes = mistakes.iter().map(|mistake| of_mistake(mistake, repository));
    let findings =
        error.findings.denied.iter().map(|note| Annotation { level: Level::Error, ..of_finding(note, repository) });
    let mut list: Vec<Annotation> = mistakes.chain(findings).collect();
    if list.is_empty() {
        let details = error.details.iter().map(|detail| scrub(detail).into_owned());
        let hints = error.hints.iter().map(|hint| format!("hint: {}", scrub(hint)));
        let lines: Vec<String> = [scrub(&error.message).into_owned()].into_iter().chain(details).chain(hints).collect();
        list.push(Annotation { level: Level::Error, place: None, title: "irsa".to_owned(), text: lines.join("\n") });
    }
    list
}

fn of_mistake(mistake: &Diagnostic, repository: &Repository) -> Annotation {
    let file = |file: &str| scrub(&repository.path(file)).into_owned();
    let labels = mistake.labels.iter().skip(1);
    let labels = labels.map(|(origin, label)| format!("{}:{}: {}", file(&origin.file), origin.line, scrub(label)));
    let hint = mistake.hint.iter().map(|hint| format!("hint: {}", scrub(hint)));
    let lines: Vec<String> = [scrub(&mistake.message).into_owned()].into_iter().chain(labels).chain(hint).collect();
    let place = mistake.labels.first().map(|(origin, _)| FileLine {
        file: file(&origin.file),
        line: origin.line,
        column: Some(origin.column),
    });
    Annotation { level: Level::Error, place, title: "configuration".to_owned(), text: lines.join("\n") }
}

/// The annotation of a finding that is not denied.
pub(super) fn of_finding(note: &Note, repository: &Repository) -> Annotation {
    let level = if note.severity >= Severity::Medium { Level::Warning } else { Level::Notice };
    let place = file_and_line(&note.origin).map(|(file, line)| {
        let file = scrub(&repository.path(file)).into_owned();
        FileLine { file, line, column: None }
    });
    let text = format!("{}: {}", scrub(&note.address), scrub(&note.text));
    Annotation { level, place, title: scrub(&note.rule).into_owned(), text }
}
