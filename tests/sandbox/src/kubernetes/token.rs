//! TokenRequest, and authentication with ServiceAccount tokens.
//!
//! <https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/>. The API's own
//! audience is its issuer. A token lasts at most a day, because EKS sets `--service-account-max-token-expiration`.

use crate::kubernetes::issuer::{Issuer, Token};
use crate::kubernetes::resource::Resource;
use crate::kubernetes::status::{FieldError, Refusal};
use crate::kubernetes::store::Store;
use crate::kubernetes::validate::go_type;
use crate::kubernetes::write::metadata;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

const KIND: &str = "TokenRequest.authentication.k8s.io";
const DEFAULT: i64 = 60 * 60;
const SHORTEST: i64 = 10 * 60;
const LONGEST: i64 = 24 * 60 * 60;

/// For how many seconds after its expiry the API still accepts a token. kube-apiserver's token library allows this.
const LEEWAY: i64 = 60;

/// The prefix of ServiceAccount user names.
pub(crate) const PREFIX: &str = "system:serviceaccount:";

/// The spec of a TokenRequest, with defaults.
struct TokenSpec {
    audiences: Vec<String>,
    seconds: i64,
    bound: Value,
}

fn decode_error(what: &str, field: &str, kind: &str) -> Refusal {
    let text =
        format!("json: cannot unmarshal {what} into Go struct field TokenRequestSpec.spec.{field} of type {kind}");
    Refusal::bad_request(format!("TokenRequest in version \"v1\" cannot be handled as a TokenRequest: {text}"))
}

impl TokenSpec {
    fn read(body: &Value, issuer: &Issuer) -> Result<Self, Refusal> {
        let spec = &body["spec"];
        let audiences = match &spec["audiences"] {
            Value::Null => Vec::new(),
            Value::Array(list) => list
                .iter()
                .map(|one| one.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| decode_error("number", "audiences", "string"))?,
            other => return Err(decode_error(go_type(other), "audiences", "[]string")),
        };
        let seconds = match &spec["expirationSeconds"] {
            Value::Null => DEFAULT,
            Value::Number(number) => number
                .as_i64()
                .ok_or_else(|| decode_error(&format!("number {number}"), "expirationSeconds", "int64"))?,
            other => return Err(decode_error(go_type(other), "expirationSeconds", "int64")),
        };
        let audiences = if audiences.is_empty() { vec![issuer.url.clone()] } else { audiences };
        Ok(Self { audiences, seconds, bound: spec["boundObjectRef"].clone() })
    }

    fn check(&self) -> Result<(), Refusal> {
        let why = if self.seconds < SHORTEST {
            "may not specify a duration less than 10 minutes"
        } else if self.seconds > 1 << 32 {
            "may not specify a duration larger than 2^32 seconds"
        } else {
            return Ok(());
        };
        let wrong = FieldError::invalid_number("spec.expirationSeconds", self.seconds, why);
        Err(Refusal::invalid(KIND, "", &[wrong]))
    }
}

/// The token claim for the pod that a token is bound to.
fn bound_pod(store: &Store, namespace: &str, account: &str, reference: &Value) -> Result<Value, Refusal> {
    let text = |name: &str| reference[name].as_str().unwrap_or_default();
    let (version, kind, name) = (text("apiVersion"), text("kind"), text("name"));
    let group = version.split_once('/').map_or("", |(group, _)| group);
    match (group, kind) {
        ("", "Pod") => {}
        ("", "Node") => return Err(Refusal::missing("nodes", name)),
        ("", "Secret") => return Err(Refusal::missing("secrets", name)),
        _ => {
            let slashed = if version.contains('/') { version.to_owned() } else { format!("/{version}") };
            let text = format!("cannot bind token to object of type {slashed}, Kind={kind}");
            return Err(Refusal::bad_request(text));
        }
    }
    let pod = store.get(Resource::Pods, namespace, name).ok_or_else(|| Refusal::not_found(Resource::Pods, name))?;
    if pod.pointer("/spec/serviceAccountName").and_then(Value::as_str) != Some(account) {
        let text = format!(
            "cannot bind token for serviceaccount {account:?} to pod running with different serviceaccount name."
        );
        return Err(Refusal::bad_request(text));
    }
    let uid = metadata(pod, "uid");
    if !text("uid").is_empty() && text("uid") != uid {
        let why = format!(
            "the UID in the bound object reference ({}) does not match the UID in record. The object might have been \
             deleted and then recreated",
            text("uid")
        );
        return Err(Refusal::conflict(kind, name, why));
    }
    Ok(json!({"name": name, "uid": uid}))
}

/// Answers a TokenRequest for a ServiceAccount. Returns the answer and an optional warning.
pub(crate) fn request(
    store: &mut Store,
    issuer: &Issuer,
    namespace: &str,
    name: &str,
    body: &Value,
    manager: &str,
) -> Result<(Value, Option<String>), Refusal> {
    let said = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (said("apiVersion"), said("kind"));
    if !["", "authentication.k8s.io/v1"].contains(&version) || !["", "TokenRequest"].contains(&kind) {
        let text = format!(
            "{kind} in version {version:?} cannot be handled as a TokenRequest: no kind {kind:?} is registered for \
             version {version:?} in scheme"
        );
        return Err(Refusal::bad_request(text));
    }
    for (field, own, what) in [("name", name, "name"), ("namespace", namespace, "namespace")] {
        let asked = metadata(body, field);
        if !asked.is_empty() && asked != own {
            let why = format!("must match the service account {what} if specified");
            let wrong = FieldError::invalid(format!("metadata.{field}"), asked, why);
            return Err(Refusal::invalid(KIND, name, &[wrong]));
        }
    }
    let mut wanted = TokenSpec::read(body, issuer)?;
    let account = store.live(Resource::ServiceAccounts, namespace, name)?;
    wanted.check()?;
    let mut about = json!({
        "namespace": namespace, "serviceaccount": {"name": name, "uid": metadata(&account, "uid")},
    });
    if !wanted.bound.is_null() {
        about["pod"] = bound_pod(store, namespace, name, &wanted.bound)?;
    }
    let warning = (wanted.seconds > LONGEST)
        .then(|| format!("requested expiration of {} seconds shortened to {LONGEST} seconds", wanted.seconds));
    wanted.seconds = wanted.seconds.min(LONGEST);
    let now = store.time().as_second();
    let claims = json!({
        "iss": issuer.url, "sub": format!("{PREFIX}{namespace}:{name}"), "aud": wanted.audiences,
        "iat": now, "nbf": now, "exp": now + wanted.seconds, "jti": store.uid(), "kubernetes.io": about,
    });
    let failed = || Refusal::internal("failed to generate token");
    let token = issuer.key.sign(&claims).ok_or_else(failed)?;
    let show = |seconds| Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default();
    let fields: Map<String, Value> =
        body["spec"].as_object().into_iter().flatten().map(|(field, _)| (format!("f:{field}"), json!({}))).collect();
    let entry = json!({
        "manager": manager, "operation": "Update", "apiVersion": "authentication.k8s.io/v1", "time": show(now),
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": fields}, "subresource": "token",
    });
    let answer = json!({
        "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
        "metadata": {
            "name": name, "namespace": namespace, "creationTimestamp": show(now), "managedFields": [entry],
        },
        "spec": {
            "audiences": wanted.audiences, "expirationSeconds": wanted.seconds, "boundObjectRef": wanted.bound,
        },
        "status": {"token": token, "expirationTimestamp": show(now + wanted.seconds)},
    });
    Ok((answer, warning))
}

/// The user name that a token authenticates. None if another issuer or audience applies, the token is expired, or an
/// object that it is bound to is gone.
pub(crate) fn user_name(store: &Store, issuer: &Issuer, token: &str) -> Option<String> {
    let token = Token::read(token)?;
    let claims = &token.claims;
    let now = store.time().as_second();
    let timely = claims["exp"].as_i64()? + LEEWAY > now && claims["nbf"].as_i64()? - LEEWAY <= now;
    let ours = claims["iss"] == issuer.url.as_str() && token.audiences().contains(&issuer.url.as_str());
    if !timely || !ours || !issuer.key.verifies(&token) {
        return None;
    }
    let about = &claims["kubernetes.io"];
    let (namespace, account) = (about["namespace"].as_str()?, &about["serviceaccount"]);
    let name = account["name"].as_str()?;
    let lives = |resource, object: &Value| {
        let live = store.get(resource, namespace, object["name"].as_str()?)?;
        (object["uid"].as_str()? == metadata(live, "uid")).then_some(())
    };
    lives(Resource::ServiceAccounts, account)?;
    if let Some(pod) = about.get("pod") {
        lives(Resource::Pods, pod)?;
    }
    Some(format!("{PREFIX}{namespace}:{name}"))
}
