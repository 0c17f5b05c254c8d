//! Says why there are no AWS credentials: which variable or file is set wrongly, and what to do about it.
//!
//! Runs only if there are no credentials, because otherwise a wrong setting may not matter. The messages repeat names
//! and paths from a file, and nothing else, because a file may contain secrets.

mod signers;

use super::profile::{NamedBy, Profile, is_http_url};
use crate::context::Context;
use crate::model::quoted::quoted;
use crate::world::bounds::read_file;
use crate::world::clean;
use std::fmt;
use std::path::Path;
use tokio::io::AsyncReadExt;

/// Why there are no usable credentials. The SDK carries this error to `account::failure`, which shows its text as it
/// is.
#[derive(Debug)]
pub(crate) struct CredentialsProblem(pub(crate) String);

impl fmt::Display for CredentialsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CredentialsProblem {}

/// The first setting found to be wrong. None if all look right.
pub(super) async fn diagnose(profile: &Profile, context: &Context) -> Option<String> {
    if profile.named_by != NamedBy::Configuration {
        if let Some(why) = half_an_access_key(context) {
            return Some(why);
        }
        if let Some(why) = web_identity(context).await {
            return Some(why);
        }
        if let Some(why) = container(context).await {
            return Some(why);
        }
    }
    if let Some(why) = unreadable_file(profile, context).await {
        return Some(why);
    }
    if profile.all.as_ref()?.get_profile(&profile.name).is_none() {
        return (profile.named_by != NamedBy::Default).then(|| missing_profile(profile));
    }
    signers::diagnose(profile).await
}

fn half_an_access_key(context: &Context) -> Option<String> {
    let (id, secret) = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
    match (context.variable(id), context.variable(secret)) {
        (Some(_), None) => Some(format!("`{id}` is set and `{secret}` is not: both are needed")),
        (None, Some(_)) => Some(format!("`{secret}` is set and `{id}` is not: both are needed")),
        _ => None,
    }
}

/// The variables of IAM roles for ServiceAccounts, which the EKS webhook sets in a pod
/// (<https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html>).
async fn web_identity(context: &Context) -> Option<String> {
    let (token, role) = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN");
    let file = context.variable(token)?;
    let Some(arn) = context.variable(role) else {
        return Some(format!(
            "`{token}` is set and `{role}` is not: both are needed (in a pod, the EKS webhook sets them)"
        ));
    };
    if let Some(why) = no_token(file).await {
        return Some(format!("`{token}` names `{}`, which {why}", clean(file)));
    }
    not_a_role(arn).map(|why| format!("`{role}` {why}"))
}

/// The variables of an ECS task, and of a pod with EKS Pod Identity
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>).
async fn container(context: &Context) -> Option<String> {
    let [relative, full, token] = ["CREDENTIALS_RELATIVE_URI", "CREDENTIALS_FULL_URI", "AUTHORIZATION_TOKEN_FILE"]
        .map(|name| format!("AWS_CONTAINER_{name}"));
    if let Some(path) = context.variable(&relative) {
        return (!path.starts_with('/')).then(|| format!("`{relative}` is not a path: it must begin with `/`"));
    }
    if !is_http_url(context.variable(&full)?) {
        return Some(format!("`{full}` is not a URL: it needs `http://` or `https://` and a host"));
    }
    let file = context.variable(&token)?;
    let why = no_token(file).await?;
    Some(format!("`{token}` names `{}`, which {why}", clean(file)))
}

/// Why the file contains no token. None if it contains one.
async fn no_token(file: &str) -> Option<String> {
    match read_file(file).await {
        Ok(bytes) if bytes.trim_ascii().is_empty() => Some("is empty: it needs a token".to_owned()),
        Ok(_) => None,
        Err(error) => Some(format!("cannot be read: {error}")),
    }
}

/// Why the text is not the ARN of a role. None if it is.
fn not_a_role(arn: &str) -> Option<String> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let good = matches!(parts[..], ["arn", partition, "iam", "", account, role]
        if partition.starts_with("aws") && account.len() == 12 && role.starts_with("role/"));
    (!good).then(|| "is not the ARN of a role, such as `arn:aws:iam::111122223333:role/NAME`".to_owned())
}

async fn unreadable_file(profile: &Profile, context: &Context) -> Option<String> {
    for (variable, file) in &profile.files {
        let shown = clean(&file.display().to_string());
        let why = match first_bytes(file).await {
            Ok(bytes) => match bytes[..] {
                [0xef, 0xbb, 0xbf] => {
                    format!("`{shown}` begins with a byte order mark (BOM): save it as UTF-8 without one")
                }
                [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => format!("`{shown}` is written in UTF-16: save it as UTF-8"),
                _ => continue,
            },
            Err(error) if context.variable(variable).is_some() => {
                format!("`{variable}` names `{shown}`, which cannot be read: {error}")
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => format!("`{shown}` cannot be read: {error}"),
        };
        return Some(why);
    }
    None
}

/// The first three bytes of a file: enough for a byte order mark.
async fn first_bytes(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    tokio::fs::File::open(file).await?.take(3).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

fn missing_profile(profile: &Profile) -> String {
    /// The number of profile names to list.
    const MOST: usize = 10;
    let Profile { name, named_by, all, files: [(_, config), (_, credentials)] } = profile;
    let is_declared = *named_by == NamedBy::Configuration;
    if name.trim() != name {
        let setting = if is_declared { "the configuration's `profile`" } else { "`AWS_PROFILE`" };
        return format!("{setting} has white space around `{}`: remove it", clean(name.trim()));
    }
    let setting = if is_declared { "the configuration" } else { "`AWS_PROFILE`" };
    let all = all.iter().flat_map(aws_config::profile::ProfileSet::profiles);
    let mut known = quoted(all.map(clean));
    known.sort();
    let verb = match known.len() {
        0 => "there is none",
        1 => "there is ",
        2..=MOST => "there are ",
        _ => "the first ten are ",
    };
    known.truncate(MOST);
    let known = format!("{verb}{}", known.join(", "));
    let (name, [config, credentials]) =
        (clean(name), [config, credentials].map(|path| clean(&path.display().to_string())));
    format!("{setting} names profile `{name}`, which neither `{config}` nor `{credentials}` has: {known}")
}
