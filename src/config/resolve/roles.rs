//! Resolves roles: their account, their policies and who may assume them.

use super::bindings::BindingsByRole;
use super::infrastructure::Infrastructure;
use super::{Diagnostic, KeyedTable, Located, Resolver, quoted};
use crate::config::schema::{RawInline, RawRole};
use crate::config::templates::Variables;
use crate::ids::{Key, PolicyArn, ProviderArn, RoleName};
use crate::model::desired::{Attachment, Binding, Boundary, ClusterState, Role};
use crate::model::durations;
use crate::model::marks::TRANSITION;
use crate::model::origin::Origin;
use crate::model::pattern::Pattern;
use crate::model::resource::InlinePolicies;
use crate::policy::budget::{self, INLINE_SIZE, TRUST_SIZE_MAXIMUM};
use crate::policy::document::PolicyKind;
use crate::policy::trust::{self, Grant};
use crate::policy::{PolicyDocument, Statement};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// The most managed policies on a role that AWS ever grants. The account's own quota is 10 unless AWS raised it, and
/// irsa reads it online (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
const ATTACHED_MAXIMUM: usize = 25;
/// The shortest session, which is also IAM's default, and the longest one, in seconds
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html>).
const SESSION: (u32, u32) = (3600, 43_200);

/// The input for one role.
struct RoleEntry<'a> {
    key: &'a Key,
    raw: &'a RawRole,
    bindings: Vec<Binding>,
    /// Whether an entry of `service-accounts` names the role.
    is_named: bool,
}

impl<'a> Resolver<'a> {
    pub(super) fn roles(
        &mut self,
        infrastructure: &Infrastructure,
        mut by_role: BindingsByRole<'a>,
    ) -> BTreeMap<Key, Role> {
        let raw = self.raw;
        self.check_defaults();
        let entries = raw.roles.iter().map(|(key, raw)| {
            let bindings = by_role.bindings.remove(key).unwrap_or_default();
            RoleEntry { key, raw, bindings, is_named: by_role.named.contains(key) }
        });
        let entries: Vec<RoleEntry<'a>> = entries.collect();
        let roles = self.resolve_in_parallel(entries, infrastructure);
        let names = roles.iter().map(|(key, role)| ((&role.account, role.name.lower_case()), key, &role.origin));
        self.refuse_duplicates(
            names,
            |other, key, _| {
                format!("roles `{other}` and `{key}` have the same name, `{}`, in the same account", roles[key].name)
            },
            "IAM ignores case and path in names: give one of them another `name`",
        );
        roles
    }

    fn resolve_in_parallel(
        &mut self,
        entries: Vec<RoleEntry<'a>>,
        infrastructure: &Infrastructure,
    ) -> BTreeMap<Key, Role> {
        let part = entries.len().div_ceil(rayon::current_num_threads()).max(1);
        let here = &*self;
        let parts = entries.into_par_iter().fold_chunks(
            part,
            || (here.fork(), Vec::with_capacity(part)),
            |(mut worker, mut roles), entry| {
                roles.extend(worker.role(entry, infrastructure));
                (worker, roles)
            },
        );
        let mut all = BTreeMap::new();
        for (mut worker, roles) in parts.collect::<Vec<_>>() {
            all.extend(roles);
            for (policy, accounts) in std::mem::take(&mut worker.policy_users) {
                let users = self.policy_users.entry(policy).or_default();
                for (account, clusters) in accounts {
                    users.entry(account).or_default().extend(clusters);
                }
            }
            self.errors.extend(worker.into_errors());
        }
        all
    }

    /// Reports errors in the defaults once, and not for each role that takes them.
    fn check_defaults(&mut self) {
        let Some(defaults) = self.raw.role_defaults() else { return };
        if let Some(text) = &defaults.max_session_duration {
            self.seconds(text, "max-session-duration", SESSION);
        }
        if let Some(text) = &defaults.permissions_boundary {
            self.boundary(text);
        }
    }

    /// A role and its key; None if its account is unknown.
    fn role(&mut self, entry: RoleEntry<'a>, infrastructure: &Infrastructure) -> Option<(Key, Role)> {
        let RoleEntry { key, raw, bindings, is_named } = entry;
        if raw.trust.is_empty() && !raw.flawed && !is_named {
            let message = format!("nobody could assume role `{key}`: it has no ServiceAccount and no trust statement");
            let hint = "add `service-accounts = [\"namespace/name\"]`, a `[[service-accounts]]` entry or \
                        `[[roles.….trust]]`";
            self.refuse(&raw.origin, message).hint = Some(hint.to_owned());
        }
        let account = self.role_account(key, raw, &bindings, infrastructure);
        let defaults = self.raw.role_defaults();
        let what = format!("role `{key}`");
        let prevent_destroy = raw.prevent_destroy.as_ref().is_some_and(|flag| flag.value);
        let path = raw.path.as_ref().or(defaults.and_then(|defaults| defaults.path.as_ref()));
        let clusters = bindings.iter().map(|binding| &binding.cluster);
        let variables = infrastructure.variables(&self.owner, account.as_ref(), clusters);
        let inline = self.inline(&what, raw, &variables);
        let extra_trust = self.trust(&what, raw, (&bindings, account.as_ref()), infrastructure, &variables);
        let mut policy_origins = BTreeMap::new();
        let attach = self.attachments(raw, &bindings, account.as_ref(), infrastructure, &mut policy_origins);
        let permissions_boundary =
            self.permissions_boundary(&what, raw, account.as_ref(), infrastructure, &mut policy_origins);
        let name = raw.name.as_ref().map(|name| name.value.clone());
        let default_tags = defaults.map(|defaults| &defaults.tags);
        let role = Role {
            // every key is a valid role name
            name: name.or_else(|| RoleName::parse(key.as_str()).ok()).unwrap_or_else(|| unreachable!("{key}")),
            account: account.clone().unwrap_or_else(|| key.clone()),
            path: path.map_or_else(|| self.default_path(), |path| path.value.clone()),
            path_declared: raw.path.is_some(),
            description: self.description(raw.description.as_ref()),
            max_session_duration: self.session(raw),
            permissions_boundary,
            tags: self.tags((&what, &raw.origin), &raw.tags, default_tags, 2 + usize::from(prevent_destroy)),
            attach,
            policy_origins,
            ignore_attached: patterns(&raw.ignore_attached),
            inline,
            extra_trust,
            bindings,
            adopt: self.adopt(raw.adopt.as_ref(), raw.adopt_from.as_ref()),
            prevent_destroy,
            origin: raw.origin.clone(),
        };
        account.map(|_| (key.clone(), role))
    }

    /// The declared account, or that of the role's clusters, or the only one.
    fn role_account(
        &mut self,
        key: &Key,
        raw: &RawRole,
        bindings: &[Binding],
        infrastructure: &Infrastructure,
    ) -> Option<Key> {
        let accounts = &infrastructure.accounts;
        if let Some(reference) = &raw.account {
            let ambient = Key::parse(&reference.value).ok().filter(|key| accounts.contains_key(key));
            return ambient.or_else(|| {
                self.lookup(KeyedTable::Account, reference, &self.raw.accounts).map(|(key, _)| key.clone())
            });
        }
        let mut found: BTreeMap<&Key, &Binding> = BTreeMap::new();
        for binding in bindings {
            if let Some(cluster) = infrastructure.clusters.get(&binding.cluster) {
                found.entry(&cluster.account).or_insert(binding);
            }
        }
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some((account, _)), None) => Some(account.clone()),
            (Some((first, one)), Some((second, other))) => {
                let message = format!("role `{key}` is bound in clusters of two accounts, `{first}` and `{second}`");
                let hint = "name the account that holds the role: `account = \"KEY\"`";
                let label = |binding: &Binding, account| format!("cluster `{}` is in `{account}`", binding.cluster);
                let diagnostic = Diagnostic::at(&raw.origin, message).and(&one.origin, label(one, first));
                self.errors.push(diagnostic.and(&other.origin, label(other, second)).hint(hint));
                None
            }
            (None, _) if accounts.len() == 1 => accounts.keys().next().cloned(),
            (None, _) => {
                // if the role has ServiceAccounts, the error that left it without bindings is reported already
                if raw.service_accounts.is_empty() && !raw.flawed && !raw.trust.is_empty() {
                    let hint = format!("add `account`: one of {}", quoted(accounts.keys()).join(", "));
                    self.refuse(&raw.origin, format!("the account of role `{key}` is missing")).hint = Some(hint);
                }
                None
            }
        }
    }

    fn session(&mut self, raw: &RawRole) -> u32 {
        if let Some(text) = &raw.max_session_duration {
            return self.seconds(text, "max-session-duration", SESSION).unwrap_or(SESSION.0);
        }
        let default = self.raw.role_defaults().and_then(|defaults| defaults.max_session_duration.as_ref());
        // `check_defaults` reports an invalid default
        let default = default.and_then(|text| durations::parse(&text.value).ok());
        default.and_then(|duration| u32::try_from(duration.as_secs()).ok()).unwrap_or(SESSION.0)
    }

    /// `"none"` or an ARN.
    fn boundary(&mut self, text: &Located<String>) -> Option<Boundary> {
        let parsed = parse_boundary(text);
        if let Err(message) = &parsed {
            let hint = "a boundary is the ARN of a managed policy, or `none` to remove the live one";
            self.refuse(&text.origin, message).hint = Some(hint.to_owned());
        }
        parsed.ok()
    }

    fn permissions_boundary(
        &mut self,
        what: &str,
        raw: &RawRole,
        account: Option<&Key>,
        infrastructure: &Infrastructure,
        origins: &mut BTreeMap<PolicyArn, Origin>,
    ) -> Boundary {
        let default = self.raw.role_defaults().and_then(|defaults| defaults.permissions_boundary.as_ref());
        let Some(text) = raw.permissions_boundary.as_ref().or(default) else { return Boundary::Undeclared };
        let boundary = match &raw.permissions_boundary {
            Some(own) => self.boundary(own),
            // `check_defaults` reports an invalid default
            None => parse_boundary(text).ok(),
        };
        let Some(boundary) = boundary else { return Boundary::Undeclared };
        if let Boundary::Policy(arn) = &boundary {
            origins.insert(arn.clone(), text.origin.clone());
            if let Some(why) = self.attach_problem(arn, account, infrastructure) {
                let message = format!("`{arn}` cannot be the permissions boundary of {what}: {why}");
                let mut diagnostic = Diagnostic::at(&text.origin, message);
                if raw.permissions_boundary.is_none() {
                    let hint = "give the role a `permissions-boundary` of its own";
                    diagnostic = diagnostic.and(&raw.origin, "the role is here").hint(hint);
                }
                self.errors.push(diagnostic);
            }
        }
        boundary
    }

    /// Why IAM would refuse a policy for a role of this account.
    fn attach_problem(
        &self,
        arn: &PolicyArn,
        account: Option<&Key>,
        infrastructure: &Infrastructure,
    ) -> Option<String> {
        let account = account?;
        let id = infrastructure.known_id(account)?;
        if arn.account() != "aws" && arn.account() != id.as_str() {
            return Some(format!("it is in account {}, but the role is in {id}", arn.account()));
        }
        let (_, partition) = self.identities.accounts.get(account)?;
        (arn.partition() != partition.as_str())
            .then(|| format!("it is in partition `{}`, but the role is in `{partition}`", arn.partition()))
    }

    fn attachments(
        &mut self,
        raw: &'a RawRole,
        bindings: &[Binding],
        account: Option<&Key>,
        infrastructure: &Infrastructure,
        origins: &mut BTreeMap<PolicyArn, Origin>,
    ) -> BTreeSet<Attachment> {
        let policies = &self.raw.policies;
        let mut attachments = BTreeSet::new();
        for reference in &raw.attach {
            let Located { value: text, origin } = reference;
            let arn = if text.starts_with("arn:") {
                PolicyArn::parse(text)
            } else if let Some(name) = text.strip_prefix("aws:") {
                match account.and_then(|key| infrastructure.accounts.get(key)) {
                    Some(account) => PolicyArn::aws_managed(&account.partition, name),
                    None => continue,
                }
            } else {
                let Some((key, _)) = self.lookup(KeyedTable::Policy, reference, policies) else { continue };
                if let Some(account) = account {
                    let clusters = self.policy_users.entry(key).or_default().entry(account.clone()).or_default();
                    clusters.extend(bindings.iter().map(|binding| binding.cluster.clone()));
                }
                attachments.insert(Attachment::Declared(key.clone()));
                continue;
            };
            match arn {
                Ok(arn) => {
                    if let Some(why) = self.attach_problem(&arn, account, infrastructure) {
                        self.refuse(origin, format!("`{text}` cannot be attached: {why}"));
                    }
                    origins.insert(arn.clone(), origin.clone());
                    attachments.insert(Attachment::Arn(arn));
                }
                Err(error) => {
                    let hint = "write an ARN, `aws:NAME` for an AWS managed policy, or a key of `[policies]`";
                    self.refuse(origin, format!("`{text}` is not a managed policy: it {error}")).hint =
                        Some(hint.to_owned());
                }
            }
        }
        if attachments.len() > ATTACHED_MAXIMUM {
            let message =
                format!("{} managed policies are attached, but the limit is {ATTACHED_MAXIMUM}", attachments.len());
            self.refuse(&raw.origin, message).hint = Some("merge several of them into one policy".to_owned());
        }
        attachments
    }

    fn inline(&mut self, what: &str, raw: &RawRole, variables: &Variables) -> InlinePolicies {
        let mut inline = InlinePolicies::new();
        for (name, RawInline { document, .. }) in &raw.inline {
            let title = format!("inline policy `{}` of {what}", name.value);
            if name.value.as_str() == TRANSITION {
                self.refuse(&name.origin, format!("{title}: irsa reserves the name for transitions of a role"));
            }
            if let Some(document) = self.documents.permissions(document, &title, &name.origin, variables) {
                inline.insert(name.value.clone(), document);
            }
        }
        let size: usize = inline.values().map(PolicyDocument::size).sum();
        if size > INLINE_SIZE {
            let message =
                format!("the inline policies of {what} have {size} characters, but the limit is {INLINE_SIZE}");
            self.refuse(&raw.origin, message).hint = Some("make one of them a managed policy: `[policies]`".to_owned());
        }
        inline
    }

    /// The declared trust statements. Checks the size of the trust policy, as far as the issuers are declared.
    fn trust(
        &mut self,
        what: &str,
        raw: &RawRole,
        (bindings, account): (&[Binding], Option<&Key>),
        infrastructure: &Infrastructure,
        variables: &Variables,
    ) -> Vec<Statement> {
        let mut extra = self.documents.statements(&raw.trust, PolicyKind::Trust, variables).unwrap_or_default();
        // sorted, so that the order of tables does not change the policy
        extra.sort_by(|one, other| one.text().cmp(other.text()));
        let grants = known_grants(bindings, account, infrastructure);
        if extra.is_empty() && grants.is_empty() {
            return extra;
        }
        let size = trust::build(&grants, &extra).size();
        if let Some(advice) = budget::trust_advice(size, TRUST_SIZE_MAXIMUM) {
            let message =
                format!("the trust policy of {what} has {size} characters, but the limit is {TRUST_SIZE_MAXIMUM}");
            self.refuse(&raw.origin, message).hint = Some(advice);
        }
        extra
    }
}

fn parse_boundary(text: &Located<String>) -> Result<Boundary, String> {
    if text.value == "none" {
        return Ok(Boundary::None);
    }
    PolicyArn::parse(&text.value).map(Boundary::Policy).map_err(|error| format!("`{}` {error}", text.value))
}

/// The grants in clusters that declare their issuer. The issuer of any other cluster is unknown until irsa calls EKS.
fn known_grants(bindings: &[Binding], account: Option<&Key>, infrastructure: &Infrastructure) -> BTreeSet<Grant> {
    let Some(account) = account.and_then(|key| infrastructure.accounts.get(key)) else { return BTreeSet::new() };
    let known = bindings.iter().filter_map(|binding| {
        let cluster = infrastructure.clusters.get(&binding.cluster)?;
        let issuer = cluster.issuer.as_ref().filter(|_| cluster.state == ClusterState::Active)?;
        Some(Grant {
            provider: ProviderArn::of(&account.partition, &account.id, issuer),
            audience: binding.effective_audience().to_owned(),
            subject: binding.subject.claim(),
        })
    });
    known.collect()
}

fn patterns(texts: &[Located<String>]) -> Vec<Pattern> {
    let set: BTreeSet<Pattern> = texts.iter().map(|text| Pattern::new(text.value.as_str())).collect();
    set.into_iter().collect()
}
