//! The files as they are written: every key optional, every value with its place. What is missing, out of range or
//! refers to nothing is found later, in `resolve`.

mod statements;
mod tables;

pub(crate) use statements::{Json, STATEMENT_KEYS};

use super::diagnostics::Diagnostic;
use super::reader::{Gather, RawPairs, Spot, TableReader, id};
use crate::ids::{
    AccountId, ClusterName, IamPath, IssuerUrl, Key, LeaseName, Namespace, PolicyName, Region, RoleArn, RoleName,
};
use crate::model::origin::Origin;
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// All files together: scalars once, tables by key.
#[derive(Debug, Default, Clone)]
pub(crate) struct Raw {
    pub version: Option<Spot<u64>>,
    pub owner: Option<Spot<Key>>,
    pub include: Vec<Spot<String>>,
    pub forget: Vec<Spot<String>>,
    pub ignore_tags: Vec<Spot<String>>,
    pub role_defaults: Option<RoleDefaults>,
    pub guard: Option<RawGuard>,
    pub prune_paths: Vec<Spot<IamPath>>,
    pub lock: Option<RawLock>,
    pub accounts: BTreeMap<Key, RawAccount>,
    pub clusters: BTreeMap<Key, RawCluster>,
    pub policies: BTreeMap<Key, RawPolicy>,
    pub roles: BTreeMap<Key, RawRole>,
    pub service_accounts: Vec<RawBinding>,
    /// The beginning of the top file, for what is missing in all of them.
    pub top: Option<Origin>,
    /// Where scalars and single tables were first defined.
    pub defined: BTreeMap<&'static str, Origin>,
    /// The keys of tables that could not be read at all: what refers to them is no further mistake.
    pub dropped: BTreeSet<String>,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct RoleDefaults {
    pub path: Option<Spot<IamPath>>,
    pub max_session_duration: Option<Spot<String>>,
    pub permissions_boundary: Option<Spot<String>>,
    pub tags: RawPairs,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct RawGuard {
    pub max_change_percent: Option<Spot<u64>>,
    pub min_existing: Option<Spot<u64>>,
    pub max_delete: Option<Spot<u64>>,
    pub recent_use: Option<Spot<String>>,
}

#[derive(Debug, Clone)]
pub(crate) struct RawLock {
    pub origin: Origin,
    pub flawed: bool,
    pub cluster: Option<Spot<String>>,
    pub namespace: Option<Spot<Namespace>>,
    pub name: Option<Spot<LeaseName>>,
    pub duration: Option<Spot<String>>,
}

#[derive(Debug, Clone)]
pub(crate) struct RawAccount {
    pub origin: Origin,
    pub flawed: bool,
    pub id: Option<Spot<AccountId>>,
    pub profile: Option<Spot<String>>,
    pub assume_role: Option<Spot<RoleArn>>,
    pub external_id: Option<Spot<String>>,
}

#[derive(Debug, Clone)]
pub(crate) struct RawCluster {
    pub origin: Origin,
    pub flawed: bool,
    pub account: Option<Spot<String>>,
    pub region: Option<Spot<Region>>,
    pub name: Option<Spot<ClusterName>>,
    pub issuer: Option<Spot<IssuerUrl>>,
    pub state: Option<Spot<String>>,
    pub kubernetes: Option<RawKubernetes>,
}

#[derive(Debug, Clone)]
pub(crate) struct RawKubernetes {
    pub origin: Origin,
    pub flawed: bool,
    /// What stands in place of the table.
    pub word: Option<Spot<String>>,
    pub kubeconfig: Option<Spot<String>>,
    pub context: Option<Spot<String>>,
    pub unverified: Option<Spot<bool>>,
}

/// A policy document in one of its three forms.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawDocument {
    pub flawed: bool,
    pub file: Option<Spot<String>>,
    pub json: Option<Spot<String>>,
    pub statements: Option<Spot<Vec<Spot<Json>>>>,
}

#[derive(Debug, Clone)]
pub(crate) struct RawPolicy {
    pub origin: Origin,
    pub flawed: bool,
    pub name: Option<Spot<PolicyName>>,
    pub description: Option<Spot<String>>,
    pub path: Option<Spot<IamPath>>,
    pub tags: RawPairs,
    pub document: RawDocument,
    pub adopt: Option<Spot<bool>>,
    pub adopt_from: Option<Spot<Key>>,
    pub prevent_destroy: Option<Spot<bool>>,
}

#[derive(Debug, Clone)]
pub(crate) struct RawRole {
    pub origin: Origin,
    pub flawed: bool,
    pub name: Option<Spot<RoleName>>,
    pub account: Option<Spot<String>>,
    pub cluster: Option<Vec<Spot<String>>>,
    pub path: Option<Spot<IamPath>>,
    pub description: Option<Spot<String>>,
    pub max_session_duration: Option<Spot<String>>,
    pub permissions_boundary: Option<Spot<String>>,
    pub tags: RawPairs,
    pub attach: Vec<Spot<String>>,
    pub ignore_attached: Vec<Spot<String>>,
    pub inline: Vec<(Spot<PolicyName>, RawDocument)>,
    pub trust: Vec<Spot<Json>>,
    pub service_accounts: Vec<Spot<String>>,
    pub adopt: Option<Spot<bool>>,
    pub adopt_from: Option<Spot<Key>>,
    pub prevent_destroy: Option<Spot<bool>>,
}

#[derive(Debug, Clone)]
pub(crate) struct RawBinding {
    pub origin: Origin,
    pub flawed: bool,
    pub role: Option<Spot<String>>,
    pub cluster: Option<Vec<Spot<String>>>,
    pub namespace: Option<Spot<String>>,
    pub name: Option<Vec<Spot<String>>>,
    pub manage: Option<Spot<String>>,
    pub audience: Option<Spot<String>>,
    pub token_expiration: Option<Spot<String>>,
    pub sts_regional_endpoints: Option<Spot<bool>>,
    pub labels: RawPairs,
    pub annotations: RawPairs,
    pub allow_wildcard: Option<Spot<String>>,
}

impl Raw {
    /// Adds what another file has: of what is defined twice the first stays, and the other is a mistake.
    pub(crate) fn add(&mut self, other: Self, list: &mut Vec<Diagnostic>) {
        let Self { version, owner, include, forget, ignore_tags, role_defaults, guard, prune_paths, lock, .. } = other;
        let Self { accounts, clusters, policies, roles, service_accounts, top, defined, dropped, .. } = other;
        self.top = self.top.take().or(top);
        for (key, origin) in defined {
            match self.defined.get(key) {
                Some(first) => list.push(twice(key, &origin, first)),
                None => drop(self.defined.insert(key, origin)),
            }
        }
        self.version = self.version.take().or(version);
        self.owner = self.owner.take().or(owner);
        self.include.extend(include);
        self.forget.extend(forget);
        self.ignore_tags.extend(ignore_tags);
        self.role_defaults = role_defaults.or(self.role_defaults.take());
        self.guard = guard.or(self.guard.take());
        self.prune_paths.extend(prune_paths);
        self.lock = self.lock.take().or(lock);
        join(&mut self.accounts, accounts, "accounts", list);
        join(&mut self.clusters, clusters, "clusters", list);
        join(&mut self.policies, policies, "policies", list);
        join(&mut self.roles, roles, "roles", list);
        self.service_accounts.extend(service_accounts);
        self.dropped.extend(dropped);
    }

    /// Reads one parsed file.
    pub(crate) fn read(&mut self, gather: &mut Gather, root: &DeTable<'_>) {
        let origin = gather.origin(0..0);
        self.top = Some(origin.clone());
        let mut reader = TableReader::new(gather, root, "the file", origin);
        for key in ["version", "owner", "forget", "ignore-tags", "defaults", "guard", "prune", "lock"] {
            let place = reader.span_of(key).map(|span| reader.gather.origin(span));
            self.defined.extend(place.map(|place| (key, place)));
        }
        self.version = reader.number("version");
        self.owner = reader.text("owner").and_then(|spot| {
            let owner = id(reader.gather, spot, Key::parse);
            if let (None, Some(refused)) = (&owner, reader.gather.list.last_mut()) {
                refused.hint = Some("choose a short name: no other key says a longer one".to_owned());
            }
            owner
        });
        self.include = reader.texts("include").unwrap_or_default();
        self.forget = reader.texts("forget").unwrap_or_default();
        self.ignore_tags = reader.texts("ignore-tags").unwrap_or_default();
        if let Some(mut defaults) = reader.table("defaults") {
            if let Some(mut table) = defaults.table("role") {
                self.role_defaults = Some(tables::role_defaults(&mut table));
                table.finish();
            }
            defaults.finish();
        }
        if let Some(mut table) = reader.table("guard") {
            self.guard = Some(RawGuard {
                max_change_percent: table.number("max-change-percent"),
                min_existing: table.number("min-existing"),
                max_delete: table.number("max-delete"),
                recent_use: table.text("recent-use"),
            });
            table.finish();
        }
        if let Some(mut table) = reader.table("prune") {
            let paths = table.texts("paths").unwrap_or_default();
            self.prune_paths = paths.into_iter().filter_map(|spot| id(table.gather, spot, IamPath::parse)).collect();
            table.finish();
        }
        if let Some(mut table) = reader.table("lock") {
            self.lock = Some(tables::lock(&mut table));
        }
        self.read_tables(&mut reader);
        reader.finish();
    }

    fn read_tables(&mut self, reader: &mut TableReader<'_, '_>) {
        for (key, value) in reader.entries("accounts") {
            keyed(reader.gather, (&mut self.accounts, &mut self.dropped), "accounts", key, value, tables::account);
        }
        for (key, value) in reader.entries("clusters") {
            keyed(reader.gather, (&mut self.clusters, &mut self.dropped), "clusters", key, value, tables::cluster);
        }
        for (key, value) in reader.entries("policies") {
            keyed(reader.gather, (&mut self.policies, &mut self.dropped), "policies", key, value, tables::policy);
        }
        for (key, value) in reader.entries("roles") {
            keyed(reader.gather, (&mut self.roles, &mut self.dropped), "roles", key, value, tables::role);
        }
        for value in reader.tables("service-accounts") {
            let origin = reader.gather.origin(value.span());
            if let Some(mut table) = TableReader::of(reader.gather, value, "[[service-accounts]]", origin.clone()) {
                self.service_accounts.push(tables::binding(&mut table, origin));
            }
        }
    }
}

/// Adds the tables of another file; a key that is there already is an error naming both places.
fn join<T: Placed>(map: &mut BTreeMap<Key, T>, other: BTreeMap<Key, T>, kind: &str, list: &mut Vec<Diagnostic>) {
    for (key, item) in other {
        match map.get(&key) {
            Some(first) => list.push(twice(&format!("[{kind}.{key}]"), item.origin(), first.origin())),
            None => drop(map.insert(key, item)),
        }
    }
}

fn twice(name: &str, again: &Origin, first: &Origin) -> Diagnostic {
    Diagnostic::at(again, format!("`{name}` is defined twice")).label("again here").and(first, "first here")
}

/// Reads one table of a user's key into its map.
fn keyed<T>(
    gather: &mut Gather,
    (map, dropped): (&mut BTreeMap<Key, T>, &mut BTreeSet<String>),
    kind: &str,
    key: Spot<String>,
    value: &Spanned<DeValue<'_>>,
    read: fn(&mut TableReader<'_, '_>, Origin) -> T,
) {
    let (origin, text) = (key.origin.clone(), key.value.clone());
    let Some(key) = id(gather, key, Key::parse) else {
        if let Some(refused) = gather.list.last_mut() {
            refused.hint = Some(other_name(kind, &text));
        }
        dropped.insert(text);
        return;
    };
    let name = format!("[{kind}.{}]", key.value);
    let Some(mut table) = TableReader::of(gather, value, name, origin.clone()) else {
        dropped.insert(text);
        return;
    };
    let item = read(&mut table, origin);
    // TOML itself has no key twice
    map.insert(key.value, item);
}

/// What says the name that a key cannot be: a key becomes tags, labels and addresses, AWS's names may be longer.
fn other_name(kind: &str, text: &str) -> String {
    let (what, refused) = match kind {
        "roles" => ("IAM calls the role", RoleName::parse(text).err()),
        "policies" => ("IAM calls the policy", PolicyName::parse(text).err()),
        "clusters" => ("EKS calls the cluster", ClusterName::parse(text).err()),
        _ => return "choose another key: which account is meant is said with its `id`".to_owned(),
    };
    match refused {
        None => format!("choose another key, and say what {what} with `name = \"{text}\"`"),
        Some(error) => format!("choose another key; what {what} is said with `name`, which {error}"),
    }
}

/// Something with a place of its own.
pub(crate) trait Placed {
    fn origin(&self) -> &Origin;
}

macro_rules! placed {
    ($($name:ident),*) => { $(impl Placed for $name { fn origin(&self) -> &Origin { &self.origin } })* };
}
placed!(RawAccount, RawCluster, RawPolicy, RawRole);
