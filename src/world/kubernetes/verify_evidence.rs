//! Sends the requests that only the command `verify` needs: for tokens, webhooks, pods, and the labels of namespaces.
//!
//! A TokenRequest is the only request here that is not a read, and it creates no object. Its answer is parsed here. Only
//! `web_identity` and `IdentityToken::is_verified_by` read the token again.

use super::failure::{ApiFailure, clean};
use super::metadata::string_map;
use super::read::{LIST_NAMESPACES, LIST_PODS, NOT_ENDED, Object, collection, decode, get, list, list_whole};
use super::{KubernetesReader, published};
use crate::ids::{IssuerUrl, Key, Namespace, ServiceAccountName};
use crate::model::evidence::{
    Container, Owner, Pod, Published, Requirement, Selector, TokenClaims, Webhook, WebhookList,
};
use crate::model::resource::StringMap;
use crate::world::{Answer, IdentityToken, ReadKubernetesEvidence, certificate};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::core::Request as RequestBuilder;
use kube::core::params::ListParams;
use secrecy::SecretString;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const TOKEN: &str = "create serviceaccounts/token";
const LIST_WEBHOOKS: &str = "list MutatingWebhookConfigurations";
const GET_REPLICA_SET: &str = "get ReplicaSet";

/// The shortest lifetime that the API accepts for a token, in seconds.
const MIN_LIFETIME: u32 = 600;

impl ReadKubernetesEvidence for KubernetesReader {
    async fn token(
        &self,
        cluster: &Key,
        namespace: &Namespace,
        name: &ServiceAccountName,
        audience: &str,
    ) -> Answer<IdentityToken> {
        let connection = self.clusters.connection(cluster, TOKEN).await?;
        let asked = async {
            let body = json!({
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                "spec": {"audiences": [audience], "expirationSeconds": MIN_LIFETIME},
            });
            let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
            let request = http::Request::post(path).header("content-type", "application/json");
            let request = request.body(body.to_string().into_bytes()).map_err(|_| ApiFailure::unbuilt())?;
            let answer: Issued = decode(&connection.send(&request).await?)?;
            token(answer.status.token.into()).ok_or_else(ApiFailure::malformed)
        };
        asked.await.map_err(|failure| failure.at(TOKEN))
    }

    async fn webhooks(&self, cluster: &Key) -> Answer<WebhookList> {
        let connection = self.clusters.connection(cluster, LIST_WEBHOOKS).await?;
        let collection = RequestBuilder::new("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations");
        let parse = |object: &RawValue| {
            let parsed = serde_json::from_str::<MutatingWebhookConfiguration>(object.get());
            parsed.map_err(|_| text(&any(object), "/metadata/name").unwrap_or_else(|| "?".to_owned()))
        };
        let listed = list_whole(&connection, &collection, &ListParams::default(), parse).await;
        let mut all = WebhookList::default();
        for configuration in listed.map_err(|failure| failure.at(LIST_WEBHOOKS))? {
            match configuration {
                Ok(configuration) => {
                    let name = clean(&configuration.metadata.name.unwrap_or_default());
                    let webhooks = configuration.webhooks.unwrap_or_default().into_iter().enumerate();
                    all.items.extend(webhooks.map(|(index, one)| webhook(&name, index, one)));
                }
                Err(name) => all.malformed.push(name),
            }
        }
        Ok(all)
    }

    async fn namespace_labels(&self, cluster: &Key) -> Answer<BTreeMap<Namespace, StringMap>> {
        let connection = self.clusters.connection(cluster, LIST_NAMESPACES).await?;
        let labels = |object: &RawValue| {
            let Object { metadata } = serde_json::from_str(object.get()).ok()?;
            Some((Namespace::parse(metadata.name?).ok()?, string_map(metadata.labels)))
        };
        let all = list(&connection, &collection(None, "namespaces"), &ListParams::default(), i64::MAX, labels).await;
        let all = all.map_err(|failure| failure.at(LIST_NAMESPACES))?.unwrap_or_default();
        Ok(all.into_iter().flatten().collect())
    }

    /// Leaves out pods that have ended or are being deleted.
    async fn running_pods(&self, cluster: &Key, within: Option<&Namespace>) -> Answer<BTreeMap<Namespace, Vec<Pod>>> {
        let connection = self.clusters.connection(cluster, LIST_PODS).await?;
        let params = ListParams::default().fields(NOT_ENDED);
        let parse = |object: &RawValue| {
            let parsed: Option<core::Pod> = serde_json::from_str(object.get()).ok();
            if parsed.as_ref().is_some_and(|pod| pod.metadata.deletion_timestamp.is_some()) {
                return Ok(None);
            }
            if let Some(pod) = parsed.and_then(pod) {
                return Ok(Some(pod));
            }
            let object = any(object);
            if text(&object, "/metadata/deletionTimestamp").is_some() {
                return Ok(None);
            }
            // a pod without a readable namespace may use any ServiceAccount
            malformed_pod(&object).map(Some).ok_or_else(ApiFailure::malformed)
        };
        let all = list_whole(&connection, &collection(within, "pods"), &params, parse).await;
        let all = all.and_then(|all| all.into_iter().collect::<Result<Vec<_>, _>>());
        let mut by_namespace: BTreeMap<Namespace, Vec<Pod>> = BTreeMap::new();
        for (namespace, pod) in all.map_err(|failure| failure.at(LIST_PODS))?.into_iter().flatten() {
            by_namespace.entry(namespace).or_default().push(pod);
        }
        Ok(by_namespace)
    }

    async fn replica_set_owner(&self, cluster: &Key, namespace: &Namespace, name: &str) -> Answer<Option<Owner>> {
        // the name is from a reference, which may have any text, and becomes a part of the path
        if ServiceAccountName::parse(name).is_err() {
            return Ok(None);
        }
        let connection = self.clusters.connection(cluster, GET_REPLICA_SET).await?;
        let collection = RequestBuilder::new(format!("/apis/apps/v1/namespaces/{namespace}/replicasets"));
        let found = get::<Object>(&connection, &collection, name).await;
        let found = found.map_err(|failure| failure.at(GET_REPLICA_SET))?;
        Ok(found.and_then(|object| controller_or_owner(&object.metadata)))
    }

    async fn authority(&self, cluster: &Key) -> Answer<Vec<Vec<u8>>> {
        let connection = self.clusters.connection(cluster, "verify").await?;
        Ok(connection.target.config.root_cert.clone().unwrap_or_default())
    }

    async fn published(&self, issuer: &IssuerUrl) -> Published {
        published::read(&self.clusters.run, issuer).await
    }
}

/// The answer to a TokenRequest. It has no `Debug`, so that nothing prints it.
#[derive(serde::Deserialize)]
struct Issued {
    status: IssuedStatus,
}

#[derive(serde::Deserialize)]
struct IssuedStatus {
    token: String,
}

/// Reads header and claims of a JSON web token (<https://www.rfc-editor.org/rfc/rfc7519#section-3>). Does not check the
/// signature: `signature` and STS do that.
fn token(secret: SecretString) -> Option<IdentityToken> {
    use secrecy::ExposeSecret;
    let mut parts = secret.expose_secret().split('.');
    let mut part = || -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok() };
    let (header, claims) = (part()?, part()?);
    let text = |value: &Value| clean(value.as_str().unwrap_or_default());
    let audiences = match &claims["aud"] {
        Value::Array(list) => list.iter().map(text).collect(),
        one => vec![text(one)],
    };
    let claims = TokenClaims {
        issuer: text(&claims["iss"]),
        subject: text(&claims["sub"]),
        audiences,
        key_id: text(&header["kid"]),
    };
    Some(IdentityToken { claims, secret })
}

fn webhook(configuration: &str, index: usize, webhook: MutatingWebhook) -> Webhook {
    let client = webhook.client_config;
    let bundle = client.ca_bundle.map(|bundle| bundle.0);
    Webhook {
        configuration: configuration.to_owned(),
        name: clean(&webhook.name),
        index,
        in_cluster: client.service.is_some(),
        ca_bundle: bundle.and_then(|bytes| certificate::from_pem(&String::from_utf8(bytes).ok()?)),
        namespace_selector: selector(webhook.namespace_selector),
        object_selector: selector(webhook.object_selector),
        covers_pods: webhook.rules.iter().flatten().any(creates_pods),
        has_conditions: webhook.match_conditions.is_some_and(|conditions| !conditions.is_empty()),
    }
}

fn creates_pods(rule: &RuleWithOperations) -> bool {
    let has = |list: &Option<Vec<String>>, wanted: &str| {
        list.iter().flatten().any(|one| one == wanted || one == "*" || one == "*/*")
    };
    let in_namespaces = rule.scope.as_deref().is_none_or(|scope| scope != "Cluster");
    has(&rule.resources, "pods")
        && has(&rule.operations, "CREATE")
        && has(&rule.api_groups, "")
        && has(&rule.api_versions, "v1")
        && in_namespaces
}

/// Converts a label selector. Each pair of `matchLabels` becomes a requirement with `In`
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>).
fn selector(selector: Option<LabelSelector>) -> Selector {
    let selector = selector.unwrap_or_default();
    let labels = selector.match_labels.into_iter().flatten().map(|(key, value)| Requirement {
        key: clean(&key),
        operator: "In".to_owned(),
        values: vec![clean(&value)],
    });
    let expressions = selector.match_expressions.into_iter().flatten().map(|one| Requirement {
        key: clean(&one.key),
        operator: clean(&one.operator),
        values: one.values.iter().flatten().map(|value| clean(value)).collect(),
    });
    Selector(labels.chain(expressions).collect())
}

/// An object as JSON, for the fields that can be read although others are malformed.
fn any(object: &RawValue) -> Value {
    serde_json::from_str(object.get()).unwrap_or_default()
}

fn text(object: &Value, pointer: &str) -> Option<String> {
    object.pointer(pointer)?.as_str().map(clean)
}

fn malformed_pod(object: &Value) -> Option<(Namespace, Pod)> {
    let namespace = Namespace::parse(text(object, "/metadata/namespace")?).ok()?;
    let pod = Pod {
        name: text(object, "/metadata/name").unwrap_or_else(|| "?".to_owned()),
        service_account: text(object, "/spec/serviceAccountName").unwrap_or_default(),
        is_malformed: true,
        labels: StringMap::new(),
        annotations: StringMap::new(),
        started: String::new(),
        owner: None,
        containers: Vec::new(),
    };
    Some((namespace, pod))
}

fn pod(pod: core::Pod) -> Option<(Namespace, Pod)> {
    let namespace = Namespace::parse(pod.metadata.namespace.as_deref()?).ok()?;
    let spec = pod.spec?;
    let owner = controller_or_owner(&pod.metadata);
    let started = pod.status.and_then(|status| status.start_time).or(pod.metadata.creation_timestamp);
    let volumes = spec.volumes.unwrap_or_default();
    let init =
        spec.init_containers.into_iter().flatten().map(|one| Container { is_init: true, ..container(one, &volumes) });
    let others = spec.containers.into_iter().map(|one| container(one, &volumes));
    let pod = Pod {
        name: clean(&pod.metadata.name.unwrap_or_default()),
        service_account: spec.service_account_name.unwrap_or_else(|| "default".to_owned()),
        is_malformed: false,
        labels: string_map(pod.metadata.labels),
        annotations: string_map(pod.metadata.annotations),
        started: started.map(|time| time.0.to_string()).unwrap_or_default(),
        owner,
        containers: init.chain(others).collect(),
    };
    Some((namespace, pod))
}

fn container(container: core::Container, volumes: &[core::Volume]) -> Container {
    let environment = container.env.unwrap_or_default();
    // of several with one name, the last one counts
    let last = |name: &str| environment.iter().rfind(|variable| variable.name == name);
    let value = |name: &str| Some(clean(last(name)?.value.as_deref().unwrap_or_default()));
    // SDKs ignore an empty variable
    let is_set = |name: &str| {
        let is_empty =
            |one: &core::EnvVar| one.value_from.is_none() && one.value.as_deref().unwrap_or_default().is_empty();
        last(name).is_some_and(|one| !is_empty(one))
    };
    let mounts = container.volume_mounts.iter().flatten();
    Container {
        name: clean(&container.name),
        is_init: false,
        role: value("AWS_ROLE_ARN"),
        // the webhook writes `C:\…` for Windows
        token_file: value("AWS_WEB_IDENTITY_TOKEN_FILE")
            .map(|file| file.strip_prefix("C:").unwrap_or(&file).replace('\\', "/")),
        tokens: mounts.flat_map(|mount| tokens_at(mount, volumes)).collect(),
        static_keys: is_set("AWS_ACCESS_KEY_ID"),
        pod_identity: is_set("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    }
}

/// The path and audience of each projected ServiceAccount token that a mount shows
/// (<https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken>).
fn tokens_at<'a>(
    mount: &'a core::VolumeMount,
    volumes: &'a [core::Volume],
) -> impl Iterator<Item = (String, String)> + 'a {
    let volumes = volumes.iter().filter(|volume| volume.name == mount.name);
    let sources = volumes.filter_map(|volume| volume.projected.as_ref()?.sources.as_ref()).flatten();
    sources.filter_map(|source| {
        let token = source.service_account_token.as_ref()?;
        // a `subPath` shows one file or folder of the volume
        let shown = mount.sub_path.as_deref().unwrap_or_default().trim_end_matches('/');
        let below = token.path.strip_prefix(shown)?;
        let below = if shown.is_empty() || below.is_empty() { below } else { below.strip_prefix('/')? };
        let path = format!("{}/{below}", mount.mount_path.trim_end_matches('/'));
        let audience = token.audience.as_deref().unwrap_or_default();
        Some((clean(path.trim_end_matches('/')), clean(audience)))
    })
}

/// The controller of an object, or else its first owner.
fn controller_or_owner(metadata: &ObjectMeta) -> Option<Owner> {
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    let is_controller = |owner: &&OwnerReference| owner.controller == Some(true);
    let owner = owners.iter().find(is_controller).or_else(|| owners.first())?;
    Some(Owner { kind: clean(&owner.kind), name: clean(&owner.name) })
}

#[cfg(test)]
mod tests;
