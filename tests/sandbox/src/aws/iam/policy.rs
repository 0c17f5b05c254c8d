//! Managed policies of the account, and the lookup of these and AWS's policies by ARN.

use super::document::AcceptedPolicy;
use super::managed::{self, AwsPolicy};
use super::page::Page;
use super::tags::Tags;
use super::{Answer, Checks, Iam, date, exists, fold, in_use, invalid_input, limit, no_such_entity, quota};
use crate::aws::query::{AwsError, Params, Xml};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// A customer managed policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) arn: String,
    pub(super) id: String,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) description: String,
    pub(super) tags: Tags,
    /// The versions by number: `v3` is 3.
    pub(super) versions: BTreeMap<u32, Version>,
    pub(super) default: u32,
    /// The number of the next version. Numbers are never reused.
    pub(super) next: u32,
}

/// One version of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) document: AcceptedPolicy,
    pub(super) created: Timestamp,
}

/// A policy ARN, resolved to its owner. The policy need not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reference<'a> {
    /// A customer managed policy, by case-folded name.
    Local(&'a str),
    /// An AWS managed policy. None if it does not exist.
    Aws(Option<&'static AwsPolicy>),
}

/// An existing managed policy.
#[derive(Debug, Clone, Copy)]
pub(super) enum Managed<'a> {
    Local(&'a Policy),
    Aws(&'static AwsPolicy),
}

pub(super) fn no_policy(arn: &str) -> AwsError {
    no_such_entity(format!("Policy {arn} was not found."))
}

/// The error for changing an AWS managed policy.
fn aws_managed_error(arn: &str) -> AwsError {
    AwsError::new(403, "AccessDenied", format!("The AWS managed policy {arn} cannot be changed."))
}

impl Managed<'_> {
    fn path(&self) -> &str {
        match self {
            Self::Local(policy) => &policy.path,
            Self::Aws(policy) => &policy.path,
        }
    }
}

impl Iam {
    /// Parses a policy ARN. Does not check whether the policy exists.
    pub(super) fn reference<'a>(&self, arn: &'a str) -> Result<Reference<'a>, AwsError> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let bad = || invalid_input(format!("ARN {arn} is not valid."));
        let ["arn", partition, "iam", "", account, resource] = parts[..] else { return Err(bad()) };
        let Some(resource) = resource.strip_prefix("policy").filter(|rest| rest.starts_with('/')) else {
            return Err(bad());
        };
        match account {
            _ if partition != self.partition => Err(bad()),
            "aws" => Ok(Reference::Aws(AwsPolicy::find(resource))),
            _ if account == self.account => Ok(Reference::Local(resource.rsplit('/').next().unwrap_or_default())),
            _ if account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) => {
                Err(invalid_input("Policy is outside your own account."))
            }
            _ => Err(bad()),
        }
    }

    pub(super) fn local_policy(&self, arn: &str) -> Option<&Policy> {
        let name = arn.rsplit('/').next()?;
        self.policies.get(&fold(name)).filter(|policy| policy.arn == arn)
    }

    /// Finds a policy of either owner.
    pub(super) fn policy(&self, arn: &str) -> Result<Managed<'_>, AwsError> {
        let found = match self.reference(arn)? {
            Reference::Local(_) => self.local_policy(arn).map(Managed::Local),
            Reference::Aws(policy) => policy.map(Managed::Aws),
        };
        found.ok_or_else(|| no_policy(arn))
    }

    /// Finds a customer managed policy to change it.
    pub(super) fn policy_mut(&mut self, arn: &str) -> Result<&mut Policy, AwsError> {
        let Reference::Local(name) = self.reference(arn)? else { return Err(aws_managed_error(arn)) };
        self.policies.get_mut(&fold(name)).filter(|policy| policy.arn == arn).ok_or_else(|| no_policy(arn))
    }

    pub(super) fn check_policy(&self, text: &str) -> Result<AcceptedPolicy, AwsError> {
        let stored = AcceptedPolicy::identity(text)?;
        let most = self.quotas.of(quota::MANAGED_SIZE);
        if stored.size > most {
            return Err(limit(format!("Cannot exceed quota for PolicySize: {most}")));
        }
        Ok(stored)
    }

    pub(super) fn users_of(&self, arn: &str) -> (usize, usize) {
        let count = |users: &BTreeMap<String, BTreeSet<String>>| users.get(arn).map_or(0, BTreeSet::len);
        (count(&self.attachments), count(&self.boundaries))
    }

    /// Writes a policy. `listed` omits description and tags, as list responses do
    /// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListPolicies.html>).
    pub(super) fn write_policy(&self, xml: &mut Xml, policy: Managed<'_>, listed: bool) {
        let (name, id, arn, path, version) = match policy {
            Managed::Local(policy) => {
                (&policy.name, &policy.id, policy.arn.clone(), &policy.path, format!("v{}", policy.default))
            }
            Managed::Aws(policy) => {
                (&policy.name, &policy.id, policy.arn(&self.partition), &policy.path, policy.version.clone())
            }
        };
        let (attached, bounded) = self.users_of(&arn);
        xml.element("PolicyName", name)
            .element("PolicyId", id)
            .element("Arn", &arn)
            .element("Path", path)
            .element("DefaultVersionId", version)
            .element("AttachmentCount", attached.to_string())
            .element("PermissionsBoundaryUsageCount", bounded.to_string());
        let (attachable, created, updated) = match policy {
            Managed::Local(policy) => (true, date(policy.created), date(policy.updated)),
            Managed::Aws(policy) => (policy.attachable(), policy.created.clone(), policy.updated.clone()),
        };
        xml.element("IsAttachable", if attachable { "true" } else { "false" });
        if let (Managed::Local(policy), false) = (policy, listed) {
            if !policy.description.is_empty() {
                xml.element("Description", &policy.description);
            }
            policy.tags.write(xml);
        }
        xml.element("CreateDate", created).element("UpdateDate", updated);
    }

    pub(super) fn create_policy(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (name, path) = (checks.name("PolicyName", 128), checks.path());
        let document = checks.document("PolicyDocument");
        let description = checks.description();
        let tags = checks.tags();
        checks.finish()?;
        if self.policies.contains_key(&fold(name)) {
            return Err(exists(format!("A policy called {name} already exists. Duplicate names are not allowed.")));
        }
        let document = self.check_policy(document)?;
        let most = self.quotas.of(quota::POLICIES);
        if self.policies.len() >= most {
            return Err(limit(format!("Cannot exceed quota for PoliciesPerAccount: {most}")));
        }
        let created = self.time();
        let policy = Policy {
            name: name.to_owned(),
            path: path.to_owned(),
            arn: self.arn("policy", path, name),
            id: self.unique_id("ANPA"),
            created,
            updated: created,
            description: description.unwrap_or_default().to_owned(),
            tags: Tags::of(tags),
            versions: BTreeMap::from([(1, Version { document, created })]),
            default: 1,
            next: 2,
        };
        let mut xml = Xml::new();
        xml.nest("Policy", |xml| self.write_policy(xml, Managed::Local(&policy), false));
        self.policies.insert(fold(name), policy);
        Ok(Some(xml))
    }

    pub(super) fn get_policy(&self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let arn = checks.arn("PolicyArn");
        checks.finish()?;
        let policy = self.policy(arn)?;
        let mut xml = Xml::new();
        xml.nest("Policy", |xml| self.write_policy(xml, policy, false));
        Ok(Some(xml))
    }

    pub(super) fn list_policies(&self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let scope = checks.one_of("Scope", &["All", "AWS", "Local"]).unwrap_or("All");
        let usage = checks.one_of("PolicyUsageFilter", &["PermissionsPolicy", "PermissionsBoundary"]);
        let prefix = checks.path_prefix();
        checks.finish()?;
        let only_attached = params.flag("OnlyAttached")?.unwrap_or(false);
        let wanted = |policy: &Managed<'_>| {
            let arn = match policy {
                Managed::Local(policy) => policy.arn.clone(),
                Managed::Aws(policy) => policy.arn(&self.partition),
            };
            let (attached, bounded) = self.users_of(&arn);
            let used = match usage {
                Some("PermissionsBoundary") => bounded > 0,
                Some(_) => attached > 0,
                None => !only_attached || attached + bounded > 0,
            };
            used && policy.path().starts_with(prefix)
        };
        let page = Page::read(params, "ListPolicies")?;
        let aws = page.rest(&managed::POLICIES, "a").map(|(key, policy)| (key, Managed::Aws(policy)));
        let local = page.rest(&self.policies, "b").map(|(key, policy)| (key, Managed::Local(policy)));
        let window = page.through(
            aws.filter(|_| scope != "Local")
                .chain(local.filter(|_| scope != "AWS"))
                .filter(|(_, policy)| wanted(policy)),
        );
        let mut xml = Xml::new();
        xml.members("Policies", window.items(), |xml, (_, policy)| self.write_policy(xml, *policy, true));
        window.write_end(&mut xml);
        Ok(Some(xml))
    }

    pub(super) fn delete_policy(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let arn = checks.arn("PolicyArn");
        checks.finish()?;
        let versions = self.policy_mut(arn)?.versions.len();
        if self.users_of(arn) != (0, 0) {
            return Err(in_use("Cannot delete a policy attached to entities."));
        }
        if versions > 1 {
            return Err(in_use(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's \
                 versions. The default version is deleted with the policy.",
            ));
        }
        self.policies.remove(&fold(arn.rsplit('/').next().unwrap_or_default()));
        Ok(None)
    }

    pub(super) fn tag_policy(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (arn, tags) = (checks.arn("PolicyArn"), checks.tags());
        checks.finish()?;
        self.policy_mut(arn)?.tags.set(tags)?;
        Ok(None)
    }

    pub(super) fn untag_policy(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (arn, keys) = (checks.arn("PolicyArn"), checks.tag_keys());
        checks.finish()?;
        self.policy_mut(arn)?.tags.unset(&keys);
        Ok(None)
    }

    pub(super) fn list_policy_tags(&self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let arn = checks.arn("PolicyArn");
        checks.finish()?;
        match self.policy(arn)? {
            Managed::Local(policy) => policy.tags.list(params, "ListPolicyTags"),
            Managed::Aws(_) => Tags::default().list(params, "ListPolicyTags"),
        }
    }
}
