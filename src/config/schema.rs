//! Every table of the file format: its keys, their types and their JSON Schema, each declared once.
//!
//! All keys are optional here. `resolve` finds what is missing, out of range, or refers to nothing.

pub(crate) mod property;
mod statements;
mod table;

pub(crate) use statements::{Json, PRINCIPAL_KEYS, STATEMENT_KEYS};
pub(crate) use table::Table;

use super::diagnostics::Diagnostic;
use super::reader::{FileReader, FromKey, Located, StringTable, TableReader};
use crate::ids::{
    AccountId, ClusterName, IamPath, IssuerUrl, Key, LeaseName, Namespace, PolicyName, Region, RoleArn, RoleName,
};
use crate::model::origin::Origin;
use property::{
    LABEL, NAME, PATH, SUBDOMAIN, choice, definition, described, duration, flag, keyed, list, list_of, matching,
    metadata, number, object, text, with,
};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use table::table;
use toml::de::{DeTable, DeValue};

type Optional<T> = Option<Located<T>>;
type Text = Optional<String>;
type Texts = Vec<Located<String>>;

table! {
    /// One file, or all files together.
    Raw {
        "version" version: Optional<u64> = json!({
            "const": 1, "default": 1, "description": "the version of the format",
        });
        "owner" owner: Text = matching(
            property::KEY,
            "the name of this configuration, tagged on everything that it manages; no other configuration may use it; \
             required in the top file",
        );
        "include" include: Texts = list("globs of further files, relative to this one; each must match a file");
        "forget" forget: Texts = list(
            "addresses of objects that irsa stops managing without deleting them, for example `role/old`",
        );
        "ignore-tags" ignore_tags: Texts = list("tags that irsa leaves alone; `*` stands for any text");
        "defaults" defaults: Option<Defaults> = object(Defaults::properties(), &[], "defaults");
        "guard" guard: Option<RawGuard> = object(
            RawGuard::properties(), &[], "limits beyond which irsa refuses a plan (exit 4; `--force` overrules)",
        );
        "prune" prune: Option<Prune> = object(Prune::properties(), &[], "where irsa looks for undeclared roles");
        "lock" lock: Option<RawLock> = object(
            RawLock::properties(), &["cluster"], "a Lease that lets only one `irsa apply` at a time write",
        );
        "accounts" accounts: BTreeMap<Key, RawAccount> = keyed(
            "account", "the AWS accounts; without any, that of the ambient credentials, called `default`",
        );
        "clusters" clusters: BTreeMap<Key, RawCluster> = keyed("cluster", "the clusters");
        "policies" policies: BTreeMap<Key, RawPolicy> = keyed(
            "policy", "customer managed policies: one object in each account that attaches it",
        );
        "roles" roles: BTreeMap<Key, RawRole> = keyed("role", "the roles");
        "service-accounts" service_accounts: Vec<RawBinding> = list_of(
            &definition("service-account"), "which ServiceAccounts may assume which role: the long form",
        );
        // where each key of `ONCE` was first defined
        state defined: BTreeMap<&'static str, Origin>;
        // the keys of tables that could not be read; a reference to one of them is not another error
        state dropped: BTreeSet<String>;
    }
}

table! {
    Defaults {
        "role" role: Option<RoleDefaults> = object(
            RoleDefaults::properties(), &[], "values for every role that does not set them itself",
        );
    }
}

table! {
    RoleDefaults {
        "path" path: Optional<IamPath> = matching(PATH, "the IAM path of new roles; default `/irsa/<owner>/`");
        "max-session-duration" max_session_duration: Text = duration("the longest session, 1h to 12h; default 1h");
        "permissions-boundary" permissions_boundary: Text = text(
            "the ARN of the managed policy that is the role's permissions boundary, or `none`",
        );
        "tags" tags: StringTable = described("tags", "tags; a role's own take precedence");
    }
}

table! {
    RawGuard {
        "max-change-percent" max_change_percent: Optional<u64> = with(
            number(30, "the most updates, deletes and releases, in percent of the live objects that irsa manages"),
            "maximum", 100,
        );
        "min-existing" min_existing: Optional<u64> = number(10, "the percentage applies from this many objects on");
        "max-delete" max_delete: Optional<u64> = number(5, "the most deletes, at any size");
        "recent-use" recent_use: Text = with(
            duration("a role that was used within this time is not deleted"), "default", "24h",
        );
    }
}

table! {
    Prune {
        "paths" paths: Vec<Located<IamPath>> = list_of(
            &matching(PATH, "an IAM path"), "further role paths to search for owned, undeclared roles",
        );
    }
}

table! {
    RawLock {
        "cluster" cluster: Text = text("the key of the cluster that holds the Lease");
        "namespace" namespace: Optional<Namespace> = with(
            with(matching(LABEL, "the Lease's namespace, which must exist"), "maxLength", 63), "default", "kube-system",
        );
        "name" name: Optional<LeaseName> = with(
            matching(SUBDOMAIN, "the Lease's name; default `irsa-<owner>`"), "maxLength", 253,
        );
        "duration" duration: Text = with(
            duration("how long the lock holds unless it is renewed, 15s to 1h; irsa renews it after a third"),
            "default", "60s",
        );
    }
}

table! {
    RawAccount {
        "id" id: Optional<AccountId> = matching("^[0-9]{12}$", "the account id, checked before anything else is done");
        "profile" profile: Text = text("a profile of the shared AWS configuration");
        "assume-role" assume_role: Optional<RoleArn> = matching(
            "^arn:aws[a-z-]*:iam::[0-9]{12}:role/", "the ARN of a role of this account to assume",
        );
        "external-id" external_id: Text = with(
            with(text("the external id to assume it with"), "minLength", 2), "maxLength", 1224,
        );
    }
}

table! {
    RawCluster {
        "account" account: Text = text("the key of the account that holds the cluster; optional if there is only one");
        "region" region: Optional<Region> = text("the region; default AWS_REGION, then the profile's");
        "name" name: Optional<ClusterName> = matching(
            "^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$", "the EKS name; default the key, unless `issuer` is given",
        );
        "issuer" issuer: Optional<IssuerUrl> = matching(
            "^https://", "the issuer of the cluster's tokens, for any cluster with a public one, EKS or not",
        );
        "state" state: Text = choice(
            &["active", "gone"], "active",
            "`gone`: the cluster no longer exists; irsa removes what IAM has for it without contacting the cluster",
        );
        "kubernetes" kubernetes: Option<KubernetesSetting> = json!({
            "oneOf": [definition("kubernetes"), { "const": "none" }],
            "description": "how to reach the API; `none`: irsa neither reads nor manages anything there (trust only)",
        });
    }
}

/// The value of `kubernetes`: a word, of which only `none` is valid, or a table.
#[derive(Debug, Clone)]
pub(crate) enum KubernetesSetting {
    Word(Located<String>),
    Table(RawKubernetes),
}

table! {
    RawKubernetes {
        "kubeconfig" kubeconfig: Text = text(
            "a kubeconfig, relative to this file and inside the folder of the top file; default KUBECONFIG, then \
             ~/.kube/config",
        );
        "context" context: Text = text("the context in it");
        "unverified" unverified: Optional<bool> = flag(
            false, "skips the check that the API belongs to the declared cluster",
        );
    }
}

table! {
    /// A policy document in one of its three forms.
    RawDocument {
        "file" file: Text = text("a JSON policy (`*.json` or `*.json.j2`), relative to this file; may be a template");
        "json" json: Text = text("the JSON policy itself; may be a template");
        "statements" statements: Optional<Vec<Located<Json>>> = with(
            list_of(&definition("statement"), "the policy's statements"), "minItems", 1,
        );
    }
}

table! {
    RawPolicy {
        "name" name: Optional<PolicyName> = with(
            matching(NAME, "the IAM name; default the key"), "maxLength", 128,
        );
        "description" description: Text = with(text("the description, used only on creation"), "maxLength", 1000);
        "path" path: Optional<IamPath> = matching(PATH, "the IAM path of new policies; default `/irsa/<owner>/`");
        "tags" tags: StringTable = described("tags", "tags");
        "adopt" adopt: Optional<bool> = flag(false, ADOPT);
        "adopt-from" adopt_from: Optional<Key> = matching(property::KEY, ADOPT_FROM);
        "prevent-destroy" prevent_destroy: Optional<bool> = flag(false, PREVENT_DESTROY);
        "ignore" ignore: StringTable = property::ignore();
        flatten document: RawDocument;
    }
}

table! {
    RawRole [reserves "state"] {
        "name" name: Optional<RoleName> = with(matching(NAME, "the IAM name; default the key"), "maxLength", 64);
        "account" account: Text = text(
            "the key of the account that holds the role; default the account of the role's clusters, if it is only one",
        );
        "cluster" cluster: Option<Texts> = described(
            "text-or-list", "the clusters of the short `service-accounts`: keys or globs; default the only cluster",
        );
        "path" path: Optional<IamPath> = matching(
            PATH, "the IAM path; must be that of the live role, because IAM cannot move a role",
        );
        "description" description: Text = with(text("the description"), "maxLength", 1000);
        "max-session-duration" max_session_duration: Text = duration("the longest session, 1h to 12h; default 1h");
        "permissions-boundary" permissions_boundary: Text = text(
            "the ARN of the managed policy that is the role's permissions boundary, or `none`",
        );
        "tags" tags: StringTable = described("tags", "tags");
        "attach" attach: Texts = list(
            "managed policies: an ARN, `aws:<path/name>` for an AWS managed policy, or a key of [policies]",
        );
        "ignore-attached" ignore_attached: Texts = list(
            "ARNs of policies that irsa leaves attached; `*` stands for any text",
        );
        "inline" inline: Vec<(Located<PolicyName>, RawInline)> = json!({
            "type": "object", "additionalProperties": definition("inline"), "description": "inline policies by name",
        });
        "trust" trust: Vec<Located<Json>> = list_of(
            &definition("statement"), "trust statements in addition to the generated ones",
        );
        "service-accounts" service_accounts: Texts = list_of(
            &matching("^[^/]+/[^/]+$", "namespace/name"), "who may assume it: `namespace/name`",
        );
        "adopt" adopt: Optional<bool> = flag(false, ADOPT);
        "adopt-from" adopt_from: Optional<Key> = matching(property::KEY, ADOPT_FROM);
        "prevent-destroy" prevent_destroy: Optional<bool> = flag(false, PREVENT_DESTROY);
        "ignore" ignore: StringTable = property::ignore();
    }
}

table! {
    /// An inline policy of a role.
    RawInline {
        "ignore" ignore: StringTable = property::ignore();
        flatten document: RawDocument;
    }
}

const ADOPT: &str = "takes over an existing object that has no owner tag";
const ADOPT_FROM: &str = "takes over an existing object of this other owner, or without an owner tag";
const PREVENT_DESTROY: &str = "irsa never deletes the object; stored as a tag, and the live tag decides";

table! {
    /// An entry of `[[service-accounts]]`.
    RawBinding [reserves "state"] {
        "role" role: Text = text("the key of the role");
        "cluster" cluster: Option<Texts> = described(
            "text-or-list", "keys of clusters or globs over them; default the role's `cluster`, then the only cluster",
        );
        "namespace" namespace: Text = text("the namespace; with `*` it needs `allow-wildcard`");
        "name" name: Option<Texts> = described("text-or-list", "the names; with `*` they need `allow-wildcard`");
        "manage" manage: Text = choice(
            &["create", "annotate", "none"], "create",
            "`create`: irsa creates the ServiceAccount if it is missing; `annotate`: irsa waits until something else \
             creates it; `none`: trust only",
        );
        "audience" audience: Text = with(
            with(text("the audience of the token; default `sts.amazonaws.com`"), "minLength", 1), "maxLength", 255,
        );
        "token-expiration" token_expiration: Text = duration("the lifetime of the token, 10m to 24h");
        "sts-regional-endpoints" sts_regional_endpoints: Optional<bool> = json!({
            "type": "boolean", "description": "whether the SDK in the pod calls the regional STS endpoint",
        });
        "labels" labels: StringTable = metadata(
            &json!({ "type": "string", "maxLength": 63 }),
            "further labels of a ServiceAccount that irsa creates; irsa keeps them as declared",
        );
        "annotations" annotations: StringTable = metadata(
            &json!({ "type": "string" }),
            "further annotations of a ServiceAccount that irsa creates; irsa keeps them as declared",
        );
        "allow-wildcard" allow_wildcard: Text = with(
            text("why the wildcard is needed; the entry is trust only"), "minLength", 1,
        );
        "ignore" ignore: StringTable = property::ignore();
    }
}

impl FromKey for Option<KubernetesSetting> {
    fn from_key(reader: &mut TableReader<'_, '_>, key: &'static str) -> Self {
        let value = reader.value(key)?;
        if matches!(value.get_ref(), DeValue::String(_)) {
            return reader.file.read(value).map(KubernetesSetting::Word);
        }
        reader.table(key).map(|mut table| KubernetesSetting::Table(RawKubernetes::read(&mut table)))
    }
}

/// Inline policies by name.
impl FromKey for Vec<(Located<PolicyName>, RawInline)> {
    fn from_key(reader: &mut TableReader<'_, '_>, key: &'static str) -> Self {
        let mut policies = Self::new();
        for (name, value) in reader.entries(key, "a table of tables") {
            let origin = reader.file.origin(name.span());
            let text = Located { value: name.get_ref().to_string(), origin: origin.clone() };
            let Some(name) = reader.file.id(&text, |text| PolicyName::parse(text)) else { continue };
            let title = format!("inline policy `{}`", name.value);
            if let Some(mut table) = TableReader::of(reader.file, value, title, origin) {
                policies.push((name, RawInline::read(&mut table)));
            }
        }
        policies
    }
}

/// The keys that all files together may define only once.
const ONCE: [&str; 8] = ["version", "owner", "forget", "ignore-tags", "defaults", "guard", "prune", "lock"];

impl Raw {
    /// Reads one parsed file.
    pub(crate) fn of(file: &mut FileReader, root: &DeTable<'_>) -> Self {
        let origin = file.origin(0..0);
        let mut reader = TableReader::new(file, root, "the file".to_owned(), origin);
        let defined = ONCE.into_iter().filter_map(|key| Some((key, reader.file.origin(reader.key_span(key)?))));
        let defined = defined.collect();
        let raw = Self::read(&mut reader);
        Self { defined, dropped: std::mem::take(&mut file.dropped), ..raw }
    }

    /// Adds another file. Of two definitions the first stays, and the second is an error.
    pub(crate) fn add(&mut self, other: Self, errors: &mut Vec<Diagnostic>) {
        for (key, origin) in other.defined {
            match self.defined.get(key) {
                Some(first) => errors.push(defined_twice(key, &origin, first)),
                None => drop(self.defined.insert(key, origin)),
            }
        }
        self.version = self.version.take().or(other.version);
        self.owner = self.owner.take().or(other.owner);
        self.include.extend(other.include);
        self.forget.extend(other.forget);
        self.ignore_tags.extend(other.ignore_tags);
        self.defaults = self.defaults.take().or(other.defaults);
        self.guard = self.guard.take().or(other.guard);
        self.prune = self.prune.take().or(other.prune);
        self.lock = self.lock.take().or(other.lock);
        join(&mut self.accounts, other.accounts, "accounts", errors);
        join(&mut self.clusters, other.clusters, "clusters", errors);
        join(&mut self.policies, other.policies, "policies", errors);
        join(&mut self.roles, other.roles, "roles", errors);
        self.service_accounts.extend(other.service_accounts);
        self.dropped.extend(other.dropped);
    }

    pub(crate) fn role_defaults(&self) -> Option<&RoleDefaults> {
        self.defaults.as_ref()?.role.as_ref()
    }
}

fn join<T: Table>(map: &mut BTreeMap<Key, T>, other: BTreeMap<Key, T>, kind: &str, errors: &mut Vec<Diagnostic>) {
    for (key, item) in other {
        match map.get(&key) {
            Some(first) => errors.push(defined_twice(&format!("[{kind}.{key}]"), item.origin(), first.origin())),
            None => drop(map.insert(key, item)),
        }
    }
}

pub(crate) fn defined_twice(name: &str, again: &Origin, first: &Origin) -> Diagnostic {
    Diagnostic::at(again, format!("`{name}` is defined twice")).label("again here").and(first, "first here")
}
