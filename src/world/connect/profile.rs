//! The profile that an account is signed in with, and what stands in it beside the credentials: where requests go, and whom
//! to trust on the way. What is set to nothing is not set.
//!
//! The SDK reads the same files for the credentials
//! (<https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>).

use super::endpoints::Endpoints;
use crate::context::Context;
use crate::ids::Region;
use crate::world::clean;
use aws_config::profile::{self, ProfileSet};
use aws_runtime::env_config::EnvConfigValue;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Where the name of a profile stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// In the configuration.
    Declared,
    /// In `AWS_PROFILE`.
    Variable,
    /// Nowhere: `default`.
    Nowhere,
}

/// A profile and its files.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) named: Named,
    /// All profiles; nothing if the files cannot be parsed.
    pub(super) all: Option<ProfileSet>,
    /// The files, each with the variable that can name another one.
    pub(super) files: [(&'static str, PathBuf); 2],
}

/// The files of profiles: the variable, and where it is in the home directory.
const FILES: [(&str, &str); 2] =
    [("AWS_CONFIG_FILE", ".aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")];

impl Profile {
    /// The declared one, that of `AWS_PROFILE`, or `default`.
    pub(super) async fn load(context: &Context, declared: Option<&str>) -> Self {
        let (name, named) = match (declared, context.variable("AWS_PROFILE")) {
            (Some(name), _) => (name, Named::Declared),
            (None, Some(name)) => (name, Named::Variable),
            (None, None) => ("default", Named::Nowhere),
        };
        let files = EnvConfigFiles::default();
        let all = profile::load(&Fs::real(), &Env::real(), &files, Some(Cow::Owned(name.to_owned()))).await;
        let home = Path::new(context.variable("HOME").unwrap_or_default());
        let files = FILES.map(|(variable, usual)| {
            let file = context.variable(variable).map_or_else(|| home.join(usual), |file| in_home(file, home));
            (variable, file)
        });
        Self { name: name.to_owned(), named, all: all.ok(), files }
    }

    /// A value of the profile.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.of(&self.name, key)
    }

    /// A value of another one.
    pub(super) fn of(&self, name: &str, key: &str) -> Option<&str> {
        let value = self.all.as_ref()?.get_profile(name)?.get(key)?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    /// The region that the environment or the profile names.
    ///
    /// # Errors
    /// What names one that is none.
    pub(super) fn region(&self, context: &Context) -> Result<Option<Region>, String> {
        let variable = |name: &'static str| context.variable(name).map(|value| (format!("`{name}`"), value));
        let named = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
        let named = named.or_else(|| Some((self.key("region"), self.get("region")?)));
        let Some((what, value)) = named else { return Ok(None) };
        Region::parse(value).map(Some).map_err(|error| match Region::parse(value.trim()) {
            Ok(region) => format!("{what} has white space around `{region}`: take it away"),
            Err(_) => format!("{what} is `{}`: it {error}", clean(value)),
        })
    }

    /// The file with the authorities to trust in place of the machine's, and what names it.
    pub(super) fn ca_bundle(&self, context: &Context) -> Option<(String, PathBuf)> {
        let variable = context.variable("AWS_CA_BUNDLE").map(|file| ("`AWS_CA_BUNDLE`".to_owned(), file));
        let (what, file) = variable.or_else(|| Some((self.key("ca_bundle"), self.get("ca_bundle")?)))?;
        Some((what, in_home(file, Path::new(context.variable("HOME").unwrap_or_default()))))
    }

    /// Where the services are, as far as that is set.
    ///
    /// # Errors
    /// What names an address that is none. The address itself may hold a password.
    pub(super) fn endpoints(&self, context: &Context) -> Result<Endpoints, String> {
        let is_on = |value: Option<&str>| value.is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let ignored = context.variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
        if is_on(ignored.or_else(|| self.get("ignore_configured_endpoint_urls"))) {
            return Ok(Endpoints::default());
        }
        let mut endpoints = Endpoints::default();
        for service in Endpoints::SERVICES {
            let Some((what, address)) = self.endpoint(service, context) else {
                if service == "STS" && self.get("role_arn").is_some() && self.has_blank_endpoint() {
                    let key = self.key("endpoint_url");
                    return Err(format!(
                        "{key} is set to nothing, while its role is to be assumed: take the line away"
                    ));
                }
                continue;
            };
            if !is_address(&address) {
                return Err(format!(
                    "{what} is no address: it needs `http://` or `https://` and a host, and nothing else \
                                    around it"
                ));
            }
            endpoints.set(service, address);
        }
        Ok(endpoints)
    }

    /// A service's own address comes before that of all, and a variable before the profile
    /// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>).
    fn endpoint(&self, service: &str, context: &Context) -> Option<(String, String)> {
        let own = format!("AWS_ENDPOINT_URL_{service}");
        for variable in [own.as_str(), "AWS_ENDPOINT_URL"] {
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
            _ => of_all.map(|address| (self.key("endpoint_url"), address)),
        }
    }

    /// Whether the address of STS is set to nothing, which the SDK takes for an address where it assumes the profile's role.
    fn has_blank_endpoint(&self) -> bool {
        let env = Env::real();
        let value = EnvConfigValue::new().profile("endpoint_url").service_id("STS");
        value.load(&env, self.all.as_ref()).is_some_and(|(address, _)| address.trim().is_empty())
    }

    /// A key of the profile, as it is told.
    fn key(&self, key: &str) -> String {
        format!("`{key}` of profile `{}`", clean(&self.name))
    }
}

fn in_home(file: &str, home: &Path) -> PathBuf {
    file.strip_prefix("~/").map_or_else(|| file.into(), |rest| home.join(rest))
}

pub(super) fn is_address(text: &str) -> bool {
    let url: Option<http::Uri> = text.parse().ok();
    url.is_some_and(|url| {
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host() {
        for address in ["http://127.0.0.1:4566", "https://sts.example.com/", "http://[::1]:80", "http://u:p@h"] {
            assert!(is_address(address), "{address}");
        }
        for address in ["", "foo", "127.0.0.1:4566", "http://", "https:///x", "ftp://x", "http://x ", "http://[::bad"] {
            assert!(!is_address(address), "{address}");
        }
    }
}
