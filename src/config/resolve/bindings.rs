//! Which ServiceAccounts may assume which role: the short form of a role and the long form, in every cluster meant.

use super::clash::clash;
use super::places::Places;
use super::{Diagnostic, Named, Resolver, Spot};
use crate::config::schema::RawBinding;
use crate::ids::{IdError, Key, Namespace, ServiceAccountName};
use crate::model::desired::{Binding, Cluster, ClusterState, Manage, Metadata, Subject};
use crate::model::origin::Origin;
use crate::model::pattern::Pattern;
use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The shortest and longest life of a projected token: Kubernetes' least, and the most that EKS issues
/// (<https://docs.aws.amazon.com/eks/latest/userguide/service-accounts.html>).
const TOKEN_LIFE: (u32, u32) = (600, 86_400);
/// The longest audience: a client id of an IAM OIDC provider
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html>).
const AUDIENCE_LIMIT: usize = 255;
/// The most bindings. A glob and a list of names multiply, so a small file could ask for more than memory holds.
const BINDINGS: usize = 1_000_000;
/// Comparing a glob with this many keys counts as one binding.
const COMPARED: usize = 32;
/// What stands for several characters or for one under `StringLike`.
const WILDCARDS: [char; 2] = ['*', '?'];
/// What is said of `manage`, and of labels and annotations, where nothing is managed: before the reason, and as a hint.
const MANAGED: (&str, &str) = ("", "take `manage` out (there it is `\"none\"` then), or say how to reach the cluster");
const LABELLED: (&str, &str) = (
    "`labels` and `annotations` are for ServiceAccounts that irsa makes, and ",
    "take them out, or say how to reach the cluster",
);

/// The bindings of every role.
#[derive(Default)]
pub(super) struct Bound<'a> {
    pub by_role: HashMap<&'a Key, Vec<Binding>>,
    /// Roles that somebody meant to bind, even if that was wrong.
    pub meant: HashSet<&'a Key>,
}

/// What one entry says of all the ServiceAccounts that it names.
struct Entry<'a> {
    role: &'a Key,
    manage: Option<(Manage, &'a Origin)>,
    audience: Option<String>,
    token_expiration: Option<u32>,
    sts_regional_endpoints: Option<bool>,
    metadata: Option<Arc<Metadata>>,
    /// The first of its labels and annotations.
    labelled: Option<&'a Origin>,
    reason: Option<&'a Spot<String>>,
    short: bool,
    origin: &'a Origin,
}

/// Who can be bound once in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Claim<'a> {
    /// One ServiceAccount: namespace and name.
    Exact(&'a str, &'a str),
    /// A pattern, of one role: many roles may trust it, since it is no object that names one of them.
    Pattern(&'a str, &'a str, &'a Key),
}

struct Binder<'r, 'a, 'p> {
    resolver: &'r mut Resolver<'a>,
    places: &'p Places,
    bound: Bound<'a>,
    /// The clusters that a role names for its short forms.
    role_clusters: HashMap<&'a Key, Arc<[&'p Key]>>,
    globs: HashMap<&'a str, Vec<&'p Key>>,
    /// Who has a ServiceAccount already: the role, and the place in its bindings.
    claims: HashMap<(&'p Key, Claim<'a>), (&'a Key, usize)>,
    /// The bindings so far, and the clusters that roles name.
    count: usize,
    /// Clusters in which irsa looks after ServiceAccounts, each with a binding that says so.
    managed: BTreeMap<&'p Key, Origin>,
    /// The last place that asks for what is not done: each is told once.
    told_in_vain: Option<&'a Origin>,
}

impl<'a> Resolver<'a> {
    pub(super) fn bindings(&mut self, places: &Places) -> Bound<'a> {
        let raw = self.raw;
        let mut binder = Binder {
            resolver: self,
            places,
            bound: Bound::default(),
            role_clusters: HashMap::new(),
            globs: HashMap::new(),
            claims: HashMap::new(),
            count: 0,
            managed: BTreeMap::new(),
            told_in_vain: None,
        };
        for (key, role) in &raw.roles {
            if let Some(spots) = &role.cluster {
                let clusters = binder.clusters(spots, &role.origin);
                binder.role_clusters.insert(key, clusters);
            }
            if !role.service_accounts.is_empty() {
                binder.bound.meant.insert(key);
            }
            let clusters = binder.role_clusters.get(key).map_or(1, |clusters| clusters.len());
            if binder.may_add(role.service_accounts.len().saturating_mul(clusters), &role.origin) {
                role.service_accounts.iter().for_each(|spot| binder.short(key, spot));
            }
        }
        for entry in &raw.service_accounts {
            binder.long(entry);
        }
        binder.reachable();
        let mut bound = binder.bound;
        for list in bound.by_role.values_mut() {
            list.sort_by(|a, b| (&a.cluster, &a.subject).cmp(&(&b.cluster, &b.subject)));
        }
        bound
    }
}

impl<'a, 'p> Binder<'_, 'a, 'p> {
    /// `namespace/name` in the role's clusters, or the only one.
    fn short(&mut self, role: &'a Key, spot: &'a Spot<String>) {
        let Some((namespace, name)) = spot.value.split_once('/').filter(|(_, name)| !name.contains('/')) else {
            let message = format!("`{}` is no ServiceAccount", spot.value);
            self.resolver.refuse(&spot.origin, message).hint = Some("write `namespace/name`".to_owned());
            return;
        };
        let clusters = self.default_clusters(role, &spot.origin);
        let entry = Entry {
            role,
            manage: None,
            audience: None,
            token_expiration: None,
            sts_regional_endpoints: None,
            metadata: None,
            labelled: None,
            reason: None,
            short: true,
            origin: &spot.origin,
        };
        if let Some((subject, claim)) = self.subject(&entry, (namespace, &spot.origin), (name, &spot.origin)) {
            self.bind(&entry, &subject, claim, &clusters);
        }
    }

    fn long(&mut self, raw: &'a RawBinding) {
        let role = self.role(raw);
        self.missing(raw, "namespace", raw.namespace.is_none());
        self.missing(raw, "name", raw.name.is_none());
        if raw.name.as_ref().is_some_and(Vec::is_empty) {
            self.missing(raw, "name", true);
        }
        let manage = raw.manage.as_ref().and_then(|spot| {
            let words = [("create", Manage::Create), ("annotate", Manage::Annotate), ("none", Manage::None)];
            Some((self.resolver.word(spot, "way to manage a ServiceAccount", &words)?, &spot.origin))
        });
        let token_expiration =
            raw.token_expiration.as_ref().and_then(|spot| self.resolver.seconds(spot, "token-expiration", TOKEN_LIFE));
        let audience = raw.audience.as_ref().and_then(|spot| self.audience(spot));
        if let Some(reason) = raw.allow_wildcard.as_ref().filter(|reason| reason.value.trim().is_empty()) {
            let message = "`allow-wildcard` gives the reason, and this is none";
            self.resolver.refuse(&reason.origin, message);
        }
        let clusters = match (&raw.cluster, role) {
            (Some(spots), _) => self.clusters(spots, &raw.origin),
            (None, Some(role)) if !raw.flawed => self.default_clusters(role, &raw.origin),
            (None, _) => [].into(),
        };
        let (Some(role), Some(namespace), Some(names)) = (role, &raw.namespace, &raw.name) else { return };
        let entry = Entry {
            role,
            manage,
            audience,
            token_expiration,
            sts_regional_endpoints: raw.sts_regional_endpoints.as_ref().map(|spot| spot.value),
            metadata: self.resolver.metadata(raw, manage.map_or(Manage::Create, |(manage, _)| manage)),
            labelled: raw.labels.iter().chain(&raw.annotations).next().map(|(_, spot)| &spot.origin),
            reason: raw.allow_wildcard.as_ref(),
            short: false,
            origin: &raw.origin,
        };
        if !self.may_add(names.len().saturating_mul(clusters.len()), &raw.origin) {
            return;
        }
        for name in names {
            let namespace = (namespace.value.as_str(), &namespace.origin);
            if let Some((subject, claim)) = self.subject(&entry, namespace, (&name.value, &name.origin)) {
                self.bind(&entry, &subject, claim, &clusters);
            }
        }
    }

    fn missing(&mut self, raw: &RawBinding, key: &str, missing: bool) {
        if missing && !raw.flawed {
            self.resolver.refuse(&raw.origin, format!("this entry of `service-accounts` has no `{key}`"));
        }
    }

    fn role(&mut self, raw: &'a RawBinding) -> Option<&'a Key> {
        let Some(spot) = &raw.role else {
            self.missing(raw, "role", true);
            return None;
        };
        let roles = &self.resolver.raw.roles;
        let found = self.resolver.named(Named::Role, spot, roles).map(|(key, _)| key);
        // a slip in the name says nothing against the role that was meant
        let slip = || self.resolver.slips.get(&(Named::Role, spot.value.clone()))?.as_deref();
        let meant = found.or_else(|| roles.get_key_value(&Key::parse(slip()?).ok()?).map(|(key, _)| key));
        self.bound.meant.extend(meant);
        found
    }

    fn audience(&mut self, spot: &Spot<String>) -> Option<String> {
        let good = |c: char| !c.is_whitespace() && !c.is_control();
        if (1..=AUDIENCE_LIMIT).contains(&spot.value.len()) && spot.value.chars().all(good) {
            return Some(spot.value.clone());
        }
        let message = format!("`audience` is 1-{AUDIENCE_LIMIT} characters without white space");
        self.resolver.refuse(&spot.origin, message);
        None
    }

    /// The clusters that a list of keys and globs means.
    fn clusters(&mut self, spots: &'a [Spot<String>], origin: &Origin) -> Arc<[&'p Key]> {
        if spots.is_empty() {
            self.resolver.refuse(origin, "`cluster` names no cluster");
        }
        let mut set: BTreeSet<&'p Key> = BTreeSet::new();
        for spot in spots {
            if !spot.value.contains(WILDCARDS) {
                let raw = &self.resolver.raw.clusters;
                // a cluster that was refused itself is no further mistake
                let found = self.resolver.named(Named::Cluster, spot, raw).map(|(key, _)| key);
                set.extend(found.and_then(|key| self.places.clusters.get_key_value(key)).map(|(key, _)| key));
                continue;
            }
            let active = &self.places.active;
            // each glob is held against every key once, however often it stands there
            if !self.globs.contains_key(spot.value.as_str()) && !self.may_add(active.len() / COMPARED, &spot.origin) {
                continue;
            }
            let matching = self.globs.entry(&spot.value).or_insert_with(|| {
                let pattern = Pattern::new(spot.value.as_str());
                active.iter().filter(|key| pattern.matches(key.as_str())).collect()
            });
            if matching.is_empty() {
                let hint = "a glob is held against the keys of `[clusters]`; clusters that are gone do not count";
                let message = format!("`{}` matches no cluster", spot.value);
                self.resolver.refuse(&spot.origin, message).hint = Some(hint.to_owned());
            }
            set.extend(matching.iter().copied());
        }
        if !self.may_add(set.len(), origin) {
            return [].into();
        }
        set.into_iter().collect()
    }

    /// Counts `more` bindings. Returns whether the total is within the limit, and reports the first time that it is not.
    fn may_add(&mut self, more: usize, origin: &Origin) -> bool {
        let before = self.count;
        self.count = before.saturating_add(more);
        if before <= BINDINGS && self.count > BINDINGS {
            let message = format!("the configuration has more than {BINDINGS} bindings of ServiceAccounts in clusters");
            self.resolver.refuse(origin, message).hint = Some("split the configuration".to_owned());
        }
        self.count <= BINDINGS
    }

    /// The clusters of an entry that names none: the role's, or the only one.
    fn default_clusters(&mut self, role: &'a Key, origin: &Origin) -> Arc<[&'p Key]> {
        if let Some(clusters) = self.role_clusters.get(role) {
            return Arc::clone(clusters);
        }
        let raw = self.resolver.raw;
        if raw.clusters.len() == 1 {
            return self.places.clusters.keys().collect();
        }
        match &self.places.active[..] {
            [only] => return [only].into(),
            [] if !raw.dropped.is_empty() => {}
            [] => {
                self.resolver.refuse(origin, "there is no cluster to bind in").hint =
                    Some("declare one: `[clusters.NAME]`".to_owned());
            }
            many => {
                let message = format!("the cluster is missing, and there are {}", many.len());
                let hint = format!("add `cluster = \"KEY\"` to the role or the entry, for example `{}`", many[0]);
                self.resolver.refuse(origin, message).hint = Some(hint);
            }
        }
        [].into()
    }

    fn subject(
        &mut self,
        entry: &Entry<'a>,
        namespace: (&'a str, &Origin),
        name: (&'a str, &Origin),
    ) -> Option<(Subject, Claim<'a>)> {
        let wild = [namespace, name].into_iter().find(|(text, _)| text.contains(WILDCARDS));
        let Some((text, origin)) = wild else {
            let claim = Claim::Exact(namespace.0, name.0);
            let namespace = self.checked(namespace, Namespace::parse);
            let name = self.checked(name, ServiceAccountName::parse);
            return Some((Subject::Exact(namespace?, name?), claim));
        };
        let Some(reason) = entry.reason else {
            let hint = if entry.short {
                "write it as `[[service-accounts]]` with `allow-wildcard = \"the reason\"`"
            } else {
                "add `allow-wildcard = \"the reason\"`, or name each ServiceAccount"
            };
            let message = format!("`{text}` would trust every ServiceAccount that matches");
            self.resolver.refuse(origin, message).hint = Some(hint.to_owned());
            return None;
        };
        if let Some((Manage::Create | Manage::Annotate, place)) = entry.manage {
            let message = "a wildcard is trust only: no ServiceAccount can be managed by it";
            let diagnostic = Diagnostic::at(place, message).and(origin, "the wildcard is here");
            self.resolver.push(diagnostic.hint("take `manage` out, or write an entry of its own for the others"));
            return None;
        }
        let good = |text: &str, more: &str| {
            !text.is_empty()
                && text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '*' | '?') || more.contains(c))
        };
        if !good(namespace.0, "") || !good(name.0, ".") {
            let message = format!("`{}/{}` can match no ServiceAccount", namespace.0, name.0);
            self.resolver.refuse(origin, message).hint =
                Some("names are made of `a-z 0-9 -`, and `*` stands for any of them".to_owned());
            return None;
        }
        let claim = Claim::Pattern(namespace.0, name.0, entry.role);
        let (namespace, name) = (namespace.0.to_owned(), name.0.to_owned());
        Some((Subject::Wildcard { namespace, name, reason: reason.value.clone() }, claim))
    }

    fn checked<'t, T>(
        &mut self,
        (text, origin): (&'t str, &Origin),
        parse: fn(&'t str) -> Result<T, IdError>,
    ) -> Option<T> {
        match parse(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.resolver.refuse(origin, format!("`{text}` {error}"));
                None
            }
        }
    }

    /// Adds one subject in each cluster, unless it is bound already.
    fn bind(&mut self, entry: &Entry<'a>, subject: &Subject, claim: Claim<'a>, clusters: &[&'p Key]) {
        let exact = matches!(claim, Claim::Exact(..));
        // a glob may mean clusters in which they are of use
        let unmanaged = |key: &&&Key| self.places.clusters.get(**key).is_some_and(|cluster| cluster.unmanaged);
        if let (Some(place), None, Some(&key)) = (entry.labelled, entry.manage, clusters.first())
            && clusters.iter().filter(unmanaged).count() == clusters.len()
            && let Some(cluster) = self.places.clusters.get(key)
        {
            self.in_vain((key, cluster), place, LABELLED);
        }
        // only the first cluster in which they clash is told
        let mut told = false;
        for &cluster in clusters {
            let unmanaged = self.places.clusters.get(cluster).filter(|cluster| cluster.unmanaged);
            let manage = match entry.manage {
                _ if !exact => Manage::None,
                Some((manage, place)) => {
                    let place = (manage != Manage::None).then_some(place);
                    if let (Some(declared), Some(place)) = (unmanaged, place) {
                        self.in_vain((cluster, declared), place, MANAGED);
                    }
                    manage
                }
                None if unmanaged.is_some() => Manage::None,
                None => Manage::Create,
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
            let (role, place) = match self.claims.entry((cluster, claim)) {
                Slot::Occupied(claimed) => *claimed.get(),
                Slot::Vacant(free) => {
                    let list = self.bound.by_role.entry(entry.role).or_default();
                    free.insert((entry.role, list.len()));
                    list.push(binding);
                    if manage != Manage::None {
                        self.managed.entry(cluster).or_insert_with(|| entry.origin.clone());
                    }
                    continue;
                }
            };
            let other = &self.bound.by_role[role][place];
            let clash = clash((role, other), (entry.role, &binding));
            if let Some(diagnostic) = clash.filter(|_| !told) {
                told = true;
                self.resolver.push(diagnostic);
            }
        }
    }

    /// An entry asks for what irsa does with ServiceAccounts, in a cluster whose `kubernetes = "none"` says that it does
    /// nothing.
    fn in_vain(&mut self, (key, cluster): (&Key, &Cluster), place: &'a Origin, (what, hint): (&str, &str)) {
        if self.told_in_vain.replace(place) != Some(place) {
            let message = format!("{what}nothing in cluster `{key}` is managed: its `kubernetes` is `\"none\"`");
            let diagnostic = Diagnostic::at(place, message).and(&cluster.origin, "it is declared here");
            self.resolver.push(diagnostic.hint(hint));
        }
    }

    /// Where ServiceAccounts are managed there must be a way to the API.
    fn reachable(&mut self) {
        for (key, origin) in &self.managed {
            let Some(cluster) = self.places.clusters.get(*key) else { continue };
            if cluster.has_api() || cluster.unmanaged || cluster.state == ClusterState::Gone {
                continue;
            }
            let message = format!("cluster `{key}` has only an issuer, and nothing says how to reach its API");
            let hint = "add `kubernetes = { context = \"…\" }`, or bind with `manage = \"none\"`";
            let diagnostic =
                Diagnostic::at(&cluster.origin, message).and(origin, "this ServiceAccount is to be managed");
            self.resolver.push(diagnostic.hint(hint));
        }
    }
}
