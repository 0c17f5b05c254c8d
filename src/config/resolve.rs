//! From raw tables to `Desired`: references followed, defaults filled in, templates rendered, limits checked.
//!
//! Goes on after every mistake, and says nothing of what only follows from another one: a table that was read with
//! mistakes is not told what it lacks, and what refers to a table that could not be read is left alone.

mod bindings;
mod clash;
mod fields;
mod head;
mod lock;
mod metadata;
mod places;
mod policies;
mod roles;

use super::Identities;
use super::diagnostics::Diagnostic;
use super::documents::Documents;
use super::partitions;
use super::reader::{Spot, nearest};
use super::schema::Raw;
use super::source::Sources;
use crate::ids::Key;
use crate::model::desired::{Account, Cluster, Desired};
use crate::model::origin::Origin;
use std::collections::{BTreeMap, HashMap};

/// Makes `Desired`, or says everything that is in the way.
pub(crate) fn resolve(
    raw: &Raw,
    sources: &Sources,
    digest: &str,
    identities: &Identities,
) -> Result<Desired, Vec<Diagnostic>> {
    // side by side, a mistake that roles share would be told for each part of them
    attempt(raw, sources, digest, identities, Pace::SideBySide)
        .or_else(|_| attempt(raw, sources, digest, identities, Pace::OneByOne))
}

/// The most comparisons made to find what a wrong name was meant to be.
const COMPARED: usize = 1_000_000;

/// How roles are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    SideBySide,
    OneByOne,
}

fn attempt(
    raw: &Raw,
    sources: &Sources,
    digest: &str,
    identities: &Identities,
    pace: Pace,
) -> Result<Desired, Vec<Diagnostic>> {
    let mut resolver =
        Resolver { raw, sources, identities, owner: placeholder("owner"), list: Vec::new(), slips: HashMap::new() };
    resolver.header();
    let guard = resolver.guard();
    let ignore_tags = resolver.ignore_tags();
    let places = resolver.places();
    let lock = resolver.lock();
    let bound = resolver.bindings(&places);
    let mut documents = Documents::new(sources);
    let (roles, uses) = resolver.roles(&places, bound, &mut documents, pace);
    let policies = resolver.policies(&places, &uses, &mut documents);
    resolver.list.append(&mut documents.list);
    let mut desired = Desired {
        owner: resolver.owner.clone(),
        config_digest: digest.to_owned(),
        accounts: places.accounts,
        clusters: places.clusters,
        policies,
        roles,
        forget: Vec::new(),
        ignore_tags,
        guard,
        prune_paths: raw.prune_paths.iter().map(|spot| spot.value.clone()).collect(),
        lock,
    };
    desired.forget = resolver.forget(&desired);
    let known = |account: &Key| !identities.provisional || resolver.told_partition(account).is_some();
    let strangers = partitions::strangers(&desired, sources, known);
    resolver.list.extend(strangers);
    if resolver.list.is_empty() { Ok(desired) } else { Err(resolver.list) }
}

/// A key that stands in for one that is missing.
fn placeholder(text: &str) -> Key {
    Key::parse(text).unwrap_or_else(|error| unreachable!("{error}"))
}

/// The things that a configuration gives keys to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Named {
    Account,
    Cluster,
    Policy,
    Role,
}

impl Named {
    fn word(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Cluster => "cluster",
            Self::Policy => "policy",
            Self::Role => "role",
        }
    }

    fn table(self) -> &'static str {
        match self {
            Self::Account => "accounts",
            Self::Cluster => "clusters",
            Self::Policy => "policies",
            Self::Role => "roles",
        }
    }
}

struct Resolver<'a> {
    raw: &'a Raw,
    sources: &'a Sources,
    identities: &'a Identities,
    owner: Key,
    list: Vec<Diagnostic>,
    /// What a wrong name was probably meant to be: the search is slow, and a slip is often made many times.
    slips: HashMap<(Named, String), Option<String>>,
}

impl<'a> Resolver<'a> {
    /// One that knows the same and has found nothing yet.
    fn beside(&self) -> Self {
        let Self { raw, sources, identities, owner, list: _, slips: _ } = self;
        Self { raw, sources, identities, owner: owner.clone(), list: Vec::new(), slips: HashMap::new() }
    }

    fn refuse(&mut self, origin: &Origin, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Diagnostic::at(origin, message))
    }

    fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        self.list.push(diagnostic);
        let last = self.list.len() - 1;
        &mut self.list[last]
    }

    /// The entry that `spot` names; what is not there is refused, unless it could only not be read.
    fn named<T>(&mut self, kind: Named, spot: &Spot<String>, map: &'a BTreeMap<Key, T>) -> Option<(&'a Key, &'a T)> {
        let text = spot.value.as_str();
        if let Some(found) = Key::parse(text).ok().and_then(|key| map.get_key_value(&key)) {
            return Some(found);
        }
        if !self.raw.dropped.contains(text) {
            let hint = self.meant(kind, text, map);
            let message = format!("there is no {} `{text}`", kind.word());
            self.refuse(&spot.origin, message).hint = Some(hint);
        }
        None
    }

    fn meant<T>(&mut self, kind: Named, text: &str, map: &BTreeMap<Key, T>) -> String {
        let known = || map.keys().map(Key::as_str);
        let compared = self.slips.len().saturating_mul(map.len());
        let slip = self.slips.entry((kind, text.to_owned())).or_insert_with(|| {
            let near = if compared > COMPARED { None } else { nearest(text, known()) };
            near.map(str::to_owned)
        });
        if let Some(near) = slip {
            return format!("did you mean `{near}`?");
        }
        let table = kind.table();
        match map.len() {
            0 => format!("declare `[{table}.{text}]`"),
            1..=8 => {
                let names: Vec<String> = known().map(|name| format!("`{name}`")).collect();
                format!("`[{table}]` has {}", names.join(", "))
            }
            many => format!("`[{table}]` has {many} others"),
        }
    }

    /// The value, if it is one of `known`.
    fn word<T: Copy>(&mut self, spot: &Spot<String>, what: &str, known: &[(&'static str, T)]) -> Option<T> {
        if let Some((_, value)) = known.iter().find(|(word, _)| *word == spot.value) {
            return Some(*value);
        }
        let names: Vec<String> = known.iter().map(|(word, _)| format!("`{word}`")).collect();
        let hint = nearest(&spot.value, known.iter().map(|(word, _)| *word))
            .map_or_else(|| format!("it is one of {}", names.join(", ")), |near| format!("did you mean `{near}`?"));
        self.refuse(&spot.origin, format!("`{}` is no {what}", spot.value)).hint = Some(hint);
        None
    }
}
