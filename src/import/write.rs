//! Writes the files: the top file with clusters and defaults, one file of roles for each namespace, and the policies.

use super::draft::{Draft, Entry, PolicyDraft, RoleDraft, Settings, own_tags};
use super::keys::unique;
use super::text::{self, comments};
use super::{Existing, Ignores, Imported, Scope, Seen, top_file};
use crate::config::durations;
use crate::ids::{ClusterName, Key, Namespace, PolicyArn, Region, ServiceAccountName};
use crate::model::marks::{default_path, is_protected};
use crate::model::resource::StringMap;
use std::collections::{BTreeMap, BTreeSet};
use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value};

/// Documents of up to this many characters are written in TOML, longer ones as JSON files.
const SHORT: usize = 700;
/// IAM's default session duration, in seconds.
const SESSION: u32 = 3_600;
/// Files of roles of several namespaces, and of none. No namespace has such a name.
const SEVERAL: &str = "_several";
const NONE: &str = "_none";

/// What most roles agree on.
#[derive(Default)]
struct Defaults {
    path: Option<String>,
    session: Option<u32>,
    boundary: Option<PolicyArn>,
    tags: StringMap,
}

struct Writer<'a> {
    draft: &'a Draft<'a>,
    scope: &'a Scope,
    existing: Option<&'a Existing>,
    defaults: Defaults,
    ignores: &'a Ignores,
    several_accounts: bool,
    several_clusters: bool,
    /// The JSON files, by key.
    documents: BTreeMap<Key, String>,
}

pub(super) fn files(
    draft: &Draft<'_>,
    seen: &Seen,
    scope: &Scope,
    existing: Option<&Existing>,
    ignores: &Ignores,
) -> Imported {
    let clusters = existing.map_or(0, |existing| {
        let declared = &existing.desired.clusters;
        declared.keys().filter(|key| !seen.clusters.contains_key(*key)).count()
    });
    let accounts = existing.map_or(seen.accounts.len(), |existing| existing.desired.accounts.len());
    let mut writer = Writer {
        draft,
        scope,
        existing,
        defaults: if existing.is_some() { Defaults::default() } else { Defaults::of(draft, scope) },
        ignores,
        several_accounts: accounts > 1,
        several_clusters: clusters + seen.clusters.len() > 1,
        documents: BTreeMap::new(),
    };
    let mut by_file: BTreeMap<String, String> = BTreeMap::new();
    for role in &draft.roles {
        let chunk = writer.role(role);
        let text = by_file.entry(file_of(role)).or_default();
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&chunk);
    }
    let policies: Vec<String> = draft.policies.iter().map(|policy| writer.policy(policy)).collect();
    let mut files = vec![(top_file(existing.is_some()).to_owned(), writer.top(seen, !policies.is_empty()))];
    if !policies.is_empty() {
        files.push(("policies.toml".to_owned(), policies.join("\n")));
    }
    files.extend(by_file.into_iter().map(|(name, text)| (format!("roles/{name}.toml"), text)));
    let documents = std::mem::take(&mut writer.documents);
    files.extend(documents.into_iter().map(|(key, text)| (format!("policies/{key}.json"), text)));
    let managed = draft.roles.iter().flat_map(|role| &role.entries).filter(|entry| is_managed(entry)).count();
    let new = seen.clusters.keys().filter(|key| is_new(existing, key)).count();
    let counts = [new, draft.roles.len(), managed, draft.policies.len()];
    Imported { files, left_out: draft.left_out.clone(), counts }
}

/// Whether the existing configuration does not declare the cluster.
fn is_new(existing: Option<&Existing>, cluster: &Key) -> bool {
    existing.is_none_or(|existing| !existing.desired.clusters.contains_key(cluster))
}

fn is_managed(entry: &Entry) -> bool {
    entry.settings.manage != Some("none")
}

/// The file of a role: its namespace.
fn file_of(role: &RoleDraft<'_>) -> String {
    let namespaces: BTreeSet<&Namespace> =
        role.entries.iter().map(|Entry { subject: (_, name, _), .. }| name).collect();
    match (namespaces.len(), namespaces.first()) {
        (1, Some(only)) => only.to_string(),
        (0, _) => NONE.to_owned(),
        _ => SEVERAL.to_owned(),
    }
}

/// The value that more than half of the items have.
fn most<T: Ord>(items: impl ExactSizeIterator<Item = T>) -> Option<T> {
    let half = items.len() / 2;
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts.into_iter().find(|(_, count)| *count > half).map(|(item, _)| item)
}

impl Defaults {
    fn of(draft: &Draft<'_>, scope: &Scope) -> Self {
        let roles = || draft.roles.iter().map(|role| &role.live.role);
        let own = default_path(scope.owner.as_str());
        let mut shared: Option<BTreeMap<&String, &String>> = None;
        for role in roles() {
            let tags: BTreeMap<&String, &String> = own_tags(&role.tags).collect();
            match &mut shared {
                Some(shared) => shared.retain(|key, value| tags.get(key) == Some(value)),
                None => shared = Some(tags),
            }
        }
        // one role is no reason for a default
        let shared = shared.filter(|_| draft.roles.len() > 1).unwrap_or_default();
        Self {
            path: most(roles().map(|role| role.path.to_string())).filter(|path| *path != own),
            session: most(roles().map(|role| role.max_session_duration)).filter(|seconds| *seconds != SESSION),
            boundary: most(roles().map(|role| role.permissions_boundary.clone())).flatten(),
            tags: shared.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        }
    }

    fn table(&self) -> Table {
        let Self { path, session, boundary, tags } = self;
        let mut table = Table::new();
        put(&mut table, "path", path.clone());
        put(&mut table, "max-session-duration", session.map(durations::text));
        put(&mut table, "permissions-boundary", boundary.as_ref().map(ToString::to_string));
        put(&mut table, "tags", (!tags.is_empty()).then(|| text::table(tags.iter())));
        table
    }
}

fn put(table: &mut Table, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        table.insert(key, Item::Value(value.into()));
    }
}

/// A text with one table, `[path[0].path[1]…]`, below its comments.
fn chunk(path: &[&str], mut table: Table, comments: &str) -> String {
    table.decor_mut().set_prefix(comments);
    let mut item = Item::Table(table);
    for key in path[1..].iter().rev() {
        let mut outer = Table::new();
        outer.set_implicit(true);
        outer.insert(key, item);
        item = Item::Table(outer);
    }
    let mut document = DocumentMut::new();
    document.insert(path[0], item);
    document.to_string()
}

impl Writer<'_> {
    /// The top file: what was left out, the owner, accounts, clusters and defaults.
    fn top(&self, seen: &Seen, has_policies: bool) -> String {
        let mut parts = Vec::new();
        let mut head = String::new();
        let mut listed = |title: &str, items: &[String]| {
            if !items.is_empty() {
                head.push_str(&comments([title]));
                head.push_str(&comments(items.iter().map(|item| format!("- {item}"))));
                head.push_str("#\n");
            }
        };
        listed("Not read, so it may be missing here:", &seen.unseen);
        listed("Not declared here:", &self.draft.left_out);
        let head = head.trim_end_matches("#\n");
        if !head.is_empty() {
            parts.push(head.to_owned());
        }
        if self.existing.is_none() {
            let mut document = DocumentMut::new();
            document.insert("owner", Item::Value(self.scope.owner.as_str().into()));
            let include = [("policies.toml", has_policies), ("roles/*.toml", !self.draft.roles.is_empty())];
            let include: Vec<Value> =
                include.into_iter().filter(|(_, exists)| *exists).map(|(name, _)| name.into()).collect();
            if !include.is_empty() {
                document.insert("include", Item::Value(text::list(include)));
            }
            parts.push(document.to_string());
            for (key, account) in &seen.accounts {
                let mut table = Table::new();
                put(&mut table, "id", Some(account.identity.account.as_str()));
                put(&mut table, "profile", account.account.profile.as_deref());
                parts.push(chunk(&["accounts", key.as_str()], table, ""));
            }
        }
        for (key, cluster) in seen.clusters.iter().filter(|(key, _)| is_new(self.existing, key)) {
            let mut table = Table::new();
            put(&mut table, "account", self.several_accounts.then(|| cluster.cluster.account.as_str()));
            put(&mut table, "region", cluster.cluster.region.as_ref().map(Region::as_str));
            let name = cluster.cluster.name.as_ref().map(ClusterName::as_str);
            put(&mut table, "name", name.filter(|name| *name != key.as_str()));
            let note = cluster.service_accounts.is_none().then_some("its API could not be read");
            parts.push(chunk(&["clusters", key.as_str()], table, &comments(note)));
        }
        let defaults = self.defaults.table();
        if !defaults.is_empty() {
            parts.push(chunk(&["defaults", "role"], defaults, ""));
        }
        parts.join("\n")
    }

    fn role(&mut self, draft: &RoleDraft<'_>) -> String {
        let role = &draft.live.role;
        let (defaults, extends) = (&self.defaults, self.existing.is_some());
        let mut table = Table::new();
        let name = role.name.as_str();
        put(&mut table, "name", (name != draft.key.as_str()).then_some(name));
        put(&mut table, "account", self.several_accounts.then(|| draft.account.as_str()));
        let own = default_path(self.scope.owner.as_str());
        let default = defaults.path.as_deref().unwrap_or(&own);
        put(&mut table, "path", (extends || role.path.as_str() != default).then(|| role.path.as_str()));
        put(&mut table, "description", (!role.description.is_empty()).then_some(role.description.as_str()));
        let is_default = !extends && role.max_session_duration == defaults.session.unwrap_or(SESSION);
        put(&mut table, "max-session-duration", (!is_default).then(|| durations::text(role.max_session_duration)));
        let has_default = defaults.boundary.is_some() || self.existing.is_some_and(|file| file.has_default_boundary);
        let boundary = match &role.permissions_boundary {
            Some(arn) if Some(arn) == defaults.boundary.as_ref() => None,
            Some(arn) => Some(arn.to_string()),
            None => has_default.then(|| "none".to_owned()),
        };
        put(&mut table, "permissions-boundary", boundary);
        let tags: Vec<_> =
            own_tags(&role.tags).filter(|(key, value)| defaults.tags.get(*key) != Some(*value)).collect();
        put(&mut table, "tags", (!tags.is_empty()).then(|| text::table(tags)));
        put(&mut table, "attach", (!draft.attach.is_empty()).then(|| text::list(draft.attach.iter().map(Value::from))));
        put(&mut table, "prevent-destroy", is_protected(&role.tags).then_some(true));
        put(&mut table, "ignore", self.ignore(&format!("role/{}", draft.key)));
        let (short, long) = self.bindings(draft);
        if let Some((clusters, names)) = short {
            put(&mut table, "cluster", self.several_clusters.then(|| text::one_or_list(clusters)));
            put(&mut table, "service-accounts", Some(text::list(names.into_iter().map(Value::from))));
        }
        if !role.inline.is_empty() {
            let mut inline = Table::new();
            inline.set_implicit(true);
            for (name, document) in role.inline.iter() {
                let mut policy = Table::new();
                if let Some(statements) = text::statements(document, SHORT) {
                    put(&mut policy, "statements", Some(statements));
                } else {
                    let key = unique(&[format!("{}.{name}", draft.key)], |key| self.is_document(key));
                    put(&mut policy, "file", Some(format!("../policies/{key}.json")));
                    self.documents.insert(key, text::json(document).unwrap_or_default());
                }
                inline.insert(name.as_str(), Item::Table(policy));
            }
            table.insert("inline", Item::Table(inline));
        }
        let statements = draft.verbatim.iter();
        let statements: ArrayOfTables = statements
            .filter_map(|item| text::statement(item, crate::policy::document::PolicyKind::Trust))
            .map(InlineTable::into_table)
            .collect();
        if !statements.is_empty() {
            table.insert("trust", Item::ArrayOfTables(statements));
        }
        let lines = draft.comments.iter().cloned().chain(entry_comments(draft));
        let text = chunk(&["roles", draft.key.as_str()], table, &comments(lines));
        long.into_iter().fold(text, |text, entry| format!("{text}\n{entry}"))
    }

    /// The value of `ignore`, so that findings on what was imported do not make `irsa validate` fail.
    fn ignore(&self, address: &str) -> Option<Value> {
        let rules = self.ignores.get(address)?;
        let pairs: InlineTable = rules.iter().map(|rule| (rule.as_str(), "imported as it was")).collect();
        Some(pairs.into())
    }

    /// Whether a JSON file of this key exists. Policies have their own keys as file names.
    fn is_document(&self, key: &Key) -> bool {
        self.documents.contains_key(key) || self.draft.policies.iter().any(|policy| policy.key == *key)
    }

    /// The short form of a role, and the text of each entry in the long form.
    #[expect(clippy::type_complexity, reason = "the clusters and names of the short form, used once")]
    fn bindings(&self, draft: &RoleDraft<'_>) -> (Option<(Vec<Key>, Vec<String>)>, Vec<String>) {
        let mut clusters: BTreeMap<(&Settings, &Namespace, &ServiceAccountName), BTreeSet<&Key>> = BTreeMap::new();
        for Entry { subject: (cluster, namespace, name), settings, .. } in &draft.entries {
            clusters.entry((settings, namespace, name)).or_default().insert(cluster);
        }
        let plain = Settings::default();
        let mut groups: BTreeMap<(&Settings, BTreeSet<&Key>), Vec<(&Namespace, &ServiceAccountName)>> = BTreeMap::new();
        for ((settings, namespace, name), clusters) in clusters {
            groups.entry((settings, clusters)).or_default().push((namespace, name));
        }
        // the short form is for one set of clusters: that with the most ServiceAccounts
        let short = groups.iter().filter(|((settings, _), _)| **settings == plain);
        let short = short.max_by_key(|(_, names)| names.len()).map(|(group, _)| group.clone());
        let short = short.and_then(|group| groups.remove_entry(&group));
        let short = short.map(|((_, clusters), names)| {
            let names = names.iter().map(|(namespace, name)| format!("{namespace}/{name}"));
            (clusters.into_iter().cloned().collect(), names.collect())
        });
        let mut long = Vec::new();
        for ((settings, clusters), names) in groups {
            let mut by_namespace: BTreeMap<&Namespace, Vec<&ServiceAccountName>> = BTreeMap::new();
            for (namespace, name) in names {
                by_namespace.entry(namespace).or_default().push(name);
            }
            for (namespace, names) in by_namespace {
                long.push(self.long_entry(draft, settings, &clusters, namespace, &names));
            }
        }
        (short, long)
    }

    fn long_entry(
        &self,
        draft: &RoleDraft<'_>,
        settings: &Settings,
        clusters: &BTreeSet<&Key>,
        namespace: &Namespace,
        names: &[&ServiceAccountName],
    ) -> String {
        let Settings { manage, audience, token_expiration, sts_regional_endpoints } = settings;
        let mut table = Table::new();
        put(&mut table, "role", Some(draft.key.as_str()));
        put(&mut table, "cluster", self.several_clusters.then(|| text::one_or_list(clusters)));
        put(&mut table, "namespace", Some(namespace.as_str()));
        put(&mut table, "name", Some(text::one_or_list(names)));
        put(&mut table, "manage", *manage);
        put(&mut table, "audience", audience.as_deref());
        put(&mut table, "token-expiration", token_expiration.map(durations::text));
        put(&mut table, "sts-regional-endpoints", *sts_regional_endpoints);
        let mut document = DocumentMut::new();
        document.insert("service-accounts", Item::ArrayOfTables(std::iter::once(table).collect()));
        document.to_string()
    }

    fn policy(&mut self, draft: &PolicyDraft<'_>) -> String {
        let policy = &draft.live.policy;
        let mut table = Table::new();
        let name = policy.name.as_str();
        put(&mut table, "name", (name != draft.key.as_str()).then_some(name));
        let own = default_path(self.scope.owner.as_str());
        put(&mut table, "path", (policy.path.as_str() != own).then(|| policy.path.as_str()));
        put(&mut table, "description", (!policy.description.is_empty()).then_some(policy.description.as_str()));
        let tags: Vec<_> = own_tags(&policy.tags).collect();
        put(&mut table, "tags", (!tags.is_empty()).then(|| text::table(tags)));
        put(&mut table, "prevent-destroy", is_protected(&policy.tags).then_some(true));
        put(&mut table, "ignore", self.ignore(&format!("policy/{}/{}", draft.account, draft.key)));
        put(&mut table, "file", Some(format!("policies/{}.json", draft.key)));
        self.documents.insert(draft.key.clone(), text::json(&policy.document).unwrap_or_default());
        chunk(&["policies", draft.key.as_str()], table, &comments(&draft.comments))
    }
}

/// The comments on the ServiceAccounts of a role: each text once, with the names.
fn entry_comments(draft: &RoleDraft<'_>) -> Vec<String> {
    const NAMED: usize = 3;
    let mut by_text: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for Entry { subject: (_, namespace, name), comment, .. } in &draft.entries {
        if let Some(comment) = comment {
            by_text.entry(comment).or_default().insert(format!("{namespace}/{name}"));
        }
    }
    let line = |(text, names): (&str, BTreeSet<String>)| {
        let more = names.len().saturating_sub(NAMED);
        let names = names.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!("{names}{more}: {text}")
    };
    by_text.into_iter().map(line).collect()
}
