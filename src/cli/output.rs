//! Prints and writes the results of a command.
//!
//! Stdout has room for one document. If a flag sends a file to stdout (`-o -`), the text for people goes to stderr.

use super::Run;
use super::arguments::Global;
use super::files::{Destination, PRIVATE};
use super::repository::Repository;
use crate::apply::report::Report;
use crate::error::Error;
use crate::model::note::Note;
use crate::model::quoted::quoted;
use crate::model::sanitize::printable;
use crate::plan::{ConfigKeys, PlanV2};
use crate::render::{self, Format, Style, sarif, verification};
use crate::ui::Ui;
use crate::verify::ChainLinks;
use crate::view::Detail;
use clap::ValueEnum;
use serde_json::Value;
use std::io::Write;
use std::path::Path;

/// The formats of a plan.
pub(super) const PLAN: &[Format] =
    &[Format::Text, Format::Json, Format::Jsonl, Format::Markdown, Format::Github, Format::Html];

/// The formats of a plan that is made now.
pub(super) const NEW_PLAN: &[Format] =
    &[Format::Text, Format::Json, Format::Jsonl, Format::Markdown, Format::Github, Format::Html, Format::Sarif];

const JSON_INTO: &str = "--json-into";

/// Where the results of a run go.
pub(super) struct Output<'a> {
    ui: &'a Ui,
    format: Format,
    detail: Detail,
    /// Whether objects that differ are findings.
    is_drift: bool,
    is_verify: bool,
    pub repository: Repository,
    /// Of `-o` or `--metrics-file`.
    pub file: Option<Destination>,
    /// Of `--json-into`.
    json: Option<Destination>,
}

impl<'a> Output<'a> {
    /// For a command with these formats; `file` is the flag and the path of a file that it writes.
    ///
    /// # Errors
    /// If the command does not have the format, a file cannot be written, or two documents would go to one place. Nothing
    /// has been read or written by then.
    pub(super) fn open(
        run: Run<'a>,
        command: &str,
        formats: &[Format],
        file: Option<(&str, &Path)>,
    ) -> Result<Self, Error> {
        let Run { context, ui, global, .. } = run;
        let format = global.format;
        if !formats.contains(&format) {
            let formats = quoted(formats.iter().map(|format| name(*format)));
            return Err(Error::usage(format!("`irsa {command}` has no `--format {}`", name(format)))
                .hint(format!("it has {}", formats.join(", "))));
        }
        let (flag, path) = file.unzip();
        let detail = match (global.quiet, global.verbose) {
            (true, _) => Detail::Least,
            (false, 0) => Detail::Usual,
            (false, _) => Detail::Full,
        };
        let this = Self {
            ui,
            format,
            detail,
            is_drift: command == "drift",
            is_verify: command == "verify",
            repository: Repository::of(context, global.config()),
            file: path.map(Destination::of).transpose()?,
            json: global.json_into.as_deref().map(Destination::of).transpose()?,
        };
        this.one_document_each(flag.unwrap_or_default())?;
        // also a configuration that turns out to be invalid
        this.spares([global.config()])?;
        Ok(this)
    }

    /// Refuses two different documents in one place. The JSON format of a plan is the plan file itself.
    fn one_document_each(&self, flag: &str) -> Result<(), Error> {
        let format = format!("--format {}", name(self.format));
        let (is_text, is_json, is_plan) = (self.format == Format::Text, self.format == Format::Json, flag == "-o");
        let file_is_stdout = self.file == Some(Destination::Stdout);
        let json_is_stdout = self.json == Some(Destination::Stdout);
        let clash = if file_is_stdout && json_is_stdout && !is_plan {
            Some((flag, JSON_INTO))
        } else if file_is_stdout && !is_text && !(is_plan && is_json) {
            Some((flag, format.as_str()))
        } else if json_is_stdout && !is_text && !is_json {
            Some((JSON_INTO, format.as_str()))
        } else {
            None
        };
        if let Some((one, other)) = clash {
            let message = format!("`{one}` is stdout, and so is `{other}`: there is room for one document");
            return Err(Error::usage(message).hint("name a file for one of them"));
        }
        if !is_plan && self.file.iter().zip(&self.json).any(|(file, json)| file.is_also(json)) {
            let message = format!("`{flag}` and `{JSON_INTO}` name one file: there is room for one document");
            return Err(Error::usage(message).hint("name another file for one of them"));
        }
        Ok(())
    }

    /// Refuses to overwrite the files that the run reads.
    ///
    /// # Errors
    /// Wrong usage, if a flag names one of these files.
    pub(super) fn spares<P: AsRef<Path>>(&self, files: impl IntoIterator<Item = P>) -> Result<(), Error> {
        for file in files {
            let file = file.as_ref();
            if self.file.iter().chain(&self.json).any(|target| target.is(file)) {
                let message = format!("the result would be written over `{}`, which this run reads", file.display());
                return Err(Error::usage(message).hint("name another file for the result; nothing was written"));
            }
        }
        Ok(())
    }

    /// Whether a flag sends a file to stdout.
    fn stdout_is_taken(&self) -> bool {
        [&self.file, &self.json].into_iter().flatten().any(|target| *target == Destination::Stdout)
    }

    /// Whether a file on stdout already is what `--format` would print.
    fn is_printed(&self) -> bool {
        self.format == Format::Json && self.stdout_is_taken()
    }

    /// The stream for people, and its style.
    pub(super) fn people(&self) -> (Box<dyn Write + 'a>, Style) {
        match self.stdout_is_taken() {
            // `-q` prints no messages
            true if self.detail == Detail::Least => (Box::new(std::io::sink()), Style::plain()),
            true => (self.ui.stderr(), self.ui.stderr_style()),
            false => (self.ui.stdout(), self.ui.style()),
        }
    }

    pub(super) fn print_plan(&self, plan: &PlanV2, names: &ConfigKeys) -> Result<(), Error> {
        if self.is_printed() {
            return Ok(());
        }
        let (mut out, style) = self.people();
        let has_paths = matches!(self.format, Format::Github | Format::Sarif);
        let in_repository = has_paths.then(|| self.repository.with_paths(plan));
        let plan = in_repository.as_ref().unwrap_or(plan);
        if self.format == Format::Sarif {
            let origins = self.repository.origins(&names.origins);
            return Ok(sarif::plan(plan, &origins, &self.repository.top_file(), self.is_drift, &mut out)?);
        }
        Ok(render::plan(self.format, plan, self.detail, names, &style, &mut out)?)
    }

    pub(super) fn print_report(&self, report: &Report) -> Result<(), Error> {
        let is_empty = report.outcomes.is_empty() && report.interrupted.is_none();
        if self.is_printed() || (is_empty && self.format == Format::Text) {
            return Ok(());
        }
        let (mut out, style) = self.people();
        Ok(render::report(self.format, report, &style, &mut out)?)
    }

    /// Prints a verification. Another command prints it as text, on stderr if stdout has a document already.
    pub(super) fn print_verification(&self, chains: &[ChainLinks]) -> Result<(), Error> {
        let all = self.detail == Detail::Full;
        match self.format {
            _ if self.is_printed() => {}
            Format::Json if self.is_verify => verification::json(chains, &mut self.people().0)?,
            Format::Junit => verification::junit(chains, &mut self.people().0)?,
            Format::Text => {
                let (mut out, style) = self.people();
                verification::text(chains, all, &style, &mut out)?;
            }
            _ => verification::text(chains, all, &self.ui.stderr_style(), &mut self.ui.stderr())?,
        }
        Ok(())
    }

    /// Prints a result in its text or its JSON form, and writes the file of `--json-into`.
    pub(super) async fn print_result(&self, text: &str, document: &Value) -> Result<(), Error> {
        let document = printable(&format!("{document:#}\n"));
        self.write_json(|out| out.write_all(document.as_bytes())).await?;
        self.print(if self.format == Format::Json { &document } else { text })
    }

    /// Prints a finished document.
    pub(super) fn print(&self, text: &str) -> Result<(), Error> {
        if !self.is_printed() {
            self.people().0.write_all(text.as_bytes())?;
        }
        Ok(())
    }

    /// Writes the file of `--json-into`: what `--format json` would print.
    pub(super) async fn write_plan_json(&self, plan: &PlanV2) -> Result<(), Error> {
        self.write_json(|out| render::json::plan(plan, out)).await
    }

    /// Writes the file of `--json-into`.
    pub(super) async fn write_report_json(&self, report: &Report) -> Result<(), Error> {
        self.write_json(|out| render::json::report(report, out)).await
    }

    /// Writes the file of `--json-into`, unless the same document is already on stdout as the plan file.
    pub(super) async fn write_json(
        &self,
        write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>,
    ) -> Result<(), Error> {
        let Some(target) = &self.json else { return Ok(()) };
        if self.file == Some(Destination::Stdout) && *target == Destination::Stdout {
            return Ok(());
        }
        let mut text = Vec::new();
        write(&mut text)?;
        target.write(self.ui, &String::from_utf8_lossy(&text), PRIVATE).await
    }
}

fn name(format: Format) -> String {
    format.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Refuses `--json-into` for a command without a JSON result.
pub(super) fn no_json(global: &Global, command: &str) -> Result<(), Error> {
    match &global.json_into {
        Some(_) => Err(Error::usage(format!("`irsa {command}` has no `{JSON_INTO}`"))
            .hint("`validate`, `plan`, `apply`, `drift`, `show`, `access`, `explain` and `verify` have it")),
        None => Ok(()),
    }
}

/// A lint finding as one line.
pub(super) fn finding(note: &Note) -> String {
    let origin = if note.origin.is_empty() { String::new() } else { format!("{}: ", note.origin) };
    let ignored = note.ignored.as_ref().map(|ignored| format!(" (ignored: {})", ignored.reason)).unwrap_or_default();
    format!("{origin}{} {} {}: {}{ignored}", note.severity.as_str(), note.rule, note.address, note.text)
}
