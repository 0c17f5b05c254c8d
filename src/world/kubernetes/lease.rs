//! Reads, creates and updates one Lease, irsa's lock. An update carries the resourceVersion and the uid that were read
//! (<https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>).
//!
//! If an answer is lost, irsa sends the request again, and the API refuses it, because the first one succeeded. The
//! caller then reads again and sees its own name. Nothing here decides who may take a Lease.

use super::failure::ApiFailure;
use super::read::{built, find};
use super::send::{HttpRequest, Reply};
use super::{KubernetesReader, KubernetesWriter};
use crate::model::lease::{Lease, LeaseRecord, LeaseRef};
use crate::world::{Answer, ReadLease, WriteLease};
use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::core::Request as RequestBuilder;
use kube::core::params::{GetParams, PostParams};
use serde::Deserialize;
use serde_json::{Value, json};

const GET: &str = "get Lease";
const CREATE: &str = "create Lease";
const UPDATE: &str = "update Lease";

const API: &str = "coordination.k8s.io/v1";

impl ReadLease for KubernetesReader {
    async fn lease(&self, reference: &LeaseRef) -> Answer<Option<Lease>> {
        let connection = self.clusters.connection(&reference.cluster, GET).await?;
        let read = async {
            let request = built(collection(reference).get(reference.name.as_str(), &GetParams::default()))?;
            find(&connection, &request).await?.as_ref().map(decode).transpose()
        };
        read.await.map_err(|failure: ApiFailure| failure.at(GET))
    }
}

impl WriteLease for KubernetesWriter {
    async fn create_lease(&self, reference: &LeaseRef, record: &LeaseRecord) -> Answer<Lease> {
        let object = json!({
            "apiVersion": API, "kind": "Lease",
            "metadata": {"name": reference.name.as_str(), "namespace": reference.namespace.as_str()},
        });
        let request =
            body(&object, record).and_then(|body| built(collection(reference).create(&self.parameters(), body)));
        self.write_lease(reference, CREATE, request).await
    }

    async fn update_lease(&self, reference: &LeaseRef, lease: &Lease, record: &LeaseRecord) -> Answer<Lease> {
        let request = body(&lease.object, record)
            .and_then(|body| built(collection(reference).replace(reference.name.as_str(), &self.parameters(), body)));
        self.write_lease(reference, UPDATE, request).await
    }
}

impl KubernetesWriter {
    fn parameters(&self) -> PostParams {
        PostParams { field_manager: Some(self.clusters.manager.clone()), ..PostParams::default() }
    }

    async fn write_lease(
        &self,
        reference: &LeaseRef,
        operation: &str,
        request: Result<HttpRequest, ApiFailure>,
    ) -> Answer<Lease> {
        let connection = self.clusters.connection(&reference.cluster, operation).await?;
        let written = async { decode(&connection.send(&request?).await?) };
        written.await.map_err(|failure| failure.at(operation))
    }
}

fn collection(reference: &LeaseRef) -> RequestBuilder {
    RequestBuilder::new(format!("/apis/{API}/namespaces/{}/leases", reference.namespace))
}

/// The Lease in a response. Refuses one without uid or resourceVersion, which the next write needs.
fn decode(reply: &Reply) -> Result<Lease, ApiFailure> {
    let object: Value = serde_json::from_slice(&reply.body).map_err(|_| ApiFailure::malformed())?;
    let has = |field: &str| object["metadata"][field].as_str().is_some_and(|text| !text.is_empty());
    if !has("uid") || !has("resourceVersion") {
        return Err(ApiFailure::malformed());
    }
    let spec = Option::<LeaseSpec>::deserialize(&object["spec"]).map_err(|_| ApiFailure::malformed())?;
    Ok(Lease { hold: record(spec.unwrap_or_default()), object })
}

fn record(spec: LeaseSpec) -> LeaseRecord {
    let whole = |number: i32| u32::try_from(number).unwrap_or(0);
    let micros = |time: MicroTime| time.0.as_microsecond();
    LeaseRecord {
        holder: spec.holder_identity.unwrap_or_default(),
        seconds: spec.lease_duration_seconds.map(whole),
        acquired: spec.acquire_time.map(micros),
        renewed: spec.renew_time.map(micros),
        transitions: spec.lease_transitions.map_or(0, whole),
    }
}

/// The object with this record. Fields that irsa does not know stay.
fn body(object: &Value, hold: &LeaseRecord) -> Result<Vec<u8>, ApiFailure> {
    let whole = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let time = |micros: i64| Timestamp::from_microsecond(micros).ok().map(MicroTime);
    let mut object = object.clone();
    for (field, value) in [
        ("holderIdentity", json!(hold.holder)),
        ("leaseDurationSeconds", json!(hold.seconds.map(whole))),
        ("acquireTime", json!(hold.acquired.and_then(time))),
        ("renewTime", json!(hold.renewed.and_then(time))),
        ("leaseTransitions", json!(whole(hold.transitions))),
    ] {
        object["spec"][field] = value;
    }
    serde_json::to_vec(&object).map_err(|_| ApiFailure::unbuilt())
}

#[cfg(test)]
mod tests;
