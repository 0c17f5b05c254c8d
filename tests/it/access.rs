//! `irsa access`: which ServiceAccounts may do an action, by the live policies.

use crate::ownership::Scene;
use crate::support::program::Bench;
use irsa_sandbox::kubernetes::{Preconditions, Resource, Store};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const CONFIGURATION: &str = r#"
[policies.queue]
statements = [{ sid = "Send", actions = ["sqs:Send*"], resources = ["arn:aws:sqs:*:*:orders"] }]

[roles.reader]
service-accounts = ["apps/reader"]
[roles.reader.inline.read]
statements = [{ actions = ["s3:Get*"], resources = ["arn:aws:s3:::b/*"], conditions = { StringEquals = { "aws:SourceVpc" = "vpc-1" } } }]

[roles.sender]
attach = ["queue"]
service-accounts = ["apps/sender"]

[roles.aws]
attach = ["aws:AmazonS3ReadOnlyAccess"]
service-accounts = ["apps/aws"]

[roles.most]
service-accounts = ["apps/most"]
ignore = { IRSA034 = "a test" }
[roles.most.inline.most]
statements = [
  { not-actions = ["iam:*", "sts:*"], resources = ["*"] },
  { effect = "Deny", actions = ["s3:Delete*"], resources = ["*"] },
]
"#;

/// `answer name role` of each ServiceAccount.
fn answers(document: &Value) -> Vec<String> {
    let list = document["service-accounts"].as_array().expect("a list");
    let word = |entry: &Value, key: &str| entry[key].as_str().expect("a text").to_owned();
    list.iter()
        .map(|entry| format!("{} {} {}", word(entry, "answer"), word(entry, "name"), word(entry, "role")))
        .collect()
}

fn scene() -> Scene {
    let scene = Scene::new();
    scene.declare(CONFIGURATION);
    scene.bench.ends(0, &["apply", "--auto-approve", "--deny", "none"]);
    scene
}

fn ask(scene: &Scene, arguments: &[&str]) -> Vec<String> {
    let mut line = vec!["access"];
    line.extend(arguments);
    line.extend(["--format", "json"]);
    answers(&scene.bench.ends(0, &line).json())
}

/// Sets an annotation of `apps/sender`. Returns whether the ServiceAccount exists.
fn annotate(scene: &Scene, key: &str, value: &str) -> bool {
    scene.world.cluster("main").with(|store| {
        store.tamper(Resource::ServiceAccounts, "apps", "sender", |object| {
            object["metadata"]["annotations"][key] = value.into();
        })
    })
}

#[test]
fn live_policies_decide() {
    let scene = scene();
    assert_eq!(
        ask(&scene, &["sqs:SendMessage", "arn:aws:sqs:eu-west-1:111122223333:orders"]),
        ["yes most most", "yes sender sender"]
    );
    assert_eq!(ask(&scene, &["sqs:SendMessage", "arn:aws:sqs:eu-west-1:111122223333:other"]), ["yes most most"]);
    // a condition makes it "if"; AWS's own policy is read
    assert_eq!(
        ask(&scene, &["s3:GetObject", "arn:aws:s3:::b/k"]),
        ["yes aws aws", "yes most most", "if reader reader"]
    );
    assert_eq!(ask(&scene, &["s3:DeleteObject", "arn:aws:s3:::b/k"]), Vec::<String>::new());
    assert_eq!(ask(&scene, &["iam:CreateUser"]), Vec::<String>::new());
    // a pattern of which a part is allowed
    assert_eq!(ask(&scene, &["s3:*", "arn:aws:s3:::c/*"]), ["if aws aws", "if most most"]);
    let run = scene.bench.ends(0, &["access", "s3:GetObject", "arn:aws:s3:::b/k"]);
    run.says("if   main/apps/reader  role/reader")
        .says("if StringEquals aws:SourceVpc = vpc-1")
        .says(": 2 yes, 1 if, 0 may, 1 no.");
    run.says("Not looked at: service and resource control policies");
    scene.bench.ends(0, &["access", "sqs:SendMessage"]).says("queue, statement `Send`");
    // what others changed counts
    scene.someone.put_inline(
        "sender",
        "extra",
        &json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:*", "Resource": "*"}]}),
    );
    assert_eq!(ask(&scene, &["iam:CreateUser"]), ["yes sender sender"]);
    assert_eq!(ask(&scene, &["--declared", "iam:CreateUser"]), ["may aws aws"]);
}

#[test]
fn boundary_limits_and_a_broken_chain_reaches_nothing() {
    let scene = scene();
    let boundary =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]});
    let arn = scene.someone.create_policy("limit", &boundary, &[]);
    scene.someone.set_boundary("sender", &arn);
    assert_eq!(ask(&scene, &["sqs:SendMessage"]), ["yes most most"]);
    scene.someone.set_trust("most", &crate::ownership::trust());
    assert_eq!(ask(&scene, &["sqs:SendMessage"]), Vec::<String>::new());
    scene
        .bench
        .ends(0, &["access", "sqs:SendMessage"])
        .says("main/apps/most: the trust policy of role/most does not let it in")
        .says(": 0 yes, 0 if, 0 may, 4 no.");
}

#[test]
fn token_that_the_provider_refuses_reaches_nothing() {
    let scene = scene();
    let orders = ["access", "sqs:SendMessage", "arn:aws:sqs:eu-west-1:111122223333:orders"];
    assert!(annotate(&scene, "eks.amazonaws.com/audience", "vault"));
    scene
        .bench
        .ends(0, &orders)
        .says("yes  main/apps/most")
        .says(", 3 no.")
        .says("no   main/apps/sender: the OIDC provider does not accept the audience `vault` of its tokens");
    scene.someone.delete_provider(&scene.provider());
    scene.bench.ends(0, &orders).says("no   main/apps/most: account `default` has no OIDC provider for its cluster");
    assert_eq!(ask(&scene, &["sqs:SendMessage"]), Vec::<String>::new());
}

#[test]
fn annotation_with_another_role_decides() {
    let scene = scene();
    let annotate = |value: &str| annotate(&scene, "eks.amazonaws.com/role-arn", value);
    let sender = ["access", "service-account/main/apps/sender"];
    // a role that irsa does not know may do anything, also what the declared role may not
    assert!(annotate("arn:aws:iam::111122223333:role/foreign"));
    let why =
        "unknown: its annotation names `arn:aws:iam::111122223333:role/foreign`, whose permissions irsa did not read";
    for action in ["iam:CreateUser", "sqs:SendMessage"] {
        let run = scene.bench.ends(4, &["access", action, "--only", "role/sender"]);
        run.says("may  main/apps/sender  role/sender").says(why).says(": 0 yes, 0 if, 1 may, 0 no.");
    }
    let run = scene.bench.ends(4, &sender);
    run.says(why);
    assert!(!run.stdout.contains("sqs:Send*"), "{run}");
    let run = scene.bench.ends(0, &["access", "iam:CreateUser", "--allow-incomplete", "--format", "json"]);
    assert_eq!(answers(&run.json()), ["may sender sender"]);
    // a declared one, whose trust policy does not let it in
    assert!(annotate("arn:aws:iam::111122223333:role/irsa/me/most"));
    let run = scene.bench.ends(0, &["access", "s3:GetObject", "arn:aws:s3:::b/k"]);
    run.says("no   main/apps/sender: the trust policy of role/most does not let it in");
    let run = scene.bench.ends(0, &sender);
    run.says("its annotation names role/most, and not the declared role/sender").says("Deny s3:Delete*");
    // and that lets it in
    let trust = scene.someone.trust("most").to_string().replace("apps:most", "apps:sender");
    scene.someone.set_trust("most", &serde_json::from_str(&trust).expect("a trust policy"));
    assert_eq!(
        ask(&scene, &["s3:GetObject", "arn:aws:s3:::b/k"]),
        ["yes aws aws", "if reader reader", "yes sender most"]
    );
    assert!(annotate("sender"));
    scene.bench.ends(0, &["access", "sqs:SendMessage"]).says("its annotation is `sender`, which is not a role ARN");
}

#[test]
fn service_account_that_does_not_exist_may_nothing() {
    let scene = scene();
    let more = "[roles.later]\nservice-accounts = [\"later/x\"]\nattach = [\"queue\"]\n[[service-accounts]]\nrole = \"later\"\nnamespace = \"apps\"\nname = \"made\"\nmanage = \"annotate\"\n";
    scene.declare(&format!("{CONFIGURATION}{more}"));
    scene.bench.ends(0, &["apply", "--auto-approve", "--deny", "none"]);
    let delete =
        |store: &mut Store| store.delete(Resource::ServiceAccounts, "apps", "sender", &Preconditions::default(), false);
    scene.world.cluster("main").with(delete).expect("it is there");
    let run = scene.bench.ends(0, &["access", "sqs:SendMessage", "arn:aws:sqs:eu-west-1:111122223333:orders"]);
    for name in ["apps/sender", "later/x", "apps/made"] {
        run.says(&format!("no   main/{name}: it does not exist"));
        scene.bench.ends(0, &["access", &format!("service-account/main/{name}")]).says("  it does not exist");
    }
    run.says(": 1 yes, 0 if, 0 may, 5 no.");
}

#[test]
fn service_account_of_a_gone_cluster_may_nothing() {
    let scene = scene();
    let orders = ["access", "sqs:SendMessage", "arn:aws:sqs:eu-west-1:111122223333:orders", "--format", "json"];
    assert_eq!(answers(&scene.bench.ends(0, &orders).json()), ["yes most most", "yes sender sender"]);
    let bound = CONFIGURATION.replace("service-accounts", "cluster = \"main\"\nservice-accounts");
    let old = "[clusters.old]\nstate = \"gone\"\n[[service-accounts]]\nrole = \"sender\"\ncluster = \"old\"\nnamespace = \"apps\"\nname = \"last\"\n";
    scene.declare(&format!("{old}{bound}"));
    assert_eq!(answers(&scene.bench.ends(0, &orders).json()), ["yes most most", "yes sender sender"]);
    assert_eq!(ask(&scene, &["sqs:SendMessage", "--declared", "--only", "role/sender"]), ["if sender sender"]);
    let run = scene.bench.ends(64, &["access", "sqs:SendMessage", "--only", "service-account/old/*"]);
    run.says("`--only 'service-account/old/*'` matches no ServiceAccount");
    scene.bench.ends(64, &["access", "service-account/old/apps/last"]).says("is not an object of this configuration");
}

#[test]
fn resource_is_an_arn_and_only_must_match() {
    let scene = scene();
    for resource in ["my-bucket", "", "s3://b", "b/*"] {
        let run = scene.bench.ends(64, &["access", "s3:GetObject", resource]);
        run.says(&format!("the resource `{resource}` is no ARN")).says("`arn:aws:s3:::my-bucket/*`");
    }
    scene.bench.ends(64, &["access", "sqs:SendMessage", "orders"]).says("`arn:aws:sqs:eu-west-1:111122223333:NAME`");
    assert_eq!(ask(&scene, &["s3:GetObject", "*:s3:*", "--only", "role/aws"]), ["yes aws aws"]);
    let run = scene.bench.ends(64, &["access", "s3:GetObject", "--only", "role/aws", "--only", "role/zz"]);
    run.says("`--only 'role/zz'` matches no ServiceAccount");
    // that it may not do it is no reason
    assert_eq!(ask(&scene, &["iam:CreateUser", "--only", "role/aws"]), Vec::<String>::new());
}

#[test]
fn what_cannot_be_read_may_allow_it() {
    let scene = scene();
    scene.world.deny("GetPolicyVersion");
    let run = scene.bench.ends(4, &["access", "s3:GetObject", "arn:aws:s3:::c/k", "--format", "json"]);
    assert!(answers(&run.json()).contains(&"may aws aws".to_owned()), "{}", run.stdout);
    scene
        .bench
        .ends(0, &["access", "s3:GetObject", "arn:aws:s3:::c/k", "--allow-incomplete"])
        .says("unknown: aws:AmazonS3ReadOnlyAccess");
}

#[test]
fn object_shows_all_that_it_may_do() {
    let scene = scene();
    for address in ["role/sender", "service-account/main/apps/sender"] {
        let run = scene.bench.ends(0, &["access", address]);
        run.says(address).says("Allow sqs:Send* on arn:aws:sqs:*:*:orders");
    }
    scene.bench.ends(0, &["access", "role/aws"]).says("aws:AmazonS3ReadOnlyAccess").says("s3:Get*");
    scene.bench.ends(64, &["access", "role/absent"]).says("is not an object of this configuration");
    scene.bench.ends(64, &["access", "oidc-provider/default/main"]).says("has no permissions of its own");
}

#[test]
fn declared_permissions_need_no_network() {
    let bench = Bench::new(BTreeMap::new());
    let head = "owner = \"me\"\n[accounts.main]\nid = \"111122223333\"\n[clusters.main]\nregion = \"eu-west-1\"\n";
    bench.write("irsa.toml", &format!("{head}{CONFIGURATION}"));
    let ask = |arguments: &[&str]| {
        let mut line = vec!["access", "--declared", "--format", "json"];
        line.extend(arguments);
        answers(&bench.ends(0, &line).json())
    };
    assert_eq!(ask(&["sqs:SendMessage"]), ["may aws aws", "yes most most", "if sender sender"]);
    assert_eq!(ask(&["sqs:SendMessage", "--only", "role/s*"]), ["if sender sender"]);
    bench.ends(64, &["access", "--declared", "nonsense"]).says("is neither an action nor an address");
}
