//! `irsa drift` as cron runs it: it reports nothing while IAM's replicas lag, and reports every change that somebody
//! made.

use crate::support::given::{OtherPeople, document, ec2_trust};
use crate::support::inside::{self, Inside};
use crate::support::program::tell;
use crate::support::world::FIRST;
use irsa_sandbox::kubernetes::{Preconditions, Resource};
use irsa_sandbox::{ClusterSpec, SandboxOptions, Snapshot};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The number of runs with stale reads, unless `IRSA_TEST_DRIFTS` sets it.
const RUNS: u64 = 1_000;

const CONFIGURATION: &str = r#"
owner = "watched"
[accounts.one]
id = "111122223333"
[clusters.main]
account = "one"
region = "eu-west-1"
[policies.read]
statements = [{ actions = ["sqs:ReceiveMessage"], resources = ["*"] }]
tags = { team = "queues" }
[policies.bound]
statements = [{ actions = ["sqs:*", "s3:*"], resources = ["*"] }]
[roles.app]
description = "of the shop"
max-session-duration = "2h"
tags = { team = "shop", stage = "live" }
attach = ["read", "aws:AmazonSQSReadOnlyAccess"]
permissions-boundary = "arn:aws:iam::111122223333:policy/irsa/watched/bound"
service-accounts = ["shop/app", "shop/worker"]
[roles.app.inline.own]
statements = [
  { actions = ["s3:GetObject"], resources = ["arn:aws:s3:::shop/*"], conditions = { Bool = { "aws:SecureTransport" = "true" } } },
  { effect = "Deny", actions = ["s3:DeleteObject"], resources = ["*"] },
]
[roles.quiet]
attach = ["bound"]
[[service-accounts]]
role = "quiet"
namespace = "shop"
name = "quiet"
audience = "sts.amazonaws.com"
token-expiration = "12h"
sts-regional-endpoints = true
"#;

const APP: (&str, &str) = ("RoleName", "app");
const READ: (&str, &str) = ("PolicyArn", "arn:aws:iam::111122223333:policy/irsa/watched/read");

struct Watched {
    inside: Inside,
    start: Snapshot,
}

impl Watched {
    async fn set() -> Self {
        let clusters = vec![ClusterSpec::new("main", FIRST, "eu-west-1").with_namespaces(&["shop"])];
        let inside = Inside::start(SandboxOptions { clusters, ..SandboxOptions::empty() }).await;
        inside.write("irsa.toml", CONFIGURATION);
        // the boundary must exist before the role that it bounds
        for only in ["policy/*", "*"] {
            let ended = inside.irsa(1, "irsa.toml", &["apply", "--auto-approve", "--only", only]).await;
            assert_eq!(ended.code, 0, "{ended}");
        }
        let start = inside.sandbox.snapshot();
        Self { inside, start }
    }

    fn host(&self) -> String {
        self.inside.sandbox.cluster("main").issuer().trim_start_matches("https://").to_owned()
    }

    fn provider(&self) -> String {
        format!("arn:aws:iam::{FIRST}:oidc-provider/{}", self.host())
    }

    fn iam(&self, action: &str, fields: &[(&str, &str)]) {
        OtherPeople { sandbox: &self.inside.sandbox, account: FIRST }.call(action, fields);
    }

    /// Changes the trust policy of `app`.
    fn trust(&self, change: impl FnOnce(&mut Value, &str)) {
        let roles = self.inside.sandbox.iam(FIRST, |iam| iam.snapshot());
        let mut trust = roles["roles"]["app"]["trust"].clone();
        change(&mut trust, &self.host());
        self.iam("UpdateAssumeRolePolicy", &[APP, ("PolicyDocument", &trust.to_string())]);
    }

    /// Changes the inline policy of `app`.
    fn inline(&self, change: impl FnOnce(&mut Value)) {
        let roles = self.inside.sandbox.iam(FIRST, |iam| iam.snapshot());
        let text = roles["roles"]["app"]["inline"]["own"].as_str().expect("a policy").to_owned();
        let mut document: Value = serde_json::from_str(&text).expect("JSON");
        change(&mut document);
        self.iam("PutRolePolicy", &[APP, ("PolicyName", "own"), ("PolicyDocument", &document.to_string())]);
    }

    fn tag(&self, role: &str, key: &str, value: &str) {
        self.iam("TagRole", &[("RoleName", role), ("Tags.member.1.Key", key), ("Tags.member.1.Value", value)]);
    }

    fn untag(&self, role: &str, key: &str) {
        self.iam("UntagRole", &[("RoleName", role), ("TagKeys.member.1", key)]);
    }

    fn edit(&self, name: &str, change: impl FnOnce(&mut Value)) {
        self.inside.sandbox.cluster("main").with(|store| {
            let edited = store.edit(Resource::ServiceAccounts, "shop", name, "kubectl-edit", |object| {
                change(&mut object["metadata"]);
            });
            edited.unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        });
    }

    fn delete_app(&self) {
        for arn in [READ.1, "arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess"] {
            self.iam("DetachRolePolicy", &[APP, ("PolicyArn", arn)]);
        }
        self.iam("DeleteRolePolicy", &[APP, ("PolicyName", "own")]);
        self.iam("DeleteRole", &[APP]);
    }

    fn make_role(&self, name: &str, owner: Option<&str>) {
        let trust = ec2_trust();
        let mut fields =
            vec![("RoleName", name), ("Path", "/irsa/watched/"), ("AssumeRolePolicyDocument", trust.as_str())];
        if let Some(owner) = owner {
            fields.extend([("Tags.member.1.Key", "irsa/owner"), ("Tags.member.1.Value", owner)]);
        }
        self.iam("CreateRole", &fields);
    }
}

/// A change by hand: its description, the address that drift must report, and the change.
type Tampering = (&'static str, &'static str, fn(&Watched));

/// Every kind of change that somebody can make outside irsa.
const TAMPERINGS: [Tampering; 46] = [
    ("a subject more in the trust policy", "role/app", |w| {
        w.trust(|trust, host| {
            trust["Statement"][0]["Condition"]["StringEquals"][format!("{host}:sub")] = json!([
                "system:serviceaccount:shop:app",
                "system:serviceaccount:shop:worker",
                "system:serviceaccount:x:y"
            ]);
        });
    }),
    ("a subject less", "role/app", |w| {
        w.trust(|trust, host| {
            trust["Statement"][0]["Condition"]["StringEquals"][format!("{host}:sub")] =
                json!("system:serviceaccount:shop:app");
        });
    }),
    ("another subject", "role/app", |w| {
        w.trust(|trust, host| {
            trust["Statement"][0]["Condition"]["StringEquals"][format!("{host}:sub")] =
                json!(["system:serviceaccount:shop:app", "system:serviceaccount:shop:intruder"]);
        });
    }),
    ("another audience", "role/app", |w| {
        w.trust(|trust, host| {
            trust["Statement"][0]["Condition"]["StringEquals"][format!("{host}:aud")] = json!("vault");
        });
    }),
    ("no audience", "role/app", |w| {
        w.trust(|trust, host| {
            let keys = trust["Statement"][0]["Condition"]["StringEquals"].as_object_mut().expect("keys");
            keys.remove(&format!("{host}:aud"));
        });
    }),
    ("StringLike in place of StringEquals", "role/app", |w| {
        w.trust(|trust, _| {
            let keys = trust["Statement"][0]["Condition"]["StringEquals"].take();
            trust["Statement"][0]["Condition"] = json!({"StringLike": keys});
        });
    }),
    ("a statement more, for a whole account", "role/app", |w| {
        w.trust(|trust, _| {
            let root = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "111122223333"}});
            trust["Statement"].as_array_mut().expect("statements").push(root);
        });
    }),
    ("a statement that denies", "role/app", |w| {
        w.trust(|trust, _| {
            let deny = json!({"Effect": "Deny", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": "*"});
            trust["Statement"].as_array_mut().expect("statements").push(deny);
        });
    }),
    ("sts:TagSession allowed as well", "role/app", |w| {
        w.trust(|trust, _| {
            trust["Statement"][0]["Action"] = json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]);
        });
    }),
    ("a trust policy of something else", "role/app", |w| {
        w.trust(|trust, _| {
            trust["Statement"] =
                json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}});
        });
    }),
    ("a wider action inline", "role/app", |w| w.inline(|own| own["Statement"][0]["Action"] = json!("s3:*"))),
    ("a wider resource inline", "role/app", |w| w.inline(|own| own["Statement"][0]["Resource"] = json!("*"))),
    ("another resource inline by case alone", "role/app", |w| {
        w.inline(|own| own["Statement"][0]["Resource"] = json!("arn:aws:s3:::Shop/*"));
    }),
    ("a condition less inline", "role/app", |w| {
        w.inline(|own| {
            own["Statement"][0].as_object_mut().expect("a statement").remove("Condition");
        });
    }),
    ("a condition value inline", "role/app", |w| {
        w.inline(|own| own["Statement"][0]["Condition"]["Bool"]["aws:SecureTransport"] = json!("false"));
    }),
    ("a Deny less inline", "role/app", |w| {
        w.inline(|own| {
            own["Statement"].as_array_mut().expect("statements").pop();
        });
    }),
    ("the older policy language inline", "role/app", |w| w.inline(|own| own["Version"] = json!("2008-10-17"))),
    ("an inline policy less", "role/app", |w| w.iam("DeleteRolePolicy", &[APP, ("PolicyName", "own")])),
    ("an inline policy more", "role/app", |w| {
        w.iam("PutRolePolicy", &[APP, ("PolicyName", "more"), ("PolicyDocument", &document("Allow", "iam:*"))]);
    }),
    ("an attachment more", "role/app", |w| {
        w.iam("AttachRolePolicy", &[APP, ("PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess")]);
    }),
    ("an attachment less", "role/app", |w| w.iam("DetachRolePolicy", &[APP, READ])),
    ("an attachment of AWS's own less", "role/app", |w| {
        w.iam("DetachRolePolicy", &[APP, ("PolicyArn", "arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess")]);
    }),
    ("no boundary", "role/app", |w| w.iam("DeleteRolePermissionsBoundary", &[APP])),
    ("another boundary", "role/app", |w| {
        w.iam(
            "PutRolePermissionsBoundary",
            &[APP, ("PermissionsBoundary", "arn:aws:iam::aws:policy/AdministratorAccess")],
        );
    }),
    ("another description", "role/app", |w| {
        w.iam("UpdateRole", &[APP, ("Description", "of nobody"), ("MaxSessionDuration", "7200")]);
    }),
    ("longer sessions", "role/app", |w| {
        w.iam("UpdateRole", &[APP, ("Description", "of the shop"), ("MaxSessionDuration", "43200")]);
    }),
    ("another tag value", "role/app", |w| w.tag("app", "team", "thieves")),
    ("a tag more", "role/app", |w| w.tag("app", "access", "all")),
    ("a tag less", "role/app", |w| w.untag("app", "stage")),
    ("another owner", "role/app", |w| w.tag("app", "irsa/owner", "somebody")),
    ("no owner", "role/app", |w| w.untag("app", "irsa/owner")),
    ("another address", "role/app", |w| w.tag("app", "irsa/address", "role/other")),
    ("the role is gone", "role/app", Watched::delete_app),
    ("the role was made anew by hand", "role/app", |w| {
        w.delete_app();
        w.make_role("app", None);
    }),
    ("another default version of a policy", "policy/one/read", |w| {
        w.iam(
            "CreatePolicyVersion",
            &[READ, ("PolicyDocument", &document("Allow", "sqs:*")), ("SetAsDefault", "true")],
        );
    }),
    ("a tag of a policy", "policy/one/read", |w| {
        w.iam("TagPolicy", &[READ, ("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "thieves")]);
    }),
    ("a policy is gone", "policy/one/read", |w| {
        w.iam("DetachRolePolicy", &[APP, READ]);
        w.iam("DeletePolicy", &[READ]);
    }),
    ("a provider without its audience", "oidc-provider/one/main", |w| {
        let arn = w.provider();
        let audience = [("OpenIDConnectProviderArn", arn.as_str()), ("ClientID", "sts.amazonaws.com")];
        w.iam("RemoveClientIDFromOpenIDConnectProvider", &audience);
    }),
    ("a provider is gone", "oidc-provider/one/main", |w| {
        w.iam("DeleteOpenIDConnectProvider", &[("OpenIDConnectProviderArn", &w.provider())]);
    }),
    ("an annotation points elsewhere", "service-account/main/shop/app", |w| {
        w.edit("app", |meta| {
            meta["annotations"]["eks.amazonaws.com/role-arn"] = json!("arn:aws:iam::111122223333:role/x");
        });
    }),
    ("an annotation is gone", "service-account/main/shop/app", |w| {
        w.edit("app", |meta| {
            meta["annotations"].as_object_mut().expect("annotations").remove("eks.amazonaws.com/role-arn");
        });
    }),
    ("a longer token", "service-account/main/shop/quiet", |w| {
        w.edit("quiet", |meta| meta["annotations"]["eks.amazonaws.com/token-expiration"] = json!("86400"));
    }),
    ("another endpoint of STS", "service-account/main/shop/quiet", |w| {
        w.edit("quiet", |meta| meta["annotations"]["eks.amazonaws.com/sts-regional-endpoints"] = json!("false"));
    }),
    ("a ServiceAccount is gone", "service-account/main/shop/worker", |w| {
        w.inside.sandbox.cluster("main").with(|store| {
            let gone = store.delete(Resource::ServiceAccounts, "shop", "worker", &Preconditions::default(), false);
            gone.expect("it was there");
        });
    }),
    ("a role with our mark that is not declared", "orphan/one/role/stray", |w| w.make_role("stray", Some("watched"))),
    ("a policy with our mark that is not declared", "orphan/one/policy/stray", |w| {
        let tag = [("Tags.member.1.Key", "irsa/owner"), ("Tags.member.1.Value", "watched")];
        let policy =
            [("PolicyName", "stray"), ("Path", "/irsa/watched/"), ("PolicyDocument", &document("Allow", "s3:*"))];
        w.iam("CreatePolicy", &[policy, [tag[0], tag[1], ("Description", "")]].concat());
    }),
];

#[test]
fn every_change_made_by_hand_is_reported_with_its_address() {
    inside::runtime().block_on(async {
        let watched = Watched::set().await;
        let mut missed = Vec::new();
        for (what, address, tamper) in TAMPERINGS {
            watched.inside.sandbox.restore(&watched.start);
            tamper(&watched);
            let ended = watched.inside.irsa(1, "irsa.toml", &["drift"]).await;
            // drift refuses an object that now has another owner (exit 4), which is more than a difference (exit 2)
            if ![2, 4].contains(&ended.code) || !ended.text().contains(address) {
                missed.push(format!("{what}: {ended}"));
            }
        }
        tell(&format!("drift: {} of {} tamperings found", TAMPERINGS.len() - missed.len(), TAMPERINGS.len()));
        assert!(missed.is_empty(), "{}", missed.join("\n"));
    });
}

/// Somebody changes something and reverts it, or irsa itself has just applied: drift must report nothing, whatever the
/// lagging replicas return.
#[test]
fn stale_reads_are_no_drift() {
    let runs =
        std::env::var("IRSA_TEST_DRIFTS").map_or(RUNS, |text| text.parse().expect("IRSA_TEST_DRIFTS is a number"));
    inside::runtime().block_on(async {
        let watched = Watched::set().await;
        let sandbox = &watched.inside.sandbox;
        let mut alone = 0;
        let mut wrong = BTreeMap::new();
        for seed in 0..runs {
            let mut random = fastrand::Rng::with_seed(seed);
            sandbox.restore(&watched.start);
            sandbox.stale_reads(0);
            let reads = [1, 3, 10][random.usize(..3)];
            // stale reads return the state between the change and its revert
            match random.u8(..4) {
                0 => {
                    watched.tag("app", "by", "hand");
                    sandbox.stale_reads(reads);
                    watched.untag("app", "by");
                }
                1 => {
                    let document = document("Allow", "s3:*");
                    let policy = [APP, ("PolicyName", "more"), ("PolicyDocument", document.as_str())];
                    watched.iam("PutRolePolicy", &policy);
                    sandbox.stale_reads(reads);
                    watched.iam("DeleteRolePolicy", &policy[..2]);
                }
                2 => {
                    watched.iam("DetachRolePolicy", &[APP, READ]);
                    sandbox.stale_reads(reads);
                    watched.iam("AttachRolePolicy", &[APP, READ]);
                }
                _ => {
                    watched.inline(|own| own["Statement"][0]["Action"] = json!("s3:*"));
                    sandbox.stale_reads(reads);
                    watched.inline(|own| own["Statement"][0]["Action"] = json!("s3:GetObject"));
                }
            }
            sandbox.gate().forget();
            let ended = watched.inside.irsa(seed, "irsa.toml", &["drift"]).await;
            let looks = sandbox.log().iter().filter(|record| record.call.action == "ListRoles").count();
            alone += usize::from(looks == 2);
            if ended.code != 0 || !ended.stdout.is_empty() {
                wrong.insert(seed, ended.to_string());
            }
        }
        sandbox.stale_reads(0);
        tell(&format!(
            "drift: {} false alarms in {runs} runs, {alone} of which were shown something stale first",
            wrong.len()
        ));
        assert!(wrong.is_empty(), "{:?}", wrong.first_key_value());
        assert!(alone as u64 * 10 > runs, "stale reads hardly ever showed: {alone} of {runs}");
    });
}
