//! Why there are no credentials: what is set wrongly, in a variable or in a file, in words that say what to do.
//!
//! Looked at only when there are none: what is set may be wrong and not be needed. Nothing that a file contains is
//! repeated but names of profiles.

mod of_profile;

use super::profile::{Named, Profile, is_address};
use crate::context::Context;
use crate::world::clean;
use aws_credential_types::provider::{self, ProvideCredentials, error::CredentialsError, future};
use std::fmt;
use std::path::Path;

/// A reason that stands for itself.
#[derive(Debug)]
pub(crate) struct Explanation(pub(crate) String);

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Explanation {}

/// A provider whose failures are explained.
#[derive(Debug)]
pub(super) struct Explained<P> {
    pub(super) inner: P,
    pub(super) profile: Profile,
    pub(super) context: Context,
}

impl<P: ProvideCredentials> Explained<P> {
    async fn credentials(&self) -> provider::Result {
        let error = match self.inner.provide_credentials().await {
            Ok(credentials) => return Ok(credentials),
            Err(error) => error,
        };
        match explain(&self.profile, &self.context).await {
            Some(why) => Err(CredentialsError::invalid_configuration(Explanation(why))),
            None => Err(error),
        }
    }
}

impl<P: ProvideCredentials> ProvideCredentials for Explained<P> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

/// What is set wrongly, if something is.
async fn explain(profile: &Profile, context: &Context) -> Option<String> {
    if profile.named != Named::Declared {
        if let Some(why) = half_a_key(context) {
            return Some(why);
        }
        if let Some(why) = web_identity(context).await {
            return Some(why);
        }
        if let Some(why) = container(context).await {
            return Some(why);
        }
    }
    if let Some(why) = unreadable(profile, context).await {
        return Some(why);
    }
    let all = profile.all.as_ref()?;
    if all.get_profile(&profile.name).is_none() {
        return (profile.named != Named::Nowhere).then(|| missing(profile));
    }
    of_profile::of_profile(profile).await
}

fn half_a_key(context: &Context) -> Option<String> {
    let (id, secret) = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
    match (context.variable(id), context.variable(secret)) {
        (Some(_), None) => Some(format!("`{id}` is set and `{secret}` is not: both are needed")),
        (None, Some(_)) => Some(format!("`{secret}` is set and `{id}` is not: both are needed")),
        _ => None,
    }
}

/// What a pod has (<https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html>).
async fn web_identity(context: &Context) -> Option<String> {
    let (token, role) = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN");
    let file = context.variable(token)?;
    let Some(arn) = context.variable(role) else {
        return Some(format!(
            "`{token}` is set and `{role}` is not: both are needed, where a pod gets them from its \
                             ServiceAccount"
        ));
    };
    if let Some(why) = no_token(file).await {
        return Some(format!("`{token}` names `{}`, which {why}", clean(file)));
    }
    no_role(arn).map(|why| format!("`{role}` {why}"))
}

/// What a task of ECS and a pod with EKS Pod Identity have
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>).
async fn container(context: &Context) -> Option<String> {
    let [relative, full, token] = ["CREDENTIALS_RELATIVE_URI", "CREDENTIALS_FULL_URI", "AUTHORIZATION_TOKEN_FILE"]
        .map(|name| format!("AWS_CONTAINER_{name}"));
    if let Some(path) = context.variable(&relative) {
        return (!path.starts_with('/')).then(|| format!("`{relative}` is no path: it begins with `/`"));
    }
    if !is_address(context.variable(&full)?) {
        return Some(format!("`{full}` is no address: it needs `http://` or `https://` and a host"));
    }
    let file = context.variable(&token)?;
    let why = no_token(file).await?;
    Some(format!("`{token}` names `{}`, which {why}", clean(file)))
}

/// Why there is no token in a file.
async fn no_token(file: &str) -> Option<String> {
    match tokio::fs::read(file).await {
        Ok(bytes) if bytes.trim_ascii().is_empty() => Some("is empty: it needs a token".to_owned()),
        Ok(_) => None,
        Err(error) => Some(format!("cannot be read: {error}")),
    }
}

/// Why a text is no role that can be assumed.
fn no_role(arn: &str) -> Option<String> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let good = matches!(parts[..], ["arn", partition, "iam", "", account, role]
        if partition.starts_with("aws") && account.len() == 12 && role.starts_with("role/"));
    (!good).then(|| "is no ARN of a role: one looks like `arn:aws:iam::111122223333:role/NAME`".to_owned())
}

async fn unreadable(profile: &Profile, context: &Context) -> Option<String> {
    for (variable, file) in &profile.files {
        let shown = clean(&file.display().to_string());
        match beginning(file).await {
            Ok(bytes) if bytes == [0xef, 0xbb, 0xbf] => {
                return Some(format!("`{shown}` begins with a byte order mark (BOM): save it as UTF-8 without one"));
            }
            Ok(bytes) if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) => {
                return Some(format!("`{shown}` is written in UTF-16: save it as UTF-8"));
            }
            Ok(_) => {}
            Err(error) if context.variable(variable).is_some() => {
                return Some(format!("`{variable}` names `{shown}`, which cannot be read: {error}"));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Some(format!("`{shown}` cannot be read: {error}")),
        }
    }
    None
}

async fn beginning(file: &Path) -> std::io::Result<Vec<u8>> {
    use tokio::io::AsyncReadExt;
    let mut bytes = Vec::new();
    tokio::fs::File::open(file).await?.take(3).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

fn missing(profile: &Profile) -> String {
    /// More names are no help.
    const MOST: usize = 10;
    let Profile { name, named, all, files: [(_, config), (_, credentials)] } = profile;
    if name.trim() != name {
        let place = if *named == Named::Declared { "the configuration's `profile`" } else { "`AWS_PROFILE`" };
        return format!("{place} has white space around `{}`: take it away", clean(name.trim()));
    }
    let what = match named {
        Named::Declared => "the configuration names",
        Named::Variable | Named::Nowhere => "`AWS_PROFILE` names",
    };
    let mut known: Vec<String> = all
        .iter()
        .flat_map(aws_config::profile::ProfileSet::profiles)
        .map(|name| format!("`{}`", clean(name)))
        .collect();
    known.sort();
    known.truncate(MOST);
    let known = if known.is_empty() { "there is none".to_owned() } else { format!("there are {}", known.join(", ")) };
    let shown = |path: &Path| clean(&path.display().to_string());
    format!(
        "{what} profile `{}`, which neither `{}` nor `{}` has: {known}",
        clean(name),
        shown(config),
        shown(credentials)
    )
}
