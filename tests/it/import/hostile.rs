//! Names, texts and documents that irsa would not write itself. Each is declared as it is, or listed.

use super::{FIRST, ROLE_ARN, Scene, arn, lets_in, trust};
use crate::support::given::document;
use irsa_sandbox::kubernetes::{Resource, Store};
use serde_json::json;

#[test]
fn hostile_names_and_texts_are_declared_as_they_are() {
    let scene = Scene::new();
    let text = "\"\"\" ''' {{ account_id }} {% if %} \\u007b \\ \n[roles.evil]\n# \t= $( ) ${aws:username}";
    let names = [("a=b,c.d@e-f_g", "/"), ("=+,.@-", "/{{x}}/[a]/\"q\"/"), ("_", "/'/#/"), ("true", "/~/")];
    for (number, (name, path)) in names.into_iter().enumerate() {
        let account = format!("s{number}.x");
        let trusts = trust(&[lets_in(&scene.issuer, "sts.amazonaws.com", &[&format!("apps:{account}")])]);
        let role = [("RoleName", name), ("Path", path), ("Description", text), ("AssumeRolePolicyDocument", &trusts)];
        scene.call("CreateRole", &role);
        for (key, value) in [("a b = c/d:e@f", " x "), ("true", "")] {
            scene.people(|people| people.tag_role(name, key, value));
        }
        for policy in ["in.line", "=+,@", "true", "irsa"] {
            scene.people(|people| people.put_inline(name, policy, &document("Allow", ["s3:GetObject"])));
        }
        let role = format!("arn:aws:iam::{FIRST}:role{path}{name}");
        scene.annotate("apps", &account, &[(ROLE_ARN, &role), ("eks.amazonaws.com/other", text)]);
        let edit = |store: &mut Store| {
            store.edit(Resource::ServiceAccounts, "apps", &account, "someone", |object| {
                object["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "", "helm.sh/chart": "x"});
                object["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = json!(text);
            })
        };
        scene.world.cluster("prod").with(edit).expect("a ServiceAccount");
    }
    scene.import(0, &[]);
    scene.keeps_the_law();
}

#[test]
fn largest_documents_and_ten_policies_are_declared() {
    let scene = Scene::new();
    scene.create_pair("large", "apps", "large");
    let long: Vec<String> =
        (0..120).map(|number| format!("arn:aws:s3:::a-bucket-with-a-long-name-{number:03}/*")).collect();
    let statement = json!({"Effect": "Allow", "Action": "s3:Get*", "Resource": long});
    let long = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    assert!((5_000..=6_144).contains(&long.len()), "{}", long.len());
    for number in 0..10 {
        let name = format!("p{number}");
        let short = document("Allow", [format!("s3:GetObject{number}")]);
        let text = if number == 0 { &long } else { &short };
        scene.people(|people| {
            people.create_policy(&name, text);
            people.attach("large", &arn("policy", &name));
        });
    }
    scene.people(|people| {
        people.put_inline("large", "own", &long);
        people.set_boundary("large", "arn:aws:iam::aws:policy/PowerUserAccess");
    });
    scene.import(0, &[]);
    scene.keeps_the_law();
}

/// IAM takes an audience with white space, and irsa does not.
#[test]
fn role_that_irsa_would_refuse_is_listed_and_hides_no_other() {
    let scene = Scene::new();
    scene.create_pair("good", "apps", "good");
    let provider = arn("oidc-provider", scene.issuer.trim_start_matches("https://"));
    let audience = [("OpenIDConnectProviderArn", provider.as_str()), ("ClientID", "an audience")];
    scene.call("AddClientIDToOpenIDConnectProvider", &audience);
    scene.create_role("odd", &trust(&[lets_in(&scene.issuer, "an audience", &["apps:odd"])]));
    scene.annotate("apps", "odd", &[(ROLE_ARN, &arn("role", "odd")), ("eks.amazonaws.com/audience", "an audience")]);
    scene
        .import(0, &[])
        .says("role `odd` in account `default`: irsa would not accept its declaration: `audience` must");
    let text = scene.text();
    assert!(text.contains("[roles.good]") && !text.contains("[roles.odd]"), "{text}");
    scene.keeps_the_law();
}

#[test]
fn service_account_with_copied_marks_is_only_trusted_and_listed_with_the_reason() {
    let scene = Scene::new();
    for mark in ["irsa/address", "irsa/created"] {
        let name = mark.trim_start_matches("irsa/");
        let subject = format!("apps:{name}");
        scene.create_role(name, &trust(&[lets_in(&scene.issuer, "sts.amazonaws.com", &[&subject])]));
        scene.annotate("apps", name, &[(ROLE_ARN, &arn("role", name)), (mark, "true")]);
    }
    let run = scene.import(0, &[]);
    for mark in ["irsa/address", "irsa/created"] {
        run.says(&format!("it carries `{mark}` without an owner label, perhaps from a copy: remove it first"));
    }
    scene.keeps_the_law();
}
