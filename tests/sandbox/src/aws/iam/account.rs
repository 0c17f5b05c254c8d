//! Operations on the whole account: GetAccountSummary and GetAccountAuthorizationDetails.
//!
//! GetAccountAuthorizationDetails returns roles with boundary and policies, but without description and session
//! duration (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html>).

use super::attach::name_and_path;
use super::managed::{self, AwsPolicy};
use super::page::{Page, PageItems};
use super::policy::{Managed, Policy};
use super::principals::Principals;
use super::role::Role;
use super::user::User;
use super::{Answer, Checks, Iam};
use crate::aws::query::{Params, Xml};

const FILTERS: &[&str] = &["User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"];

/// An object in GetAccountAuthorizationDetails.
#[derive(Debug, Clone, Copy)]
enum Detail<'a> {
    User(&'a User),
    Role(&'a Role),
    Local(&'a Policy),
    Aws(&'static AwsPolicy),
}

impl Iam {
    pub(super) fn account_summary(&self) -> Xml {
        let count = |what: usize| u32::try_from(what).unwrap_or(u32::MAX);
        let versions = self.policies.values().map(|policy| policy.versions.len()).sum();
        let mut entries: Vec<(&str, u32)> = vec![
            ("AccountAccessKeysPresent", 0),
            ("AccountMFAEnabled", 0),
            ("AccountPasswordPresent", 1),
            ("AccountSigningCertificatesPresent", 0),
            ("GlobalEndpointTokenVersion", 1),
            ("Groups", 0),
            ("InstanceProfiles", count(self.profiles.len())),
            ("MFADevices", 0),
            ("MFADevicesInUse", 0),
            ("Policies", count(self.policies.len())),
            ("PolicyVersionsInUse", count(versions)),
            ("Providers", count(self.providers.len())),
            ("Roles", count(self.roles.len())),
            ("ServerCertificates", 0),
            ("Users", count(self.users.len())),
        ];
        entries.extend(self.quotas.told());
        entries.sort_unstable();
        let mut xml = Xml::new();
        xml.nest("SummaryMap", |xml| {
            for (key, value) in entries {
                xml.nest("entry", |xml| {
                    xml.element("key", key).element("value", value.to_string());
                });
            }
        });
        xml
    }

    /// GetAccountAuthorizationDetails. Of AWS's policies it returns only those in use.
    pub(super) fn authorization_details(&self, params: &Params, directory: &Principals) -> Answer {
        let filter = params.list("Filter");
        let mut checks = Checks::on(params);
        for (index, kind) in (1..).zip(&filter) {
            if !FILTERS.contains(kind) {
                let constraint = format!("satisfy enum value set: [{}]", FILTERS.join(", "));
                checks.fault(&format!("filter.{index}.member"), kind, &constraint);
            }
        }
        checks.finish()?;
        let page = Page::read(params, "GetAccountAuthorizationDetails")?;
        let wanted = |kind: &str| filter.is_empty() || filter.contains(&kind);
        let users = page.rest(&self.users, "a").map(|(key, user)| (key, Detail::User(user)));
        let roles = page.rest(&self.roles, "b").map(|(key, role)| (key, Detail::Role(role)));
        let local = page.rest(&self.policies, "c").map(|(key, policy)| (key, Detail::Local(policy)));
        let aws = page.rest(&managed::POLICIES, "d").map(|(key, policy)| (key, Detail::Aws(policy)));
        let window = page.through(
            users
                .filter(|_| wanted("User"))
                .chain(roles.filter(|_| wanted("Role")))
                .chain(local.filter(|_| wanted("LocalManagedPolicy")))
                .chain(aws.filter(|_| wanted("AWSManagedPolicy")))
                .filter(|(_, detail)| self.is_included(detail)),
        );
        Ok(Some(self.write_details(&window, directory)))
    }

    fn is_included(&self, detail: &Detail<'_>) -> bool {
        match detail {
            Detail::Aws(policy) => self.users_of(&policy.arn(&self.partition)) != (0, 0),
            Detail::User(_) | Detail::Role(_) | Detail::Local(_) => true,
        }
    }

    fn write_details(&self, window: &PageItems<Detail<'_>>, directory: &Principals) -> Xml {
        let details = || window.items().map(|(_, detail)| *detail);
        let mut xml = Xml::new();
        let users = details().filter_map(|detail| if let Detail::User(user) = detail { Some(user) } else { None });
        xml.members("UserDetailList", users, |xml, user| {
            user.write(xml);
            xml.texts("GroupList", [""; 0]).texts("AttachedManagedPolicies", [""; 0]);
            user.tags.write(xml);
        });
        xml.texts("GroupDetailList", [""; 0]);
        let roles = details().filter_map(|detail| if let Detail::Role(role) = detail { Some(role) } else { None });
        xml.members("RoleDetailList", roles, |xml, role| self.write_role_detail(xml, role, directory));
        let policies = details().filter_map(|detail| match detail {
            Detail::Local(policy) => Some(Managed::Local(policy)),
            Detail::Aws(policy) => Some(Managed::Aws(policy)),
            Detail::User(_) | Detail::Role(_) => None,
        });
        xml.members("Policies", policies, |xml, policy| {
            self.write_policy(xml, policy, true);
            match policy {
                Managed::Local(policy) => policy.write_versions(xml),
                Managed::Aws(policy) => policy.write_versions(xml, &self.partition),
            }
        });
        window.write_end(&mut xml);
        xml
    }

    fn write_role_detail(&self, xml: &mut Xml, role: &Role, directory: &Principals) {
        role.write_head(xml, &self.view(directory));
        let profiles = role.profiles.iter().filter_map(|profile| self.profiles.get(profile));
        xml.members("InstanceProfileList", profiles, |xml, profile| self.write_profile(xml, profile, directory));
        xml.members("RolePolicyList", &role.inline, |xml, (name, stored)| {
            xml.element("PolicyName", name).element("PolicyDocument", &stored.encoded);
        });
        xml.members("AttachedManagedPolicies", &role.attached, |xml, arn| {
            xml.element("PolicyName", name_and_path(arn).0).element("PolicyArn", arn);
        });
        role.write_boundary(xml);
        role.tags.write(xml);
        role.write_last_used(xml);
    }
}
