//! Reads a configuration: files become tables with positions, and tables become `Desired` or a list of all errors in
//! them.
//!
//! Offline and deterministic. A run resolves twice: first with placeholders, to find every error before it contacts
//! AWS, and again with the account ids that STS returned. Knows neither AWS nor Kubernetes, runs nothing, and opens
//! nothing outside the configuration's folder.

pub mod diagnostics;
mod documents;
mod file_kind;
mod include;
pub mod json_schema;
mod partitions;
mod reader;
mod resolve;
pub(crate) mod schema;
mod source;
pub(crate) mod suggest;
mod syntax_errors;
pub(crate) mod templates;
#[cfg(test)]
mod tests;
mod wrong_document;

pub use diagnostics::{Diagnostic, Diagnostics};

use crate::ids::{AccountId, Key, Partition, Region};
use crate::model::desired::Desired;
use crate::model::origin::Origin;
use crate::model::resource::StringMap;
use file_kind::FileKind;
use rayon::prelude::*;
use reader::{FileReader, Located};
use schema::Raw;
use source::{Source, Sources, relative_to};
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

/// The ids of the accounts, as far as they are known.
#[derive(Debug, Clone, Default)]
pub struct Identities {
    /// By account key: id and partition, from STS.
    pub accounts: BTreeMap<Key, (AccountId, Partition)>,
    /// The region of clusters that declare none: `AWS_REGION`, or the profile's.
    pub default_region: Option<Region>,
    /// Whether a missing region is an error, because EKS is about to be called.
    pub online: bool,
    /// Whether STS is about to be called. ARNs are then not compared with a partition that is only likely.
    pub provisional: bool,
}

/// What new files of a configuration must take into account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// The keys of all its accounts, clusters, policies and roles.
    pub keys: BTreeSet<Key>,
    /// The tags in `[defaults.role]`.
    pub role_tags: StringMap,
    /// Whether `[defaults.role]` has a permissions boundary.
    pub has_default_boundary: bool,
}

/// The file that irsa reads if the user names none.
pub const DEFAULT: &str = "irsa.toml";

/// Reads the file that the user named, the files that it includes and the policy files that they name.
///
/// # Errors
/// Every error in syntax, keys and types, and every error that `resolve` finds in the rest, so that all show at once.
pub fn load(path: &Path) -> Result<Configuration, Diagnostics> {
    load_top(path, true)
}

/// Reads the default file. Unlike a file that the user named, it must not be a link out of its folder.
///
/// # Errors
/// As for `load`.
pub fn load_default() -> Result<Configuration, Diagnostics> {
    load_top(Path::new(DEFAULT), false)
}

fn load_top(path: &Path, by_user: bool) -> Result<Configuration, Diagnostics> {
    let (mut sources, name) = Sources::of_top_file(path);
    let source = match sources.read_top(&name, by_user) {
        Ok(source) => source,
        Err(why) => {
            let hint = "name another file with `--config`, or write one with `irsa init`";
            let diagnostic = Diagnostic::without_position(format!("`{}`: {why}", path.display())).hint(hint);
            return Err(sources.diagnostics(vec![diagnostic]));
        }
    };
    let name = source.name.to_string();
    let ParsedFile { raw, errors, complete } = parse(source);
    let mut loader = Loader { sources, raw, errors, complete };
    loader.include(name);
    let Loader { mut sources, raw, mut errors, complete } = loader;
    errors.extend(documents::read_files(&mut sources, &raw));
    if errors.is_empty() {
        let digest = sources.digest();
        return Ok(Configuration { sources, raw, digest });
    }
    if complete {
        errors.extend(resolve::resolve(&raw, &sources, "", &Identities::default()).err().unwrap_or_default());
    }
    Err(sources.diagnostics(errors))
}

/// A configuration of texts that are not files yet, by path, or an existing one with further texts.
///
/// # Errors
/// As for `load`.
pub fn of_texts<'t>(
    existing: Option<&Configuration>,
    texts: impl IntoIterator<Item = (String, &'t str)>,
) -> Result<Configuration, Diagnostics> {
    let (mut sources, mut raw) = match existing {
        Some(existing) => (existing.sources.clone(), Some(existing.raw.clone())),
        None => (Sources::default(), None),
    };
    let mut errors = Vec::new();
    for (name, text) in texts {
        match sources.keep(&name, text) {
            Ok(source) if FileKind::Include.check_extension(&name).is_ok() => {
                let file = parse(source);
                errors.extend(file.errors);
                match &mut raw {
                    Some(raw) => raw.add(file.raw, &mut errors),
                    None => raw = Some(file.raw),
                }
            }
            Ok(_) => {}
            Err(why) => errors.push(Diagnostic::without_position(format!("`{name}`: {why}"))),
        }
    }
    if let Some(raw) = &raw {
        errors.extend(documents::read_files(&mut sources, raw));
    }
    match raw {
        Some(raw) if errors.is_empty() => {
            let digest = sources.digest();
            Ok(Configuration { sources, raw, digest })
        }
        _ => Err(sources.diagnostics(errors)),
    }
}

/// The files read so far.
struct Loader {
    sources: Sources,
    raw: Raw,
    errors: Vec<Diagnostic>,
    /// Whether every file could be read and is valid TOML. Otherwise a missing table may be in an unread part.
    complete: bool,
}

impl Loader {
    /// Reads the files that `include` names, and the files that those include. `top` is already read.
    fn include(&mut self, top: String) {
        let mut read = BTreeSet::from([top]);
        let mut next = 0;
        while next < self.raw.include.len() {
            let globs = self.raw.include[next..].to_vec();
            next = self.raw.include.len();
            let mut sources = Vec::new();
            for glob in globs {
                self.read_matches(&glob, &mut read, &mut sources);
            }
            for file in sources.into_par_iter().map(parse).collect::<Vec<_>>() {
                self.errors.extend(file.errors);
                self.raw.add(file.raw, &mut self.errors);
                self.complete &= file.complete;
            }
        }
    }

    /// Reads the files that match one glob.
    fn read_matches(&mut self, glob: &Located<String>, read: &mut BTreeSet<String>, sources: &mut Vec<Arc<Source>>) {
        let names = match self.sources.glob(&relative_to(&glob.origin.file, &glob.value)) {
            Ok(names) => names,
            Err(why) => return self.refuse(&glob.origin, format!("cannot include `{}`: {why}", glob.value)),
        };
        if names.is_empty() {
            self.refuse(&glob.origin, format!("`{}` matches no file", glob.value));
        }
        for name in names {
            if !read.insert(name.clone()) {
                continue;
            }
            match self.sources.read(&name, FileKind::Include) {
                Ok(source) => sources.push(source),
                Err(why) => self.refuse(&glob.origin, format!("cannot include `{name}`: {why}")),
            }
        }
    }

    fn refuse(&mut self, origin: &Origin, message: String) {
        let hint = "each entry of `include` must match a file in the folder of the top file, or below it";
        self.errors.push(Diagnostic::at(origin, message).hint(hint));
        self.complete = false;
    }
}

/// One file, parsed on its own, so that a broken file does not hide the errors in the other files.
struct ParsedFile {
    raw: Raw,
    errors: Vec<Diagnostic>,
    /// Whether it is valid TOML.
    complete: bool,
}

/// In a broken file, irsa reports only errors up to this many bytes after the first one. Each error takes hundreds of
/// bytes of memory, so 16 MiB of them would take gigabytes.
const REPORTED_BYTES: usize = 1 << 20;

fn parse(source: Arc<Source>) -> ParsedFile {
    let text = source.text.clone();
    let (table, syntax) = match DeTable::parse(&text) {
        Ok(table) => (table, Vec::new()),
        Err(first) => {
            let end = first.span().map_or(0, |span| span.end).saturating_add(REPORTED_BYTES);
            let part = &text[..text.floor_char_boundary(end)];
            let (table, mut errors) = DeTable::parse_recoverable(part);
            // the end of the part is not the end of the file
            errors.retain(|error| part.len() == text.len() || error.span().is_none_or(|span| span.start < part.len()));
            if errors.is_empty() {
                errors.push(first);
            }
            (table, errors)
        }
    };
    let mut file = FileReader::new(source);
    let (mut errors, broken_lines) = syntax_errors::syntax_errors(&file, table.get_ref(), &syntax);
    let raw = Raw::of(&mut file, table.get_ref());
    // on a broken line the parser only guessed
    let intact = |item: &Diagnostic| item.labels.iter().all(|(origin, _)| !broken_lines.contains(&origin.line));
    errors.extend(file.errors.into_iter().filter(intact));
    ParsedFile { raw, errors, complete: syntax.is_empty() }
}

impl Configuration {
    /// Follows references, fills in defaults, renders templates and checks limits.
    ///
    /// # Errors
    /// Every error in the configuration.
    pub fn resolve(&self, identities: &Identities) -> Result<Desired, Diagnostics> {
        resolve::resolve(&self.raw, &self.sources, &self.digest, identities)
            .map_err(|list| self.sources.diagnostics(list))
    }

    /// The column, from 1, of the first character after the indentation of a line.
    pub fn first_column(&self, file: &str, line: usize) -> Option<usize> {
        let source = self.sources.get("", file)?;
        Some(source.line(line)?.chars().take_while(|character| character.is_whitespace()).count() + 1)
    }

    /// The policies of `[policies]` and where each is declared, also those that no role attaches.
    pub fn policies(&self) -> impl Iterator<Item = (&Key, &Origin)> {
        self.raw.policies.iter().map(|(key, policy)| (key, &policy.origin))
    }

    /// The files that were read.
    pub fn files(&self) -> Vec<PathBuf> {
        self.sources.paths()
    }

    /// The owner; None if it is missing or invalid.
    pub fn owner(&self) -> Option<Key> {
        self.raw.owner.as_ref().and_then(|owner| Key::parse(&owner.value).ok())
    }

    /// What new files of this configuration must take into account.
    pub fn surroundings(&self) -> Surroundings {
        let Raw { accounts, clusters, policies, roles, .. } = &self.raw;
        let keys = accounts.keys().chain(clusters.keys()).chain(policies.keys()).chain(roles.keys());
        let defaults = self.raw.role_defaults();
        let tags = defaults.into_iter().flat_map(|defaults| &defaults.tags);
        Surroundings {
            keys: keys.cloned().collect(),
            role_tags: tags.map(|(key, value)| (key.clone(), value.value.clone())).collect(),
            has_default_boundary: defaults.is_some_and(|defaults| defaults.permissions_boundary.is_some()),
        }
    }

    /// The first entry of `include` in the top file.
    pub fn first_include(&self) -> Option<&Origin> {
        self.raw.include.first().map(|glob| &glob.origin)
    }

    /// Where entries of ServiceAccounts name their clusters: each key or glob, or None for an entry that names none and
    /// means the only cluster.
    pub fn cluster_references(&self) -> Vec<(Option<&str>, &Origin)> {
        let Raw { roles, service_accounts, .. } = &self.raw;
        let mut found = Vec::new();
        for role in roles.values() {
            match &role.cluster {
                Some(named) => found.extend(named.iter().map(|text| (Some(text.value.as_str()), &text.origin))),
                None => found.extend(role.service_accounts.first().map(|entry| (None, &entry.origin))),
            }
        }
        for entry in service_accounts {
            let role = || roles.get(&Key::parse(&entry.role.as_ref()?.value).ok()?);
            match &entry.cluster {
                Some(named) => found.extend(named.iter().map(|text| (Some(text.value.as_str()), &text.origin))),
                None if role().is_some_and(|role| role.cluster.is_some()) => {}
                None => found.push((None, &entry.origin)),
            }
        }
        found
    }

    /// `sha256:…` over every file that was read.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// The commented file that `irsa init` writes. It passes `irsa validate`.
pub fn starter() -> &'static str {
    include_str!("config/starter.toml")
}
