//! Decides how each live role, policy and ServiceAccount is declared, or why it is not.

mod left_out;
mod own_fields;
mod problems;
mod undeclared;

use super::keys::unique;
use super::makers::{self, Maker, Release};
use super::select::named_role;
use super::text;
use super::trust::{self, Parts, Providers, ServiceAccountId, SubjectPattern};
use super::{Existing, Scope, Seen, SeenAccount, SeenAssociation};
use crate::ids::{Key, Namespace, PolicyArn, ProviderArn, RoleArn, ServiceAccountName};
use crate::model::address::Address;
use crate::model::desired::{Binding, Desired, Subject};
use crate::model::live::{LivePolicy, LiveRole, LiveServiceAccount};
use crate::model::marks::{
    ADDRESS, AUDIENCE, CREATED, DEFAULT_AUDIENCE, OWNER, STS_REGIONAL_ENDPOINTS, TOKEN_EXPIRATION, TOKEN_LIFETIME,
    field_manager, is_mark,
};
use crate::model::resource::StringMap;
use crate::policy::Statement;
use crate::policy::document::PolicyKind;
use own_fields::OwnFields;
use std::collections::{BTreeMap, BTreeSet};

/// The settings of an entry of `service-accounts`, as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Settings {
    /// None for `create`.
    pub manage: Option<&'static str>,
    pub audience: Option<String>,
    /// In seconds.
    pub token_expiration: Option<u32>,
    pub sts_regional_endpoints: Option<bool>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

/// One ServiceAccount that may assume a role.
pub(super) struct Entry {
    pub subject: ServiceAccountId,
    pub settings: Settings,
    pub comment: Option<String>,
}

impl Entry {
    pub(super) fn is_managed(&self) -> bool {
        self.settings.manage != Some("none")
    }
}

pub(super) struct RoleDraft<'a> {
    pub key: Key,
    pub account: &'a Key,
    pub live: &'a LiveRole,
    pub entries: Vec<Entry>,
    /// With the audience of each.
    pub patterns: BTreeMap<SubjectPattern, String>,
    pub verbatim: Vec<Statement>,
    /// As written in `attach`.
    pub attach: Vec<String>,
    pub comments: Vec<String>,
}

pub(super) struct PolicyDraft<'a> {
    pub key: Key,
    pub account: Key,
    pub arn: &'a PolicyArn,
    pub live: &'a LivePolicy,
    pub comments: Vec<String>,
}

#[derive(Default)]
pub(super) struct Draft<'a> {
    pub roles: Vec<RoleDraft<'a>>,
    pub policies: Vec<PolicyDraft<'a>>,
    /// How many of these objects each program makes.
    pub releases: BTreeMap<Release, usize>,
    pub left_out: Vec<String>,
    /// What has the owner's marks and is not declared in a new configuration.
    pub undeclared: Vec<String>,
}

/// What is known about all objects while roles are drafted.
struct Drafter<'a> {
    seen: &'a Seen,
    scope: &'a Scope,
    existing: Option<&'a Existing>,
    /// Why an object cannot be declared, by its ARN.
    refused: &'a BTreeMap<String, String>,
    taken: BTreeSet<Key>,
    /// The ServiceAccounts that were read, by cluster and name.
    service_accounts: BTreeMap<ServiceAccountId, &'a LiveServiceAccount>,
    /// The pod identity associations, by ServiceAccount.
    associations: BTreeMap<ServiceAccountId, &'a SeenAssociation>,
    /// The name under which irsa writes to ServiceAccounts.
    field_manager: String,
    /// The bindings of the existing configuration.
    declared: BTreeMap<ServiceAccountId, (&'a Key, &'a Binding)>,
    /// The ARNs of the roles to import.
    arns: BTreeSet<&'a RoleArn>,
    /// The ServiceAccounts that a role binds.
    claimed: BTreeSet<ServiceAccountId>,
    /// The policies drafted so far.
    policies: BTreeMap<&'a PolicyArn, Key>,
    draft: Draft<'a>,
}

pub(super) fn draft<'a>(
    seen: &'a Seen,
    scope: &'a Scope,
    existing: Option<&'a Existing>,
    refused: &'a BTreeMap<String, String>,
) -> Draft<'a> {
    let all = seen.clusters.iter().flat_map(|(key, cluster)| {
        let items = cluster.service_accounts.iter().flatten();
        items.map(|item| ((key.clone(), item.namespace.clone(), item.name.clone()), item))
    });
    let associations = seen.clusters.iter().flat_map(|(key, cluster)| {
        cluster.associations.iter().filter_map(move |item| Some((left_out::association_of(key, &item.summary)?, item)))
    });
    let declared = existing.map(|existing| bound(&existing.desired)).unwrap_or_default();
    let mut drafter = Drafter {
        seen,
        scope,
        existing,
        refused,
        taken: existing.map(taken).unwrap_or_default(),
        service_accounts: all.collect(),
        associations: associations.collect(),
        field_manager: field_manager(&scope.owner),
        arns: BTreeSet::new(),
        claimed: declared.keys().cloned().collect(),
        declared,
        policies: BTreeMap::new(),
        draft: Draft::default(),
    };
    let roles = drafter.selected();
    drafter.arns = roles.iter().map(|(_, _, role)| &role.arn).collect();
    for (key, account, role) in roles {
        drafter.role(key, account, role);
    }
    drafter.unmanaged();
    drafter.associations();
    drafter.undeclared();
    drafter.draft
}

/// The keys that a configuration declares or forgets.
fn taken(existing: &Existing) -> BTreeSet<Key> {
    let forgotten = existing.desired.forget.iter().filter_map(|(address, _)| match address {
        Address::Role { key } | Address::Policy { key, .. } => Some(key.clone()),
        _ => None,
    });
    existing.surroundings.keys.iter().cloned().chain(forgotten).collect()
}

/// The ServiceAccounts that a configuration binds, with the key of the role.
fn bound(desired: &Desired) -> BTreeMap<ServiceAccountId, (&Key, &Binding)> {
    let bindings = desired.roles.iter().flat_map(|(key, role)| role.bindings.iter().map(move |binding| (key, binding)));
    let exact = bindings.filter_map(|(key, binding)| match &binding.subject {
        Subject::Exact(namespace, name) => {
            Some(((binding.cluster.clone(), namespace.clone(), name.clone()), (key, binding)))
        }
        Subject::Wildcard { .. } => None,
    });
    exact.collect()
}

/// The owner in the tags or labels.
pub(super) fn owner(tags: &StringMap) -> Option<&str> {
    tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(OWNER)).map(|(_, value)| value.as_str())
}

/// Tags to declare: without those of AWS, of irsa, and of `ignore-tags`.
pub(super) fn own_tags<'t>(
    tags: &'t StringMap,
    existing: Option<&'t Existing>,
) -> impl Iterator<Item = (&'t String, &'t String)> {
    tags.iter().filter(move |(key, _)| {
        let is_aws = || key.to_lowercase().starts_with("aws:");
        !is_mark(key) && !existing.map_or_else(is_aws, |existing| existing.desired.ignores_tag(key))
    })
}

impl<'a> Drafter<'a> {
    fn leave_out(&mut self, what: impl std::fmt::Display, why: impl std::fmt::Display) {
        self.draft.left_out.push(format!("{what}: {why}"));
    }

    /// The roles that can be declared, as far as their own fields tell.
    fn selected(&mut self) -> Vec<(&'a Key, &'a SeenAccount, &'a LiveRole)> {
        let mut selected = Vec::new();
        for (key, account) in &self.seen.accounts {
            let mut roles: Vec<&LiveRole> = account.roles.iter().collect();
            roles.sort_by_key(|role| role.role.name.lower_case());
            for role in roles {
                if self.is_declared(key, role) {
                    continue;
                }
                match self.problem(key, role) {
                    Some(why) => self.leave_out(format_args!("role `{}` in account `{key}`", role.role.name), why),
                    None => selected.push((key, account, role)),
                }
            }
        }
        selected
    }

    fn is_declared(&self, account: &Key, role: &LiveRole) -> bool {
        self.declared_key(account, role.role.name.as_str()).is_some()
    }

    /// The key of a role in the existing configuration.
    fn declared_key(&self, account: &Key, name: &str) -> Option<&'a Key> {
        let mut declared = self.existing.into_iter().flat_map(|existing| &existing.desired.roles);
        let is_it = |name_of: &str| name_of.eq_ignore_ascii_case(name);
        declared.find(|(_, role)| role.account == *account && is_it(role.name.as_str())).map(|(key, _)| key)
    }

    fn providers(&self, account: &'a SeenAccount) -> Vec<(ProviderArn, &'a Key, &'a BTreeSet<String>)> {
        let identity = &account.identity;
        let clusters = self.seen.clusters.iter().filter_map(|(key, cluster)| {
            let arn = ProviderArn::of(&identity.partition, &identity.account, &cluster.issuer);
            let audiences = account.providers.get(&arn)?;
            Some((arn, key, audiences))
        });
        clusters.collect()
    }

    fn role(&mut self, account_key: &'a Key, account: &'a SeenAccount, live: &'a LiveRole) {
        let providers = self.providers(account);
        let providers: Providers<'_> =
            providers.iter().map(|(arn, key, audiences)| (arn, (*key, *audiences))).collect();
        let is_free = |subject: &ServiceAccountId| {
            let named = self.service_accounts.get(subject).and_then(|item| named_role(item));
            let named = named.and_then(|arn| RoleArn::parse(arn).ok()).filter(|arn| self.arns.contains(arn));
            !self.claimed.contains(subject) && named.is_none_or(|arn| arn == live.arn)
        };
        let Parts { bindings, patterns, verbatim } = trust::split(&live.role.trust, &providers, is_free);
        let name = &live.role.name;
        if verbatim.iter().any(|statement| text::statement(statement, PolicyKind::Trust).is_none()) {
            let why = "its trust policy has a statement that TOML cannot express as it is: simplify it first";
            return self.leave_out(format_args!("role `{name}` in account `{account_key}`"), why);
        }
        self.claimed.extend(bindings.keys().cloned());
        let maker = makers::of_tags(&live.role.tags);
        let mut entries = Vec::new();
        for (subject, audience) in &bindings {
            let entry = self.entry(subject, audience, &live.arn, maker.as_ref());
            entries.push(entry);
        }
        let key = self.key(&role_names(live, &entries), account);
        let attach = live.role.attached.iter().map(|arn| self.attachment(account_key, account, arn)).collect();
        let comments = maker.map(|maker| self.made_by(&maker)).into_iter().collect();
        let role = RoleDraft { key, account: account_key, live, entries, patterns, verbatim, attach, comments };
        self.draft.roles.push(role);
    }

    /// A key for an object, from the first of these names that is free.
    fn key(&mut self, names: &[String], account: &SeenAccount) -> Key {
        let last = names.last().map(|name| format!("{name}-{}", account.identity.account));
        let texts: Vec<String> = names.iter().cloned().chain(last).collect();
        let key = unique(&texts, |key| self.taken.contains(key));
        self.taken.insert(key.clone());
        key
    }

    /// Counts an object of this program. Returns the comment.
    fn made_by(&mut self, maker: &Maker) -> String {
        *self.draft.releases.entry(maker.release).or_default() += 1;
        format!("made by {}", maker.who)
    }

    /// A ServiceAccount that the role trusts. irsa manages it only if its annotations already name this role and
    /// audience: otherwise irsa would give the ServiceAccount a role that its pods do not have yet.
    fn entry(&mut self, subject: &ServiceAccountId, audience: &str, role: &RoleArn, of_role: Option<&Maker>) -> Entry {
        let own = |value: &str| Some(value.to_owned()).filter(|value| value != DEFAULT_AUDIENCE);
        let unmanaged = |comment: &str| Entry {
            subject: subject.clone(),
            settings: Settings { manage: Some("none"), audience: own(audience), ..Settings::default() },
            comment: Some(comment.to_owned()),
        };
        let (cluster, namespace, name) = subject;
        let Some(cluster) = self.seen.clusters.get(cluster).filter(|cluster| cluster.service_accounts.is_some()) else {
            return unmanaged("the ServiceAccount was not read");
        };
        if !self.scope.has_namespace(namespace.as_str()) {
            return unmanaged("its namespace was not selected");
        }
        let Some(live) = self.service_accounts.get(subject) else {
            let id = (namespace.clone(), name.clone());
            if cluster.malformed.contains(&Some(id)) || cluster.malformed.contains(&None) {
                return unmanaged("the ServiceAccount could not be read");
            }
            return unmanaged("there is no such ServiceAccount; the role trusts it");
        };
        if named_role(live) != Some(role.as_str()) {
            return unmanaged("its annotation does not name this role; the role trusts it");
        }
        let declared = live.annotations.get(AUDIENCE).map(String::as_str);
        if declared.unwrap_or(DEFAULT_AUDIENCE) != audience {
            return unmanaged("the audience of its token is not the one that the role trusts");
        }
        if let Some(other) = owner(&live.labels).filter(|other| *other != self.scope.owner.as_str()) {
            return unmanaged(&format!("it carries the label of owner `{other}`"));
        }
        let own_fields = OwnFields::of(live, &self.field_manager);
        let is_ours = owner(&live.labels).is_some() || own_fields.has_address;
        if let Some(mark) = [ADDRESS, CREATED].into_iter().find(|mark| !is_ours && live.annotations.contains_key(*mark))
        {
            return unmanaged(&format!(
                "it carries `{mark}` without an owner label, perhaps from a copy: remove it first"
            ));
        }
        if live.deleting.is_some() {
            return unmanaged("it is being deleted");
        }
        let OwnFields { labels, annotations, other, .. } = own_fields;
        if let Some(field) = other {
            return unmanaged(&format!("irsa has set its {field}, which no configuration can declare"));
        }
        let maker = makers::of_service_account(live);
        let settings = Settings {
            // only an entry with `manage = "create"` has labels and annotations
            manage: maker
                .as_ref()
                .is_some_and(|maker| maker.release.recreates && labels.is_empty() && annotations.is_empty())
                .then_some("annotate"),
            audience: declared.map(str::to_owned),
            token_expiration: live.annotations.get(TOKEN_EXPIRATION).and_then(|text| token_expiration(text)),
            sts_regional_endpoints: live.annotations.get(STS_REGIONAL_ENDPOINTS).and_then(|text| flag(text)),
            labels,
            annotations,
        };
        let is_of_role = maker.as_ref().map(|maker| maker.release) == of_role.map(|maker| maker.release);
        let made_by = maker.map(|maker| self.made_by(&maker)).filter(|_| !is_of_role);
        let association = self.associations.get(subject).map(|item| {
            format!(
                "new pods get their role from pod identity association `{}`, not from the annotation",
                item.summary.id
            )
        });
        let comments: Vec<String> = made_by.into_iter().chain(association).collect();
        let comment = (!comments.is_empty()).then(|| comments.join("; "));
        Entry { subject: subject.clone(), settings, comment }
    }

    /// An attached policy as written in `attach`. Drafts a customer managed policy when it is first met.
    fn attachment(&mut self, account_key: &Key, account: &'a SeenAccount, arn: &PolicyArn) -> String {
        if arn.account() == "aws" {
            let name = arn.as_str().split_once(":policy/").map_or(arn.name(), |(_, name)| name);
            return format!("aws:{name}");
        }
        if let Some(key) = self.policies.get(arn).or_else(|| self.declared_policy(account_key, arn)) {
            return key.to_string();
        }
        let Some((arn, live)) = account.policies.get_key_value(arn) else { return arn.to_string() };
        let problem = self.ownership(&live.policy.tags).or_else(|| self.refusal(arn.as_str()));
        let problem = problem.or_else(|| {
            let bad = text::json(&live.policy.document).is_none();
            bad.then(|| "its document is not a valid policy for irsa".to_owned())
        });
        if let Some(why) = problem {
            self.leave_out(format_args!("policy `{arn}`"), format_args!("{why}; roles attach it by its ARN"));
            return arn.to_string();
        }
        let key = self.key(&[live.policy.name.to_string()], account);
        self.policies.insert(arn, key.clone());
        let maker = makers::of_tags(&live.policy.tags).map(|maker| self.made_by(&maker));
        let mut comments: Vec<String> = maker.into_iter().collect();
        let here = account.roles.iter().filter(|role| role.role.attached.contains(arn)).count();
        let elsewhere = usize::try_from(live.attachments).unwrap_or(usize::MAX).saturating_sub(here);
        if elsewhere > 0 {
            let what = if elsewhere == 1 { "role, user or group that was" } else { "roles, users or groups that were" };
            comments.push(format!("also attached to {elsewhere} {what} not imported"));
        }
        self.draft.policies.push(PolicyDraft { key: key.clone(), account: account_key.clone(), arn, live, comments });
        key.to_string()
    }

    /// The key of a policy that the existing configuration declares in this account.
    fn declared_policy(&self, account: &Key, arn: &PolicyArn) -> Option<&Key> {
        let mut declared = self.existing?.desired.policies.iter();
        let is_it = |name: &str| name.eq_ignore_ascii_case(arn.name());
        declared.find(|((of, _), policy)| of == account && is_it(policy.name.as_str())).map(|((_, key), _)| key)
    }
}

/// Names for the key of a role. A name that CloudFormation made up, from the stack and random characters, is the last
/// choice if the role has one ServiceAccount.
fn role_names(live: &LiveRole, entries: &[Entry]) -> Vec<String> {
    let name = live.role.name.to_string();
    let stack = live.role.tags.get(makers::STACK);
    // it is cut to 64 characters, with a part of the stack's name
    let is_made_up = stack.is_some_and(|stack| name.starts_with(&stack.chars().take(16).collect::<String>()));
    let subjects: BTreeSet<(&Namespace, &ServiceAccountName)> =
        entries.iter().map(|Entry { subject: (_, namespace, name), .. }| (namespace, name)).collect();
    match subjects.first() {
        Some((namespace, account)) if is_made_up && subjects.len() == 1 => {
            vec![account.to_string(), format!("{namespace}-{account}"), name]
        }
        _ => vec![name],
    }
}

/// The lifetime of a token, if irsa would write the same text.
fn token_expiration(text: &str) -> Option<u32> {
    let (least, most) = TOKEN_LIFETIME;
    text.parse().ok().filter(|seconds: &u32| (least..=most).contains(seconds) && seconds.to_string() == text)
}

fn flag(text: &str) -> Option<bool> {
    text.parse().ok()
}
