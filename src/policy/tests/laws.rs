//! Properties of documents, and of pairs of which one is the other respelled or changed.

use super::super::PolicyDocument;
use super::super::canonical::{
    self, CanonicalDocument, CanonicalStatement, Choice, Effect, Principal, Quantifier, Version,
};
use super::super::parse::strict_json;
use super::dice::Dice;
use super::documents::document;
use super::mutations::{changed, without_doubles};
use super::spelling::anew;
use super::{cases, read};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// The canonical form as a document.
fn rendered(document: &CanonicalDocument) -> Value {
    let statements: Vec<Value> = document.statements.iter().map(|statement| rendered_statement(statement)).collect();
    let version = match document.version {
        Version::Old => "2008-10-17",
        Version::Current => "2012-10-17",
    };
    json!({"Version": version, "Statement": statements})
}

/// An element or its `Not` counterpart.
fn choice<T: Ord>(map: &mut Map<String, Value>, name: &str, choice: &Choice<T>, value: fn(&[T]) -> Value) {
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
        let block: Map<String, Value> = block.iter().map(|(key, values)| (key.clone(), json!(values))).collect();
        (format!("{quantifier}{}{suffix}", operator.base), Value::Object(block))
    });
    map.insert("Condition".into(), Value::Object(blocks.collect()));
    Value::Object(map)
}

fn canonical(text: &str) -> CanonicalDocument {
    canonical::document(&strict_json(text).unwrap(), None).unwrap().0
}

fn of(document: &Value) -> PolicyDocument {
    read(&document.to_string())
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn respelled_documents_are_equal() {
    proptest!(config(), |(document in document(), seed in any::<u64>())| {
        let mut dice = Dice::new(seed);
        let (one, other) = (anew(&document, &mut dice), anew(&document, &mut dice));
        let (original, one_read, other_read) = (of(&document), read(&one), read(&other));
        prop_assert!(original == one_read, "{document}\n{one}");
        prop_assert!(one_read == other_read, "{one}\n{other}");
    });
    println!("{} documents, each spelled anew in two ways", cases());
}

#[test]
fn changed_documents_differ() {
    proptest!(config(), |(document in document(), seed in any::<u64>())| {
        let document = without_doubles(&document);
        let original = of(&document);
        let statements = original.statements();
        prop_assume!(statements.iter().enumerate().all(|(index, one)| !statements[..index].contains(one)));
        let mut dice = Dice::new(seed);
        let other = changed(&document, &mut dice);
        let (other_read, anew) = (of(&other), read(&anew(&other, &mut dice)));
        prop_assert!(original != other_read, "{document}\n{other}");
        prop_assert!(original != anew, "{document}\n{other}");
    });
    println!("{} documents, each changed in one place", cases());
}

proptest! {
    #[test]
    fn equality_is_symmetric(one in document(), other in document()) {
        prop_assert_eq!(of(&one) == of(&other), of(&other) == of(&one));
    }

    #[test]
    fn canonical_form_parses_to_itself(document in document()) {
        let once = canonical(&document.to_string());
        let text = rendered(&once).to_string();
        let again = canonical(&text);
        prop_assert_eq!(&again, &once);
        let live = PolicyDocument::live(&text);
        prop_assert_eq!(&live, &of(&document));
        // `live_again` keeps the new text, even if the meaning is the same
        prop_assert!(live.live_again(&text).text() == text);
        let spaced = format!(" {text}");
        prop_assert!(live.live_again(&spaced).text() == spaced);
        prop_assert_eq!(rendered(&again).to_string(), text);
    }

    #[test]
    fn minified_document_is_equal(document in document()) {
        let read = of(&document);
        prop_assert_eq!(&PolicyDocument::live(&read.minified()), &read);
        let again = PolicyDocument::from_statements(read.statements());
        prop_assert_eq!(again.statements(), read.statements());
        prop_assert_eq!(read.size(), read.minified().chars().filter(|c| *c != ' ').count());
    }

    #[test]
    fn texts_do_not_panic(text in any::<String>()) {
        let live = PolicyDocument::live(&text);
        prop_assert_eq!(live.is_parsed(), live.problem().is_none());
        prop_assert_eq!(&live, &live.clone());
        live.federated_issuers();
    }

    #[test]
    fn odd_documents_do_not_panic(
        document in document(),
        place in any::<prop::sample::Index>(),
        odd in prop_oneof![Just("null"), Just("[]"), Just("{}"), Just("[[]]"), Just("\"\""), Just("1"), Just("{\"a\":{}}")],
    ) {
        // one value replaced by an odd one
        let text = document.to_string();
        let starts: Vec<usize> = text.match_indices(['"', '{', '[']).map(|(index, _)| index).collect();
        let start = *place.get(&starts);
        let mut stream = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
        if stream.next().is_some_and(|value| value.is_ok()) {
            let end = start + stream.byte_offset();
            let changed = format!("{}{odd}{}", &text[..start], &text[end..]);
            let live = PolicyDocument::live(&changed);
            if live.is_parsed() && live != of(&document) {
                prop_assert!(!live.statements().is_empty());
            }
        }
    }
}
