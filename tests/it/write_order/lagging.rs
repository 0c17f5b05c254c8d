//! A run trusts its own writes, whatever lagging reads return. Each part of an object in turn is read late during the
//! whole run: the final state is the same, and no access is widened on the way.

use super::scene::HEAD;
use crate::support::given::document_with_list;
use crate::support::inside::{self, Ended, Inside};
use crate::support::judge::{ACCOUNTS, Moment, Roles, Trail, all_roles};
use crate::support::program::tell;
use crate::support::world::FIRST;
use irsa_sandbox::aws::Item;
use irsa_sandbox::{ClusterSpec, SandboxOptions, Snapshot};
use std::fmt;

/// How many reads do not see a write: a few, and more than any run makes.
const LATE: [u32; 2] = [3, 100_000];

/// A named change of a configuration.
struct Change {
    name: &'static str,
    before: &'static str,
    after: &'static str,
}

/// Changes whose calls depend on each other in a cycle, so that a run writes something twice, or writes it and removes
/// it again; and some other changes.
const CHANGES: [Change; 8] = [
    Change {
        name: "trust and permissions are exchanged",
        before: r#"
[roles.r]
service-accounts = ["apps/stays", "apps/leaves"]
[roles.r.inline.own]
statements = [{ actions = ["s3:*"], resources = ["*"] }]
"#,
        after: r#"
[roles.r]
service-accounts = ["apps/stays", "apps/comes"]
[roles.r.inline.own]
statements = [{ actions = ["sqs:*"], resources = ["*"] }]
"#,
    },
    Change {
        name: "nobody keeps a role whose boundary and permissions are exchanged",
        before: r#"
[roles.r]
attach = ["aws:AmazonS3ReadOnlyAccess", "aws:AmazonSQSFullAccess"]
permissions-boundary = "arn:aws:iam::111122223333:policy/two"
service-accounts = ["apps/leaves"]
[roles.r.inline.own]
statements = [{ actions = ["s3:*"], resources = ["*"] }]
[roles.r.inline.kept]
statements = [{ actions = ["sns:*"], resources = ["*"] }]
"#,
        after: r#"
[roles.r]
attach = ["aws:AmazonS3ReadOnlyAccess", "aws:AmazonSNSReadOnlyAccess"]
permissions-boundary = "arn:aws:iam::111122223333:policy/one"
service-accounts = ["apps/comes"]
[roles.r.inline.own]
statements = [{ actions = ["s3:Get*", "sqs:*"], resources = ["*"] }]
[roles.r.inline.kept]
statements = [{ actions = ["sns:*"], resources = ["*"] }]
"#,
    },
    Change {
        name: "nobody keeps a role that changes its tags and its session",
        before: r#"
[roles.r]
attach = ["aws:AmazonS3ReadOnlyAccess"]
tags = { team = "a" }
service-accounts = ["apps/leaves"]
[roles.r.inline.kept]
statements = [{ actions = ["sns:*"], resources = ["*"] }]
"#,
        after: r#"
[roles.r]
attach = ["aws:AmazonS3ReadOnlyAccess"]
tags = { team = "b" }
max-session-duration = "4h"
service-accounts = ["apps/comes"]
[roles.r.inline.kept]
statements = [{ actions = ["sns:*"], resources = ["*"] }]
"#,
    },
    Change {
        name: "two inline policies give and take what the other takes and gives",
        before: r#"
[roles.r]
service-accounts = ["apps/r"]
[roles.r.inline.a]
statements = [
  { actions = ["s3:*", "sqs:*"], resources = ["*"] },
  { effect = "Deny", actions = ["s3:Delete*"], resources = ["*"] },
]
[roles.r.inline.b]
statements = [
  { actions = ["sns:*"], resources = ["*"] },
  { effect = "Deny", actions = ["sns:Delete*"], resources = ["*"] },
]
"#,
        after: r#"
[roles.r]
service-accounts = ["apps/r"]
[roles.r.inline.a]
statements = [
  { actions = ["s3:*", "sns:*"], resources = ["*"] },
  { effect = "Deny", actions = ["sns:Delete*"], resources = ["*"] },
]
[roles.r.inline.b]
statements = [
  { actions = ["sqs:*"], resources = ["*"] },
  { effect = "Deny", actions = ["s3:Delete*"], resources = ["*"] },
]
"#,
    },
    Change {
        name: "a managed policy gives and takes while another does the opposite",
        before: r#"
[policies.p]
statements = [
  { actions = ["s3:*"], resources = ["*"] },
  { effect = "Deny", actions = ["sqs:Delete*"], resources = ["*"] },
]
[roles.r]
attach = ["p", "aws:AmazonSQSFullAccess"]
tags = { team = "a" }
service-accounts = ["apps/r"]
"#,
        after: r#"
[policies.p]
statements = [
  { actions = ["s3:Get*", "iam:Get*"], resources = ["*"] },
  { effect = "Deny", actions = ["sqs:Purge*"], resources = ["*"] },
]
[roles.r]
attach = ["p", "aws:AmazonSQSReadOnlyAccess"]
tags = { team = "b", more = "c" }
service-accounts = ["apps/r"]
"#,
    },
    Change {
        name: "a boundary and tags change together",
        before: r#"
[roles.r]
permissions-boundary = "arn:aws:iam::111122223333:policy/one"
tags = { team = "a" }
service-accounts = ["apps/r"]
[roles.r.inline.own]
statements = [{ actions = ["s3:*", "sqs:*"], resources = ["*"] }]
"#,
        after: r#"
[roles.r]
permissions-boundary = "arn:aws:iam::111122223333:policy/two"
tags = { team = "b" }
max-session-duration = "2h"
service-accounts = ["apps/r"]
[roles.r.inline.own]
statements = [{ actions = ["s3:*", "sqs:*"], resources = ["*"] }]
"#,
    },
    Change {
        name: "a ServiceAccount moves from one role to another, and both change",
        before: r#"
[roles.one]
attach = ["aws:AmazonS3FullAccess"]
service-accounts = ["apps/one", "apps/moves"]
[roles.two]
attach = ["aws:AmazonSQSFullAccess"]
service-accounts = ["apps/two", "apps/leaves"]
"#,
        after: r#"
[roles.one]
attach = ["aws:AmazonS3ReadOnlyAccess"]
service-accounts = ["apps/one"]
[roles.two]
attach = ["aws:AmazonSNSReadOnlyAccess"]
service-accounts = ["apps/two", "apps/moves"]
"#,
    },
    Change {
        name: "a role and a policy go",
        before: r#"
[policies.p]
statements = [{ actions = ["s3:*"], resources = ["*"] }]
[roles.r]
attach = ["p", "arn:aws:iam::111122223333:policy/three"]
service-accounts = ["apps/r"]
[roles.r.inline.own]
statements = [{ effect = "Deny", actions = ["s3:Delete*"], resources = ["*"] }]
[roles.stays]
attach = ["aws:AmazonS3ReadOnlyAccess"]
service-accounts = ["apps/stays"]
"#,
        after: r#"
[roles.stays]
attach = ["aws:AmazonS3ReadOnlyAccess"]
service-accounts = ["apps/stays"]
"#,
    },
];

/// The parts of an object that a write changed.
fn items(moment: &Moment) -> Vec<Item> {
    let object = || moment.object.clone();
    let parts = moment.parts.iter().cloned();
    match moment.action.as_str() {
        "UpdateAssumeRolePolicy" => vec![Item::Trust(object())],
        "UpdateRole" => vec![Item::Details(object())],
        "PutRolePermissionsBoundary" | "DeleteRolePermissionsBoundary" => vec![Item::Boundary(object())],
        "PutRolePolicy" | "DeleteRolePolicy" => parts.map(|name| Item::Inline(object(), name)).collect(),
        "AttachRolePolicy" | "DetachRolePolicy" => parts.map(|arn| Item::Attached(object(), arn)).collect(),
        "TagRole" | "UntagRole" => parts.map(|key| Item::RoleTag(object(), key)).collect(),
        "CreatePolicyVersion" | "DeletePolicyVersion" | "SetDefaultPolicyVersion" => vec![Item::Document(object())],
        "TagPolicy" | "UntagPolicy" => parts.map(|key| Item::PolicyTag(object(), key)).collect(),
        // creating or deleting a whole object changes no part
        "DeleteRole" | "DeletePolicy" | "CreateRole" | "CreatePolicy" => Vec::new(),
        other => panic!("{other} is not among the writes of these changes"),
    }
}

/// The sandbox before a change.
struct Start {
    inside: Inside,
    snapshot: Snapshot,
}

/// The result of a run.
struct Outcome {
    ended: Ended,
    trail: Trail,
    roles: Roles,
    policies: serde_json::Value,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let writes: Vec<String> = self.trail.moments().iter().map(Moment::what).collect();
        write!(f, "{writes:?}\n{}", self.ended)
    }
}

impl Start {
    async fn of(change: &Change) -> Self {
        let clusters = vec![ClusterSpec::new("main", FIRST, "eu-west-1").with_namespaces(&["apps"])];
        let inside = Inside::start(SandboxOptions { clusters, ..SandboxOptions::empty() }).await;
        for (name, effect, action) in [("one", "Allow", "s3:*"), ("two", "Allow", "sqs:*"), ("three", "Deny", "iam:*")]
        {
            let fields = [("PolicyName", name), ("PolicyDocument", &document_with_list(effect, action))];
            inside.sandbox.iam_call(FIRST, "CreatePolicy", &fields).expect("a policy");
        }
        inside.write("before.toml", &format!("{HEAD}{}", change.before));
        inside.write("after.toml", &format!("{HEAD}{}", change.after));
        let ended = inside.irsa(1, "before.toml", &["apply", "--auto-approve", "--deny", "none"]).await;
        assert_eq!(ended.code, 0, "{ended}");
        let snapshot = inside.sandbox.snapshot();
        Self { inside, snapshot }
    }

    /// Applies the change while reads of this item are late.
    async fn apply(&self, late: Option<(&Item, u32)>) -> Outcome {
        let sandbox = &self.inside.sandbox;
        sandbox.restore(&self.snapshot);
        if let Some((item, reads)) = late {
            sandbox.stale_item(FIRST, item.clone(), reads);
        }
        let trail = Trail::begin(sandbox);
        let ended = self.inside.irsa(7, "after.toml", &["apply", "--auto-approve", "--deny", "none"]).await;
        sandbox.witness(None);
        sandbox.stale_reads(0);
        let mut policies = sandbox.iam(FIRST, |iam| iam.snapshot())["policies"].clone();
        for policy in policies.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
            let default = policy["default"].as_str().unwrap_or_default().to_owned();
            // the number of versions does not matter
            policy["versions"] = policy["versions"][default].clone();
            policy["default"] = serde_json::Value::Null;
        }
        Outcome { ended, trail, roles: all_roles(sandbox, &ACCOUNTS), policies }
    }
}

#[test]
fn late_reads_of_any_item_do_not_change_the_result() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for change in &CHANGES {
        inside::runtime().block_on(async {
            let start = Start::of(change).await;
            let undisturbed = start.apply(None).await;
            assert_eq!(undisturbed.ended.code, 0, "{}: {undisturbed}", change.name);
            let ends = vec![undisturbed.trail.before().clone(), undisturbed.roles.clone()];
            let mut all: Vec<Item> = Vec::new();
            for item in undisturbed.trail.moments().iter().flat_map(items) {
                if !all.contains(&item) {
                    all.push(item);
                }
            }
            assert!(!all.is_empty(), "{undisturbed}");
            // other tests report a change that widens access without late reads
            let lawful = undisturbed.trail.broken(ends.clone()).is_empty();
            for (item, reads) in all.iter().flat_map(|item| LATE.map(|reads| (item, reads))) {
                count += 1;
                let outcome = start.apply(Some((item, reads))).await;
                let mut tell =
                    |what: &str| wrong.push(format!("{}, {item:?} for {reads} reads: {what}: {outcome}", change.name));
                if outcome.ended.code != 0 {
                    tell("it fails");
                } else if (&outcome.roles, &outcome.policies) != (&undisturbed.roles, &undisturbed.policies) {
                    tell("it comes to something else");
                }
                if let Some(line) = outcome.trail.broken(ends.clone()).first().filter(|_| lawful) {
                    tell(&format!("wider, {line}"));
                }
            }
        });
    }
    tell(&format!("write order: {count} items seen late in {} changes", CHANGES.len()));
    let shown: Vec<&String> = wrong.iter().take(4).collect();
    assert!(wrong.is_empty(), "{} are wrong:\n{shown:#?}", wrong.len());
}
