//! Rules specific to Leases: microsecond times and the checks of the spec.
//!
//! <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/>. The times have the type
//! MicroTime, which requires exactly six fractional digits and returns UTC. Does no I/O and holds no state.

use crate::kubernetes::status::FieldError;
use crate::kubernetes::validate::go_type;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// The layout of a MicroTime, in Go's notation.
const LAYOUT: &str = "2006-01-02T15:04:05.000000Z07:00";

const TIMES: [&str; 2] = ["acquireTime", "renewTime"];

/// Parses a MicroTime, or returns the error of Go's parser.
fn micro_time(text: &str) -> Result<Timestamp, String> {
    let cannot =
        |rest: &str, wanted: &str| format!("parsing time {text:?} as {LAYOUT:?}: cannot parse {rest:?} as {wanted:?}");
    let parsed = text.parse::<Timestamp>().map_err(|_| cannot(text, "2006"))?;
    // A valid RFC 3339 time can still have the wrong number of fractional digits.
    let seconds = "2006-01-02T15:04:05".len();
    let rest = text.get(seconds..).unwrap_or_default();
    let digits = rest.strip_prefix('.').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    if digits == 6 { Ok(parsed) } else { Err(cannot(rest, ".000000")) }
}

/// Formats a time as MicroTime.
pub(crate) fn show(time: Timestamp) -> String {
    format!("{time:.6}")
}

/// The decoder's error for the first value that does not decode.
pub(crate) fn wrong_type(object: &Value) -> Option<String> {
    let unmarshal = |value: &str, field: &str, kind: &str| {
        format!("json: cannot unmarshal {value} into Go struct field {field} of type {kind}")
    };
    let spec = match object.get("spec")? {
        Value::Null => return None,
        Value::Object(spec) => spec,
        other => return Some(unmarshal(go_type(other), "Lease.spec", "v1.LeaseSpec")),
    };
    for (name, value) in spec.iter().filter(|(_, value)| !value.is_null()) {
        let field = format!("LeaseSpec.spec.{name}");
        let wrong = match name.as_str() {
            "leaseDurationSeconds" | "leaseTransitions" => match value {
                Value::Number(number) => {
                    let fits = number.as_i64().is_some_and(|number| i32::try_from(number).is_ok());
                    (!fits).then(|| unmarshal(&format!("number {number}"), &field, "int32"))
                }
                other => Some(unmarshal(go_type(other), &field, "int32")),
            },
            time if TIMES.contains(&time) => match value {
                Value::String(text) => micro_time(text).err(),
                other => {
                    let kind = go_type(other);
                    Some(format!("json: cannot unmarshal {kind} into Go value of type string"))
                }
            },
            "holderIdentity" | "strategy" | "preferredHolder" if !value.is_string() => {
                Some(unmarshal(go_type(value), &field, "string"))
            }
            _ => None,
        };
        if wrong.is_some() {
            return wrong;
        }
    }
    None
}

/// Normalizes the spec for storage: converts times to UTC, and removes the fields of coordinated leader election, a
/// feature that is off by default.
pub(crate) fn normalize(object: &mut Map<String, Value>) {
    let spec = object.entry("spec").or_insert_with(|| Value::Object(Map::new()));
    let Some(spec) = spec.as_object_mut() else { return };
    spec.retain(|name, value| !value.is_null() && !["strategy", "preferredHolder"].contains(&name.as_str()));
    for name in TIMES {
        let parsed = spec.get(name).and_then(Value::as_str).and_then(|text| micro_time(text).ok());
        if let Some(time) = parsed {
            spec.insert(name.to_owned(), Value::from(show(time)));
        }
    }
}

/// Collects the errors in the spec.
pub(crate) fn errors(object: &Value, errors: &mut Vec<FieldError>) {
    let number = |name: &str| object.pointer(&format!("/spec/{name}")).and_then(Value::as_i64);
    if let Some(duration) = number("leaseDurationSeconds").filter(|duration| *duration <= 0) {
        errors.push(FieldError::invalid_number("spec.leaseDurationSeconds", duration, "must be greater than 0"));
    }
    if let Some(transitions) = number("leaseTransitions").filter(|transitions| *transitions < 0) {
        let why = "must be greater than or equal to 0";
        errors.push(FieldError::invalid_number("spec.leaseTransitions", transitions, why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn micro_times_need_six_digits_and_are_shown_in_utc() {
        for (text, shown) in [
            ("2024-05-01T10:00:00.000000Z", "2024-05-01T10:00:00.000000Z"),
            ("2024-05-01T10:00:00.123456+02:00", "2024-05-01T08:00:00.123456Z"),
        ] {
            assert_eq!(micro_time(text).map(show), Ok(shown.to_owned()));
        }
        for (text, rest) in [
            ("2024-05-01T10:00:00Z", "cannot parse \"Z\" as \".000000\""),
            ("2024-05-01T10:00:00.123Z", "cannot parse \".123Z\" as \".000000\""),
            ("2024-05-01T10:00:00.123456789Z", "cannot parse \".123456789Z\" as \".000000\""),
            ("yesterday", "cannot parse \"yesterday\" as \"2006\""),
        ] {
            assert!(micro_time(text).unwrap_err().ends_with(rest), "{text}");
        }
    }
}
