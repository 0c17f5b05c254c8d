//! The law of `irsa import` over generated accounts: cases from a fixed seed, each a mix of the shapes that people and
//! tools leave behind.

use super::{ROLE_ARN, Scene, arn, lets_in, trust};
use crate::support::given::document;
use serde_json::{Value, json};

/// How many accounts are generated.
const CASES: u64 = 10;
/// IAM's quota for a trust policy, in characters.
const TRUST_SIZE: usize = 2_048;
/// The most roles in one of them.
const ROLES: usize = 6;

/// One statement of a trust policy.
fn statement(random: &mut fastrand::Rng, issuer: &str, subjects: &[&str]) -> Value {
    let host = issuer.trim_start_matches("https://");
    let mut usual = lets_in(issuer, if random.u8(..6) == 0 { "other" } else { "sts.amazonaws.com" }, subjects);
    match random.u8(..10) {
        5 | 6 => {
            // as Terraform's modules write a wildcard
            let name = ["*", "app-?", "app-1*"][random.usize(..3)];
            let subject = format!("system:serviceaccount:{}:{name}", ["apps", "a*"][random.usize(..2)]);
            usual["Condition"]["StringEquals"].as_object_mut().expect("an object").remove(&format!("{host}:sub"));
            usual["Condition"]["StringLike"] = json!({format!("{host}:sub"): subject});
        }
        0 => usual["Sid"] = json!(format!("Made{}", random.u32(..))),
        1 => usual["Action"] = json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]),
        2 => {
            let subject = usual["Condition"]["StringEquals"][format!("{host}:sub")].take();
            usual["Condition"] = json!({"StringLike": {format!("{host}:sub"): subject}});
        }
        3 => {
            return json!({"Effect": "Allow", "Action": "sts:AssumeRole",
                "Principal": {"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}});
        }
        4 => {
            return json!({"Effect": "Deny", "Action": "sts:*", "Principal": "*",
                "Condition": {"StringNotLike": {"aws:PrincipalTag/team": ["a", "b*"]}}});
        }
        _ => {}
    }
    usual
}

fn fill(random: &mut fastrand::Rng, scene: &Scene) {
    let count = random.usize(2..=ROLES);
    let name = |number: usize| format!("app-{number}");
    let gone = "https://oidc.eks.eu-west-1.amazonaws.com/id/GONE";
    scene.people(|people| {
        people.create_policy("limit", &document("Allow", ["*"]));
        people.create_policy("read", &document("Allow", ["s3:Get*"]));
    });
    for number in 0..count {
        let mut statements = Vec::new();
        for _ in 0..random.usize(1..=3) {
            // often its own ServiceAccount, sometimes that of another role too
            let other = format!("apps:{}", name(random.usize(..count)));
            let own = format!("apps:{}", name(number));
            let subjects: Vec<&str> = if random.bool() { vec![&own] } else { vec![&own, &other] };
            let issuer = if random.u8(..6) == 0 { gone } else { scene.issuer.as_str() };
            let statement = statement(random, issuer, &subjects);
            let all: Vec<Value> = statements.iter().chain([&statement]).cloned().collect();
            if !statements.contains(&statement) && trust(&all).len() <= TRUST_SIZE {
                statements = all;
            }
        }
        let role = name(number);
        scene.create_role(&role, &trust(&statements));
        if random.bool() {
            scene.people(|people| people.attach(&role, &arn("policy", "read")));
        }
        if random.bool() {
            scene.people(|people| people.set_boundary(&role, &arn("policy", "limit")));
        }
        if random.bool() {
            let actions = ["s3:GetObject", "sqs:*", "iam:PassRole", "*"];
            let text = document(if random.bool() { "Allow" } else { "Deny" }, [actions[random.usize(..4)]]);
            scene.people(|people| people.put_inline(&role, "own", &text));
        }
        if random.bool() {
            let team = if random.bool() { "a" } else { "b" };
            scene.people(|people| people.tag_role(&role, "team", team));
        }
        let named = if random.u8(..5) == 0 { name(random.usize(..count)) } else { role.clone() };
        let mut annotations = vec![(ROLE_ARN.to_owned(), arn("role", &named))];
        let more = [
            ("eks.amazonaws.com/audience", "other"),
            ("eks.amazonaws.com/token-expiration", "3600"),
            ("eks.amazonaws.com/token-expiration", "1h"),
            ("eks.amazonaws.com/sts-regional-endpoints", "false"),
            ("meta.helm.sh/release-name", "shop"),
            ("argocd.argoproj.io/tracking-id", "shop:x"),
        ];
        if random.bool() {
            let (key, value) = more[random.usize(..more.len())];
            annotations.push((key.to_owned(), value.to_owned()));
        }
        match random.u8(..6) {
            0 => {}
            1 => scene.annotate("apps", &role, &[]),
            _ => {
                let pairs: Vec<(&str, &str)> =
                    annotations.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
                scene.annotate("apps", &role, &pairs);
            }
        }
    }
}

#[test]
fn generated_accounts_change_only_in_marks() {
    for seed in 0..CASES {
        let scene = Scene::new();
        fill(&mut fastrand::Rng::with_seed(seed), &scene);
        scene.import(0, &[]);
        scene.keeps_the_law();
    }
}
