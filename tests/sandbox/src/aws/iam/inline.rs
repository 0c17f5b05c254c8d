//! Inline policies of roles. Their sizes count together against one quota.

use super::document::AcceptedPolicy;
use super::page::Page;
use super::{Answer, Checks, Iam, limit, no_such_entity, quota};
use crate::aws::query::{AwsError, Params, Xml};

fn no_policy(name: &str) -> AwsError {
    no_such_entity(format!("The role policy with name {name} cannot be found."))
}

impl Iam {
    pub(super) fn put_inline(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (name, policy) = (checks.name("RoleName", 64), checks.name("PolicyName", 128));
        let document = checks.document("PolicyDocument");
        checks.finish()?;
        let most = self.quotas.of(quota::INLINE_SIZE);
        let role = self.open_role(name)?;
        let stored = AcceptedPolicy::identity(document)?;
        let others: usize = role.inline.iter().filter(|(name, _)| *name != policy).map(|(_, kept)| kept.size).sum();
        if others + stored.size > most {
            return Err(limit(format!("Maximum policy size of {most} bytes exceeded for role {}", role.name)));
        }
        role.inline.insert(policy.to_owned(), stored);
        Ok(None)
    }

    pub(super) fn get_inline(&self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (name, policy) = (checks.name("RoleName", 64), checks.name("PolicyName", 128));
        checks.finish()?;
        let role = self.role(name)?;
        let stored = role.inline.get(policy).ok_or_else(|| no_policy(policy))?;
        let mut xml = Xml::new();
        xml.element("RoleName", &role.name).element("PolicyName", policy).element("PolicyDocument", &stored.encoded);
        Ok(Some(xml))
    }

    pub(super) fn list_inline(&self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let name = checks.name("RoleName", 64);
        checks.finish()?;
        let window = Page::read(params, "ListRolePolicies")?.of(&self.role(name)?.inline, |_| true);
        let mut xml = Xml::new();
        xml.texts("PolicyNames", window.items().map(|(name, _)| name));
        window.write_end(&mut xml);
        Ok(Some(xml))
    }

    pub(super) fn delete_inline(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (name, policy) = (checks.name("RoleName", 64), checks.name("PolicyName", 128));
        checks.finish()?;
        self.open_role(name)?.inline.remove(policy).ok_or_else(|| no_policy(policy))?;
        Ok(None)
    }
}
