//! What a change hands out, in a few words, and how much that weighs: for formats that cannot show everything.

use super::document::{Body, equal, statements};
use super::entry::{Entry, Mark};
use super::scrub::scrub;
use super::value::shown;
use crate::plan::file::FieldV2;
use crate::policy::pattern::covers;
use serde_json::Value;
use std::collections::BTreeSet;

/// How many names are told; the gravest stand first.
const MOST: usize = 6;

/// How much of a name, in characters.
const LONG: usize = 120;

/// What weighs most in a change, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// A finding of the linter says so, or permissions over permissions come.
    Grave,
    /// Permissions come, or what bounds them changes.
    Permissions,
    /// Someone gets to use it.
    Access,
    /// Something is lost.
    Loss,
    /// It is taken over.
    Adoption,
    /// None of these.
    Other,
}

/// The risk of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Risk {
    pub weight: Weight,
    /// In words: the findings on it, and the permissions that it gives.
    pub words: Vec<String>,
    /// How many gain and lose access.
    pub access: Vec<String>,
}

impl Risk {
    /// Of a change of these fields; `access` are its lines about access, `findings` the grave findings on its object.
    pub(crate) fn of(fields: &[FieldV2], access: &[Entry], findings: &[String], otherwise: Weight) -> Self {
        let mut risk = Self { weight: otherwise, words: Vec::new(), access: Vec::new() };
        for finding in findings {
            risk.add(Weight::Grave, finding.clone());
        }
        let more = more(fields);
        if !more.is_empty() {
            let weight = if more.iter().any(|name| is_grave(name)) { Weight::Grave } else { Weight::Permissions };
            risk.add(weight, format!("gives {}", few(&more)));
        }
        for field in fields {
            let document = field.path == "document" || field.path.starts_with("inline.");
            if document && takes_a_deny(&field.before, &field.after) {
                risk.add(Weight::Permissions, format!("takes a deny away: `{}`", scrub(&field.path)));
            } else if document && !field.before.is_null() && !field.after.is_null() {
                // another resource, a condition less
                risk.add(Weight::Permissions, format!("changes policy `{}`", scrub(&field.path)));
            }
            if field.path == "permissions-boundary" && field.before != field.after {
                risk.add(Weight::Permissions, "changes what bounds it".to_owned());
            }
        }
        for entry in access {
            let weight = if entry.mark == Mark::Added { Weight::Access } else { Weight::Loss };
            risk.weight = risk.weight.min(weight);
            risk.access.push(format!("{}: {}", entry.words(), entry.children.len()));
        }
        risk
    }

    /// All of it on one line; empty if there is none.
    pub(crate) fn line(&self) -> String {
        self.words.iter().chain(&self.access).map(String::as_str).collect::<Vec<_>>().join("; ")
    }

    fn add(&mut self, weight: Weight, words: String) {
        self.weight = self.weight.min(weight);
        self.words.push(words);
    }
}

/// The actions that become allowed and the policies that become attached, the gravest first.
fn more(fields: &[FieldV2]) -> Vec<String> {
    let names = |field: &FieldV2, value: &Value| -> BTreeSet<String> {
        match field.path.as_str() {
            "attached" => value.as_array().into_iter().flatten().map(shown).collect(),
            path if path == "document" || path.starts_with("inline.") => allowed(value),
            _ => BTreeSet::new(),
        }
    };
    let all = |side: fn(&FieldV2) -> &Value| -> BTreeSet<String> {
        fields.iter().flat_map(|field| names(field, side(field))).collect()
    };
    // neither actions nor names of policies are told apart by case
    let folded = |name: &String| name.to_ascii_lowercase();
    let before: BTreeSet<String> = all(|field| &field.before).iter().map(folded).collect();
    let after = all(|field| &field.after).into_iter();
    let had = |name: &String| before.iter().any(|pattern| covers(pattern, &folded(name)));
    let mut more: Vec<String> = after.filter(|name| !had(name)).collect();
    more.sort_by_key(|name| !is_grave(name));
    more
}

/// The actions that the statements of a document allow.
fn allowed(document: &Value) -> BTreeSet<String> {
    let Some(statements) = statements(document) else {
        return ["a policy that is not understood".to_owned()].into();
    };
    let texts = |body: &Body, key: &str| -> Vec<String> {
        match body.get(key) {
            Some(Value::Array(list)) => list.iter().map(shown).collect(),
            Some(single) => vec![shown(single)],
            None => Vec::new(),
        }
    };
    let allows = |body: &&Body| body.get("Effect").is_none_or(|effect| effect != "Deny");
    let bodies: Vec<&Body> = statements.into_iter().filter(allows).collect();
    let actions = bodies.iter().flat_map(|body| texts(body, "Action"));
    let except = bodies.iter().filter(|body| body.contains_key("NotAction"));
    let except = except.map(|body| {
        let names: BTreeSet<String> = texts(body, "NotAction").into_iter().collect();
        format!("everything but {}", names.into_iter().collect::<Vec<_>>().join(", "))
    });
    actions.chain(except).collect()
}

fn takes_a_deny(before: &Value, after: &Value) -> bool {
    let denies = |document: &Value| -> Vec<Body> {
        let all = statements(document).unwrap_or_default().into_iter();
        all.filter(|body| body.get("Effect").is_some_and(|effect| effect == "Deny")).cloned().collect()
    };
    let after = denies(after);
    denies(before).iter().any(|deny| !after.iter().any(|other| equal(deny, other)))
}

/// Whether an action or a policy is about permissions themselves, or about everything.
fn is_grave(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let policies = ["admin", "poweruser", "iamfull"];
    lower == "*"
        || lower.ends_with(":*")
        || ["iam:", "sts:", "organizations:", "sso:", "everything but", "a policy that"]
            .iter()
            .any(|start| lower.starts_with(start))
        || lower.starts_with("arn:") && policies.iter().any(|word| lower.contains(word))
}

fn few(names: &[String]) -> String {
    let short = |name: &String| {
        let end = name.char_indices().nth(LONG).map_or(name.len(), |(at, _)| at);
        format!("`{}{}`", scrub(&name[..end]), if end < name.len() { "…" } else { "" })
    };
    let mut list: Vec<String> = names.iter().take(MOST).map(short).collect();
    if names.len() > MOST {
        list.push(format!("{} more", names.len() - MOST));
    }
    list.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::examples::field;
    use serde_json::json;

    fn risk(path: &str, before: Value, after: Value) -> (Weight, String) {
        let risk = Risk::of(&[field(path, before, after)], &[], &[], Weight::Other);
        (risk.weight, risk.line())
    }

    fn document(effect: &str, key: &str, actions: &Value) -> Value {
        json!({ "Statement": [{ "Effect": effect, key: actions, "Resource": "*" }] })
    }

    #[test]
    fn what_a_change_gives_is_told_the_gravest_first() {
        let allow = |actions: &[&str]| document("Allow", "Action", &json!(actions));
        for (path, before, after, weight, words) in [
            ("description", json!("a"), json!("b"), Weight::Other, ""),
            ("inline.a", Value::Null, allow(&["s3:GetObject"]), Weight::Permissions, "gives `s3:GetObject`"),
            (
                "inline.a",
                Value::Null,
                allow(&["s3:GetObject", "iam:PassRole"]),
                Weight::Grave,
                "gives `iam:PassRole`, `s3:GetObject`",
            ),
            ("document", Value::Null, allow(&["*"]), Weight::Grave, "gives `*`"),
            ("document", Value::Null, allow(&["s3:*"]), Weight::Grave, "gives `s3:*`"),
            (
                "document",
                Value::Null,
                document("Allow", "NotAction", &json!("s3:*")),
                Weight::Grave,
                "gives `everything but s3:*`",
            ),
            ("document", Value::Null, json!("{"), Weight::Grave, "gives `a policy that is not understood`"),
            (
                "document",
                allow(&["s3:A"]),
                allow(&["s3:A", "s3:B"]),
                Weight::Permissions,
                "gives `s3:B`; changes policy `document`",
            ),
            ("document", allow(&["s3:A", "s3:B"]), allow(&["s3:A"]), Weight::Permissions, "changes policy `document`"),
            ("inline.a", allow(&["s3:A"]), Value::Null, Weight::Other, ""),
            (
                "inline.a",
                document("Deny", "Action", &json!("*")),
                Value::Null,
                Weight::Permissions,
                "takes a deny away: `inline.a`",
            ),
            ("inline.a", Value::Null, document("Deny", "Action", &json!("*")), Weight::Other, ""),
            (
                "attached",
                json!(["arn:aws:iam::aws:policy/A"]),
                json!(["arn:aws:iam::aws:policy/A", "arn:aws:iam::aws:policy/AdministratorAccess"]),
                Weight::Grave,
                "gives `arn:aws:iam::aws:policy/AdministratorAccess`",
            ),
            ("permissions-boundary", json!("arn"), Value::Null, Weight::Permissions, "changes what bounds it"),
        ] {
            assert_eq!(risk(path, before, after), (weight, words.to_owned()), "{path}");
        }
    }

    #[test]
    fn a_few_names_stand_for_many_and_long_ones_are_cut() {
        let actions: Vec<String> = (0..9).map(|index| format!("s3:{index}{}", "x".repeat(200))).collect();
        let (_, words) = risk("inline.a", Value::Null, document("Allow", "Action", &json!(actions)));
        assert!(words.starts_with("gives `s3:0xxx") && words.ends_with("x…`, 3 more"), "{words}");
        assert!(words.len() < 1_000, "{words}");
    }

    #[test]
    fn a_grave_finding_weighs_most() {
        let risk = Risk::of(&[], &[], &["high IRSA010".to_owned()], Weight::Adoption);
        assert_eq!((risk.weight, risk.line()), (Weight::Grave, "high IRSA010".to_owned()));
        assert_eq!(Risk::of(&[], &[], &[], Weight::Loss).weight, Weight::Loss);
    }
}
