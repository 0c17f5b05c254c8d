//! Runs that read or write only a part of the objects. A change that a run must not make blocks every change that must
//! follow it. A role whose trust policy irsa cannot fully know may lose access but not gain any, and so may a policy
//! attached to it.

use super::scene::{PARALLEL, Scene};
use irsa_sandbox::aws::{Fault, Match};
use irsa_sandbox::gate::Stage;

/// The ServiceAccount `leaves`, in the cluster `second`, is to lose the role; the role is to gain one permission and to
/// lose another.
const BEFORE: &str = r#"
[clusters.second]
region = "eu-west-1"
[policies.p]
statements = [{ actions = ["sqs:SendMessage"], resources = ["*"] }]
[roles.r]
attach = ["p", "aws:AmazonS3ReadOnlyAccess"]
tags = { team = "a" }
[roles.r.inline.own]
statements = [{ actions = ["dynamodb:GetItem"], resources = ["*"] }]
[[service-accounts]]
role = "r"
cluster = "main"
namespace = "apps"
name = "stays"
[[service-accounts]]
role = "r"
cluster = "second"
namespace = "apps"
name = ["also-stays", "leaves"]
"#;
const AFTER: &str = r#"
[clusters.second]
region = "eu-west-1"
[policies.p]
statements = [{ actions = ["sqs:*"], resources = ["*"] }]
[roles.r]
attach = ["p", "aws:AmazonSNSReadOnlyAccess"]
tags = { team = "b" }
max-session-duration = "4h"
[roles.r.inline.own]
statements = [{ actions = ["dynamodb:GetItem", "dynamodb:PutItem"], resources = ["*"] }]
[[service-accounts]]
role = "r"
cluster = "main"
namespace = "apps"
name = "stays"
[[service-accounts]]
role = "r"
cluster = "second"
namespace = "apps"
name = "also-stays"
"#;
const S3: &str = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";

fn attached(scene: &Scene, role: &str) -> Vec<String> {
    let all = scene.world.with(|sandbox| sandbox.iam(crate::support::world::FIRST, |iam| iam.snapshot()));
    let list = all["roles"][role]["attached"].as_array().expect("a role");
    list.iter().filter_map(|arn| arn.as_str().map(str::to_owned)).collect()
}

/// Creates a provider of others for the second cluster: irsa uses it, and never deletes it.
fn others_provider(scene: &Scene) {
    let url = scene.world.issuer("second");
    scene.iam("CreateOpenIDConnectProvider", &[("Url", &url), ("ClientIDList.member.1", "sts.amazonaws.com")]);
}

#[test]
fn role_of_an_unreachable_cluster_may_lose_and_not_gain() {
    for parallel in PARALLEL {
        let scene = Scene::empty();
        others_provider(&scene);
        scene.declare(BEFORE);
        scene.settle();
        scene.declare(AFTER);
        let declared = scene.declared();
        scene.world.fault(Stage::Before, Match::on("eks", "DescribeCluster").about("second"), Fault::Hang, None);
        let line = ["--allow-incomplete", "--skip-refused", "--timeout", "20s", "--parallelism", parallel];
        let judged = scene.apply_toward(&declared, &line);
        judged.is_lawful().ends(0);
        assert!(!attached(&scene, "r").iter().any(|arn| arn == S3), "what it is to lose it loses: {}", judged.run);
        scene.world.allow_all();
        let judged = scene.apply_toward(&declared, &[]);
        judged.is_lawful().ends(0);
        scene.is_settled();
    }
}

#[test]
fn role_of_a_missing_cluster_may_lose_and_not_gain() {
    for line in [&["--skip-refused"][..], &["--skip-refused", "--allow-incomplete"]] {
        let scene = Scene::of(BEFORE);
        scene.declare(AFTER);
        let declared = scene.declared();
        scene.world.remove_cluster("second");
        let judged = scene.apply_toward(&declared, line);
        judged.is_lawful().ends(0);
        assert!(!attached(&scene, "r").iter().any(|arn| arn == S3), "what it is to lose it loses: {}", judged.run);
    }
}

/// Two roles attach `p`. The role that is to lose a ServiceAccount must not be written in these tests.
const SHARED: &str = r#"
[policies.p]
statements = [{ actions = ["s3:Get*"], resources = ["*"] }]
[policies.q]
statements = [{ actions = ["sqs:SendMessage"], resources = ["*"] }]
[roles.r]
attach = ["p"]
cluster = "main"
service-accounts = ["apps/stays", "apps/leaves"]
[roles.other]
attach = ["p", "q"]
cluster = "main"
service-accounts = ["apps/other"]
"#;
const SHARED_AFTER: &str = r#"
[policies.p]
statements = [{ actions = ["s3:*"], resources = ["*"] }]
[policies.q]
statements = [{ actions = ["sqs:*"], resources = ["*"] }]
[roles.r]
attach = ["p"]
cluster = "main"
service-accounts = ["apps/stays"]
[roles.other]
attach = ["p", "q"]
cluster = "main"
service-accounts = ["apps/other"]
"#;
const Q: &str = "CreatePolicyVersion q";

#[test]
fn policy_does_not_grow_while_a_role_that_attaches_it_is_refused() {
    for parallel in PARALLEL {
        let scene = Scene::of(SHARED);
        scene.declare(SHARED_AFTER);
        let declared = scene.declared();
        scene.tag("r", "irsa/owner", "somebody-else");
        let judged = scene.apply_toward(&declared, &["--skip-refused", "--parallelism", parallel]);
        judged.is_lawful();
        assert!(judged.writes().iter().any(|write| write == Q), "what is not held back is done: {}", judged.run);
    }
}

#[test]
fn policy_does_not_grow_while_a_role_that_attaches_it_is_unknown() {
    for action in ["GetRole", "ListAttachedRolePolicies"] {
        let scene = Scene::of(SHARED);
        scene.declare(SHARED_AFTER);
        let declared = scene.declared();
        scene.world.deny_object(action, "r");
        scene.apply_toward(&declared, &["--allow-incomplete"]).is_lawful();
        scene.world.allow_all();
        scene.apply_toward(&declared, &[]).is_lawful().ends(0);
        scene.is_settled();
    }
}

#[test]
fn policy_does_not_grow_if_only_excludes_a_role_that_attaches_it() {
    for parallel in PARALLEL {
        let scene = Scene::of(SHARED);
        scene.declare(SHARED_AFTER);
        let declared = scene.declared();
        let line = ["--only", "policy/default/p", "--only", "policy/default/q", "--parallelism", parallel];
        let judged = scene.apply_toward(&declared, &line);
        judged.is_lawful();
        assert!(judged.writes().iter().any(|write| write == Q), "what is not held back is done: {}", judged.run);
        scene.apply(&[]).is_lawful().ends(0);
        scene.is_settled();
    }
}

/// The selected role gains access through its policy, so `--only` includes the policy.
#[test]
fn role_selected_by_only_is_changed_in_order_with_its_policies() {
    for parallel in PARALLEL {
        let scene = Scene::of(SHARED);
        scene.declare(SHARED_AFTER);
        let declared = scene.declared();
        scene.hold_up("UpdateAssumeRolePolicy");
        let judged = scene.apply_toward(&declared, &["--only", "role/r", "--parallelism", parallel]);
        judged.is_lawful().ends(0);
    }
}

/// A call that fails blocks every call that must follow it.
#[test]
fn policy_does_not_grow_after_a_failed_trust_policy_update() {
    for parallel in PARALLEL {
        let scene = Scene::of(SHARED);
        scene.declare(SHARED_AFTER);
        let declared = scene.declared();
        scene.world.deny_object("UpdateAssumeRolePolicy", "r");
        let judged = scene.apply_toward(&declared, &["--parallelism", parallel]);
        judged.is_lawful().ends(6);
        scene.world.allow_all();
        scene.apply_toward(&declared, &[]).is_lawful().ends(0);
        scene.is_settled();
    }
}
