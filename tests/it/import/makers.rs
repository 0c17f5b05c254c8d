//! What `irsa import` says about the programs that made the objects.

use super::{FIRST, Scene, arn};
use crate::support::given::document;
use irsa_sandbox::kubernetes::{Resource, Store};
use serde_json::json;

/// A role and a ServiceAccount as `eksctl create iamserviceaccount` makes them.
fn by_eksctl(scene: &Scene, namespace: &str, name: &str, random: &str) {
    let stack = format!("eksctl-prod-addon-iamserviceaccount-{namespace}-{name}");
    // CloudFormation cuts the name to 64 characters
    let role = format!("{}-Role1-{random}", &stack[..43]);
    scene.create_pair(&role, namespace, name);
    for (key, value) in [("alpha.eksctl.io/cluster-name", "prod"), ("alpha.eksctl.io/eksctl-version", "0.200.0")] {
        scene.people(|people| people.tag_role(&role, key, value));
    }
    let tags = [("aws:cloudformation:stack-name", stack.as_str()), ("aws:cloudformation:logical-id", "Role1")];
    assert!(scene.world.with(|sandbox| sandbox.iam(FIRST, |iam| iam.tag_by_aws(&role, &tags))));
    let label = |store: &mut Store| {
        store.edit(Resource::ServiceAccounts, namespace, name, "eksctl", |object| {
            object["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "eksctl"});
        })
    };
    scene.world.cluster("prod").with(label).expect("a ServiceAccount");
}

#[test]
fn roles_of_eksctl_are_called_as_their_service_accounts_and_say_once_what_to_do() {
    let scene = Scene::new();
    by_eksctl(&scene, "shop", "cart", "1DK2IQ0Y1X0BB");
    by_eksctl(&scene, "shop", "mail", "aBcD3fGh1JkL");
    by_eksctl(&scene, "data", "cart", "ZZTOP00000001");
    scene.import(0, &[]);
    let (top, shop, data) = (
        scene.bench.read("out/irsa.toml"),
        scene.bench.read("out/roles/shop.toml"),
        scene.bench.read("out/roles/data.toml"),
    );
    let shared =
        "tags = { \"alpha.eksctl.io/cluster-name\" = \"prod\", \"alpha.eksctl.io/eksctl-version\" = \"0.200.0\" }";
    assert!(top.contains(shared), "{top}");
    assert_eq!(top.matches("docs/from-eksctl.md").count(), 1, "{top}");
    assert!(top.contains("# - eksctl (6): "), "{top}");
    let role = "# made by eksctl, stack `eksctl-prod-addon-iamserviceaccount-data-cart`\n[roles.cart]\n\
                name = \"eksctl-prod-addon-iamserviceaccount-data-ca-Role1-ZZTOP00000001\"\nservice-accounts = [\"data/cart\"]\n";
    assert_eq!(data, role);
    assert!(shop.contains("[roles.shop-cart]\n") && shop.contains("[roles.mail]\n"), "{shop}");
    scene.keeps_the_law();
}

#[test]
fn policy_of_terraform_says_where_else_it_is_attached() {
    let scene = Scene::new();
    scene.create_pair("one", "apps", "one");
    scene.create_role("elsewhere", &crate::support::given::ec2_trust());
    let read = document("Allow", ["s3:GetObject"]);
    let tags = [("Tags.member.1.Key", "ManagedBy"), ("Tags.member.1.Value", "terraform")];
    scene.call("CreatePolicy", &[&[("PolicyName", "read"), ("PolicyDocument", read.as_str())], &tags[..]].concat());
    for role in ["one", "elsewhere"] {
        scene.people(|people| people.attach(role, &arn("policy", "read")));
    }
    scene.import(0, &[]);
    let policies = scene.bench.read("out/policies.toml");
    assert!(
        policies.starts_with(
            "# made by Terraform, as its tags say\n# also attached to 1 role, user or group that was not imported\n"
        ),
        "{policies}"
    );
    scene.keeps_the_law();
}
