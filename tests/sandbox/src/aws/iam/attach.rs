//! Managed policies attached to roles, and the users of a policy.

use super::page::Page;
use super::policy::Reference;
use super::{Answer, Checks, Iam, fold, limit, no_such_entity, quota};
use crate::aws::query::{AwsError, Params, Xml};
use std::collections::{BTreeMap, BTreeSet};

/// The name and path in a policy ARN.
pub(super) fn name_and_path(arn: &str) -> (String, String) {
    let rest = arn.split_once(":policy").map_or(arn, |(_, rest)| rest);
    let (path, name) = rest.rsplit_once('/').unwrap_or(("", rest));
    (name.to_owned(), format!("{path}/"))
}

impl Iam {
    /// Checks that a policy exists and can be attached to a role.
    fn check_attachable(&self, arn: &str) -> Result<(), AwsError> {
        let nowhere = || no_such_entity(format!("Policy {arn} does not exist or is not attachable."));
        match self.reference(arn)? {
            Reference::Local(_) => self.local_policy(arn).map(|_| ()).ok_or_else(nowhere),
            Reference::Aws(None) => Err(nowhere()),
            Reference::Aws(Some(policy)) if policy.attachable() => Ok(()),
            Reference::Aws(Some(_)) => {
                let text = "Cannot attach a Service Role Policy to a Customer Role.";
                Err(AwsError::new(400, "PolicyNotAttachable", text))
            }
        }
    }

    pub(super) fn attach(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (name, arn) = (checks.name("RoleName", 64), checks.arn("PolicyArn"));
        checks.finish()?;
        self.open_role(name)?;
        self.check_attachable(arn)?;
        let most = self.quotas.of(quota::ATTACHED);
        let role = self.open_role(name)?;
        if !role.attached.contains(arn) {
            if role.attached.len() >= most {
                return Err(limit(format!("Cannot exceed quota for PoliciesPerRole: {most}")));
            }
            role.attached.insert(arn.to_owned());
            self.attachments.entry(arn.to_owned()).or_default().insert(fold(name));
        }
        Ok(None)
    }

    pub(super) fn detach(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (name, arn) = (checks.name("RoleName", 64), checks.arn("PolicyArn"));
        checks.finish()?;
        self.open_role(name)?;
        self.reference(arn)?;
        if !self.open_role(name)?.attached.remove(arn) {
            return Err(no_such_entity(format!("Policy {arn} was not found.")));
        }
        if let Some(users) = self.attachments.get_mut(arn) {
            users.remove(&fold(name));
        }
        Ok(None)
    }

    pub(super) fn list_attached(&self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (name, prefix) = (checks.name("RoleName", 64), checks.path_prefix());
        checks.finish()?;
        let attached = self.role(name)?.attached.iter().map(|arn| (name_and_path(arn), arn));
        // A customer managed policy can have the name of an AWS managed one, so the key also contains the ARN.
        let table: BTreeMap<String, _> = attached
            .filter(|((_, path), _)| path.starts_with(prefix))
            .map(|((name, _), arn)| (format!("{name}\t{arn}"), (name, arn)))
            .collect();
        let window = Page::read(params, "ListAttachedRolePolicies")?.of(&table, |_| true);
        let mut xml = Xml::new();
        xml.members("AttachedPolicies", window.items(), |xml, (_, (name, arn))| {
            xml.element("PolicyName", name).element("PolicyArn", arn);
        });
        window.write_end(&mut xml);
        Ok(Some(xml))
    }

    pub(super) fn list_entities(&self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let arn = checks.arn("PolicyArn");
        let kinds = ["User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"];
        let kind = checks.one_of("EntityFilter", &kinds);
        let usage = checks.one_of("PolicyUsageFilter", &["PermissionsPolicy", "PermissionsBoundary"]);
        let prefix = checks.path_prefix();
        checks.finish()?;
        self.policy(arn)?;
        let none = BTreeSet::new();
        let attached = self.attachments.get(arn).filter(|_| usage != Some("PermissionsBoundary")).unwrap_or(&none);
        let bounded = self.boundaries.get(arn).filter(|_| usage != Some("PermissionsPolicy")).unwrap_or(&none);
        let table: BTreeMap<String, _> = attached
            .union(bounded)
            .filter(|_| kind.is_none_or(|kind| kind == "Role"))
            .filter_map(|key| self.roles.get(key).map(|role| (key.clone(), role)))
            .filter(|(_, role)| role.path.starts_with(prefix))
            .collect();
        let window = Page::read(params, "ListEntitiesForPolicy")?.of(&table, |_| true);
        let mut xml = Xml::new();
        xml.texts("PolicyGroups", none.iter()).texts("PolicyUsers", none.iter());
        xml.members("PolicyRoles", window.items(), |xml, (_, role)| {
            xml.element("RoleName", &role.name).element("RoleId", &role.id);
        });
        window.write_end(&mut xml);
        Ok(Some(xml))
    }
}
