//! Checks what a change of permissions is said to give against the evaluator: it never misses a request, and most of what
//! it names is true.

use super::super::PolicyDocument;
use super::dice::Dice;
use super::evaluator::{Document, Place, Request, Verdict};
use super::permission_effects::{document, neighbour, requests, verdicts};
use super::{cases, read};
use crate::access::changes::{Difference, Permissions, gained};
use serde_json::{Value, json};

/// One side of a change: policies and perhaps a boundary.
#[derive(Clone)]
struct Side {
    policies: Vec<Value>,
    boundary: Option<Value>,
}

impl Side {
    fn new(version: &str, dice: &mut Dice) -> Self {
        let policies = (0..=dice.below(2)).map(|_| of(version, document(dice))).collect();
        let boundary = (dice.below(3) == 0).then(|| of(version, document(dice)));
        Self { policies, boundary }
    }

    /// With one document changed, added or removed.
    fn neighbour(&self, version: &str, dice: &mut Dice) -> Self {
        let mut other = self.clone();
        let index = dice.below(other.policies.len());
        match (dice.below(6), &other.boundary) {
            (0, _) => other.policies.push(of(version, document(dice))),
            (1, _) if other.policies.len() > 1 => drop(other.policies.remove(index)),
            (2, Some(boundary)) => other.boundary = Some(of(version, neighbour(boundary, dice))),
            (3, Some(_)) => other.boundary = None,
            (3, None) => other.boundary = Some(of(version, document(dice))),
            _ => other.policies[index] = of(version, neighbour(&other.policies[index], dice)),
        }
        other
    }

    fn read(&self) -> (Vec<PolicyDocument>, Option<PolicyDocument>) {
        let read = |value: &Value| read(&value.to_string());
        (self.policies.iter().map(read).collect(), self.boundary.as_ref().map(read))
    }
}

fn of(version: &str, mut document: Value) -> Value {
    document["Version"] = json!(version);
    document
}

/// Whether each request is allowed, by the evaluator: some policy allows, none denies, and the boundary allows it.
fn allowed((policies, boundary): &(Vec<PolicyDocument>, Option<PolicyDocument>), requests: &[Request]) -> Vec<bool> {
    let policies: Vec<Vec<Verdict>> = policies.iter().map(|policy| verdicts(policy, requests)).collect();
    let boundary = boundary.as_ref().map(|boundary| verdicts(boundary, requests));
    let one = |at: usize| {
        let any = |wanted: Verdict| policies.iter().any(|found| found[at] == wanted);
        let bounded = boundary.as_ref().is_none_or(|boundary| boundary[at] == Verdict::Allowed);
        any(Verdict::Allowed) && !any(Verdict::Denied) && bounded
    };
    (0..requests.len()).map(one).collect()
}

/// Documents that allow what the line says: each has the printed action and resource and one statement's conditions.
fn spoken(difference: &Difference<'_>, version: &str) -> Vec<Document> {
    let element = |name: &str, text: String| match text.strip_prefix("everything but ") {
        Some(list) => (format!("Not{name}"), json!(list.split(", ").collect::<Vec<_>>())),
        None => (name.to_owned(), json!(text)),
    };
    let pair = &difference.pair;
    let of_statement = |conditions: &Value| {
        let (action, actions) = element("Action", pair.action_text());
        let (resource, resources) = element("Resource", pair.resource_text());
        let mut statement = json!({ "Effect": "Allow", action: actions, resource: resources });
        if !conditions.is_null() {
            statement["Condition"] = conditions.clone();
        }
        Document::of(&json!({ "Version": version, "Statement": [statement] }).to_string())
    };
    pair.statements.iter().map(|statement| of_statement(&statement.to_value()["Condition"])).collect()
}

#[test]
fn what_a_change_gives_includes_every_request_that_becomes_allowed() {
    let requests = requests();
    let (mut gains, mut lines, mut true_lines) = (0, 0, 0);
    let all = cases() / 10;
    for case in 0..all {
        let mut dice = Dice::new(u64::from(case) | 21 << 32);
        let version = *dice.pick(&["2008-10-17", "2012-10-17"]);
        let one = Side::new(version, &mut dice);
        let other = if dice.below(4) == 0 { Side::new(version, &mut dice) } else { one.neighbour(version, &mut dice) };
        let (one, other) = (one.read(), other.read());
        let before = Permissions { policies: one.0.iter().collect(), boundary: one.1.as_ref(), unread: false };
        let after = Permissions { policies: other.0.iter().collect(), boundary: other.1.as_ref(), unread: false };
        let found = gained(&before, &after).expect("few pairs");
        let told: Vec<Vec<Document>> = found.iter().map(|difference| spoken(difference, version)).collect();
        let (old, new) = (allowed(&one, &requests), allowed(&other, &requests));
        let becomes: Vec<&Request> = requests
            .iter()
            .zip(old.iter().zip(&new))
            .filter(|(_, (old, new))| !**old && **new)
            .map(|(one, _)| one)
            .collect();
        let says = |told: &[Document], request: &Request| {
            told.iter().all(|document| document.verdict(Place::Identity, request) == Verdict::Allowed)
        };
        gains += u32::from(!becomes.is_empty());
        for request in &becomes {
            assert!(
                told.iter().any(|told| says(told, request)),
                "case {case}: {request:?} becomes allowed\n{one:?}\n{other:?}\n{found:?}"
            );
        }
        lines += told.len();
        true_lines += told.iter().filter(|told| becomes.iter().any(|request| says(told, request))).count();
    }
    println!(
        "{all} changes, {gains} give something; {true_lines} of {lines} lines name a request that becomes allowed"
    );
    assert!(all < 1_000 || (gains > all / 4 && true_lines * 4 > lines * 3), "{gains}, {true_lines} of {lines}");
}
