//! Decodes bodies in Kubernetes' protobuf encoding, which kubectl uses for the kinds it has Go types for.
//!
//! A body is four magic bytes and an envelope with the kind and the object:
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding>. The field numbers come from the
//! `generated.proto` files of k8s.io/api and k8s.io/apimachinery. Responses are always JSON, which these clients accept
//! too. Does no I/O and holds no state.

use crate::kubernetes::lease;
use crate::kubernetes::status::Refusal;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

const MAGIC: &[u8] = b"k8s\0";

/// The type of a field.
enum FieldType {
    Text,
    Bool,
    Number,
    /// A message with seconds since 1970.
    Time,
    /// A message with seconds since 1970 and nanoseconds.
    MicroTime,
    /// A map of strings: repeated messages with a key and a value.
    Map,
    Texts,
    One(&'static Message),
    Many(&'static Message),
}

/// The number, name and type of each field to decode. Other fields are skipped.
type Message = [(u64, &'static str, FieldType)];

static OWNER: &Message = &[
    (1, "kind", FieldType::Text),
    (3, "name", FieldType::Text),
    (4, "uid", FieldType::Text),
    (5, "apiVersion", FieldType::Text),
    (6, "controller", FieldType::Bool),
    (7, "blockOwnerDeletion", FieldType::Bool),
];

static METADATA: &Message = &[
    (1, "name", FieldType::Text),
    (2, "generateName", FieldType::Text),
    (3, "namespace", FieldType::Text),
    (5, "uid", FieldType::Text),
    (6, "resourceVersion", FieldType::Text),
    (8, "creationTimestamp", FieldType::Time),
    (9, "deletionTimestamp", FieldType::Time),
    (11, "labels", FieldType::Map),
    (12, "annotations", FieldType::Map),
    (13, "ownerReferences", FieldType::Many(OWNER)),
    (14, "finalizers", FieldType::Texts),
];

static REFERENCE: &Message = &[
    (1, "kind", FieldType::Text),
    (2, "namespace", FieldType::Text),
    (3, "name", FieldType::Text),
    (4, "uid", FieldType::Text),
    (5, "apiVersion", FieldType::Text),
];

static LOCAL_REFERENCE: &Message = &[(1, "name", FieldType::Text)];

static SERVICE_ACCOUNT: &Message = &[
    (1, "metadata", FieldType::One(METADATA)),
    (2, "secrets", FieldType::Many(REFERENCE)),
    (3, "imagePullSecrets", FieldType::Many(LOCAL_REFERENCE)),
    (4, "automountServiceAccountToken", FieldType::Bool),
];

static NAMESPACE: &Message = &[(1, "metadata", FieldType::One(METADATA))];

static LEASE_SPEC: &Message = &[
    (1, "holderIdentity", FieldType::Text),
    (2, "leaseDurationSeconds", FieldType::Number),
    (3, "acquireTime", FieldType::MicroTime),
    (4, "renewTime", FieldType::MicroTime),
    (5, "leaseTransitions", FieldType::Number),
    (6, "strategy", FieldType::Text),
    (7, "preferredHolder", FieldType::Text),
];

static LEASE: &Message = &[(1, "metadata", FieldType::One(METADATA)), (2, "spec", FieldType::One(LEASE_SPEC))];

static RESOURCE_ATTRIBUTES: &Message = &[
    (1, "namespace", FieldType::Text),
    (2, "verb", FieldType::Text),
    (3, "group", FieldType::Text),
    (4, "version", FieldType::Text),
    (5, "resource", FieldType::Text),
    (6, "subresource", FieldType::Text),
    (7, "name", FieldType::Text),
];

static PATH_ATTRIBUTES: &Message = &[(1, "path", FieldType::Text), (2, "verb", FieldType::Text)];

static REVIEW_SPEC: &Message = &[
    (1, "resourceAttributes", FieldType::One(RESOURCE_ATTRIBUTES)),
    (2, "nonResourceAttributes", FieldType::One(PATH_ATTRIBUTES)),
];

static ACCESS_REVIEW: &Message = &[(2, "spec", FieldType::One(REVIEW_SPEC))];

static RULES_REVIEW: &Message = &[(2, "spec", FieldType::One(&[(1, "namespace", FieldType::Text)]))];

static BOUND: &Message = &[
    (1, "kind", FieldType::Text),
    (2, "apiVersion", FieldType::Text),
    (3, "name", FieldType::Text),
    (4, "uid", FieldType::Text),
];

static TOKEN_SPEC: &Message = &[
    (1, "audiences", FieldType::Texts),
    (3, "boundObjectRef", FieldType::One(BOUND)),
    (4, "expirationSeconds", FieldType::Number),
];

static TOKEN_REQUEST: &Message = &[(1, "metadata", FieldType::One(METADATA)), (2, "spec", FieldType::One(TOKEN_SPEC))];

static PRECONDITIONS: &Message = &[(1, "uid", FieldType::Text), (2, "resourceVersion", FieldType::Text)];

static DELETE_OPTIONS: &Message = &[
    (1, "gracePeriodSeconds", FieldType::Number),
    (2, "preconditions", FieldType::One(PRECONDITIONS)),
    (4, "propagationPolicy", FieldType::Text),
    (5, "dryRun", FieldType::Texts),
];

enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn field(&mut self) -> Option<(u64, Wire<'a>)> {
        let tag = self.number()?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.number()?),
            1 => Wire::Bytes(self.take(8)?),
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Bytes(self.take(4)?),
            _ => return None,
        };
        Some((tag >> 3, wire))
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

fn append(map: &mut Map<String, Value>, name: &str, item: Value) {
    if let Value::Array(list) = map.entry(name).or_insert_with(|| json!([])) {
        list.push(item);
    }
}

fn time(bytes: &[u8]) -> Option<Value> {
    let mut reader = Reader(bytes);
    let mut value = Value::Null;
    while !reader.0.is_empty() {
        if let (1, Wire::Number(seconds)) = reader.field()? {
            value = json!(Timestamp::from_second(seconds.cast_signed()).ok()?.to_string());
        }
    }
    Some(value)
}

fn micro_time(bytes: &[u8]) -> Option<Value> {
    let mut reader = Reader(bytes);
    let (mut seconds, mut nanoseconds) = (0, 0);
    while !reader.0.is_empty() {
        match reader.field()? {
            (1, Wire::Number(number)) => seconds = number.cast_signed(),
            (2, Wire::Number(number)) => nanoseconds = i32::try_from(number).ok()?,
            _ => {}
        }
    }
    Some(json!(lease::show(Timestamp::new(seconds, nanoseconds).ok()?)))
}

fn entry(bytes: &[u8]) -> Option<(String, String)> {
    let mut reader = Reader(bytes);
    let mut pair = (String::new(), String::new());
    while !reader.0.is_empty() {
        match reader.field()? {
            (1, Wire::Bytes(bytes)) => pair.0 = text(bytes)?,
            (2, Wire::Bytes(bytes)) => pair.1 = text(bytes)?,
            _ => {}
        }
    }
    Some(pair)
}

fn message(of: &Message, bytes: &[u8]) -> Option<Map<String, Value>> {
    let mut map = Map::new();
    let mut reader = Reader(bytes);
    while !reader.0.is_empty() {
        let (number, wire) = reader.field()?;
        let Some((_, name, sort)) = of.iter().find(|(known, _, _)| *known == number) else { continue };
        match (sort, wire) {
            (FieldType::Bool, Wire::Number(value)) => {
                map.insert((*name).to_owned(), json!(value != 0));
            }
            (FieldType::Number, Wire::Number(value)) => {
                map.insert((*name).to_owned(), json!(value.cast_signed()));
            }
            (FieldType::Text, Wire::Bytes(bytes)) => {
                map.insert((*name).to_owned(), json!(text(bytes)?));
            }
            (FieldType::Time, Wire::Bytes(bytes)) => {
                map.insert((*name).to_owned(), time(bytes)?);
            }
            (FieldType::MicroTime, Wire::Bytes(bytes)) => {
                map.insert((*name).to_owned(), micro_time(bytes)?);
            }
            (FieldType::One(below), Wire::Bytes(bytes)) => {
                map.insert((*name).to_owned(), Value::Object(message(below, bytes)?));
            }
            (FieldType::Texts, Wire::Bytes(bytes)) => append(&mut map, name, json!(text(bytes)?)),
            (FieldType::Many(below), Wire::Bytes(bytes)) => {
                let mut item = message(below, bytes)?;
                item.retain(|_, value| *value != "");
                append(&mut map, name, Value::Object(item));
            }
            (FieldType::Map, Wire::Bytes(bytes)) => {
                let (key, value) = entry(bytes)?;
                if let Value::Object(pairs) = map.entry(*name).or_insert_with(|| json!({})) {
                    pairs.insert(key, json!(value));
                }
            }
            _ => return None,
        }
    }
    Some(map)
}

fn envelope(bytes: &[u8]) -> Option<(String, String, &[u8])> {
    let mut reader = Reader(bytes.strip_prefix(MAGIC)?);
    let (mut version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    while !reader.0.is_empty() {
        match reader.field()? {
            (1, Wire::Bytes(bytes)) => (version, kind) = entry(bytes)?,
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    Some((version, kind, raw))
}

/// Decodes a body to JSON.
pub(crate) fn decode(bytes: &[u8]) -> Result<Value, Refusal> {
    let unreadable = || Refusal::bad_request("the body is not in Kubernetes' protobuf encoding");
    let (version, kind, raw) = envelope(bytes).ok_or_else(unreadable)?;
    let of = match kind.as_str() {
        "ServiceAccount" => SERVICE_ACCOUNT,
        "Namespace" => NAMESPACE,
        "Lease" => LEASE,
        "SelfSubjectAccessReview" => ACCESS_REVIEW,
        "SelfSubjectRulesReview" => RULES_REVIEW,
        "SelfSubjectReview" => &[],
        "TokenRequest" => TOKEN_REQUEST,
        "DeleteOptions" => DELETE_OPTIONS,
        _ => {
            let text = format!(
                "the body of the request was in an unknown format - {kind} is taken in: application/json, \
                 application/yaml"
            );
            return Err(Refusal::new(415, "UnsupportedMediaType", text));
        }
    };
    let mut map = message(of, raw).ok_or_else(unreadable)?;
    map.insert("apiVersion".to_owned(), json!(version));
    map.insert("kind".to_owned(), json!(kind));
    Ok(Value::Object(map))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).unwrap();
        [&[number << 3 | 2, length], bytes].concat()
    }

    #[test]
    fn a_service_account_is_decoded() {
        let label = field(11, &[field(1, b"app"), field(2, b"web")].concat());
        let metadata = [field(1, b"worker"), field(2, b""), field(8, b""), label].concat();
        let account = [field(1, &metadata), field(3, &field(1, b"pull")), vec![4 << 3, 0]].concat();
        let kind = [field(1, b"v1"), field(2, b"ServiceAccount")].concat();
        let body = [MAGIC.to_vec(), field(1, &kind), field(2, &account), field(3, b""), field(4, b"")].concat();
        let expected = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "automountServiceAccountToken": false,
            "imagePullSecrets": [{"name": "pull"}],
            "metadata": {"name": "worker", "generateName": "", "creationTimestamp": null, "labels": {"app": "web"}},
        });
        assert_eq!(decode(&body).unwrap(), expected);
        assert_eq!(decode(&body[..body.len() - 9]).unwrap_err().code, 400);
        assert_eq!(decode(b"{}").unwrap_err().code, 400);
    }
}
