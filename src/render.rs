//! Draws views: one small file for each format.
//!
//! Decides nothing: what is told, and in which words, `view` has said. The JSON forms are frozen structs that other
//! programs rely on. No renderer knows where its bytes go.

pub mod github;
pub mod html;
pub mod json;
pub mod jsonl;
pub mod markdown;
mod prose;
pub mod schema;
mod style;
pub mod terminal;
mod wrap;

pub(crate) use style::Ink;
pub use style::Style;

use crate::apply::report::Report;
use crate::plan::ConfigKeys;
use crate::plan::file::PlanV2;
use crate::view::scrub::inert;
use crate::view::{Detail, PlanView, ReportView};
use std::io::{self, Write};

/// The forms of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people, on a terminal or in a log.
    #[default]
    Text,
    /// One document.
    Json,
    /// One object a line.
    Jsonl,
    /// A comment on a pull request.
    Markdown,
    /// Workflow commands of GitHub Actions.
    Github,
    /// One page.
    Html,
}

/// Writes a plan in the given form.
pub fn plan(
    format: Format,
    plan: &PlanV2,
    detail: Detail,
    names: &ConfigKeys,
    style: &Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let view = || PlanView::of(plan, detail, names);
    match format {
        Format::Text => terminal::plan(&view(), style, out),
        Format::Json => json::plan(plan, out),
        Format::Jsonl => jsonl::plan(plan, out),
        Format::Markdown => markdown::plan(&view(), out),
        Format::Github => github::plan(&view(), out),
        Format::Html => html::plan(&view(), out),
    }
}

/// Writes a report in the given form.
pub fn report(format: Format, report: &Report, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Text => terminal::report(&ReportView::of(report), style, out),
        Format::Json => json::report(report, out),
        Format::Jsonl => jsonl::report(report, out),
        Format::Markdown => markdown::report(&ReportView::of(report), out),
        Format::Github => github::report(&ReportView::of(report), out),
        Format::Html => html::report(&ReportView::of(report), out),
    }
}

/// Hands a finished text over at once, so that a full disk or a closed pipe is told.
fn deliver(text: &str, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The same of a text for people, whose lines are no commands for the log of a CI job.
fn deliver_lines(text: &str, out: &mut dyn Write) -> io::Result<()> {
    deliver(&inert(text), out)
}

#[cfg(test)]
mod tests;
