//! Documents made of few words, so that two of them often mean the same, and the requests made of the same words.

use super::dice::Dice;
use super::evaluator::Who;
use serde_json::{Map, Value, json};

const ACTIONS: [&str; 7] = ["s3:GetObject", "s3:getobject", "s3:Get*", "S3:*", "*", "sts:AssumeRole", "s3:GetObjec?"];
pub(super) const ASKED_ACTIONS: [&str; 4] = ["s3:GetObject", "s3:GetObjects", "s3:PutObject", "sts:AssumeRole"];

const RESOURCES: [&str; 8] = [
    "*",
    "arn:aws:s3:::b/x",
    "arn:aws:s3:::b/X",
    "arn:aws:s3:::b/*",
    "arn:aws:s3:::b/?",
    "arn:aws:s3:::b/${aws:username}",
    "arn:aws:s3:::b/${AWS:UserName}",
    "arn:aws:s3:::B/x",
];
pub(super) const ASKED_RESOURCES: [&str; 8] = [
    "arn:aws:s3:::b/x",
    "arn:aws:s3:::b/X",
    "arn:aws:s3:::b/ann",
    "arn:aws:s3:::b/Ann",
    "arn:aws:s3:::b/${aws:username}",
    "arn:aws:s3:::b/${AWS:UserName}",
    "arn:aws:s3:::B/x",
    "arn:aws:sqs:eu-west-1:111122223333:q",
];

const PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A";
const OTHER_PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/a";

fn principals() -> Vec<Value> {
    vec![
        json!("*"),
        json!({"AWS": "*"}),
        json!({"AWS": "111122223333"}),
        json!({"AWS": "arn:aws:iam::111122223333:root"}),
        json!({"AWS": ["arn:aws:iam::111122223333:root", "111122223333"]}),
        json!({"AWS": ["arn:aws:iam::111122223333:role/a", "arn:aws:iam::444455556666:root"]}),
        json!({"AWS": "arn:aws:iam::111122223333:role/a"}),
        json!({"AWS": "arn:aws:iam::111122223333:role/A"}),
        json!({"AWS": "arn:aws:iam::111122223333:user/root"}),
        json!({"Service": "ec2.amazonaws.com"}),
        json!({"Service": "EC2.amazonaws.com"}),
        json!({"Service": ["ec2.amazonaws.com"], "AWS": "444455556666"}),
        json!({"Federated": PROVIDER}),
        json!({"Federated": OTHER_PROVIDER}),
        json!({"CanonicalUser": "111122223333"}),
    ]
}

pub(super) const ASKED_BY: [Who; 9] = [
    Who::Aws("111122223333", "arn:aws:iam::111122223333:role/a"),
    Who::Aws("111122223333", "arn:aws:iam::111122223333:role/A"),
    Who::Aws("111122223333", "arn:aws:iam::111122223333:user/root"),
    Who::Aws("444455556666", "arn:aws:iam::444455556666:role/a"),
    Who::Service("ec2.amazonaws.com"),
    Who::Service("EC2.amazonaws.com"),
    Who::Federated(PROVIDER),
    Who::Federated(OTHER_PROVIDER),
    Who::Canonical("111122223333"),
];

/// Conditions on one type of value.
#[derive(Clone, Copy)]
struct Group {
    operators: &'static [&'static str],
    /// Condition keys, in several spellings.
    keys: &'static [&'static str],
    /// Values in policies.
    values: &'static [&'static str],
}

const GROUPS: [Group; 9] = [
    Group {
        operators: &[
            "StringEquals",
            "stringequals",
            "StringNotEquals",
            "StringLike",
            "StringEqualsIgnoreCase",
            "StringEqualsIfExists",
            "ForAnyValue:StringEquals",
            "ForAllValues:StringEquals",
            "Null",
        ],
        keys: &["aws:username", "AWS:UserName"],
        values: &[r#""ann""#, r#""Ann""#, r#""a*""#, r#""*""#, r#""${aws:PrincipalTag/Team}""#, r#""true""#, "true"],
    },
    Group {
        operators: &["StringEquals", "StringLike", "STRINGLIKE", "StringNotLike", "StringNotEqualsIfExists"],
        keys: &["aws:PrincipalTag/Team", "AWS:principaltag/Team", "aws:PrincipalTag/team"],
        values: &[r#""x""#, r#""X""#, r#""true""#, "true", r#""${aws:username}""#, r#""${aws:PrincipalTag/team}""#],
    },
    Group {
        operators: &["StringEquals", "StringLike", "stringlike"],
        keys: &["oidc.example.com/id/A:sub", "OIDC.example.com/id/A:SUB", "oidc.example.com/id/a:sub"],
        values: &[r#""n:a""#, r#""n:*""#, r#""N:a""#],
    },
    Group {
        operators: &["Bool", "bool", "BoolIfExists", "Null", "ForAnyValue:Bool"],
        keys: &["aws:SecureTransport", "aws:securetransport"],
        values: &[
            "true",
            r#""true""#,
            r#""TRUE""#,
            "false",
            r#""False""#,
            r#""${aws:PrincipalTag/Team}""#,
            r#""${aws:PrincipalTag/team}""#,
        ],
    },
    Group {
        operators: &[
            "NumericLessThan",
            "numericlessthan",
            "NumericLessThanEquals",
            "NumericEquals",
            "NumericNotEquals",
            "NumericGreaterThanIfExists",
        ],
        keys: &["aws:MultiFactorAuthAge", "aws:multifactorauthage"],
        values: &["10", r#""10""#, "10.5", r#""10.5""#, "20"],
    },
    Group {
        operators: &["DateLessThan", "datelessthan", "DateGreaterThanEquals", "DateNotEquals"],
        keys: &["aws:CurrentTime", "AWS:currenttime"],
        values: &[r#""2024-01-01T00:00:00Z""#, "1704067200", r#""1704067200""#, r#""2025-01-01T00:00:00Z""#],
    },
    Group {
        operators: &["IpAddress", "ipaddress", "NotIpAddress", "IpAddressIfExists"],
        keys: &["aws:SourceIp", "AWS:SourceIP"],
        values: &[r#""203.0.113.0/24""#, r#""203.0.113.0/25""#, r#""203.0.113.7""#, r#""203.0.113.7/32""#],
    },
    Group {
        operators: &["ArnLike", "ArnEquals", "arnequals", "ArnNotLike", "StringLike"],
        keys: &["aws:SourceArn", "aws:sourcearn"],
        values: &[
            r#""arn:aws:sns:*:111122223333:t""#,
            r#""arn:aws:sns:*:111122223333:T""#,
            r#""arn:aws:sns:eu-west-1:111122223333:t""#,
            r#""arn:aws:sns:*:t""#,
        ],
    },
    Group {
        operators: &[
            "ForAllValues:StringEquals",
            "forallvalues:stringequals",
            "ForAnyValue:StringEquals",
            "ForAllValues:StringNotEquals",
            "ForAnyValue:StringLikeIfExists",
        ],
        keys: &["aws:TagKeys", "aws:tagkeys"],
        values: &[r#""a""#, r#""A""#, r#""b""#, r#""*""#],
    },
];

/// The words of the documents of one case: two types of conditions, so that all requests can be tried.
pub(super) struct Words {
    groups: Vec<Group>,
    actions: Vec<&'static str>,
    resources: Vec<&'static str>,
    principals: Vec<Value>,
    statements: usize,
}

impl Words {
    pub(super) fn some(dice: &mut Dice) -> Self {
        Self {
            groups: vec![*dice.pick(&GROUPS), *dice.pick(&GROUPS)],
            actions: ACTIONS.to_vec(),
            resources: RESOURCES.to_vec(),
            principals: principals(),
            statements: 2,
        }
    }

    /// So few that two independent documents may mean the same.
    pub(super) fn few(dice: &mut Dice) -> Self {
        let mut words = Self { statements: 1, ..Self::some(dice) };
        words.groups.truncate(1);
        let few = |range: std::ops::Range<usize>, dice: &mut Dice| {
            let start = dice.below(range.len() - 1);
            start..start + 2
        };
        words.actions = words.actions[few(0..ACTIONS.len(), dice)].to_vec();
        words.resources = words.resources[few(0..RESOURCES.len(), dice)].to_vec();
        words.principals = words.principals[few(0..words.principals.len(), dice)].to_vec();
        for group in &mut words.groups {
            group.operators = &group.operators[few(0..group.operators.len(), dice)];
            group.keys = &group.keys[few(0..group.keys.len(), dice)];
            group.values = &group.values[few(0..group.values.len(), dice)];
        }
        words
    }

    pub(super) fn document(&self, dice: &mut Dice) -> Value {
        let count = 1 + dice.below(self.statements);
        let statements: Vec<Value> = (0..count).map(|_| self.statement(dice)).collect();
        let mut document = json!({"Statement": statements});
        match dice.below(4) {
            0 => {}
            1 => document["Version"] = json!("2008-10-17"),
            _ => document["Version"] = json!("2012-10-17"),
        }
        document
    }

    fn statement(&self, dice: &mut Dice) -> Value {
        let mut map = Map::new();
        map.insert("Effect".into(), json!(dice.pick(&["Allow", "Allow", "Deny"])));
        map.insert((*dice.pick(&["Action", "Action", "NotAction"])).into(), some(&self.actions, dice));
        let principal = *dice.pick(&["", "Principal", "Principal", "NotPrincipal"]);
        if !principal.is_empty() {
            map.insert(principal.into(), dice.pick(&self.principals).clone());
        }
        if principal.is_empty() || dice.coin() {
            map.insert((*dice.pick(&["Resource", "Resource", "NotResource"])).into(), some(&self.resources, dice));
        }
        if dice.below(3) > 0 {
            map.insert("Condition".into(), self.conditions(dice));
        }
        Value::Object(map)
    }

    fn conditions(&self, dice: &mut Dice) -> Value {
        let mut blocks = Map::new();
        for _ in 0..dice.below(3) {
            let group = dice.pick(&self.groups);
            let operator = group.operators[dice.below(group.operators.len())];
            // a repeated block is refused
            if blocks.keys().any(|other: &String| other.eq_ignore_ascii_case(operator)) {
                continue;
            }
            let key = group.keys[dice.below(group.keys.len())];
            blocks.insert(operator.into(), json!({key: value(group, operator, dice)}));
        }
        Value::Object(blocks)
    }

    /// The document with one word replaced by another, which may mean the same.
    pub(super) fn exchanged(&self, document: &Value, dice: &mut Dice) -> Value {
        let mut other = document.clone();
        if dice.below(12) == 0 {
            other["Version"] = json!(dice.pick(&["2008-10-17", "2012-10-17"]));
            return other;
        }
        let list = other["Statement"].as_array_mut().unwrap();
        let index = dice.below(list.len());
        if dice.below(12) == 0 {
            let again = list[index].clone();
            list.push(if dice.coin() { again } else { self.statement(dice) });
            return other;
        }
        let statement = list[index].as_object_mut().unwrap();
        match dice.below(9) {
            0 => exchange(statement, &["Action", "NotAction"], |value, dice| *value = some(&self.actions, dice), dice),
            1 => exchange(
                statement,
                &["Resource", "NotResource"],
                |value, dice| *value = some(&self.resources, dice),
                dice,
            ),
            2 | 3 => exchange(
                statement,
                &["Principal", "NotPrincipal"],
                |value, dice| *value = dice.pick(&self.principals).clone(),
                dice,
            ),
            4 => {
                statement.insert("Effect".into(), json!(dice.pick(&["Allow", "Deny"])));
            }
            5 => {
                statement.remove("Condition");
            }
            6 => turn(statement, ["Action", "Resource", "Principal"][dice.below(3)]),
            _ => exchange(statement, &["Condition"], |value, dice| self.exchange_condition(value, dice), dice),
        }
        other
    }

    fn exchange_condition(&self, conditions: &mut Value, dice: &mut Dice) {
        let blocks = conditions.as_object_mut().unwrap();
        let Some((operator, mut block)) = blocks.clone().into_iter().next() else { return };
        let of = |group: &&Group| group.operators.contains(&operator.as_str());
        let Some(group) = self.groups.iter().find(of) else { return };
        let Some((key, values)) = block.as_object().and_then(|block| block.clone().into_iter().next()) else { return };
        // two types may share operators, but not keys
        if !group.keys.contains(&key.as_str()) {
            return;
        }
        match dice.below(3) {
            0 => {
                let new = group.operators[dice.below(group.operators.len())];
                let taken = blocks.keys().any(|other| *other != operator && other.eq_ignore_ascii_case(new));
                // each operator has its own values
                if !taken && (new == "Null") == (operator == "Null") {
                    blocks.remove(&operator);
                    blocks.insert(new.into(), block);
                }
            }
            1 => {
                let new = group.keys[dice.below(group.keys.len())];
                blocks.insert(operator, json!({new: values}));
            }
            _ => {
                block[&key] = value(group, &operator, dice);
                blocks.insert(operator, block);
            }
        }
    }
}

/// Swaps an element and its `Not` counterpart.
fn turn(statement: &mut Map<String, Value>, name: &str) {
    let not = format!("Not{name}");
    if let Some(value) = statement.remove(name) {
        statement.insert(not, value);
    } else if let Some(value) = statement.remove(&not) {
        statement.insert(name.to_owned(), value);
    }
}

fn exchange(
    statement: &mut Map<String, Value>,
    names: &[&str],
    mut change: impl FnMut(&mut Value, &mut Dice),
    dice: &mut Dice,
) {
    for name in names {
        if let Some(value) = statement.get_mut(*name) {
            change(value, dice);
        }
    }
}

/// One word or several.
fn some(words: &[&'static str], dice: &mut Dice) -> Value {
    match dice.below(4) {
        0 => json!([dice.pick(words), dice.pick(words)]),
        1 => json!([dice.pick(words)]),
        _ => json!(dice.pick(words)),
    }
}

fn value(group: &Group, operator: &str, dice: &mut Dice) -> Value {
    if operator == "Null" {
        return json!(dice.pick(&[json!(true), json!("true"), json!(false), json!("false")]));
    }
    let mut one = || serde_json::from_str::<Value>(group.values[dice.below(group.values.len())]).unwrap();
    let (first, second) = (one(), one());
    match dice.below(4) {
        0 => json!([first, second]),
        1 => json!([first]),
        _ => first,
    }
}
