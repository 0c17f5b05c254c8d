//! The reasons for what is not declared are true: what was not read is never called missing.

use super::{ROLE_ARN, Scene, arn, lets_in, trust};
use crate::support::program::Run;
use crate::support::world::World;
use irsa_sandbox::kubernetes::Resource;
use serde_json::{Value, json};

/// The line about a ServiceAccount.
#[track_caller]
fn line<'r>(run: &'r Run, name: &str) -> &'r str {
    let start = format!("ServiceAccount `apps/{name}` in cluster `prod`: ");
    let line = run.stderr.lines().find_map(|line| Some(line.split_once(&start)?.1));
    line.unwrap_or_else(|| panic!("no line about {name}: {run}"))
}

#[test]
fn unread_role_is_not_called_missing() {
    for (action, object) in [
        ("GetRole", Some("a")),
        ("ListAttachedRolePolicies", Some("a")),
        ("ListRolePolicies", None),
        ("ListRoles", None),
    ] {
        let scene = Scene::new();
        scene.create_pair("a", "apps", "a");
        scene.annotate("apps", "lost", &[(ROLE_ARN, &arn("role", "gone"))]);
        match object {
            Some(object) => scene.world.deny_object(action, object),
            None => scene.world.deny(action),
        }
        let run = scene.import(4, &[]);
        let role = arn("role", "a");
        assert_eq!(line(&run, "a"), format!("its role `{role}` could not be read; its annotations stay as they are"));
        // the list has no such role, if there is a list
        let lost = if action == "ListRoles" { "could not be read" } else { "there is no role" };
        assert!(line(&run, "lost").contains(lost), "{action}: {run}");
        assert!(!scene.text().contains(&format!("there is no role `{role}`")), "{}", scene.text());
    }
}

#[test]
fn unparsed_service_account_is_not_called_missing() {
    let scene = Scene::new();
    scene.create_pair("a", "apps", "a");
    let nested = (0..130).fold(json!({}), |inner, _| json!({"f:x": inner}));
    let deep = |object: &mut Value| {
        object["metadata"]["managedFields"] = json!([{"manager": "x", "operation": "Update", "fieldsV1": nested}]);
    };
    assert!(scene.world.cluster("prod").with(|store| store.tamper(Resource::ServiceAccounts, "apps", "a", deep)));
    scene.import(4, &[]).says("not read: cluster `prod`: ServiceAccount `apps/a`");
    let text = scene.text();
    assert!(text.contains("# apps/a: the ServiceAccount could not be read"), "{text}");
    assert!(!text.contains("there is no such"), "{text}");
}

#[test]
fn provider_is_the_reason_if_it_is_missing_or_unread() {
    let scene = Scene::of(World::with_cluster("prod"), &["prod"]);
    scene.create_pair("np", "apps", "np");
    let provider = arn("oidc-provider", scene.issuer.trim_start_matches("https://"));
    let run = scene.import(0, &[]);
    let why = format!("the OIDC provider `{provider}` does not exist, and irsa would create it");
    assert!(line(&run, "np").contains(&why), "{run}");
    scene.world.someone().create_provider(&scene.issuer, &["sts.amazonaws.com"]);
    let unread = format!("the OIDC provider `{provider}` could not be read");
    for action in ["GetOpenIDConnectProvider", "ListOpenIDConnectProviders"] {
        scene.world.deny(action);
        let run = scene.bench.ends(4, &["import", "--owner", "platform", "-o", action]);
        assert!(line(&run, "np").contains(&unread), "{run}");
        scene.world.allow_all();
    }
}

#[test]
fn statement_that_irsa_would_not_generate_is_explained() {
    let scene = Scene::new();
    let usual = |subjects: &[&str]| lets_in(&scene.issuer, "sts.amazonaws.com", subjects);
    let mut tag = usual(&["apps:tag"]);
    tag["Action"] = json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]);
    let other = lets_in(&scene.issuer, "other", &["apps:other"]);
    for (name, statements, why) in [
        ("tag", vec![tag], "its statement has the action `sts:TagSession`"),
        ("other", vec![other], "the OIDC provider does not accept the audience `other`, and irsa would add it"),
        ("two", vec![usual(&["apps:one"]), usual(&["apps:two"])], "irsa would merge two statements"),
    ] {
        scene.create_role(name, &trust(&statements));
        scene.annotate("apps", name, &[(ROLE_ARN, &arn("role", name))]);
        let run = scene.bench.ends(0, &["import", "--owner", "platform", "-o", name, "--role", name]);
        let full = format!("role `{name}` does not let it in by a statement that irsa would generate: {why}");
        assert!(line(&run, name).starts_with(&full), "{run}");
    }
}

#[test]
fn association_is_listed_with_its_role_and_wins_over_the_annotation() {
    let scene = Scene::new();
    scene.create_pair("a", "apps", "a");
    let pods = json!({"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"]});
    scene.create_role("pods", &trust(&[pods]));
    let someone = scene.world.someone();
    for name in ["a", "via"] {
        someone.associate("prod", "apps", name, &arn("role", "pods"));
    }
    let run = scene.import(0, &[]);
    let about = |name: &str| {
        let text = format!("of `apps/{name}` in cluster `prod`: irsa does not manage associations yet");
        run.stderr.lines().find(|line| line.contains(&text)).unwrap_or_else(|| panic!("{run}"))
    };
    let role = format!("its role is `{}`", arn("role", "pods"));
    assert!(about("via").ends_with(&role), "{run}");
    assert!(
        about("a").ends_with(&format!("{role}; new pods get their role from it, not from the annotation")),
        "{run}"
    );
    let text = scene.text();
    assert!(text.contains("# apps/a: new pods get their role from pod identity association `a-"), "{text}");
    scene.keeps_the_law();
}

/// The budget of an import bounds the calls.
#[test]
fn eight_associations_are_asked_for_their_role() {
    let scene = Scene::new();
    scene.create_role("pods", &trust(&[lets_in(&scene.issuer, "sts.amazonaws.com", &["apps:x"])]));
    let someone = scene.world.someone();
    for number in 0..10 {
        someone.associate("prod", "apps", &format!("s{number}"), &arn("role", "pods"));
    }
    scene.world.clear_log();
    let run = scene.import(0, &[]);
    let asked = scene.world.actions().iter().filter(|action| *action == "DescribePodIdentityAssociation").count();
    assert_eq!(asked, 8);
    assert_eq!(run.stderr.matches("its role is `").count(), 8, "{run}");
    assert_eq!(run.stderr.matches("; its role is unknown: ").count(), 2, "{run}");
    run.says("aws eks describe-pod-identity-association --cluster-name prod --region eu-west-1 --association-id a-");
}

#[test]
fn unread_role_of_an_association_is_not_seen() {
    let scene = Scene::new();
    scene.create_role("pods", &crate::support::given::ec2_trust());
    scene.world.someone().associate("prod", "apps", "via", &arn("role", "pods"));
    let deny = irsa_sandbox::aws::Match::on("eks", "DescribePodIdentityAssociation");
    scene.world.fault(irsa_sandbox::gate::Stage::Before, deny, irsa_sandbox::aws::Fault::Deny, None);
    scene.import(4, &[]).says("the role of pod identity association `a-").says("; its role is unknown: ");
}
