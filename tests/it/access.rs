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

/// The annotation may name any role.
#[test]
fn unread_annotation_is_never_a_no() {
    let scene = scene();
    scene.world.deny_kubernetes("main");
    let run = scene.bench.ends(4, &["access", "iam:CreateUser", "--only", "role/sender"]);
    run.says("may  main/apps/sender  role/sender").says(": 0 yes, 0 if, 1 may, 0 no.");
    run.says("Not all read: the ServiceAccounts of main.");
    // with every annotation, this link is broken
    scene.someone.set_trust("sender", &crate::ownership::trust());
    let run = scene.bench.ends(0, &["access", "sqs:SendMessage", "--only", "role/sender"]);
    run.says("no   main/apps/sender: the trust policy of role/sender does not let it in");
}

#[test]
fn service_account_that_others_create_may_get_the_role() {
    let scene = Scene::new();
    let entry = |name: &str| {
        format!("[[service-accounts]]\nrole = \"r\"\nnamespace = \"apps\"\nname = \"{name}\"\nmanage = \"none\"\n")
    };
    let role = "[roles.r]\n[roles.r.inline.all]\nstatements = [{ actions = [\"s3:GetObject\"], resources = [\"arn:aws:s3:::b/*\"] }]\n";
    scene.declare(&format!("{role}{}", entry("theirs")));
    scene.bench.ends(0, &["apply", "--auto-approve", "--deny", "none"]);
    let ask = ["access", "s3:GetObject", "arn:aws:s3:::b/k"];
    let why = "it does not exist, and irsa does not create it: whoever creates it sets its annotation";
    scene.bench.ends(4, &ask).says("may  main/apps/theirs").says(why);
    scene.bench.ends(4, &["access", "service-account/main/apps/theirs"]).says(why).says("Allow s3:GetObject");
    scene
        .bench
        .ends(0, &["explain", "service-account/main/apps/theirs"])
        .says("irsa does not manage it (`manage = \"none\"`)");
    let cluster = scene.world.cluster("main");
    cluster.with(|store| store.seed_service_account("apps", "theirs", &[], "helm")).expect("a ServiceAccount");
    scene.bench.ends(0, &ask).says("no   main/apps/theirs: it has no annotation with a role");
    // of a cluster without an API, nothing is known
    scene.bench.write(
        "irsa.toml",
        &format!("owner = \"me\"\n[clusters.main]\nkubernetes = \"none\"\n{role}{}", entry("theirs")),
    );
    scene.bench.ends(4, &ask).says("may  main/apps/theirs").says("unknown: irsa does not read its Kubernetes API");
    scene.bench.ends(4, &["explain", "service-account/main/apps/theirs"]).says("state: unknown: irsa does not read");
}

#[test]
fn undeclared_service_accounts_with_the_annotation_are_listed() {
    let scene = Scene::new();
    scene.declare(
        "[roles.r]\n[roles.r.inline.all]\nstatements = [{ actions = [\"s3:GetObject\"], resources = [\"arn:aws:s3:::b/*\"] }]\n\
         [[service-accounts]]\nrole = \"r\"\nnamespace = \"apps\"\nname = \"w-*\"\nallow-wildcard = \"workers\"\n",
    );
    scene.bench.ends(0, &["apply", "--auto-approve", "--deny", "none"]);
    let arn = "arn:aws:iam::111122223333:role/irsa/me/r";
    let cluster = scene.world.cluster("main");
    for name in ["w-1", "free"] {
        let seed = |store: &mut Store| {
            store
                .seed_service_account("apps", name, &[("eks.amazonaws.com/role-arn", arn)], "helm")
                .expect("a ServiceAccount");
        };
        cluster.with(seed);
    }
    let ask = ["access", "s3:GetObject", "arn:aws:s3:::b/k"];
    let run = scene.bench.ends(0, &ask);
    run.says("yes  main/apps/w-*  role/r").says("yes  main/apps/w-1  role/r (not declared)").says(": 2 yes");
    assert!(!run.stdout.contains("free") && !run.stdout.contains("Not all read"), "{run}");
    for (address, state) in [
        ("service-account/main/apps/w-1", "because `w-*` matches its name"),
        ("service-account/main/apps/w-*", "a pattern: irsa manages no ServiceAccount that it matches"),
    ] {
        scene.bench.ends(0, &["access", address]).says("Allow s3:GetObject on arn:aws:s3:::b/*");
        scene.bench.ends(0, &["explain", address]).says(state).says("irsa.toml:");
    }
    scene.bench.ends(0, &["access", "s3:GetObject", "--only", "service-account/main/apps/w-1"]).says("1 if");
    // the trust policy lets in more than is declared
    let trust = scene.someone.trust("r").to_string().replace("apps:w-*", "apps:*");
    scene.someone.set_trust("r", &serde_json::from_str(&trust).expect("a trust policy"));
    scene.bench.ends(0, &ask).says("yes  main/apps/free  role/r (not declared)");
}

#[test]
fn object_whose_token_is_refused_says_so() {
    let scene = scene();
    let sender = ["access", "service-account/main/apps/sender"];
    scene.someone.set_trust("sender", &crate::ownership::trust());
    scene
        .bench
        .ends(0, &sender)
        .says("its pods do not get the role: the trust policy of role/sender does not let it in");
    scene.someone.delete_provider(&scene.provider());
    scene.bench.ends(0, &sender).says("account `default` has no OIDC provider for its cluster");
}

#[test]
fn object_takes_no_resource_and_only_what_selects_it() {
    let scene = scene();
    scene.bench.ends(64, &["access", "role/sender", "arn:aws:s3:::b/x"]).says("takes no resource");
    scene.bench.ends(64, &["access", "role/sender", "--only", "role/zz"]).says("`--only 'role/zz'` does not match");
    scene.bench.ends(0, &["access", "role/sender", "--only", "role/s*"]);
}

#[test]
fn all_that_is_allowed_may_be_denied_or_out_of_bounds() {
    let scene = Scene::new();
    let get = |effect: &str, resource: &str| {
        format!(
            "{{ effect = \"{effect}\", actions = [\"s3:GetObject\"], resources = [\"arn:aws:s3:::{resource}/*\"] }}"
        )
    };
    let role = |key: &str, statements: &str| {
        format!(
            "[roles.{key}]\nservice-accounts = [\"apps/{key}\"]\n[roles.{key}.inline.p]\nstatements = [{statements}]\n"
        )
    };
    let (allow, deny) = (get("Allow", "a"), get("Deny", "a"));
    scene.declare(
        &(role("d", &format!("{allow}, {deny}")) + &role("p", &format!("{allow}, {}, {deny}", get("Allow", "c")))),
    );
    let ask = |what: &str| ask(&scene, &["--declared", what]);
    assert_eq!(ask("s3:GetObject"), ["if p p"]);
    assert_eq!(ask("s3:*"), ["if p p"]);
}

#[test]
fn unknown_account_id_makes_the_answer_unknown() {
    let bench = Bench::new(BTreeMap::new());
    let role = "[roles.r]\nservice-accounts = [\"apps/r\"]\n[roles.r.inline.p]\nstatements = [\
        { actions = [\"s3:*\"], resources = [\"arn:aws:s3:::data-{{ account_id }}/*\", \"arn:aws:s3:::open/*\"] },\
        { effect = \"Deny\", actions = [\"s3:*\"], resources = [\"arn:aws:s3:::deny-{{ account_id }}/*\"] }]\n";
    let clusters = "[clusters.main]\nregion = \"eu-west-1\"\n";
    let write = |accounts: &str| bench.write("irsa.toml", &format!("owner = \"me\"\n{accounts}{clusters}{role}"));
    write("");
    let ask = |bucket: &str| {
        let resource = format!("arn:aws:s3:::{bucket}/x");
        answers(&bench.ends(0, &["access", "--declared", "s3:GetObject", &resource, "--format", "json"]).json())
    };
    assert_eq!(ask("data-111122223333"), ["may r r"]);
    assert_eq!(ask("open"), ["yes r r"]);
    assert_eq!(ask("other"), Vec::<String>::new());
    let run = bench.ends(0, &["access", "--declared", "s3:GetObject", "arn:aws:s3:::data-111122223333/x"]);
    run.says(
        "unknown: inline p, statement 1: the account id is not known offline; declare the account in `[accounts]`",
    );
    let run = bench.ends(0, &["access", "--declared", "role/r"]);
    run.says("data-{{ account_id }}/*").says("unknown: the account id is not known offline");
    write("[accounts.main]\nid = \"111122223333\"\n");
    assert_eq!(ask("data-111122223333"), ["yes r r"]);
    assert_eq!(ask("data-444455556666"), Vec::<String>::new());
}

#[test]
fn policy_attached_by_the_arn_of_a_declared_one_is_known() {
    let bench = Bench::new(BTreeMap::new());
    bench.write(
        "irsa.toml",
        "owner = \"me\"\n[accounts.main]\nid = \"111122223333\"\n[clusters.main]\nregion = \"eu-west-1\"\n\
         [policies.o]\npath = \"/\"\nstatements = [{ actions = [\"s3:GetObject\"], resources = [\"arn:aws:s3:::b/*\"] }]\n\
         [roles.a]\nattach = [\"arn:aws:iam::111122223333:policy/o\"]\nservice-accounts = [\"apps/a\"]\n\
         [roles.b]\nattach = [\"o\"]\nservice-accounts = [\"apps/b\"]\n",
    );
    let line = ["access", "--declared", "s3:GetObject", "arn:aws:s3:::b/k", "--format", "json"];
    assert_eq!(answers(&bench.ends(0, &line).json()), ["yes a a", "yes b b"]);
}
