//! STS: GetCallerIdentity and the operations that assume a role.
//!
//! Only the trust policy decides whether a role may be assumed. Every caller counts as having `sts:AssumeRole`
//! (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>).

#[cfg(test)]
mod tests;
mod web;

use crate::aws::credentials::{Caller, Session};
use crate::aws::evaluate::Facts;
use crate::aws::iam::{Answer, Checks, RoleFacts, date};
use crate::aws::query::{AwsError, Params, Xml};
use crate::aws::{Account, Aws, PARTITION};
use jiff::SignedDuration;
use std::sync::Arc;

/// The longest session, in seconds, of a role that another role assumes (role chaining).
const CHAINED: i64 = 3600;

pub(crate) fn access_denied(message: impl Into<String>) -> AwsError {
    AwsError::new(403, "AccessDenied", message)
}

/// The parameters that the AssumeRole operations share.
struct Wish<'a> {
    role_arn: &'a str,
    session: &'a str,
    seconds: i64,
}

impl<'a> Wish<'a> {
    fn read(checks: &mut Checks<'a>) -> Self {
        let role_arn = checks.required("RoleArn", 20, 2048);
        let session = checks.required("RoleSessionName", 2, 64);
        if !session.chars().all(|letter| letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter)) {
            checks.fault("RoleSessionName", session, r"satisfy regular expression pattern: [\w+=,.@-]*");
        }
        let seconds = checks.integer("DurationSeconds", 900, 43_200).unwrap_or(3600);
        Self { role_arn, session, seconds }
    }

    /// The account and the role, if they exist.
    fn role(&self, aws: &Aws) -> Result<Option<(Arc<Account>, RoleFacts)>, AwsError> {
        let parts: Vec<&str> = self.role_arn.splitn(6, ':').collect();
        let ["arn", PARTITION, "iam", "", account, resource] = parts[..] else {
            return Err(AwsError::new(400, "ValidationError", format!("{} is invalid", self.role_arn)));
        };
        let Some(account) = aws.existing(account).filter(|_| resource.starts_with("role/")) else { return Ok(None) };
        let role = account.iam().role_trust(self.role_arn);
        Ok(role.map(|role| (account, role)))
    }

    fn fits(&self, role: &RoleFacts, chained: bool) -> Result<(), AwsError> {
        let text = if self.seconds > i64::from(role.max_session_duration) {
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        } else if chained && self.seconds > CHAINED {
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        } else {
            return Ok(());
        };
        Err(AwsError::new(400, "ValidationError", text))
    }

    /// Creates the session.
    fn grant(&self, aws: &Aws, account: &Account, role: &RoleFacts) -> Session {
        let now = (aws.clock)();
        let expires = now.checked_add(SignedDuration::from_secs(self.seconds)).unwrap_or(now);
        account.iam().set_last_used(role.arn.rsplit('/').next().unwrap_or_default(), now);
        let caller = Caller::session(&account.user.account, &role.arn, &role.role_id, self.session);
        aws.credentials.session(caller, expires)
    }
}

fn write(session: &Session) -> Xml {
    let mut xml = Xml::new();
    xml.nest("Credentials", |xml| {
        xml.element("AccessKeyId", &session.key)
            .element("SecretAccessKey", &session.secret)
            .element("SessionToken", &session.token)
            .element("Expiration", date(session.expires));
    })
    .nest("AssumedRoleUser", |xml| {
        xml.element("AssumedRoleId", &session.caller.user_id).element("Arn", &session.caller.arn);
    });
    xml
}

impl Aws {
    /// Executes an STS operation. Only AssumeRoleWithWebIdentity needs no caller.
    pub(crate) fn sts(&self, caller: Option<&Caller>, action: &str, params: &Params) -> Answer {
        match (action, caller) {
            ("AssumeRoleWithWebIdentity", _) => self.assume_role_with_web_identity(params),
            ("GetCallerIdentity", Some(caller)) => {
                let mut xml = Xml::new();
                xml.element("Arn", &caller.arn).element("UserId", &caller.user_id).element("Account", &caller.account);
                Ok(Some(xml))
            }
            ("AssumeRole", Some(caller)) => self.assume_role(caller, params),
            _ => {
                let text = format!("Could not find operation {action} for version 2011-06-15");
                Err(AwsError::new(400, "InvalidAction", text))
            }
        }
    }

    fn assume_role(&self, caller: &Caller, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let wish = Wish::read(&mut checks);
        let external_id = checks.optional("ExternalId", 2, 1224);
        let tags = checks.tags();
        checks.finish()?;
        let mut facts = Facts::of(caller);
        facts.set("sts:RoleSessionName", [wish.session]);
        facts.set("sts:ExternalId", external_id);
        facts.set("sts:SourceIdentity", params.text("SourceIdentity"));
        for tag in &tags {
            facts.set(&format!("aws:RequestTag/{}", tag.key), [tag.value.as_str()]);
        }
        facts.set("aws:TagKeys", tags.iter().map(|tag| tag.key.as_str()));
        let mut actions = vec!["sts:AssumeRole"];
        actions.extend((!tags.is_empty()).then_some("sts:TagSession"));
        actions.extend(params.text("SourceIdentity").map(|_| "sts:SetSourceIdentity"));
        // A missing role gets the same denial, because STS does not reveal which roles exist.
        let found = wish.role(self)?;
        for action in actions {
            let trusted = found.as_ref().is_some_and(|(_, role)| facts.allowed_by(&role.trust, action));
            if !trusted {
                return Err(access_denied(format!(
                    "User: {} is not authorized to perform: {action} on resource: {}",
                    caller.arn, wish.role_arn
                )));
            }
        }
        let Some((account, role)) = found else { return Ok(None) };
        wish.fits(&role, caller.is_session())?;
        Ok(Some(write(&wish.grant(self, &account, &role))))
    }
}
