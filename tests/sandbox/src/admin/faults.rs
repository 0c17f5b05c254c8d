//! Parses faults from the JSON of the admin API and sets them.

use super::cluster;
use super::fields::{AdminError, Fields, list, one_of};
use crate::aws::{self, Aws};
use crate::gate::{Fault, Stage};
use crate::kubernetes::{self, Cluster};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The fields that every fault may have. The others select the requests that it applies to.
const COMMON: [&str; 6] = ["stage", "fault", "times", "cluster", "account", "region"];
const AWS: [&str; 3] = ["service", "action", "object"];
const KUBERNETES: [&str; 5] = ["verb", "resource", "namespace", "name", "user"];
const SERVICES: &[&str] = &["iam", "sts", "eks"];
const VERBS: &[&str] = &["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

/// Faults of both AWS and Kubernetes. Each service answers with its own error.
const WORDS: [&str; 11] = [
    "deny",
    "drop",
    "hang",
    "truncate",
    "bad-gateway",
    "gateway-timeout",
    "throttle",
    "too-many",
    "expired",
    "internal",
    "unavailable",
];
/// Faults of AWS only.
const AWS_WORDS: [&str; 2] = ["concurrent-modification", "unmodifiable"];
/// Faults that are given as an object with a value.
const VALUED: [&str; 3] = ["delay-ms", "status", "refuse"];

/// Sets the fault of an admin request.
pub(super) fn set(aws: &Aws, sent: &Value) -> Result<Value, AdminError> {
    let of_cluster = sent.get("cluster").is_some();
    let own: &[&str] = if of_cluster { &KUBERNETES } else { &AWS };
    let mut allowed = COMMON.to_vec();
    allowed.extend(own);
    let fields = Fields::read(sent, &allowed)?;
    let stage = match fields.word("stage", &["before", "after"])? {
        Some("after") => Stage::After,
        _ => Stage::Before,
    };
    let times = fields.count("times")?;
    if times == Some(0) {
        return Err(AdminError::bad("`times` is 0; it must be at least 1, or left out for all requests"));
    }
    match cluster(aws, &fields)? {
        Some(cluster) => set_for_cluster(&cluster, &fields, stage, times)?,
        None => set_for_aws(aws, &fields, stage, times)?,
    }
    Ok(json!({}))
}

fn set_for_aws(aws: &Aws, fields: &Fields<'_>, stage: Stage, times: Option<u32>) -> Result<(), AdminError> {
    let service = fields.word("service", SERVICES)?;
    let what = aws::Match {
        account: fields.owned("account")?,
        region: fields.owned("region")?,
        service: service.map(str::to_owned),
        action: fields.owned("action")?,
        object: fields.owned("object")?,
    };
    let mut known = WORDS.to_vec();
    known.extend(AWS_WORDS);
    let fault = fault(fields, &known, |word| aws_word(word, service), aws_refusal)?;
    aws.gate().fault(stage, what, fault, times);
    Ok(())
}

fn set_for_cluster(cluster: &Cluster, fields: &Fields<'_>, stage: Stage, times: Option<u32>) -> Result<(), AdminError> {
    let what = kubernetes::Match {
        verb: fields.word("verb", VERBS)?.map(str::to_owned),
        resource: fields.owned("resource")?,
        namespace: fields.owned("namespace")?,
        name: fields.owned("name")?,
        user: fields.owned("user")?,
    };
    let fault = fault(fields, &WORDS, |word| Ok(kubernetes_word(word)), kubernetes_refusal)?;
    cluster.gate().fault(stage, what, fault, times);
    Ok(())
}

/// Parses a fault, such as `"drop"` or `{"delay-ms": 100}`. `word` gives the error for a fault's name, and `refusal`
/// parses an error that the request spells out.
fn fault<R>(
    fields: &Fields<'_>,
    known: &[&str],
    word: impl Fn(&str) -> Result<R, AdminError>,
    refusal: impl Fn(&Value) -> Result<R, AdminError>,
) -> Result<Fault<R>, AdminError> {
    let allowed = || format!("it can be {}, or an object with one of {}", list(known), list(&VALUED));
    match fields.value("fault") {
        None => Err(AdminError::bad(&format!("`fault` is missing; {}", allowed()))),
        Some(Value::String(text)) => {
            one_of("fault", text, known)
                .map_err(|_| AdminError::bad(&format!("`fault` is `{text}`; {}", allowed())))?;
            Ok(match text.as_str() {
                "deny" => Fault::Deny,
                "drop" => Fault::Drop,
                "hang" => Fault::Hang,
                "truncate" => Fault::Truncate,
                "bad-gateway" => Fault::bad_gateway(),
                "gateway-timeout" => Fault::gateway_timeout(),
                other => Fault::Refuse(word(other)?),
            })
        }
        Some(value) => valued(value, refusal, &allowed()),
    }
}

fn valued<R>(
    value: &Value,
    refusal: impl Fn(&Value) -> Result<R, AdminError>,
    allowed: &str,
) -> Result<Fault<R>, AdminError> {
    let wrong = || AdminError::bad(&format!("`fault` is `{value}`; {allowed}"));
    if value.as_object().map(Map::len) != Some(1) {
        return Err(wrong());
    }
    let fields = Fields::read(value, &VALUED).map_err(|_| wrong())?;
    if let Some(milliseconds) = fields.number("delay-ms")? {
        return Ok(Fault::Delay(Duration::from_millis(milliseconds)));
    }
    if let Some(status) = fields.status("status")? {
        let status = http::StatusCode::from_u16(status).map_err(|_| wrong())?;
        return Ok(Fault::page(status.as_u16(), status.canonical_reason().unwrap_or("Unknown")));
    }
    fields.value("refuse").ok_or_else(wrong).and_then(refusal).map(Fault::Refuse)
}

fn aws_word(word: &str, service: Option<&str>) -> Result<aws::Refusal, AdminError> {
    type Worded = fn(&str) -> aws::Refusal;
    let worded: Worded = match word {
        "unavailable" => return Ok(aws::Refusal::unavailable()),
        "concurrent-modification" => return Ok(aws::Refusal::concurrent_modification()),
        "unmodifiable" => return Ok(aws::Refusal::unmodifiable()),
        "throttle" => aws::Refusal::throttled,
        "too-many" => aws::Refusal::too_many,
        "expired" => aws::Refusal::expired,
        _ => aws::Refusal::internal,
    };
    service.map(worded).ok_or_else(|| {
        let text = format!("`{word}` needs a `service`, since each has words of its own: {}", list(SERVICES));
        AdminError::bad(&text)
    })
}

fn kubernetes_word(word: &str) -> kubernetes::Refusal {
    match word {
        "throttle" | "too-many" => kubernetes::Refusal::too_many_requests(1),
        "expired" => kubernetes::Refusal::expired(),
        "internal" => kubernetes::Refusal::internal("etcdserver: request timed out"),
        _ => kubernetes::Refusal::unavailable(),
    }
}

fn aws_refusal(value: &Value) -> Result<aws::Refusal, AdminError> {
    let fields = Fields::read(value, &["status", "code", "message"])?;
    Ok(aws::Refusal::new(
        fields.required("status", Fields::status)?,
        fields.required("code", Fields::text)?,
        fields.text("message")?.unwrap_or_default(),
    ))
}

fn kubernetes_refusal(value: &Value) -> Result<kubernetes::Refusal, AdminError> {
    let fields = Fields::read(value, &["status", "reason", "message", "retry-after"])?;
    let refusal = kubernetes::Refusal::new(
        fields.required("status", Fields::status)?,
        fields.text("reason")?.unwrap_or_default(),
        fields.text("message")?.unwrap_or_default(),
    );
    Ok(match fields.count("retry-after")? {
        None => refusal,
        Some(seconds) => refusal.retry_after(seconds),
    })
}
