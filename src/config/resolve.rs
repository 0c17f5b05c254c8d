//! Turns raw tables into `Desired`: follows references, fills in defaults, renders templates, checks limits.
//!
//! Goes on after every error, and reports no error that only follows from another one: a table with reading errors may
//! lack keys, and a reference to a table that could not be read is ignored.

mod accounts;
mod bindings;
mod clusters;
mod conflicts;
mod fields;
mod ignores;
mod infrastructure;
mod lock;
mod metadata;
mod policies;
mod roles;
mod settings;

use super::Identities;
use super::diagnostics::Diagnostic;
use super::documents::Documents;
use super::partitions;
use super::reader::Located;
use super::schema::Raw;
use super::source::Sources;
use super::suggest::{did_you_mean, nearest, suggestion};
use crate::ids::Key;
use crate::model::desired::{Account, Cluster, Desired};
use crate::model::origin::Origin;
use crate::model::quoted::quoted;
use policies::PolicyUsers;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Makes `Desired`, or returns all errors. Roles that share a document may each report its errors.
pub(crate) fn resolve(
    raw: &Raw,
    sources: &Sources,
    digest: &str,
    identities: &Identities,
) -> Result<Desired, Vec<Diagnostic>> {
    let mut resolver = Resolver {
        raw,
        sources,
        identities,
        owner: placeholder("owner"),
        errors: Vec::new(),
        misspelled: HashMap::new(),
        documents: Documents::new(sources),
        policy_users: PolicyUsers::new(),
    };
    resolver.header();
    let guard = resolver.guard();
    let ignore_tags = resolver.ignore_tags();
    let infrastructure = resolver.infrastructure();
    let lock = resolver.lock();
    let bindings = resolver.bindings(&infrastructure);
    let roles = resolver.roles(&infrastructure, bindings);
    let policies = resolver.policies(&infrastructure);
    let ignores = resolver.ignores();
    let prune_paths = raw.prune.iter().flat_map(|prune| &prune.paths);
    let mut desired = Desired {
        owner: resolver.owner.clone(),
        config_digest: digest.to_owned(),
        accounts: infrastructure.accounts,
        clusters: infrastructure.clusters,
        policies,
        roles,
        forget: Vec::new(),
        ignore_tags,
        guard,
        prune_paths: prune_paths.map(|path| path.value.clone()).collect(),
        lock,
        ignores,
    };
    desired.forget = resolver.forget(&desired);
    let known = |account: &Key| !identities.provisional || resolver.known_partition(account).is_some();
    let foreign = partitions::foreign_arns(&desired, sources, known);
    let mut errors = resolver.into_errors();
    errors.extend(foreign);
    if errors.is_empty() { Ok(desired) } else { Err(errors) }
}

/// The most comparisons of misspelled names with known ones.
const COMPARISON_LIMIT: usize = 1_000_000;

/// A key that stands in for one that is missing.
fn placeholder(text: &str) -> Key {
    Key::parse(text).unwrap_or_else(|error| unreachable!("{error}"))
}

/// The kinds of tables that have keys, for references to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum KeyedTable {
    Account,
    Cluster,
    Policy,
    Role,
}

impl KeyedTable {
    /// The words for one of them and for the table of all.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Account => ("account", "accounts"),
            Self::Cluster => ("cluster", "clusters"),
            Self::Policy => ("policy", "policies"),
            Self::Role => ("role", "roles"),
        }
    }
}

struct Resolver<'a> {
    raw: &'a Raw,
    sources: &'a Sources,
    identities: &'a Identities,
    owner: Key,
    errors: Vec<Diagnostic>,
    /// The likely meaning of each unknown key. The search is slow, and a misspelling is often repeated.
    misspelled: HashMap<(KeyedTable, String), Option<String>>,
    documents: Documents<'a>,
    /// The roles resolved so far that attach each policy.
    policy_users: PolicyUsers<'a>,
}

impl<'a> Resolver<'a> {
    /// A resolver for a parallel worker, without errors and users so far.
    fn fork(&self) -> Self {
        let Self { raw, sources, identities, .. } = *self;
        Self {
            raw,
            sources,
            identities,
            owner: self.owner.clone(),
            errors: Vec::new(),
            misspelled: HashMap::new(),
            documents: Documents::new(sources),
            policy_users: PolicyUsers::new(),
        }
    }

    fn into_errors(mut self) -> Vec<Diagnostic> {
        self.errors.append(&mut self.documents.errors);
        self.errors
    }

    fn refuse(&mut self, origin: &Origin, message: impl Into<String>) -> &mut Diagnostic {
        Diagnostic::at(origin, message).push_to(&mut self.errors)
    }

    /// Refuses each of `items` (identity, key, position) that has the identity of an earlier one. `describe` makes the
    /// message from the earlier key, the key and the identity.
    fn refuse_duplicates<'k, K: Eq + Hash>(
        &mut self,
        items: impl Iterator<Item = (K, &'k Key, &'k Origin)>,
        describe: impl Fn(&Key, &Key, &K) -> String,
        hint: &str,
    ) {
        let mut first: HashMap<K, (&Key, &Origin)> = HashMap::new();
        for (identity, key, origin) in items {
            if let Some((other, other_origin)) = first.get(&identity) {
                let diagnostic = Diagnostic::at(origin, describe(other, key, &identity));
                self.errors.push(diagnostic.and(other_origin, "the other is here").hint(hint));
            } else {
                first.insert(identity, (key, origin));
            }
        }
    }

    /// The entry that `reference` names. Refuses an unknown key, unless its table exists and could not be read.
    fn lookup<T>(
        &mut self,
        kind: KeyedTable,
        reference: &Located<String>,
        map: &'a BTreeMap<Key, T>,
    ) -> Option<(&'a Key, &'a T)> {
        let text = reference.value.as_str();
        if let Some(found) = Key::parse(text).ok().and_then(|key| map.get_key_value(&key)) {
            return Some(found);
        }
        if !self.raw.dropped.contains(text) {
            let hint = self.unknown_key_hint(kind, text, map);
            let message = format!("there is no {} `{text}`", kind.words().0);
            self.refuse(&reference.origin, message).hint = Some(hint);
        }
        None
    }

    fn unknown_key_hint<T>(&mut self, kind: KeyedTable, text: &str, map: &BTreeMap<Key, T>) -> String {
        let compared = self.misspelled.len().saturating_mul(map.len());
        let meant = self.misspelled.entry((kind, text.to_owned())).or_insert_with(|| {
            let near = if compared > COMPARISON_LIMIT { None } else { nearest(text, map.keys().map(Key::as_str)) };
            near.map(str::to_owned)
        });
        if let Some(near) = meant {
            return did_you_mean(near);
        }
        if kind == KeyedTable::Policy && text.starts_with(|c: char| c.is_ascii_uppercase()) {
            // such as `AmazonS3ReadOnlyAccess`
            return format!("write `aws:{text}` for an AWS managed policy");
        }
        let (_, table) = kind.words();
        match map.len() {
            0 => format!("declare `[{table}.{text}]`"),
            1..=8 => format!("`[{table}]` has {}", quoted(map.keys()).join(", ")),
            many => format!("`[{table}]` has {many} others"),
        }
    }

    /// The value of the word, which must be one of `known`.
    fn word<T: Copy>(&mut self, word: &Located<String>, what: &str, known: &[(&'static str, T)]) -> Option<T> {
        if let Some((_, value)) = known.iter().find(|(known, _)| *known == word.value) {
            return Some(*value);
        }
        let known: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        let hint = suggestion(&word.value, &known, "it is one of");
        self.refuse(&word.origin, format!("`{}` is not a {what}", word.value)).hint = Some(hint);
        None
    }
}
