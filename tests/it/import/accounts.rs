//! The law of `irsa import` over several accounts, regions and clusters.

use super::{ROLE_ARN, Scene, arn_in, lets_in_of, trust};
use crate::support::given::document;
use crate::support::world::{FIRST, SECOND, World};
use irsa_sandbox::{ClusterSpec, SandboxOptions};
use serde_json::json;
use std::collections::BTreeSet;

const AUDIENCE: &str = "sts.amazonaws.com";

/// Both accounts, each with a profile, and clusters in both and in two regions. Each account has a provider for every
/// cluster.
fn both_accounts() -> Scene {
    let clusters = [("prod", FIRST, "eu-west-1"), ("stage", FIRST, "us-east-1"), ("shop", SECOND, "eu-west-1")];
    let specs = clusters.map(|(name, account, region)| ClusterSpec::new(name, account, region));
    let world = World::of(SandboxOptions { clusters: specs.to_vec(), ..SandboxOptions::empty() });
    let scene = Scene::of(world, &["prod", "stage", "shop"]);
    for account in [FIRST, SECOND] {
        for (cluster, _, _) in clusters {
            let url = scene.world.issuer(cluster);
            let fields = [("Url", url.as_str()), ("ClientIDList.member.1", AUDIENCE)];
            scene.people_in(account, |people| people.call("CreateOpenIDConnectProvider", &fields));
        }
    }
    profiles(&scene, &[("one", FIRST), ("two", SECOND)]);
    scene
}

/// Writes profiles with the credentials of these accounts.
fn profiles(scene: &Scene, profiles: &[(&str, &str)]) {
    let profile = |(name, account): &(&str, &str)| {
        format!("[{name}]\naws_access_key_id = {account}\naws_secret_access_key = test\n")
    };
    scene.bench.write(".aws/credentials", &profiles.iter().map(profile).collect::<String>());
}

/// A role of an account that trusts ServiceAccounts `apps/NAME` of these clusters. Each of them names the role.
fn role(scene: &Scene, account: &str, role: &str, clusters: &[&str], name: &str) {
    let subject = format!("apps:{name}");
    let statements: Vec<_> = clusters
        .iter()
        .map(|cluster| lets_in_of(account, &scene.world.issuer(cluster), AUDIENCE, &[&subject]))
        .collect();
    scene.people_in(account, |people| people.create_role(role, &trust(&statements)));
    for cluster in clusters {
        scene.annotate_in(cluster, "apps", name, &[(ROLE_ARN, &arn_in(account, "role", role))]);
    }
}

#[test]
fn accounts_regions_and_clusters_keep_the_law_together() {
    let scene = both_accounts();
    role(&scene, FIRST, "app", &["prod", "stage"], "app");
    role(&scene, SECOND, "app", &["shop"], "app");
    // roles beside the account of their cluster, and in clusters of both accounts
    role(&scene, SECOND, "remote", &["prod"], "remote");
    role(&scene, FIRST, "everywhere", &["prod", "stage", "shop"], "everywhere");
    // names that differ only in case, in IAM and in the names of files
    role(&scene, FIRST, "Case", &["prod"], "first");
    role(&scene, SECOND, "case", &["shop"], "second");
    let long: Vec<String> = (0..40).map(|number| format!("arn:aws:s3:::bucket-{number}/*")).collect();
    let long =
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": long}})
            .to_string();
    for (account, role, policy) in [(FIRST, "Case", "foo"), (SECOND, "case", "Foo")] {
        scene.people_in(account, |people| {
            people.create_policy(policy, &document("Allow", [format!("s3:Get{policy}")]));
            people.attach(role, &arn_in(account, "policy", policy));
            people.put_inline(role, "long", &long);
            people.create_policy("limit", &document("Allow", ["*"]));
            people.set_boundary(role, &arn_in(account, "policy", "limit"));
        });
    }
    let profiles = ["--account-profile", "one", "--account-profile", "two"];
    let run = scene.import(0, &[&profiles[..], &["--region", "eu-west-1", "--region", "us-east-1"]].concat());
    run.says("3 clusters, 6 roles, 9 ServiceAccounts, 2 policies");
    assert!(!run.stderr.contains("warning"), "{run}");
    let text = scene.text();
    let names: Vec<String> =
        text.lines().filter(|line| line.starts_with("### ")).map(str::to_ascii_lowercase).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{text}");
    scene.keeps_the_law();
}

#[test]
fn two_profiles_of_one_account_are_one_account() {
    let scene = both_accounts();
    role(&scene, FIRST, "app", &["prod"], "app");
    profiles(&scene, &[("one", FIRST), ("again", FIRST)]);
    let run = scene.import(0, &["--account-profile", "one", "--account-profile", "again", "--region", "eu-west-1"]);
    run.says("profile `again` is of the same account as `one`");
    assert!(!scene.text().contains("again"), "{}", scene.text());
    scene.keeps_the_law();
}

#[test]
fn account_that_cannot_be_used_does_not_hide_the_other() {
    let scene = both_accounts();
    role(&scene, FIRST, "app", &["prod"], "app");
    profiles(&scene, &[("one", FIRST)]);
    let both = ["--account-profile", "one", "--account-profile", "two"];
    let run = scene.import(4, &[&both[..], &["--region", "eu-west-1"]].concat());
    run.says("not read: account `two`");
    scene.keeps_the_law();
}
