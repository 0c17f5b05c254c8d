//! Random configurations of few words, so that changes of different objects often concern the same permissions.

use crate::ids::{PolicyArn, PolicyName, RoleName};
use crate::model::desired::{Attachment, Boundary, Role};
use crate::plan::tests::kit::{Kit, binding, declared};
use crate::policy::PolicyDocument;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const ACTIONS: [&str; 3] = ["s3:GetA", "s3:GetB", "s3:PutC"];
pub(super) const RESOURCES: [&str; 2] = ["arn:aws:s3:::one", "arn:aws:s3:::two"];
const SERVICE_ACCOUNTS: [(&str, &str); 4] = [("east", "s0"), ("east", "s1"), ("west", "s0"), ("west", "s1")];
const ROLES: [&str; 3] = ["r0", "r1", "r2"];
const OURS: [&str; 3] = ["p", "q", "b"];
pub(super) const FOREIGN: [&str; 3] = ["Allows", "Denies", "Both"];

/// A random number generator. The number of the case is its seed.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 16) % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    /// `true` once in `of` times.
    pub(super) fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    pub(super) fn pick<'t, T>(&mut self, list: &'t [T]) -> &'t T {
        &list[self.below(list.len())]
    }
}

/// A random document with an allow, a deny or both, some of them only for one team.
pub(super) fn document(dice: &mut Dice, kind: usize) -> PolicyDocument {
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
pub(super) struct Sketch {
    cells: BTreeMap<String, Cell>,
}

#[derive(Debug, Clone)]
enum Cell {
    Document(Option<PolicyDocument>),
    Choice(usize),
    Set(BTreeSet<usize>),
}

impl Sketch {
    pub(super) fn new(dice: &mut Dice, before: Option<&Self>) -> Self {
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

    pub(super) fn declare(&self, kit: &mut Kit) {
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

pub(super) fn foreign(name: &str) -> PolicyArn {
    PolicyArn::parse(format!("arn:aws:iam::aws:policy/{name}")).unwrap()
}
