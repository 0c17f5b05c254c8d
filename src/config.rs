//! Reads a configuration: files to tables with places, tables to `Desired`, or to everything that is wrong with them.
//!
//! Offline and deterministic: resolving is done twice in a run, once with placeholders to find every mistake and once
//! with the real account ids. It knows neither AWS nor Kubernetes, runs nothing and opens nothing outside its folder.

pub mod diagnostics;
mod documents;
mod durations;
pub mod json_schema;
mod reader;
mod resolve;
mod schema;
mod source;

pub use diagnostics::{Diagnostic, Diagnostics};

use crate::ids::{AccountId, Key, Partition, Region};
use crate::model::desired::Desired;
use reader::Gather;
use schema::Raw;
use source::{Sources, beside, unreadable};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
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
}

/// Reads the file at `path`, all that it includes and the policy files that they name.
///
/// # Errors
/// Everything that is wrong with their syntax, keys and types.
pub fn load(path: &Path) -> Result<Configuration, Diagnostics> {
    let (mut sources, top) = Sources::beside(path);
    let mut raw = Raw::default();
    let mut list = Vec::new();
    let shown = path.display().to_string();
    match sources.read(&top) {
        Err(why) => {
            let hint = "name another file with `--config`, or write one with `irsa init`";
            list.push(unreadable(&shown, &why).hint(hint));
        }
        Ok((name, text)) => {
            let mut read = BTreeSet::from([name.to_string()]);
            list.extend(parse(&sources, &mut raw, name, &text));
            include(&mut sources, &mut raw, &mut read, &mut list);
        }
    }
    list.extend(documents::read_files(&mut sources, &raw));
    if list.is_empty() {
        let digest = sources.digest();
        Ok(Configuration { sources, raw, digest })
    } else {
        Err(Diagnostics::new(list, sources.texts()))
    }
}

/// Each file is parsed by itself, so that one that is broken does not hide the mistakes of the others.
fn parse(sources: &Sources, raw: &mut Raw, file: std::sync::Arc<str>, text: &str) -> Vec<Diagnostic> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut gather = Gather { sources, file, list: Vec::new() };
    for error in &errors {
        let origin = gather.origin(error.span().unwrap_or(0..0));
        gather.list.push(Diagnostic::at(&origin, error.message().trim().to_owned()));
    }
    raw.read(&mut gather, table.get_ref());
    gather.list
}

/// Reads what `include` names, and what that includes.
fn include(sources: &mut Sources, raw: &mut Raw, read: &mut BTreeSet<String>, list: &mut Vec<Diagnostic>) {
    let mut next = 0;
    while let Some(entry) = raw.include.get(next).cloned() {
        next += 1;
        let pattern = beside(&entry.origin.file, &entry.value);
        let names = match sources.glob(&pattern) {
            Ok(names) => names,
            Err(why) => {
                list.push(Diagnostic::at(&entry.origin, format!("cannot include `{}`: {why}", entry.value)));
                continue;
            }
        };
        if names.is_empty() {
            let hint = "each entry of `include` must match a file";
            list.push(Diagnostic::at(&entry.origin, format!("`{}` matches no file", entry.value)).hint(hint));
        }
        for name in names {
            if !read.insert(name.clone()) {
                continue;
            }
            match sources.read(&name) {
                Ok((file, text)) => list.extend(parse(sources, raw, file, &text)),
                Err(why) => list.push(Diagnostic::at(&entry.origin, format!("cannot include `{name}`: {why}"))),
            }
        }
    }
}

impl Configuration {
    /// Follows references, fills defaults, renders templates and checks limits.
    ///
    /// # Errors
    /// Everything that is wrong, with its place.
    pub fn resolve(&self, identities: &Identities) -> Result<Desired, Diagnostics> {
        resolve::resolve(&self.raw, &self.sources, &self.digest, identities)
            .map_err(|list| Diagnostics::new(list, self.sources.texts()))
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
