//! Pairs of changes that depend on each other: each is safe alone, but access is widened on the way if one does not
//! wait for the other.

use super::scene::{Judged, PARALLEL, Scene, notes};
use crate::support::given::document_with_list;
use crate::support::world::FIRST;

/// A change of a configuration, a manual change before it, and the calls to delay: those that remove access.
struct Change {
    before: &'static str,
    hand: fn(&Scene),
    after: &'static str,
    held_up: &'static [&'static str],
}

impl Change {
    /// Applies the change in a sandbox of its own.
    fn apply(&self, parallel: &str) -> (Scene, Judged) {
        let scene = Scene::of(self.before);
        (self.hand)(&scene);
        scene.declare(self.after);
        for action in self.held_up {
            scene.hold_up(action);
        }
        let judged = scene.apply(&["--parallelism", parallel]);
        scene.world.allow_all();
        (scene, judged)
    }

    #[track_caller]
    fn is_lawful(&self) {
        for parallel in PARALLEL {
            let (scene, judged) = self.apply(parallel);
            judged.is_lawful().ends(0);
            scene.is_settled();
        }
    }
}

#[test]
fn policy_grows_after_its_role_attached_a_new_deny() {
    let change = Change {
        before: r#"
[policies.p]
statements = [{ actions = ["s3:Get*"], resources = ["*"] }]
[roles.r]
attach = ["p"]
cluster = "main"
service-accounts = ["apps/r"]
"#,
        hand: |_| {},
        after: r#"
[policies.p]
statements = [{ actions = ["s3:*"], resources = ["*"] }]
[policies.g]
statements = [{ effect = "Deny", actions = ["s3:Delete*"], resources = ["*"] }]
[roles.r]
attach = ["p", "g"]
cluster = "main"
service-accounts = ["apps/r"]
"#,
        held_up: &["CreatePolicy", "AttachRolePolicy"],
    };
    change.is_lawful();
}

#[test]
fn boundary_grows_after_its_role_lost_what_the_boundary_blocked() {
    let change = Change {
        before: r#"
[policies.bound]
statements = [{ actions = ["s3:*"], resources = ["*"] }]
[roles.keeper]
attach = ["bound"]
cluster = "main"
service-accounts = ["apps/keeper"]
[roles.r]
attach = ["aws:AdministratorAccess"]
permissions-boundary = "arn:aws:iam::111122223333:policy/irsa/order/bound"
cluster = "main"
service-accounts = ["apps/r"]
"#,
        hand: |_| {},
        after: r#"
[policies.bound]
statements = [{ actions = ["*"], resources = ["*"] }]
[roles.keeper]
attach = ["bound"]
cluster = "main"
service-accounts = ["apps/keeper"]
[roles.r]
attach = ["aws:AmazonS3ReadOnlyAccess"]
permissions-boundary = "arn:aws:iam::111122223333:policy/irsa/order/bound"
cluster = "main"
service-accounts = ["apps/r"]
"#,
        held_up: &["DetachRolePolicy"],
    };
    change.is_lawful();
}

#[test]
fn policy_grows_after_its_role_got_its_first_boundary() {
    let change = Change {
        before: r#"
[policies.p]
statements = [{ actions = ["s3:Get*"], resources = ["*"] }]
[roles.r]
attach = ["p"]
cluster = "main"
service-accounts = ["apps/r"]
"#,
        hand: |scene| scene.foreign("limits", "Allow", "s3:*"),
        after: r#"
[policies.p]
statements = [{ actions = ["s3:Get*", "iam:*"], resources = ["*"] }]
[roles.r]
attach = ["p"]
permissions-boundary = "arn:aws:iam::111122223333:policy/limits"
cluster = "main"
service-accounts = ["apps/r"]
"#,
        held_up: &["PutRolePermissionsBoundary"],
    };
    change.is_lawful();
}

/// A policy without a version uses the older policy language. Its denies count like those of the newer one.
#[test]
fn deny_of_a_policy_without_version_moves_without_a_gap() {
    let change = Change {
        before: r#"
[roles.r]
cluster = "main"
service-accounts = ["apps/r"]
[roles.r.inline.all]
statements = [{ actions = ["s3:*"], resources = ["*"] }]
[roles.r.inline.a]
json = '{"Statement": [{"Effect": "Deny", "Action": "s3:Delete*", "Resource": "*"}]}'
"#,
        hand: |_| {},
        after: r#"
[roles.r]
cluster = "main"
service-accounts = ["apps/r"]
[roles.r.inline.all]
statements = [{ actions = ["s3:*"], resources = ["*"] }]
[roles.r.inline.b]
json = '{"Statement": [{"Effect": "Deny", "Action": "s3:Delete*", "Resource": "*"}]}'
"#,
        held_up: &["PutRolePolicy"],
    };
    change.is_lawful();
}

const DELETED: &str = r#"
[roles.r]
attach = ["aws:AmazonS3FullAccess"]
cluster = "main"
service-accounts = ["apps/r"]
[roles.r.inline.more]
statements = [{ actions = ["iam:CreateUser"], resources = ["*"] }]
[roles.stays]
attach = ["aws:AmazonSQSReadOnlyAccess"]
cluster = "main"
service-accounts = ["apps/stays"]
"#;
const DELETED_AFTER: &str = r#"
[roles.stays]
attach = ["aws:AmazonSQSReadOnlyAccess"]
cluster = "main"
service-accounts = ["apps/stays"]
"#;

#[test]
fn deleted_role_keeps_the_aws_quarantine_policy_until_last() {
    let change = Change {
        before: DELETED,
        hand: |scene| scene.attach("r", "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"),
        after: DELETED_AFTER,
        held_up: &["DeleteRolePolicy"],
    };
    change.is_lawful();
}

#[test]
fn deleted_role_keeps_attached_denies_of_others_until_last() {
    let change = Change {
        before: DELETED,
        hand: |scene| {
            scene.foreign("a-stop", "Deny", "*");
            scene.attach("r", &format!("arn:aws:iam::{FIRST}:policy/a-stop"));
        },
        after: DELETED_AFTER,
        held_up: &["DeleteRolePolicy"],
    };
    change.is_lawful();
}

#[test]
fn deleted_role_keeps_inline_denies_of_others_until_last() {
    let change = Change {
        before: DELETED,
        hand: |scene| {
            let deny = document_with_list("Deny", "*");
            scene.iam("PutRolePolicy", &[("RoleName", "r"), ("PolicyName", "a-stop"), ("PolicyDocument", &deny)]);
        },
        after: DELETED_AFTER,
        held_up: &["DetachRolePolicy"],
    };
    change.is_lawful();
}

/// The policy both allows and denies. Only its deny stops the role's other policy.
#[test]
fn deleted_role_keeps_a_policy_that_allows_and_denies_until_last() {
    let change = Change {
        before: DELETED,
        hand: |scene| {
            let both = r#"{"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"},
                {"Effect": "Deny", "Action": ["s3:*", "iam:*"], "Resource": "*"}]}"#;
            scene.iam("CreatePolicy", &[("PolicyName", "a-both"), ("PolicyDocument", both)]);
            scene.attach("r", &format!("arn:aws:iam::{FIRST}:policy/a-both"));
        },
        after: DELETED_AFTER,
        held_up: &["DeleteRolePolicy"],
    };
    change.is_lawful();
}

#[test]
fn tags_and_longer_session_are_written_after_trust_is_narrowed() {
    let change = Change {
        before: r#"
[roles.r]
cluster = "main"
service-accounts = ["apps/stays", "apps/leaves"]
tags = { team = "a" }
[roles.r.inline.own]
statements = [{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::${aws:PrincipalTag/team}/*"] }]
"#,
        hand: |_| {},
        after: r#"
[roles.r]
cluster = "main"
service-accounts = ["apps/stays"]
tags = { team = "b" }
max-session-duration = "12h"
[roles.r.inline.own]
statements = [{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::${aws:PrincipalTag/team}/*"] }]
"#,
        held_up: &["UpdateAssumeRolePolicy"],
    };
    change.is_lawful();
}

/// The same policy is the boundary of one role and is attached to others: a statement that one role gains can limit
/// another.
#[test]
fn policy_that_is_also_a_boundary_changes_in_order_for_each_role() {
    let change = Change {
        before: r#"
[policies.bound]
statements = [{ actions = ["s3:*", "sqs:*"], resources = ["*"] }]
[roles.attaches]
attach = ["bound"]
cluster = "main"
service-accounts = ["apps/attaches", "apps/leaves"]
[roles.bounded]
attach = ["aws:AdministratorAccess", "bound"]
permissions-boundary = "arn:aws:iam::111122223333:policy/irsa/order/bound"
cluster = "main"
service-accounts = ["apps/bounded"]
"#,
        hand: |_| {},
        after: r#"
[policies.bound]
statements = [{ actions = ["s3:*", "iam:*"], resources = ["*"] }]
[policies.g]
statements = [{ effect = "Deny", actions = ["iam:CreateUser"], resources = ["*"] }]
[roles.attaches]
attach = ["bound", "g"]
cluster = "main"
service-accounts = ["apps/attaches"]
[roles.bounded]
attach = ["aws:AmazonSQSFullAccess", "bound"]
permissions-boundary = "arn:aws:iam::111122223333:policy/irsa/order/bound"
tags = { team = "b" }
cluster = "main"
service-accounts = ["apps/bounded"]
"#,
        held_up: &["DetachRolePolicy", "AttachRolePolicy"],
    };
    change.is_lawful();
}

/// The role `r` is to lose the ServiceAccount `leaves` and some permissions, while its provider is missing or does not
/// accept its tokens.
const UNPROVIDED: &str = r#"
[roles.r]
attach = ["aws:AmazonS3FullAccess"]
cluster = "main"
service-accounts = ["apps/stays", "apps/leaves"]
"#;
const UNPROVIDED_AFTER: &str = r#"
[roles.r]
attach = ["aws:AmazonS3ReadOnlyAccess"]
cluster = "main"
service-accounts = ["apps/stays"]
"#;

fn provider(scene: &Scene) -> String {
    let host = scene.world.issuer("main").trim_start_matches("https://").to_owned();
    format!("arn:aws:iam::{FIRST}:oidc-provider/{host}")
}

/// Once the provider accepts its tokens again, a ServiceAccount can assume the role again. By then the role must have
/// lost what it is to lose.
#[test]
fn provider_gets_an_audience_after_its_roles_are_narrowed() {
    let change = Change {
        before: UNPROVIDED,
        hand: |scene| {
            let arn = provider(scene);
            let fields = [("OpenIDConnectProviderArn", arn.as_str()), ("ClientID", "sts.amazonaws.com")];
            scene.iam("RemoveClientIDFromOpenIDConnectProvider", &fields);
        },
        after: UNPROVIDED_AFTER,
        held_up: &["DetachRolePolicy", "UpdateAssumeRolePolicy"],
    };
    change.is_lawful();
}

#[test]
fn provider_is_created_again_after_its_roles_are_narrowed() {
    let change = Change {
        before: UNPROVIDED,
        hand: |scene| {
            let arn = provider(scene);
            scene.iam("DeleteOpenIDConnectProvider", &[("OpenIDConnectProviderArn", arn.as_str())]);
        },
        after: UNPROVIDED_AFTER,
        held_up: &["DetachRolePolicy", "UpdateAssumeRolePolicy"],
    };
    change.is_lawful();
}

/// In either order, the tag of one configuration meets the boundary of the other, and irsa can split neither call.
/// Somebody loses for a moment access that they keep, and the plan says so.
#[test]
fn boundary_and_tags_change_together_with_a_noted_dip() {
    let change = Change {
        before: r#"
[roles.r]
permissions-boundary = "arn:aws:iam::111122223333:policy/one"
tags = { team = "a" }
cluster = "main"
service-accounts = ["apps/r"]
[roles.r.inline.own]
statements = [
  { actions = ["sqs:*"], resources = ["*"], conditions = { StringEquals = { "aws:PrincipalTag/team" = "a" } } },
  { actions = ["s3:*"], resources = ["*"], conditions = { StringEquals = { "aws:PrincipalTag/team" = "b" } } },
  { actions = ["s3:ListBucket"], resources = ["*"] },
]
"#,
        hand: |_| {},
        after: r#"
[roles.r]
permissions-boundary = "arn:aws:iam::111122223333:policy/two"
tags = { team = "b" }
cluster = "main"
service-accounts = ["apps/r"]
[roles.r.inline.own]
statements = [
  { actions = ["sqs:*"], resources = ["*"], conditions = { StringEquals = { "aws:PrincipalTag/team" = "a" } } },
  { actions = ["s3:*"], resources = ["*"], conditions = { StringEquals = { "aws:PrincipalTag/team" = "b" } } },
  { actions = ["s3:ListBucket"], resources = ["*"] },
]
"#,
        held_up: &["PutRolePermissionsBoundary", "PutRolePolicy"],
    };
    for parallel in PARALLEL {
        let scene = Scene::empty();
        boundary(&scene, "one", &["s3:*"]);
        boundary(&scene, "two", &["sqs:*", "s3:ListBucket"]);
        scene.declare(change.before);
        scene.settle();
        scene.declare(change.after);
        let noted = notes(&scene.plan(&[]), "dips");
        for action in change.held_up {
            scene.hold_up(action);
        }
        let judged = scene.apply(&["--parallelism", parallel]);
        judged.is_lawful().ends(0);
        let told = noted.iter().any(|note| note.starts_with("role/r: "));
        assert!(told || judged.dips.is_empty(), "{noted:?} does not tell of {}", judged.dips[0]);
        scene.is_settled();
    }
}

fn boundary(scene: &Scene, name: &str, actions: &[&str]) {
    let statement = serde_json::json!({"Effect": "Allow", "Action": actions, "Resource": "*"});
    let document = serde_json::json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    scene.iam("CreatePolicy", &[("PolicyName", name), ("PolicyDocument", &document)]);
}
