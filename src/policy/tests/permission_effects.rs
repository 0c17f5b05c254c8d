//! Checks changes of permission policies against the evaluator. The versions of the two documents may differ.

use super::super::PolicyDocument;
use super::super::permission_effects::{between, intersect, may_overlap};
use super::dice::Dice;
use super::evaluator::Piece::{Exact, Folded};
use super::evaluator::{Context, Document, Key, Place, Request, Verdict, Who};
use super::{cases, read};
use serde_json::{Map, Value, json};

const ACTIONS: [&str; 4] = ["*", "s3:*", "s3:Get*", "s3:GetObject"];
/// `???????????????` has as many characters as `${aws:username}`.
const RESOURCES: [&str; 8] = [
    "*",
    "arn:aws:s3:::b/*",
    "arn:aws:s3:::b/ann",
    "arn:aws:s3:::b/$*",
    "arn:aws:s3:::b/???????????????",
    "arn:aws:s3:::b/${aws:username}",
    "arn:aws:s3:::b/${aws:username}*",
    "arn:aws:s3:::b/${*}",
];

const OPERATORS: [&str; 8] = [
    "StringEquals",
    "StringEquals",
    "StringLike",
    "StringLike",
    "StringNotEquals",
    "StringNotLike",
    "StringEqualsIfExists",
    "StringEqualsIgnoreCase",
];
const TEAMS: [&str; 5] = ["ann", "bob", "an*", "a*", "${aws:username}"];

const USER: Key = &[Folded("aws:username")];
const TEAM: Key = &[Folded("aws:PrincipalTag/"), Exact("Team")];

fn statement(dice: &mut Dice) -> Value {
    let some = |words: &[&'static str], dice: &mut Dice| match dice.below(3) {
        0 => json!([dice.pick(words), dice.pick(words)]),
        _ => json!(dice.pick(words)),
    };
    let mut map = Map::new();
    map.insert("Effect".into(), json!(dice.pick(&["Allow", "Allow", "Allow", "Deny"])));
    map.insert((*dice.pick(&["Action", "Action", "NotAction"])).into(), some(&ACTIONS, dice));
    map.insert((*dice.pick(&["Resource", "NotResource"])).into(), some(&RESOURCES, dice));
    if dice.below(3) == 0 {
        let operator = *dice.pick(&OPERATORS);
        map.insert("Condition".into(), json!({ operator: { "aws:PrincipalTag/Team": some(&TEAMS, dice) } }));
    }
    Value::Object(map)
}

pub(super) fn document(dice: &mut Dice) -> Value {
    let statements: Vec<Value> = (0..=dice.below(2)).map(|_| statement(dice)).collect();
    json!({ "Version": version(dice), "Statement": statements })
}

fn version(dice: &mut Dice) -> &'static str {
    if dice.coin() { "2008-10-17" } else { "2012-10-17" }
}

/// The document with one or more elements exchanged, perhaps in the other version.
pub(super) fn neighbour(document: &Value, dice: &mut Dice) -> Value {
    let mut other = document.clone();
    other["Version"] = json!(version(dice));
    let list = other["Statement"].as_array_mut().unwrap();
    let index = dice.below(list.len());
    let new = statement(dice);
    match dice.below(4) {
        0 => list.push(new),
        1 if list.len() > 1 => drop(list.remove(index)),
        _ => {
            let old = list[index].as_object_mut().unwrap();
            let name = *dice.pick(&["Action", "Resource", "Resource", "Condition"]);
            for name in [name.to_owned(), format!("Not{name}")] {
                old.remove(&name);
                old.extend(new.get(&name).map(|value| (name, value.clone())));
            }
        }
    }
    other
}

/// Every request for which the documents above can differ.
pub(super) fn requests() -> Vec<Request> {
    let mut list = Vec::new();
    for user in [None, Some("ann"), Some("bob"), Some("*")] {
        for team in [None, Some("ann"), Some("Bob"), Some("bob"), Some("andy"), Some("a*"), Some("${aws:username}")] {
            let mut context = Context::default();
            context.0.extend(user.map(|value| (USER, vec![value])));
            context.0.extend(team.map(|value| (TEAM, vec![value])));
            for action in ["s3:GetObject", "s3:GetObjects", "s3:PutObject", "sqs:SendMessage"] {
                for resource in [
                    "arn:aws:s3:::b/ann",
                    "arn:aws:s3:::b/bob",
                    "arn:aws:s3:::b/annie",
                    "arn:aws:s3:::b/*",
                    "arn:aws:s3:::b/fifteen-letters",
                    "arn:aws:s3:::b/${aws:username}",
                    "arn:aws:s3:::b/${aws:username}s",
                    "arn:aws:s3:::b/${*}",
                    "arn:aws:sqs:eu-west-1:111122223333:q",
                ] {
                    let who = Who::Aws("111122223333", "arn:aws:iam::111122223333:role/a");
                    list.push(Request { who, action, resource, context: context.clone() });
                }
            }
        }
    }
    list
}

pub(super) fn verdicts(document: &PolicyDocument, requests: &[Request]) -> Vec<Verdict> {
    let document = Document::of(document.text());
    requests.iter().map(|request| document.verdict(Place::Identity, request)).collect()
}

/// Whether `wide` allows every request that `narrow` allows.
fn within(narrow: &[Verdict], wide: &[Verdict]) -> bool {
    narrow.iter().zip(wide).all(|(narrow, wide)| *narrow != Verdict::Allowed || *wide == Verdict::Allowed)
}

/// Whether `other` denies every request that `one` denies.
fn denied_within(one: &[Verdict], other: &[Verdict]) -> bool {
    one.iter().zip(other).all(|(one, other)| *one != Verdict::Denied || *other == Verdict::Denied)
}

#[test]
fn effects_and_intersection_agree_with_the_evaluator() {
    let requests = requests();
    let (mut none, mut takes, mut gives, mut through, mut apart) = ([0; 2], [0; 2], [0; 2], [0; 2], [0; 2]);
    let all = cases() / 5;
    for case in 0..all {
        let mut dice = Dice::new(u64::from(case) | 5 << 32);
        let one = document(&mut dice);
        let other = if dice.below(4) == 0 { document(&mut dice) } else { neighbour(&one, &mut dice) };
        let (one, other) = if dice.coin() { (one, other) } else { (other, one) };
        let mixed = usize::from(one["Version"] != other["Version"]);
        let (before, after) = (read(&one.to_string()), read(&other.to_string()));
        let (old, new) = (verdicts(&before, &requests), verdicts(&after, &requests));
        let told = format!("case {case}:\n{one}\n{other}");
        let effects = between(Some(&before), Some(&after));
        assert!(effects.gives() || within(&new, &old), "nothing gained: {told}");
        assert!(effects.takes() || within(&old, &new), "nothing lost: {told}");
        assert!(effects.deny_leaves || denied_within(&old, &new), "no deny leaves: {told}");
        assert!(effects.deny_arrives || denied_within(&new, &old), "no deny arrives: {told}");
        let both = |(old, new): (&Verdict, &Verdict)| *old == Verdict::Allowed && *new == Verdict::Allowed;
        assert!(may_overlap(&before, &after) || !old.iter().zip(&new).any(both), "no overlap: {told}");
        match (effects.takes(), effects.gives()) {
            (false, false) => none[mixed] += 1,
            (true, false) => takes[mixed] += 1,
            (false, true) => gives[mixed] += 1,
            (true, true) => {
                let Some(middle) = intersect(Some(&before), Some(&after)) else {
                    apart[mixed] += 1;
                    continue;
                };
                through[mixed] += 1;
                let between = verdicts(&middle, &requests);
                assert!(within(&between, &old) && within(&between, &new), "{told}\n{}", middle.text());
                assert!(denied_within(&old, &between) && denied_within(&new, &between), "{told}\n{}", middle.text());
            }
        }
    }
    println!(
        "{all} changes, of one version and of two: {none:?} none, {takes:?} take, {gives:?} give, {through:?} go \
         through a third, {apart:?} are apart"
    );
    let seen = [none[0], none[1], takes[0], takes[1], gives[0], gives[1], through[0], through[1], apart[1]];
    assert!(all < 1_000 || seen.iter().all(|seen| *seen > all / 200), "{seen:?}");
}
