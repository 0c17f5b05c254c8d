//! Writes plans and reports: one file for each output format.
//!
//! Decides only the form; `view` decides the content and the words. Other programs rely on the JSON forms, whose structs
//! are frozen. No renderer knows where its bytes go.

pub mod github;
pub mod html;
pub mod json;
pub mod jsonl;
pub mod markdown;
pub(crate) mod page;
mod prose;
pub mod sarif;
pub mod schema;
mod style;
pub mod terminal;
pub mod verification;
mod wrap;

pub(crate) use crate::view::count;
pub(crate) use style::Ink;
pub use style::Style;

use crate::apply::report::Report;
use crate::model::sanitize::inert;
use crate::plan::ConfigKeys;
use crate::plan::file::PlanV2;
use crate::view::{Detail, PlanView, ReportView};
use std::io::{self, Write};

/// The output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For a terminal or a log.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// A comment on a pull request.
    Markdown,
    /// Workflow commands of GitHub Actions.
    Github,
    /// One self-contained page.
    Html,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// JUnit XML.
    Junit,
}

/// Writes a plan. `keys` are the configuration's names for issuers and role ARNs.
///
/// # Errors
/// If `out` does not take all bytes.
pub fn plan(
    format: Format,
    plan: &PlanV2,
    detail: Detail,
    keys: &ConfigKeys,
    style: &Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let view = || PlanView::of(plan, detail, keys);
    match format {
        Format::Text => terminal::plan(&view(), style, out),
        Format::Json => json::plan(plan, out),
        Format::Jsonl => jsonl::plan(plan, out),
        Format::Markdown => markdown::plan(&view(), out),
        Format::Github => github::plan(&view(), out),
        Format::Html => html::plan(&view(), out),
        Format::Sarif | Format::Junit => Err(not_a_form_of("a plan")),
    }
}

/// Writes a report.
///
/// # Errors
/// If `out` does not take all bytes.
pub fn report(format: Format, report: &Report, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Text => terminal::report(&ReportView::of(report), style, out),
        Format::Json => json::report(report, out),
        Format::Jsonl => jsonl::report(report, out),
        Format::Markdown => markdown::report(&ReportView::of(report), out),
        Format::Github => github::report(&ReportView::of(report), out),
        Format::Html => html::report(&ReportView::of(report), out),
        Format::Sarif | Format::Junit => Err(not_a_form_of("a report")),
    }
}

/// SARIF needs to know the top file, and JUnit is for `verify`: see [`sarif`] and [`verification`].
fn not_a_form_of(what: &str) -> io::Error {
    io::Error::other(format!("{what} has no such format"))
}

/// Writes a finished text and flushes it, so that a full disk or a closed pipe is an error.
fn write_text(text: &str, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The same for a text in which no line may be a command to a CI system.
fn write_inert(text: &str, out: &mut dyn Write) -> io::Result<()> {
    write_text(&inert(text), out)
}

#[cfg(test)]
mod tests;
