//! Roles: trust policy, description, session duration, permissions boundary and tags.
//!
//! As in AWS, the fields in a response depend on the operation: lists have no boundary, tags or last use
//! (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListRoles.html>).

use super::document::size;
use super::managed::AwsPolicy;
use super::page::Page;
use super::policy::Reference;
use super::principals::Principals;
use super::tags::Tags;
use super::trust::{PrincipalLookup, Trust};
use super::{Answer, Checks, Iam, date, document::AcceptedPolicy, exists, fold, in_use, limit, no_such_entity, quota};
use crate::aws::query::{AwsError, Params, Xml};
use jiff::Timestamp;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) arn: String,
    pub(super) id: String,
    pub(super) created: Timestamp,
    pub(super) description: String,
    pub(super) max_session: u32,
    pub(super) trust: Trust,
    pub(super) boundary: Option<String>,
    pub(super) tags: Tags,
    /// The ARNs of the attached policies.
    pub(super) attached: BTreeSet<String>,
    pub(super) inline: BTreeMap<String, AcceptedPolicy>,
    /// The case-folded names of the instance profiles that contain the role.
    pub(super) profiles: BTreeSet<String>,
    pub(super) last_used: Option<Timestamp>,
    /// Whether the role is service-linked, so that only AWS may change it.
    pub(super) linked: bool,
    /// How many more GetRole calls show the unique id instead of the ARN.
    pub(super) unsettled: Cell<u32>,
}

/// In which response a role appears. This decides which fields it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RoleResponse {
    /// In GetRole.
    Get,
    /// In the response of the call that created it.
    Create,
    /// In a list, or inside an instance profile.
    List,
}

/// The error for changing a service-linked role.
fn service_linked_error(name: &str) -> AwsError {
    let text =
        format!("Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS");
    AwsError::new(400, "UnmodifiableEntity", text)
}

pub(super) fn no_role(name: &str) -> AwsError {
    no_such_entity(format!("The role with name {name} cannot be found."))
}

impl Role {
    pub(super) fn write_boundary(&self, xml: &mut Xml) {
        if let Some(boundary) = &self.boundary {
            xml.nest("PermissionsBoundary", |xml| {
                xml.element("PermissionsBoundaryType", "Policy").element("PermissionsBoundaryArn", boundary);
            });
        }
    }

    /// Writes the last use. GetRole includes the element even if the role was never used; it is then empty.
    pub(super) fn write_last_used(&self, xml: &mut Xml) {
        xml.nest("RoleLastUsed", |xml| {
            if let Some(when) = self.last_used {
                xml.element("LastUsedDate", date(when)).element("Region", "us-east-1");
            }
        });
    }

    pub(super) fn write_head(&self, xml: &mut Xml, known: &dyn PrincipalLookup) {
        self.write_head_as(&self.arn, xml, known);
    }

    fn write_head_as(&self, arn: &str, xml: &mut Xml, known: &dyn PrincipalLookup) {
        xml.element("Path", &self.path)
            .element("RoleName", &self.name)
            .element("RoleId", &self.id)
            .element("Arn", arn)
            .element("CreateDate", date(self.created))
            .element("AssumeRolePolicyDocument", self.trust.encoded(known));
    }

    pub(super) fn write(&self, xml: &mut Xml, shown: RoleResponse, known: &dyn PrincipalLookup) {
        let unsettled = if shown == RoleResponse::Get { self.unsettled.get() } else { 0 };
        self.unsettled.set(self.unsettled.get() - u32::from(unsettled > 0));
        self.write_head_as(if unsettled > 0 { &self.id } else { &self.arn }, xml, known);
        if !self.description.is_empty() {
            xml.element("Description", &self.description);
        }
        xml.element("MaxSessionDuration", self.max_session.to_string());
        if shown != RoleResponse::List {
            self.write_boundary(xml);
            self.tags.write(xml);
        }
        if shown == RoleResponse::Get {
            self.write_last_used(xml);
        }
    }
}

impl Iam {
    pub(super) fn role(&self, name: &str) -> Result<&Role, AwsError> {
        self.roles.get(&fold(name)).ok_or_else(|| no_role(name))
    }

    fn role_mut(&mut self, name: &str) -> Result<&mut Role, AwsError> {
        self.roles.get_mut(&fold(name)).ok_or_else(|| no_role(name))
    }

    /// Finds a role that the caller may change: one that is not service-linked.
    pub(super) fn open_role(&mut self, name: &str) -> Result<&mut Role, AwsError> {
        let role = self.role_mut(name)?;
        if role.linked { Err(service_linked_error(&role.name)) } else { Ok(role) }
    }

    pub(super) fn check_trust(&self, text: &str, known: &dyn PrincipalLookup) -> Result<Trust, AwsError> {
        let trust = Trust::read(text, known)?;
        let most = self.quotas.of(quota::TRUST_SIZE);
        if size(text) > most {
            return Err(limit(format!("Cannot exceed quota for ACLSizePerRole: {most}")));
        }
        Ok(trust)
    }

    /// Checks that a policy can be a permissions boundary.
    fn check_boundary(&self, arn: &str) -> Result<(), AwsError> {
        let there = match self.reference(arn)? {
            Reference::Local(_) => self.local_policy(arn).is_some(),
            Reference::Aws(policy) => policy.is_some_and(AwsPolicy::attachable),
        };
        if there {
            Ok(())
        } else {
            Err(no_such_entity(format!("Scope ARN: {arn} does not exist or is not attachable.")))
        }
    }

    pub(super) fn create_role(&mut self, params: &Params, directory: &Principals) -> Answer {
        let mut checks = Checks::on(params);
        let (path, name) = (checks.path(), checks.name("RoleName", 64));
        let document = checks.document("AssumeRolePolicyDocument");
        let description = checks.description();
        let max_session = checks.integer("MaxSessionDuration", 3600, 43_200).unwrap_or(3600);
        let boundary = params.text("PermissionsBoundary").map(|_| checks.arn("PermissionsBoundary"));
        let tags = checks.tags();
        if path.starts_with("/aws-service-role/") {
            let text =
                "The specified value for path is invalid. Paths that begin with /aws-service-role/ are reserved.";
            checks.refuse(AwsError::new(400, "ValidationError", text));
        }
        checks.finish()?;
        if self.roles.contains_key(&fold(name)) {
            return Err(exists(format!("Role with name {name} already exists.")));
        }
        let trust = self.check_trust(document, &self.view(directory))?;
        if let Some(boundary) = boundary {
            self.check_boundary(boundary)?;
        }
        let most = self.quotas.of(quota::ROLES);
        if self.roles.values().filter(|role| !role.linked).count() >= most {
            return Err(limit(format!("Cannot exceed quota for RolesPerAccount: {most}")));
        }
        let role = Role {
            name: name.to_owned(),
            path: path.to_owned(),
            arn: self.arn("role", path, name),
            id: self.unique_id("AROA"),
            created: self.time(),
            description: description.unwrap_or_default().to_owned(),
            max_session: u32::try_from(max_session).unwrap_or(3600),
            trust,
            boundary: None,
            tags: Tags::of(tags),
            attached: BTreeSet::new(),
            inline: BTreeMap::new(),
            profiles: BTreeSet::new(),
            last_used: None,
            linked: false,
            unsettled: Cell::new(self.unsettled),
        };
        Ok(Some(self.enter_role(role, boundary, directory)))
    }

    /// Adds a new role and returns its XML.
    pub(super) fn enter_role(&mut self, role: Role, boundary: Option<&str>, directory: &Principals) -> Xml {
        let (name, arn, id, unsettled) = (role.name.clone(), role.arn.clone(), role.id.clone(), role.unsettled.get());
        self.roles.insert(fold(&name), role);
        self.set_boundary(&name, boundary);
        directory.enter(&arn, &id, unsettled);
        let mut xml = Xml::new();
        if let Ok(role) = self.role(&name) {
            xml.nest("Role", |xml| role.write(xml, RoleResponse::Create, &self.view(directory)));
        }
        xml
    }

    pub(super) fn get_role(&self, params: &Params, directory: &Principals) -> Answer {
        let mut checks = Checks::on(params);
        let name = checks.name("RoleName", 64);
        checks.finish()?;
        let role = self.role(name)?;
        let mut xml = Xml::new();
        xml.nest("Role", |xml| role.write(xml, RoleResponse::Get, &self.view(directory)));
        Ok(Some(xml))
    }

    pub(super) fn list_roles(&self, params: &Params, directory: &Principals) -> Answer {
        let mut checks = Checks::on(params);
        let prefix = checks.path_prefix();
        checks.finish()?;
        let window = Page::read(params, "ListRoles")?.of(&self.roles, |role| role.path.starts_with(prefix));
        let known = self.view(directory);
        let mut xml = Xml::new();
        xml.members("Roles", window.items(), |xml, (_, role)| role.write(xml, RoleResponse::List, &known));
        window.write_end(&mut xml);
        Ok(Some(xml))
    }

    /// UpdateRole. Without a duration it sets one hour; without a description it keeps the old one
    /// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateRole.html>).
    pub(super) fn update_role(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let name = checks.name("RoleName", 64);
        let description = checks.description();
        let max_session = checks.integer("MaxSessionDuration", 3600, 43_200);
        checks.finish()?;
        let role = self.role_mut(name)?;
        if role.linked && max_session.is_some() {
            return Err(service_linked_error(&role.name));
        }
        if let Some(description) = description {
            description.clone_into(&mut role.description);
        }
        role.max_session = max_session.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(3600);
        Ok(Some(Xml::new()))
    }

    pub(super) fn update_role_description(&mut self, params: &Params, directory: &Principals) -> Answer {
        let mut checks = Checks::on(params);
        let name = checks.name("RoleName", 64);
        checks.required("Description", 0, 1000);
        let description = checks.description().unwrap_or_default();
        checks.finish()?;
        description.clone_into(&mut self.role_mut(name)?.description);
        let role = self.role(name)?;
        let mut xml = Xml::new();
        xml.nest("Role", |xml| role.write(xml, RoleResponse::Create, &self.view(directory)));
        Ok(Some(xml))
    }

    pub(super) fn update_trust(&mut self, params: &Params, directory: &Principals) -> Answer {
        let mut checks = Checks::on(params);
        let name = checks.name("RoleName", 64);
        let document = checks.document("PolicyDocument");
        checks.finish()?;
        self.open_role(name)?;
        let trust = self.check_trust(document, &self.view(directory))?;
        self.open_role(name)?.trust = trust;
        Ok(None)
    }

    /// Sets or removes the permissions boundary, and updates the policy's usage count.
    fn set_boundary(&mut self, name: &str, boundary: Option<&str>) {
        let key = fold(name);
        let Some(role) = self.roles.get_mut(&key) else { return };
        let before = std::mem::replace(&mut role.boundary, boundary.map(str::to_owned));
        if let Some(users) = before.and_then(|before| self.boundaries.get_mut(&before)) {
            users.remove(&key);
        }
        if let Some(boundary) = boundary {
            self.boundaries.entry(boundary.to_owned()).or_default().insert(key);
        }
    }

    pub(super) fn put_boundary(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (name, boundary) = (checks.name("RoleName", 64), checks.arn("PermissionsBoundary"));
        checks.finish()?;
        self.open_role(name)?;
        self.check_boundary(boundary)?;
        self.set_boundary(name, Some(boundary));
        Ok(None)
    }

    pub(super) fn delete_boundary(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let name = checks.name("RoleName", 64);
        checks.finish()?;
        if self.open_role(name)?.boundary.is_none() {
            return Err(no_such_entity(format!("The role with name {name} does not have a permissions boundary.")));
        }
        self.set_boundary(name, None);
        Ok(None)
    }

    pub(super) fn tag_role(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (name, tags) = (checks.name("RoleName", 64), checks.tags());
        checks.finish()?;
        self.role_mut(name)?.tags.set(tags)?;
        Ok(None)
    }

    pub(super) fn untag_role(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (name, keys) = (checks.name("RoleName", 64), checks.tag_keys());
        checks.finish()?;
        self.role_mut(name)?.tags.unset(&keys);
        Ok(None)
    }

    pub(super) fn list_role_tags(&self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let name = checks.name("RoleName", 64);
        checks.finish()?;
        self.role(name)?.tags.list(params, "ListRoleTags")
    }

    pub(super) fn delete_role(&mut self, params: &Params, directory: &Principals) -> Answer {
        let mut checks = Checks::on(params);
        let name = checks.name("RoleName", 64);
        checks.finish()?;
        let role = self.open_role(name)?;
        for (used, text) in [
            (!role.profiles.is_empty(), "Cannot delete entity, must remove roles from instance profile first."),
            (!role.attached.is_empty(), "Cannot delete entity, must detach all policies first."),
            (!role.inline.is_empty(), "Cannot delete entity, must delete policies first."),
        ] {
            if used {
                return Err(in_use(text));
            }
        }
        self.take_role(name, directory);
        Ok(None)
    }

    /// Removes a role and everything that refers to it.
    pub(super) fn take_role(&mut self, name: &str, directory: &Principals) {
        let key = fold(name);
        self.set_boundary(name, None);
        if let Some(role) = self.roles.remove(&key) {
            for arn in &role.attached {
                if let Some(users) = self.attachments.get_mut(arn) {
                    users.remove(&key);
                }
            }
            directory.leave(&role.arn);
        }
    }
}
