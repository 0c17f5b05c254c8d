//! Connects to a cluster and makes sure that it is the declared one.
//!
//! By kubeconfig and context, or by the endpoint and authority that EKS names. A server is the declared cluster's if
//! endpoint and authority are those of DescribeCluster, or else if it says that it has the declared issuer.

use super::reach::Link;
use super::request::Ask;
use super::{KubernetesReader, error};
use crate::context::Context;
use crate::ids::Key;
use crate::model::desired::KubernetesAccess;
use crate::model::live::Access;
use crate::world::{CallError, CallErrorKind, ClusterFacts};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use kube::config::{ExecInteractiveMode, KubeConfigOptions, Kubeconfig, KubeconfigError};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

const OPERATION: &str = "connect to the cluster";
/// The longest that connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

/// What a client was made from, as far as it says which cluster it leads to.
struct Target {
    server: Uri,
    authorities: BTreeSet<Vec<u8>>,
}

impl KubernetesReader {
    /// Connects and checks; the connection is kept.
    pub(super) async fn connect(&self, cluster: &Key, facts: &ClusterFacts) -> Access<()> {
        let place = match self.inner.place(cluster) {
            Ok(place) => place,
            Err(error) => return Access::Unknown(error.message),
        };
        let access = &place.cluster.kubernetes;
        let connected = if access.context.is_some() {
            self.by_kubeconfig(access.clone()).await
        } else {
            self.by_endpoint(facts)
        };
        let (link, target) = match connected {
            Ok(connected) => connected,
            Err(error) => return Access::Unknown(error.message),
        };
        *place.link.write().await = Some(Arc::new(link));
        match target {
            // it was reached by what EKS says of it
            None => Access::Granted(()),
            Some(_) if access.unverified => Access::Granted(()),
            Some(target) if target.is(facts) => Access::Granted(()),
            Some(target) => {
                let verdict = self.compare_issuers(cluster, facts, &target).await;
                if !matches!(verdict, Access::Granted(())) {
                    *place.link.write().await = None;
                }
                verdict
            }
        }
    }

    fn by_endpoint(&self, facts: &ClusterFacts) -> Result<(Link, Option<Target>), CallError> {
        let invalid = |message: &str| error(OPERATION, CallErrorKind::Invalid, message);
        let endpoint = facts.endpoint.as_deref().ok_or_else(|| {
            invalid(&format!("EKS names no endpoint of it (its status is {}); give it a kubeconfig context", facts.status))
        })?;
        let server: Uri = endpoint.parse().map_err(|_| invalid("the endpoint that EKS names is no URL"))?;
        let authority = facts.certificate_authority.as_deref().ok_or_else(|| invalid("EKS names no authority of it"))?;
        let pem = STANDARD.decode(authority).map_err(|_| invalid("the authority that EKS names is no base64"))?;
        let mut config = kube::Config::new(server);
        config.root_cert = Some(certificates(&String::from_utf8_lossy(&pem)));
        let client = self.client(config)?;
        Ok((Link { client, token: Some(Mutex::new(None)) }, None))
    }

    async fn by_kubeconfig(&self, access: KubernetesAccess) -> Result<(Link, Option<Target>), CallError> {
        let reader = self.clone();
        // an exec plugin runs while the client is made, and blocks
        let work = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Handle::current();
            runtime.block_on(reader.by_kubeconfig_blocking(&access))
        });
        let limit = self.inner.context.scaled(self.inner.settings.timeout);
        match tokio::time::timeout(limit, work).await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) => Err(error(OPERATION, CallErrorKind::Other, "reading the kubeconfig failed unexpectedly")),
            Err(_) => {
                let seconds = self.inner.settings.timeout.as_secs();
                let text = format!("the kubeconfig's exec plugin did not end within {seconds} s");
                Err(error(OPERATION, CallErrorKind::Credentials, text))
            }
        }
    }

    async fn by_kubeconfig_blocking(&self, access: &KubernetesAccess) -> Result<(Link, Option<Target>), CallError> {
        let mut kubeconfig = read(&self.inner.context, access)?;
        if !self.inner.settings.interactive {
            for user in &mut kubeconfig.auth_infos {
                if let Some(exec) = user.auth_info.as_mut().and_then(|info| info.exec.as_mut()) {
                    exec.interactive_mode = Some(ExecInteractiveMode::Never);
                }
            }
        }
        let options = KubeConfigOptions { context: access.context.clone(), ..KubeConfigOptions::default() };
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|wrong| error(OPERATION, CallErrorKind::Invalid, told(&wrong, access)))?;
        let target = Target {
            server: config.cluster_url.clone(),
            authorities: config.root_cert.iter().flatten().cloned().collect(),
        };
        Ok((Link { client: self.client(config)?, token: None }, Some(target)))
    }

    fn client(&self, mut config: kube::Config) -> Result<kube::Client, CallError> {
        config.default_retry = false;
        config.connect_timeout = Some(self.inner.context.scaled(CONNECT));
        kube::Client::try_from(config).map_err(|wrong| super::request::untold(OPERATION, &wrong))
    }

    /// Whether the server says that it has the declared issuer.
    async fn compare_issuers(&self, cluster: &Key, facts: &ClusterFacts, target: &Target) -> Access<()> {
        let Some(wanted) = &facts.issuer else {
            return Access::Unknown("its issuer is not known, so its API cannot be told from another's".to_owned());
        };
        let ask = Ask::get("read the issuer", "/.well-known/openid-configuration");
        let reply = match self.inner.send(cluster, ask).await {
            Ok(reply) => reply,
            Err(error) => {
                let more = if error.kind == CallErrorKind::Denied {
                    "; bind the ClusterRole `system:service-account-issuer-discovery`, or use the server and authority \
                     that EKS names, or set `kubernetes = { unverified = true }`"
                } else {
                    ""
                };
                return Access::Unknown(format!("it cannot be told whether its API is the declared cluster's: {error}{more}"));
            }
        };
        let found = reply.json.get("issuer").and_then(serde_json::Value::as_str).unwrap_or_default();
        if found == wanted.as_str() {
            return Access::Granted(());
        }
        Access::Wrong(
            format!("`{}` is another cluster's API: its issuer is `{found}`, not `{wanted}`", target.server),
            "correct the context; `kubernetes = { unverified = true }` waives this check".to_owned(),
        )
    }
}

impl Target {
    /// Whether server and authority are those that DescribeCluster names.
    fn is(&self, facts: &ClusterFacts) -> bool {
        let (Some(endpoint), Some(authority)) = (&facts.endpoint, &facts.certificate_authority) else { return false };
        let Ok(endpoint) = endpoint.parse::<Uri>() else { return false };
        let Ok(pem) = STANDARD.decode(authority) else { return false };
        let named: BTreeSet<Vec<u8>> = certificates(&String::from_utf8_lossy(&pem)).into_iter().collect();
        let place = |uri: &Uri| {
            let port = uri.port_u16().unwrap_or(443);
            (uri.host().unwrap_or_default().to_ascii_lowercase(), port, uri.path().trim_end_matches('/').to_owned())
        };
        place(&endpoint) == place(&self.server) && !named.is_empty() && named == self.authorities
    }
}

/// The certificates of a PEM text, as DER.
fn certificates(pem: &str) -> Vec<Vec<u8>> {
    let blocks = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
    let bodies = blocks.filter_map(|rest| rest.split("-----END CERTIFICATE-----").next());
    let clean = bodies.map(|body| body.chars().filter(|c| !c.is_whitespace()).collect::<String>());
    clean.filter_map(|body| STANDARD.decode(body).ok()).collect()
}

/// The kubeconfig that is named, or the usual ones merged
/// (<https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/>).
fn read(context: &Context, access: &KubernetesAccess) -> Result<Kubeconfig, CallError> {
    let files: Vec<PathBuf> = match (&access.kubeconfig, context.variable("KUBECONFIG")) {
        (Some(file), _) => vec![file.clone()],
        (None, Some(list)) => std::env::split_paths(list).filter(|path| path.exists()).collect(),
        (None, None) => {
            let home = context.variable("HOME").unwrap_or_default();
            vec![Path::new(home).join(".kube/config")]
        }
    };
    let wrong = |wrong: &KubeconfigError| error(OPERATION, CallErrorKind::Invalid, told(wrong, access));
    let mut merged: Option<Kubeconfig> = None;
    for file in files {
        let next = Kubeconfig::read_from(&file).map_err(|error| wrong(&error))?;
        merged = Some(match merged {
            None => next,
            Some(before) => before.merge(next).map_err(|error| wrong(&error))?,
        });
    }
    merged.ok_or_else(|| error(OPERATION, CallErrorKind::Invalid, "none of the files in KUBECONFIG is there"))
}

/// What is wrong with a kubeconfig; nothing of its content but the context's name.
fn told(wrong: &KubeconfigError, access: &KubernetesAccess) -> String {
    let context = access.context.as_deref().unwrap_or_default();
    match wrong {
        KubeconfigError::ReadConfig(error, path) => format!("cannot read kubeconfig `{}`: {}", path.display(), error.kind()),
        KubeconfigError::LoadContext(_) => format!("the kubeconfig has no context `{context}`"),
        KubeconfigError::LoadClusterOfContext(_) => format!("the kubeconfig lacks the cluster of context `{context}`"),
        _ => format!("the kubeconfig cannot be used for context `{context}`"),
    }
}
