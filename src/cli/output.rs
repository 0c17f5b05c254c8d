//! Results, in the form that was asked for, and where they go.
//!
//! Stdout has room for one document. Where a file of the command line is stdout (`-o -`), what is meant for people goes to
//! stderr.

use super::arguments::{FormatName, Global};
use super::files::{Destination, PRIVATE};
use super::repository::Repository;
use crate::apply::report::Report;
use crate::context::Context;
use crate::error::Error;
use crate::model::note::Note;
use crate::plan::{ConfigKeys, PlanV2};
use crate::render::{self, Format, Style};
use crate::ui::Ui;
use crate::view::Detail;
use clap::ValueEnum;
use std::io::Write;
use std::path::Path;

/// All forms of a plan.
pub(crate) const PLAN: &[FormatName] = &[
    FormatName::Text,
    FormatName::Json,
    FormatName::Jsonl,
    FormatName::Markdown,
    FormatName::Github,
    FormatName::Html,
];

const JSON_INTO: &str = "--json-into";

/// Where the results of one run go.
pub(crate) struct Output<'a> {
    ui: &'a Ui,
    format: FormatName,
    detail: Detail,
    repository: Repository,
    /// What the command itself writes: of `-o` or `--metrics-file`.
    pub file: Option<Destination>,
    /// Of `--json-into`.
    json: Option<Destination>,
}

impl<'a> Output<'a> {
    /// For a command that has these forms and may write a file, which a flag names.
    ///
    /// # Errors
    /// If the command has no such form, a file cannot be written, or two documents would go to stdout. That is found out
    /// before anything is read or written.
    pub(crate) fn open(
        context: &Context,
        ui: &'a Ui,
        global: &Global,
        (command, forms): (&str, &[FormatName]),
        file: Option<(&str, &Path)>,
    ) -> Result<Self, Error> {
        allow(global, command, forms)?;
        let (flag, path) = file.unzip();
        let this = Self {
            ui,
            format: global.format,
            detail: detail(global),
            repository: Repository::of(context, global.config()),
            file: path.map(Destination::of).transpose()?,
            json: global.json_into.as_deref().map(Destination::of).transpose()?,
        };
        let flag = flag.unwrap_or_default();
        this.one_document(flag)?;
        if flag != "-o" && this.file.iter().zip(&this.json).any(|(file, json)| file.is_also(json)) {
            let message = format!("`{flag}` and `{JSON_INTO}` name one file: there is room for one");
            return Err(Error::usage(message).hint("name another file for one of them"));
        }
        // one that is not sound is not to be lost either
        this.spares([global.config()])?;
        Ok(this)
    }

    /// Refuses to write over what the run reads.
    ///
    /// # Errors
    /// Wrong usage, if a flag names one of these files.
    pub(crate) fn spares<P: AsRef<Path>>(&self, files: impl IntoIterator<Item = P>) -> Result<(), Error> {
        let targets: Vec<&Destination> = self.file.iter().chain(&self.json).collect();
        if targets.is_empty() {
            return Ok(());
        }
        for file in files {
            let file = file.as_ref();
            if targets.iter().any(|target| target.is(file)) {
                let message = format!("the result would be written over `{}`, which this run reads", file.display());
                return Err(Error::usage(message).hint("name another file for the result; nothing was written"));
            }
        }
        Ok(())
    }

    /// Refuses two different documents on stdout. The JSON form of a plan is the plan file itself.
    fn one_document(&self, flag: &str) -> Result<(), Error> {
        let form = format!("--format {}", name(self.format));
        let json = self.format == FormatName::Json;
        let own = self.file == Some(Destination::Stdout);
        let plan = flag == "-o";
        let clash = if own && self.json == Some(Destination::Stdout) && !plan {
            (flag, JSON_INTO)
        } else if own && self.format != FormatName::Text && !(plan && json) {
            (flag, form.as_str())
        } else if self.json == Some(Destination::Stdout) && self.format != FormatName::Text && !json {
            (JSON_INTO, form.as_str())
        } else {
            return Ok(());
        };
        let message = format!("`{}` is stdout, and so is `{}`: there is room for one", clash.0, clash.1);
        Err(Error::usage(message).hint("name a file for one of them"))
    }

    /// Whether a file of the command line is stdout.
    fn taken(&self) -> bool {
        [&self.file, &self.json].into_iter().flatten().any(|target| *target == Destination::Stdout)
    }

    /// Where people read, and how that looks.
    pub(crate) fn people(&self) -> (Box<dyn Write + 'a>, Style) {
        match self.taken() {
            // the text that is left is by the way
            true if self.detail == Detail::Least => (Box::new(std::io::sink()), Style::plain()),
            true => (self.ui.stderr(), self.ui.stderr_style()),
            false => (self.ui.stdout(), self.ui.style()),
        }
    }

    /// Whether what would be printed is printed already, as a file that is stdout.
    fn printed(&self) -> bool {
        self.format == FormatName::Json && self.taken()
    }

    /// Prints a plan.
    pub(crate) fn print_plan(&self, plan: &PlanV2, names: &ConfigKeys) -> Result<(), Error> {
        if self.printed() {
            return Ok(());
        }
        let (mut out, style) = self.people();
        if self.format == FormatName::Github {
            let placed = self.repository.placed(plan);
            return Ok(render::plan(Format::Github, &placed, self.detail, names, &style, &mut out)?);
        }
        Ok(render::plan(self.format.into(), plan, self.detail, names, &style, &mut out)?)
    }

    /// Writes what `--json-into` names: what `--format json` would print.
    pub(crate) async fn keep_plan(&self, plan: &PlanV2) -> Result<(), Error> {
        self.keep(|out| render::json::plan(plan, out)).await
    }

    /// Prints what came of a plan.
    pub(crate) fn print_report(&self, report: &Report) -> Result<(), Error> {
        let nothing = report.outcomes.is_empty() && report.interrupted.is_none();
        if self.printed() || (nothing && self.format == FormatName::Text) {
            return Ok(());
        }
        let (mut out, style) = self.people();
        Ok(render::report(self.format.into(), report, &style, &mut out)?)
    }

    /// The same of a report.
    pub(crate) async fn keep_report(&self, report: &Report) -> Result<(), Error> {
        self.keep(|out| render::json::report(report, out)).await
    }

    /// The same of any document.
    pub(crate) async fn keep(&self, write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> Result<(), Error> {
        let Some(target) = &self.json else { return Ok(()) };
        if self.file == Some(Destination::Stdout) && *target == Destination::Stdout {
            // the plan file is the same document
            return Ok(());
        }
        let mut text = Vec::new();
        write(&mut text)?;
        target.write(self.ui, &String::from_utf8_lossy(&text), PRIVATE).await
    }

    /// Prints a document that is finished.
    pub(crate) fn print(&self, text: &str) -> Result<(), Error> {
        if !self.printed() {
            self.people().0.write_all(text.as_bytes())?;
        }
        Ok(())
    }

    pub(crate) fn repository(&self) -> &Repository {
        &self.repository
    }
}

/// How much `-q` and `-v` ask for.
fn detail(global: &Global) -> Detail {
    match (global.quiet, global.verbose) {
        (true, _) => Detail::Least,
        (false, 0) => Detail::Usual,
        (false, _) => Detail::Full,
    }
}

fn name(form: FormatName) -> String {
    form.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Refuses a form that the command does not have.
fn allow(global: &Global, command: &str, forms: &[FormatName]) -> Result<(), Error> {
    if forms.contains(&global.format) {
        return Ok(());
    }
    let known: Vec<String> = forms.iter().map(|form| format!("`{}`", name(*form))).collect();
    Err(Error::usage(format!("`irsa {command}` has no `--format {}`", name(global.format)))
        .hint(format!("it has {}", known.join(", "))))
}

/// Refuses `--json-into` where nothing comes of a command that JSON has a form for.
pub(crate) fn no_json(global: &Global, command: &str) -> Result<(), Error> {
    match &global.json_into {
        Some(_) => Err(Error::usage(format!("`irsa {command}` has no `{JSON_INTO}`"))
            .hint("`validate`, `plan`, `apply`, `drift` and `show` have it")),
        None => Ok(()),
    }
}

/// One finding in one line.
pub(crate) fn finding(note: &Note) -> String {
    let origin = if note.origin.is_empty() { String::new() } else { format!("{}: ", note.origin) };
    format!("{origin}{} {} {}: {}", note.severity.as_str(), note.rule, note.address, note.text)
}
