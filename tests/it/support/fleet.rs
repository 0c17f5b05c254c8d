//! A configuration of some thirty objects in two accounts and two clusters, about half of them created already, and
//! objects of others beside them. Its apply makes every kind of write.
//!
//! irsa and others create the state before that apply once. Each test then gets a copy: IAM by the same calls, the
//! clusters by the same objects.

use super::given::{self, OtherPeople};
use super::program::Bench;
use super::world::{self, FIRST, SECOND, World};
use irsa_sandbox::kubernetes::{Resource, Store};
use irsa_sandbox::{ClusterSpec, SandboxOptions};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The cluster of the first account and that of the second.
pub(crate) const CLUSTERS: [&str; 2] = ["blue", "green"];

/// All waits are divided by this. An attempt must still last longer than a test needs while it holds a request.
const SPEED: &str = "3";

/// The accounts, the clusters and the owner `fleet`.
pub(crate) const HEAD: &str = r#"
owner = "fleet"
ignore-tags = ["cost:*"]
[guard]
max-change-percent = 100
max-delete = 50
[accounts.one]
id = "111122223333"
[accounts.two]
id = "444455556666"
assume-role = "arn:aws:iam::444455556666:role/OrganizationAccountAccessRole"
[clusters.blue]
account = "one"
region = "eu-west-1"
[clusters.green]
account = "two"
region = "us-east-1"
"#;

const BEFORE: &str = r#"
[policies.queue]
tags = { stage = "one", team = "x" }
statements = [{ actions = ["sqs:SendMessage"], resources = ["arn:aws:sqs:*:*:one"] }]
[policies.limits]
statements = [{ actions = ["s3:Get*", "sqs:*"], resources = ["*"] }]
[policies.retired]
statements = [{ actions = ["sqs:ReceiveMessage"], resources = ["arn:aws:sqs:*:*:retired"] }]

[roles.web]
description = "one"
tags = { stage = "one", team = "x" }
attach = ["aws:AmazonS3ReadOnlyAccess", "queue"]
cluster = "blue"
service-accounts = ["apps/web"]
[roles.web.inline.changes]
statements = [{ actions = ["s3:GetObject", "s3:DeleteObject"], resources = ["arn:aws:s3:::one/*"] }]
[roles.web.inline.goes]
statements = [{ effect = "Deny", actions = ["s3:DeleteObject"], resources = ["*"] }]

[roles.shrink]
attach = ["retired", "aws:AmazonSQSReadOnlyAccess"]
permissions-boundary = "arn:aws:iam::111122223333:policy/foreign-limits"
cluster = "blue"
service-accounts = ["apps/shrink", "apps/shrink-two"]
tags = { desk = "one" }

[roles.old]
attach = ["aws:AmazonS3ReadOnlyAccess"]
cluster = "blue"
service-accounts = ["apps/old", "apps/busy"]
[roles.old.inline.own]
statements = [{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::old/*"] }]

[roles.steady]
attach = ["limits", "aws:AmazonS3ReadOnlyAccess"]
permissions-boundary = "arn:aws:iam::111122223333:policy/irsa/fleet/limits"
cluster = "blue"
service-accounts = ["apps/steady"]

[roles.two-keep]
cluster = "green"
service-accounts = ["apps/kept"]
[roles.two-keep.inline.own]
statements = [{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::keep/*"] }]

[roles.two-old]
attach = ["aws:AmazonSQSReadOnlyAccess"]
cluster = "green"
service-accounts = ["apps/two-old"]
[roles.two-old.inline.own]
statements = [{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::two-old/*"] }]
"#;

const AFTER: &str = r#"
[policies.queue]
tags = { stage = "two" }
statements = [
  { actions = ["sqs:SendMessage"], resources = ["arn:aws:sqs:*:*:two"] },
  { effect = "Deny", actions = ["s3:PutObject"], resources = ["*"] },
]
[policies.limits]
statements = [{ actions = ["s3:*", "sqs:*"], resources = ["*"] }]
[policies.archive]
statements = [{ actions = ["s3:PutObject"], resources = ["arn:aws:s3:::archive/*"] }]
[policies.bucket]
statements = [{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::bucket/*"] }]

[roles.api]
description = "serves"
tags = { stage = "two" }
attach = ["archive", "aws:AmazonS3ReadOnlyAccess"]
permissions-boundary = "arn:aws:iam::111122223333:policy/foreign-limits"
cluster = "blue"
service-accounts = ["apps/api"]
[roles.api.inline.one]
statements = [{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::api/*"] }]
[roles.api.inline.two]
statements = [{ effect = "Deny", actions = ["s3:DeleteObject"], resources = ["*"] }]

[roles.jobs]
attach = ["queue", "limits", "aws:AmazonSQSReadOnlyAccess"]
cluster = "blue"
service-accounts = ["apps/jobs"]
[roles.jobs.inline.own]
statements = [{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::jobs/*"] }]

[roles.bridge]
account = "one"
attach = ["aws:AmazonS3ReadOnlyAccess"]
cluster = "green"
service-accounts = ["apps/bridge"]
[roles.bridge.inline.own]
statements = [{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::bridge/*"] }]

[roles.web]
description = "two"
tags = { stage = "two" }
attach = ["queue", "archive"]
permissions-boundary = "arn:aws:iam::111122223333:policy/foreign-limits"
cluster = "blue"
service-accounts = ["apps/web", "apps/web-two"]
[roles.web.inline.changes]
statements = [
  { actions = ["s3:GetObject", "s3:DeleteObject"], resources = ["arn:aws:s3:::two/*"] },
  { effect = "Deny", actions = ["s3:DeleteObject"], resources = ["*"] },
]

[roles.shrink]
attach = ["aws:AmazonSQSReadOnlyAccess"]
permissions-boundary = "none"
cluster = "blue"
service-accounts = ["apps/shrink"]
tags = { desk = "two" }
max-session-duration = "4h"

[roles.claimed]
adopt = true
path = "/"
attach = ["aws:AmazonS3ReadOnlyAccess"]
cluster = "blue"
service-accounts = ["apps/claimed"]

[roles.steady]
attach = ["limits", "aws:AmazonS3ReadOnlyAccess"]
permissions-boundary = "arn:aws:iam::111122223333:policy/irsa/fleet/limits"
cluster = "blue"
service-accounts = ["apps/steady"]

[roles.two-api]
attach = ["bucket", "aws:AmazonSQSReadOnlyAccess"]
tags = { stage = "two" }
cluster = "green"
service-accounts = ["apps/two-api", "apps/two-api-b"]
[roles.two-api.inline.own]
statements = [{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::two-api/*"] }]

[roles.two-keep]
[roles.two-keep.inline.own]
statements = [{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::keep/*"] }]
[[service-accounts]]
role = "two-keep"
cluster = "green"
namespace = "apps"
name = "kept"
token-expiration = "24h"
"#;

/// One IAM call, made without HTTP.
struct Seed {
    account: String,
    action: String,
    fields: Vec<(String, String)>,
}

/// The calls and objects that create the state before the apply.
pub(crate) struct Fleet {
    seeds: Vec<Seed>,
    stores: Vec<Store>,
}

/// A sandbox with that state, and a bench with the configuration to apply.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) bench: Bench,
}

fn empty() -> World {
    let cluster = |name: &str, account: &str, region: &str| ClusterSpec {
        issuer: Some(format!("https://oidc.example.com/{name}")),
        ..ClusterSpec::new(name, account, region).with_namespaces(&["apps"])
    };
    let clusters = vec![cluster("blue", FIRST, "eu-west-1"), cluster("green", SECOND, "us-east-1")];
    World::of(SandboxOptions { clusters, access_roles: true, ..SandboxOptions::empty() })
}

impl Fleet {
    /// Creates the state before the apply, once.
    pub(crate) fn new() -> Self {
        let world = empty();
        let mut seeds = Vec::new();
        for seed in before() {
            seed.sow(&world);
            seeds.push(seed);
        }
        for cluster in CLUSTERS {
            world.cluster(cluster).with(others_objects);
        }
        let bench = bench(&world, BEFORE);
        // the boundary must exist before the role that it bounds
        for only in ["policy/*", "*"] {
            bench.ends(0, &["apply", "--auto-approve", "--only", only]);
        }
        let log = world.with(|sandbox| sandbox.log());
        seeds.extend(log.into_iter().filter(|record| record.call.is_write()).map(|record| Seed {
            account: record.call.account.clone(),
            action: record.call.action.clone(),
            fields: record.call.params().into_iter().collect(),
        }));
        world::create_pod(&world.cluster("blue"), "apps", "runner", "busy");
        let stores = CLUSTERS.map(|cluster| world.cluster(cluster).with(|store| store.clone())).into();
        let mut fleet = Self { seeds, stores };
        fleet.seeds.extend(since());
        fleet
    }

    /// Creates a sandbox with the state before the apply.
    pub(crate) fn scene(&self) -> Scene {
        let world = empty();
        for seed in &self.seeds {
            seed.sow(&world);
        }
        for (cluster, store) in CLUSTERS.iter().zip(&self.stores) {
            world.cluster(cluster).with(|now| *now = store.clone());
        }
        let bench = bench(&world, AFTER);
        Scene { world, bench }
    }
}

fn bench(world: &World, text: &str) -> Bench {
    let mut bench = Bench::with(world.environment(), &format!("{HEAD}{text}"));
    bench.set("IRSA_TEST_SPEED", SPEED);
    bench
}

impl Seed {
    fn new(account: &str, action: &str, fields: &[(&str, &str)]) -> Self {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { account: account.to_owned(), action: action.to_owned(), fields: fields.collect() }
    }

    fn sow(&self, world: &World) {
        let fields: Vec<(&str, &str)> = self.fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        world.with(|sandbox| OtherPeople { sandbox, account: &self.account }.call(&self.action, &fields));
    }
}

/// What others create in both accounts before irsa's first apply.
fn before() -> Vec<Seed> {
    let trust = |account: &str| given::trust(&json!({"AWS": format!("arn:aws:iam::{account}:root")}));
    let (document, guard) = (given::document_with_list("Allow", "s3:*"), given::document_with_list("Deny", "s3:*"));
    let mut seeds = Vec::new();
    for account in [FIRST, SECOND] {
        let (trust, read) = (trust(account), "arn:aws:iam::aws:policy/ReadOnlyAccess");
        let plain = ("RoleName", "foreign-plain");
        let list = [
            Seed::new(account, "CreatePolicy", &[("PolicyName", "foreign-limits"), ("PolicyDocument", &document)]),
            Seed::new(account, "CreatePolicy", &[("PolicyName", "foreign-guard"), ("PolicyDocument", &guard)]),
            Seed::new(account, "CreateRole", &[plain, ("AssumeRolePolicyDocument", &trust), ("Description", "theirs")]),
            Seed::new(account, "TagRole", &[plain, ("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "them")]),
            Seed::new(account, "AttachRolePolicy", &[plain, ("PolicyArn", read)]),
            Seed::new(account, "PutRolePolicy", &[plain, ("PolicyName", "own"), ("PolicyDocument", &document)]),
            Seed::new(
                account,
                "CreateRole",
                &[
                    ("RoleName", "foreign-owned"),
                    ("Path", "/irsa/fleet/"),
                    ("AssumeRolePolicyDocument", &trust),
                    ("Tags.member.1.Key", "irsa/owner"),
                    ("Tags.member.1.Value", "them"),
                    ("Tags.member.2.Key", "irsa/address"),
                    ("Tags.member.2.Value", "role/foreign-owned"),
                ],
            ),
            Seed::new(
                account,
                "CreateOpenIDConnectProvider",
                &[("Url", "https://oidc.example.com/foreign"), ("ClientIDList.member.1", "theirs")],
            ),
        ];
        seeds.extend(list);
    }
    seeds.push(Seed::new(
        FIRST,
        "CreateRole",
        &[("RoleName", "claimed"), ("AssumeRolePolicyDocument", &trust(FIRST)), ("Description", "was theirs")],
    ));
    seeds
}

/// What others change between irsa's first apply and the apply under test.
fn since() -> Vec<Seed> {
    let document = |number: usize| {
        let resource = format!("arn:aws:sqs:*:*:since-{number}");
        json!({"Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": resource}]})
        .to_string()
    };
    let queue = format!("arn:aws:iam::{FIRST}:policy/irsa/fleet/queue");
    let retired = format!("arn:aws:iam::{FIRST}:policy/irsa/fleet/retired");
    let provider = format!("arn:aws:iam::{FIRST}:oidc-provider/oidc.example.com/blue");
    let version = |arn: &str, number| {
        let fields = [("PolicyArn", arn), ("PolicyDocument", &document(number)), ("SetAsDefault", "true")];
        Seed::new(FIRST, "CreatePolicyVersion", &fields)
    };
    // uses all five versions that a policy may have
    let mut seeds: Vec<Seed> = (0..4).map(|number| version(&queue, number)).collect();
    seeds.push(version(&retired, 0));
    seeds.push(Seed::new(
        FIRST,
        "RemoveClientIDFromOpenIDConnectProvider",
        &[("OpenIDConnectProviderArn", &provider), ("ClientID", "sts.amazonaws.com")],
    ));
    // somebody attached a deny to a role that is to be deleted
    let guard = format!("arn:aws:iam::{FIRST}:policy/foreign-guard");
    seeds.push(Seed::new(FIRST, "AttachRolePolicy", &[("RoleName", "old"), ("PolicyArn", &guard)]));
    let tag = [("RoleName", "web"), ("Tags.member.1.Key", "cost:center"), ("Tags.member.1.Value", "7")];
    seeds.push(Seed::new(FIRST, "TagRole", &tag));
    seeds
}

/// ServiceAccounts of others in one cluster. Both irsa and others write one of them.
fn others_objects(store: &mut Store) {
    let role = "arn:aws:iam::111122223333:role/foreign-plain";
    let theirs = [("foreign-bare", &[][..], "kubectl-create"), ("claimed", &[("team", "them")][..], "helm")];
    for (name, annotations, manager) in theirs {
        store.seed_service_account("apps", name, annotations, manager).expect("a ServiceAccount");
    }
    let annotations = [("eks.amazonaws.com/role-arn", role), ("team", "them")];
    store.seed_service_account("apps", "foreign-bound", &annotations, "helm").expect("a ServiceAccount");
    let labelled = store.edit(Resource::ServiceAccounts, "apps", "foreign-bare", "irsa-them", |object| {
        object["metadata"]["labels"] = json!({"irsa/owner": "them"});
    });
    labelled.expect("a ServiceAccount");
}

impl Scene {
    /// Everything that irsa and others have set, without times, ids and versions.
    pub(crate) fn state(&self) -> Value {
        let iam = [FIRST, SECOND].map(|account| {
            let all = self.world.with(|sandbox| sandbox.iam(account, |iam| iam.snapshot()));
            (account.to_owned(), all)
        });
        let clusters = CLUSTERS.map(|cluster| {
            let objects = self.world.cluster(cluster).with(|store| {
                store.all(Resource::ServiceAccounts).map(service_account).collect::<Map<String, Value>>()
            });
            (cluster.to_owned(), Value::Object(objects))
        });
        json!({"iam": Map::from_iter(iam), "service-accounts": Map::from_iter(clusters)})
    }

    /// Everything that others own. ServiceAccounts are whole objects, including their resource versions.
    pub(crate) fn foreign(&self) -> Value {
        let mut all = self.state();
        let foreign = |name: &str| name.contains("foreign") || name.contains("Organization");
        for kinds in all["iam"].as_object_mut().into_iter().flat_map(|accounts| accounts.values_mut()) {
            for objects in kinds.as_object_mut().into_iter().flat_map(|kinds| kinds.values_mut()) {
                if let Some(objects) = objects.as_object_mut() {
                    objects.retain(|name, _| foreign(name));
                }
            }
        }
        for cluster in CLUSTERS {
            let objects = self.world.cluster(cluster).with(|store| {
                let all = store.all(Resource::ServiceAccounts).filter(|object| {
                    object["metadata"]["name"].as_str().is_some_and(|name| foreign(name) || name == "default")
                });
                all.cloned().collect::<Vec<_>>()
            });
            all["service-accounts"][cluster] = objects.into();
        }
        all
    }

    /// Applies again. After that nothing must be left to do.
    #[track_caller]
    pub(crate) fn converges(&self) {
        self.bench.converges();
    }
}

/// `namespace/name` of a ServiceAccount, and its fields with manager and value.
fn service_account(object: &Value) -> (String, Value) {
    let metadata = &object["metadata"];
    let text = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
    let managers = metadata["managedFields"].as_array().into_iter().flatten().map(|entry| {
        let name = format!("{} {}", entry["manager"], entry["operation"]);
        (name, entry["fieldsV1"].clone())
    });
    let shown = json!({
        "labels": metadata["labels"], "annotations": metadata["annotations"],
        "managers": managers.collect::<Map<_, _>>(),
    });
    (format!("{}/{}", text("namespace"), text("name")), shown)
}

/// Compares two states object by object, for a readable failure message.
#[track_caller]
pub(crate) fn same(live: &Value, wanted: &Value) {
    let mut different = Vec::new();
    differ("", live, wanted, &mut different);
    assert!(different.is_empty(), "{}", different.join("\n"));
}

fn differ(path: &str, live: &Value, wanted: &Value, different: &mut Vec<String>) {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            for key in live.keys().chain(wanted.keys()).collect::<BTreeSet<_>>() {
                let side = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                differ(&format!("{path} > {key}"), &side(live), &side(wanted), different);
            }
        }
        (live, wanted) if live != wanted => different.push(format!("{path}: {live}, not {wanted}")),
        _ => {}
    }
}
