//! That denies and boundaries hold on the way: what a principal may do is at no moment more than before and after.

use super::super::denies::Guarded;
use super::kit::{Kit, aws, binding, key};
use super::laws::chooser;
use super::simulate;
use crate::ids::PolicyName;
use crate::model::desired::Boundary;
use crate::model::live::{Live, Observed};
use crate::policy::PolicyDocument;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const ACTIONS: [&str; 4] = ["s3:A", "s3:B", "s3:C", "s3:D"];

/// Of each inline policy which actions it allows and which it denies, bit by bit; a boundary; who has the role.
#[derive(Debug, Clone)]
struct Sketch {
    inline: Vec<(u8, u8)>,
    boundary: u8,
    bound: u8,
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let bits = || prop_oneof![Just(0_u8), 0_u8..16];
    (vec((bits(), bits()), 3), 0_u8..3, 1_u8..4).prop_map(|(inline, boundary, bound)| Sketch {
        inline,
        boundary,
        bound,
    })
}

fn actions(bits: u8) -> Vec<&'static str> {
    ACTIONS.iter().enumerate().filter(|(index, _)| bits & (1 << index) != 0).map(|(_, action)| *action).collect()
}

fn document(allows: u8, denies: u8) -> Option<PolicyDocument> {
    let statement = |effect: &str, bits: u8| {
        let list = actions(bits);
        let sid = format!("S{effect}");
        (bits != 0).then(|| json!({"Sid": sid, "Effect": effect, "Action": list, "Resource": "*"}))
    };
    let list: Vec<Value> = [statement("Allow", allows), statement("Deny", denies)].into_iter().flatten().collect();
    let text = json!({"Version": "2012-10-17", "Statement": list}).to_string();
    (!list.is_empty()).then(|| PolicyDocument::live(&text))
}

fn declare(kit: &mut Kit, sketch: &Sketch) {
    kit.options.force = true;
    kit.role("keep", |role| role.bindings = vec![binding("east", "keep")]);
    kit.role("reports", |role| {
        let spots = ["s0", "s1"].into_iter().enumerate().filter(|(index, _)| sketch.bound & (1 << index) != 0);
        role.bindings = spots.map(|(_, name)| binding("east", name)).collect();
        for (index, (allows, denies)) in sketch.inline.iter().enumerate() {
            if let Some(document) = document(*allows, *denies) {
                role.inline.insert(PolicyName::parse(format!("in{index}")).unwrap(), document);
            }
        }
        role.permissions_boundary = match sketch.boundary {
            0 => Boundary::None,
            number => Boundary::Policy(aws(&format!("Boundary{number}"))),
        };
    });
}

/// Every (who, action) that the role gives.
fn given(live: &Live) -> BTreeSet<(String, String)> {
    let Some(Observed::Present(role)) = live.accounts[&key("default")].roles.get("reports") else {
        return BTreeSet::new();
    };
    let role = &role.role;
    let (mut allowed, mut denied) = (BTreeSet::new(), BTreeSet::new());
    for document in role.inline.values() {
        let statements = document.statements();
        let names: BTreeSet<&str> = statements.iter().filter_map(|it| it.value()["Sid"].as_str()).collect();
        let count = statements.iter().filter(|it| it.value().get("Sid").is_some()).count();
        assert_eq!(names.len(), count, "IAM takes each `Sid` once: {}", document.text());
        for statement in statements {
            let value = statement.value();
            let list = if value["Effect"] == "Allow" { &mut allowed } else { &mut denied };
            let action = &value["Action"];
            let many = action.as_array().cloned().unwrap_or_else(|| vec![action.clone()]);
            list.extend(many.iter().map(|action| action.as_str().unwrap().to_owned()));
        }
    }
    let bound = match role.permissions_boundary.as_ref().map(|arn| arn.name().to_owned()).as_deref() {
        None => actions(15),
        Some("Boundary1") => actions(0b0011),
        Some(_) => actions(0b0110),
    };
    let effective: Vec<&String> =
        allowed.difference(&denied).filter(|action| bound.contains(&action.as_str())).collect();
    let trust = role.trust.value().to_string();
    let who = ["s0", "s1"].into_iter().filter(|name| trust.contains(&format!(":apps:{name}\"")));
    who.flat_map(|name| effective.iter().map(move |action| (name.to_owned(), (*action).clone()))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_may_do_more_than_before_and_after(first in sketch(), second in sketch(), seed in any::<u64>()) {
        let mut kit = Kit::new();
        declare(&mut kit, &first);
        let plan = kit.plan();
        prop_assert_eq!(&plan.refused, &[]);
        let mut made = kit.live.clone();
        simulate::run(&mut made, &plan, |_| 0, |_| ());
        let after = given(&made);
        simulate::run(&mut kit.live, &plan, chooser(seed), |live| {
            assert!(given(live).is_subset(&after), "wider while it is made: {:?}", given(live));
        });
        declare(&mut kit, &second);
        let plan = kit.plan();
        prop_assert_eq!(&plan.refused, &[]);
        let before = given(&kit.live);
        let mut changed = kit.live.clone();
        simulate::run(&mut changed, &plan, |_| 0, |_| ());
        let allowed: BTreeSet<_> = before.union(&given(&changed)).cloned().collect();
        simulate::run(&mut kit.live, &plan, chooser(seed), |live| {
            let now = given(live);
            let wider: Vec<_> = now.difference(&allowed).collect();
            assert!(wider.is_empty(), "wider than before and after: {wider:?}");
        });
        prop_assert_eq!(&kit.plan().steps, &[]);
        kit.desired.roles.remove(&key("reports"));
        let plan = kit.plan();
        prop_assert_eq!(&plan.refused, &[]);
        let before = given(&kit.live);
        simulate::run(&mut kit.live, &plan, chooser(seed), |live| {
            assert!(given(live).is_subset(&before), "wider while it goes: {:?}", given(live));
        });
    }
}

/// The inline calls of a change of one policy `in0`, from and to these bits.
fn calls(from: (u8, u8), to: (u8, u8)) -> usize {
    let sketch = |bits| Sketch { inline: vec![bits], boundary: 0, bound: 1 };
    let mut kit = Kit::new();
    declare(&mut kit, &sketch(from));
    super::rules::apply(&mut kit);
    declare(&mut kit, &sketch(to));
    super::rules::step(&kit.plan(), "role/reports").parts.len()
}

#[test]
fn one_call_is_enough_where_nothing_can_be_wider() {
    assert_eq!(calls((1, 0), (2, 0)), 1, "no denies");
    assert_eq!(calls((3, 4), (3, 12)), 1, "a deny more");
    assert_eq!(calls((1, 4), (3, 4)), 1, "an allow more");
    assert_eq!(calls((1, 4), (0, 0)), 1, "it goes");
    assert_eq!(calls((0, 0), (1, 4)), 1, "it comes");
}

#[test]
fn only_what_can_be_taken_apart_is_led_on_the_way() {
    let name = PolicyName::parse("queue").unwrap();
    let (denies, allows) = (document(1, 2).unwrap(), document(1, 0).unwrap());
    let of_old = PolicyDocument::live(&denies.text().replace("2012-10-17", "2008-10-17"));
    let odd = PolicyDocument::live("not json");
    let is_guarded = |old, new| Guarded::of(&name, old, new).is_some();
    assert!(is_guarded(Some(&denies), None) && is_guarded(Some(&allows), Some(&denies)));
    assert!(!is_guarded(Some(&allows), None));
    for cannot in [&of_old, &odd] {
        assert!(!is_guarded(Some(cannot), Some(&denies)) && !is_guarded(Some(&denies), Some(cannot)));
    }
}
