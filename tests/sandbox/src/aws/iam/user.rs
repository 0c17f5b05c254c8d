//! Users, as far as principals in trust policies need them.

use super::page::Page;
use super::principals::Principals;
use super::tags::Tags;
use super::{Answer, Checks, Iam, date, exists, fold, limit, no_such_entity, quota};
use crate::aws::query::{AwsError, Params, Xml};
use jiff::Timestamp;

/// A user.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) arn: String,
    pub(super) id: String,
    pub(super) created: Timestamp,
    pub(super) tags: Tags,
}

fn no_user(name: &str) -> AwsError {
    no_such_entity(format!("The user with name {name} cannot be found."))
}

impl User {
    pub(super) fn write(&self, xml: &mut Xml) {
        xml.element("Path", &self.path)
            .element("UserName", &self.name)
            .element("UserId", &self.id)
            .element("Arn", &self.arn)
            .element("CreateDate", date(self.created));
    }
}

impl Iam {
    pub(super) fn create_user(&mut self, params: &Params, directory: &Principals) -> Answer {
        let mut checks = Checks::on(params);
        let (path, name, tags) = (checks.path(), checks.name("UserName", 64), checks.tags());
        checks.finish()?;
        if self.users.contains_key(&fold(name)) {
            return Err(exists(format!("User with name {name} already exists.")));
        }
        let most = self.quotas.of(quota::USERS);
        if self.users.len() >= most {
            return Err(limit(format!("Cannot exceed quota for UsersPerAccount: {most}")));
        }
        let user = User {
            name: name.to_owned(),
            path: path.to_owned(),
            arn: self.arn("user", path, name),
            id: self.unique_id("AIDA"),
            created: self.time(),
            tags: Tags::of(tags),
        };
        directory.enter(&user.arn, &user.id, 0);
        let mut xml = Xml::new();
        xml.nest("User", |xml| {
            user.write(xml);
            user.tags.write(xml);
        });
        self.users.insert(fold(name), user);
        Ok(Some(xml))
    }

    /// GetUser. Without a name it returns the account's root user as the caller.
    pub(super) fn get_user(&self, params: &Params) -> Answer {
        let mut xml = Xml::new();
        if params.text("UserName").is_none() {
            xml.nest("User", |xml| {
                xml.element("UserId", &self.account)
                    .element("Arn", format!("arn:{}:iam::{}:root", self.partition, self.account))
                    .element("CreateDate", date(Timestamp::UNIX_EPOCH));
            });
            return Ok(Some(xml));
        }
        let mut checks = Checks::on(params);
        let name = checks.name("UserName", 64);
        checks.finish()?;
        let user = self.users.get(&fold(name)).ok_or_else(|| no_user(name))?;
        xml.nest("User", |xml| {
            user.write(xml);
            user.tags.write(xml);
        });
        Ok(Some(xml))
    }

    pub(super) fn list_users(&self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let prefix = checks.path_prefix();
        checks.finish()?;
        let window = Page::read(params, "ListUsers")?.of(&self.users, |user| user.path.starts_with(prefix));
        let mut xml = Xml::new();
        xml.members("Users", window.items(), |xml, (_, user)| user.write(xml));
        window.write_end(&mut xml);
        Ok(Some(xml))
    }

    pub(super) fn delete_user(&mut self, params: &Params, directory: &Principals) -> Answer {
        let mut checks = Checks::on(params);
        let name = checks.name("UserName", 64);
        checks.finish()?;
        let user = self.users.remove(&fold(name)).ok_or_else(|| no_user(name))?;
        directory.leave(&user.arn);
        Ok(None)
    }
}
