//! Results on stdout, in the form that was asked for.

use super::arguments::{FormatName, Global};
use crate::apply::report::Report;
use crate::error::Error;
use crate::model::note::Note;
use crate::plan::PlanV2;
use crate::render;
use crate::ui::Ui;
use crate::view::Detail;

/// All forms of a plan.
pub(crate) const PLAN: &[FormatName] = &[
    FormatName::Text,
    FormatName::Json,
    FormatName::Jsonl,
    FormatName::Markdown,
    FormatName::Github,
    FormatName::Html,
];

/// Refuses a form that the command does not have.
pub(crate) fn allow(global: &Global, command: &str, forms: &[FormatName]) -> Result<(), Error> {
    use clap::ValueEnum;
    if forms.contains(&global.format) {
        return Ok(());
    }
    let name =
        |form: &FormatName| form.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let known: Vec<String> = forms.iter().map(|form| format!("`{}`", name(form))).collect();
    Err(Error::usage(format!("`irsa {command}` has no `--format {}`", name(&global.format)))
        .hint(format!("it has {}", known.join(", "))))
}

/// Prints a plan.
pub(crate) fn plan(ui: &Ui, global: &Global, plan: &PlanV2) -> Result<(), Error> {
    let detail = match (global.quiet, global.verbose) {
        (true, _) => Detail::Least,
        (false, 0) => Detail::Usual,
        (false, _) => Detail::Full,
    };
    Ok(render::plan(global.format.into(), plan, detail, &ui.style(), &mut ui.stdout())?)
}

/// Prints what came of a plan.
pub(crate) fn report(ui: &Ui, format: FormatName, report: &Report) -> Result<(), Error> {
    Ok(render::report(format.into(), report, &ui.style(), &mut ui.stdout())?)
}

/// One finding in one line.
pub(crate) fn finding(note: &Note) -> String {
    let origin = if note.origin.is_empty() { String::new() } else { format!("{}: ", note.origin) };
    format!("{origin}{} {} {}: {}", note.severity.as_str(), note.rule, note.address, note.text)
}
