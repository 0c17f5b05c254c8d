//! Converts a context of a kubeconfig to an `ApiTarget`: address, trusted authorities, proxy and credentials.
//!
//! No message repeats what a kubeconfig contains, except for names and paths in it.

use super::api_target::{ApiTarget, CredentialSource, bearer, overrides_plugin};
use super::client_certificate;
use super::failure::{ApiFailure, clean};
use super::proxy;
use super::untrusted_kubeconfig::UntrustedKubeconfig;
use crate::context::Context;
use crate::model::quoted::quoted;
use crate::world::bounds::{read_file, read_text};
use crate::world::{certificate, redact};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use http::header::{HeaderValue, USER_AGENT};
use kube::Config;
use kube::config::{AuthInfo, Cluster, ExecAuthCluster, Kubeconfig};
use secrecy::ExposeSecret;
use std::io;

/// The target of the context called `name`. `untrusted` is set if the configuration names the kubeconfig.
pub(crate) async fn of_context(
    kubeconfig: &Kubeconfig,
    name: &str,
    context: &Context,
    untrusted: Option<&UntrustedKubeconfig<'_>>,
) -> Result<ApiTarget, ApiFailure> {
    let (mut cluster, mut user) = entries(kubeconfig, name)?;
    drop_empty(&mut user);
    if let Some(untrusted) = untrusted {
        untrusted.check_and_inline_files(&mut user, &mut cluster)?;
    }
    let server = cluster.server.as_deref().unwrap_or_default();
    let mut config = bare_config(server, cluster.proxy_url.as_deref(), context)?;
    config.root_cert = authority(&cluster).await?;
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
    config.tls_server_name = cluster.tls_server_name.clone().filter(|name| !name.is_empty());
    for secret in [&user.token, &user.password, &user.client_key_data].into_iter().flatten() {
        redact::hide(secret.expose_secret());
    }
    if let Some(token) = &user.token {
        // kube panics if the token is not a valid header value, so irsa checks it first
        bearer(token)?;
    }
    let (auth_info, credentials) = credentials(user, &cluster).await?;
    config.auth_info = auth_info;
    Ok(ApiTarget { config, credentials })
}

/// The cluster and the user of a context.
fn entries(kubeconfig: &Kubeconfig, name: &str) -> Result<(Cluster, AuthInfo), ApiFailure> {
    let named = kubeconfig.contexts.iter().find(|known| known.name == name);
    let context = named.and_then(|named| named.context.as_ref()).ok_or_else(|| no_context(kubeconfig, name))?;
    let lacks = |what: &str, entry: &str| {
        ApiFailure::invalid(format!("context `{name}` names {what} `{entry}`, which the kubeconfig lacks"))
    };
    let cluster = kubeconfig.clusters.iter().find(|cluster| cluster.name == context.cluster);
    let cluster = cluster.and_then(|cluster| cluster.cluster.clone());
    let cluster = cluster.ok_or_else(|| lacks("cluster", &context.cluster))?;
    let Some(user) = context.user.as_deref().filter(|user| !user.is_empty()) else {
        return Ok((cluster, AuthInfo::default()));
    };
    let named = kubeconfig.auth_infos.iter().find(|info| info.name == user).ok_or_else(|| lacks("user", user))?;
    Ok((cluster, named.auth_info.clone().unwrap_or_default()))
}

fn no_context(kubeconfig: &Kubeconfig, name: &str) -> ApiFailure {
    let mut known = quoted(kubeconfig.contexts.iter().map(|context| clean(&context.name)));
    known.sort();
    let others = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
    ApiFailure::invalid(format!("the kubeconfig has no context `{name}`; {others}"))
}

/// A kube configuration for one URL: its proxy and the user agent, without authorities and credentials.
pub(crate) fn bare_config(server: &str, proxy_url: Option<&str>, context: &Context) -> Result<Config, ApiFailure> {
    let url: Option<Uri> = server
        .parse()
        .ok()
        .filter(|url: &Uri| url.host().is_some() && matches!(url.scheme_str(), Some("https" | "http")));
    let url = url.ok_or_else(|| ApiFailure::invalid("the address of the API is not a URL"))?;
    let mut config = Config::new(url);
    config.default_retry = false;
    config.proxy_url = proxy::choose(proxy_url, &config.cluster_url, context)?;
    let agent = concat!("irsa/", env!("CARGO_PKG_VERSION"));
    config.headers.push((USER_AGENT, HeaderValue::from_static(agent)));
    Ok(config)
}

async fn authority(cluster: &Cluster) -> Result<Option<Vec<Vec<u8>>>, ApiFailure> {
    let certificates = match (&cluster.certificate_authority_data, &cluster.certificate_authority) {
        (Some(data), _) if !data.is_empty() => certificate::from_base64(data),
        (_, Some(file)) if !file.is_empty() => {
            let why = |error: io::Error| ApiFailure::invalid(format!("authority `{file}` cannot be read: {error}"));
            certificate::from_pem(&read_text(file).await.map_err(why)?)
        }
        _ => return Ok(None),
    };
    certificates.map(Some).ok_or_else(|| ApiFailure::invalid("the certificate authority of the kubeconfig is not PEM"))
}

/// The credentials that kube sends itself, and where irsa gets the others from. Credentials in the kubeconfig take
/// precedence over a plugin.
async fn credentials(mut user: AuthInfo, cluster: &Cluster) -> Result<(AuthInfo, CredentialSource), ApiFailure> {
    if let Some(provider) = user.auth_provider.as_ref().filter(|provider| provider.name != "oidc") {
        let text = format!(
            "auth provider `{}` is no longer supported (https://kubernetes.io/blog/2022/05/03/kubernetes-1-24-release-announcement/); \
             use an exec plugin instead",
            clean(&provider.name)
        );
        return Err(ApiFailure::invalid(text));
    }
    let plugin = user.exec.take();
    let overrides_plugin = overrides_plugin(&user);
    load_certificate_and_key(&mut user).await?;
    if let Some(file) = user.token_file.take() {
        return Ok((user, CredentialSource::TokenFile(file.into())));
    }
    let Some(mut plugin) = plugin.filter(|_| !overrides_plugin) else { return Ok((user, CredentialSource::Static)) };
    if plugin.provide_cluster_info {
        let info = ExecAuthCluster::try_from(cluster);
        plugin.cluster =
            Some(info.map_err(|_| ApiFailure::invalid("the authority for the exec plugin cannot be read"))?);
    }
    Ok((user, CredentialSource::ExecPlugin(Box::new(plugin))))
}

/// Replaces the files of the client certificate and key with their content, in the form that kube reads.
async fn load_certificate_and_key(user: &mut AuthInfo) -> Result<(), ApiFailure> {
    let read = async |name: &str, file: &str| {
        let read = read_file(file).await;
        read.map_err(|error| ApiFailure::credentials(format!("{name} `{file}` cannot be read: {error}")))
    };
    if let Some(file) = user.client_certificate.take().filter(|_| user.client_certificate_data.is_none()) {
        user.client_certificate_data = Some(STANDARD.encode(read("client-certificate", &file).await?));
    }
    if let Some(file) = user.client_key.take().filter(|_| user.client_key_data.is_none()) {
        user.client_key_data = Some(STANDARD.encode(read("client-key", &file).await?).into());
    }
    let lacks = |has: &str, lacks: &str| {
        Err(ApiFailure::credentials(format!("the kubeconfig's user has a {has} and no {lacks}")))
    };
    match (&user.client_certificate_data, &user.client_key_data) {
        (Some(certificate), Some(key)) => {
            let (certificate, key) = client_certificate::for_kube(certificate, key.expose_secret())?;
            user.client_certificate_data = Some(certificate);
            user.client_key_data = Some(key.into());
            Ok(())
        }
        (Some(_), None) => lacks("client-certificate", "client-key"),
        (None, Some(_)) => lacks("client-key", "client-certificate"),
        (None, None) => Ok(()),
    }
}

/// Treats empty fields as not set, as kubectl does.
fn drop_empty(user: &mut AuthInfo) {
    let AuthInfo {
        username,
        client_certificate,
        client_certificate_data,
        client_key,
        token_file,
        password,
        token,
        client_key_data,
        ..
    } = user;
    for field in [username, client_certificate, client_certificate_data, client_key, token_file] {
        field.take_if(|text| text.is_empty());
    }
    for field in [password, token, client_key_data] {
        field.take_if(|secret| secret.expose_secret().is_empty());
    }
}

#[cfg(test)]
mod tests;
