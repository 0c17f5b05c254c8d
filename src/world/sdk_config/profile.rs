//! The AWS profile of an account, and its settings other than credentials: region, endpoints and trusted authorities.
//! Empty settings count as not set.
//!
//! The SDK reads the credentials from the same files
//! (<https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>).

use crate::context::Context;
use crate::ids::Region;
use crate::world::clean;
use aws_config::profile::{self, ProfileSet};
use aws_runtime::env_config::EnvConfigValue;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What names the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamedBy {
    Configuration,
    /// `AWS_PROFILE`.
    Variable,
    /// Nothing: the profile is `default`.
    Default,
}

#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) named_by: NamedBy,
    /// All profiles. None if the files cannot be parsed.
    pub(super) all: Option<ProfileSet>,
    /// The config and the credentials file, each with the variable that can name another one.
    pub(super) files: [(&'static str, PathBuf); 2],
}

/// The variable for each file, and the default path.
const FILES: [(&str, &str); 2] =
    [("AWS_CONFIG_FILE", "~/.aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")];

/// The services that irsa calls, as in `AWS_ENDPOINT_URL_<SERVICE>`.
const SERVICES: [&str; 3] = ["IAM", "STS", "EKS"];

/// The endpoints that are set, by service, for the SDK.
#[derive(Debug, Clone, Default)]
pub(super) struct Endpoints(BTreeMap<&'static str, String>);

impl Endpoints {
    pub(super) fn sts(&self) -> Option<String> {
        self.0.get("STS").cloned()
    }
}

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        (key.env() == "AWS_ENDPOINT_URL").then(|| self.0.get(key.service_id()).cloned())?
    }
}

impl Profile {
    /// The profile that the configuration declares, or else the one in `AWS_PROFILE`, or else `default`.
    pub(super) async fn load(context: &Context, declared: Option<&str>) -> Self {
        let (name, named_by) = match (declared, context.variable("AWS_PROFILE")) {
            (Some(name), _) => (name, NamedBy::Configuration),
            (None, Some(name)) => (name, NamedBy::Variable),
            (None, None) => ("default", NamedBy::Default),
        };
        let files = EnvConfigFiles::default();
        let all = profile::load(&Fs::real(), &Env::real(), &files, Some(Cow::Owned(name.to_owned()))).await;
        let files = FILES
            .map(|(variable, default)| (variable, in_home(context.variable(variable).unwrap_or(default), context)));
        Self { name: name.to_owned(), named_by, all: all.ok(), files }
    }

    /// A setting of the profile.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.get_of(&self.name, key)
    }

    /// A setting of another profile.
    pub(super) fn get_of(&self, name: &str, key: &str) -> Option<&str> {
        let value = self.all.as_ref()?.get_profile(name)?.get(key)?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    /// A setting, by environment variable or profile, and its name for messages.
    fn setting<'a>(&'a self, context: &'a Context, variables: &[&str], key: &str) -> Option<(String, &'a str)> {
        let variable = |name: &&str| Some((format!("`{name}`"), context.variable(name)?));
        variables.iter().find_map(variable).or_else(|| Some((self.shown(key), self.get(key)?)))
    }

    /// The region in the environment or the profile.
    ///
    /// # Errors
    /// Says which setting has no valid region.
    pub(super) fn region(&self, context: &Context) -> Result<Option<Region>, String> {
        let setting = self.setting(context, &["AWS_REGION", "AWS_DEFAULT_REGION"], "region");
        let Some((what, value)) = setting else { return Ok(None) };
        Region::parse(value).map(Some).map_err(|error| match Region::parse(value.trim()) {
            Ok(region) => format!("{what} has white space around `{region}`: remove it"),
            Err(_) => format!("{what} is `{}`: it {error}", clean(value)),
        })
    }

    /// The file with the authorities to trust instead of the system's, and the setting that names it.
    pub(super) fn ca_bundle(&self, context: &Context) -> Option<(String, PathBuf)> {
        let (what, file) = self.setting(context, &["AWS_CA_BUNDLE"], "ca_bundle")?;
        Some((what, in_home(file, context)))
    }

    /// The endpoints that the environment or the profile sets, by service.
    ///
    /// # Errors
    /// Says which setting is not a URL. Does not repeat its value, since it may contain a password.
    pub(super) fn endpoints(&self, context: &Context) -> Result<Endpoints, String> {
        let is_on = |value: Option<&str>| value.is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let ignored = context.variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
        if is_on(ignored.or_else(|| self.get("ignore_configured_endpoint_urls"))) {
            return Ok(Endpoints::default());
        }
        let mut endpoints = Endpoints::default();
        for service in SERVICES {
            let Some((what, address)) = self.endpoint(service, context) else {
                if service == "STS" && self.get("role_arn").is_some() && self.has_blank_sts_endpoint() {
                    let key = self.shown("endpoint_url");
                    return Err(format!("{key} is empty, and the profile assumes a role: remove the line"));
                }
                continue;
            };
            if !is_http_url(&address) {
                return Err(format!(
                    "{what} is not a URL: it needs `http://` or `https://` and a host, without quotes or white space around it"
                ));
            }
            endpoints.0.insert(service, address);
        }
        Ok(endpoints)
    }

    /// The endpoint of a service, and the setting that names it. A variable takes precedence over the profile, and a
    /// setting for the service over one for all services
    /// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>).
    fn endpoint(&self, service: &str, context: &Context) -> Option<(String, String)> {
        for variable in [&format!("AWS_ENDPOINT_URL_{service}"), "AWS_ENDPOINT_URL"] {
            if let Some(address) = context.variable(variable).filter(|address| !address.trim().is_empty()) {
                return Some((format!("`{variable}`"), address.to_owned()));
            }
        }
        let env = Env::real();
        let address = |value: EnvConfigValue<'_>| {
            let (address, _) = value.profile("endpoint_url").load(&env, self.all.as_ref())?;
            Some(address.trim().to_owned()).filter(|address| !address.is_empty())
        };
        let of_all = address(EnvConfigValue::new());
        match (address(EnvConfigValue::new().service_id(service)), self.get("services")) {
            (Some(own), Some(section)) if Some(&own) != of_all.as_ref() => {
                let (service, section) = (service.to_ascii_lowercase(), clean(section));
                Some((format!("`endpoint_url` of `{service}` in `[services {section}]`"), own))
            }
            _ => of_all.map(|address| (self.shown("endpoint_url"), address)),
        }
    }

    /// Whether the endpoint of STS is set to an empty text. The SDK uses it as a URL when it assumes the profile's
    /// role.
    fn has_blank_sts_endpoint(&self) -> bool {
        let env = Env::real();
        let value = EnvConfigValue::new().profile("endpoint_url").service_id("STS");
        value.load(&env, self.all.as_ref()).is_some_and(|(address, _)| address.trim().is_empty())
    }

    /// A key of the profile, for messages.
    fn shown(&self, key: &str) -> String {
        format!("`{key}` of profile `{}`", clean(&self.name))
    }
}

/// A path, in the home directory if it begins with `~/`.
pub(super) fn in_home(file: &str, context: &Context) -> PathBuf {
    let home = Path::new(context.variable("HOME").unwrap_or_default());
    file.strip_prefix("~/").map_or_else(|| file.into(), |rest| home.join(rest))
}

/// Whether the text is an `http` or `https` URL.
pub(super) fn is_http_url(text: &str) -> bool {
    let url: Option<http::Uri> = text.parse().ok();
    url.is_some_and(|url| {
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty())
    })
}

#[cfg(test)]
mod tests;
