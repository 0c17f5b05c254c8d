//! Admission control: webhooks and quotas, which can reject a write that RBAC allows.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/>: mutating webhooks run
//! first, then the object's own validation, then validating webhooks, and last the ResourceQuota plugin. Here a webhook
//! is a function; `webhook::WebhookServer` serves the same function to a real API server.

use crate::kubernetes::patch;
use crate::kubernetes::resource::Resource;
use crate::kubernetes::status::Refusal;
use crate::kubernetes::store::Store;
use crate::kubernetes::validate;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// A webhook function: maps the `request` of an AdmissionReview to its `response`, both without the uid.
pub type Policy = Arc<dyn Fn(&Value) -> Value + Send + Sync>;

/// The operation of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Update,
    Delete,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// A webhook that is called for ServiceAccounts.
#[derive(Clone)]
struct Webhook {
    name: String,
    mutates: bool,
    policy: Policy,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("name", &self.name).field("mutates", &self.mutates).finish_non_exhaustive()
    }
}

/// A limit on the number of objects of a kind in a namespace.
#[derive(Debug, Clone)]
struct Quota {
    name: String,
    namespace: String,
    resource: Resource,
    hard: usize,
}

/// The webhooks and quotas of a cluster.
#[derive(Debug, Clone, Default)]
pub(crate) struct Admission {
    webhooks: Vec<Webhook>,
    quotas: Vec<Quota>,
}

impl Webhook {
    /// Calls the webhook for a write and applies the returned patch.
    fn ask(&self, request: &Value, object: &mut Value) -> Result<(), Refusal> {
        let response = (self.policy)(request);
        if response["allowed"] != true {
            return Err(self.refusal(&response["status"]));
        }
        let patch = response["patch"].as_str().filter(|_| self.mutates);
        let Some(patch) = patch else { return Ok(()) };
        let failed = |why: String| Refusal::internal(&format!("failed calling webhook {:?}: {why}", self.name));
        let patch = STANDARD.decode(patch).map_err(|error| failed(error.to_string()))?;
        let patch = serde_json::from_slice(&patch).map_err(|error| failed(error.to_string()))?;
        patch::json_patch(object, &patch)
    }

    /// The error of a webhook's denial, with the webhook's own code and reason. A code below 400 becomes 400.
    fn refusal(&self, status: &Value) -> Refusal {
        let text = |field: &str| status[field].as_str().unwrap_or_default();
        let code = status["code"].as_u64().and_then(|code| u16::try_from(code).ok()).filter(|code| *code >= 400);
        let by = format!("admission webhook {:?} denied the request", self.name);
        let message = match (text("message"), text("reason")) {
            ("", "") => format!("{by} without explanation"),
            ("", why) | (why, _) => format!("{by}: {why}"),
        };
        Refusal::new(code.unwrap_or(400), text("reason"), message)
    }
}

impl Store {
    /// Calls this webhook before each later write to a ServiceAccount.
    pub fn ask_webhook(&mut self, name: &str, mutates: bool, policy: Policy) {
        self.admission.webhooks.push(Webhook { name: name.to_owned(), mutates, policy });
    }

    /// Limits the number of objects of a kind in a namespace, as a ResourceQuota of `count/RESOURCE` does.
    pub fn set_quota(&mut self, name: &str, namespace: &str, resource: Resource, hard: usize) {
        let (name, namespace) = (name.to_owned(), namespace.to_owned());
        self.admission.quotas.push(Quota { name, namespace, resource, hard });
    }

    /// Removes all webhooks and quotas.
    pub fn admit_all(&mut self) {
        self.admission = Admission::default();
    }

    /// Runs webhooks, validation and quotas on an object before it is stored.
    #[expect(clippy::too_many_arguments, reason = "the attributes that the server passes to each plugin")]
    pub(crate) fn admit(
        &self,
        operation: Operation,
        resource: Resource,
        namespace: &str,
        name: &str,
        object: &mut Value,
        old: Option<&Value>,
        dry_run: bool,
    ) -> Result<(), Refusal> {
        let kind = json!({"group": resource.group(), "version": "v1", "kind": resource.kind()});
        let served = json!({"group": resource.group(), "version": "v1", "resource": resource.plural()});
        let request = |object: &Value| {
            json!({
                "kind": kind, "resource": served, "namespace": namespace, "name": name,
                "operation": operation.as_str(), "object": object, "oldObject": old, "dryRun": dry_run,
            })
        };
        let asked = |mutates: bool| {
            let all = self.admission.webhooks.iter().filter(move |webhook| webhook.mutates == mutates);
            all.filter(|_| resource == Resource::ServiceAccounts)
        };
        for webhook in asked(true) {
            webhook.ask(&request(object), object)?;
        }
        if operation != Operation::Delete {
            validate::object(resource, object, old)?;
        }
        for webhook in asked(false) {
            webhook.ask(&request(object), object)?;
        }
        if operation == Operation::Create { self.within_quotas(resource, namespace, name) } else { Ok(()) }
    }

    fn within_quotas(&self, resource: Resource, namespace: &str, name: &str) -> Result<(), Refusal> {
        let used = self.names(resource, namespace).len();
        let quotas = self.admission.quotas.iter();
        let mut over = quotas.filter(|quota| quota.namespace == namespace && quota.resource == resource);
        let Some(quota) = over.find(|quota| used >= quota.hard) else { return Ok(()) };
        let count = format!("count/{}", resource.qualified());
        let why = format!(
            "exceeded quota: {}, requested: {count}=1, used: {count}={used}, limited: {count}={}",
            quota.name, quota.hard
        );
        Err(Refusal::forbidden(&resource.qualified(), name, why))
    }
}
