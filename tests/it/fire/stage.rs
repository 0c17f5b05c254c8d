//! The starting state, the configuration to apply, and the objects of others for the fault tests.
//!
//! The apply makes every kind of change that irsa knows: objects are created, changed, adopted, moved and deleted, in
//! two accounts and three clusters. Objects of others stand beside ours and must stay the same at every moment.

use crate::support::given::{self, OtherPeople, document, document_with_list, ec2_trust};
use crate::support::inside::{Ended, Inside};
use crate::support::judge::{ACCOUNTS, Law, all_roles};
use crate::support::world::{FIRST, SECOND, create_namespace};
use irsa_sandbox::kubernetes::Resource;
use irsa_sandbox::{SandboxOptions, Snapshot};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// The clusters of the stage.
pub(crate) const CLUSTERS: [&str; 3] = ["data-eu", "shop-eu", "shop-us"];

/// The clusters that are declared before and after.
const DECLARED: [(&str, &str, &str); 2] = [("shop-eu", "one", "eu-west-1"), ("shop-us", "two", "us-east-1")];

const BEFORE: &str = r#"
[clusters.data-eu]
account = "one"
region = "eu-west-1"

[policies.read]
statements = [{ actions = ["sqs:ReceiveMessage"], resources = ["*"] }]
[policies.old]
statements = [{ actions = ["sqs:PurgeQueue"], resources = ["*"] }]
tags = { stage = "before" }
[policies.versions]
statements = [{ actions = ["s3:ListBucket"], resources = ["*"] }]
tags = { stage = "before", left = "yes" }
[policies.limits]
statements = [{ actions = ["s3:*", "sqs:*"], resources = ["*"] }]

[roles.grow]
account = "one"
cluster = "shop-eu"
service-accounts = ["shop/a"]
attach = ["read"]
description = "before"
tags = { stage = "before", left = "yes" }
[roles.grow.inline.own]
statements = [{ actions = ["s3:GetObject"], resources = ["*"] }]

[roles.shrink]
account = "one"
cluster = "shop-eu"
service-accounts = ["shop/b", "shop/c"]
attach = ["read", "old"]
permissions-boundary = "arn:aws:iam::111122223333:policy/bound"
[roles.shrink.inline.own]
statements = [{ actions = ["s3:GetObject", "s3:PutObject"], resources = ["*"] }]
[roles.shrink.inline.more]
statements = [{ actions = ["s3:DeleteObject"], resources = ["*"] }]

[roles.gone]
account = "one"
cluster = "shop-eu"
service-accounts = ["shop/g"]
attach = ["old"]
[roles.gone.inline.own]
statements = [{ actions = ["s3:GetObject"], resources = ["*"] }]

[roles.stay]
account = "one"
cluster = "shop-eu"
service-accounts = ["shop/s", "shop/x"]
[roles.stay.inline.own]
statements = [{ actions = ["s3:GetObject"], resources = ["*"] }]

[roles.held]
account = "one"
cluster = "shop-eu"
service-accounts = ["shop/k", "shop/l"]
permissions-boundary = "arn:aws:iam::111122223333:policy/irsa/fire/limits"
tags = { team = "a" }
[roles.held.inline.own]
statements = [
  { actions = ["s3:*", "sqs:*"], resources = ["*"] },
  { effect = "Deny", actions = ["s3:DeleteObject"], resources = ["*"] },
  { actions = ["dynamodb:GetItem"], resources = ["arn:aws:dynamodb:*:*:table/${aws:PrincipalTag/team}"] },
]

[roles.turn]
account = "one"
cluster = "shop-eu"
service-accounts = ["shop/m"]
attach = ["limits"]

[roles.wide]
account = "one"
cluster = ["shop-eu", "data-eu"]
service-accounts = ["shop/w"]

[roles.far]
account = "two"
cluster = "shop-us"
service-accounts = ["shop/f"]
attach = ["versions"]
"#;

const AFTER: &str = r#"
[clusters.data-eu]
account = "one"
region = "eu-west-1"
state = "gone"

[policies.read]
statements = [{ actions = ["sqs:ReceiveMessage"], resources = ["*"] }]
[policies.versions]
statements = [{ actions = ["s3:ListBucket", "s3:GetObject"], resources = ["*"] }]
tags = { stage = "after" }
[policies.limits]
statements = [
  { actions = ["s3:*", "dynamodb:*"], resources = ["*"] },
  { effect = "Deny", actions = ["s3:PutObject"], resources = ["*"] },
]
[policies.new]
statements = [{ actions = ["sqs:SendMessage"], resources = ["*"] }]

[roles.grow]
account = "one"
cluster = "shop-eu"
service-accounts = ["shop/a", "shop/d", "shop/x"]
attach = ["read", "new"]
description = "after"
max-session-duration = "2h"
permissions-boundary = "arn:aws:iam::111122223333:policy/bound"
tags = { stage = "after" }
[roles.grow.inline.own]
statements = [{ actions = ["s3:PutObject"], resources = ["*"] }]

[roles.shrink]
account = "one"
cluster = "shop-eu"
service-accounts = ["shop/b"]
attach = ["read"]
permissions-boundary = "none"
[roles.shrink.inline.own]
statements = [{ actions = ["s3:GetObject"], resources = ["*"] }]

[roles.stay]
account = "one"
cluster = "shop-eu"
service-accounts = ["shop/s"]
[roles.stay.inline.own]
statements = [{ actions = ["s3:GetObject"], resources = ["*"] }]

[roles.held]
account = "one"
cluster = "shop-eu"
service-accounts = ["shop/k"]
permissions-boundary = "arn:aws:iam::111122223333:policy/irsa/fire/limits"
tags = { team = "b" }
max-session-duration = "4h"
[roles.held.inline.own]
statements = [
  { actions = ["s3:*", "sqs:*"], resources = ["*"] },
  { actions = ["dynamodb:GetItem"], resources = ["arn:aws:dynamodb:*:*:table/${aws:PrincipalTag/team}"] },
]
[roles.held.inline.deny]
statements = [{ effect = "Deny", actions = ["s3:DeleteObject", "sqs:PurgeQueue"], resources = ["*"] }]

[roles.turn]
account = "one"
cluster = "shop-eu"
service-accounts = ["shop/m"]
attach = ["limits"]

[roles.wide]
account = "one"
cluster = "shop-eu"
service-accounts = ["shop/w"]

[roles.adopted]
account = "one"
cluster = "shop-eu"
adopt = true
path = "/"
service-accounts = ["shop/o"]

[roles.fresh]
account = "one"
cluster = "shop-eu"
service-accounts = ["shop/n"]
attach = ["new"]
permissions-boundary = "arn:aws:iam::111122223333:policy/bound"
[roles.fresh.inline.own]
statements = [{ actions = ["sqs:SendMessage"], resources = ["*"] }]
[[service-accounts]]
role = "fresh"
cluster = "shop-eu"
namespace = "shop"
name = "bare"
manage = "annotate"

[roles.far]
account = "two"
cluster = "shop-us"
service-accounts = ["shop/f", "shop/h"]
attach = ["versions"]
"#;

/// The state that matters: without times, ids and version numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct View {
    pub(crate) ours: BTreeMap<String, Value>,
    pub(crate) others: BTreeMap<String, Value>,
}

/// A sandbox with the starting state, and the expected states.
pub(crate) struct Stage {
    pub(crate) inside: Inside,
    pub(crate) before: View,
    pub(crate) after: View,
    /// Nobody may have access at any moment that they have neither before nor after.
    pub(crate) law: Arc<Law>,
    start: Mutex<Snapshot>,
}

/// Whether an object belongs to others, by its name.
fn is_others(name: &str) -> bool {
    name.contains("foreign") || name.contains("bound") || name.contains("OrganizationAccountAccessRole")
}

impl Stage {
    /// Creates the starting state, and applies once without faults to learn the final state.
    pub(crate) async fn set() -> Self {
        let inside = Inside::start(SandboxOptions::demo()).await;
        let head = given::head("fire", &DECLARED);
        inside.write("before.toml", &format!("{head}{BEFORE}"));
        inside.write("after.toml", &format!("{head}{AFTER}"));
        set_others(&inside);
        // the boundary must exist before the role that it bounds
        for only in ["policy/*", "*"] {
            let ended = inside.irsa(1, "before.toml", &["apply", "--auto-approve", "--only", only]).await;
            assert_eq!(ended.code, 0, "{ended}");
        }
        disturb(&inside);
        let start = Mutex::new(inside.sandbox.snapshot());
        let before = view(&inside);
        let mut ends = vec![all_roles(&inside.sandbox, &ACCOUNTS)];
        let ended = inside.irsa(1, "after.toml", &["apply", "--auto-approve"]).await;
        assert_eq!(ended.code, 0, "{ended}");
        let ended = inside.irsa(1, "after.toml", &["plan", "--detailed-exitcode"]).await;
        assert_eq!(ended.code, 0, "{ended}");
        let after = view(&inside);
        ends.push(all_roles(&inside.sandbox, &ACCOUNTS));
        assert_ne!(before.ours, after.ours);
        assert_eq!(before.others, after.others);
        Self { inside, before, after, law: Arc::new(Law::of(ends)), start }
    }

    /// Restores the state before the change.
    pub(crate) fn reset(&self) {
        self.inside.sandbox.restore(&self.start.lock().expect("nobody fails while holding it"));
        self.inside.dials.refuse(false, 0);
        self.inside.dials.refuse(true, 0);
        self.inside.sandbox.stale_reads(0);
    }

    /// Applies the new configuration.
    pub(crate) async fn apply(&self, seed: u64) -> Ended {
        self.inside.irsa(seed, "after.toml", &["apply", "--auto-approve"]).await
    }

    /// Plans the new configuration.
    pub(crate) async fn plan(&self, seed: u64) -> Ended {
        self.inside.irsa(seed, "after.toml", &["plan", "--detailed-exitcode"]).await
    }

    /// The objects of others, right now.
    pub(crate) fn others(&self) -> BTreeMap<String, Value> {
        view_of(&self.inside, iam(&self.inside), &is_others).others
    }

    pub(crate) fn view(&self) -> View {
        view(&self.inside)
    }
}

fn iam(inside: &Inside) -> BTreeMap<&'static str, Value> {
    [FIRST, SECOND].map(|account| (account, inside.sandbox.iam(account, |iam| iam.snapshot()))).into()
}

fn other_people<'a>(inside: &'a Inside, account: &'a str) -> OtherPeople<'a> {
    OtherPeople { sandbox: &inside.sandbox, account }
}

/// Creates the objects of others.
fn set_others(inside: &Inside) {
    for cluster in CLUSTERS {
        inside.sandbox.cluster(cluster).with(|store| {
            create_namespace(store, "shop");
            store.seed_service_account("shop", "bare", &[], "someone").expect("a ServiceAccount");
            let role = [("eks.amazonaws.com/role-arn", "arn:aws:iam::111122223333:role/foreign")];
            store.seed_service_account("shop", "foreign", &role, "someone").expect("a ServiceAccount");
        });
    }
    let issuer = inside.sandbox.cluster("shop-eu").issuer().to_owned();
    let host = issuer.trim_start_matches("https://");
    let trust = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": format!("arn:aws:iam::{FIRST}:oidc-provider/{host}")},
        "Condition": {"StringEquals": {
            format!("{host}:sub"): "system:serviceaccount:shop:foreign", format!("{host}:aud"): "sts.amazonaws.com"}},
    }});
    for account in [FIRST, SECOND] {
        let people = other_people(inside, account);
        people.create_policy("bound", &document("Allow", ["s3:*", "sqs:*"]));
        people.create_policy("foreign", &document("Allow", ["ec2:*"]));
        people.create_policy("foreign-guard", &document("Deny", ["s3:Get*", "sqs:*"]));
    }
    let people = other_people(inside, FIRST);
    let provider = [("Url", "https://foreign.example.com/id"), ("ClientIDList.member.1", "sts.amazonaws.com")];
    people.call("CreateOpenIDConnectProvider", &provider);
    people.create_role("foreign", &trust.to_string());
    let owned = [
        ("RoleName", "foreign-owned"),
        ("Path", "/irsa/fire/"),
        ("AssumeRolePolicyDocument", &ec2_trust()),
        ("Tags.member.1.Key", "irsa/owner"),
        ("Tags.member.1.Value", "another"),
    ];
    people.call("CreateRole", &owned);
    let arn = format!("arn:aws:iam::{FIRST}:policy/foreign");
    people.attach("foreign", &arn);
    people.create_role("adopted", &ec2_trust());
}

/// Changes that somebody made by hand since the last apply: the apply under test reverts them.
fn disturb(inside: &Inside) {
    let people = other_people(inside, FIRST);
    let host = inside.sandbox.cluster("shop-eu").issuer().trim_start_matches("https://").to_owned();
    let arn = format!("arn:aws:iam::{FIRST}:oidc-provider/{host}");
    let audience = [("OpenIDConnectProviderArn", arn.as_str()), ("ClientID", "sts.amazonaws.com")];
    people.call("RemoveClientIDFromOpenIDConnectProvider", &audience);
    let tag =
        [("OpenIDConnectProviderArn", arn.as_str()), ("Tags.member.1.Key", "by"), ("Tags.member.1.Value", "hand")];
    people.call("TagOpenIDConnectProvider", &tag);
    let guard = format!("arn:aws:iam::{FIRST}:policy/foreign-guard");
    for role in ["gone", "turn"] {
        people.attach(role, &guard);
    }
    let policy = format!("arn:aws:iam::{SECOND}:policy/irsa/fire/versions");
    let current = document_with_list("Allow", "s3:ListBucket");
    for _ in 0..4 {
        let version = [("PolicyArn", policy.as_str()), ("PolicyDocument", &current), ("SetAsDefault", "true")];
        other_people(inside, SECOND).call("CreatePolicyVersion", &version);
    }
}

fn view(inside: &Inside) -> View {
    view_of(inside, iam(inside), &|_| true)
}

/// The state of the objects whose names `asked` accepts, split into ours and those of others.
fn view_of(inside: &Inside, iam: BTreeMap<&'static str, Value>, asked: &dyn Fn(&str) -> bool) -> View {
    let mut view = View { ours: BTreeMap::new(), others: BTreeMap::new() };
    let mut put = |place: String, name: &str, value: Value| {
        let whose = if is_others(name) { &mut view.others } else { &mut view.ours };
        whose.insert(place, value);
    };
    for (account, iam) in iam {
        for (kind, objects) in iam.as_object().into_iter().flatten() {
            for (name, object) in objects.as_object().into_iter().flatten().filter(|(name, _)| asked(name)) {
                let mut object = object.clone();
                if kind == "policies" {
                    // the version number shows only how often an apply was tried
                    let default = object["default"].as_str().unwrap_or_default().to_owned();
                    object["document"] = object["versions"][default].clone();
                    let fields = object.as_object_mut().expect("an object");
                    fields.remove("versions");
                    fields.remove("default");
                }
                put(format!("{account} {kind} {name}"), name, object);
            }
        }
    }
    for cluster in CLUSTERS {
        inside.sandbox.cluster(cluster).with(|store| {
            for object in store.all(Resource::ServiceAccounts) {
                let meta = &object["metadata"];
                let name = meta["name"].as_str().unwrap_or_default();
                if !asked(name) {
                    continue;
                }
                let shown = json!({"labels": meta["labels"], "annotations": meta["annotations"]});
                let place = format!("{cluster} {}/{name}", meta["namespace"].as_str().unwrap_or_default());
                put(place, name, shown);
            }
        });
    }
    view
}

/// The differences between two states, for the failure message.
pub(crate) fn differences(one: &BTreeMap<String, Value>, other: &BTreeMap<String, Value>) -> Vec<String> {
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let shown = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    let differ = keys.into_iter().filter(|key| one.get(*key) != other.get(*key));
    differ.map(|key| format!("{key}: {} is {}", shown(one.get(key)), shown(other.get(key)))).collect()
}
