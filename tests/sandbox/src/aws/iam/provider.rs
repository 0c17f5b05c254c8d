//! OpenID Connect providers: one for each issuer, identified by the issuer's host and path.
//!
//! Most operations on a provider are idempotent, as AWS documents
//! (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html>).

use super::tags::Tags;
use super::{Answer, Checks, Iam, date, exists, invalid_input, limit, no_such_entity, quota};
use crate::aws::query::{AwsError, Params, Xml};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

const MAX_CLIENTS: usize = 100;
const MAX_THUMBPRINTS: usize = 5;

/// An OpenID Connect provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Provider {
    /// Host and path, without a scheme.
    pub(super) url: String,
    pub(super) arn: String,
    pub(super) created: Timestamp,
    pub(super) clients: Vec<String>,
    pub(super) thumbprints: Vec<String>,
    pub(super) tags: Tags,
}

fn no_provider(arn: &str) -> AwsError {
    no_such_entity(format!("OpenIDConnect Provider not found for arn {arn}"))
}

/// A stand-in for the thumbprint that IAM fetches if the request has none. It depends only on the host.
fn generated_thumbprint(url: &str) -> String {
    let host = url.split('/').next().unwrap_or(url);
    Sha256::digest(host).iter().take(20).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The host and path of an issuer URL.
fn host_and_path(url: &str) -> Result<&str, AwsError> {
    let bad =
        |why: &str| Err(AwsError::new(400, "ValidationError", format!("Invalid Open ID Connect Provider URL: {why}")));
    let Some(rest) = url.strip_prefix("https://") else { return bad("it must begin with https://") };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    match () {
        () if host.contains(':') => bad("it must not contain a port number"),
        () if host.is_empty() || !host.bytes().all(plain) || host.starts_with('.') || host.ends_with('.') => {
            bad("its host is not valid")
        }
        () if path.contains(['?', '#']) => bad("it must not contain a query"),
        () if !path.bytes().all(|byte| byte.is_ascii_graphic()) => bad("its path is not valid"),
        () => Ok(rest),
    }
}

impl<'a> Checks<'a> {
    fn thumbprints(&mut self, params: &'a Params) -> Vec<String> {
        let list = params.list("ThumbprintList");
        for (index, thumbprint) in (1..).zip(&list) {
            let name = format!("thumbprintList.{index}.member");
            if thumbprint.len() != 40 {
                self.fault(&name, thumbprint, "have length equal to 40");
            } else if !thumbprint.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                self.fault(&name, thumbprint, "satisfy regular expression pattern: [0-9a-fA-F]{40}");
            }
        }
        if list.len() > MAX_THUMBPRINTS {
            self.refuse(invalid_input(format!("Thumbprint list must contain fewer than {MAX_THUMBPRINTS} entries.")));
        }
        list.into_iter().map(str::to_ascii_lowercase).collect()
    }

    fn clients(&mut self, params: &'a Params) -> Vec<String> {
        let mut clients: Vec<String> = Vec::new();
        for (index, client) in (1..).zip(params.list("ClientIDList")) {
            let name = format!("clientIDList.{index}.member");
            if client.is_empty() {
                self.fault(&name, client, "have length greater than or equal to 1");
            }
            if client.chars().count() > 255 {
                self.fault(&name, client, "have length less than or equal to 255");
            }
            if !clients.iter().any(|known| known == client) {
                clients.push(client.to_owned());
            }
        }
        clients
    }
}

fn check_clients(count: usize) -> Result<(), AwsError> {
    if count > MAX_CLIENTS {
        return Err(limit(format!("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {MAX_CLIENTS}")));
    }
    Ok(())
}

impl Iam {
    fn provider_key<'a>(&self, arn: &'a str) -> Result<&'a str, AwsError> {
        let start = self.arn("oidc-provider", "/", "");
        match arn.strip_prefix(start.as_str()) {
            Some(key) => Ok(key),
            None if arn.starts_with("arn:") && arn.contains(":oidc-provider/") => Err(no_provider(arn)),
            None => Err(invalid_input(format!("Invalid ARN: {arn}"))),
        }
    }

    fn provider_of(&self, arn: &str) -> Result<&Provider, AwsError> {
        self.providers.get(self.provider_key(arn)?).ok_or_else(|| no_provider(arn))
    }

    fn provider_mut(&mut self, arn: &str) -> Result<&mut Provider, AwsError> {
        let key = self.provider_key(arn)?;
        self.providers.get_mut(key).ok_or_else(|| no_provider(arn))
    }

    pub(super) fn create_provider(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let url = checks.required("Url", 1, 255);
        let (clients, thumbprints) = (checks.clients(params), checks.thumbprints(params));
        let tags = checks.tags();
        checks.finish()?;
        check_clients(clients.len())?;
        let key = host_and_path(url)?;
        if self.providers.contains_key(key) {
            return Err(exists(format!("Provider with url {url} already exists.")));
        }
        let most = self.quotas.of(quota::PROVIDERS);
        if self.providers.len() >= most {
            return Err(limit(format!("Cannot exceed quota for OpenIdConnectProvidersPerAccount: {most}")));
        }
        let provider = Provider {
            url: key.to_owned(),
            arn: self.arn("oidc-provider", "/", key),
            created: self.time(),
            clients,
            thumbprints: if thumbprints.is_empty() { vec![generated_thumbprint(key)] } else { thumbprints },
            tags: Tags::of(tags),
        };
        let mut xml = Xml::new();
        xml.element("OpenIDConnectProviderArn", &provider.arn);
        provider.tags.write(&mut xml);
        self.providers.insert(key.to_owned(), provider);
        Ok(Some(xml))
    }

    pub(super) fn get_provider(&self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let arn = checks.arn("OpenIDConnectProviderArn");
        checks.finish()?;
        let provider = self.provider_of(arn)?;
        let mut xml = Xml::new();
        xml.element("Url", &provider.url)
            .texts("ClientIDList", &provider.clients)
            .texts("ThumbprintList", &provider.thumbprints)
            .element("CreateDate", date(provider.created));
        provider.tags.write(&mut xml);
        Ok(Some(xml))
    }

    /// ListOpenIDConnectProviders, the only list without pages.
    pub(super) fn list_providers(&self) -> Xml {
        let mut xml = Xml::new();
        xml.members("OpenIDConnectProviderList", self.providers.values(), |xml, provider| {
            xml.element("Arn", &provider.arn);
        });
        xml
    }

    /// DeleteOpenIDConnectProvider. A missing provider is not an error.
    pub(super) fn delete_provider(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let arn = checks.arn("OpenIDConnectProviderArn");
        checks.finish()?;
        match self.provider_key(arn) {
            Ok(key) => self.providers.remove(key),
            Err(error) if error.status == 404 => None,
            Err(error) => return Err(error),
        };
        Ok(None)
    }

    pub(super) fn add_client(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (arn, client) = (checks.arn("OpenIDConnectProviderArn"), checks.required("ClientID", 1, 255));
        checks.finish()?;
        let provider = self.provider_mut(arn)?;
        if !provider.clients.iter().any(|known| known == client) {
            check_clients(provider.clients.len() + 1)?;
            provider.clients.push(client.to_owned());
        }
        Ok(None)
    }

    pub(super) fn remove_client(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (arn, client) = (checks.arn("OpenIDConnectProviderArn"), checks.required("ClientID", 1, 255));
        checks.finish()?;
        self.provider_mut(arn)?.clients.retain(|known| known != client);
        Ok(None)
    }

    pub(super) fn update_thumbprints(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (arn, thumbprints) = (checks.arn("OpenIDConnectProviderArn"), checks.thumbprints(params));
        checks.finish()?;
        if thumbprints.is_empty() {
            return Err(invalid_input("Thumbprint list must contain at least one entry."));
        }
        self.provider_mut(arn)?.thumbprints = thumbprints;
        Ok(None)
    }

    pub(super) fn tag_provider(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (arn, tags) = (checks.arn("OpenIDConnectProviderArn"), checks.tags());
        checks.finish()?;
        self.provider_mut(arn)?.tags.set(tags)?;
        Ok(None)
    }

    pub(super) fn untag_provider(&mut self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let (arn, keys) = (checks.arn("OpenIDConnectProviderArn"), checks.tag_keys());
        checks.finish()?;
        self.provider_mut(arn)?.tags.unset(&keys);
        Ok(None)
    }

    pub(super) fn list_provider_tags(&self, params: &Params) -> Answer {
        let mut checks = Checks::on(params);
        let arn = checks.arn("OpenIDConnectProviderArn");
        checks.finish()?;
        self.provider_of(arn)?.tags.list(params, "ListOpenIDConnectProviderTags")
    }
}
