//! Connects to a declared cluster, and verifies that the API server belongs to it.
//!
//! DescribeCluster says which endpoint and certificate authority the cluster has. A kubeconfig may name any server. If
//! EKS reports endpoint and authority, irsa accepts only a server that shows a certificate of that authority for that
//! endpoint, and sends nothing to any other. Otherwise the API must name the declared cluster's issuer
//! (<https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery>),
//! over `https` and with a certificate of the kubeconfig's authority. This check finds mistakes. It does not stop an
//! author of the kubeconfig who means harm. `kubernetes = { unverified = true }` turns all of this off, except that
//! only a local server may be without `https`.

use super::api_target::{ApiTarget, CredentialSource};
use super::connection::ClusterConnection;
use super::failure::{ApiFailure, clean};
use super::kubeconfig;
use super::kubeconfig_context;
use super::proxy::{host, is_loopback};
use super::untrusted_kubeconfig::UntrustedKubeconfig;
use super::{ClusterEntry, RunState};
use crate::ids::Key;
use crate::model::desired::KubernetesAccess;
use crate::model::live::Access;
use crate::model::refusal::RefusalKind;
use crate::world::{ClusterFacts, certificate};
use http::Uri;
use serde_json::Value;
use std::sync::Arc;

const OPERATION: &str = "read the API's issuer";
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// Connects to the cluster and keeps the connection if it is verified. `facts` are what EKS reports, or only the declared
/// issuer.
pub(crate) async fn verify(run: &Arc<RunState>, key: &Key, entry: &ClusterEntry, facts: &ClusterFacts) -> Access<()> {
    let mut connection = entry.connection.lock().await;
    if connection.as_ref().is_some_and(|connection| same_cluster(&connection.facts, facts)) {
        return Access::Granted(());
    }
    *connection = None;
    match connect(run, key, entry, facts).await {
        Ok(verified) => {
            *connection = Some(Arc::new(verified));
            Access::Granted(())
        }
        Err(access) => access,
    }
}

/// `Err` is the access that was not granted, with the reason.
async fn connect(
    run: &Arc<RunState>,
    key: &Key,
    entry: &ClusterEntry,
    facts: &ClusterFacts,
) -> Result<ClusterConnection, Access<()>> {
    let unknown = |failure: ApiFailure| Access::Unknown(failure.message);
    let mut target = find_target(run, entry, facts).await.map_err(unknown)?;
    // checked before any request, because a request carries a token
    let needs_issuer = check_target(&mut target, entry, facts)?;
    let connection = ClusterConnection::new(run, key, target, facts);
    connection.session().await.map_err(unknown)?;
    if needs_issuer {
        check_issuer(&connection, entry, facts).await?;
    }
    Ok(connection)
}

/// Whether both identify the same cluster. The status may differ.
fn same_cluster(one: &ClusterFacts, other: &ClusterFacts) -> bool {
    let ClusterFacts { issuer, endpoint, certificate_authority, status: _ } = one;
    (issuer, endpoint, certificate_authority) == (&other.issuer, &other.endpoint, &other.certificate_authority)
}

async fn find_target(run: &RunState, entry: &ClusterEntry, facts: &ClusterFacts) -> Result<ApiTarget, ApiFailure> {
    let access = &entry.cluster.kubernetes;
    match &access.context {
        Some(context) => {
            let untrusted = access.kubeconfig.as_ref().map(UntrustedKubeconfig::find).transpose()?;
            let kubeconfig = kubeconfig::read(untrusted.as_ref(), run).await?;
            kubeconfig_context::of_context(&kubeconfig, context, &run.context, untrusted.as_ref()).await
        }
        None if entry.cluster.name.is_none() => {
            let text = "it is declared by its issuer alone: set `kubernetes = { context = \"…\" }` so that irsa can reach its API";
            Err(ApiFailure::invalid(text))
        }
        None => eks_target(run, facts),
    }
}

fn eks_target(run: &RunState, facts: &ClusterFacts) -> Result<ApiTarget, ApiFailure> {
    let Some(endpoint) = &facts.endpoint else {
        return Err(ApiFailure::invalid(format!("EKS reports no endpoint for it (its status is `{}`)", facts.status)));
    };
    let mut config = kubeconfig_context::bare_config(endpoint, None, &run.context)?;
    let authority = facts.certificate_authority.as_deref().and_then(certificate::from_base64);
    config.root_cert =
        Some(authority.ok_or_else(|| ApiFailure::invalid("EKS reports no certificate authority for it"))?);
    Ok(ApiTarget { config, credentials: CredentialSource::EksToken })
}

const TURN_OFF: &str = "`kubernetes = { unverified = true }` turns irsa's check off";

/// Checks everything that needs no request. If EKS reports endpoint and authority, makes the client trust only that
/// authority for that endpoint, whatever else the kubeconfig has. Returns whether the issuer must be checked too.
fn check_target(target: &mut ApiTarget, entry: &ClusterEntry, facts: &ClusterFacts) -> Result<bool, Access<()>> {
    let KubernetesAccess { context, unverified, .. } = &entry.cluster.kubernetes;
    let config = &mut target.config;
    let source =
        context.as_ref().map_or_else(|| "the endpoint that EKS reports".to_owned(), |name| format!("context `{name}`"));
    if config.cluster_url.scheme_str() != Some("https") {
        let is_local = is_loopback(&config.cluster_url) && config.proxy_url.is_none();
        if !(is_local && *unverified) {
            return Err(Access::Unknown(format!(
                "{source} leads to an `http` address, at which anyone may answer: name one with `https` (on the loopback, \
                 `kubernetes = {{ unverified = true }}` allows it)"
            )));
        }
    }
    if *unverified || context.is_none() {
        return Ok(false);
    }
    if config.accept_invalid_certs {
        let text = format!("{source} does not check the server's certificate, so any server could answer; {TURN_OFF}");
        return Err(Access::Unknown(text));
    }
    let Some((endpoint, authority)) = endpoint_and_authority(facts) else { return Ok(true) };
    let trusted = config.root_cert.as_deref().unwrap_or_default();
    if !authority.iter().any(|certificate| trusted.contains(certificate)) {
        let what = if trusted.is_empty() {
            "it names no certificate authority, and EKS reports one"
        } else {
            "its certificate authority is not the one that EKS reports"
        };
        return Err(Access::Wrong(RefusalKind::CertificateAuthority.because(
            format!("{source} may lead to another cluster: {what}"),
            format!("`aws eks update-kubeconfig` writes a context with the right one; {TURN_OFF}"),
        )));
    }
    config.tls_server_name = Some(host(&endpoint)).filter(|name| *name != host(&config.cluster_url));
    config.root_cert = Some(authority);
    Ok(false)
}

/// None unless EKS reports both in a usable form.
fn endpoint_and_authority(facts: &ClusterFacts) -> Option<(Uri, Vec<Vec<u8>>)> {
    let endpoint = facts.endpoint.as_ref()?.parse().ok().filter(|endpoint: &Uri| endpoint.host().is_some())?;
    Some((endpoint, certificate::from_base64(facts.certificate_authority.as_ref()?)?))
}

/// Checks that the API names the issuer of the declared cluster.
async fn check_issuer(
    connection: &ClusterConnection,
    entry: &ClusterEntry,
    facts: &ClusterFacts,
) -> Result<(), Access<()>> {
    let context = entry.cluster.kubernetes.context.as_deref().unwrap_or_default();
    let Some(issuer) = &facts.issuer else {
        let text = format!("its issuer is not known, so irsa cannot verify its API; {TURN_OFF}");
        return Err(Access::Unknown(text));
    };
    Err(match api_issuer(connection).await {
        Ok(Some(named)) if named == issuer.as_str() => return Ok(()),
        Ok(Some(named)) => Access::Wrong(RefusalKind::WrongCluster.because(
            format!("the API of context `{context}` is another cluster's: its issuer is `{named}`"),
            format!(
                "cluster `{}` has the issuer `{issuer}`, the API has `{named}`: name a context that leads to that cluster",
                connection.key
            ),
        )),
        Ok(None) => {
            Access::Unknown(format!("the API of context `{context}` names no issuer at `{DISCOVERY}`; {TURN_OFF}"))
        }
        Err(failure) if matches!(failure.status, Some(403 | 404)) => Access::Unknown(format!(
            "{}: without its issuer irsa cannot verify the API of context `{context}`; the ClusterRole \
             `system:service-account-issuer-discovery` allows irsa to read the issuer; {TURN_OFF}",
            failure.at(OPERATION)
        )),
        Err(failure) => Access::Unknown(failure.at(OPERATION).to_string()),
    })
}

/// The issuer in the API's discovery document, verbatim.
async fn api_issuer(connection: &ClusterConnection) -> Result<Option<String>, ApiFailure> {
    let request = http::Request::get(DISCOVERY).body(Vec::new());
    let request = request.map_err(|_| ApiFailure::unbuilt())?;
    let reply = connection.send(&request).await?;
    let document: Option<Value> = serde_json::from_slice(&reply.body).ok();
    Ok(document.as_ref().and_then(|document| document.get("issuer")?.as_str()).map(clean))
}
