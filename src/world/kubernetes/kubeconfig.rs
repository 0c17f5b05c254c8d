//! From a kubeconfig and a context to where the API is and who asks.
//!
//! Which files, and how they are merged, is as
//! <https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/> has it. kube reads and merges
//! them; the choice is made here, since kube takes the environment from the process. What a file contains is never
//! repeated, only names in it are. One that the configuration names is `named`'s business.

use super::Run;
use super::certificate;
use super::credentials::{ApiTarget, Credentials, bearer, is_fixed};
use super::failure::{ApiFailure, clean};
use super::files;
use super::identity;
use super::named::Named;
use super::proxy;
use crate::context::Context;
use crate::world::scrub;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use http::header::{HeaderValue, USER_AGENT};
use kube::Config;
use kube::config::{AuthInfo, Cluster, ExecAuthCluster, Kubeconfig, KubeconfigError};
use secrecy::ExposeSecret;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The user's own files: those of `KUBECONFIG`, else the one in the home directory.
fn sources(context: &Context) -> Vec<PathBuf> {
    let listed = context.variable("KUBECONFIG").map(std::env::split_paths);
    let listed: Vec<PathBuf> = listed.into_iter().flatten().filter(|path| !path.as_os_str().is_empty()).collect();
    if !listed.is_empty() {
        return listed;
    }
    let home = context.variable("HOME").or_else(|| context.variable("USERPROFILE"));
    home.map(|home| Path::new(home).join(".kube").join("config")).into_iter().collect()
}

/// The content of the kubeconfig that the configuration names, or the merged one of the user's own files.
pub(crate) async fn read(named: Option<&Named<'_>>, run: &Run) -> Result<Arc<Kubeconfig>, ApiFailure> {
    let files = match named {
        Some(named) => vec![named.path().to_owned()],
        None => sources(&run.context),
    };
    if files.is_empty() {
        return Err(ApiFailure::invalid("there is no kubeconfig: neither `KUBECONFIG` nor `HOME` is set"));
    }
    let mut known = run.kubeconfigs.lock().await;
    if let Some(kubeconfig) = known.get(&files) {
        return Ok(Arc::clone(kubeconfig));
    }
    let merged = merge(&files).await;
    let merged = Arc::new(merged.map_err(|failure| match named {
        Some(named) => named.as_named(failure),
        None => failure,
    })?);
    known.insert(files, Arc::clone(&merged));
    Ok(merged)
}

/// As kubectl does, files of a list that are not there are passed over, as long as one is.
async fn merge(files: &[PathBuf]) -> Result<Kubeconfig, ApiFailure> {
    let mut merged: Option<Kubeconfig> = None;
    for file in files {
        let next = match files::kubeconfig(file).await {
            Ok(next) => next,
            Err(KubeconfigError::ReadConfig(error, _)) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(unreadable(file, &error)),
        };
        merged = Some(match merged {
            Some(before) => before.merge(next).map_err(|error| unreadable(file, &error))?,
            None => next,
        });
    }
    merged.ok_or_else(|| {
        let names: Vec<String> = files.iter().map(|file| format!("`{}`", file.display())).collect();
        ApiFailure::invalid(format!("kubeconfig {} is not there", names.join(", ")))
    })
}

fn unreadable(file: &Path, error: &KubeconfigError) -> ApiFailure {
    let why = match error {
        KubeconfigError::ReadConfig(error, _) => clean(&error.to_string()),
        // the parser's own words quote the line
        KubeconfigError::Parse(error) => match error.location() {
            Some(place) => format!("it is no kubeconfig, see line {}", place.line()),
            None => "it is no kubeconfig".to_owned(),
        },
        _ => "it does not go together with the other files".to_owned(),
    };
    ApiFailure::invalid(format!("kubeconfig `{}` cannot be used: {why}", file.display()))
}

/// What a context leads to; `named` is the kubeconfig, if the configuration names it.
pub(crate) async fn target(
    kubeconfig: &Kubeconfig,
    name: &str,
    context: &Context,
    named: Option<&Named<'_>>,
) -> Result<ApiTarget, ApiFailure> {
    let found = kubeconfig.contexts.iter().find(|known| known.name == name);
    let chosen = found.and_then(|found| found.context.as_ref()).ok_or_else(|| no_context(kubeconfig, name))?;
    let cluster = kubeconfig.clusters.iter().find(|cluster| cluster.name == chosen.cluster);
    let mut cluster = cluster.and_then(|cluster| cluster.cluster.clone()).ok_or_else(|| {
        ApiFailure::invalid(format!("context `{name}` names cluster `{}`, which the kubeconfig lacks", chosen.cluster))
    })?;
    let mut user = match chosen.user.as_deref().filter(|user| !user.is_empty()) {
        Some(user) => {
            let named = kubeconfig.auth_infos.iter().find(|info| info.name == user);
            let lacks =
                || ApiFailure::invalid(format!("context `{name}` names user `{user}`, which the kubeconfig lacks"));
            named.ok_or_else(lacks)?.auth_info.clone().unwrap_or_default()
        }
        None => AuthInfo::default(),
    };
    drop_empty(&mut user);
    if let Some(named) = named {
        named.enclose(&mut user, &mut cluster)?;
    }
    let server = cluster.server.as_deref().unwrap_or_default();
    let mut config = base(server, cluster.proxy_url.as_deref(), context)?;
    config.root_cert = authority(&cluster).await?;
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
    config.tls_server_name = cluster.tls_server_name.clone().filter(|name| !name.is_empty());
    hide(&user);
    if let Some(token) = &user.token {
        // kube would panic
        bearer(token)?;
    }
    let (auth_info, credentials) = who(user, &cluster).await?;
    config.auth_info = auth_info;
    Ok(ApiTarget { config, credentials })
}

fn no_context(kubeconfig: &Kubeconfig, name: &str) -> ApiFailure {
    let mut known: Vec<String> =
        kubeconfig.contexts.iter().map(|context| format!("`{}`", clean(&context.name))).collect();
    known.sort();
    let others = if known.is_empty() { "nor any other".to_owned() } else { format!("but {}", known.join(", ")) };
    ApiFailure::invalid(format!("the kubeconfig has no context `{name}`, {others}"))
}

/// Nothing that a server says may repeat what is sent to it.
fn hide(user: &AuthInfo) {
    for secret in [&user.token, &user.password, &user.client_key_data].into_iter().flatten() {
        scrub::hide(secret.expose_secret());
    }
}

/// A configuration without authority and user.
pub(crate) fn base(server: &str, proxy_url: Option<&str>, context: &Context) -> Result<Config, ApiFailure> {
    let url: Option<Uri> = server
        .parse()
        .ok()
        .filter(|url: &Uri| url.host().is_some() && matches!(url.scheme_str(), Some("https" | "http")));
    let url = url.ok_or_else(|| ApiFailure::invalid("the address of the API is no URL"))?;
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
            certificate::from_pem(&files::text(file).await.map_err(why)?)
        }
        _ => return Ok(None),
    };
    certificates.map(Some).ok_or_else(|| ApiFailure::invalid("the certificate authority of the kubeconfig is no PEM"))
}

/// Whom the context speaks for; what is sent as it stands comes before a plugin.
async fn who(mut user: AuthInfo, cluster: &Cluster) -> Result<(AuthInfo, Credentials), ApiFailure> {
    if let Some(provider) = user.auth_provider.as_ref().filter(|provider| provider.name != "oidc") {
        let text = format!(
            "auth provider `{}` is no more (https://kubernetes.io/blog/2022/05/03/kubernetes-1-24-release-announcement/); \
             an exec plugin takes its place",
            clean(&provider.name)
        );
        return Err(ApiFailure::invalid(text));
    }
    let plugin = user.exec.take();
    let fixed = is_fixed(&user);
    loaded(&mut user).await?;
    if let Some(file) = user.token_file.take() {
        return Ok((user, Credentials::File(file.into())));
    }
    let Some(mut plugin) = plugin.filter(|_| !fixed) else { return Ok((user, Credentials::Fixed)) };
    if plugin.provide_cluster_info {
        let told = ExecAuthCluster::try_from(cluster);
        plugin.cluster =
            Some(told.map_err(|_| ApiFailure::invalid("the authority for the exec plugin cannot be read"))?);
    }
    Ok((user, Credentials::Plugin(Box::new(plugin))))
}

/// Reads what else is signed in with from the files that are named, where it does not stand in the kubeconfig itself.
async fn loaded(user: &mut AuthInfo) -> Result<(), ApiFailure> {
    let read = async |name: &str, file: &str| {
        let read = files::read(file).await;
        read.map_err(|error| ApiFailure::credentials(format!("{name} `{file}` cannot be read: {error}")))
    };
    if let Some(file) = user.client_certificate.take().filter(|_| user.client_certificate_data.is_none()) {
        user.client_certificate_data = Some(STANDARD.encode(read("client-certificate", &file).await?));
    }
    if let Some(file) = user.client_key.take().filter(|_| user.client_key_data.is_none()) {
        let key = read("client-key", &file).await?;
        user.client_key_data = Some(STANDARD.encode(key).into());
    }
    match (&user.client_certificate_data, &user.client_key_data) {
        (Some(certificate), Some(key)) => {
            let (certificate, key) = identity::readable(certificate, key.expose_secret())?;
            user.client_certificate_data = Some(certificate);
            user.client_key_data = Some(key.into());
        }
        (Some(_), None) => {
            return Err(ApiFailure::credentials("the kubeconfig's user has a client-certificate and no client-key"));
        }
        (None, Some(_)) => {
            return Err(ApiFailure::credentials("the kubeconfig's user has a client-key and no client-certificate"));
        }
        (None, None) => {}
    }
    Ok(())
}

/// A field that is empty is not set.
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
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn context(environment: &[(&str, &str)]) -> Context {
        let pairs = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Context::fixed(pairs.collect::<BTreeMap<_, _>>(), 0, 1)
    }

    #[test]
    fn the_environment_comes_before_the_home() {
        let all = context(&[("KUBECONFIG", "/a::/b"), ("HOME", "/home/me")]);
        assert_eq!(sources(&all), [PathBuf::from("/a"), PathBuf::from("/b")]);
        let home = context(&[("KUBECONFIG", ":"), ("HOME", "/home/me")]);
        assert_eq!(sources(&home), [PathBuf::from("/home/me/.kube/config")]);
        assert!(sources(&context(&[])).is_empty());
    }

    async fn refused(text: &str, name: &str) -> String {
        let kubeconfig = Kubeconfig::from_yaml(text).unwrap();
        match target(&kubeconfig, name, &context(&[]), None).await {
            Ok(_) => panic!("{text}"),
            Err(failure) => failure.message,
        }
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let text = "{contexts: [{name: b, context: {cluster: c}}, {name: a, context: {cluster: c}}]}";
        assert_eq!(refused(text, "x").await, "the kubeconfig has no context `x`, but `a`, `b`");
        assert_eq!(refused("{contexts: []}", "x").await, "the kubeconfig has no context `x`, nor any other");
        assert_eq!(refused(text, "a").await, "context `a` names cluster `c`, which the kubeconfig lacks");
        let with = |cluster: &str, user: &str| {
            format!(
                "{{contexts: [{{name: a, context: {{cluster: c, user: u}}}}], clusters: [{{name: c, cluster: {cluster}}}], \
                 users: [{{name: u, user: {user}}}]}}"
            )
        };
        assert_eq!(refused(&with("{}", "{}"), "a").await, "the address of the API is no URL");
        assert_eq!(refused(&with("{server: 'ftp://x'}", "{}"), "a").await, "the address of the API is no URL");
        let authority = with("{server: 'https://x', certificate-authority-data: eA==}", "{}");
        assert_eq!(refused(&authority, "a").await, "the certificate authority of the kubeconfig is no PEM");
        let gone = with("{server: 'https://x', certificate-authority: /not/there}", "{}");
        assert!(refused(&gone, "a").await.starts_with("authority `/not/there` cannot be read"));
        let provider = with("{server: 'https://x'}", "{auth-provider: {name: gcp, config: {cmd-path: /bin/false}}}");
        assert!(refused(&provider, "a").await.starts_with("auth provider `gcp` is no more"));
    }

    #[tokio::test]
    async fn a_token_that_no_header_takes_is_refused() {
        let text = "{contexts: [{name: a, context: {cluster: c, user: u}}], clusters: [{name: c, cluster: {server: \
                    'https://x'}}], users: [{name: u, user: {token: \"a\\u0007b\"}}]}";
        assert_eq!(refused(text, "a").await, "the token has characters that no header takes");
    }

    #[tokio::test]
    async fn a_token_comes_before_a_plugin() {
        let text = |token: &str| {
            format!(
                "{{contexts: [{{name: a, context: {{cluster: c, user: u}}}}], clusters: [{{name: c, cluster: {{server: \
                 'https://x'}}}}], users: [{{name: u, user: {{{token} exec: {{command: aws, provideClusterInfo: true}}}}}}]}}"
            )
        };
        let of = async |token: &str| {
            let kubeconfig = Kubeconfig::from_yaml(&text(token)).unwrap();
            target(&kubeconfig, "a", &context(&[]), None).await.ok().unwrap()
        };
        let fixed = of("token: t,").await;
        assert!(matches!(fixed.credentials, Credentials::Fixed) && fixed.config.auth_info.exec.is_none());
        let plugin = of("").await;
        assert!(plugin.config.auth_info.exec.is_none(), "kube must not run it");
        let Credentials::Plugin(exec) = plugin.credentials else { panic!("a plugin") };
        assert_eq!(exec.cluster.and_then(|cluster| cluster.server).as_deref(), Some("https://x"));
        assert!(!plugin.config.default_retry);
    }
}
