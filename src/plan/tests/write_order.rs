//! The law of the write order: at no moment does anybody have a permission that they have neither before nor after,
//! whichever calls fail, and in any permitted order. Also the courtesy: nobody lacks for a moment a permission that
//! they have before and after, unless a note says so.
//!
//! This test follows `docs/write-order.md` and not the planner. Its own evaluator, which shares no code with `policy`,
//! reads the JSON of the documents. `IRSA_TEST_CASES` sets the number of cases.

mod evaluator;
mod sketch;

use self::evaluator::{Permissions, held, kept};
use self::sketch::{Dice, FOREIGN, Sketch, document, foreign};
use super::kit::Kit;
use super::shards::at_once;
use super::simulate;
use crate::model::call::{Call, IamCall};
use crate::model::live::{Live, Observed};
use crate::plan::Plan;
use crate::plan::write_order::mutant::{Mutant, broken};
use crate::policy::PolicyDocument;

#[expect(clippy::disallowed_methods, reason = "tests have no context")]
fn default_cases() -> u64 {
    std::env::var("IRSA_TEST_CASES").map_or(5_000, |text| text.parse().expect("`IRSA_TEST_CASES` is a number"))
}

/// Counts of what happened in all cases.
#[derive(Debug, Default)]
struct Tally {
    plans: u64,
    calls: u64,
    split: u64,
    denied: u64,
    refused: u64,
    dips: u64,
    limited: u64,
}

/// A broken promise.
#[derive(Debug)]
enum Breach {
    /// Somebody had a permission that they have neither before nor after.
    Wider(String),
    /// Somebody lacked a permission that they have before and after, and no note said so.
    Missed(String),
}

/// Applies the change of one case.
fn play(case: u64, tally: &mut Tally) -> Result<(), Breach> {
    let mut dice = Dice::new(case);
    let mut kit = Kit::new();
    kit.options.force = true;
    let account = kit.account();
    for (kind, name) in FOREIGN.iter().enumerate() {
        let document = document(&mut dice, kind);
        account.foreign_policies.insert(foreign(name), Observed::Present(Some(document)));
    }
    let first = Sketch::new(&mut dice, None);
    first.declare(&mut kit);
    let plan = kit.plan();
    simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    tamper(&mut dice, &mut kit);
    let second = Sketch::new(&mut dice, Some(&first));
    second.declare(&mut kit);
    let before = held(&kit.live);
    let after = declared_end(&kit);
    let (plan, whole) = planned(&mut dice, &mut kit);
    note(tally, &plan);
    run(&mut dice, (case, &mut kit), &plan, whole, (&before, after.as_ref()))
}

/// Attaches a policy by hand, and removes the owner tag of a role, so that it must be adopted.
fn tamper(dice: &mut Dice, kit: &mut Kit) {
    let (attach, disown) = (dice.one_in(3), dice.one_in(6));
    let name = FOREIGN[dice.below(FOREIGN.len())];
    let arn = foreign(name);
    let which = dice.below(3);
    for (index, live) in kit.account().roles.values_mut().enumerate() {
        let Observed::Present(live) = live else { continue };
        if index == which && attach {
            live.role.attached.insert(arn.clone());
        }
        if index == which && disown && live.role.name.as_str() != "keep" {
            live.role.tags.remove("irsa/owner");
            live.role.tags.remove("irsa/address");
        }
    }
}

/// The live state after irsa applied the whole configuration. `None` if irsa refuses to.
fn declared_end(kit: &Kit) -> Option<Live> {
    let mut kit = kit.clone();
    kit.options.adopt = true;
    for _ in 0..3 {
        let plan = kit.plan();
        if plan.steps.is_empty() {
            return plan.refused.is_empty().then_some(kit.live);
        }
        simulate::run(&mut kit.live, &plan, |_| 0, |_| ());
    }
    None
}

/// A plan of the whole configuration or of a part, and whether it is the whole.
fn planned(dice: &mut Dice, kit: &mut Kit) -> (Plan, bool) {
    kit.options.skip_refused = true;
    kit.options.adopt = dice.one_in(2);
    match dice.below(8) {
        0 => {
            let only = *dice.pick(&["role/r0", "role/r1", "role/r2", "policy/default/p", "policy/default/q", "role/*"]);
            kit.options.only = vec![only.to_owned()];
            (kit.plan(), false)
        }
        1 => {
            kit.options.allow_incomplete = true;
            let issuer = kit.cluster("west").issuer.clone();
            kit.cluster("west").issuer = Observed::Unknown("timeout".into());
            let plan = kit.plan();
            kit.cluster("west").issuer = issuer;
            (plan, false)
        }
        2 => {
            let lower_case: Vec<String> = kit.account().roles.keys().cloned().collect();
            let lower_case = dice.pick(&lower_case).clone();
            kit.options.allow_incomplete = true;
            let role = kit.account().roles.insert(lower_case.clone(), Observed::Unknown("timeout".into()));
            let plan = kit.plan();
            kit.account().roles.insert(lower_case, role.unwrap());
            (plan, false)
        }
        3 => {
            let disowned = kit
                .account()
                .roles
                .values()
                .filter_map(Observed::present)
                .any(|live| !live.role.tags.contains_key("irsa/owner"));
            if disowned || kit.desired.roles.len() < 2 {
                (kit.plan(), true)
            } else {
                let mut shared = kit.clone();
                shared.options.adopt = true;
                (at_once(&shared, 2), false)
            }
        }
        _ => (kit.plan(), true),
    }
}

fn note(tally: &mut Tally, plan: &Plan) {
    let calls = || plan.steps.iter().flat_map(|step| &step.parts).map(|part| &part.call);
    let named = |call: &Call, name: &str| call.operation() == name;
    tally.plans += u64::from(!plan.steps.is_empty());
    tally.calls += calls().count() as u64;
    tally.denied += u64::from(plan.notes.iter().any(|note| note.text.contains("irsa-transition")));
    tally.dips += u64::from(plan.notes.iter().any(|note| note.rule == "dips"));
    tally.refused += u64::from(plan.refused.iter().any(|item| item.why.contains("in no order")));
    tally.limited += u64::from(!plan.unknown.is_empty() || !plan.refused.is_empty());
    let trusts = calls().filter(|call| named(call, "iam:UpdateAssumeRolePolicy")).count();
    let roles =
        plan.steps.iter().filter(|step| step.parts.iter().any(|part| named(&part.call, "iam:UpdateAssumeRolePolicy")));
    tally.split += u64::from(trusts > roles.count());
}

/// Runs the plan in a random permitted order. In some cases calls fail.
fn run(
    dice: &mut Dice,
    (case, kit): (u64, &mut Kit),
    plan: &Plan,
    whole: bool,
    (before, after): (&Permissions, Option<&Live>),
) -> Result<(), Breach> {
    // if the plan cannot reach the declared state, the state that it reaches counts
    let mut own = kit.live.clone();
    simulate::run(&mut own, plan, |_| 0, |_| ());
    let end = after.unwrap_or(&own);
    let may: Permissions = before.union(&held(end)).cloned().collect();
    let keeps = kept(&kit.live, end);
    let failing = dice.one_in(4);
    let said = plan.notes.iter().any(|note| note.rule == "dips");
    let checked = whole && !failing && !said && plan.refused.is_empty() && plan.unknown.is_empty();
    let mut choices = Dice::new(case ^ 0xabcd);
    let mut fails = Dice::new(case ^ 0x1234);
    let mut breach: Option<Breach> = None;
    let mut made: Vec<String> = Vec::new();
    simulate::run_until(
        &mut kit.live,
        plan,
        |count| choices.below(count),
        |live, call| {
            let now = held(live);
            made.push(short(call));
            if breach.is_none() {
                let wider: Vec<_> = now.difference(&may).take(2).cloned().collect();
                let missed: Vec<_> = keeps.difference(&now).take(2).cloned().collect();
                let told = |what: &dyn std::fmt::Debug| {
                    let Plan { options, refused, unknown, notes, .. } = plan;
                    let only = &options.only;
                    let made = made.join("\n");
                    format!("case {case}: {what:?} after\n{made}\nonly {only:?}, {refused:?}, {unknown:?}, {notes:?}")
                };
                if !wider.is_empty() {
                    breach = Some(Breach::Wider(told(&wider)));
                } else if checked && !missed.is_empty() {
                    breach = Some(Breach::Missed(told(&missed)));
                }
            }
            !(failing && fails.one_in(6))
        },
    );
    breach.map_or(Ok(()), Err)
}

/// A call as one line.
fn short(call: &Call) -> String {
    let Call::Iam(_, iam) = call else { return call.operation() };
    let text = |document: &PolicyDocument| document.text().to_owned();
    let what = match iam {
        IamCall::Attach { arn, .. } | IamCall::Detach { arn, .. } => arn.name().to_owned(),
        IamCall::CreatePolicyVersion { from, to, .. } => format!("{} -> {}", text(from), text(to)),
        IamCall::PutInline { policy, from, to, .. } => {
            format!("{policy} {:?} -> {}", from.as_ref().map(text), text(to))
        }
        IamCall::DeleteInline { policy, from, .. } => format!("{policy} {}", text(from)),
        IamCall::PutBoundary { from, to, .. } => format!("{from:?} -> {to}"),
        IamCall::TagRole { from, to, .. } => format!("{from:?} -> {to:?}"),
        _ => String::new(),
    };
    format!("{} {:?} {what}", call.operation(), iam.target())
}

#[test]
fn nobody_ever_holds_what_they_hold_neither_before_nor_after() {
    let mut tally = Tally::default();
    let cases = default_cases();
    for case in 0..cases {
        match play(case, &mut tally) {
            Ok(()) => {}
            Err(Breach::Wider(text)) => panic!("wider: {text}"),
            Err(Breach::Missed(text)) => panic!("missed: {text}"),
        }
    }
    println!("{cases} cases: {tally:?}");
    assert!(tally.plans > cases * 4 / 5 && tally.denied > 0 && tally.split > 0 && tally.limited > 0, "{tally:?}");
}

#[test]
fn each_broken_rule_breaks_the_law() {
    for mutant in [
        Mutant::RuleOneWithoutDenies,
        Mutant::RuleOneWithoutBoundary,
        Mutant::RuleOneWithoutSettings,
        Mutant::NoRuleTwo,
        Mutant::NoChangedDocument,
        Mutant::DenyIsAllow,
        Mutant::NoSplit,
        Mutant::NothingFollows,
        Mutant::UnknownTrustStays,
    ] {
        let found = broken(mutant, || {
            let wider = |case: &u64| matches!(play(*case, &mut Tally::default()), Err(Breach::Wider(_)));
            (0..20_000).find(wider)
        });
        println!("{mutant:?}: case {found:?}");
        assert!(found.is_some(), "{mutant:?} is not noticed");
    }
}
