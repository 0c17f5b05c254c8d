//! Versions of managed policies: at most five, with numbers that are never reused, one of them the default.

use super::page::Page;
use super::policy::{Managed, Policy, Version};
use super::{Answer, Checks, Iam, date, in_use, limit, no_such_entity, quota};
use crate::aws::query::{AwsError, Params, Xml};
use std::collections::BTreeMap;

fn no_version(arn: &str, version: &str) -> AwsError {
    no_such_entity(format!("Policy {arn} version {version} does not exist or is not attachable."))
}

/// Parses a version id. `v3` is 3; so is `v3.anything` in IAM.
fn number(text: &str) -> Option<u32> {
    text.strip_prefix('v')?.parse().ok()
}

impl<'a> Checks<'a> {
    fn version(&mut self) -> &'a str {
        let version = self.required("VersionId", 1, 128);
        if !version.is_empty() && number(version).is_none() {
            let pattern = r"satisfy regular expression pattern: v[1-9][0-9]*(\.[A-Za-z0-9-]*)?";
            self.fault("VersionId", version, pattern);
        }
        version
    }
}

impl Policy {
    fn write_version(&self, xml: &mut Xml, number: u32, version: &Version, with_document: bool) {
        if with_document {
            xml.element("Document", &version.document.encoded);
        }
        xml.element("VersionId", format!("v{number}"))
            .element("IsDefaultVersion", if number == self.default { "true" } else { "false" })
            .element("CreateDate", date(version.created));
    }

    /// Writes all versions, newest first, as GetAccountAuthorizationDetails returns them.
    pub(super) fn write_versions(&self, xml: &mut Xml) {
        xml.members("PolicyVersionList", self.versions.iter().rev(), |xml, (number, version)| {
            self.write_version(xml, *number, version, true);
        });
    }
}

impl Iam {
    pub(super) fn create_version(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (arn, document) = (checks.arn("PolicyArn"), checks.document("PolicyDocument"));
        checks.finish()?;
        let default = params.flag("SetAsDefault")?.unwrap_or(false);
        self.policy_mut(arn)?;
        let document = self.check_policy(document)?;
        let (most, created) = (self.quotas.of(quota::VERSIONS), self.time());
        let policy = self.policy_mut(arn)?;
        if policy.versions.len() >= most {
            return Err(limit(format!(
                "A managed policy can have up to {most} versions. Before you create a new version, you must delete an \
                 existing version."
            )));
        }
        let number = policy.next;
        policy.next += 1;
        policy.updated = created;
        if default {
            policy.default = number;
        }
        let mut xml = Xml::new();
        let version = Version { document, created };
        xml.nest("PolicyVersion", |xml| policy.write_version(xml, number, &version, false));
        policy.versions.insert(number, version);
        Ok(Some(xml))
    }

    pub(super) fn get_version(&self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (arn, id) = (checks.arn("PolicyArn"), checks.version());
        checks.finish()?;
        let mut xml = Xml::new();
        match self.policy(arn)? {
            Managed::Local(policy) => {
                let found = number(id).and_then(|number| policy.versions.get_key_value(&number));
                let (number, version) = found.ok_or_else(|| no_version(arn, id))?;
                xml.nest("PolicyVersion", |xml| policy.write_version(xml, *number, version, true));
            }
            Managed::Aws(policy) if policy.version == id => {
                let document = policy.encoded(&self.partition);
                xml.nest("PolicyVersion", |xml| policy.write_version(xml, Some(&document)));
            }
            Managed::Aws(_) => return Err(no_version(arn, id)),
        }
        Ok(Some(xml))
    }

    pub(super) fn list_versions(&self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let arn = checks.arn("PolicyArn");
        checks.finish()?;
        let page = Page::read(params, "ListPolicyVersions")?;
        let mut xml = Xml::new();
        match self.policy(arn)? {
            Managed::Local(policy) => {
                // The list shows the newest version first, so the keys count down.
                let newest_first = |number: u32| format!("{:010}", u32::MAX - number);
                let table: BTreeMap<String, _> = policy
                    .versions
                    .iter()
                    .map(|(number, version)| (newest_first(*number), (*number, version)))
                    .collect();
                let window = page.of(&table, |_| true);
                xml.members("Versions", window.items(), |xml, (_, (number, version))| {
                    policy.write_version(xml, *number, version, false);
                });
                window.write_end(&mut xml);
            }
            Managed::Aws(policy) => {
                xml.members("Versions", [policy], |xml, policy| policy.write_version(xml, None))
                    .element("IsTruncated", "false");
            }
        }
        Ok(Some(xml))
    }

    pub(super) fn set_default_version(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (arn, id) = (checks.arn("PolicyArn"), checks.version());
        checks.finish()?;
        let updated = self.time();
        let policy = self.policy_mut(arn)?;
        let found = number(id).filter(|number| policy.versions.contains_key(number));
        policy.default = found.ok_or_else(|| no_version(arn, id))?;
        policy.updated = updated;
        Ok(None)
    }

    pub(super) fn delete_version(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (arn, id) = (checks.arn("PolicyArn"), checks.version());
        checks.finish()?;
        let updated = self.time();
        let policy = self.policy_mut(arn)?;
        let number = number(id).filter(|number| policy.versions.contains_key(number));
        let number = number.ok_or_else(|| no_version(arn, id))?;
        if number == policy.default {
            return Err(in_use("Cannot delete the default version of a policy."));
        }
        policy.versions.remove(&number);
        policy.updated = updated;
        Ok(None)
    }
}
