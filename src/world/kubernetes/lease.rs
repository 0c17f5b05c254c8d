//! Reads and writes one Lease, with every write guarded by the version and the uid that were read
//! (<https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>).
//!
//! A request that is sent twice, since its answer was lost, finds its own work and is refused as a conflict: the caller
//! reads again and sees its own name. Who may take a Lease is not decided here.

use super::connect::Connection;
use super::failure::ApiFailure;
use super::read::built;
use super::wire::Reply;
use super::{KubernetesReader, KubernetesWriter};
use crate::model::lease::{Lease, LeaseRecord, LeaseRef};
use crate::world::{Answer, CallErrorKind, ReadLease, WriteLease};
use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::core::Request as Builder;
use kube::core::params::{GetParams, PostParams};
use serde_json::{Value, json};

const GET: &str = "get Lease";
const CREATE: &str = "create Lease";
const UPDATE: &str = "update Lease";

const API: &str = "coordination.k8s.io/v1";

impl ReadLease for KubernetesReader {
    async fn lease(&self, place: &LeaseRef) -> Answer<Option<Lease>> {
        let connection = self.shared.connection(&place.cluster, GET).await?;
        get(&connection, place).await.map_err(|failure| failure.at(GET))
    }
}

impl WriteLease for KubernetesWriter {
    async fn create_lease(&self, place: &LeaseRef, hold: &LeaseRecord) -> Answer<Lease> {
        let connection = self.shared.connection(&place.cluster, CREATE).await?;
        let object = json!({
            "apiVersion": API, "kind": "Lease",
            "metadata": {"name": place.name.as_str(), "namespace": place.namespace.as_str()},
        });
        let made = async {
            let request = collection(place).create(&self.parameters(), body(&object, hold)?);
            decode(&connection.send(&built(request)?).await?)
        };
        made.await.map_err(|failure| failure.at(CREATE))
    }

    async fn update_lease(&self, place: &LeaseRef, lease: &Lease, hold: &LeaseRecord) -> Answer<Lease> {
        let connection = self.shared.connection(&place.cluster, UPDATE).await?;
        let written = async {
            let body = body(&lease.object, hold)?;
            let request = collection(place).replace(place.name.as_str(), &self.parameters(), body);
            decode(&connection.send(&built(request)?).await?)
        };
        written.await.map_err(|failure| failure.at(UPDATE))
    }
}

impl KubernetesWriter {
    fn parameters(&self) -> PostParams {
        PostParams { field_manager: Some(self.shared.manager.clone()), ..PostParams::default() }
    }
}

fn collection(place: &LeaseRef) -> Builder {
    Builder::new(format!("/apis/{API}/namespaces/{}/leases", place.namespace))
}

async fn get(connection: &Connection, place: &LeaseRef) -> Result<Option<Lease>, ApiFailure> {
    let request = collection(place).get(place.name.as_str(), &GetParams::default());
    match connection.send(&built(request)?).await {
        Ok(reply) => decode(&reply).map(Some),
        Err(failure) if failure.kind == CallErrorKind::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The Lease in the body of an answer. One without uid or version could not be written with a guard.
fn decode(reply: &Reply) -> Result<Lease, ApiFailure> {
    let wrong = || ApiFailure::other("the API's answer is not what it should be");
    let object: Value = serde_json::from_slice(&reply.body).map_err(|_| wrong())?;
    let guarded = |field: &str| object["metadata"][field].as_str().is_some_and(|text| !text.is_empty());
    if !guarded("uid") || !guarded("resourceVersion") {
        return Err(wrong());
    }
    let spec = match object.get("spec") {
        Some(spec) if !spec.is_null() => serde_json::from_value(spec.clone()).map_err(|_| wrong())?,
        _ => LeaseSpec::default(),
    };
    Ok(Lease { hold: hold(spec), object })
}

fn hold(spec: LeaseSpec) -> LeaseRecord {
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

/// The object with another hold.
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
    serde_json::to_vec(&object).map_err(|_| ApiFailure::invalid("the request could not be put together"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(body: &Value) -> Reply {
        Reply { body: body.to_string().into_bytes(), request_id: None }
    }

    #[test]
    fn what_is_not_ours_goes_back_unchanged() {
        let theirs = json!({
            "apiVersion": API, "kind": "Lease",
            "metadata": {"name": "l", "namespace": "n", "uid": "u", "resourceVersion": "7", "labels": {"a": "b"}},
            "spec": {
                "holderIdentity": "x", "leaseDurationSeconds": 15, "leaseTransitions": 3, "strategy": "OldestEmulationVersion",
                "acquireTime": "2026-01-02T03:04:05.000006Z", "renewTime": "2026-01-02T03:04:06Z",
            },
        });
        let lease = decode(&reply(&theirs)).unwrap();
        let hold = LeaseRecord {
            holder: "x".into(),
            seconds: Some(15),
            acquired: Some(1_767_323_045_000_006),
            renewed: Some(1_767_323_046_000_000),
            transitions: 3,
        };
        assert_eq!(lease.hold, hold);
        let sent = body(&lease.object, &LeaseRecord { holder: "y".into(), transitions: 4, ..hold }).unwrap();
        let mut expected = theirs;
        expected["spec"]["holderIdentity"] = json!("y");
        expected["spec"]["leaseTransitions"] = json!(4);
        expected["spec"]["renewTime"] = json!("2026-01-02T03:04:06.000000Z");
        assert_eq!(serde_json::from_slice::<Value>(&sent).unwrap(), expected);
    }

    #[test]
    fn a_lease_may_say_nothing_but_must_have_its_guards() {
        let bare = json!({"metadata": {"uid": "u", "resourceVersion": "7"}});
        assert_eq!(decode(&reply(&bare)).unwrap().hold, LeaseRecord::default());
        for broken in [json!({"metadata": {"uid": "u"}}), json!({"metadata": {"resourceVersion": "7"}}), json!([])] {
            assert!(decode(&reply(&broken)).is_err(), "{broken}");
        }
    }
}
