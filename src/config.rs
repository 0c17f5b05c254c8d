//! Reads a configuration: files to tables with places, tables to `Desired`, or to everything that is wrong with them.
//!
//! Offline and deterministic: resolving is done twice in a run, once with placeholders to find every mistake and once
//! with the real account ids. It knows neither AWS nor Kubernetes, runs nothing and opens nothing outside its folder.

pub mod diagnostics;
mod documents;
pub(crate) mod durations;
mod file_kind;
mod include;
pub mod json_schema;
mod mistaken;
mod partitions;
mod reader;
mod resolve;
mod schema;
mod source;
mod syntax;
mod templates;
#[cfg(test)]
mod tests;

pub use diagnostics::{Diagnostic, Diagnostics};

use crate::ids::{AccountId, Key, Partition, Region};
use crate::model::desired::Desired;
use crate::model::origin::Origin;
use file_kind::FileKind;
use rayon::prelude::*;
use reader::{Gather, Spot};
use schema::Raw;
use source::{Source, Sources, beside, unreadable};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::de::DeTable;

/// The files of a configuration, parsed and free of syntax errors.
#[derive(Debug, Clone)]
pub struct Configuration {
    sources: Sources,
    raw: Raw,
    digest: String,
}

/// Who the accounts are, as far as that is known.
#[derive(Debug, Clone, Default)]
pub struct Identities {
    /// By account key: id and partition, from STS.
    pub accounts: BTreeMap<Key, (AccountId, Partition)>,
    /// The region of clusters that declare none: `AWS_REGION`, or the profile's.
    pub default_region: Option<Region>,
    /// Whether a missing region is an error, because EKS is about to be asked.
    pub online: bool,
    /// Whether the accounts are about to be asked, so that a partition which is only likely is held against nothing.
    pub provisional: bool,
}

/// The file to read if the user names none.
pub const DEFAULT: &str = "irsa.toml";

/// Reads the file that the user named, the files that it includes and the policy files that they name.
///
/// # Errors
/// Everything that is wrong with their syntax, keys and types; and, so that all mistakes show at once, everything that
/// `resolve` finds in what could be read.
pub fn load(path: &Path) -> Result<Configuration, Diagnostics> {
    load_top(path, true)
}

/// Reads the default file. Unlike a file that the user named, it must not be a link that leads out of its folder.
///
/// # Errors
/// As those of `load`.
pub fn load_default() -> Result<Configuration, Diagnostics> {
    load_top(Path::new(DEFAULT), false)
}

fn load_top(path: &Path, by_user: bool) -> Result<Configuration, Diagnostics> {
    let (sources, top) = Sources::beside(path);
    let mut loading = Loading { sources, raw: Raw::default(), list: Vec::new(), whole: true };
    let shown = path.display().to_string();
    match loading.sources.read_top(&top, by_user) {
        Err(why) => {
            let hint = "name another file with `--config`, or write one with `irsa init`";
            loading.list.push(unreadable(&shown, &why).hint(hint));
            loading.whole = false;
        }
        Ok(source) => {
            let name = source.name.to_string();
            loading.add(parse(source));
            loading.include(name);
        }
    }
    let Loading { mut sources, raw, mut list, whole } = loading;
    list.extend(documents::read_files(&mut sources, &raw));
    if list.is_empty() {
        let digest = sources.digest();
        return Ok(Configuration { sources, raw, digest });
    }
    if whole {
        list.extend(resolve::resolve(&raw, &sources, "", &Identities::default()).err().unwrap_or_default());
    }
    Err(sources.diagnostics(list))
}

/// The files, while they are being read.
struct Loading {
    sources: Sources,
    raw: Raw,
    list: Vec<Diagnostic>,
    /// Whether every file could be read and was TOML; what is missing otherwise may be in the rest.
    whole: bool,
}

impl Loading {
    /// Adds a file that was parsed.
    fn add(&mut self, parsed: Parsed) {
        let Parsed { raw, mistakes, mut list, broken, whole } = parsed;
        self.list.extend(mistakes);
        self.raw.add(raw, &mut list);
        // what the parser made of a broken line says nothing
        let elsewhere = |item: &Diagnostic| item.labels.iter().all(|(origin, _)| !broken.contains(&origin.line));
        self.list.extend(list.into_iter().filter(elsewhere));
        self.whole &= whole;
    }

    /// Reads what `include` names, and what that includes.
    fn include(&mut self, top: String) {
        let mut read = BTreeSet::from([top]);
        let mut next = 0;
        while next < self.raw.include.len() {
            let entries = self.raw.include[next..].to_vec();
            next = self.raw.include.len();
            let mut found = Vec::new();
            for entry in entries {
                self.find(&entry, &mut read, &mut found);
            }
            let parsed: Vec<Parsed> = found.into_par_iter().map(parse).collect();
            for parsed in parsed {
                self.add(parsed);
            }
        }
    }

    /// Reads the files that one entry of `include` names.
    fn find(&mut self, entry: &Spot<String>, read: &mut BTreeSet<String>, found: &mut Vec<Arc<Source>>) {
        let names = match self.sources.glob(&beside(&entry.origin.file, &entry.value)) {
            Ok(names) => names,
            Err(why) => return self.refuse(&entry.origin, format!("cannot include `{}`: {why}", entry.value)),
        };
        if names.is_empty() {
            self.refuse(&entry.origin, format!("`{}` matches no file", entry.value));
        }
        for name in names {
            if !read.insert(name.clone()) {
                continue;
            }
            match self.sources.read(&name, FileKind::Include) {
                Ok(source) => found.push(source),
                Err(why) => self.refuse(&entry.origin, format!("cannot include `{name}`: {why}")),
            }
        }
    }

    fn refuse(&mut self, origin: &Origin, message: String) {
        let hint = "each entry of `include` must match a file in the folder of the top file, or below it";
        self.list.push(Diagnostic::at(origin, message).hint(hint));
        self.whole = false;
    }
}

/// One file, parsed by itself, so that one that is broken does not hide the mistakes of the others.
struct Parsed {
    raw: Raw,
    /// What is no TOML.
    mistakes: Vec<Diagnostic>,
    /// What is no configuration.
    list: Vec<Diagnostic>,
    /// The lines that are no TOML.
    broken: BTreeSet<usize>,
    whole: bool,
}

/// In a broken file, looks for mistakes only up to this many bytes after the first one. Each mistake takes hundreds of
/// bytes of memory, so 16 MiB of them would take gigabytes.
const LARGE: usize = 1 << 20;

fn parse(source: Arc<Source>) -> Parsed {
    let text = source.text.clone();
    let (table, errors) = match DeTable::parse(&text) {
        Ok(table) => (table, Vec::new()),
        Err(first) => {
            let end = first.span().map_or(0, |span| span.end).saturating_add(LARGE);
            let part = &text[..text.floor_char_boundary(end)];
            let (table, mut errors) = DeTable::parse_recoverable(part);
            // the file itself does not end where the part ends
            errors.retain(|error| part.len() == text.len() || error.span().is_none_or(|span| span.start < part.len()));
            if errors.is_empty() {
                errors.push(first);
            }
            (table, errors)
        }
    };
    let mut gather = Gather { source, list: Vec::new() };
    let (mistakes, broken) = syntax::mistakes(&gather, table.get_ref(), &errors);
    let mut raw = Raw::default();
    raw.read(&mut gather, table.get_ref());
    Parsed { raw, mistakes, list: gather.list, broken, whole: errors.is_empty() }
}

impl Configuration {
    /// Follows references, fills defaults, renders templates and checks limits.
    ///
    /// # Errors
    /// Everything that is wrong, with its place.
    pub fn resolve(&self, identities: &Identities) -> Result<Desired, Diagnostics> {
        resolve::resolve(&self.raw, &self.sources, &self.digest, identities)
            .map_err(|list| self.sources.diagnostics(list))
    }

    /// The column, from 1, at which a line of a file begins behind its indentation.
    pub fn first_column(&self, file: &str, line: usize) -> Option<usize> {
        let source = self.sources.named("", file)?;
        let text = source.text.lines().nth(line.checked_sub(1)?)?;
        Some(text.chars().take_while(|character| character.is_whitespace()).count() + 1)
    }

    /// The files that were read.
    pub fn files(&self) -> Vec<PathBuf> {
        self.sources.paths()
    }

    /// Whose it is.
    pub fn owner(&self) -> Option<&Key> {
        self.raw.owner.as_ref().map(|owner| &owner.value)
    }

    /// `sha256:…` over every file that was read.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// What `irsa init` writes: a commented file that passes `irsa validate`.
pub fn starter() -> &'static str {
    include_str!("config/starter.toml")
}
