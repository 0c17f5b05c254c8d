//! Instance profiles. Each holds at most one role, which cannot be deleted meanwhile.

use super::page::{Page, PageItems};
use super::principals::Principals;
use super::role::RoleResponse;
use super::tags::Tags;
use super::{Answer, Checks, Iam, date, exists, fold, in_use, limit, no_such_entity, quota};
use crate::aws::query::{AwsError, Params, Xml};
use jiff::Timestamp;

/// An instance profile.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) arn: String,
    pub(super) id: String,
    pub(super) created: Timestamp,
    /// The case-folded name of the role.
    pub(super) role: Option<String>,
    pub(super) tags: Tags,
}

fn no_profile(name: &str) -> AwsError {
    no_such_entity(format!("Instance Profile {name} cannot be found."))
}

impl Iam {
    fn profile(&self, name: &str) -> Result<&Profile, AwsError> {
        self.profiles.get(&fold(name)).ok_or_else(|| no_profile(name))
    }

    fn profile_mut(&mut self, name: &str) -> Result<&mut Profile, AwsError> {
        self.profiles.get_mut(&fold(name)).ok_or_else(|| no_profile(name))
    }

    pub(super) fn write_profile(&self, xml: &mut Xml, profile: &Profile, directory: &Principals) {
        let role = profile.role.as_ref().and_then(|role| self.roles.get(role));
        xml.element("Path", &profile.path)
            .element("InstanceProfileName", &profile.name)
            .element("InstanceProfileId", &profile.id)
            .element("Arn", &profile.arn)
            .element("CreateDate", date(profile.created))
            .members("Roles", role, |xml, role| role.write(xml, RoleResponse::List, &self.view(directory)));
        profile.tags.write(xml);
    }

    fn write_profiles(&self, window: &PageItems<&Profile>, directory: &Principals) -> Xml {
        let mut xml = Xml::new();
        xml.members("InstanceProfiles", window.items(), |xml, (_, profile)| {
            self.write_profile(xml, profile, directory);
        });
        window.write_end(&mut xml);
        xml
    }

    pub(super) fn create_profile(&mut self, params: &Params, directory: &Principals) -> Answer {
        let mut checks = Checks::on(params);
        let (name, path, tags) = (checks.name("InstanceProfileName", 128), checks.path(), checks.tags());
        checks.finish()?;
        if self.profiles.contains_key(&fold(name)) {
            return Err(exists(format!("Instance Profile {name} already exists.")));
        }
        let most = self.quotas.of(quota::PROFILES);
        if self.profiles.len() >= most {
            return Err(limit(format!("Cannot exceed quota for InstanceProfilesPerAccount: {most}")));
        }
        let profile = Profile {
            name: name.to_owned(),
            path: path.to_owned(),
            arn: self.arn("instance-profile", path, name),
            id: self.unique_id("AIPA"),
            created: self.time(),
            role: None,
            tags: Tags::of(tags),
        };
        let mut xml = Xml::new();
        xml.nest("InstanceProfile", |xml| self.write_profile(xml, &profile, directory));
        self.profiles.insert(fold(name), profile);
        Ok(Some(xml))
    }

    pub(super) fn get_profile(&self, params: &Params, directory: &Principals) -> Answer {
        let mut checks = Checks::on(params);
        let name = checks.name("InstanceProfileName", 128);
        checks.finish()?;
        let profile = self.profile(name)?;
        let mut xml = Xml::new();
        xml.nest("InstanceProfile", |xml| self.write_profile(xml, profile, directory));
        Ok(Some(xml))
    }

    pub(super) fn list_profiles(&self, params: &Params, directory: &Principals) -> Answer {
        let mut checks = Checks::on(params);
        let prefix = checks.path_prefix();
        checks.finish()?;
        let page = Page::read(params, "ListInstanceProfiles")?;
        let window = page.of(&self.profiles, |profile| profile.path.starts_with(prefix));
        Ok(Some(self.write_profiles(&window, directory)))
    }

    pub(super) fn list_profiles_for_role(&self, params: &Params, directory: &Principals) -> Answer {
        let mut checks = Checks::on(params);
        let name = checks.name("RoleName", 64);
        checks.finish()?;
        let role = self.role(name)?;
        let page = Page::read(params, "ListInstanceProfilesForRole")?;
        let of_role = page.rest(&self.profiles, "").filter(|(key, _)| role.profiles.contains(key));
        Ok(Some(self.write_profiles(&page.through(of_role), directory)))
    }

    pub(super) fn add_to_profile(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (profile, name) = (checks.name("InstanceProfileName", 128), checks.name("RoleName", 64));
        checks.finish()?;
        let taken = self.profile(profile)?.role.is_some();
        self.open_role(name)?;
        if taken {
            return Err(limit("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1"));
        }
        self.open_role(name)?.profiles.insert(fold(profile));
        self.profile_mut(profile)?.role = Some(fold(name));
        Ok(None)
    }

    pub(super) fn remove_from_profile(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (profile, name) = (checks.name("InstanceProfileName", 128), checks.name("RoleName", 64));
        checks.finish()?;
        self.role(name)?;
        let held = &mut self.profile_mut(profile)?.role;
        if held.as_deref() != Some(fold(name).as_str()) {
            return Err(no_such_entity(format!("Role {name} is not in instance profile {profile}.")));
        }
        *held = None;
        self.open_role(name)?.profiles.remove(&fold(profile));
        Ok(None)
    }

    pub(super) fn delete_profile(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let name = checks.name("InstanceProfileName", 128);
        checks.finish()?;
        if self.profile(name)?.role.is_some() {
            return Err(in_use("Cannot delete entity, must remove roles from instance profile first."));
        }
        self.profiles.remove(&fold(name));
        Ok(None)
    }
}
