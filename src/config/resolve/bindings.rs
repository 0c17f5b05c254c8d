//! Resolves which ServiceAccounts may assume which role, in each cluster: the short form in a role and the long form.

use super::conflicts::conflict;
use super::infrastructure::Infrastructure;
use super::{Diagnostic, KeyedTable, Located, Resolver};
use crate::config::schema::RawBinding;
use crate::ids::{IdError, Key, Namespace, ServiceAccountName};
use crate::model::desired::{Binding, Cluster, ClusterState, Manage, Metadata, Subject};
use crate::model::marks::TOKEN_LIFETIME;
use crate::model::origin::Origin;
use crate::model::pattern::Pattern;
use crate::model::sanitize::is_blank;
use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The longest audience: a client id of an IAM OIDC provider
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html>).
const AUDIENCE_LIMIT: usize = 255;
/// The most bindings. A glob and a list of names multiply, so a small file could use up all memory.
const BINDING_LIMIT: usize = 1_000_000;
/// Comparing a glob with this many keys counts as one binding.
const GLOB_COST: usize = 32;
/// `StringLike` takes `*` for any text and `?` for one character.
const WILDCARDS: [char; 2] = ['*', '?'];
/// The beginning of the message and the hint about `manage` in an unmanaged cluster.
const UNMANAGED: (&str, &str) = ("", "remove `manage` (it is `\"none\"` there), or declare how to reach the cluster");
/// The same for labels and annotations in an unmanaged cluster.
const UNMANAGED_METADATA: (&str, &str) = (
    "`labels` and `annotations` are for ServiceAccounts that irsa creates, and ",
    "remove them, or declare how to reach the cluster",
);

/// The bindings of every role.
#[derive(Default)]
pub(super) struct BindingsByRole<'a> {
    pub bindings: HashMap<&'a Key, Vec<Binding>>,
    /// Roles that an entry names, even if the entry has an error.
    pub named: HashSet<&'a Key>,
}

/// The settings of one entry, for all ServiceAccounts that it names.
struct BindingEntry<'a> {
    role: &'a Key,
    manage: Option<(Manage, &'a Origin)>,
    audience: Option<String>,
    token_expiration: Option<u32>,
    sts_regional_endpoints: Option<bool>,
    metadata: Option<Arc<Metadata>>,
    /// The first of its labels and annotations.
    metadata_origin: Option<&'a Origin>,
    /// The value of `allow-wildcard`.
    wildcard_reason: Option<&'a Located<String>>,
    is_short: bool,
    origin: &'a Origin,
}

/// What can be bound once in a cluster: namespace, name and, for a pattern only, the role. Several roles may trust one
/// pattern, because a pattern is not an object with one role annotation.
type Claim<'a> = (&'a str, &'a str, Option<&'a Key>);

struct Binder<'r, 'a, 'i> {
    resolver: &'r mut Resolver<'a>,
    infrastructure: &'i Infrastructure,
    by_role: BindingsByRole<'a>,
    /// The clusters that roles name for their short entries.
    role_clusters: HashMap<&'a Key, Arc<[&'i Key]>>,
    globs: HashMap<&'a str, Vec<&'i Key>>,
    /// The role of each claim, and the index of the binding in its list.
    claims: HashMap<(&'i Key, Claim<'a>), (&'a Key, usize)>,
    /// The bindings and globs so far, see `BINDING_LIMIT`.
    count: usize,
    /// Clusters in which irsa manages ServiceAccounts, each with one such binding.
    managed: BTreeMap<&'i Key, Origin>,
    /// The last position refused because the cluster is unmanaged. Each is refused once.
    refused_unmanaged: Option<&'a Origin>,
}

impl<'a> Resolver<'a> {
    pub(super) fn bindings(&mut self, infrastructure: &Infrastructure) -> BindingsByRole<'a> {
        let raw = self.raw;
        let mut binder = Binder {
            resolver: self,
            infrastructure,
            by_role: BindingsByRole::default(),
            role_clusters: HashMap::new(),
            globs: HashMap::new(),
            claims: HashMap::new(),
            count: 0,
            managed: BTreeMap::new(),
            refused_unmanaged: None,
        };
        for (key, role) in &raw.roles {
            if let Some(references) = &role.cluster {
                let clusters = binder.clusters(references, &role.origin);
                binder.role_clusters.insert(key, clusters);
            }
            if !role.service_accounts.is_empty() {
                binder.by_role.named.insert(key);
            }
            let clusters = binder.role_clusters.get(key).map_or(1, |clusters| clusters.len());
            if binder.count_bindings(role.service_accounts.len().saturating_mul(clusters), &role.origin) {
                role.service_accounts.iter().for_each(|text| binder.short_entry(key, text));
            }
        }
        for entry in &raw.service_accounts {
            binder.long_entry(entry);
        }
        binder.require_api();
        let mut by_role = binder.by_role;
        for list in by_role.bindings.values_mut() {
            list.sort_by(|a, b| (&a.cluster, &a.subject).cmp(&(&b.cluster, &b.subject)));
        }
        by_role
    }
}

impl<'a, 'i> Binder<'_, 'a, 'i> {
    fn refuse(&mut self, origin: &Origin, message: impl Into<String>) -> &mut Diagnostic {
        self.resolver.refuse(origin, message)
    }

    /// `namespace/name` in the role's clusters, or the only cluster.
    fn short_entry(&mut self, role: &'a Key, text: &'a Located<String>) {
        let Located { value, origin } = text;
        let Some((namespace, name)) = value.split_once('/').filter(|(_, name)| !name.contains('/')) else {
            self.refuse(origin, format!("`{value}` is not a ServiceAccount")).hint =
                Some("write `namespace/name`".to_owned());
            return;
        };
        let clusters = self.default_clusters(role, origin);
        let entry = BindingEntry {
            role,
            manage: None,
            audience: None,
            token_expiration: None,
            sts_regional_endpoints: None,
            metadata: None,
            metadata_origin: None,
            wildcard_reason: None,
            is_short: true,
            origin,
        };
        self.bind(&entry, (namespace, origin), (name, origin), &clusters);
    }

    fn long_entry(&mut self, raw: &'a RawBinding) {
        let role = self.role(raw);
        let no_name = raw.name.as_ref().is_none_or(Vec::is_empty);
        for (key, missing) in [("role", raw.role.is_none()), ("namespace", raw.namespace.is_none()), ("name", no_name)]
        {
            if missing && !raw.flawed {
                self.refuse(&raw.origin, format!("this entry of `service-accounts` has no `{key}`"));
            }
        }
        let manage = raw.manage.as_ref().and_then(|word| {
            let words = [("create", Manage::Create), ("annotate", Manage::Annotate), ("none", Manage::None)];
            Some((self.resolver.word(word, "value of `manage`", &words)?, &word.origin))
        });
        let token_expiration = raw.token_expiration.as_ref();
        let token_expiration =
            token_expiration.and_then(|text| self.resolver.seconds(text, "token-expiration", TOKEN_LIFETIME));
        let audience = raw.audience.as_ref().and_then(|text| self.audience(text));
        if let Some(reason) = raw.allow_wildcard.as_ref().filter(|reason| is_blank(&reason.value)) {
            self.refuse(&reason.origin, "`allow-wildcard` must give the reason");
        }
        let clusters = match (&raw.cluster, role) {
            (Some(references), _) => self.clusters(references, &raw.origin),
            (None, Some(role)) if !raw.flawed => self.default_clusters(role, &raw.origin),
            (None, _) => [].into(),
        };
        let (Some(role), Some(namespace), Some(names)) = (role, &raw.namespace, &raw.name) else { return };
        let entry = BindingEntry {
            role,
            manage,
            audience,
            token_expiration,
            sts_regional_endpoints: raw.sts_regional_endpoints.as_ref().map(|flag| flag.value),
            metadata: self.resolver.metadata(raw, manage.map_or(Manage::Create, |(manage, _)| manage)),
            metadata_origin: raw.labels.iter().chain(&raw.annotations).next().map(|(_, value)| &value.origin),
            wildcard_reason: raw.allow_wildcard.as_ref(),
            is_short: false,
            origin: &raw.origin,
        };
        if self.count_bindings(names.len().saturating_mul(clusters.len()), &raw.origin) {
            for name in names {
                self.bind(&entry, (&namespace.value, &namespace.origin), (&name.value, &name.origin), &clusters);
            }
        }
    }

    fn role(&mut self, raw: &'a RawBinding) -> Option<&'a Key> {
        let reference = raw.role.as_ref()?;
        let roles = &self.resolver.raw.roles;
        let found = self.resolver.lookup(KeyedTable::Role, reference, roles).map(|(key, _)| key);
        // a misspelled entry still counts as an entry for the role that was meant
        let meant = || self.resolver.misspelled.get(&(KeyedTable::Role, reference.value.clone()))?.as_deref();
        let named = found.or_else(|| roles.get_key_value(&Key::parse(meant()?).ok()?).map(|(key, _)| key));
        self.by_role.named.extend(named);
        found
    }

    fn audience(&mut self, text: &Located<String>) -> Option<String> {
        let valid = |c: char| !c.is_whitespace() && !c.is_control();
        if (1..=AUDIENCE_LIMIT).contains(&text.value.len()) && text.value.chars().all(valid) {
            return Some(text.value.clone());
        }
        let message = format!("`audience` must be 1-{AUDIENCE_LIMIT} characters without white space");
        self.refuse(&text.origin, message);
        None
    }

    /// The clusters that a list of keys and globs names.
    fn clusters(&mut self, references: &'a [Located<String>], origin: &Origin) -> Arc<[&'i Key]> {
        if references.is_empty() {
            self.refuse(origin, "`cluster` is empty");
        }
        let mut set: BTreeSet<&'i Key> = BTreeSet::new();
        let infrastructure = self.infrastructure;
        for reference in references {
            let text = reference.value.as_str();
            if !text.contains(WILDCARDS) {
                let raw = &self.resolver.raw.clusters;
                // a cluster that could not be resolved is refused already
                let found = self.resolver.lookup(KeyedTable::Cluster, reference, raw).map(|(key, _)| key);
                set.extend(found.and_then(|key| infrastructure.clusters.get_key_value(key)).map(|(key, _)| key));
                continue;
            }
            let active = &infrastructure.active;
            // each glob is compared with every key only once
            if !self.globs.contains_key(text) && !self.count_bindings(active.len() / GLOB_COST, &reference.origin) {
                continue;
            }
            let matching = self.globs.entry(text).or_insert_with(|| {
                let pattern = Pattern::new(text);
                active.iter().filter(|key| pattern.matches(key.as_str())).collect()
            });
            set.extend(matching.iter().copied());
            if matching.is_empty() {
                let hint = "a glob matches keys of `[clusters]`, except those of clusters with `state = \"gone\"`";
                self.refuse(&reference.origin, format!("`{text}` matches no cluster")).hint = Some(hint.to_owned());
            }
        }
        if !self.count_bindings(set.len(), origin) {
            return [].into();
        }
        set.into_iter().collect()
    }

    /// Counts `more` bindings. Returns whether the total is within the limit, and reports the first time that it is
    /// not.
    fn count_bindings(&mut self, more: usize, origin: &Origin) -> bool {
        let before = self.count;
        self.count = before.saturating_add(more);
        if before <= BINDING_LIMIT && self.count > BINDING_LIMIT {
            let message =
                format!("the configuration has more than {BINDING_LIMIT} bindings of ServiceAccounts in clusters");
            self.refuse(origin, message).hint = Some("split the configuration".to_owned());
        }
        self.count <= BINDING_LIMIT
    }

    /// The clusters of an entry that names none: the role's, or the only one.
    fn default_clusters(&mut self, role: &'a Key, origin: &Origin) -> Arc<[&'i Key]> {
        if let Some(clusters) = self.role_clusters.get(role) {
            return Arc::clone(clusters);
        }
        let raw = self.resolver.raw;
        if raw.clusters.len() == 1 {
            return self.infrastructure.clusters.keys().collect();
        }
        match &self.infrastructure.active[..] {
            [only] => return [only].into(),
            [] if !raw.dropped.is_empty() => {}
            [] => {
                self.refuse(origin, "no cluster is declared").hint = Some("declare one: `[clusters.NAME]`".to_owned());
            }
            many => {
                let message = format!("the cluster is missing, and {} clusters are declared", many.len());
                let hint = format!("add `cluster = \"KEY\"` to the role or the entry, for example `{}`", many[0]);
                self.refuse(origin, message).hint = Some(hint);
            }
        }
        [].into()
    }

    fn subject(
        &mut self,
        entry: &BindingEntry<'a>,
        namespace: (&str, &Origin),
        name: (&str, &Origin),
    ) -> Option<Subject> {
        let wildcard = [namespace, name].into_iter().find(|(text, _)| text.contains(WILDCARDS));
        let Some((text, origin)) = wildcard else {
            let namespace = self.parsed(namespace, |text| Namespace::parse(text));
            let name = self.parsed(name, |text| ServiceAccountName::parse(text));
            return Some(Subject::Exact(namespace?, name?));
        };
        let Some(reason) = entry.wildcard_reason else {
            let hint = if entry.is_short {
                "write it as `[[service-accounts]]` with `allow-wildcard = \"the reason\"`"
            } else {
                "add `allow-wildcard = \"the reason\"`, or name each ServiceAccount"
            };
            let message = format!("`{text}` would trust every ServiceAccount that matches");
            self.refuse(origin, message).hint = Some(hint.to_owned());
            return None;
        };
        if let Some((Manage::Create | Manage::Annotate, manage)) = entry.manage {
            let message = "an entry with a wildcard is trust only: irsa cannot manage its ServiceAccounts";
            let diagnostic = Diagnostic::at(manage, message).and(origin, "the wildcard is here");
            let hint = "remove `manage`, or write a separate entry for the ServiceAccounts to manage";
            self.resolver.errors.push(diagnostic.hint(hint));
            return None;
        }
        let valid = |text: &str, more: &str| {
            !text.is_empty()
                && text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '*' | '?') || more.contains(c))
        };
        if !valid(namespace.0, "") || !valid(name.0, ".") {
            let message = format!("`{}/{}` cannot match any ServiceAccount", namespace.0, name.0);
            self.refuse(origin, message).hint =
                Some("names consist of `a-z 0-9 -`, and `*` stands for any of them".to_owned());
            return None;
        }
        let reason = reason.value.clone();
        Some(Subject::Wildcard { namespace: namespace.0.to_owned(), name: name.0.to_owned(), reason })
    }

    fn parsed<T>(&mut self, (text, origin): (&str, &Origin), parse: fn(&str) -> Result<T, IdError>) -> Option<T> {
        match parse(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(origin, format!("`{text}` {error}"));
                None
            }
        }
    }

    /// Adds one ServiceAccount or pattern in each cluster, unless it is bound already.
    fn bind(
        &mut self,
        entry: &BindingEntry<'a>,
        namespace: (&'a str, &Origin),
        name: (&'a str, &Origin),
        clusters: &[&'i Key],
    ) {
        let Some(subject) = self.subject(entry, namespace, name) else { return };
        let is_pattern = matches!(subject, Subject::Wildcard { .. });
        let claim = (namespace.0, name.0, is_pattern.then_some(entry.role));
        let infrastructure = self.infrastructure;
        let unmanaged = |key: &Key| infrastructure.clusters.get(key).filter(|cluster| cluster.unmanaged);
        // labels are an error only if they apply in no cluster that a glob names
        if let (Some(origin), None, Some(&key)) = (entry.metadata_origin, entry.manage, clusters.first())
            && clusters.iter().all(|key| unmanaged(key).is_some())
            && let Some(cluster) = unmanaged(key)
        {
            self.refuse_unmanaged((key, cluster), origin, UNMANAGED_METADATA);
        }
        // report only the first cluster with a conflict
        let mut has_conflict = false;
        for &cluster in clusters {
            let manage = match (entry.manage, unmanaged(cluster)) {
                _ if is_pattern => Manage::None,
                (Some((manage, origin)), unmanaged) => {
                    if let Some(declared) = unmanaged.filter(|_| manage != Manage::None) {
                        self.refuse_unmanaged((cluster, declared), origin, UNMANAGED);
                    }
                    manage
                }
                (None, Some(_)) => Manage::None,
                (None, None) => Manage::Create,
            };
            let binding = Binding {
                cluster: cluster.clone(),
                subject: subject.clone(),
                manage,
                audience: entry.audience.clone(),
                token_expiration: entry.token_expiration,
                sts_regional_endpoints: entry.sts_regional_endpoints,
                metadata: entry.metadata.clone(),
                origin: entry.origin.clone(),
            };
            let (role, index) = match self.claims.entry((cluster, claim)) {
                Slot::Occupied(claimed) => *claimed.get(),
                Slot::Vacant(free) => {
                    let list = self.by_role.bindings.entry(entry.role).or_default();
                    free.insert((entry.role, list.len()));
                    list.push(binding);
                    if manage != Manage::None {
                        self.managed.entry(cluster).or_insert_with(|| entry.origin.clone());
                    }
                    continue;
                }
            };
            let first = &self.by_role.bindings[role][index];
            if let Some(diagnostic) = conflict((role, first), (entry.role, &binding)).filter(|_| !has_conflict) {
                has_conflict = true;
                self.resolver.errors.push(diagnostic);
            }
        }
    }

    /// Refuses a setting for ServiceAccounts in a cluster with `kubernetes = "none"`.
    fn refuse_unmanaged(
        &mut self,
        (key, cluster): (&Key, &Cluster),
        origin: &'a Origin,
        (introduction, hint): (&str, &str),
    ) {
        if self.refused_unmanaged.replace(origin) != Some(origin) {
            let message =
                format!("{introduction}irsa manages nothing in cluster `{key}`: its `kubernetes` is `\"none\"`");
            let diagnostic = Diagnostic::at(origin, message).and(&cluster.origin, "it is declared here");
            self.resolver.errors.push(diagnostic.hint(hint));
        }
    }

    /// Refuses clusters whose ServiceAccounts irsa must manage without access to the API.
    fn require_api(&mut self) {
        for (key, origin) in &self.managed {
            let Some(cluster) = self.infrastructure.clusters.get(*key) else { continue };
            if cluster.has_api() || cluster.unmanaged || cluster.state == ClusterState::Gone {
                continue;
            }
            let message = format!("cluster `{key}` has only an issuer, and nothing says how to reach its API");
            let hint = "add `kubernetes = { context = \"…\" }`, or bind with `manage = \"none\"`";
            let diagnostic =
                Diagnostic::at(&cluster.origin, message).and(origin, "irsa must manage this ServiceAccount");
            self.resolver.errors.push(diagnostic.hint(hint));
        }
    }
}
