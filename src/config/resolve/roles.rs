//! Roles: where they are, what they may do, who may assume them.

use super::bindings::Bound;
use super::places::Places;
use super::policies::Uses;
use super::{Diagnostic, Documents, Named, Pace, Resolver, Spot};
use crate::config::schema::RawRole;
use crate::config::templates::Variables;
use crate::ids::{Key, PolicyArn, ProviderArn, RoleName};
use crate::model::desired::{Attachment, Binding, Boundary, ClusterState, Role};
use crate::model::marks::TRANSITION;
use crate::model::origin::Origin;
use crate::model::pattern::Pattern;
use crate::model::resource::InlinePolicies;
use crate::policy::budget::{self, INLINE_SIZE, TRUST_SIZE_MAXIMUM};
use crate::policy::document::PolicyKind;
use crate::policy::trust::{self, Grant};
use crate::policy::{PolicyDocument, Statement};
use rayon::prelude::*;
use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The most managed policies that AWS ever lets a role have; the account's own quota is 10 unless it was raised, and is
/// asked for online (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
const ATTACHED_MAXIMUM: usize = 25;
/// The shortest and longest session, and IAM's own default
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html>).
const SESSION: (u32, u32) = (3600, 43_200);

/// A role to be resolved.
struct Entry<'a> {
    key: &'a Key,
    raw: &'a RawRole,
    bindings: Vec<Binding>,
    /// Whether somebody meant to bind it.
    meant: bool,
}

/// Roles with the key of each, where their accounts are known.
type Found<'a> = Vec<(&'a Key, Role)>;

impl<'a> Resolver<'a> {
    pub(super) fn roles(
        &mut self,
        places: &Places,
        mut bound: Bound<'a>,
        documents: &mut Documents<'_>,
        pace: Pace,
    ) -> (BTreeMap<Key, Role>, Uses<'a>) {
        let raw = self.raw;
        self.defaults();
        let entries = raw.roles.iter().map(|(key, raw)| {
            let bindings = bound.by_role.remove(key).unwrap_or_default();
            Entry { key, raw, bindings, meant: bound.meant.contains(key) }
        });
        let mut entries: Vec<Entry<'a>> = entries.collect();
        let mut uses = Uses::new();
        let found = match pace {
            Pace::OneByOne => self.some(&mut entries, places, documents, &mut uses),
            Pace::SideBySide => self.all(&mut entries, places, &mut uses),
        };
        let mut roles = BTreeMap::new();
        let mut names: HashMap<(&Key, String), (&Key, &Origin)> = HashMap::with_capacity(found.len());
        for (key, role) in &found {
            let origin = &raw.roles[*key].origin;
            match names.entry((&role.account, role.name.case_insensitive())) {
                Slot::Vacant(free) => drop(free.insert((key, origin))),
                Slot::Occupied(taken) => {
                    let (other, earlier) = taken.get();
                    let message = format!("roles `{other}` and `{key}` have one name, `{}`, in one account", role.name);
                    let hint = "IAM holds names unique without regard to case and path: give one another `name`";
                    self.push(Diagnostic::at(origin, message).and(earlier, "the other is here").hint(hint));
                }
            }
        }
        roles.extend(found.into_iter().map(|(key, role)| (key.clone(), role)));
        (roles, uses)
    }

    /// All of them, in as many parts as there are processors.
    fn all(&mut self, entries: &mut [Entry<'a>], places: &Places, uses: &mut Uses<'a>) -> Found<'a> {
        let part = entries.len().div_ceil(rayon::current_num_threads()).max(1);
        let here = &*self;
        let parts = entries.par_chunks_mut(part).map(|entries| {
            let (mut other, mut documents, mut uses) = (here.beside(), Documents::new(here.sources), Uses::new());
            let found = other.some(entries, places, &mut documents, &mut uses);
            other.list.append(&mut documents.list);
            (found, uses, other.list)
        });
        let mut all = Vec::new();
        for (found, used, list) in parts.collect::<Vec<_>>() {
            all.extend(found);
            for (policy, accounts) in used {
                let known = uses.entry(policy).or_default();
                for (account, clusters) in accounts {
                    known.entry(account).or_default().extend(clusters);
                }
            }
            self.list.extend(list);
        }
        all
    }

    /// Some of them, one after the other.
    fn some(
        &mut self,
        entries: &mut [Entry<'a>],
        places: &Places,
        documents: &mut Documents<'_>,
        uses: &mut Uses<'a>,
    ) -> Found<'a> {
        let mut found = Vec::with_capacity(entries.len());
        for Entry { key, raw, bindings, meant } in entries {
            if raw.trust.is_empty() && !raw.flawed && !*meant {
                let hint = "add `service-accounts = [\"namespace/name\"]`, a `[[service-accounts]]` entry or \
                            `[[roles.….trust]]`";
                let message =
                    format!("nobody could assume role `{key}`: it has no ServiceAccount and no trust statement");
                self.push(Diagnostic::at(&raw.origin, message).hint(hint));
            }
            let account = self.role_account(key, raw, bindings, places);
            let bindings = std::mem::take(bindings);
            let role = self.role(key, raw, bindings, account.as_ref(), places, documents, uses);
            found.extend(account.map(|_| (*key, role)));
        }
        found
    }

    /// What is wrong with the defaults is told once, however many roles take them.
    fn defaults(&mut self) {
        let Some(defaults) = &self.raw.role_defaults else { return };
        if let Some(spot) = &defaults.max_session_duration {
            self.seconds(spot, "max-session-duration", SESSION);
        }
        if let Some(spot) = &defaults.permissions_boundary {
            self.boundary(spot);
        }
    }

    /// The declared account, or that of the clusters that the role is bound in, or the only one.
    fn role_account(&mut self, key: &Key, raw: &RawRole, bindings: &[Binding], places: &Places) -> Option<Key> {
        let declared = &self.raw.accounts;
        if let Some(spot) = &raw.account {
            let ambient = Key::parse(&*spot.value).ok().filter(|key| places.accounts.contains_key(key));
            return match ambient {
                Some(key) => Some(key),
                None => self.named(Named::Account, spot, declared).map(|(key, _)| key.clone()),
            };
        }
        let mut found: BTreeMap<&Key, &Binding> = BTreeMap::new();
        for binding in bindings {
            if let Some(cluster) = places.clusters.get(&binding.cluster) {
                found.entry(&cluster.account).or_insert(binding);
            }
        }
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some((account, _)), None) => Some(account.clone()),
            (Some((first, one)), Some((second, other))) => {
                let message = format!("role `{key}` is bound in clusters of two accounts, `{first}` and `{second}`");
                let hint = "say which account holds it: `account = \"KEY\"`";
                let of = |binding: &Binding, account: &Key| format!("cluster `{}` is in `{account}`", binding.cluster);
                let diagnostic = Diagnostic::at(&raw.origin, message).and(&one.origin, of(one, first));
                self.push(diagnostic.and(&other.origin, of(other, second)).hint(hint));
                None
            }
            (None, _) if places.accounts.len() == 1 => places.accounts.keys().next().cloned(),
            (None, _) => {
                // one that was to be bound has been told what is wrong with that
                if raw.service_accounts.is_empty() && !raw.flawed && !raw.trust.is_empty() {
                    let names: Vec<String> = places.accounts.keys().map(|key| format!("`{key}`")).collect();
                    let message = format!("the account of role `{key}` is missing");
                    self.refuse(&raw.origin, message).hint =
                        Some(format!("add `account`: one of {}", names.join(", ")));
                }
                None
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all of them are asked for once, and belong to different stages")]
    fn role(
        &mut self,
        key: &'a Key,
        raw: &'a RawRole,
        bindings: Vec<Binding>,
        account: Option<&Key>,
        places: &Places,
        documents: &mut Documents<'_>,
        uses: &mut Uses<'a>,
    ) -> Role {
        let defaults = self.raw.role_defaults.as_ref();
        let what = format!("role `{key}`");
        let prevent_destroy = raw.prevent_destroy.as_ref().is_some_and(|spot| spot.value);
        let path = raw.path.as_ref().or(defaults.and_then(|defaults| defaults.path.as_ref()));
        let variables = places.variables(&self.owner, account, bindings.iter().map(|binding| &binding.cluster));
        let inline = self.inline(&what, raw, &variables, documents);
        let extra_trust = self.trust(&what, raw, (&bindings, account), places, (&variables, documents));
        let mut policy_origins = BTreeMap::new();
        let attach = self.attachments(raw, &bindings, account, places, uses, &mut policy_origins);
        let permissions_boundary = self.permissions_boundary(&what, raw, account, places, &mut policy_origins);
        Role {
            name: raw.name.as_ref().map_or_else(|| name_of(key), |spot| spot.value.clone()),
            account: account.cloned().unwrap_or_else(|| key.clone()),
            path: path.map_or_else(|| self.default_path(), |spot| spot.value.clone()),
            path_declared: raw.path.is_some(),
            description: self.description(raw.description.as_ref()),
            max_session_duration: self.session(raw),
            permissions_boundary,
            tags: self.tags(
                (&what, &raw.origin),
                &raw.tags,
                defaults.map(|defaults| &defaults.tags),
                2 + usize::from(prevent_destroy),
            ),
            attach,
            policy_origins,
            ignore_attached: patterns(&raw.ignore_attached),
            inline,
            extra_trust,
            bindings,
            adopt: self.adopt(raw.adopt.as_ref(), raw.adopt_from.as_ref()),
            prevent_destroy,
            origin: raw.origin.clone(),
        }
    }

    fn session(&mut self, raw: &RawRole) -> u32 {
        if let Some(spot) = &raw.max_session_duration {
            return self.seconds(spot, "max-session-duration", SESSION).unwrap_or(SESSION.0);
        }
        let spot = self.raw.role_defaults.as_ref().and_then(|defaults| defaults.max_session_duration.as_ref());
        // a wrong default has been told
        spot.and_then(|spot| crate::config::durations::parse(&spot.value).ok())
            .and_then(|duration| u32::try_from(duration.as_secs()).ok())
            .unwrap_or(SESSION.0)
    }

    /// `"none"` or an ARN.
    fn boundary(&mut self, spot: &Spot<String>) -> Option<Boundary> {
        if spot.value == "none" {
            return Some(Boundary::None);
        }
        match PolicyArn::parse(&*spot.value) {
            Ok(arn) => Some(Boundary::Policy(arn)),
            Err(error) => {
                let hint = "a boundary is the ARN of a managed policy, or `none` to take a live one away";
                self.refuse(&spot.origin, format!("`{}` {error}", spot.value)).hint = Some(hint.to_owned());
                None
            }
        }
    }

    fn permissions_boundary(
        &mut self,
        what: &str,
        raw: &RawRole,
        account: Option<&Key>,
        places: &Places,
        origins: &mut BTreeMap<PolicyArn, Origin>,
    ) -> Boundary {
        let default = self.raw.role_defaults.as_ref().and_then(|defaults| defaults.permissions_boundary.as_ref());
        let boundary = match (&raw.permissions_boundary, default) {
            (Some(spot), _) => self.boundary(spot).map(|boundary| (boundary, spot)),
            // a wrong default has been told
            (None, Some(spot)) if spot.value == "none" => Some((Boundary::None, spot)),
            (None, Some(spot)) => PolicyArn::parse(&*spot.value).ok().map(|arn| (Boundary::Policy(arn), spot)),
            (None, None) => None,
        };
        let Some((boundary, spot)) = boundary else { return Boundary::Undeclared };
        if let Boundary::Policy(arn) = &boundary {
            origins.insert(arn.clone(), spot.origin.clone());
        }
        if let Boundary::Policy(arn) = &boundary
            && let Some(why) = self.out_of_reach(arn, account, places)
        {
            let message = format!("`{arn}` cannot bound {what}: {why}");
            let mut diagnostic = Diagnostic::at(&spot.origin, message);
            if raw.permissions_boundary.is_none() {
                let hint = "give the role a `permissions-boundary` of its own";
                diagnostic = diagnostic.and(&raw.origin, "the role is here").hint(hint);
            }
            self.push(diagnostic);
        }
        boundary
    }

    /// Why IAM would not take a policy for a role of this account.
    fn out_of_reach(&self, arn: &PolicyArn, account: Option<&Key>, places: &Places) -> Option<String> {
        let account = account?;
        let id = places.known_id(account)?;
        if arn.account() != "aws" && arn.account() != id.as_str() {
            return Some(format!("it is in account {}, the role in {id}", arn.account()));
        }
        let (_, partition) = self.identities.accounts.get(account)?;
        (arn.partition() != partition.as_str())
            .then(|| format!("it is in partition `{}`, the role in `{partition}`", arn.partition()))
    }

    fn attachments(
        &mut self,
        raw: &'a RawRole,
        bindings: &[Binding],
        account: Option<&Key>,
        places: &Places,
        uses: &mut Uses<'a>,
        origins: &mut BTreeMap<PolicyArn, Origin>,
    ) -> BTreeSet<Attachment> {
        let policies = &self.raw.policies;
        let mut set = BTreeSet::new();
        for spot in &raw.attach {
            let text = spot.value.as_str();
            let arn = if text.starts_with("arn:") {
                PolicyArn::parse(text)
            } else if let Some(name) = text.strip_prefix("aws:") {
                match account.and_then(|key| places.accounts.get(key)) {
                    Some(account) => PolicyArn::aws_managed(&account.partition, name),
                    None => continue,
                }
            } else {
                let Some((key, _)) = self.named(Named::Policy, spot, policies) else {
                    self.hint_at_aws(text);
                    continue;
                };
                if let Some(account) = account {
                    let clusters = uses.entry(key).or_default().entry(account.clone()).or_default();
                    clusters.extend(bindings.iter().map(|binding| binding.cluster.clone()));
                }
                set.insert(Attachment::Declared(key.clone()));
                continue;
            };
            match arn {
                Ok(arn) => {
                    if let Some(why) = self.out_of_reach(&arn, account, places) {
                        self.refuse(&spot.origin, format!("`{text}` cannot be attached: {why}"));
                    }
                    origins.insert(arn.clone(), spot.origin.clone());
                    set.insert(Attachment::Arn(arn));
                }
                Err(error) => {
                    let hint = "write an ARN, `aws:NAME` for a policy of AWS's own, or a key of `[policies]`";
                    self.refuse(&spot.origin, format!("`{text}` is no managed policy: {error}")).hint =
                        Some(hint.to_owned());
                }
            }
        }
        if set.len() > ATTACHED_MAXIMUM {
            let message = format!("{} managed policies are attached, the limit is {ATTACHED_MAXIMUM}", set.len());
            self.refuse(&raw.origin, message).hint = Some("put several of them into one policy".to_owned());
        }
        set
    }

    /// Names like `AmazonS3ReadOnlyAccess` are AWS's own, and written otherwise.
    fn hint_at_aws(&mut self, text: &str) {
        let slip = self.slips.get(&(Named::Policy, text.to_owned())).is_some_and(Option::is_some);
        if text.starts_with(|c: char| c.is_ascii_uppercase())
            && !slip
            && !self.raw.dropped.contains(text)
            && let Some(last) = self.list.last_mut()
        {
            last.hint = Some(format!("a policy of AWS's own is written `aws:{text}`"));
        }
    }

    fn inline(
        &mut self,
        what: &str,
        raw: &RawRole,
        variables: &Variables,
        documents: &mut Documents<'_>,
    ) -> InlinePolicies {
        let mut inline = InlinePolicies::new();
        for (name, document) in &raw.inline {
            let title = format!("inline policy `{}` of {what}", name.value);
            if name.value.as_str() == TRANSITION {
                self.refuse(&name.origin, format!("{title}: the name is irsa's own, for a role that changes"));
            }
            if let Some(document) = documents.permissions(document, &title, &name.origin, variables) {
                inline.insert(name.value.clone(), document);
            }
        }
        let size: usize = inline.values().map(PolicyDocument::size).sum();
        if size > INLINE_SIZE {
            let message = format!("the inline policies of {what} have {size} characters, the limit is {INLINE_SIZE}");
            self.refuse(&raw.origin, message).hint = Some("make one of them a managed policy: `[policies]`".to_owned());
        }
        inline
    }

    /// The extra trust statements; with the generated ones, where their issuers are declared, they must fit.
    fn trust(
        &mut self,
        what: &str,
        raw: &RawRole,
        (bindings, account): (&[Binding], Option<&Key>),
        places: &Places,
        (variables, documents): (&Variables, &mut Documents<'_>),
    ) -> Vec<Statement> {
        let mut extra = documents.statements(&raw.trust, PolicyKind::Trust, variables).unwrap_or_default();
        // the order of statements means nothing; this one does not depend on the order of tables
        extra.sort_by(|one, other| one.text().cmp(other.text()));
        let grants = grants(bindings, account, places);
        if extra.is_empty() && grants.is_empty() {
            return extra;
        }
        let size = trust::build(&grants, &extra).size();
        if let Some(advice) = budget::trust_advice(size, TRUST_SIZE_MAXIMUM) {
            let message =
                format!("the trust policy of {what} has {size} characters, the limit is {TRUST_SIZE_MAXIMUM}");
            self.push(Diagnostic::at(&raw.origin, message).hint(advice));
        }
        extra
    }
}

/// The grants whose issuer is declared; the others are not known before the clusters are asked.
fn grants(bindings: &[Binding], account: Option<&Key>, places: &Places) -> BTreeSet<Grant> {
    let Some(account) = account.and_then(|key| places.accounts.get(key)) else { return BTreeSet::new() };
    let known = bindings.iter().filter_map(|binding| {
        let cluster = places.clusters.get(&binding.cluster)?;
        let issuer = cluster.issuer.as_ref().filter(|_| cluster.state == ClusterState::Active)?;
        Some(Grant {
            provider: ProviderArn::of(&account.partition, &account.id, issuer),
            audience: binding.effective_audience().to_owned(),
            subject: binding.subject.claim(),
        })
    });
    known.collect()
}

fn patterns(spots: &[Spot<String>]) -> Vec<Pattern> {
    let set: BTreeSet<Pattern> = spots.iter().map(|spot| Pattern::new(spot.value.as_str())).collect();
    set.into_iter().collect()
}

/// Every key is a name that IAM takes.
fn name_of(key: &Key) -> RoleName {
    RoleName::parse(key.as_str()).unwrap_or_else(|error| unreachable!("{error}"))
}
