//! Decides how each live role, policy and ServiceAccount is declared, or why it is not.

use super::keys::unique;
use super::makers;
use super::select::named_role;
use super::text;
use super::trust::{self, Providers, ServiceAccountId};
use super::{Existing, Scope, Seen, SeenAccount, SeenCluster};
use crate::ids::{Key, PolicyArn, ProviderArn, RoleArn};
use crate::model::desired::{Desired, Subject};
use crate::model::live::{LivePolicy, LiveRole, LiveServiceAccount};
use crate::model::marks::{
    AUDIENCE, CHAIN, DEFAULT_AUDIENCE, OWNER, ROLE_ARN, STS_REGIONAL_ENDPOINTS, TOKEN_EXPIRATION, TRANSITION, is_mark,
    is_protected,
};
use crate::model::resource::StringMap;
use crate::policy::Statement;
use crate::policy::document::PolicyKind;
use std::collections::{BTreeMap, BTreeSet};

/// The most tags of an object (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
const TAG_LIMIT: usize = 50;

/// The settings of an entry of `service-accounts`, as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Settings {
    /// None for `create`.
    pub manage: Option<&'static str>,
    pub audience: Option<String>,
    /// In seconds.
    pub token_expiration: Option<u32>,
    pub sts_regional_endpoints: Option<bool>,
}

/// One ServiceAccount that may assume a role.
pub(super) struct Entry {
    pub subject: ServiceAccountId,
    pub settings: Settings,
    pub comment: Option<String>,
}

pub(super) struct RoleDraft<'a> {
    pub key: Key,
    pub account: &'a Key,
    pub live: &'a LiveRole,
    pub entries: Vec<Entry>,
    pub verbatim: Vec<Statement>,
    /// As written in `attach`.
    pub attach: Vec<String>,
    pub comments: Vec<String>,
}

pub(super) struct PolicyDraft<'a> {
    pub key: Key,
    pub account: Key,
    pub live: &'a LivePolicy,
    pub comments: Vec<String>,
}

#[derive(Default)]
pub(super) struct Draft<'a> {
    pub roles: Vec<RoleDraft<'a>>,
    pub policies: Vec<PolicyDraft<'a>>,
    pub left_out: Vec<String>,
}

/// What is known about all objects while roles are drafted.
struct Drafter<'a> {
    seen: &'a Seen,
    scope: &'a Scope,
    existing: Option<&'a Existing>,
    taken: BTreeSet<Key>,
    /// The ServiceAccounts that were read, by cluster and name.
    service_accounts: BTreeMap<ServiceAccountId, &'a LiveServiceAccount>,
    /// The ARNs of the roles to import.
    arns: BTreeSet<&'a RoleArn>,
    /// The ServiceAccounts that a role binds.
    claimed: BTreeSet<ServiceAccountId>,
    /// The policies drafted so far.
    policies: BTreeMap<&'a PolicyArn, Key>,
    draft: Draft<'a>,
}

pub(super) fn draft<'a>(seen: &'a Seen, scope: &'a Scope, existing: Option<&'a Existing>) -> Draft<'a> {
    let all = seen.clusters.iter().flat_map(|(key, cluster)| {
        let items = cluster.service_accounts.iter().flatten();
        items.map(|item| ((key.clone(), item.namespace.clone(), item.name.clone()), item))
    });
    let mut drafter = Drafter {
        seen,
        scope,
        existing,
        taken: existing.map(|existing| existing.keys.clone()).unwrap_or_default(),
        service_accounts: all.collect(),
        arns: BTreeSet::new(),
        claimed: existing.map(|existing| bound(&existing.desired)).unwrap_or_default(),
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
    drafter.draft
}

/// The ServiceAccounts that a configuration binds.
fn bound(desired: &Desired) -> BTreeSet<ServiceAccountId> {
    let bindings = desired.roles.values().flat_map(|role| &role.bindings);
    let exact = bindings.filter_map(|binding| match &binding.subject {
        Subject::Exact(namespace, name) => Some((binding.cluster.clone(), namespace.clone(), name.clone())),
        Subject::Wildcard { .. } => None,
    });
    exact.collect()
}

/// The owner in the tags or labels.
fn owner(tags: &StringMap) -> Option<&str> {
    tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(OWNER)).map(|(_, value)| value.as_str())
}

/// Tags to declare: without those of AWS and of irsa.
pub(super) fn own_tags(tags: &StringMap) -> impl Iterator<Item = (&String, &String)> {
    tags.iter().filter(|(key, _)| !is_mark(key) && !key.to_ascii_lowercase().starts_with("aws:"))
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
                match self.problem(role) {
                    Some(why) => self.leave_out(format_args!("role `{}` in account `{key}`", role.role.name), why),
                    None => selected.push((key, account, role)),
                }
            }
        }
        selected
    }

    fn is_declared(&self, account: &Key, role: &LiveRole) -> bool {
        let name = role.role.name.lower_case();
        let mut declared = self.existing.into_iter().flat_map(|existing| existing.desired.roles.values());
        declared.any(|declared| declared.account == *account && declared.name.lower_case() == name)
    }

    /// Why a role cannot be declared so that it stays as it is.
    fn problem(&self, live: &LiveRole) -> Option<String> {
        let role = &live.role;
        if role.path.as_str().starts_with("/aws-service-role/") {
            return Some("it is a service-linked role, which only AWS changes".to_owned());
        }
        if let Some(problem) = self.ownership(&role.tags) {
            return Some(problem);
        }
        if let Some(problem) = role.trust.problem() {
            return Some(format!("its trust policy cannot be parsed: {problem}"));
        }
        if !role.trust.is_current() {
            return Some(
                "its trust policy has no `\"Version\": \"2012-10-17\"`, which irsa always writes: set it first"
                    .to_owned(),
            );
        }
        if role.trust.statements().is_empty() {
            return Some("its trust policy has no statement".to_owned());
        }
        if role.inline.keys().any(|name| name.as_str() == TRANSITION) {
            return Some(format!("irsa reserves the name of its inline policy `{TRANSITION}`"));
        }
        let unreadable = role.inline.iter().find(|(_, document)| text::json(document).is_none());
        if let Some((name, _)) = unreadable {
            return Some(format!("its inline policy `{name}` is not a valid policy for irsa: correct it first"));
        }
        let tags: BTreeMap<String, &String> =
            own_tags(&role.tags).map(|(key, value)| (key.to_lowercase(), value)).collect();
        let default_tags = self.existing.into_iter().flat_map(|existing| existing.role_tags.iter());
        let missing = default_tags.map(|(key, _)| key).find(|key| !tags.contains_key(&key.to_lowercase()));
        missing.map(|tag| format!("`[defaults.role]` would give it the tag `{tag}`: set that tag first"))
    }

    /// Why the marks on an object keep it from being imported.
    fn ownership(&self, tags: &StringMap) -> Option<String> {
        let added = 2 + usize::from(is_protected(tags));
        if own_tags(tags).count() > TAG_LIMIT - added {
            return Some(format!(
                "it has more than {} tags, and irsa needs {added} of at most {TAG_LIMIT}: remove some first",
                TAG_LIMIT - added
            ));
        }
        match owner(tags) {
            Some(other) if other != self.scope.owner.as_str() => {
                Some(format!("it belongs to owner `{other}`: release it there first (`forget`)"))
            }
            Some(_) if self.existing.is_some() => {
                Some("it has this owner's tag and is not declared: `irsa plan` shows what happens to it".to_owned())
            }
            _ => None,
        }
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
        let parts = trust::split(&live.role.trust, &providers, is_free);
        let name = &live.role.name;
        if parts.verbatim.iter().any(|statement| text::statement(statement, PolicyKind::Trust).is_none()) {
            let why = "its trust policy has a statement that irsa cannot declare as it is: simplify it first";
            return self.leave_out(format_args!("role `{name}` in account `{account_key}`"), why);
        }
        self.claimed.extend(parts.bindings.keys().cloned());
        let entries =
            parts.bindings.iter().map(|(subject, audience)| self.entry(subject, audience, &live.arn)).collect();
        let texts = [name.to_string(), format!("{name}-{}", account.identity.account)];
        let key = unique(&texts, |key| self.taken.contains(key));
        self.taken.insert(key.clone());
        let attach = live.role.attached.iter().map(|arn| self.attachment(account_key, account, arn)).collect();
        let comments = makers::of_tags(&live.role.tags).into_iter().collect();
        let role = RoleDraft { key, account: account_key, live, entries, verbatim: parts.verbatim, attach, comments };
        self.draft.roles.push(role);
    }

    /// A ServiceAccount that the role trusts. irsa manages it only if its annotations already name this role and
    /// audience: otherwise it would give the ServiceAccount a role that it does not have.
    fn entry(&self, subject: &ServiceAccountId, audience: &str, role: &RoleArn) -> Entry {
        let own = |value: &str| Some(value.to_owned()).filter(|value| value != DEFAULT_AUDIENCE);
        let unmanaged = |comment: &str| Entry {
            subject: subject.clone(),
            settings: Settings { manage: Some("none"), audience: own(audience), ..Settings::default() },
            comment: Some(comment.to_owned()),
        };
        let (cluster, namespace, _) = subject;
        if self.seen.clusters.get(cluster).is_none_or(|cluster| cluster.service_accounts.is_none()) {
            return unmanaged("the ServiceAccount was not read");
        }
        if !self.scope.has_namespace(namespace.as_str()) {
            return unmanaged("its namespace was not selected");
        }
        let Some(live) = self.service_accounts.get(subject) else {
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
        if live.deleting.is_some() {
            return unmanaged("it is being deleted");
        }
        let maker = makers::of_service_account(live);
        let settings = Settings {
            manage: maker.as_ref().is_some_and(|maker| maker.recreates).then_some("annotate"),
            audience: declared.map(str::to_owned),
            token_expiration: live.annotations.get(TOKEN_EXPIRATION).and_then(|text| token_expiration(text)),
            sts_regional_endpoints: live.annotations.get(STS_REGIONAL_ENDPOINTS).and_then(|text| flag(text)),
        };
        Entry { subject: subject.clone(), settings, comment: maker.map(|maker| maker.text) }
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
        let problem = self.ownership(&live.policy.tags);
        let problem = problem.or_else(|| {
            let bad = text::json(&live.policy.document).is_none();
            bad.then(|| "its document is not a valid policy for irsa".to_owned())
        });
        if let Some(why) = problem {
            self.leave_out(format_args!("policy `{arn}`"), format_args!("{why}; roles attach it by its ARN"));
            return arn.to_string();
        }
        let name = &live.policy.name;
        let texts = [name.to_string(), format!("{name}-{}", account.identity.account)];
        let key = unique(&texts, |key| self.taken.contains(key));
        self.taken.insert(key.clone());
        self.policies.insert(arn, key.clone());
        let mut comments: Vec<String> = makers::of_tags(&live.policy.tags).into_iter().collect();
        let here = account.roles.iter().filter(|role| role.role.attached.contains(arn)).count();
        let elsewhere = usize::try_from(live.attachments).unwrap_or(usize::MAX).saturating_sub(here);
        if elsewhere > 0 {
            comments.push(format!("also attached to {elsewhere} roles, users or groups that were not imported"));
        }
        self.draft.policies.push(PolicyDraft { key: key.clone(), account: account_key.clone(), live, comments });
        key.to_string()
    }

    /// The key of a policy that the existing configuration declares in this account.
    fn declared_policy(&self, account: &Key, arn: &PolicyArn) -> Option<&Key> {
        let name = arn.name().to_ascii_lowercase();
        let mut declared = self.existing?.desired.policies.iter();
        declared.find(|((of, _), policy)| of == account && policy.name.lower_case() == name).map(|((_, key), _)| key)
    }

    /// Lists the annotated ServiceAccounts that the result does not manage, and annotations that it does not declare.
    fn unmanaged(&mut self) {
        let managed: BTreeSet<&ServiceAccountId> = self
            .draft
            .roles
            .iter()
            .flat_map(|role| &role.entries)
            .filter(|entry| entry.settings.manage != Some("none"))
            .map(|entry| &entry.subject)
            .collect();
        let declared = self.existing.map(|existing| bound(&existing.desired)).unwrap_or_default();
        let mut left = Vec::new();
        for (subject, item) in &self.service_accounts {
            let (cluster, namespace, name) = subject;
            let is_annotated = item.annotations.keys().any(|key| key.starts_with(CHAIN));
            if !is_annotated || declared.contains(subject) || !self.scope.has_namespace(namespace.as_str()) {
                continue;
            }
            let what = format!("ServiceAccount `{namespace}/{name}` in cluster `{cluster}`");
            if managed.contains(subject) {
                let odd = item.annotations.iter().filter(|(key, value)| is_undeclared(key, value));
                left.extend(odd.map(|(key, value)| {
                    format!(
                        "{what}: its annotation `{key}` has the value `{value}`, which irsa does not write; it stays"
                    )
                }));
            } else if let Some(why) = self.why_unmanaged(item) {
                left.push(format!("{what}: {why}; its annotations stay as they are"));
            }
        }
        self.draft.left_out.extend(left);
    }

    /// Why irsa does not manage an annotated ServiceAccount. None if `--role` left its role out.
    fn why_unmanaged(&self, item: &LiveServiceAccount) -> Option<String> {
        let Some(arn) = named_role(item) else { return Some(format!("it has no annotation `{ROLE_ARN}`")) };
        let Ok(parsed) = RoleArn::parse(arn) else { return Some(format!("`{arn}` is not the ARN of a role")) };
        if !self.scope.has_role(parsed.name()) {
            return None;
        }
        let account = self.seen.accounts.values().find(|account| account.identity.account.as_str() == parsed.account());
        let Some(account) = account else {
            return Some(format!("its role `{arn}` is in an account that was not read"));
        };
        let mut roles = account.roles.iter();
        let live = roles.find(|role| role.role.name.as_str().eq_ignore_ascii_case(parsed.name()));
        Some(match live {
            None => format!("there is no role `{arn}`"),
            Some(live) if live.arn != parsed => format!("it names `{arn}`, and that role's ARN is `{}`", live.arn),
            Some(_) if !self.draft.roles.iter().any(|role| role.live.arn == parsed) => {
                format!("its role `{arn}` is not imported")
            }
            Some(_) => format!("irsa cannot declare how `{arn}` trusts it, if it does, together with its annotations"),
        })
    }

    fn associations(&mut self) {
        for (key, SeenCluster { associations, .. }) in &self.seen.clusters {
            for item in associations.iter().filter(|item| self.scope.has_namespace(&item.namespace)) {
                let what = format!(
                    "pod identity association `{}` of `{}/{}` in cluster `{key}`",
                    item.id, item.namespace, item.service_account
                );
                self.draft.left_out.push(format!("{what}: irsa does not manage associations yet; it stays as it is"));
            }
        }
    }
}

/// The lifetime of a token, if irsa would write the same text.
fn token_expiration(text: &str) -> Option<u32> {
    text.parse().ok().filter(|seconds: &u32| (600..=86_400).contains(seconds) && seconds.to_string() == text)
}

fn flag(text: &str) -> Option<bool> {
    text.parse().ok()
}

/// Whether the annotation is one of the webhook's, and irsa cannot declare it.
fn is_undeclared(key: &str, value: &str) -> bool {
    match key {
        ROLE_ARN | AUDIENCE => false,
        TOKEN_EXPIRATION => token_expiration(value).is_none(),
        STS_REGIONAL_ENDPOINTS => flag(value).is_none(),
        _ => key.starts_with(CHAIN),
    }
}
