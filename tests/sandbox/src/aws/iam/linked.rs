//! Service-linked roles: AWS gives them their path and name, and only AWS can change them
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html>).

use super::principals::Principals;
use super::role::Role;
use super::tags::Tags;
use super::trust::Trust;
use super::{Answer, Checks, Iam, fold, invalid_input, no_such_entity};
use crate::aws::query::{Params, Xml};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// For each service: the role's name, its policy, and whether a custom suffix is allowed.
const SERVICES: &[(&str, &str, Option<&str>, bool)] = &[
    ("autoscaling.amazonaws.com", "AWSServiceRoleForAutoScaling", None, true),
    ("eks-fargate.amazonaws.com", "AWSServiceRoleForAmazonEKSForFargate", None, false),
    ("eks-nodegroup.amazonaws.com", "AWSServiceRoleForAmazonEKSNodegroup", None, false),
    ("eks.amazonaws.com", "AWSServiceRoleForAmazonEKS", Some("AmazonEKSServiceRolePolicy"), false),
    ("elasticloadbalancing.amazonaws.com", "AWSServiceRoleForElasticLoadBalancing", None, false),
    ("spot.amazonaws.com", "AWSServiceRoleForEC2Spot", None, false),
];

impl Iam {
    pub(super) fn create_linked(&mut self, params: &Params, directory: &Principals) -> Answer {
        let mut checks = Checks::on(params);
        let service = checks.required("AWSServiceName", 1, 128);
        let description = checks.description().unwrap_or_default();
        let suffix = checks.optional("CustomSuffix", 1, 64);
        checks.finish()?;
        let Some((_, name, policy, suffixed)) = SERVICES.iter().find(|(known, ..)| *known == service) else {
            return Err(invalid_input(format!("Service-linked roles are not supported for {service}")));
        };
        if suffix.is_some() && !suffixed {
            return Err(invalid_input(format!("Custom suffix is not allowed for {service}")));
        }
        let name = suffix.map_or_else(|| (*name).to_owned(), |suffix| format!("{name}_{suffix}"));
        if self.roles.contains_key(&fold(&name)) {
            let text =
                format!("Service role name {name} has been taken in this account, please try a different suffix.");
            return Err(invalid_input(text));
        }
        let trust = format!(
            "{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Allow\",\"Principal\":{{\"Service\":\
             \"{service}\"}},\"Action\":\"sts:AssumeRole\"}}]}}"
        );
        let path = format!("/aws-service-role/{service}/");
        let attached = policy.map(|policy| format!("arn:{}:iam::aws:policy/aws-service-role/{policy}", self.partition));
        let role = Role {
            arn: self.arn("role", &path, &name),
            id: self.unique_id("AROA"),
            created: self.time(),
            description: description.to_owned(),
            max_session: 3600,
            trust: Trust::read(&trust, &self.view(directory))?,
            boundary: None,
            tags: Tags::default(),
            attached: attached.iter().cloned().collect::<BTreeSet<_>>(),
            inline: BTreeMap::new(),
            profiles: BTreeSet::new(),
            last_used: None,
            linked: true,
            unsettled: Cell::default(),
            name: name.clone(),
            path,
        };
        if let Some(arn) = attached {
            self.attachments.entry(arn).or_default().insert(fold(&name));
        }
        Ok(Some(self.enter_role(role, None, directory)))
    }

    pub(super) fn delete_linked(&mut self, params: &Params, directory: &Principals) -> Answer {
        let mut checks = Checks::on(params);
        let name = checks.name("RoleName", 64);
        checks.finish()?;
        let role = self.role(name)?;
        if !role.linked {
            return Err(invalid_input(format!("{name} is not a service-linked role.")));
        }
        let task = format!("task{}{}/{}", role.path, role.name, role.id);
        self.take_role(name, directory);
        let mut xml = Xml::new();
        xml.element("DeletionTaskId", &task);
        self.deletions.insert(task);
        Ok(Some(xml))
    }

    /// GetServiceLinkedRoleDeletionStatus. Deletions complete at once.
    pub(super) fn linked_deletion(&self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let task = checks.required("DeletionTaskId", 1, 1000);
        checks.finish()?;
        if !self.deletions.contains(task) {
            return Err(no_such_entity(format!("Deletion task {task} cannot be found.")));
        }
        let mut xml = Xml::new();
        xml.element("Status", "SUCCEEDED");
        Ok(Some(xml))
    }
}
