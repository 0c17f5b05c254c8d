//! What holds for any two policies: made at random, spelled anew, and changed in one place.

use super::super::document::PolicyDocument;
use super::super::parse::strict_json;
use super::{CanonicalDocument, CanonicalStatement, Choice, Effect, Principal, Quantifier, Version};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

fn texts(pattern: &'static str) -> impl Strategy<Value = Value> {
    prop_oneof![pattern.prop_map(Value::from), prop::collection::vec(pattern, 1..4).prop_map(Value::from)]
}

fn values() -> impl Strategy<Value = Value> {
    let one = prop_oneof![
        "[a-zA-Z*?:/ ]{0,8}".prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
    ];
    prop_oneof![one.clone(), prop::collection::vec(one, 1..4).prop_map(Value::from)]
}

fn conditions() -> impl Strategy<Value = Value> {
    const OPERATORS: [&str; 8] = [
        "StringEquals",
        "StringLike",
        "StringNotEqualsIfExists",
        "ForAllValues:StringLike",
        "ForAnyValue:ArnLikeIfExists",
        "Bool",
        "Null",
        "NumericLessThan",
    ];
    const KEYS: [&str; 7] = [
        "aws:SourceVpc",
        "aws:RequestTag/Team",
        "aws:RequestTag/team",
        "oidc.example.com/id/ABC:sub",
        "oidc.example.com/id/abc:sub",
        "oidc.example.com:aud",
        "sts:ExternalId",
    ];
    let block = prop::collection::btree_map(prop::sample::select(&KEYS[..]), values(), 1..3);
    let block =
        block.prop_map(|map| Value::Object(map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()));
    let all = prop::collection::btree_map(prop::sample::select(&OPERATORS[..]), block, 0..3);
    all.prop_map(|map| Value::Object(map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()))
}

fn principals() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("*")),
        texts("[0-9]{12}|arn:aws:iam::[0-9]{12}:(root|role/[a-zA-Z]{1,4})|\\*").prop_map(|list| json!({"AWS": list})),
        (texts("[0-9]{12}"), texts("[a-z]{1,5}\\.amazonaws\\.com"))
            .prop_map(|(accounts, services)| json!({"AWS": accounts, "Service": services})),
        Just(json!({"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/ABC"})),
    ]
}

fn statement() -> impl Strategy<Value = Value> {
    let actions = texts("(s3|sts|iam):[A-Za-z*]{1,6}|\\*");
    let resources = texts("arn:aws:s3:::[a-zA-Z*/]{1,6}|\\*");
    (any::<bool>(), any::<bool>(), actions, any::<bool>(), resources, prop::option::of(principals()), conditions())
        .prop_map(|(deny, not_action, actions, not_resource, resources, principals, conditions)| {
            let mut map = Map::new();
            map.insert("Effect".into(), json!(if deny { "Deny" } else { "Allow" }));
            map.insert(if not_action { "NotAction" } else { "Action" }.into(), actions);
            match principals {
                Some(principals) => map.insert("Principal".into(), principals),
                None => map.insert(if not_resource { "NotResource" } else { "Resource" }.into(), resources),
            };
            if conditions.as_object().is_some_and(|map| !map.is_empty()) || deny {
                map.insert("Condition".into(), conditions);
            }
            Value::Object(map)
        })
}

fn document() -> impl Strategy<Value = Value> {
    (prop::option::of(any::<bool>()), prop::collection::vec(statement(), 1..4)).prop_map(|(version, statements)| {
        let mut document = json!({"Statement": statements});
        if let Some(current) = version {
            document["Version"] = json!(if current { "2012-10-17" } else { "2008-10-17" });
        }
        document
    })
}

/// Numbers below a bound, from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    /// The same text in any case.
    fn cased(&mut self, text: &str) -> String {
        text.chars().map(|c| if self.coin() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }).collect()
    }

    /// The same set: in another order, with doubles, one item as it is.
    fn set(&mut self, value: &Value, mut respell: impl FnMut(&mut Self, &Value) -> Value) -> Value {
        let mut list: Vec<Value> = match value {
            Value::Array(list) => list.clone(),
            single => vec![single.clone()],
        };
        if self.coin() {
            let double = list[self.below(list.len())].clone();
            list.push(double);
        }
        for index in (1..list.len()).rev() {
            let other = self.below(index + 1);
            list.swap(index, other);
        }
        let mut list: Vec<Value> = list.iter().map(|item| respell(self, item)).collect();
        if list.len() == 1 && self.coin() { list.remove(0) } else { Value::Array(list) }
    }
}

/// Another text of the same meaning.
fn respelled(document: &Value, dice: &mut Dice) -> Value {
    let statements = dice.set(&document["Statement"], |dice, statement| {
        let mut map = Map::new();
        for (name, value) in statement.as_object().unwrap() {
            let value = match name.as_str() {
                "Action" | "NotAction" => dice.set(value, |dice, text| json!(dice.cased(text.as_str().unwrap()))),
                "Resource" | "NotResource" => dice.set(value, |_, text| text.clone()),
                "Principal" => respelled_principals(value, dice),
                "Condition" => respelled_conditions(value, dice),
                _ => value.clone(),
            };
            map.insert(name.clone(), value);
        }
        if dice.coin() {
            map.insert("Sid".into(), json!(format!("S{}", dice.below(9))));
        }
        if !map.contains_key("Condition") && dice.coin() {
            map.insert("Condition".into(), json!({}));
        }
        Value::Object(map)
    });
    let mut other = json!({"Statement": statements});
    match document.get("Version") {
        Some(version) => other["Version"] = version.clone(),
        None if dice.coin() => other["Version"] = json!("2008-10-17"),
        None => {}
    }
    other
}

fn respelled_principals(value: &Value, dice: &mut Dice) -> Value {
    let Some(map) = value.as_object() else {
        return if dice.coin() { value.clone() } else { json!({"AWS": "*"}) };
    };
    let entries = map.iter().map(|(kind, value)| {
        let set = dice.set(value, |dice, text| {
            let text = text.as_str().unwrap();
            match (kind.as_str(), text.strip_prefix("arn:aws:iam::").and_then(|rest| rest.strip_suffix(":root"))) {
                ("AWS", Some(account)) if dice.coin() => json!(account),
                ("AWS", None) if text.len() == 12 && dice.coin() => json!(format!("arn:aws-cn:iam::{text}:root")),
                _ => json!(text),
            }
        });
        (kind.clone(), set)
    });
    Value::Object(entries.collect())
}

fn respelled_conditions(value: &Value, dice: &mut Dice) -> Value {
    let blocks = value.as_object().unwrap().iter().map(|(operator, block)| {
        let keys = block.as_object().unwrap().iter().map(|(key, values)| {
            let key = match (key.split_once('/'), key.rsplit_once(':')) {
                (None, _) => dice.cased(key),
                (Some((head, path)), _) if head.contains(':') => format!("{}/{path}", dice.cased(head)),
                (Some((host, _)), Some((issuer, claim))) => {
                    format!("{}{}:{}", dice.cased(host), &issuer[host.len()..], dice.cased(claim))
                }
                _ => key.clone(),
            };
            let values = dice.set(values, |dice, value| match value {
                Value::String(text) if operator == "Bool" => json!(dice.cased(text)),
                Value::String(text) => json!(text),
                other if dice.coin() => json!(other.to_string()),
                other => other.clone(),
            });
            (key, values)
        });
        let block: Map<String, Value> = keys.collect();
        (dice.cased(operator), Value::Object(block))
    });
    Value::Object(blocks.collect())
}

/// Paths of everything that means something: leaves, and the names of elements, operators and condition keys.
fn places(value: &Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                path.push(key.clone());
                places(value, path, found);
                path.pop();
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                path.push(index.to_string());
                places(value, path, found);
                path.pop();
            }
        }
        _ => found.push(path.clone()),
    }
}

/// The document with another value in one place.
fn mutated(document: &Value, dice: &mut Dice) -> Value {
    let mut found = Vec::new();
    places(document, &mut Vec::new(), &mut found);
    let path = &found[dice.below(found.len())];
    let pointer = format!(
        "/{}",
        path.iter().map(|part| part.replace('~', "~0").replace('/', "~1")).collect::<Vec<_>>().join("/")
    );
    let mut other = document.clone();
    let leaf = other.pointer_mut(&pointer).unwrap();
    *leaf = match (&*leaf, path.last().unwrap().as_str()) {
        (Value::String(text), "Effect") => json!(if text == "Allow" { "Deny" } else { "Allow" }),
        (Value::String(text), "Version") => json!(if text == "2008-10-17" { "2012-10-17" } else { "2008-10-17" }),
        (Value::String(text), "Principal") => json!({"AWS": format!("{text}Q9")}),
        (Value::String(text), _) => json!(format!("{text}Q9")),
        // behind what is there, so that it is none of the other values of the set
        (Value::Bool(bool), _) => json!(format!("{bool}Q9")),
        (Value::Number(number), _) => json!(format!("{number}Q9")),
        _ => unreachable!("no other leaf is made"),
    };
    other
}

/// The document with another name in one place.
fn renamed(document: &Value, dice: &mut Dice) -> Value {
    let mut other = document.clone();
    let list = other["Statement"].as_array_mut().unwrap();
    let index = dice.below(list.len());
    let statement = list[index].as_object_mut().unwrap();
    let counterparts = [("Action", "NotAction"), ("Resource", "NotResource"), ("Principal", "NotPrincipal")];
    let names = counterparts.iter().flat_map(|(plain, not)| [(*plain, *not), (*not, *plain)]);
    let there: Vec<(&str, &str)> = names.filter(|(name, _)| statement.contains_key(*name)).collect();
    let conditions = statement.get("Condition").and_then(Value::as_object).filter(|map| !map.is_empty()).cloned();
    match conditions {
        Some(mut conditions) if dice.coin() => {
            let operators: Vec<String> = conditions.keys().cloned().collect();
            let operator = &operators[dice.below(operators.len())];
            let block = conditions.remove(operator).unwrap();
            if dice.coin() {
                conditions.insert("ForAnyValue:DateEqualsIfExists".into(), block);
            } else {
                let block = block.as_object().unwrap().iter().map(|(key, value)| (format!("{key}Q9"), value.clone()));
                conditions.insert(operator.clone(), Value::Object(block.collect()));
            }
            statement.insert("Condition".into(), Value::Object(conditions));
        }
        _ => {
            let (name, counterpart) = there[dice.below(there.len())];
            let value = statement.remove(name).unwrap();
            statement.insert(counterpart.into(), value);
        }
    }
    other
}

fn read(value: &Value) -> PolicyDocument {
    let document = PolicyDocument::live(&value.to_string());
    assert!(document.is_parsed(), "{value}: {:?}", document.problem());
    document
}

/// The canonical form as a document.
fn rendered(document: &CanonicalDocument) -> Value {
    let statements: Vec<Value> = document.statements.iter().map(|statement| rendered_statement(statement)).collect();
    let version = match document.version {
        Version::Old => "2008-10-17",
        Version::Current => "2012-10-17",
    };
    json!({"Version": version, "Statement": statements})
}

/// An element or its counterpart.
fn choice<T: Ord>(map: &mut Map<String, Value>, name: &str, choice: &Choice<T>, value: fn(&BTreeSet<T>) -> Value) {
    match choice {
        Choice::Only(set) => map.insert(name.to_owned(), value(set)),
        Choice::AllBut(set) => map.insert(format!("Not{name}"), value(set)),
    };
}

fn rendered_statement(statement: &CanonicalStatement) -> Value {
    let CanonicalStatement { effect, principals, actions, resources, conditions } = statement;
    let mut map = Map::new();
    map.insert("Effect".into(), json!(if *effect == Effect::Allow { "Allow" } else { "Deny" }));
    choice(&mut map, "Action", actions, |set| json!(set));
    if let Some(resources) = resources {
        choice(&mut map, "Resource", resources, |set| json!(set));
    }
    if let Some(principals) = principals {
        choice(&mut map, "Principal", principals, |set| {
            let mut kinds: Map<String, Value> = Map::new();
            for principal in set {
                let (kind, text) = match principal {
                    Principal::Aws(text) => ("AWS", text),
                    Principal::CanonicalUser(text) => ("CanonicalUser", text),
                    Principal::Federated(text) => ("Federated", text),
                    Principal::Service(text) => ("Service", text),
                };
                kinds.entry(kind).or_insert(json!([])).as_array_mut().unwrap().push(json!(text));
            }
            Value::Object(kinds)
        });
    }
    let blocks = conditions.iter().map(|(operator, block)| {
        let quantifier = match operator.quantifier {
            Quantifier::One => "",
            Quantifier::ForAllValues => "ForAllValues:",
            Quantifier::ForAnyValue => "ForAnyValue:",
        };
        let suffix = if operator.if_exists { "IfExists" } else { "" };
        (format!("{quantifier}{}{suffix}", operator.base), json!(block))
    });
    map.insert("Condition".into(), Value::Object(blocks.collect()));
    Value::Object(map)
}

fn canonical(text: &str) -> CanonicalDocument {
    super::document(&strict_json(text).unwrap(), None).unwrap().0
}

proptest! {
    #[test]
    fn spelling_does_not_count(document in document(), seed in 1u64..) {
        let mut dice = Dice(seed);
        let (one, other) = (respelled(&document, &mut dice), respelled(&document, &mut dice));
        prop_assert_eq!(read(&document), read(&document));
        prop_assert_eq!(read(&document), read(&one));
        prop_assert_eq!(read(&one), read(&document));
        prop_assert_eq!(read(&one), read(&other));
    }

    #[test]
    fn every_leaf_counts(document in document(), seed in 1u64..) {
        let mut dice = Dice(seed);
        let other = mutated(&document, &mut dice);
        prop_assert_ne!(read(&document), read(&other));
        prop_assert_ne!(read(&respelled(&other, &mut dice)), read(&document));
    }

    #[test]
    fn every_name_counts(document in document(), seed in 1u64..) {
        let other = renamed(&document, &mut Dice(seed));
        prop_assert_ne!(read(&other), read(&document));
        prop_assert_ne!(read(&document), read(&other));
    }

    #[test]
    fn any_two_are_equal_both_ways_or_neither(one in document(), other in document()) {
        prop_assert_eq!(read(&one) == read(&other), read(&other) == read(&one));
    }

    #[test]
    fn the_canonical_form_read_again_is_itself(document in document()) {
        let once = canonical(&document.to_string());
        let text = rendered(&once).to_string();
        let again = canonical(&text);
        prop_assert_eq!(&again, &once);
        prop_assert_eq!(PolicyDocument::live(&text), read(&document));
        prop_assert_eq!(rendered(&again).to_string(), text);
    }

    #[test]
    fn what_is_sent_means_what_was_written(document in document()) {
        let read = read(&document);
        prop_assert_eq!(&PolicyDocument::live(&read.minified()), &read);
        prop_assert_eq!(&PolicyDocument::from_statements(&read.statements()).statements(), &read.statements());
        prop_assert_eq!(read.size(), read.minified().chars().filter(|c| *c != ' ').count());
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let live = PolicyDocument::live(&text);
        prop_assert_eq!(live.is_parsed(), live.problem().is_none());
        prop_assert_eq!(&live, &live.clone());
        live.federated_issuers();
    }

    #[test]
    fn no_odd_document_panics(
        document in document(),
        place in any::<prop::sample::Index>(),
        odd in prop_oneof![Just("null"), Just("[]"), Just("{}"), Just("[[]]"), Just("\"\""), Just("1"), Just("{\"a\":{}}")],
    ) {
        // any value put in any place, element or leaf
        let text = document.to_string();
        let starts: Vec<usize> = text.match_indices(['"', '{', '[']).map(|(index, _)| index).collect();
        let start = *place.get(&starts);
        let mut stream = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
        if stream.next().is_some_and(|value| value.is_ok()) {
            let end = start + stream.byte_offset();
            let changed = format!("{}{odd}{}", &text[..start], &text[end..]);
            let live = PolicyDocument::live(&changed);
            if live.is_parsed() && live != read(&document) {
                prop_assert!(!live.statements().is_empty());
            }
        }
    }
}
