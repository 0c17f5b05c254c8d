//! Checks the settings of a profile, and of the profiles that it signs in with: missing settings, names of missing profiles and
//! files, and sign-ins that irsa cannot do itself.

use super::{no_token, not_a_role};
use crate::world::clean;
use crate::world::sdk_config::profile::Profile;

/// The first setting found to be wrong. None if all look right.
pub(super) async fn diagnose(profile: &Profile) -> Option<String> {
    let names = match signers(profile) {
        Ok(names) => names,
        Err(why) => return Some(why),
    };
    for name in names {
        let signer = Signer { profile, name };
        let why = match signer.access_key().or_else(|| signer.sso()).or_else(|| signer.role()) {
            Some(why) => Some(why),
            None => signer.web_identity_token().await,
        };
        if let Some(why) = why {
            return Some(format!("profile `{}` {why}", clean(name)));
        }
        if let Some(why) = signer.manual_step() {
            return Some(why);
        }
    }
    None
}

/// The names of the profile and of the profiles that it signs in with, through `source_profile`
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html>).
fn signers(profile: &Profile) -> Result<Vec<&str>, String> {
    let mut signers = vec![profile.name.as_str()];
    loop {
        let last = signers[signers.len() - 1];
        let has_keys = profile.get_of(last, "aws_access_key_id").is_some() && signers.len() > 1;
        let Some(source) = profile.get_of(last, "source_profile").filter(|source| *source != last && !has_keys) else {
            return Ok(signers);
        };
        if profile.all.as_ref().is_some_and(|all| all.get_profile(source).is_none()) {
            let (last, source) = (clean(last), clean(source));
            return Err(format!("profile `{last}` has `source_profile = {source}`, and there is no such profile"));
        }
        let known = signers.contains(&source);
        signers.push(source);
        if known {
            let chain: Vec<String> = signers.iter().map(|name| format!("`{}`", clean(name))).collect();
            return Err(format!(
                "`source_profile` forms a cycle: {}: give one of them an access key",
                chain.join(", ")
            ));
        }
    }
}

/// One profile of the chain. Each method returns what is wrong with it, as a text to follow "profile `NAME`". Only
/// `manual_step` returns a whole sentence.
struct Signer<'a> {
    profile: &'a Profile,
    name: &'a str,
}

impl Signer<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.profile.get_of(self.name, key)
    }

    /// For two settings that need each other, of which only one is set.
    fn half(&self, one: &str, other: &str) -> Option<String> {
        let (has, lacks) = match (self.get(one), self.get(other)) {
            (Some(_), None) => (one, other),
            (None, Some(_)) => (other, one),
            _ => return None,
        };
        Some(format!("has `{has}` and no `{lacks}`: both are needed"))
    }

    fn access_key(&self) -> Option<String> {
        self.half("aws_access_key_id", "aws_secret_access_key")
    }

    /// IAM Identity Center (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html>).
    fn sso(&self) -> Option<String> {
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
        if let Some(why) = not_a_role(arn) {
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

    async fn web_identity_token(&self) -> Option<String> {
        let file = self.get("web_identity_token_file")?;
        if self.get("role_arn").is_none() {
            return Some("has `web_identity_token_file` and no `role_arn`: both are needed".to_owned());
        }
        let why = no_token(file).await?;
        Some(format!("has `web_identity_token_file = {}`, which {why}", clean(file)))
    }

    /// What the user must do if the profile signs in with `aws login`, which irsa cannot do, or if its
    /// `credential_process` gave no credentials.
    fn manual_step(&self) -> Option<String> {
        let name = clean(self.name);
        if self.get("login_session").is_some() {
            return Some(format!(
                "profile `{name}` signs in with `aws login`, which irsa cannot do itself: run \
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
