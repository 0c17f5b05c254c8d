//! Connects to a declared cluster and makes sure that it is that one.
//!
//! The endpoint and authority of DescribeCluster are the cluster's by definition. A kubeconfig may lead anywhere: where
//! EKS tells them, a server is believed that shows a certificate of that authority for that endpoint, and nothing is sent
//! to any other. Elsewhere the API must name the declared cluster's issuer
//! (<https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery>),
//! over `https` with a certificate that the kubeconfig's authority has signed: that keeps mistakes off, and nobody who has
//! written the kubeconfig.

use super::certificate;
use super::credentials::{ApiTarget, Credentials};
use super::failure::ApiFailure;
use super::kubeconfig;
use super::named::Named;
use super::proxy;
use super::session::{Session, Sessions};
use super::{ClusterEntry, Run};
use crate::ids::Key;
use crate::model::desired::KubernetesAccess;
use crate::model::live::Access;
use crate::world::ClusterFacts;
use http::Uri;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::Semaphore;

/// The way to one cluster.
pub(crate) struct Connection {
    pub(crate) run: Arc<Run>,
    pub(crate) key: Key,
    sessions: Sessions,
    pub(crate) permits: Semaphore,
    /// Whether the server ever answered.
    pub(crate) reached: AtomicBool,
    /// By which it was verified.
    facts: ClusterFacts,
}

impl Connection {
    /// The session, signed in anew where the last one has expired or was refused.
    pub(crate) async fn session(&self) -> Result<Arc<Session>, ApiFailure> {
        self.sessions.current().await
    }

    /// The certificates of the authorities that its server is checked against, in DER; empty for the system's.
    pub(crate) fn authorities(&self) -> &[Vec<u8>] {
        self.sessions.target.config.root_cert.as_deref().unwrap_or_default()
    }

    /// Tells that the server refused a session. Whether a new one may be better.
    pub(crate) fn refuse(&self, session: &Session) -> bool {
        self.sessions.refuse(session)
    }
}

const OPERATION: &str = "read the API's issuer";
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// Connects, checks, and keeps the connection if it is the declared cluster's.
pub(crate) async fn verify(run: &Arc<Run>, key: &Key, place: &ClusterEntry, facts: &ClusterFacts) -> Access<()> {
    let mut held = place.connection.lock().await;
    if held.as_ref().is_some_and(|connection| same_cluster(&connection.facts, facts)) {
        return Access::Granted(());
    }
    *held = None;
    let mut target = match target(run, place, facts).await {
        Ok(target) => target,
        Err(failure) => return Access::Unknown(failure.message),
    };
    // nothing is sent, no token either, to what is not the cluster by what is known already
    let proof = match judge(&mut target, place, facts) {
        Ok(proof) => proof,
        Err(access) => return access,
    };
    let connection = match connect(run, key, target, facts).await {
        Ok(connection) => connection,
        Err(failure) => return Access::Unknown(failure.message),
    };
    let access = match proof {
        Proof::Given => Access::Granted(()),
        Proof::Issuer => check(&connection, place, facts).await,
    };
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

async fn target(run: &Run, place: &ClusterEntry, facts: &ClusterFacts) -> Result<ApiTarget, ApiFailure> {
    let access = &place.cluster.kubernetes;
    match &access.context {
        Some(context) => {
            let named = access.kubeconfig.as_ref().map(Named::find).transpose()?;
            let kubeconfig = kubeconfig::read(named.as_ref(), run).await?;
            kubeconfig::target(&kubeconfig, context, &run.context, named.as_ref()).await
        }
        None if place.cluster.name.is_none() => {
            let text = "it is declared by its issuer alone: `kubernetes = { context = \"…\" }` names a way to its API";
            Err(ApiFailure::invalid(text))
        }
        None => by_endpoint(run, facts),
    }
}

async fn connect(run: &Arc<Run>, key: &Key, target: ApiTarget, facts: &ClusterFacts) -> Result<Connection, ApiFailure> {
    let connection = Connection {
        run: Arc::clone(run),
        key: key.clone(),
        sessions: Sessions::new(Arc::clone(run), key.clone(), target),
        permits: Semaphore::new(run.settings.parallelism.max(1)),
        reached: AtomicBool::new(false),
        facts: facts.clone(),
    };
    connection.session().await?;
    Ok(connection)
}

fn by_endpoint(run: &Run, facts: &ClusterFacts) -> Result<ApiTarget, ApiFailure> {
    let Some(endpoint) = &facts.endpoint else {
        return Err(ApiFailure::invalid(format!("EKS names no endpoint of it (its status is `{}`)", facts.status)));
    };
    let mut config = kubeconfig::base(endpoint, None, &run.context)?;
    let authority = facts.certificate_authority.as_deref().and_then(certificate::from_base64);
    config.root_cert = Some(authority.ok_or_else(|| ApiFailure::invalid("EKS names no certificate authority of it"))?);
    Ok(ApiTarget { config, credentials: Credentials::Tokens })
}

/// What shows that the API is the declared cluster's.
enum Proof {
    /// The certificate, which is checked with every connection, or the user's word.
    Given,
    /// It names the cluster's issuer.
    Issuer,
}

const WAIVE: &str = "`kubernetes = { unverified = true }` waives this check";

/// What is known before anything is sent. Of a cluster of which EKS tells endpoint and authority, no other authority is
/// believed, whatever else a kubeconfig has, and the certificate must be for that endpoint, whichever way leads there.
fn judge(target: &mut ApiTarget, place: &ClusterEntry, facts: &ClusterFacts) -> Result<Proof, Access<()>> {
    let KubernetesAccess { context, unverified, .. } = &place.cluster.kubernetes;
    let config = &mut target.config;
    let way =
        context.as_ref().map_or_else(|| "the endpoint that EKS names".to_owned(), |name| format!("context `{name}`"));
    if config.cluster_url.scheme_str() != Some("https") {
        let local = proxy::is_loopback(&config.cluster_url) && config.proxy_url.is_none();
        if !(local && *unverified) {
            return Err(Access::Unknown(format!(
                "{way} leads to an `http` address, at which anyone may answer: name one with `https` (on the loopback, \
                 `kubernetes = {{ unverified = true }}` allows it)"
            )));
        }
    }
    if *unverified || context.is_none() {
        return Ok(Proof::Given);
    }
    if config.accept_invalid_certs {
        let text = format!("{way} does not check the server's certificate, so it may be anyone's; {WAIVE}");
        return Err(Access::Unknown(text));
    }
    let Some((endpoint, authority)) = told(facts) else { return Ok(Proof::Issuer) };
    let held = config.root_cert.as_deref().unwrap_or_default();
    if !authority.iter().any(|certificate| held.contains(certificate)) {
        let what =
            if held.is_empty() { "it names no certificate authority" } else { "its certificate authority is another" };
        return Err(Access::Wrong(
            format!("{way} is not shown to lead to this cluster: {what}, EKS tells the cluster's"),
            format!("`aws eks update-kubeconfig` writes a context with the right one; {WAIVE}"),
        ));
    }
    let host = |url: &Uri| url.host().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
    config.tls_server_name = Some(host(&endpoint)).filter(|name| *name != host(&config.cluster_url));
    config.root_cert = Some(authority);
    Ok(Proof::Given)
}

/// Endpoint and authority as EKS tells them, if it tells both.
fn told(facts: &ClusterFacts) -> Option<(Uri, Vec<Vec<u8>>)> {
    let endpoint = facts.endpoint.as_ref()?.parse().ok().filter(|endpoint: &Uri| endpoint.host().is_some())?;
    Some((endpoint, certificate::from_base64(facts.certificate_authority.as_ref()?)?))
}

/// Whether the API names the issuer of the declared cluster.
async fn check(connection: &Connection, place: &ClusterEntry, facts: &ClusterFacts) -> Access<()> {
    let context = place.cluster.kubernetes.context.as_deref().unwrap_or_default();
    let Some(issuer) = &facts.issuer else {
        return Access::Unknown(format!("its issuer is not known, so its API cannot be told from another's; {WAIVE}"));
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
            Access::Unknown(format!("the API of context `{context}` names no issuer at `{DISCOVERY}`; {WAIVE}"))
        }
        Err(failure) if matches!(failure.status, Some(403 | 404)) => {
            let error = failure.at(OPERATION);
            Access::Unknown(format!(
                "{error}: without its issuer the API of context `{context}` cannot be told from another's; the \
                 ClusterRole `system:service-account-issuer-discovery` allows to read it, and {WAIVE}"
            ))
        }
        Err(failure) => Access::Unknown(failure.at(OPERATION).to_string()),
    }
}

/// The issuer that the API names, verbatim.
async fn api_issuer(connection: &Connection) -> Result<Option<String>, ApiFailure> {
    let request = http::Request::get(DISCOVERY).body(Vec::new());
    let request = request.map_err(|_| ApiFailure::invalid("the request could not be made"))?;
    let reply = connection.send(&request).await?;
    let document: Option<Value> = serde_json::from_slice(&reply.body).ok();
    let issuer = document.as_ref().and_then(|document| document.get("issuer")).and_then(Value::as_str);
    Ok(issuer.map(super::failure::clean))
}
