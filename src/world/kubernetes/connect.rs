//! Connects to a declared cluster and makes sure that it is that one.
//!
//! The endpoint and authority of DescribeCluster are the cluster's by definition. A kubeconfig may lead anywhere: it is
//! believed if it has the same server and authority, or if the API names the declared cluster's issuer
//! (<https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery>).

use super::certificate;
use super::failure::Failure;
use super::kubeconfig::{self, Credentials, Target};
use super::named::Named;
use super::session::Session;
use super::{Place, Run};
use crate::ids::Key;
use crate::model::live::Access;
use crate::world::ClusterFacts;
use http::Uri;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::{Mutex, Semaphore};

/// The way to one cluster.
pub(crate) struct Connection {
    pub(crate) run: Arc<Run>,
    pub(crate) key: Key,
    pub(crate) target: Target,
    pub(crate) session: Mutex<Option<Arc<Session>>>,
    pub(crate) permits: Semaphore,
    /// Whether the server ever answered.
    pub(crate) reached: AtomicBool,
    /// By which it was verified.
    facts: ClusterFacts,
}

const OPERATION: &str = "read the API's issuer";
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// Connects, checks, and keeps the connection if it is the declared cluster's.
pub(crate) async fn verify(run: &Arc<Run>, key: &Key, place: &Place, facts: &ClusterFacts) -> Access<()> {
    let mut held = place.connection.lock().await;
    if held.as_ref().is_some_and(|connection| same_cluster(&connection.facts, facts)) {
        return Access::Granted(());
    }
    *held = None;
    let connection = match connect(run, key, place, facts).await {
        Ok(connection) => connection,
        Err(failure) => return Access::Unknown(failure.message),
    };
    let access = check(&connection, place, facts).await;
    if matches!(access, Access::Granted(())) {
        *held = Some(Arc::new(connection));
    }
    access
}

/// Whether both identify the same cluster; its status changes by itself.
fn same_cluster(one: &ClusterFacts, other: &ClusterFacts) -> bool {
    let ClusterFacts { issuer, endpoint, certificate_authority, status: _ } = one;
    (issuer, endpoint, certificate_authority) == (&other.issuer, &other.endpoint, &other.certificate_authority)
}

async fn connect(run: &Arc<Run>, key: &Key, place: &Place, facts: &ClusterFacts) -> Result<Connection, Failure> {
    let access = &place.cluster.kubernetes;
    let target = match &access.context {
        Some(context) => {
            let named = access.kubeconfig.as_ref().map(Named::find).transpose()?;
            let kubeconfig = kubeconfig::read(named.as_ref(), run).await?;
            kubeconfig::target(&kubeconfig, context, &run.context, named.as_ref()).await?
        }
        None if place.cluster.name.is_none() => {
            let text = "it is declared by its issuer alone: `kubernetes = { context = \"…\" }` names a way to its API";
            return Err(Failure::invalid(text));
        }
        None => by_endpoint(run, facts)?,
    };
    let connection = Connection {
        run: Arc::clone(run),
        key: key.clone(),
        target,
        session: Mutex::new(None),
        permits: Semaphore::new(run.settings.parallelism.max(1)),
        reached: AtomicBool::new(false),
        facts: facts.clone(),
    };
    connection.session().await?;
    Ok(connection)
}

fn by_endpoint(run: &Run, facts: &ClusterFacts) -> Result<Target, Failure> {
    let Some(endpoint) = &facts.endpoint else {
        return Err(Failure::invalid(format!("EKS names no endpoint of it (its status is `{}`)", facts.status)));
    };
    let mut config = kubeconfig::base(endpoint, None, &run.context)?;
    let authority = facts.certificate_authority.as_deref().and_then(certificate::from_base64);
    config.root_cert = Some(authority.ok_or_else(|| Failure::invalid("EKS names no certificate authority of it"))?);
    Ok(Target { config, credentials: Credentials::Tokens })
}

/// Whether the API is the declared cluster's.
async fn check(connection: &Connection, place: &Place, facts: &ClusterFacts) -> Access<()> {
    let Some(context) = &place.cluster.kubernetes.context else { return Access::Granted(()) };
    if place.cluster.kubernetes.unverified || same_server(connection, facts) {
        return Access::Granted(());
    }
    let waive = "`kubernetes = { unverified = true }` waives this check";
    if connection.target.config.accept_invalid_certs {
        let text =
            format!("context `{context}` does not check the server's certificate, so it may be anyone's; {waive}");
        return Access::Unknown(text);
    }
    let Some(issuer) = &facts.issuer else {
        return Access::Unknown(format!("its issuer is not known, so its API cannot be told from another's; {waive}"));
    };
    match api_issuer(connection).await {
        Ok(Some(named)) if named == issuer.as_str() => Access::Granted(()),
        Ok(Some(named)) => Access::Wrong(
            format!("the API of context `{context}` is another cluster's: its issuer is `{named}`"),
            format!(
                "cluster `{}` has the issuer `{issuer}`, the API has `{named}`: name the context of the former",
                connection.key
            ),
        ),
        Ok(None) => {
            Access::Unknown(format!("the API of context `{context}` names no issuer at `{DISCOVERY}`; {waive}"))
        }
        Err(failure) if matches!(failure.status, Some(403 | 404)) => {
            let error = failure.at(OPERATION);
            Access::Unknown(format!(
                "{error}: without its issuer the API of context `{context}` cannot be told from another's; the \
                 ClusterRole `system:service-account-issuer-discovery` allows to read it, and {waive}"
            ))
        }
        Err(failure) => Access::Unknown(failure.at(OPERATION).to_string()),
    }
}

/// The issuer that the API names, verbatim.
async fn api_issuer(connection: &Connection) -> Result<Option<String>, Failure> {
    let request = http::Request::get(DISCOVERY).body(Vec::new());
    let request = request.map_err(|_| Failure::invalid("the request could not be made"))?;
    let reply = connection.send(&request).await?;
    let document: Option<Value> = serde_json::from_slice(&reply.body).ok();
    let issuer = document.as_ref().and_then(|document| document.get("issuer")).and_then(Value::as_str);
    Ok(issuer.map(super::failure::clean))
}

/// Whether server and authority are those of DescribeCluster, the certificate being checked.
fn same_server(connection: &Connection, facts: &ClusterFacts) -> bool {
    let config = &connection.target.config;
    let (Some(endpoint), Some(authority)) = (&facts.endpoint, &facts.certificate_authority) else { return false };
    let Ok(endpoint) = endpoint.parse::<Uri>() else { return false };
    !config.accept_invalid_certs
        && config.cluster_url.scheme_str() == Some("https")
        && origin(&endpoint) == origin(&config.cluster_url)
        && config.root_cert.is_some()
        && config.root_cert == certificate::from_base64(authority)
}

fn origin(url: &Uri) -> (Option<&str>, String, u16, &str) {
    let host = url.host().unwrap_or_default().to_ascii_lowercase();
    (url.scheme_str(), host, url.port_u16().unwrap_or(443), url.path().trim_end_matches('/'))
}
