//! The law of the write order: at no moment does anybody have a permission that they have neither before nor after,
//! whichever calls fail, and in any permitted order. Also the courtesy: nobody lacks for a moment a permission that
//! they have before and after, unless a note says so.
//!
//! This test follows `docs/write-order.md` and not the planner. Its own evaluator, which shares no code with `policy`,
//! reads the JSON of the documents. `IRSA_TEST_CASES` sets the number of cases.

use super::kit::{Kit, binding, declared, key};
use super::shards::at_once;
use super::simulate;
use crate::ids::{PolicyArn, PolicyName, RoleName};
use crate::model::call::{Call, IamCall};
use crate::model::desired::{Attachment, Boundary, Role};
use crate::model::live::{Live, LiveAccount, Observed};
use crate::plan::Plan;
use crate::plan::write_order::mutant::{Mutant, broken};
use crate::policy::PolicyDocument;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const ACTIONS: [&str; 3] = ["s3:GetA", "s3:GetB", "s3:PutC"];
const RESOURCES: [&str; 2] = ["arn:aws:s3:::one", "arn:aws:s3:::two"];
const SERVICE_ACCOUNTS: [(&str, &str); 4] = [("east", "s0"), ("east", "s1"), ("west", "s0"), ("west", "s1")];
const ROLES: [&str; 3] = ["r0", "r1", "r2"];
const OURS: [&str; 3] = ["p", "q", "b"];
const FOREIGN: [&str; 3] = ["Allows", "Denies", "Both"];

#[expect(clippy::disallowed_methods, reason = "tests have no context")]
fn default_cases() -> u64 {
    std::env::var("IRSA_TEST_CASES").map_or(5_000, |text| text.parse().expect("`IRSA_TEST_CASES` is a number"))
}

/// A random number generator. The number of the case is its seed.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 16) % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    /// `true` once in `of` times.
    fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    fn pick<'t, T>(&mut self, list: &'t [T]) -> &'t T {
        &list[self.below(list.len())]
    }
}

/// A random document with an allow, a deny or both, some of them only for one team.
fn document(dice: &mut Dice, kind: usize) -> PolicyDocument {
    let mut statement = |effect: &str| {
        let actions: Vec<&str> = match dice.below(6) {
            0 => vec!["s3:*"],
            1 => vec!["s3:Get*"],
            2 => vec![ACTIONS[0], ACTIONS[2]],
            _ => vec![*dice.pick(&ACTIONS)],
        };
        let resource = *dice.pick(&["*", "*", RESOURCES[0], RESOURCES[1]]);
        let mut statement = if effect == "Allow" && dice.one_in(12) {
            json!({"Effect": effect, "NotAction": actions, "Resource": resource})
        } else {
            json!({"Effect": effect, "Action": actions, "Resource": resource})
        };
        if dice.one_in(3) {
            statement["Condition"] = json!({"StringEquals": {"aws:PrincipalTag/team": *dice.pick(&["x", "y"])}});
        }
        if dice.one_in(4) {
            statement["Sid"] = json!("One");
        }
        statement
    };
    let statements: Vec<Value> = match kind {
        0 => vec![statement("Allow")],
        1 => vec![statement("Deny")],
        _ => vec![statement("Allow"), statement("Deny")],
    };
    let mut seen = false;
    let statements: Vec<Value> = statements
        .into_iter()
        .map(|mut statement| {
            if statement.get("Sid").is_some() && std::mem::replace(&mut seen, true) {
                statement.as_object_mut().unwrap().remove("Sid");
            }
            statement
        })
        .collect();
    let document = if dice.one_in(8) {
        json!({"Statement": statements})
    } else {
        json!({"Version": "2012-10-17", "Statement": statements})
    };
    PolicyDocument::live(&document.to_string())
}

fn any_document(dice: &mut Dice) -> PolicyDocument {
    let kind = *dice.pick(&[0, 0, 1, 2]);
    document(dice, kind)
}

/// A random configuration as named cells, so that the next one can keep some of them.
#[derive(Debug, Clone, Default)]
struct Sketch {
    cells: BTreeMap<String, Cell>,
}

#[derive(Debug, Clone)]
enum Cell {
    Document(Option<PolicyDocument>),
    Choice(usize),
    Set(BTreeSet<usize>),
}

impl Sketch {
    fn new(dice: &mut Dice, before: Option<&Self>) -> Self {
        let keep = *dice.pick(&[2, 2, 4, 8]);
        let mut sketch = Self::default();
        let cell = |sketch: &mut Self, dice: &mut Dice, name: String, made: &dyn Fn(&mut Dice) -> Cell| {
            let cell = match before.and_then(|before| before.cells.get(&name)) {
                Some(old) if !dice.one_in(keep) => old.clone(),
                _ => made(dice),
            };
            sketch.cells.insert(name, cell);
        };
        for name in OURS {
            cell(&mut sketch, dice, format!("policy/{name}"), &|dice| Cell::Document(Some(any_document(dice))));
        }
        for role in ROLES {
            for inline in ["i", "j"] {
                let made = |dice: &mut Dice| Cell::Document((!dice.one_in(3)).then(|| any_document(dice)));
                cell(&mut sketch, dice, format!("{role}/{inline}"), &made);
            }
            let subset = |of: usize| {
                move |dice: &mut Dice| Cell::Set((0..of).filter(|_| dice.one_in(3)).collect::<BTreeSet<_>>())
            };
            cell(&mut sketch, dice, format!("{role}/ours"), &subset(2));
            cell(&mut sketch, dice, format!("{role}/foreign"), &subset(3));
            for (name, of) in [("boundary", 6), ("team", 3), ("session", 2), ("present", 5), ("named", 12)] {
                cell(&mut sketch, dice, format!("{role}/{name}"), &|dice| Cell::Choice(dice.below(of)));
            }
        }
        for index in 0..SERVICE_ACCOUNTS.len() {
            cell(&mut sketch, dice, format!("account{index}"), &|dice| Cell::Choice(dice.below(4)));
        }
        sketch
    }

    fn choice(&self, name: &str) -> usize {
        match &self.cells[name] {
            Cell::Choice(choice) => *choice,
            other => panic!("{name}: {other:?}"),
        }
    }

    fn set(&self, name: &str) -> &BTreeSet<usize> {
        match &self.cells[name] {
            Cell::Set(set) => set,
            other => panic!("{name}: {other:?}"),
        }
    }

    fn document(&self, name: &str) -> Option<&PolicyDocument> {
        match &self.cells[name] {
            Cell::Document(document) => document.as_ref(),
            other => panic!("{name}: {other:?}"),
        }
    }

    fn declare(&self, kit: &mut Kit) {
        kit.desired.roles.clear();
        kit.desired.policies.clear();
        kit.role("keep", |role| role.bindings = vec![binding("east", "keep"), binding("west", "keep")]);
        for name in OURS {
            kit.policy(name, self.document(&format!("policy/{name}")).unwrap().clone());
        }
        for (index, name) in ROLES.iter().enumerate() {
            let bound = (0..SERVICE_ACCOUNTS.len()).filter(|item| self.choice(&format!("account{item}")) == index);
            let bindings: Vec<_> =
                bound.map(|item| binding(SERVICE_ACCOUNTS[item].0, SERVICE_ACCOUNTS[item].1)).collect();
            if self.choice(&format!("{name}/present")) > 0 && !bindings.is_empty() {
                kit.role(name, |role| {
                    role.bindings = bindings;
                    self.fill(name, role);
                });
            }
        }
    }

    fn fill(&self, name: &str, role: &mut Role) {
        let cell = |part: &str| format!("{name}/{part}");
        if self.choice(&cell("named")) == 0 {
            role.name = RoleName::parse(format!("{name}-b")).unwrap();
        }
        role.attach = self.set(&cell("ours")).iter().map(|index| declared(OURS[*index])).collect();
        role.attach.extend(self.set(&cell("foreign")).iter().map(|index| Attachment::Arn(foreign(FOREIGN[*index]))));
        for inline in ["i", "j"] {
            if let Some(document) = self.document(&cell(inline)) {
                role.inline.insert(PolicyName::parse(inline).unwrap(), document.clone());
            }
        }
        role.permissions_boundary = match self.choice(&cell("boundary")) {
            0 => Boundary::Policy(own("p")),
            1 => Boundary::Policy(own("b")),
            2 => Boundary::Policy(foreign("Allows")),
            _ => Boundary::None,
        };
        match self.choice(&cell("team")) {
            0 => drop(role.tags.insert("team".into(), "x".into())),
            1 => drop(role.tags.insert("team".into(), "y".into())),
            _ => {}
        }
        role.max_session_duration = [3600, 7200][self.choice(&cell("session"))];
    }
}

fn own(name: &str) -> PolicyArn {
    PolicyArn::parse(format!("arn:aws:iam::111122223333:policy/irsa/team/{name}")).unwrap()
}

fn foreign(name: &str) -> PolicyArn {
    PolicyArn::parse(format!("arn:aws:iam::aws:policy/{name}")).unwrap()
}

/// Permissions that somebody has: ServiceAccount, role, action, resource, hour of the session.
type Permissions = BTreeSet<(String, String, &'static str, &'static str, u32)>;

/// The factors that decide what somebody can do through a role.
struct Factors {
    name: String,
    who: BTreeSet<String>,
    hours: u32,
    policies: Vec<Value>,
    bound: Option<Value>,
    team: Option<String>,
}

fn factors(live: &Live) -> Vec<Factors> {
    let account = &live.accounts[&key("default")];
    let of = |role: &crate::model::resource::Role| {
        let managed = |arn: &PolicyArn| document_of(account, arn);
        let inline = role.inline.values().map(PolicyDocument::to_value);
        Factors {
            name: role.name.to_string(),
            who: trusted(&role.trust.to_value(), account),
            hours: role.max_session_duration / 3600,
            policies: inline.chain(role.attached.iter().map(managed)).collect(),
            bound: role.permissions_boundary.as_ref().map(managed),
            team: role.tags.get("team").cloned(),
        }
    };
    account.roles.values().filter_map(Observed::present).map(|live| of(&live.role)).collect()
}

/// Whether a request is allowed if each factor has the value of the given state of the role.
fn allowed(allows: &Factors, denies: &Factors, bound: &Factors, tags: &Factors, action: &str, resource: &str) -> bool {
    let says = |document: &Value, effect: &str| speaks(document, effect, action, resource, tags.team.as_deref());
    !denies.policies.iter().chain(&bound.bound).any(|document| says(document, "Deny"))
        && allows.policies.iter().any(|document| says(document, "Allow"))
        && bound.bound.as_ref().is_none_or(|document| says(document, "Allow"))
}

fn requests() -> impl Iterator<Item = (&'static str, &'static str)> {
    ACTIONS.into_iter().flat_map(|action| RESOURCES.into_iter().map(move |resource| (action, resource)))
}

fn held(live: &Live) -> Permissions {
    let mut held = Permissions::new();
    for role in &factors(live) {
        for (action, resource) in
            requests().filter(|(action, resource)| allowed(role, role, role, role, action, resource))
        {
            for who in &role.who {
                held.extend((1..=role.hours).map(|hour| (who.clone(), role.name.clone(), action, resource, hour)));
            }
        }
    }
    held
}

/// The permissions that somebody has in every mix of old and new factors of a role, so that rule 1 cannot remove them
/// for a moment. (If one factor removes a permission and another factor adds it back, the permission is missing in
/// between, because rule 1 removes first.)
fn kept(before: &Live, after: &Live) -> Permissions {
    let (old, new) = (factors(before), factors(after));
    let mut kept = Permissions::new();
    for old in &old {
        let Some(new) = new.iter().find(|new| new.name == old.name) else { continue };
        let ends = [old, new];
        let always = |(action, resource): &(&str, &str)| {
            ends.iter().all(|allows| {
                ends.iter().all(|denies| {
                    ends.iter()
                        .all(|bound| ends.iter().all(|tags| allowed(allows, denies, bound, tags, action, resource)))
                })
            })
        };
        for (action, resource) in requests().filter(always) {
            for who in old.who.intersection(&new.who) {
                let hours = 1..=old.hours.min(new.hours);
                kept.extend(hours.map(|hour| (who.clone(), old.name.clone(), action, resource, hour)));
            }
        }
    }
    kept
}

fn document_of(account: &LiveAccount, arn: &PolicyArn) -> Value {
    let ours = account.policies.get(arn).and_then(Observed::present).map(|live| &live.policy.document);
    let foreign = account.foreign_policies.get(arn).and_then(Observed::present).and_then(Option::as_ref);
    ours.or(foreign).unwrap_or_else(|| panic!("no document of {arn}")).to_value()
}

fn list(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        Value::String(text) => vec![text],
        _ => Vec::new(),
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => {
            text.strip_prefix(head).is_some_and(|rest| (0..=rest.len()).any(|from| fits(tail, &rest[from..])))
        }
    }
}

fn speaks(document: &Value, effect: &str, action: &str, resource: &str, team: Option<&str>) -> bool {
    let statements = match &document["Statement"] {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    statements.iter().filter(|statement| statement["Effect"] == effect).any(|statement| {
        let named = |value: &Value| list(value).iter().any(|pattern| fits(pattern, action));
        let acts = match statement.get("NotAction") {
            Some(value) => !named(value),
            None => named(&statement["Action"]),
        };
        let wanted = &statement["Condition"]["StringEquals"]["aws:PrincipalTag/team"];
        acts && list(&statement["Resource"]).iter().any(|pattern| fits(pattern, resource))
            && (wanted.is_null() || list(wanted).iter().any(|value| Some(*value) == team))
    })
}

/// The ServiceAccounts that a trust policy trusts through existing providers.
fn trusted(trust: &Value, account: &LiveAccount) -> BTreeSet<String> {
    let mut who = BTreeSet::new();
    for statement in trust["Statement"].as_array().into_iter().flatten() {
        if statement["Effect"] == "Deny" && statement["Principal"] == "*" && statement.get("Condition").is_none() {
            return BTreeSet::new();
        }
        assert_eq!(statement["Effect"], "Allow", "{statement}");
        for provider in list(&statement["Principal"]["Federated"]) {
            if account.providers.keys().any(|arn| arn.as_str() == provider) {
                let conditions = statement["Condition"]["StringEquals"].as_object().into_iter().flatten();
                for (_, value) in conditions.filter(|(key, _)| key.ends_with(":sub")) {
                    who.extend(list(value).into_iter().map(|subject| format!("{provider} {subject}")));
                }
            }
        }
    }
    who
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
    held: u64,
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
    tally.held += u64::from(!plan.unknown.is_empty() || !plan.refused.is_empty());
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
    assert!(tally.plans > cases * 4 / 5 && tally.denied > 0 && tally.split > 0 && tally.held > 0, "{tally:?}");
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
