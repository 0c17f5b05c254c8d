//! The files as they are written: every key optional, every value with its place. What is missing, out of range or
//! refers to nothing is found later, in `resolve`.

use super::diagnostics::Diagnostic;
use super::reader::{Gather, Spot, TableReader, id, nearest, text, wrong};
use crate::ids::{AccountId, ClusterName, IamPath, IssuerUrl, Key, PolicyName, Region, RoleName};
use crate::model::origin::Origin;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

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
    pub accounts: BTreeMap<Key, RawAccount>,
    pub clusters: BTreeMap<Key, RawCluster>,
    pub policies: BTreeMap<Key, RawPolicy>,
    pub roles: BTreeMap<Key, RawRole>,
    pub service_accounts: Vec<RawBinding>,
    /// Where scalars and single tables were first defined.
    pub defined: BTreeMap<String, Origin>,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct RoleDefaults {
    pub path: Option<Spot<IamPath>>,
    pub max_session_duration: Option<Spot<String>>,
    pub permissions_boundary: Option<Spot<String>>,
    pub tags: BTreeMap<String, Spot<String>>,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct RawGuard {
    pub max_change_percent: Option<Spot<u64>>,
    pub min_existing: Option<Spot<u64>>,
    pub max_delete: Option<Spot<u64>>,
    pub recent_use: Option<Spot<String>>,
}

#[derive(Debug, Clone)]
pub(crate) struct RawAccount {
    pub origin: Origin,
    pub id: Option<Spot<AccountId>>,
    pub profile: Option<Spot<String>>,
    pub assume_role: Option<Spot<String>>,
    pub external_id: Option<Spot<String>>,
}

#[derive(Debug, Clone)]
pub(crate) struct RawCluster {
    pub origin: Origin,
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
    pub kubeconfig: Option<Spot<String>>,
    pub context: Option<Spot<String>>,
    pub unverified: Option<Spot<bool>>,
}

/// A policy document in one of its three forms.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawDocument {
    pub file: Option<Spot<String>>,
    pub json: Option<Spot<String>>,
    pub statements: Option<Spot<Vec<Spot<Value>>>>,
}

#[derive(Debug, Clone)]
pub(crate) struct RawPolicy {
    pub origin: Origin,
    pub name: Option<Spot<PolicyName>>,
    pub description: Option<Spot<String>>,
    pub path: Option<Spot<IamPath>>,
    pub tags: BTreeMap<String, Spot<String>>,
    pub document: RawDocument,
    pub adopt: Option<Spot<bool>>,
    pub adopt_from: Option<Spot<Key>>,
    pub prevent_destroy: Option<Spot<bool>>,
}

#[derive(Debug, Clone)]
pub(crate) struct RawRole {
    pub origin: Origin,
    pub name: Option<Spot<RoleName>>,
    pub account: Option<Spot<String>>,
    pub cluster: Option<Vec<Spot<String>>>,
    pub path: Option<Spot<IamPath>>,
    pub description: Option<Spot<String>>,
    pub max_session_duration: Option<Spot<String>>,
    pub permissions_boundary: Option<Spot<String>>,
    pub tags: BTreeMap<String, Spot<String>>,
    pub attach: Vec<Spot<String>>,
    pub ignore_attached: Vec<Spot<String>>,
    pub inline: Vec<(Spot<PolicyName>, RawDocument)>,
    pub trust: Vec<Spot<Value>>,
    pub service_accounts: Vec<Spot<String>>,
    pub adopt: Option<Spot<bool>>,
    pub adopt_from: Option<Spot<Key>>,
    pub prevent_destroy: Option<Spot<bool>>,
}

#[derive(Debug, Clone)]
pub(crate) struct RawBinding {
    pub origin: Origin,
    pub role: Option<Spot<String>>,
    pub cluster: Option<Vec<Spot<String>>>,
    pub namespace: Option<Spot<String>>,
    pub name: Option<Vec<Spot<String>>>,
    pub manage: Option<Spot<String>>,
    pub audience: Option<Spot<String>>,
    pub token_expiration: Option<Spot<String>>,
    pub sts_regional_endpoints: Option<Spot<bool>>,
    pub allow_wildcard: Option<Spot<String>>,
}

impl Raw {
    /// Adds one parsed file.
    pub(crate) fn read(&mut self, gather: &mut Gather<'_>, root: &DeTable<'_>) {
        let origin = gather.origin(0..0);
        let mut reader = TableReader::new(gather, root, "the file", origin);
        for key in ["version", "owner", "forget", "ignore-tags", "defaults", "guard", "prune"] {
            self.once(&mut reader, root, key);
        }
        self.version = self.version.take().or(reader.number("version"));
        self.owner = self.owner.take().or(reader.id("owner", Key::parse));
        self.include.extend(reader.texts("include").unwrap_or_default());
        self.forget.extend(reader.texts("forget").unwrap_or_default());
        self.ignore_tags.extend(reader.texts("ignore-tags").unwrap_or_default());
        if let Some(mut defaults) = reader.table("defaults") {
            if let Some(mut table) = defaults.table("role") {
                self.role_defaults = Some(role_defaults(&mut table));
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
            self.prune_paths =
                paths.into_iter().filter_map(|spot| id(table.gather, spot, IamPath::parse)).collect();
            table.finish();
        }
        self.read_tables(&mut reader);
        reader.reserved(&["lock", "moved", "presets", "ignore", "overflow"]);
        reader.finish();
    }

    fn read_tables(&mut self, reader: &mut TableReader<'_, '_, '_>) {
        for (key, value) in reader.entries("accounts") {
            keyed(reader.gather, &mut self.accounts, "accounts", key, value, account);
        }
        for (key, value) in reader.entries("clusters") {
            keyed(reader.gather, &mut self.clusters, "clusters", key, value, cluster);
        }
        for (key, value) in reader.entries("policies") {
            keyed(reader.gather, &mut self.policies, "policies", key, value, policy);
        }
        for (key, value) in reader.entries("roles") {
            keyed(reader.gather, &mut self.roles, "roles", key, value, role);
        }
        for value in reader.tables("service-accounts") {
            let origin = reader.gather.origin(value.span());
            if let Some(mut table) = TableReader::of(reader.gather, value, "[[service-accounts]]", origin.clone()) {
                self.service_accounts.push(binding(&mut table, origin));
                table.finish();
            }
        }
    }

    /// A scalar or a single table may be in one file only.
    fn once(&mut self, reader: &mut TableReader<'_, '_, '_>, root: &DeTable<'_>, key: &'static str) {
        let Some((name, _)) = root.iter().find(|(name, _)| name.get_ref() == key) else { return };
        let origin = reader.gather.origin(name.span());
        if let Some(first) = self.defined.get(key) {
            let diagnostic =
                Diagnostic::at(&origin, format!("`{key}` is defined twice")).label("again here").and(first, "first here");
            reader.gather.list.push(diagnostic);
        } else {
            self.defined.insert(key.to_owned(), origin);
        }
    }
}

/// Reads one table of a user's key into its map; a key that is there already is an error naming both places.
fn keyed<'a, T: Placed>(
    gather: &mut Gather<'_>,
    map: &mut BTreeMap<Key, T>,
    kind: &str,
    key: Spot<String>,
    value: &'a Spanned<DeValue<'a>>,
    read: fn(&mut TableReader<'a, '_, '_>, Origin) -> T,
) {
    let origin = key.origin.clone();
    let Some(key) = id(gather, key, Key::parse) else { return };
    let name = format!("[{kind}.{}]", key.value);
    let Some(mut table) = TableReader::of(gather, value, name.clone(), origin.clone()) else { return };
    let item = read(&mut table, origin.clone());
    table.finish();
    if let Some(first) = map.get(&key.value) {
        let diagnostic =
            Diagnostic::at(&origin, format!("`{name}` is defined twice")).label("again here").and(first.origin(), "first here");
        gather.list.push(diagnostic);
    } else {
        map.insert(key.value, item);
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

fn role_defaults(table: &mut TableReader<'_, '_, '_>) -> RoleDefaults {
    RoleDefaults {
        path: table.id("path", IamPath::parse),
        max_session_duration: table.text("max-session-duration"),
        permissions_boundary: table.text("permissions-boundary"),
        tags: table.pairs("tags").unwrap_or_default(),
    }
}

fn account<'a>(table: &mut TableReader<'a, '_, '_>, origin: Origin) -> RawAccount {
    RawAccount {
        origin,
        id: table.id("id", AccountId::parse),
        profile: table.text("profile"),
        assume_role: table.text("assume-role"),
        external_id: table.text("external-id"),
    }
}

fn cluster<'a>(table: &mut TableReader<'a, '_, '_>, origin: Origin) -> RawCluster {
    let cluster = RawCluster {
        origin,
        account: table.text("account"),
        region: table.id("region", Region::parse),
        name: table.id("name", ClusterName::parse),
        issuer: table.id("issuer", IssuerUrl::parse),
        state: table.text("state"),
        kubernetes: table.table("kubernetes").map(|mut table| {
            let kubernetes = RawKubernetes {
                origin: table.origin.clone(),
                kubeconfig: table.text("kubeconfig"),
                context: table.text("context"),
                unverified: table.flag("unverified"),
            };
            table.finish();
            kubernetes
        }),
    };
    table.reserved(&["thumbprints", "ignore"]);
    cluster
}

fn policy<'a>(table: &mut TableReader<'a, '_, '_>, origin: Origin) -> RawPolicy {
    let policy = RawPolicy {
        origin,
        name: table.id("name", PolicyName::parse),
        description: table.text("description"),
        path: table.id("path", IamPath::parse),
        tags: table.pairs("tags").unwrap_or_default(),
        document: document(table),
        adopt: table.flag("adopt"),
        adopt_from: table.id("adopt-from", Key::parse),
        prevent_destroy: table.flag("prevent-destroy"),
    };
    table.reserved(&["presets", "ignore", "overflow", "moved"]);
    policy
}

fn document(table: &mut TableReader<'_, '_, '_>) -> RawDocument {
    RawDocument { file: table.text("file"), json: table.text("json"), statements: statements(table, "statements") }
}

fn role<'a>(table: &mut TableReader<'a, '_, '_>, origin: Origin) -> RawRole {
    let inline = table.entries("inline").into_iter().filter_map(|(name, value)| {
        let origin = name.origin.clone();
        let name = id(table.gather, name, PolicyName::parse)?;
        let mut reader = TableReader::of(table.gather, value, format!("inline policy `{}`", name.value), origin)?;
        let document = document(&mut reader);
        reader.finish();
        Some((name, document))
    });
    let inline = inline.collect();
    let role = RawRole {
        origin,
        name: table.id("name", RoleName::parse),
        account: table.text("account"),
        cluster: table.one_or_more("cluster"),
        path: table.id("path", IamPath::parse),
        description: table.text("description"),
        max_session_duration: table.text("max-session-duration"),
        permissions_boundary: table.text("permissions-boundary"),
        tags: table.pairs("tags").unwrap_or_default(),
        attach: table.texts("attach").unwrap_or_default(),
        ignore_attached: table.texts("ignore-attached").unwrap_or_default(),
        inline,
        trust: statements(table, "trust").map(|spot| spot.value).unwrap_or_default(),
        service_accounts: table.texts("service-accounts").unwrap_or_default(),
        adopt: table.flag("adopt"),
        adopt_from: table.id("adopt-from", Key::parse),
        prevent_destroy: table.flag("prevent-destroy"),
    };
    table.reserved(&["via", "target-role", "presets", "moved", "overflow", "state", "ignore"]);
    role
}

fn binding(table: &mut TableReader<'_, '_, '_>, origin: Origin) -> RawBinding {
    let binding = RawBinding {
        origin,
        role: table.text("role"),
        cluster: table.one_or_more("cluster"),
        namespace: table.text("namespace"),
        name: table.one_or_more("name"),
        manage: table.text("manage"),
        audience: table.text("audience"),
        token_expiration: table.text("token-expiration"),
        sts_regional_endpoints: table.flag("sts-regional-endpoints"),
        allow_wildcard: table.text("allow-wildcard"),
    };
    table.reserved(&["via", "target-role", "state", "ignore"]);
    binding
}

/// The keys of a statement in TOML, and what IAM calls them.
const STATEMENT_KEYS: [(&str, &str); 9] = [
    ("sid", "Sid"),
    ("effect", "Effect"),
    ("actions", "Action"),
    ("not-actions", "NotAction"),
    ("resources", "Resource"),
    ("not-resources", "NotResource"),
    ("principals", "Principal"),
    ("not-principals", "NotPrincipal"),
    ("conditions", "Condition"),
];

/// The kinds of principal in TOML, and what IAM calls them.
const PRINCIPAL_KEYS: [(&str, &str); 4] =
    [("aws", "AWS"), ("federated", "Federated"), ("service", "Service"), ("canonical-user", "CanonicalUser")];

/// A list of statements as IAM JSON, `Effect` defaulting to `Allow`.
fn statements(table: &mut TableReader<'_, '_, '_>, key: &'static str) -> Option<Spot<Vec<Spot<Value>>>> {
    let spot = table.any(key)?;
    let DeValue::Array(list) = spot.value else {
        table.gather.list.push(Diagnostic::at(&spot.origin, format!("`{key}` must be a list of statements")));
        return None;
    };
    let value = list.iter().filter_map(|item| statement(table.gather, item)).collect();
    Some(Spot { value, origin: spot.origin })
}

fn statement(gather: &mut Gather<'_>, item: &Spanned<DeValue<'_>>) -> Option<Spot<Value>> {
    let origin = gather.origin(item.span());
    let DeValue::Table(table) = item.get_ref() else {
        wrong(gather, item, "a statement: a table");
        return None;
    };
    let mut object = Map::from_iter([("Effect".to_owned(), Value::from("Allow"))]);
    for (name, value) in table {
        let key = name.get_ref().as_ref();
        let Some((_, element)) = STATEMENT_KEYS.iter().find(|(known, _)| *known == key) else {
            let place = gather.origin(name.span());
            let known = STATEMENT_KEYS.iter().map(|(known, _)| *known);
            let hint = nearest(key, known).map_or_else(
                || "a statement has `actions`, `resources`, `principals`, `conditions`, `effect`, `sid` and `not-…`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            gather.list.push(Diagnostic::at(&place, format!("unknown key `{key}` in a statement")).hint(hint));
            continue;
        };
        let value = match *element {
            "Principal" | "NotPrincipal" => principals(gather, value)?,
            "Sid" | "Effect" => Value::from(text(gather, value)?.value),
            "Condition" => json(gather, value)?,
            _ => one_or_more(gather, value)?,
        };
        object.insert((*element).to_owned(), value);
    }
    Some(Spot { value: Value::Object(object), origin })
}

fn principals(gather: &mut Gather<'_>, value: &Spanned<DeValue<'_>>) -> Option<Value> {
    let DeValue::Table(table) = value.get_ref() else {
        return text(gather, value).map(|spot| Value::from(spot.value));
    };
    let mut object = Map::new();
    for (name, value) in table {
        let key = name.get_ref().as_ref();
        if let Some((_, element)) = PRINCIPAL_KEYS.iter().find(|(known, _)| *known == key) {
            object.insert((*element).to_owned(), one_or_more(gather, value)?);
        } else {
            let place = gather.origin(name.span());
            let hint = "a principal is `aws`, `federated`, `service` or `canonical-user`";
            gather.list.push(Diagnostic::at(&place, format!("unknown kind of principal `{key}`")).hint(hint));
        }
    }
    Some(Value::Object(object))
}

/// A text as it is, a list of one as its only text, a longer list as a list.
fn one_or_more(gather: &mut Gather<'_>, value: &Spanned<DeValue<'_>>) -> Option<Value> {
    match value.get_ref() {
        DeValue::Array(list) => {
            let texts: Vec<Value> =
                DeArray::iter(list).filter_map(|item| text(gather, item)).map(|spot| Value::from(spot.value)).collect();
            Some(match <[Value; 1]>::try_from(texts) {
                Ok([only]) => only,
                Err(texts) => Value::Array(texts),
            })
        }
        _ => text(gather, value).map(|spot| Value::from(spot.value)),
    }
}

fn json(gather: &mut Gather<'_>, value: &Spanned<DeValue<'_>>) -> Option<Value> {
    Some(match value.get_ref() {
        DeValue::String(text) => Value::from(text.to_string()),
        DeValue::Boolean(flag) => Value::from(flag.to_string()),
        DeValue::Integer(number) => Value::from(number.to_string()),
        DeValue::Float(number) => Value::from(number.to_string()),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(list) => {
            Value::Array(DeArray::iter(list).filter_map(|item| json(gather, item)).collect())
        }
        DeValue::Table(table) => Value::Object(
            table.iter().filter_map(|(key, value)| Some((key.get_ref().to_string(), json(gather, value)?))).collect(),
        ),
    })
}
