//! irsa changes only its own objects (README, guarantee 1): owner tags and labels on live objects, and what irsa may do
//! with each object. These tests run the real binary against the sandbox.

use crate::support::program::{Bench, Run, changes, refusals};
use crate::support::someone::Someone;
use crate::support::world::{self, FIRST, World};
use serde_json::{Value, json};

const S3: &str = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";

/// A sandbox with one EKS cluster `main` and a namespace `apps`, and a bench.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) someone: Someone,
    pub(crate) bench: Bench,
}

pub(crate) const HEAD: &str = "owner = \"me\"\n[clusters.main]\n";

impl Scene {
    pub(crate) fn new() -> Self {
        let world = World::with_cluster("main");
        world.cluster("main").with(|store| world::create_namespace(store, "apps"));
        let (someone, bench) = (world.someone(), Bench::new(world.environment()));
        Self { world, someone, bench }
    }

    /// Writes the configuration: the common head and this text.
    pub(crate) fn declare(&self, text: &str) -> &Self {
        self.bench.write("irsa.toml", &format!("{HEAD}{text}"));
        self
    }

    pub(crate) fn apply(&self, arguments: &[&str]) -> Run {
        let mut line = vec!["apply", "--auto-approve"];
        line.extend(arguments);
        self.bench.irsa(&line)
    }

    pub(crate) fn service_account(&self, name: &str) -> Option<Value> {
        world::service_account(&self.world.cluster("main"), "apps", name)
    }

    pub(crate) fn provider(&self) -> String {
        let issuer = self.world.issuer("main");
        format!("arn:aws:iam::{FIRST}:oidc-provider/{}", &issuer["https://".len()..])
    }
}

pub(crate) fn role(key: &str) -> String {
    format!("[roles.{key}]\nattach = [\"aws:AmazonS3ReadOnlyAccess\"]\nservice-accounts = [\"apps/{key}\"]\n")
}

pub(crate) fn trust() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"AWS": format!("arn:aws:iam::{FIRST}:root")}}]})
}

#[test]
fn created_objects_carry_owner_tags_from_the_create_call_on() {
    let scene = Scene::new();
    scene.declare(&(role("app") + "prevent-destroy = true\n[policies.q]\nstatements = [{ actions = [\"sqs:*\"], resources = [\"arn:aws:sqs:*:*:q\"] }]\n"));
    scene.declare(&(role("app").replace("ReadOnlyAccess\"]", "ReadOnlyAccess\", \"q\"]")
        + "prevent-destroy = true\n[policies.q]\nstatements = [{ actions = [\"sqs:SendMessage\"], resources = [\"arn:aws:sqs:*:*:q\"] }]\n"));
    scene.bench.converges();
    let tags = scene.someone.role_tags("app");
    assert_eq!(tags["irsa/owner"], "me");
    assert_eq!(tags["irsa/address"], "role/app");
    assert_eq!(tags["irsa/prevent-destroy"], "true");
    let provider = scene.someone.provider_tags(&scene.provider());
    assert_eq!(provider["irsa/owner"], "me");
    assert_eq!(provider["irsa/address"], "oidc-provider/default/main");
    let create = scene.world.requests("CreateRole");
    assert_eq!(create.len(), 1);
    assert!(create[0].contains("irsa/owner") || create[0].contains("irsa%2Fowner"), "{}", create[0]);
    assert!(scene.world.requests("TagRole").is_empty(), "the marks came with the role");
    let account = scene.service_account("app").expect("it was made");
    assert_eq!(account["metadata"]["labels"]["irsa/owner"], "me");
    assert_eq!(account["metadata"]["annotations"]["irsa/created"], "true");
}

#[test]
fn role_without_owner_tag_is_refused_until_adopted() {
    let scene = Scene::new();
    scene.someone.create_role("app", &trust(), &[("team", "old")]);
    let id = scene.someone.role_id("app");
    scene.declare(&role("app"));
    let plan = scene.bench.plan(&[]);
    assert!(refusals(&plan).iter().any(|line| line.starts_with("role/app: ")), "{plan}");
    assert_eq!(scene.apply(&[]).code, 4);
    assert!(scene.world.writes().is_empty(), "a plan with a refusal writes nothing: {:?}", scene.world.writes());

    scene.declare(&(role("app") + "adopt = true\npath = \"/\"\n"));
    let run = scene.bench.ends(0, &["plan"]);
    run.says("! role/app");
    assert!(changes(&scene.bench.plan(&[])).contains(&"adopt role/app".to_owned()));
    scene.bench.converges();
    assert_eq!(scene.someone.role_id("app"), id, "it is the same role");
    let tags = scene.someone.role_tags("app");
    assert_eq!(tags.get("irsa/owner").map(String::as_str), Some("me"));
    assert!(!tags.contains_key("team"), "undeclared tags of ours are removed");
}

#[test]
fn adopt_flag_does_not_take_another_owners_role() {
    let scene = Scene::new();
    scene.someone.create_role("app", &trust(), &[]);
    scene.someone.create_role("theirs", &trust(), &[("irsa/owner", "them"), ("irsa/address", "role/theirs")]);
    scene.declare(&(role("app") + &role("theirs")));
    let plan = scene.bench.plan(&["--adopt"]);
    assert!(changes(&plan).contains(&"adopt role/app".to_owned()));
    assert!(refusals(&plan).join("\n").contains("them"), "{plan}");

    scene.declare(&(role("app") + &role("theirs") + "adopt-from = \"others\"\n"));
    assert!(refusals(&scene.bench.plan(&["--adopt"])).join("\n").contains("role/theirs"), "another owner than named");
    scene.declare(&(role("app") + &role("theirs") + "adopt-from = \"them\"\n"));
    assert_eq!(scene.apply(&["--adopt"]).code, 0);
    assert_eq!(scene.someone.role_tags("theirs")["irsa/owner"], "me");
}

#[test]
fn forget_removes_owner_tags_and_deletes_nothing() {
    let scene = Scene::new();
    scene.declare(&(role("app") + &role("other")));
    scene.bench.converges();
    scene.bench.write(
        "irsa.toml",
        &format!("forget = [\"role/app\", \"service-account/main/apps/app\"]\n{HEAD}{}", role("other")),
    );
    assert_eq!(scene.apply(&["--force"]).code, 0);
    assert!(scene.someone.has_role("app"));
    assert!(scene.someone.attached("app").contains(S3));
    assert!(scene.someone.role_tags("app").keys().all(|key| !key.starts_with("irsa/")));
    let account = scene.service_account("app").expect("it stays");
    assert!(account["metadata"]["labels"]["irsa/owner"].is_null());
    assert!(account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].is_string());
    scene.bench.ends(0, &["plan", "--detailed-exitcode"]);
}

#[test]
fn existing_oidc_provider_is_used_and_never_deleted() {
    let scene = Scene::new();
    let arn = scene.someone.create_provider(&scene.world.issuer("main"), &["theirs"]);
    scene.declare(&role("app"));
    let plan = scene.bench.plan(&[]);
    assert!(changes(&plan).contains(&"update oidc-provider/default/main".to_owned()), "{plan}");
    scene.bench.converges();
    let audiences: Vec<String> = scene.someone.audiences(&arn).into_iter().collect();
    assert_eq!(audiences, ["sts.amazonaws.com", "theirs"], "one is added, none is removed");
    assert!(scene.someone.provider_tags(&arn).is_empty(), "it gets no mark");
    assert_eq!(scene.apply(&["--destroy", "--force"]).code, 0);
    assert!(!scene.someone.has_role("app"));
    assert!(scene.someone.providers().contains(&arn));
}

#[test]
fn undeclared_parts_of_a_role_are_removed_unless_ignored() {
    let scene = Scene::new();
    let head = "ignore-tags = [\"cost:*\"]\n";
    let text = role("app") + "ignore-attached = [\"arn:aws:iam::*:policy/audit-*\"]\n";
    scene.bench.write("irsa.toml", &format!("{head}{HEAD}{text}"));
    scene.bench.converges();
    let document =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]});
    let audit = scene.someone.create_policy("audit-all", &document, &[]);
    let other = scene.someone.create_policy("other", &document, &[]);
    scene.someone.attach("app", &audit);
    scene.someone.attach("app", &other);
    scene.someone.put_inline("app", "sneaky", &document);
    scene.someone.tag_role("app", "cost:center", "7");
    scene.someone.tag_role("app", "team", "x");
    scene.bench.ends(2, &["plan", "--detailed-exitcode"]);
    scene.bench.converges();
    let attached: Vec<String> = scene.someone.attached("app").into_iter().collect();
    assert_eq!(attached, [audit, S3.to_owned()]);
    assert!(scene.someone.inline_names("app").is_empty());
    let tags: Vec<String> = scene.someone.role_tags("app").into_keys().collect();
    assert_eq!(tags, ["cost:center", "irsa/address", "irsa/owner"]);
    assert!(scene.someone.has_policy(&other), "a policy of others is detached, not deleted");
}

#[test]
fn undeclared_boundary_stays_and_none_removes_it() {
    let scene = Scene::new();
    scene.declare(&role("app"));
    scene.bench.converges();
    let document =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]});
    let boundary = scene.someone.create_policy("boundary", &document, &[]);
    scene.someone.set_boundary("app", &boundary);
    scene.bench.ends(0, &["plan", "--detailed-exitcode"]).says("No changes.");
    scene.declare(&(role("app") + "permissions-boundary = \"none\"\n"));
    scene.bench.converges();
    assert_eq!(scene.someone.boundary("app"), None);
}

#[test]
fn changed_address_updates_the_tag_on_the_same_role() {
    let scene = Scene::new();
    scene.declare(&role("app"));
    scene.bench.converges();
    let id = scene.someone.role_id("app");
    scene.declare(
        &role("renamed")
            .replace("apps/renamed", "apps/app")
            .replace("[roles.renamed]", "[roles.renamed]\nname = \"app\""),
    );
    scene.bench.converges();
    assert_eq!(scene.someone.role_id("app"), id);
    assert_eq!(scene.someone.role_tags("app")["irsa/address"], "role/renamed");
}

#[test]
fn policy_keeps_at_most_five_versions() {
    let scene = Scene::new();
    let text = |number: usize| {
        format!(
            "[roles.app]\nattach = [\"q\"]\nservice-accounts = [\"apps/app\"]\n[policies.q]\n\
             statements = [{{ actions = [\"sqs:SendMessage\"], resources = [\"arn:aws:sqs:*:*:q{number}\"] }}]\n"
        )
    };
    for number in 0..8 {
        scene.declare(&text(number));
        scene.bench.converges();
    }
    let arn = format!("arn:aws:iam::{FIRST}:policy/irsa/me/q");
    assert!(scene.someone.policy_versions(&arn) <= 5);
}

#[test]
fn service_account_in_use_by_a_pod_is_released_and_not_deleted() {
    let scene = Scene::new();
    scene.declare(&(role("app") + &role("other")));
    scene.bench.converges();
    world::create_pod(&scene.world.cluster("main"), "apps", "runner", "app");
    scene.declare(&role("other"));
    assert_eq!(scene.apply(&["--force"]).code, 0);
    let account = scene.service_account("app").expect("a pod uses it");
    assert!(account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].is_null());
    assert!(account["metadata"]["labels"]["irsa/owner"].is_null());
    assert!(!scene.someone.has_role("app"));
}

#[test]
fn foreign_objects_are_never_touched() {
    let scene = Scene::new();
    let document =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]});
    scene.someone.create_role("foreign", &trust(), &[("team", "x")]);
    scene.someone.create_role("theirs", &trust(), &[("irsa/owner", "them"), ("irsa/address", "role/theirs")]);
    scene.someone.create_policy("foreign", &document, &[]);
    let before = scene.world.foreign(FIRST);
    scene.declare(&(role("app") + &role("other")));
    scene.bench.converges();
    scene.declare(&role("other"));
    scene.bench.converges();
    assert_eq!(scene.apply(&["--destroy", "--force"]).code, 0);
    assert_eq!(scene.world.foreign(FIRST), before);
}

#[test]
fn provider_that_others_trust_is_released_with_a_note() {
    let scene = Scene::new();
    scene.declare(&role("app"));
    scene.bench.converges();
    let arn = scene.provider();
    let theirs = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": arn}}]});
    scene.someone.create_role("theirs", &theirs, &[("irsa/owner", "them"), ("irsa/address", "role/theirs")]);
    scene.someone.create_role("nobodys", &theirs, &[]);
    // irsa releases the provider of a cluster with `state = "gone"` in the same way
    scene.bench.write("irsa.toml", &format!("owner = \"me\"\n[clusters.main]\nstate = \"gone\"\n[roles.app]\nattach = [\"aws:AmazonS3ReadOnlyAccess\"]\n[[roles.app.trust]]\nprincipals = {{ aws = [\"arn:aws:iam::{FIRST}:root\"] }}\nactions = [\"sts:AssumeRole\"]\n"));
    let plan = scene.bench.plan(&["--force"]);
    assert!(refusals(&plan).is_empty(), "{plan}");
    assert!(changes(&plan).iter().any(|change| change.starts_with("update orphan/default/oidc-provider/")), "{plan}");

    scene.declare(&role("app"));
    // not without our role that trusts it: no later run would find that role again
    let alone = scene.apply(&["--destroy", "--force", "--only", "oidc-provider/*"]);
    assert_eq!(alone.code, 4, "{alone}");
    alone.says("`role/app` depends on it and is not selected");
    assert!(!scene.someone.provider_tags(&arn).is_empty());
    let run = scene.apply(&["--destroy", "--force"]);
    assert_eq!(run.code, 0, "{run}");
    run.says("left-to-others").says("roles that irsa does not manage trust it (`nobodys`, `theirs`)");
    assert!(scene.someone.providers().contains(&arn) && scene.someone.provider_tags(&arn).is_empty());
    assert!(!scene.someone.has_role("app") && scene.service_account("app").is_none());
    assert!(scene.someone.has_role("theirs") && scene.someone.has_role("nobodys"));
    scene.bench.ends(0, &["plan", "--destroy", "--detailed-exitcode"]);
}

#[test]
fn policy_that_others_attached_is_neither_deleted_nor_released() {
    let scene = Scene::new();
    let policy =
        "[policies.q]\nstatements = [{ actions = [\"sqs:SendMessage\"], resources = [\"arn:aws:sqs:*:*:q\"] }]\n";
    scene.declare(&(role("app").replace("ReadOnlyAccess\"]", "ReadOnlyAccess\", \"q\"]") + policy));
    scene.bench.converges();
    let arn = format!("arn:aws:iam::{FIRST}:policy/irsa/me/q");
    scene.someone.create_role("theirs", &trust(), &[]);
    scene.someone.attach("theirs", &arn);
    let plan = scene.bench.plan(&["--destroy", "--force"]);
    assert!(
        plan["refused"]
            .to_string()
            .contains("it has 2 uses (attached, or as a permissions boundary), of which this plan ends 1"),
        "{plan}"
    );
    assert!(plan["refused"][0]["hint"].as_str().expect("a hint").contains("`forget = ["), "{plan}");
    assert_eq!(scene.apply(&["--destroy", "--force"]).code, 4);
    assert!(scene.someone.has_role("app") && scene.someone.has_policy(&arn));
}

#[test]
fn role_name_in_another_case_is_the_same_role() {
    let scene = Scene::new();
    let policy = "[policies.q]\nname = \"queue\"\nstatements = [{ actions = [\"sqs:SendMessage\"], resources = [\"arn:aws:sqs:*:*:q\"] }]\n";
    let text =
        role("app").replace("[roles.app]", "[roles.app]\nname = \"reports\"").replace("Access\"]", "Access\", \"q\"]");
    scene.declare(&(text.clone() + policy));
    scene.bench.converges();
    let id = scene.someone.role_id("reports");
    scene.declare(&(text.replace("reports", "Reports") + &policy.replace("queue", "Queue")));
    let run = scene.bench.ends(0, &["plan", "--detailed-exitcode"]);
    run.says("No changes.").says("role/app: it keeps the name `reports`").says("name-kept");
    run.says("policy/default/q: it keeps the name `queue`");
    scene.bench.converges();
    assert_eq!(scene.someone.role_id("reports"), id);
    scene.declare(&(text + policy + &role("other").replace("[roles.other]", "[roles.other]\nname = \"REPORTS\"")));
    scene.bench.ends(3, &["validate"]).says("IAM ignores case");
}

#[test]
fn roles_of_others_that_trust_a_cluster_are_counted_and_listed_on_request() {
    let scene = Scene::new();
    scene.declare(&role("app"));
    scene.bench.converges();
    let theirs = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": scene.provider()}}]});
    (0..7).for_each(|index| scene.someone.create_role(&format!("theirs{index}"), &theirs, &[]));
    let lines = |arguments: &[&str]| scene.bench.ends(0, arguments).stdout.matches("can be assumed from").count();
    let run = scene.bench.ends(0, &["plan"]);
    run.says("cluster/main: 7 roles that irsa does not manage can be assumed from it; `-v` lists them");
    for format in ["text", "markdown", "html", "github"] {
        assert_eq!(lines(&["plan", "--format", format]), 1, "{format}");
        assert_eq!(lines(&["plan", "--format", format, "-v"]), 7, "{format}");
        assert_eq!(lines(&["plan", "--format", format, "-q"]), 0, "{format}");
    }
    let notes = scene.bench.plan(&[])["notes"].clone();
    let told = notes.as_array().expect("a list").iter().filter(|note| note["rule"] == "foreign-trust");
    assert_eq!(told.count(), 7, "a program is told each");
}
