//! Renders the log of a gate as JSON.

use crate::aws;
use crate::gate::{GatedRequest, Record};
use crate::kubernetes::{self, Cluster};
use serde_json::{Value, json};

fn record<C: GatedRequest>(record: &Record<C>, mut shown: Value) -> Value {
    shown["number"] = json!(record.call.number());
    shown["answer"] = json!(record.answer);
    shown["outcome"] = json!(record.outcome);
    shown["fault"] = json!(record.fault);
    shown
}

fn aws_call(call: &aws::Call) -> Value {
    let aws::Call { number: _, account, region, service, action, object, caller, user_agent, body } = call;
    json!({
        "account": account, "region": region, "service": service, "action": action, "object": object,
        "caller": caller, "user-agent": user_agent, "body": body,
    })
}

fn kubernetes_call(call: &kubernetes::Call) -> Value {
    let kubernetes::Call {
        number: _,
        verb,
        resource,
        namespace,
        name,
        user,
        path,
        query,
        user_agent,
        content_type,
        body,
    } = call;
    json!({
        "verb": verb, "resource": resource, "namespace": namespace, "name": name, "user": user, "path": path,
        "query": query, "user-agent": user_agent, "content-type": content_type, "body": body,
    })
}

/// The log of the cluster, or else of AWS.
pub(super) fn show(cluster: Option<&Cluster>, gate: &aws::Gate) -> Value {
    let requests: Vec<Value> = match cluster {
        None => gate.log().iter().map(|one| record(one, aws_call(&one.call))).collect(),
        Some(cluster) => cluster.gate().log().iter().map(|one| record(one, kubernetes_call(&one.call))).collect(),
    };
    json!({"requests": requests})
}
