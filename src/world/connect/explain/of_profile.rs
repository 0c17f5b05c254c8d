//! What is wrong with a profile: what it lacks, what it names that is not there, and what irsa cannot do by itself.

use super::{no_role, no_token};
use crate::world::clean;
use crate::world::connect::profile::Profile;

/// What is wrong with the profile, or with one that it signs in with.
pub(super) async fn of_profile(profile: &Profile) -> Option<String> {
    let signers = match signers(profile) {
        Ok(signers) => signers,
        Err(why) => return Some(why),
    };
    for name in signers {
        let signer = Signer { profile, name };
        let lacks = signer.keys().or_else(|| signer.session()).or_else(|| signer.role());
        let lacks = match lacks {
            Some(why) => Some(why),
            None => signer.token().await,
        };
        if let Some(why) = lacks {
            return Some(format!("profile `{}` {why}", clean(name)));
        }
        if let Some(why) = signer.by_itself() {
            return Some(why);
        }
    }
    None
}

/// The profile and those that it signs in with, by `source_profile`
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html>).
fn signers(profile: &Profile) -> Result<Vec<&str>, String> {
    let mut signers = vec![profile.name.as_str()];
    loop {
        let last = signers[signers.len() - 1];
        let has_keys = profile.of(last, "aws_access_key_id").is_some() && signers.len() > 1;
        let Some(source) = profile.of(last, "source_profile").filter(|source| *source != last && !has_keys) else {
            return Ok(signers);
        };
        if profile.all.as_ref().is_some_and(|all| all.get_profile(source).is_none()) {
            let (last, source) = (clean(last), clean(source));
            return Err(format!("profile `{last}` has `source_profile = {source}`, which is not there"));
        }
        let known = signers.contains(&source);
        signers.push(source);
        if known {
            let way: Vec<String> = signers.iter().map(|name| format!("`{}`", clean(name))).collect();
            return Err(format!("`source_profile` leads in a circle: {}: give one of them keys", way.join(", ")));
        }
    }
}

/// A profile that may be looked at on the way to credentials. What is said of it stands behind its name.
struct Signer<'a> {
    profile: &'a Profile,
    name: &'a str,
}

impl Signer<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.profile.of(self.name, key)
    }

    /// Whether it has one of two keys that belong together.
    fn half(&self, one: &str, other: &str) -> Option<String> {
        let (has, lacks) = match (self.get(one), self.get(other)) {
            (Some(_), None) => (one, other),
            (None, Some(_)) => (other, one),
            _ => return None,
        };
        Some(format!("has `{has}` and no `{lacks}`: both are needed"))
    }

    fn keys(&self) -> Option<String> {
        self.half("aws_access_key_id", "aws_secret_access_key")
    }

    /// IAM Identity Center (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html>).
    fn session(&self) -> Option<String> {
        if let Some(session) = self.get("sso_session")
            && self.profile.all.as_ref().is_some_and(|all| all.sso_session(session).is_none())
        {
            let session = clean(session);
            return Some(format!(
                "has `sso_session = {session}`, and there is no section `[sso-session {session}]`: write one with \
                 `aws configure sso-session`"
            ));
        }
        self.half("sso_account_id", "sso_role_name")
    }

    fn role(&self) -> Option<String> {
        let arn = self.get("role_arn")?;
        if let Some(why) = no_role(arn) {
            return Some(format!("has a `role_arn` that {why}"));
        }
        let ways = ["source_profile", "credential_source", "web_identity_token_file"];
        let named: Vec<String> = ways.into_iter().filter(|way| self.get(way).is_some()).map(quoted).collect();
        match named.len() {
            0 => Some(format!("has `role_arn` and nothing that assumes it: add {}", ways.map(quoted).join(" or "))),
            1 => None,
            _ => Some(format!("has {}: only one of them can assume its role", named.join(" and "))),
        }
    }

    async fn token(&self) -> Option<String> {
        let file = self.get("web_identity_token_file")?;
        if self.get("role_arn").is_none() {
            return Some("has `web_identity_token_file` and no `role_arn`: both are needed".to_owned());
        }
        let why = no_token(file).await?;
        Some(format!("has `web_identity_token_file = {}`, which {why}", clean(file)))
    }

    /// What irsa cannot do by itself.
    fn by_itself(&self) -> Option<String> {
        let name = clean(self.name);
        if self.get("login_session").is_some() {
            return Some(format!(
                "profile `{name}` is one of `aws login`, which irsa cannot use by itself: run \
                 `eval \"$(aws configure export-credentials --profile {name} --format env)\"` first"
            ));
        }
        self.get("credential_process")?;
        Some(format!(
            "the `credential_process` of profile `{name}` gave no credentials: run it by hand to see what it says"
        ))
    }
}

fn quoted(key: &str) -> String {
    format!("`{key}`")
}
