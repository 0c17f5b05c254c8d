//! Laws for random configurations and live states: an applied plan leaves nothing to do, nobody ever has more access than
//! before or after, the same input gives the same bytes, and foreign objects never change.

use super::kit::{Kit, allow, aws, binding, declared, key};
use super::simulate;
use crate::ids::{PolicyName, RoleName};
use crate::model::desired::Attachment;
use crate::model::live::{Live, LiveRole, Observed};
use crate::plan::PlanV2;
use crate::policy::{PolicyDocument, Statement};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;

/// One role of a random configuration.
#[derive(Debug, Clone)]
pub(crate) struct RoleSketch {
    present: bool,
    renamed: bool,
    description: u8,
    attach: Vec<bool>,
    inline: Vec<u8>,
}

/// A random configuration: three roles, two policies, and which role each of four ServiceAccounts is bound to.
#[derive(Debug, Clone)]
pub(crate) struct Sketch {
    roles: Vec<RoleSketch>,
    policies: Vec<u8>,
    bound: Vec<usize>,
}

pub(crate) fn sketch() -> impl Strategy<Value = Sketch> {
    let role = (any::<bool>(), any::<bool>(), 0_u8..2, vec(any::<bool>(), 4), vec(0_u8..3, 2)).prop_map(
        |(present, renamed, description, attach, inline)| RoleSketch { present, renamed, description, attach, inline },
    );
    (vec(role, 3), vec(0_u8..3, 2), vec(0_usize..4, 4)).prop_map(|(roles, policies, bound)| Sketch {
        roles,
        policies,
        bound,
    })
}

/// Declares a sketch, and one more role that always stays, so that no guard refuses an emptied account.
pub(crate) fn declare(kit: &mut Kit, sketch: &Sketch) {
    kit.desired.roles.clear();
    kit.desired.policies.clear();
    kit.options.force = true;
    kit.role("keep", |role| role.bindings = vec![binding("east", "keep"), binding("west", "keep")]);
    let spots = [("east", "s0"), ("east", "s1"), ("west", "s0"), ("west", "s1")];
    for (index, item) in sketch.roles.iter().enumerate() {
        let bindings: Vec<_> = (0..4)
            .filter(|spot| sketch.bound[*spot] == index)
            .map(|spot| binding(spots[spot].0, spots[spot].1))
            .collect();
        if !item.present || bindings.is_empty() {
            continue;
        }
        let name = format!("role{index}{}", if item.renamed { "-b" } else { "" });
        kit.role(&format!("role{index}"), |role| {
            role.name = RoleName::parse(name).unwrap();
            role.bindings = bindings;
            role.description = "x".repeat(usize::from(item.description));
            let choices: [Attachment; 4] =
                [Attachment::Arn(aws("A")), Attachment::Arn(aws("B")), declared("p0"), declared("p1")];
            role.attach = choices.into_iter().zip(&item.attach).filter(|(_, on)| **on).map(|(it, _)| it).collect();
            for (number, variant) in item.inline.iter().enumerate().filter(|(_, variant)| **variant > 0) {
                let document = allow(&format!("s3:Inline{number}{variant}"));
                role.inline.insert(PolicyName::parse(format!("in{number}")).unwrap(), document);
            }
        });
    }
    for (index, variant) in sketch.policies.iter().enumerate() {
        let name = format!("p{index}");
        let used = kit.desired.roles.values().any(|role| role.attach.contains(&declared(&name)));
        if used {
            kit.policy(&name, allow(&format!("sqs:Policy{index}{variant}")));
        }
    }
}

/// Every (principal, action) that any role allows.
pub(crate) fn pairs(live: &Live) -> BTreeSet<(String, String)> {
    let account = &live.accounts[&key("default")];
    let mut pairs = BTreeSet::new();
    for role in account.roles.values().filter_map(Observed::present) {
        if role.role.inline.keys().any(|name| name.as_str() == crate::model::marks::TRANSITION) {
            // it denies everything
            continue;
        }
        let mut permissions: BTreeSet<String> = role.role.inline.values().flat_map(allowed).collect();
        for arn in &role.role.attached {
            match account.policies.get(arn).and_then(Observed::present) {
                Some(policy) => permissions.extend(allowed(&policy.policy.document)),
                None => drop(permissions.insert(arn.to_string())),
            }
        }
        for subject in subjects(role) {
            for permission in &permissions {
                pairs.insert((subject.clone(), permission.clone()));
            }
        }
    }
    pairs
}

/// The actions that a document of a sketch allows. Sketches have no denies.
fn allowed(document: &PolicyDocument) -> Vec<String> {
    let statements = document.statements().iter().map(Statement::to_value);
    let allows = statements.filter(|statement| statement["Effect"] == "Allow");
    let actions = |statement: &Value| match &statement["Action"] {
        Value::Array(list) => list.iter().map(ToString::to_string).collect::<Vec<_>>(),
        action => vec![action.to_string()],
    };
    allows.flat_map(|statement| actions(&statement)).collect()
}

fn subjects(role: &LiveRole) -> Vec<String> {
    let mut subjects = Vec::new();
    for statement in role.role.trust.statements() {
        let issuer = statement.canonical().federated().collect::<Vec<_>>().join(",");
        let conditions = statement.to_value()["Condition"]["StringEquals"].as_object().cloned().unwrap_or_default();
        for value in conditions.iter().filter(|(key, _)| key.ends_with(":sub")).map(|(_, value)| value) {
            let list = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            subjects.extend(list.iter().map(|subject| format!("{issuer} {subject}")));
        }
    }
    assert!(!subjects.is_empty(), "every role has someone");
    subjects
}

pub(crate) fn chooser(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed | 1;
    move |count| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % count as u64).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn applied_plan_leaves_nothing_to_do_and_never_widens(first in sketch(), second in sketch(), seed in any::<u64>()) {
        let mut kit = Kit::new();
        declare(&mut kit, &first);
        let plan = kit.plan();
        prop_assert_eq!(&plan.refused, &[]);
        simulate::run(&mut kit.live, &plan, chooser(seed), |_| ());
        prop_assert_eq!(&kit.plan().steps, &[]);

        declare(&mut kit, &second);
        let plan = kit.plan();
        prop_assert_eq!(&plan.refused, &[]);
        let before = pairs(&kit.live);
        let mut after = kit.live.clone();
        simulate::run(&mut after, &plan, |_| 0, |_| ());
        let allowed: BTreeSet<_> = before.union(&pairs(&after)).cloned().collect();
        simulate::run(&mut kit.live, &plan, chooser(seed), |live| {
            let wider: Vec<_> = pairs(live).difference(&allowed).cloned().collect();
            assert!(wider.is_empty(), "wider than before and after: {wider:?}");
        });
        let again = kit.plan();
        prop_assert_eq!(&again.steps, &[]);
        prop_assert_eq!(&again.refused, &[]);
    }

    #[test]
    fn same_input_gives_the_same_bytes(first in sketch(), second in sketch()) {
        let mut kit = Kit::new();
        declare(&mut kit, &first);
        let plan = kit.plan();
        simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
        declare(&mut kit, &second);
        let one = PlanV2::of(&kit.plan(), "2026-01-01T00:00:00Z").to_text();
        let other = PlanV2::of(&kit.plan(), "2026-01-01T00:00:00Z").to_text();
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(PlanV2::read(&one).unwrap().to_text(), one);
    }

    #[test]
    fn foreign_objects_never_change(first in sketch(), second in sketch()) {
        let mut kit = Kit::new();
        declare(&mut kit, &first);
        let plan = kit.plan();
        simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
        // everything that was made becomes another owner's
        for role in kit.account().roles.values_mut() {
            if let Observed::Present(role) = role {
                role.role.tags.insert("irsa/owner".into(), "other".into());
            }
        }
        for policy in kit.account().policies.values_mut() {
            if let Observed::Present(policy) = policy {
                policy.policy.tags.insert("irsa/owner".into(), "other".into());
            }
        }
        let foreign: BTreeSet<String> =
            kit.account().roles.iter().filter(|(_, role)| role.present().is_some()).map(|(name, _)| name.clone()).collect();
        let before = kit.live.accounts[&key("default")].clone();
        declare(&mut kit, &second);
        kit.options.destroy = false;
        let plan = kit.plan();
        simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
        let after = &kit.live.accounts[&key("default")];
        for name in foreign {
            prop_assert_eq!(&before.roles[&name], &after.roles[&name]);
        }
        for (arn, policy) in &before.policies {
            let (old, new) = (policy.present().unwrap(), after.policies[arn].present().unwrap());
            prop_assert_eq!(&old.policy, &new.policy);
        }
    }
}
