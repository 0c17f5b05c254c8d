//! The admin API: controls gates, snapshots and ports over HTTP, for tests in other languages and for manual use. Its
//! paths begin with `/_sandbox/` on the AWS port.
//!
//! Requests to it are not signed, do not pass a gate and are not logged. It accepts requests only from this machine and
//! not from web pages: it rejects a request with another host or with an origin. The error for an unknown path or field
//! lists the known ones.

mod faults;
mod fields;
mod items;
mod log;
#[cfg(test)]
mod tests;

use crate::aws::{AccountRegion, Aws};
use crate::gate::Bucket;
use crate::kubernetes::Cluster;
use crate::wire::{Payload, header};
use bytes::Bytes;
use fields::{AdminError, Fields};
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The prefix of all admin paths.
pub(crate) const PREFIX: &str = "/_sandbox/";

/// The methods of each path.
const ROUTES: &[(&str, &[&str])] = &[
    ("requests", &["GET", "DELETE"]),
    ("faults", &["POST", "DELETE"]),
    ("latency", &["PUT"]),
    ("bucket", &["GET", "PUT", "DELETE"]),
    ("stale-reads", &["PUT"]),
    ("connections", &["PUT"]),
    ("snapshots", &["POST"]),
    ("snapshots/ID/restore", &["POST"]),
];

/// The fields that select a cluster. Without them, a request is about AWS.
const CLUSTER_FIELDS: &[&str] = &["cluster", "account", "region"];

/// Answers an admin request.
pub(crate) async fn answer(aws: &Arc<Aws>, parts: &Parts, body: &Bytes) -> Response<Payload> {
    let (status, value) = match route(aws, parts, body).await {
        Ok(value) => (StatusCode::OK, value),
        Err(AdminError { status, text }) => (status, json!({"error": text})),
    };
    let mut response = Response::new(Payload::from(format!("{value}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Whether the request comes from this machine and not from a web page.
fn is_local(parts: &Parts) -> bool {
    let host = header(&parts.headers, &HOST);
    let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
    !parts.headers.contains_key(ORIGIN) && ["", "127.0.0.1", "localhost", "[::1]"].contains(&name)
}

async fn route(aws: &Arc<Aws>, parts: &Parts, body: &Bytes) -> Result<Value, AdminError> {
    if !is_local(parts) {
        return Err(AdminError::new(
            StatusCode::FORBIDDEN,
            "only programs on this machine may ask, by a loopback address",
        ));
    }
    let path = parts.uri.path().strip_prefix(PREFIX).unwrap_or_default().trim_end_matches('/');
    let restored = path.strip_prefix("snapshots/").and_then(|rest| rest.strip_suffix("/restore"));
    let path = if restored.is_some() { "snapshots/ID/restore" } else { path };
    let Some((_, methods)) = ROUTES.iter().find(|(known, _)| *known == path) else { return Err(unknown_path()) };
    if !methods.contains(&parts.method.as_str()) {
        let text = format!("`{PREFIX}{path}` takes {}", fields::list(methods));
        return Err(AdminError::new(StatusCode::METHOD_NOT_ALLOWED, &text));
    }
    let asked = fields::query(parts.uri.query().unwrap_or_default());
    let sent = if body.is_empty() { json!({}) } else { serde_json::from_slice(body).map_err(AdminError::json)? };
    match (path, parts.method.as_str()) {
        ("requests", "GET") => {
            Ok(log::show(cluster(aws, &Fields::read(&asked, CLUSTER_FIELDS)?)?.as_deref(), aws.gate()))
        }
        ("requests", _) => for_each_server(aws, &asked, |aws| aws.gate().forget(), |cluster| cluster.gate().forget()),
        ("faults", "POST") => faults::set(aws, &sent),
        ("faults", _) => for_each_server(aws, &asked, |aws| aws.gate().heal(), |cluster| cluster.gate().heal()),
        ("latency", _) => latency(aws, &sent),
        ("bucket", "GET") => {
            let cluster = cluster(aws, &Fields::read(&asked, CLUSTER_FIELDS)?)?;
            let throttled = cluster.map_or_else(|| aws.gate().throttled(), |cluster| cluster.gate().throttled());
            Ok(json!({"throttled": throttled}))
        }
        ("bucket", "PUT") => bucket(aws, &sent),
        ("bucket", _) => {
            for_each_server(aws, &asked, |aws| aws.gate().bucket(None), |cluster| cluster.gate().bucket(None))
        }
        ("stale-reads", _) => stale_reads(aws, &sent),
        ("connections", _) => connections(aws, &sent).await,
        ("snapshots", _) => {
            Fields::read(&sent, &[])?;
            Ok(json!({"id": aws.keep_snapshot()}))
        }
        _ => {
            Fields::read(&sent, &[])?;
            restore(aws, restored.unwrap_or_default())
        }
    }
}

fn unknown_path() -> AdminError {
    let all = ROUTES.iter().map(|(path, methods)| format!("{} {PREFIX}{path}", methods.join("|")));
    let text = format!("there is no such page; there are {}", fields::list(&all.collect::<Vec<_>>()));
    AdminError::new(StatusCode::NOT_FOUND, &text)
}

/// The selected cluster. None if the request selects none.
fn cluster(aws: &Aws, fields: &Fields<'_>) -> Result<Option<Arc<Cluster>>, AdminError> {
    let (account, region) = (fields.text("account")?, fields.text("region")?);
    let Some(name) = fields.text("cluster")? else { return Ok(None) };
    let fits = |place: &AccountRegion| {
        account.is_none_or(|account| account == place.account) && region.is_none_or(|region| region == place.region)
    };
    let all = aws.eks().names();
    let found = all.iter().find(|(place, one)| one == name && fits(place));
    let found = found.and_then(|(place, name)| aws.eks().kubernetes(place, name));
    found.map(Some).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|(_, name)| name.as_str()).collect();
        AdminError::bad(&format!("no cluster is called `{name}`; there are {}", fields::list(&names)))
    })
}

/// Applies an action to the selected cluster, or to AWS and all clusters if none is selected.
fn for_each_server(
    aws: &Aws,
    asked: &Value,
    to_aws: impl Fn(&Aws),
    to_cluster: impl Fn(&Cluster),
) -> Result<Value, AdminError> {
    if let Some(cluster) = cluster(aws, &Fields::read(asked, CLUSTER_FIELDS)?)? {
        to_cluster(&cluster);
        return Ok(json!({}));
    }
    to_aws(aws);
    for (place, name) in aws.eks().names() {
        if let Some(cluster) = aws.eks().kubernetes(&place, &name) {
            to_cluster(&cluster);
        }
    }
    Ok(json!({}))
}

fn latency(aws: &Aws, sent: &Value) -> Result<Value, AdminError> {
    let fields = Fields::read(sent, &["ms", "cluster", "account", "region"])?;
    let time = Duration::from_millis(fields.required("ms", Fields::number)?);
    match cluster(aws, &fields)? {
        None => aws.gate().latency(time),
        Some(cluster) => cluster.gate().latency(time),
    }
    Ok(json!({}))
}

fn bucket(aws: &Aws, sent: &Value) -> Result<Value, AdminError> {
    let fields = Fields::read(sent, &["rate", "burst", "cluster", "account", "region"])?;
    let size =
        Bucket { rate: fields.required("rate", Fields::amount)?, burst: fields.required("burst", Fields::amount)? };
    match cluster(aws, &fields)? {
        None => aws.gate().bucket(Some(size)),
        Some(cluster) => cluster.gate().bucket(Some(size)),
    }
    Ok(json!({}))
}

fn stale_reads(aws: &Aws, sent: &Value) -> Result<Value, AdminError> {
    let allowed = ["reads", "cluster", "account", "region"];
    let fields = Fields::read(sent, &[&allowed[..], items::FIELDS].concat())?;
    let reads = fields.required("reads", Fields::count)?;
    match (cluster(aws, &fields)?, items::read(&fields)?) {
        (None, None) => aws.set_stale_reads(reads),
        (Some(cluster), None) => cluster.stale_reads(reads),
        (None, Some(item)) => aws.set_late(fields.text("account")?, item, reads),
        (Some(_), Some(_)) => return Err(AdminError::bad("an item of IAM is in no `cluster`")),
    }
    Ok(json!({}))
}

/// Closes or opens a port. A cluster's port stays closed until a request opens it. The AWS port, which serves the admin
/// API itself, can only be closed for a limited time.
async fn connections(aws: &Aws, sent: &Value) -> Result<Value, AdminError> {
    let fields = Fields::read(sent, &["refuse", "refuse-for-ms", "cluster", "account", "region"])?;
    match cluster(aws, &fields)? {
        None => aws.shut(Duration::from_millis(fields.required("refuse-for-ms", Fields::number)?)),
        Some(cluster) => {
            let done = cluster.refuse_connections(fields.required("refuse", Fields::flag)?).await;
            done.map_err(|error| AdminError::new(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()))?;
        }
    }
    Ok(json!({}))
}

fn restore(aws: &Aws, id: &str) -> Result<Value, AdminError> {
    let found = id.parse().ok().and_then(|id| aws.kept_snapshot(id));
    let snapshot =
        found.ok_or_else(|| AdminError::new(StatusCode::NOT_FOUND, &format!("there is no snapshot `{id}`")))?;
    aws.restore(&snapshot);
    Ok(json!({}))
}
