//! Live tags match the file, for every kind of object. A key that differs only in case is the same key
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html>).

use super::scene::{Scene, tags};
use crate::support::world::FIRST;
use serde_json::{Value, json};

const P: &str = "arn:aws:iam::111122223333:policy/irsa/order/p";

fn text(policy: &str, role: &str) -> String {
    format!(
        "[policies.p]\nstatements = [{{ actions = [\"s3:Get*\"], resources = [\"*\"] }}]\ntags = {{ {policy} }}\n\
         [roles.r]\nattach = [\"p\"]\ncluster = \"main\"\nservice-accounts = [\"apps/r\"]\ntags = {{ {role} }}\n"
    )
}

/// The tags without irsa's own.
fn own(scene: &Scene, kind: &str, name: &str) -> Value {
    let mut all = tags(scene, kind, name);
    all.as_object_mut().expect("tags").retain(|key, _| !key.starts_with("irsa/"));
    all
}

fn host(scene: &Scene) -> String {
    scene.world.issuer("main").trim_start_matches("https://").to_owned()
}

#[test]
fn undeclared_tag_is_removed_from_policies_and_roles() {
    let scene = Scene::of(&text("a = \"1\", b = \"2\"", "a = \"1\", b = \"2\""));
    scene.declare(&text("a = \"1\"", "a = \"1\""));
    scene.apply(&[]).is_lawful().ends(0);
    for (kind, name) in [("policies", "p"), ("roles", "r")] {
        assert_eq!(own(&scene, kind, name), json!({"a": "1"}), "{kind}");
    }
    scene.is_settled();
}

#[test]
fn tags_set_by_hand_are_shown_and_removed_from_every_kind() {
    let scene = Scene::of(&text("a = \"1\"", "a = \"1\""));
    let provider = format!("arn:aws:iam::{FIRST}:oidc-provider/{}", host(&scene));
    let tag = [("Tags.member.1.Key", "by"), ("Tags.member.1.Value", "hand")];
    scene.iam("TagRole", &[&[("RoleName", "r")], &tag[..]].concat());
    scene.iam("TagPolicy", &[&[("PolicyArn", P)], &tag[..]].concat());
    scene.iam("TagOpenIDConnectProvider", &[&[("OpenIDConnectProviderArn", provider.as_str())], &tag[..]].concat());
    let plan = scene.plan(&[]);
    for address in ["policy/default/p", "role/r", "oidc-provider/default/main"] {
        let changes = plan["changes"].as_array().expect("a list");
        let change = changes.iter().find(|change| change["address"] == address).unwrap_or(&Value::Null);
        assert!(change["fields"].to_string().contains("tags.by"), "{address}: {plan}");
    }
    scene.apply(&[]).is_lawful().ends(0);
    for (kind, name) in [("policies", "p"), ("roles", "r")] {
        assert_eq!(own(&scene, kind, name), json!({"a": "1"}), "{kind}");
    }
    assert_eq!(own(&scene, "providers", &host(&scene)), json!({}));
    scene.is_settled();
}

#[test]
fn provider_of_others_keeps_its_tags() {
    let scene = Scene::empty();
    let url = scene.world.issuer("main");
    let tag = [("Tags.member.1.Key", "by"), ("Tags.member.1.Value", "hand")];
    let provider = [("Url", url.as_str()), ("ClientIDList.member.1", "sts.amazonaws.com")];
    scene.iam("CreateOpenIDConnectProvider", &[&provider[..], &tag[..]].concat());
    scene.declare(&text("a = \"1\"", "a = \"1\""));
    scene.settle();
    assert_eq!(tags(&scene, "providers", &host(&scene)), json!({"by": "hand"}));
}

#[test]
fn tag_whose_declared_key_changes_case_is_kept() {
    let scene = Scene::of(&text("Team = \"a\", Old = \"1\"", "Team = \"a\", Old = \"1\""));
    scene.declare(&text("team = \"a\"", "team = \"a\""));
    scene.apply(&[]).is_lawful().ends(0).makes_nobody_dip();
    for (kind, name) in [("policies", "p"), ("roles", "r")] {
        let found = own(&scene, kind, name);
        let keys: Vec<String> = found.as_object().expect("tags").keys().map(|key| key.to_lowercase()).collect();
        assert_eq!(keys, ["team"], "{kind}: {found}");
    }
    scene.is_settled();
    scene.declare(&text("TEAM = \"b\"", "TEAM = \"b\""));
    scene.apply(&[]).is_lawful().ends(0);
    for (kind, name) in [("policies", "p"), ("roles", "r")] {
        let found = own(&scene, kind, name);
        assert_eq!(found.as_object().expect("tags").values().collect::<Vec<_>>(), ["b"], "{kind}: {found}");
    }
    scene.is_settled();
}

#[test]
fn tag_whose_key_differs_in_case_is_kept_on_adoption() {
    let scene = Scene::empty();
    let trust = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "111122223333"}}]}"#;
    scene.iam("CreateRole", &[("RoleName", "r"), ("AssumeRolePolicyDocument", trust)]);
    scene.tag("r", "Team", "a");
    scene.tag("r", "Old", "1");
    let statement = crate::support::given::document_with_list("Allow", "s3:Get*");
    let policy = [("PolicyName", "p"), ("Path", "/irsa/order/"), ("PolicyDocument", statement.as_str())];
    let tag = [("Tags.member.1.Key", "Team"), ("Tags.member.1.Value", "a")];
    scene.iam("CreatePolicy", &[&policy[..], &tag[..]].concat());
    scene.declare(&text("team = \"a\"", "team = \"a\"").replace("[roles.r]", "[roles.r]\npath = \"/\""));
    scene.apply(&["--adopt"]).is_lawful().ends(0);
    for (kind, name) in [("policies", "p"), ("roles", "r")] {
        let found = own(&scene, kind, name);
        let keys: Vec<String> = found.as_object().expect("tags").keys().map(|key| key.to_lowercase()).collect();
        assert_eq!(keys, ["team"], "{kind}: {found}");
    }
    scene.is_settled();
}

#[test]
fn ignored_tag_matches_in_any_case() {
    let scene = Scene::of(&text("a = \"1\"", "a = \"1\""));
    let ignore = "ignore-tags = [\"CostCenter\", \"Map-*\"]\n";
    scene.bench.write("irsa.toml", &format!("{ignore}{}{}", super::scene::HEAD, text("a = \"2\"", "a = \"2\"")));
    for (key, value) in [("costcenter", "7"), ("MAP-migrated", "yes"), ("other", "goes")] {
        scene.tag("r", key, value);
        let tag = [("Tags.member.1.Key", key), ("Tags.member.1.Value", value)];
        scene.iam("TagPolicy", &[&[("PolicyArn", P)], &tag[..]].concat());
    }
    scene.apply(&[]).is_lawful().ends(0);
    for (kind, name) in [("policies", "p"), ("roles", "r")] {
        let wanted = json!({"a": "2", "costcenter": "7", "MAP-migrated": "yes"});
        assert_eq!(own(&scene, kind, name), wanted, "{kind}");
    }
    scene.is_settled();
}
