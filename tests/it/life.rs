//! The life of a role from creation to deletion, on the sandbox and on two AWS stand-ins by other authors.

use crate::support::program::{Bench, changes};
use crate::support::someone::Someone;
use crate::support::standin::StandIn;
use crate::support::world::{self, World};
use irsa_sandbox::kubernetes::{Cluster, ClusterOptions, User};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::runtime::Runtime;

/// The AWS endpoint and the cluster of a test, and what they support.
struct Stage<'a> {
    environment: BTreeMap<String, String>,
    someone: Someone,
    /// The table of the cluster `main` in the configuration.
    cluster: String,
    kubeconfig: String,
    kubernetes: &'a Cluster,
    issuer: String,
    /// Whether the stand-in can add and remove audiences of a provider.
    audiences: bool,
}

const ADMINISTRATOR: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

fn configuration(stage: &Stage<'_>, description: &str, action: &str, more: &str) -> String {
    let cluster = &stage.cluster;
    format!(
        r#"
owner = "life"
[clusters.main]
{cluster}
kubernetes = {{ kubeconfig = "kube.yaml", context = "main" }}

[policies.read-queue]
statements = [{{ actions = ["{action}"], resources = ["arn:{{{{ partition }}}}:sqs:*:{{{{ account_id }}}}:reports"] }}]

[roles.reports]
description = "{description}"
attach = ["aws:AmazonS3ReadOnlyAccess", "read-queue"]
service-accounts = ["reporting/worker", "reporting/cron"]
[roles.reports.inline.own]
statements = [{{ actions = ["{action}"], resources = ["*"] }}]
{more}
"#
    )
}

const SECOND: &str = r#"
[roles.mailer]
attach = ["aws:AmazonS3ReadOnlyAccess"]
service-accounts = ["reporting/mailer"]
"#;

fn live(stage: &Stage<'_>) {
    let bench = Bench::new(stage.environment.clone());
    bench.write("kube.yaml", &stage.kubeconfig);
    stage.kubernetes.with(|store| world::create_namespace(store, "reporting"));
    bench.write("irsa.toml", &configuration(stage, "reads reports", "sqs:SendMessage", SECOND));

    // plan shows the changes in order and writes nothing
    bench.ends(0, &["validate"]);
    let plan = bench.plan(&[]);
    let account = "default";
    assert_eq!(
        changes(&plan),
        [
            format!("create oidc-provider/{account}/main"),
            format!("create policy/{account}/read-queue"),
            "create role/mailer".to_owned(),
            "create role/reports".to_owned(),
            "create service-account/main/reporting/cron".to_owned(),
            "create service-account/main/reporting/mailer".to_owned(),
            "create service-account/main/reporting/worker".to_owned(),
        ]
    );
    bench.ends(2, &["plan", "--detailed-exitcode"]).says("Plan: 7 to create, 0 to update, 0 to delete.");
    assert!(!stage.someone.has_role("reports"));

    // apply creates the objects; after that nothing is left to do
    bench.converges();
    bench.ends(0, &["drift", "--confirm-after", "0s"]);
    let made = stage.someone.role_id("reports");

    // somebody changes each object; irsa detects, names and reverts each change
    tamper(stage);
    let drift = bench.ends(2, &["drift", "--confirm-after", "0s"]);
    drift.says("role/reports").says("AdministratorAccess").says("service-account/main/reporting/worker");
    if stage.audiences {
        drift.says(&format!("oidc-provider/{account}/main")).says("sts.amazonaws.com");
    }
    bench.converges();
    bench.ends(0, &["drift", "--confirm-after", "0s"]);
    assert!(!stage.someone.attached("reports").contains(ADMINISTRATOR));
    assert!(!stage.someone.trust("reports").to_string().contains("intruder"));

    // the declaration changes
    bench.write("irsa.toml", &configuration(stage, "reads all reports", "sqs:ReceiveMessage", SECOND));
    let plan = bench.plan(&[]);
    assert_eq!(changes(&plan), [format!("update policy/{account}/read-queue"), "update role/reports".to_owned()]);
    bench.converges();

    // another role leaves the file: its ServiceAccount and the role are deleted, the rest stays
    bench.write("irsa.toml", &configuration(stage, "reads all reports", "sqs:ReceiveMessage", ""));
    let plan = bench.plan(&[]);
    assert_eq!(
        changes(&plan),
        ["delete service-account/main/reporting/mailer".to_owned(), format!("delete orphan/{account}/role/mailer")]
    );
    bench.converges();
    assert!(!stage.someone.has_role("mailer"));
    assert_eq!(stage.someone.role_id("reports"), made, "it was changed in place all its life");

    // `--destroy` deletes everything
    bench.ends(0, &["apply", "--destroy", "--auto-approve", "--force"]);
    assert!(!stage.someone.has_role("reports"));
    assert!(!stage.someone.providers().iter().any(|arn| arn.ends_with(&stage.issuer["https://".len()..])));
    assert!(world::service_account(stage.kubernetes, "reporting", "worker").is_none());
}

/// Somebody breaks four things.
fn tamper(stage: &Stage<'_>) {
    let mut trust = stage.someone.trust("reports");
    let mut statement = trust["Statement"][0].clone();
    statement["Condition"] = json!({"StringEquals": {
        format!("{}:sub", &stage.issuer["https://".len()..]): "system:serviceaccount:intruder:intruder",
        format!("{}:aud", &stage.issuer["https://".len()..]): "sts.amazonaws.com",
    }});
    trust["Statement"].as_array_mut().expect("a list").push(statement);
    stage.someone.set_trust("reports", &trust);
    stage.someone.attach("reports", ADMINISTRATOR);
    world::wipe_annotation(stage.kubernetes, "reporting", "worker", "eks.amazonaws.com/role-arn");
    if stage.audiences {
        let provider =
            stage.someone.providers().into_iter().find(|arn| arn.ends_with(&stage.issuer["https://".len()..]));
        stage.someone.remove_audience(&provider.expect("the provider"), "sts.amazonaws.com");
    }
}

fn kubernetes(runtime: &Runtime, issuer: &str) -> (Cluster, String) {
    let options = ClusterOptions {
        name: "main".to_owned(),
        issuer: issuer.to_owned(),
        tokens: BTreeMap::from([("admin-token".to_owned(), User::admin("admin"))]),
        ..ClusterOptions::default()
    };
    let cluster = runtime.block_on(Cluster::start(options)).expect("a cluster");
    let kubeconfig = irsa_sandbox::kubernetes::kubeconfig(&[cluster.kubeconfig_entry("admin-token")]);
    (cluster, kubeconfig)
}

fn environment(endpoint: &str) -> BTreeMap<String, String> {
    [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

#[test]
fn life_of_a_role_on_the_sandbox() {
    let world = World::empty();
    let runtime = Runtime::new().expect("a runtime");
    let issuer = "https://oidc.example.com/life";
    let (kubernetes, kubeconfig) = kubernetes(&runtime, issuer);
    live(&Stage {
        environment: world.environment(),
        someone: world.someone(),
        cluster: format!("issuer = \"{issuer}\""),
        kubeconfig,
        kubernetes: &kubernetes,
        issuer: issuer.to_owned(),
        audiences: true,
    });
}

/// With a cluster in moto's EKS: its issuer comes from DescribeCluster.
#[test]
fn life_of_a_role_on_moto() {
    let moto = StandIn::moto();
    let someone = Someone::at(&moto.endpoint(), "test");
    let issuer = someone.create_cluster("main-1");
    let runtime = Runtime::new().expect("a runtime");
    let (kubernetes, kubeconfig) = kubernetes(&runtime, &issuer);
    live(&Stage {
        environment: environment(&moto.endpoint()),
        someone,
        cluster: "name = \"main-1\"".to_owned(),
        kubeconfig,
        kubernetes: &kubernetes,
        issuer,
        // moto does not implement AddClientIDToOpenIDConnectProvider
        audiences: false,
    });
}

#[test]
fn life_of_a_role_on_ministack() {
    let ministack = StandIn::ministack();
    let runtime = Runtime::new().expect("a runtime");
    // the issuers of ministack's EKS are no HTTPS addresses
    let issuer = "https://oidc.example.com/life";
    let (kubernetes, kubeconfig) = kubernetes(&runtime, issuer);
    live(&Stage {
        environment: environment(&ministack.endpoint()),
        someone: Someone::at(&ministack.endpoint(), "test"),
        cluster: format!("issuer = \"{issuer}\""),
        kubeconfig,
        kubernetes: &kubernetes,
        issuer: issuer.to_owned(),
        // ministack does not implement AddClientIDToOpenIDConnectProvider
        audiences: false,
    });
}

/// Two accounts, three clusters, 50 roles and 200 ServiceAccounts in one configuration.
#[test]
fn plan_after_apply_of_2_accounts_3_clusters_50_roles_200_service_accounts_is_empty() {
    let world = World::demo();
    let mut text = world.clusters_toml("scale");
    for role in 0..50 {
        let attach = ["AmazonS3ReadOnlyAccess", "AmazonSQSReadOnlyAccess"][role % 2];
        let block = format!(
            "[roles.role-{role:02}]\nattach = [\"aws:{attach}\"]\naccount = \"{}\"\n",
            ["one", "two"][role / 40]
        );
        text.push_str(&block);
        let cluster = if role < 40 { world.first_clusters()[role % 2].clone() } else { world.second_cluster() };
        let names: Vec<String> = (0..4).map(|name| format!("\"sa-{role:02}-{name}\"")).collect();
        let block = format!(
            "[[service-accounts]]\nrole = \"role-{role:02}\"\ncluster = \"{cluster}\"\nnamespace = \"apps\"\nname = [{}]\n",
            names.join(", ")
        );
        text.push_str(&block);
    }
    world.create_namespaces("apps");
    let bench = Bench::with(world.environment(), &text);
    let plan = bench.plan(&[]);
    assert_eq!(plan["summary"]["create"], Value::from(3 + 50 + 200), "{}", plan["refused"]);
    bench.ends(0, &["apply", "--auto-approve"]);
    let plan = bench.ends(0, &["plan", "--detailed-exitcode"]);
    plan.says("No changes. 253 objects match.");
    bench.ends(0, &["drift", "--confirm-after", "0s"]);
}
