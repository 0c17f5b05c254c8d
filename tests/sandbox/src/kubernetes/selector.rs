//! Label and field selectors of lists.
//!
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>. Pure.

use crate::kubernetes::resource::Resource;
use crate::kubernetes::status::Refusal;
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

/// A parsed label selector: all of its parts must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Labels(Vec<(String, Test)>);

/// Splits at commas that are not in parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_u32, 0, Vec::new());
    for (index, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn requirement(part: &str) -> Option<(String, Test)> {
    let one = |value: &str| vec![value.trim().to_owned()];
    let part = part.trim();
    let (key, test) = if let Some(key) = part.strip_prefix('!') {
        (key, Test::Absent)
    } else if let Some((key, value)) = part.split_once("!=") {
        (key, Test::NotIn(one(value)))
    } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        (key, Test::In(one(value)))
    } else if let Some((head, values)) = part.strip_suffix(')').and_then(|rest| rest.split_once('(')) {
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let (key, operator) = head.trim().rsplit_once(char::is_whitespace)?;
        match operator {
            "in" => (key, Test::In(values)),
            "notin" => (key, Test::NotIn(values)),
            _ => return None,
        }
    } else {
        (part, Test::Exists)
    };
    let key = key.trim();
    crate::kubernetes::validate::qualified_name(key).is_empty().then(|| (key.to_owned(), test))
}

impl Labels {
    /// Reads `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let mut all = Vec::new();
        for part in split(text) {
            let unreadable = || Refusal::bad_request(format!("unable to parse requirement: found '{}'", part.trim()));
            all.push(requirement(part).ok_or_else(unreadable)?);
        }
        Ok(Self(all))
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        self.0.iter().all(|(key, test)| {
            let value = labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
            match test {
                Test::In(values) => value.is_some_and(|value| values.iter().any(|one| one == value)),
                Test::NotIn(values) => value.is_none_or(|value| values.iter().all(|one| one != value)),
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
            }
        })
    }
}

/// The fields that a kind can be selected by.
fn known(resource: Resource) -> &'static [&'static str] {
    match resource {
        Resource::Pods => &[
            "metadata.name",
            "metadata.namespace",
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        Resource::Namespaces => &["metadata.name", "status.phase"],
        Resource::ServiceAccounts | Resource::Leases => &["metadata.name", "metadata.namespace"],
    }
}

/// A parsed field selector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, String, bool)>);

impl Fields {
    /// Reads `metadata.name=a,spec.serviceAccountName!=b`.
    pub(crate) fn parse(resource: Resource, text: &str) -> Result<Self, Refusal> {
        let mut all = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (key, value, equal) = if let Some((key, value)) = part.split_once("!=") {
                (key, value, false)
            } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (key, value, true)
            } else {
                let text = format!("invalid field selector: {text:?}; can't understand '{part}'");
                return Err(Refusal::bad_request(text));
            };
            let key = key.trim();
            if !known(resource).contains(&key) {
                return Err(Refusal::bad_request(match resource {
                    Resource::Pods | Resource::Namespaces => format!("field label not supported: {key}"),
                    Resource::ServiceAccounts | Resource::Leases => {
                        format!("{key:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
                    }
                }));
            }
            all.push((format!("/{}", key.replace('.', "/")), value.trim().to_owned(), equal));
        }
        Ok(Self(all))
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|(pointer, value, equal)| {
            let found = match object.pointer(pointer) {
                Some(Value::String(text)) => text,
                Some(Value::Bool(true)) => "true",
                _ if pointer == "/spec/hostNetwork" => "false",
                _ => "",
            };
            (found == value) == *equal
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn label_selectors_match_as_documented() {
        let object = json!({"metadata": {"labels": {"app": "web", "irsa/owner": "me"}}});
        for (selector, expected) in [
            ("", true),
            ("app=web", true),
            ("app == web, irsa/owner=me", true),
            ("app!=web", false),
            ("tier!=front", true),
            ("app in (api, web)", true),
            ("app notin (api,web)", false),
            ("tier notin (api)", true),
            ("tier in (api)", false),
            ("app", true),
            ("tier", false),
            ("!tier", true),
            ("!app", false),
            ("irsa/owner in (me),app=api", false),
        ] {
            assert_eq!(Labels::parse(selector).unwrap().matches(&object), expected, "{selector}");
        }
        for wrong in ["app within (a)", "=b", "a b", "-x"] {
            assert_eq!(Labels::parse(wrong).unwrap_err().code, 400, "{wrong}");
        }
    }

    #[test]
    fn field_selectors_know_few_fields() {
        let pod = json!({"metadata": {"name": "a"}, "spec": {"serviceAccountName": "worker"}});
        let parse = |text| Fields::parse(Resource::Pods, text);
        assert!(parse("spec.serviceAccountName=worker,metadata.name=a").unwrap().matches(&pod));
        assert!(!parse("spec.serviceAccountName!=worker").unwrap().matches(&pod));
        assert!(parse("spec.hostNetwork=false,spec.hostNetwork!=true").unwrap().matches(&pod));
        assert_eq!(parse("spec.other=1").unwrap_err().message, "field label not supported: spec.other");
        let text = "\"spec.other\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"";
        let refusal = Fields::parse(Resource::ServiceAccounts, "spec.other=1").unwrap_err();
        assert_eq!((refusal.code, refusal.message.as_str()), (400, text));
    }
}
