//! `irsa verify` finds each link that is broken, and says what to do. The real binary against the sandbox.

mod attacks;
mod fresh;

use crate::ownership::role;
use crate::support::program::{Bench, Run};
use crate::support::someone::Someone;
use crate::support::verification::{link, links, text};
use crate::support::world::{self, FIRST, World};
use irsa_sandbox::aws;
use irsa_sandbox::gate::Stage;
use irsa_sandbox::kubernetes::{Fault, Grant, Match, Resource, User};
use serde_json::{Value, json};
use std::fmt::Write as _;

const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";
const AUDIENCE: &str = "eks.amazonaws.com/audience";
/// Where the webhook mounts the token.
const TOKEN_FILE: &str = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token";

/// A cluster `main` with the role `app` applied for `apps/app`.
struct Scene {
    world: World,
    someone: Someone,
    bench: Bench,
}

impl Scene {
    fn new() -> Self {
        let scene = Self::bare();
        scene.declare(&role("app"));
        scene.bench.converges();
        scene
    }

    fn bare() -> Self {
        let world = World::with_cluster("main");
        world.cluster("main").with(|store| world::create_namespace(store, "apps"));
        let bench = Bench::new(world.environment_with_issuers());
        Self { someone: world.someone(), world, bench }
    }

    fn declare(&self, text: &str) {
        self.bench.write("irsa.toml", &format!("owner = \"me\"\n[clusters.main]\n{text}"));
    }

    fn provider(&self) -> String {
        format!("arn:aws:iam::{FIRST}:oidc-provider/{}", self.host())
    }

    /// Host and path of the issuer.
    fn host(&self) -> String {
        self.world.issuer("main")["https://".len()..].to_owned()
    }

    /// Changes the ServiceAccount in storage.
    fn annotate(&self, key: &str, value: Option<&str>) {
        self.world.cluster("main").with(|store| {
            store.tamper(Resource::ServiceAccounts, "apps", "app", |object| match value {
                Some(value) => object["metadata"]["annotations"][key] = value.into(),
                None => {
                    object["metadata"]["annotations"].as_object_mut().expect("annotations").remove(key);
                }
            })
        });
    }

    /// Changes the webhook.
    fn webhook(&self, change: impl FnOnce(&mut Value)) {
        let name = "pod-identity-webhook";
        let changed = self.world.cluster("main").with(|store| {
            store.tamper(Resource::MutatingWebhooks, "", name, |object| change(&mut object["webhooks"][0]))
        });
        assert!(changed, "there is no webhook");
    }

    /// Creates a running pod of `apps/app` with these environment variables.
    fn pod(&self, name: &str, owner: &Value, labels: &Value, environment: &[(&str, &str)], audience: &str) {
        let environment: Vec<Value> =
            environment.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let token = json!({"name": "aws-iam-token", "projected": {"sources": [
            {"serviceAccountToken": {"audience": audience, "expirationSeconds": 86400, "path": "token"}}]}});
        let mount = json!({"name": "aws-iam-token", "mountPath": TOKEN_FILE.trim_end_matches("/token")});
        let body = json!({
            "metadata": {"name": name, "labels": labels, "ownerReferences": owner},
            "spec": {
                "serviceAccountName": "app", "volumes": [token],
                "containers": [{"name": "main", "image": "pause", "env": environment, "volumeMounts": [mount]}],
            },
            "status": {"phase": "Running", "startTime": "2026-01-02T03:04:05Z"},
        });
        let made = self.world.cluster("main").with(|store| store.seed(Resource::Pods, "apps", body, "kubelet"));
        made.expect("a pod");
    }

    /// Creates the ReplicaSet `web-abc` of the Deployment `web`.
    fn replica_set(&self) {
        let set = json!({"metadata": {"name": "web-abc", "ownerReferences": owner("Deployment", "web")}, "spec": {}});
        let made =
            self.world.cluster("main").with(|store| store.seed(Resource::ReplicaSets, "apps", set, "deployment"));
        made.expect("a set");
    }

    fn good_pod(&self, name: &str) {
        let role = role_arn();
        let environment = [("AWS_ROLE_ARN", role.as_str()), ("AWS_WEB_IDENTITY_TOKEN_FILE", TOKEN_FILE)];
        self.pod(name, &owner("StatefulSet", "db"), &json!({}), &environment, "sts.amazonaws.com");
    }

    /// Creates the good pod `db-0`. Returns its spec.
    fn seeded_pod(&self) -> Value {
        self.good_pod("db-0");
        let mut good = Value::Null;
        self.change_pod_with(&mut |pod| good = pod["spec"].clone());
        good
    }

    /// Gives the pod `db-0` this spec, and changes it.
    fn change_pod(&self, spec: &Value, change: &dyn Fn(&mut Value)) {
        self.change_pod_with(&mut |pod| {
            pod["spec"] = spec.clone();
            change(pod);
        });
    }

    fn change_pod_with(&self, change: &mut dyn FnMut(&mut Value)) {
        let changed =
            self.world.cluster("main").with(|store| store.tamper(Resource::Pods, "apps", "db-0", |pod| change(pod)));
        assert!(changed, "there is no pod");
    }

    /// A pod without any variable of the role.
    fn bare_pod(&self, name: &str) {
        self.pod(name, &owner("StatefulSet", "db"), &json!({}), &[], "sts.amazonaws.com");
    }

    fn verify(&self, code: i32, arguments: &[&str]) -> Run {
        let mut line = vec!["verify"];
        line.extend(arguments);
        self.bench.ends(code, &line)
    }

    /// The text and the hint of a failed link.
    #[track_caller]
    fn broken(&self, name: &str) -> String {
        let run = self.verify(7, &["--format", "json"]);
        let document = run.json();
        let found = link(&document, name);
        assert_eq!(found["status"], "failed", "{run}");
        assert!(!text(found, "hint").is_empty(), "no hint: {run}");
        self.verify(7, &[]).says(&format!("FAIL {name}: "));
        format!("{} -> {}", text(found, "text"), text(found, "hint"))
    }

    #[track_caller]
    fn says(&self, link: &str, texts: &[&str]) {
        let told = self.broken(link);
        for text in texts {
            assert!(told.contains(text), "`{text}` is not in `{told}`");
        }
    }

    /// The status and the text of one link.
    #[track_caller]
    fn link(&self, code: i32, name: &str, arguments: &[&str]) -> (String, String) {
        let document = self.verify(code, &[&["--format", "json"][..], arguments].concat()).json();
        let found = link(&document, name);
        (text(found, "status"), text(found, "text"))
    }
}

/// Environment variables in a pod.
fn environment(variables: &[(&str, &str)]) -> Value {
    variables.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

fn role_arn() -> String {
    format!("arn:aws:iam::{FIRST}:role/irsa/me/app")
}

/// The answer to a TokenRequest.
fn token_answer(token: &str) -> Fault {
    let page = json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {"audiences": []},
        "status": {"token": token, "expirationTimestamp": "2030-01-01T00:00:00Z"}});
    Fault::Page { status: 200, body: page.to_string() }
}

/// The statement that lets EKS Pod Identity in.
fn pod_identity() -> Value {
    json!({"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": ["sts:AssumeRole", "sts:TagSession"]})
}

fn owner(kind: &str, name: &str) -> Value {
    json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "u", "controller": true}])
}

#[test]
fn fresh_chain_is_proved_from_the_issuer_to_the_pods() {
    let scene = Scene::new();
    scene.good_pod("db-0");
    let run = scene.verify(0, &[]);
    run.says("Verified 1 ServiceAccount: 1 ok, 0 broken, 0 not fully seen.").says("main apps/app");
    let document = scene.verify(0, &["--format", "json"]).json();
    assert_eq!(document["format-version"], "1.1");
    let links = links(&document);
    assert_eq!(links.len(), 8);
    assert!(links.iter().all(|link| link["status"] == "ok"), "{links:#?}");
    assert_eq!(document["service-accounts"][0]["role"], "role/app");
    assert_eq!(document["summary"], json!({"service-accounts": 1, "ok": 1, "failed": 0, "unknown": 0, "missing": 0}));
    scene.bench.ends(0, &["verify", "--json-into", "v.json"]);
    assert_eq!(serde_json::from_str::<Value>(&scene.bench.read("v.json")).expect("JSON"), document);
    let xml = scene.verify(0, &["--format", "junit"]).stdout;
    assert_eq!(xml.matches("<testcase ").count(), 8, "{xml}");
    assert!(scene.world.writes().iter().all(|write| !write.contains("Assume")), "{:?}", scene.world.writes());
}

#[test]
fn no_token_reaches_an_output_or_a_log() {
    let scene = Scene::new();
    scene.world.fault(Stage::Before, aws::Match::on("sts", "AssumeRoleWithWebIdentity"), aws::Fault::Deny, None);
    for arguments in [&["-vv"][..], &["--format", "json", "-vv"], &["--format", "junit", "--log-format", "json", "-vv"]]
    {
        let run = scene.verify(7, arguments);
        for secret in ["eyJ", "ASIA", "SessionToken"] {
            assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "`{secret}`: {run}");
        }
    }
}

#[test]
fn issuer_must_be_what_eks_says_and_publish_the_keys() {
    let scene = Scene::new();
    let issuer = scene.world.issuer("main");
    let url = format!("{issuer}/.well-known/openid-configuration");
    let publish = |answer: Option<(u16, &str)>| {
        scene.world.with(|sandbox| sandbox.publish(&url, answer.map(|(status, body)| (status, body.to_owned()))));
    };
    publish(Some((404, "{}")));
    scene.says("issuer", &["is not served (HTTP status 404)", "/openid/v1/jwks"]);
    publish(Some((200, "{\"issuer\": \"https://other.example.com\", \"jwks_uri\": \"x\"}")));
    scene.says("issuer", &["is not an `https` URL"]);
    let keys = format!("{issuer}/keys");
    publish(Some((200, &json!({"issuer": "https://other.example.com", "jwks_uri": keys}).to_string())));
    scene.says("issuer", &["names the issuer `https://other.example.com`"]);
    publish(None);
    scene.world.with(|sandbox| sandbox.publish(&keys, Some((200, "{\"keys\": [{\"kid\": \"old\"}]}".to_owned()))));
    scene.says("issuer", &["lack `", "publish the keys"]);
    // a server error, or a host that cannot be reached, says nothing about the chain
    scene.world.with(|sandbox| sandbox.publish(&keys, Some((403, String::new()))));
    let (status, text) = scene.link(4, "issuer", &[]);
    assert_eq!(status, "unknown", "{text}");
    assert!(text.contains("not seen from here"), "{text}");
    assert_eq!(scene.link(0, "issuer", &["--allow-incomplete"]).0, "unknown");

    let declared = "name = \"main\"\nissuer = \"https://oidc.eks.eu-west-1.amazonaws.com/id/AAAA\"\n";
    scene.declare(&(declared.to_owned() + &role("app")));
    scene.world.clear_log();
    let run = scene.bench.irsa(&["verify", "--allow-incomplete"]);
    assert_eq!(run.code, 7, "{run}");
    run.says("EKS says that the issuer of cluster `main`").says("remove `issuer`");
    assert_eq!(scene.world.actions().iter().filter(|action| *action == "DescribeCluster").count(), 1);
}

#[test]
fn provider_must_be_there_and_accept_the_audience() {
    let scene = Scene::new();
    scene.someone.remove_audience(&scene.provider(), "sts.amazonaws.com");
    scene.says("provider", &["does not accept the audience `sts.amazonaws.com` (it accepts none)", "irsa apply"]);
    assert!(scene.broken("assume").contains("Incorrect token audience"));
    scene.someone.delete_provider(&scene.provider());
    scene.says("provider", &["has no OIDC provider for", "irsa apply"]);
}

#[test]
fn trust_policy_is_evaluated_against_the_claims() {
    let scene = Scene::new();
    let good = scene.someone.trust("app");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut trust = good.clone();
        change(&mut trust["Statement"][0]);
        scene.someone.set_trust("app", &trust);
    };
    let (sub, aud) = (format!("{}:sub", scene.host()), format!("{}:aud", scene.host()));
    let other = scene.someone.create_provider("https://oidc.example.com/other", &["sts.amazonaws.com"]);
    with(&|one| one["Principal"]["Federated"] = json!(other));
    scene.says("trust", &["no statement trusts", "it trusts `oidc.example.com/other`"]);
    with(&|one| one["Condition"]["StringEquals"][&aud] = json!("other"));
    scene.says("trust", &["`StringEquals` on `aud` wants `other`, the token has `sts.amazonaws.com`"]);
    with(&|one| one["Condition"]["StringEquals"][&sub] = json!("system:serviceaccount:apps:*"));
    scene.says("trust", &["only `StringLike` reads them as wildcards"]);
    with(&|one| one["Condition"]["StringEquals"][&sub] = json!("system:serviceaccount:apps:other"));
    scene.says("trust", &["wants `system:serviceaccount:apps:other`, the token has `system:serviceaccount:apps:app`"]);
    assert!(scene.broken("assume").contains("AccessDenied"));
    let mut denied = good.clone();
    let mut deny = good["Statement"][0].clone();
    deny["Effect"] = json!("Deny");
    denied["Statement"].as_array_mut().expect("a list").push(deny);
    scene.someone.set_trust("app", &denied);
    scene.says("trust", &["statement 2 of the trust policy", "denies"]);
    with(&|one| one["Condition"]["IpAddress"] = json!({"aws:SourceIp": "10.0.0.0/8"}));
    let run = scene.bench.irsa(&["verify", "--no-assume"]);
    run.says("? trust: ").says("allows if `aws:sourceip ipaddress 10.0.0.0/8`");
    assert_eq!(run.code, 4, "{run}");
}

#[test]
fn denial_proves_nothing_where_the_trust_depends_on_the_caller() {
    let scene = Scene::new();
    let good = scene.someone.trust("app");
    let deny = |condition: Value| {
        let mut trust = good.clone();
        trust["Statement"].as_array_mut().expect("a list").push(json!({
            "Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition}));
        scene.someone.set_trust("app", &trust);
    };
    for condition in [
        json!({"StringNotLike": {"sts:RoleSessionName": "botocore-session-*"}}),
        json!({"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}),
    ] {
        deny(condition);
        let (status, text) = scene.link(4, "assume", &[]);
        assert_eq!(status, "unknown", "{text}");
        assert!(text.contains("STS denies irsa the role (AccessDenied"), "{text}");
        assert_eq!(scene.link(4, "trust", &[]).0, "unknown");
    }
    // a provider that is gone breaks the chain, whatever the trust policy says
    scene.someone.delete_provider(&scene.provider());
    let document = scene.bench.irsa(&["verify", "--allow-incomplete", "--format", "json"]).json();
    assert_eq!(text(link(&document, "assume"), "status"), "failed", "{document:#}");
    assert!(text(link(&document, "assume"), "hint").starts_with("repair the links before this one"), "{document:#}");
}

#[test]
fn refusal_without_a_broken_link_before_it_names_another_cause() {
    let scene = Scene::new();
    scene.world.fault(Stage::Before, aws::Match::on("sts", "AssumeRoleWithWebIdentity"), aws::Fault::Deny, None);
    let told = scene.broken("assume");
    assert!(told.contains("resource control policy") && !told.contains("links before this one"), "{told}");
}

#[test]
fn trust_must_let_in_what_a_pattern_stands_for() {
    let scene = Scene::bare();
    let entry = "[[service-accounts]]\nrole = \"app\"\nnamespace = \"apps\"\nname = \"w-*\"\nallow-wildcard = \"x\"\nmanage = \"none\"\n";
    scene.declare(&format!("[roles.app]\nattach = [\"aws:AmazonS3ReadOnlyAccess\"]\n{entry}"));
    scene.bench.ends(0, &["apply", "--auto-approve", "--deny", "none"]);
    let sub = format!("{}:sub", scene.host());
    let good = scene.someone.trust("app");
    let with = |operator: &str, subject: &str| {
        let mut trust = good.clone();
        let condition = &mut trust["Statement"][0]["Condition"];
        condition.as_object_mut().expect("conditions").remove("StringLike");
        condition[operator][&sub] = json!(format!("system:serviceaccount:{subject}"));
        scene.someone.set_trust("app", &trust);
    };
    let (status, text) = scene.link(0, "trust", &["--deny", "none"]);
    assert_eq!(status, "ok", "{text}");
    assert!(text.contains("lets in what matches `system:serviceaccount:apps:w-*`"), "{text}");
    assert!(text.contains("it matches none"), "{text}");
    for (operator, subject) in [
        ("StringLike", "other:x"),
        ("StringLike", "apps:w-1*"),
        ("StringLike", "apps:w-?"),
        ("StringEquals", "apps:w-*"),
    ] {
        with(operator, subject);
        let (status, text) = scene.link(7, "trust", &["--deny", "none"]);
        assert_eq!(status, "failed", "{subject}: {text}");
        assert!(text.contains("for a ServiceAccount that matches `system:serviceaccount:apps:w-*`"), "{text}");
    }
    // somebody denies one that exists
    let made = scene
        .world
        .cluster("main")
        .with(|store| store.seed(Resource::ServiceAccounts, "apps", json!({"metadata": {"name": "w-1"}}), "kubectl"));
    made.expect("a ServiceAccount");
    let mut trust = good.clone();
    let mut deny = good["Statement"][0].clone();
    deny["Effect"] = json!("Deny");
    deny["Condition"] = json!({"StringEquals": {&sub: "system:serviceaccount:apps:w-1"}});
    trust["Statement"].as_array_mut().expect("a list").push(deny);
    scene.someone.set_trust("app", &trust);
    let (status, text) = scene.link(7, "trust", &["--deny", "none"]);
    assert_eq!(status, "failed", "{text}");
    assert!(text.contains("for `apps/w-1`, which matches") && text.contains("statement 2"), "{text}");
}

#[test]
fn cluster_that_does_not_exist_breaks_the_chain_and_hides_nothing() {
    let scene = Scene::new();
    scene.declare(&("name = \"typo\"\n".to_owned() + &role("app")));
    let document = scene.verify(7, &["--format", "json"]).json();
    let statuses: Vec<String> = links(&document).iter().map(|link| text(link, "status")).collect();
    assert_eq!(statuses[0], "failed", "{document:#}");
    assert!(statuses[1..].iter().all(|status| status == "not-applicable"), "{document:#}");
    scene.verify(7, &[]).says("FAIL issuer: EKS has no cluster");
}

#[test]
fn context_of_another_cluster_breaks_the_chain_and_hides_nothing() {
    let scene = Scene::new();
    scene.world.add_cluster("other");
    scene.bench.write("kubeconfig", &scene.world.kubeconfig());
    scene.declare(&("kubernetes = { kubeconfig = \"kubeconfig\", context = \"other\" }\n".to_owned() + &role("app")));
    let document = scene.verify(7, &["--format", "json"]).json();
    let statuses: Vec<String> = links(&document).iter().map(|link| text(link, "status")).collect();
    let after = ["not-applicable"; 5].map(str::to_owned);
    assert_eq!((statuses[0].as_str(), &statuses[3..]), ("failed", &after[..]), "{document:#}");
    // EKS names the issuer, so these are judged
    assert_eq!(statuses[1..3], ["ok", "ok"].map(str::to_owned), "{document:#}");
}

#[test]
fn annotations_must_name_this_role_and_fit_its_trust() {
    let scene = Scene::new();
    let arn = role_arn();
    scene.annotate(ROLE_ARN, None);
    scene.says("annotation", &["has no annotation `eks.amazonaws.com/role-arn`", "irsa apply"]);
    scene.annotate(ROLE_ARN, Some("arn:aws:iam::111122223333:role/other"));
    scene.says("annotation", &["is `arn:aws:iam::111122223333:role/other`, not"]);
    scene.annotate(ROLE_ARN, Some("arn:aws:iam::444455556666:role/irsa/me/app"));
    scene.says("annotation", &["a role of another account"]);
    scene.annotate(ROLE_ARN, Some("app"));
    scene.says("annotation", &["is `app`, which is not a role ARN"]);
    scene.annotate(ROLE_ARN, Some(&arn));
    scene.annotate(AUDIENCE, Some("vault"));
    scene.says("annotation", &["pods get tokens for the audience `vault`"]);
    scene.says("trust", &["`aud` wants `sts.amazonaws.com`, the token has `vault`"]);
    scene.annotate(AUDIENCE, None);
    scene.annotate("eks.amazonaws.com/token-expiration", Some("1h"));
    let told = scene.link(0, "annotation", &[]).1;
    let note = "the webhook ignores `eks.amazonaws.com/token-expiration`, because `1h` is not a number of seconds";
    assert!(told.contains(note), "{told}");
    // the webhook raises it
    scene.annotate("eks.amazonaws.com/token-expiration", Some("-1"));
    assert!(!scene.link(0, "annotation", &[]).1.contains("ignores"));
    scene.annotate("eks.amazonaws.com/token-expiration", Some("4294967297"));
    scene.says("annotation", &["more than 4294967296 seconds: the API refuses new pods"]);
    scene.annotate("eks.amazonaws.com/token-expiration", None);
    // what Go reads as a boolean
    scene.annotate("eks.amazonaws.com/sts-regional-endpoints", Some("True"));
    assert!(!scene.link(0, "annotation", &[]).1.contains("ignores"));
    scene.annotate("eks.amazonaws.com/sts-regional-endpoints", Some("yes"));
    let told = scene.link(0, "annotation", &[]).1;
    assert!(
        told.contains("`eks.amazonaws.com/sts-regional-endpoints`, because `yes` is not `true` or `false`"),
        "{told}"
    );
    scene.annotate("eks.amazonaws.com/sts-regional-endpoints", None);
    assert_eq!(scene.link(0, "annotation", &[]).0, "ok");

    let other = json!({"Version": "2012-10-17", "Statement": [pod_identity()]});
    scene.someone.create_role("pods", &other, &[]);
    scene.someone.associate("main", "apps", "app", &format!("arn:aws:iam::{FIRST}:role/pods"));
    scene.says(
        "annotation",
        &[
            "comes before the annotation: new pods get",
            "aws eks delete-pod-identity-association --cluster-name main --region eu-west-1 --association-id a-",
        ],
    );
    // without the annotation, pods get the role of the association too
    scene.annotate(ROLE_ARN, None);
    scene.says("annotation", &["comes before the annotation: new pods get"]);
}

#[test]
fn association_with_this_role_is_as_good_as_the_annotation() {
    let scene = Scene::new();
    let mut trust = scene.someone.trust("app");
    trust["Statement"].as_array_mut().expect("a list").push(pod_identity());
    scene.someone.set_trust("app", &trust);
    scene.someone.associate("main", "apps", "app", &role_arn());
    let by_association = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials")];
    scene.pod("db-0", &owner("StatefulSet", "db"), &json!({}), &by_association, "sts.amazonaws.com");
    assert_eq!(scene.link(0, "annotation", &[]).0, "ok");
    assert_eq!(scene.link(0, "pods", &[]).0, "ok");
    // the variables of the association count, not that there is one
    scene.bare_pod("db-1");
    scene.says("pods", &["1 pod has no `AWS_ROLE_ARN`"]);
}

#[test]
fn association_of_this_role_needs_its_trust() {
    let scene = Scene::new();
    scene.someone.associate("main", "apps", "app", &role_arn());
    scene.says("annotation", &["does not let `pods.eks.amazonaws.com` in", "delete-pod-identity-association"]);
}

#[test]
fn webhook_of_a_similar_name_hides_nothing() {
    let scene = Scene::new();
    scene.world.cluster("main").with(|store| {
        store.tamper(Resource::MutatingWebhooks, "", "pod-identity-webhook", |object| {
            let mut decoy = object["webhooks"][0].clone();
            decoy["name"] = json!("check.pod-identity-webhook.example.com");
            decoy["rules"][0]["operations"] = json!(["UPDATE"]);
            object["webhooks"].as_array_mut().expect("webhooks").insert(0, decoy);
        })
    });
    assert_eq!(scene.link(0, "webhook", &[]).0, "ok");
}

#[test]
fn webhook_must_be_there_trusted_and_cover_the_namespace() {
    let scene = Scene::new();
    let mut ca = Value::Null;
    scene.webhook(|hook| ca = hook["clientConfig"]["caBundle"].clone());
    let stale = {
        let other = World::with_cluster("main");
        json!(other.cluster("main").certificate_authority_data())
    };
    scene.webhook(|hook| hook["clientConfig"]["caBundle"] = stale.clone());
    scene.says(
        "webhook",
        &[
            "is not the cluster's authority",
            "silently",
            "kubectl --context arn:aws:eks:eu-west-1:111122223333:cluster/main patch mutatingwebhookconfiguration",
            "aws eks describe-cluster --name main --region eu-west-1 --query cluster.certificateAuthority.data",
        ],
    );
    scene.webhook(|hook| hook["clientConfig"]["caBundle"] = ca.clone());
    assert_eq!(scene.link(0, "webhook", &[]).0, "ok");
    scene.webhook(|hook| hook["namespaceSelector"] = json!({"matchLabels": {"irsa": "on"}}));
    scene.says("webhook", &["leaves out namespace `apps`: its `namespaceSelector` wants `irsa In (on)`"]);
    scene.webhook(|hook| hook["namespaceSelector"] = json!({}));
    scene.webhook(|hook| hook["rules"][0]["operations"] = json!(["UPDATE"]));
    scene.says("webhook", &["no rule for the creation of pods"]);
    scene.webhook(|hook| hook["rules"][0]["operations"] = json!(["CREATE"]));
    for (key, wrong, good) in [
        ("apiVersions", json!(["v1beta1"]), json!(["v1"])),
        ("scope", json!("Cluster"), json!("Namespaced")),
        ("apiVersions", json!([]), json!(["*"])),
    ] {
        scene.webhook(|hook| hook["rules"][0][key] = wrong);
        scene.says("webhook", &["no rule for the creation of pods", "API version `v1`, scope `*`"]);
        scene.webhook(|hook| hook["rules"][0][key] = good);
        assert_eq!(scene.link(0, "webhook", &[]).0, "ok", "{key}");
    }
    scene.webhook(|hook| hook["matchConditions"] = json!([{"name": "never", "expression": "false"}]));
    let (status, text) = scene.link(4, "webhook", &[]);
    assert_eq!(status, "unknown", "{text}");
    assert!(text.contains("has `matchConditions`, which irsa does not evaluate"), "{text}");
    scene.webhook(|hook| hook["matchConditions"] = json!([]));
    let skip = json!({"eks.amazonaws.com/skip-pod-identity-webhook": "true"});
    scene.pod("web", &owner("DaemonSet", "web"), &skip, &[], "sts.amazonaws.com");
    scene.says("webhook", &["leaves out pod `web`", "eks.amazonaws.com/skip-pod-identity-webhook DoesNotExist"]);
    scene.webhook(|hook| hook["name"] = json!("other.example.com"));
    scene.world.cluster("main").with(|store| {
        store.tamper(Resource::MutatingWebhooks, "", "pod-identity-webhook", |object| {
            object["webhooks"] = json!([]);
        })
    });
    scene.says("webhook", &["has no pod identity webhook", "EKS creates it in each cluster"]);
}

#[test]
fn self_hosted_webhook_behind_a_service_may_have_its_own_authority() {
    let scene = Scene::new();
    let other = World::with_cluster("other").cluster("other").certificate_authority_data();
    scene.webhook(|hook| {
        hook["clientConfig"] =
            json!({"caBundle": other, "service": {"namespace": "kube-system", "name": "hook", "path": "/mutate"}});
    });
    let (status, text) = scene.link(0, "webhook", &[]);
    assert_eq!(status, "ok");
    assert!(text.contains("its own authority, which was not compared"), "{text}");
    scene.webhook(|hook| hook["clientConfig"]["caBundle"] = Value::Null);
    scene.says("webhook", &["no readable `caBundle`", "cert-manager.io/inject-ca-from"]);
}

#[test]
fn pods_are_grouped_by_the_workload_to_restart() {
    let scene = Scene::new();
    let arn = role_arn();
    scene.replica_set();
    for name in ["web-abc-1", "web-abc-2"] {
        scene.pod(name, &owner("ReplicaSet", "web-abc"), &json!({}), &[], "sts.amazonaws.com");
    }
    scene.good_pod("db-0");
    scene.says(
        "pods",
        &[
            "deployment/web: 2 pods have no `AWS_ROLE_ARN` (the oldest started at 2026-01-02T03:04:05Z)",
            "kubectl --context arn:aws:eks:eu-west-1:111122223333:cluster/main -n apps rollout restart deployment/web",
        ],
    );
    let other = [("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/old"), ("AWS_WEB_IDENTITY_TOKEN_FILE", TOKEN_FILE)];
    scene.pod("agent-x", &owner("DaemonSet", "agent"), &json!({}), &other, "sts.amazonaws.com");
    let own = [("AWS_ROLE_ARN", arn.as_str()), ("AWS_WEB_IDENTITY_TOKEN_FILE", TOKEN_FILE)];
    scene.pod("job-x", &owner("Job", "nightly"), &json!({}), &own, "vault");
    let keys = [own[0], own[1], ("AWS_ACCESS_KEY_ID", "x")];
    scene.pod("alone", &Value::Null, &json!({}), &keys, "sts.amazonaws.com");
    scene.says(
        "pods",
        &[
            "daemonset/agent: 1 pod uses `arn:aws:iam::111122223333:role/old`",
            "rollout restart daemonset/agent",
            "job/nightly: 1 pod has a token for the audience `vault`",
            "pod/alone: 1 pod sets `AWS_ACCESS_KEY_ID`",
            "remove `AWS_ACCESS_KEY_ID` of container `main` from the manifest of pod/alone, then delete and create it \
             again: kubectl",
        ],
    );
}

#[test]
fn pods_of_a_role_that_does_not_exist_are_grouped_by_the_workload_too() {
    let scene = Scene::new();
    scene.replica_set();
    scene.pod("web-abc-1", &owner("ReplicaSet", "web-abc"), &json!({}), &[], "sts.amazonaws.com");
    scene.declare(&role("app").replace("attach", "name = \"later\"\nattach"));
    scene.says("trust", &["has no role `later`"]);
    scene.says("pods", &["deployment/web: 1 pod has no `AWS_ROLE_ARN`", "rollout restart deployment/web"]);
}

#[test]
fn pod_needs_its_token_where_the_variable_says() {
    let scene = Scene::new();
    let good = scene.seeded_pod();
    let spec = |change: &dyn Fn(&mut Value)| scene.change_pod(&good, change);
    let (role, other) = (role_arn(), "arn:aws:iam::111122223333:role/old");
    let (arn, file) = ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE");
    let (restart, edit) = ("rollout restart statefulset/db", "edit statefulset/db");
    let both = "remove `AWS_ROLE_ARN` and `AWS_WEB_IDENTITY_TOKEN_FILE` of container `main` from the pod template";
    let only_role = "remove `AWS_ROLE_ARN` of container `main` from the pod template of statefulset/db: kubectl";
    for (variables, text, hints) in [
        (
            &[(arn, role.as_str())][..],
            "1 pod has no `AWS_WEB_IDENTITY_TOKEN_FILE` in container `main`",
            [only_role, edit],
        ),
        (&[(arn, &role), (file, "")], "`AWS_WEB_IDENTITY_TOKEN_FILE` in container `main` that is empty", [both, edit]),
        (&[(arn, ""), (file, TOKEN_FILE)], "1 pod has an `AWS_ROLE_ARN` that is empty", [both, edit]),
        (&[(arn, &role), (file, "/t")], "1 pod has no ServiceAccount token at `/t` in container `main`", [restart; 2]),
        (&[(arn, &role), (file, TOKEN_FILE), (file, "/t")], "no ServiceAccount token at `/t`", [restart; 2]),
        (
            &[(arn, &role), (file, TOKEN_FILE), (arn, other)],
            "1 pod uses `arn:aws:iam::111122223333:role/old`",
            [restart; 2],
        ),
    ] {
        spec(&|pod| pod["spec"]["containers"][0]["env"] = environment(variables));
        scene.says("pods", &[text, hints[0], hints[1]]);
    }
    spec(&|pod| {
        pod["spec"]["containers"][0]["env"] = environment(&[(arn, other), (file, TOKEN_FILE), (arn, &role)]);
    });
    assert_eq!(scene.link(0, "pods", &[]).0, "ok", "the last variable counts");
    spec(&|pod| pod["spec"]["containers"][0]["volumeMounts"] = json!([]));
    scene.says("pods", &[&format!("no ServiceAccount token at `{TOKEN_FILE}`")]);
    spec(&|pod| pod["spec"]["volumes"] = json!([{"name": "aws-iam-token", "emptyDir": {}}]));
    scene.says("pods", &[&format!("no ServiceAccount token at `{TOKEN_FILE}`")]);
    let token = |pod: &mut Value, key: &str, value: Value| {
        pod["spec"]["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"][key] = value;
    };
    spec(&|pod| token(pod, "audience", Value::Null));
    scene.says("pods", &["1 pod has a token for the API's own audience, not `sts.amazonaws.com`"]);
    // one file of the volume
    spec(&|pod| {
        token(pod, "path", json!("a/b"));
        pod["spec"]["containers"][0]["volumeMounts"] =
            json!([{"name": "aws-iam-token", "mountPath": TOKEN_FILE, "subPath": "a/b"}]);
    });
    assert_eq!(scene.link(0, "pods", &[]).0, "ok");
    let windows = format!("C:{}", TOKEN_FILE.replace('/', "\\"));
    spec(&|pod| pod["spec"]["containers"][0]["env"] = environment(&[(arn, &role), (file, &windows)]));
    assert_eq!(scene.link(0, "pods", &[]).0, "ok", "as the webhook writes it for Windows");
    // each container that the webhook changes counts
    let second = |pod: &mut Value| {
        let mut second = good["containers"][0].clone();
        second["name"] = json!("second");
        second["volumeMounts"] = json!([]);
        pod["spec"]["containers"].as_array_mut().expect("containers").push(second);
    };
    spec(&second);
    scene.says("pods", &["no ServiceAccount token at", "in container `second`"]);
    spec(&|pod| {
        second(pod);
        pod["metadata"]["annotations"] = json!({"eks.amazonaws.com/skip-containers": "second"});
    });
    assert_eq!(scene.link(0, "pods", &[]).0, "ok");
}

#[test]
fn hint_names_what_to_remove_from_the_spec_of_a_pod() {
    let scene = Scene::new();
    let good = scene.seeded_pod();
    let spec = |change: &dyn Fn(&mut Value)| scene.change_pod(&good, change);
    let role = role_arn();
    // SDKs ignore an empty key
    let good_role = [("AWS_ROLE_ARN", role.as_str()), ("AWS_WEB_IDENTITY_TOKEN_FILE", TOKEN_FILE)];
    spec(&|pod| {
        let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name, ""));
        pod["spec"]["containers"][0]["env"] = environment(&[&good_role[..], &keys].concat());
    });
    assert_eq!(scene.link(0, "pods", &[]).0, "ok", "empty keys");
    let remove = "remove `AWS_ACCESS_KEY_ID` of container `main` from the pod template of statefulset/db: kubectl";
    for key in [
        json!({"name": "AWS_ACCESS_KEY_ID", "value": "x"}),
        json!({"name": "AWS_ACCESS_KEY_ID", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "id"}}}),
    ] {
        spec(&|pod| {
            let mut all = environment(&good_role);
            all.as_array_mut().expect("variables").push(key.clone());
            pod["spec"]["containers"][0]["env"] = all;
        });
        scene.says("pods", &["1 pod sets `AWS_ACCESS_KEY_ID` in container `main`", remove, "edit statefulset/db"]);
    }
    // the webhook leaves out all, or the pod is older than the annotation of the ServiceAccount
    let remove =
        "remove annotation `eks.amazonaws.com/skip-containers` from the pod template of statefulset/db: kubectl";
    for (skipped, hint) in [("main", remove), ("other", "rollout restart statefulset/db")] {
        spec(&|pod| {
            pod["spec"]["containers"][0]["env"] = json!([]);
            pod["metadata"]["annotations"] = json!({"eks.amazonaws.com/skip-containers": skipped});
        });
        scene.says("pods", &["1 pod has no `AWS_ROLE_ARN`", hint]);
    }
}

#[test]
fn init_container_with_the_role_does_not_stand_for_the_others() {
    let scene = Scene::new();
    let good = scene.seeded_pod();
    let init = |environment: Value| {
        scene.change_pod(&good, &|pod| {
            let mut init = good["containers"][0].clone();
            init["name"] = json!("init");
            pod["spec"]["initContainers"] = json!([init]);
            pod["spec"]["containers"][0]["env"] = environment.clone();
        });
    };
    init(good["containers"][0]["env"].clone());
    assert_eq!(scene.link(0, "pods", &[]).0, "ok");
    init(json!([]));
    scene.says("pods", &["1 pod has no `AWS_ROLE_ARN`", "rollout restart statefulset/db"]);
    init(json!([{"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://169.254.170.23/v1/credentials"}]));
    scene.says("pods", &["statefulset/db: 1 pod uses EKS Pod Identity, without `AWS_ROLE_ARN`"]);
}

#[test]
fn hints_for_the_audience_of_another_manager_repair_it() {
    let scene = Scene::new();
    scene.world.cluster("main").with(|store| {
        store.tamper(Resource::ServiceAccounts, "apps", "app", |object| {
            object["metadata"]["annotations"][AUDIENCE] = json!("vault");
            let mut entry = object["metadata"]["managedFields"][0].clone();
            entry["manager"] = json!("helm");
            entry["operation"] = json!("Update");
            entry["fieldsV1"] = json!({"f:metadata": {"f:annotations": {"f:eks.amazonaws.com/audience": {}}}});
            object["metadata"]["managedFields"].as_array_mut().expect("managers").push(entry);
        })
    });
    let repair = "an audience that is not declared: repair the link `annotation`";
    scene.says("provider", &["does not accept the audience `vault`", repair]);
    scene.says("trust", &["the token has `vault`", repair]);
    scene.says("annotation", &["for the audience `vault`", "remove it where `helm` sets it", "--force-conflicts"]);
    // as the hint says
    scene.bench.ends(4, &["apply", "--auto-approve"]);
    scene.bench.ends(0, &["apply", "--auto-approve", "--force-conflicts"]);
    scene.verify(0, &[]);
}

#[test]
fn token_with_other_claims_and_a_refused_token_request_are_told_apart() {
    let scene = Scene::new();
    let cluster = scene.world.cluster("main");
    let token =
        scene.world.with(|sandbox| sandbox.token("main", "apps", "other", "sts.amazonaws.com")).expect("a token");
    let create = || Match::on("create", "serviceaccounts/token");
    cluster.gate().fault(Stage::Before, create(), token_answer(&token), None);
    scene.says("token", &["other claims: `sub` is `system:serviceaccount:apps:other`"]);
    cluster.gate().heal();
    cluster.gate().fault(Stage::Before, create(), Fault::Deny, None);
    let run = scene.verify(4, &[]);
    run.says("? token: create serviceaccounts/token")
        .says("give these credentials the verb `create` on `serviceaccounts/token`");
    assert_eq!(scene.link(0, "assume", &["--allow-incomplete"]).0, "unknown");
    assert_eq!(scene.link(0, "trust", &["--allow-incomplete"]).0, "ok");
    cluster.gate().heal();
    assert_eq!(scene.link(0, "assume", &["--no-assume"]).0, "not-applicable");
    assert_eq!(scene.link(0, "token", &["--no-assume"]).0, "ok");
}

#[test]
fn every_missing_permission_is_unseen_and_never_broken() {
    let scene = Scene::new();
    let kubeconfig = scene.world.kubeconfig();
    scene.bench.write("kubeconfig", &kubeconfig.replace("admin-token", "limited-token"));
    scene.declare(&("kubernetes = { kubeconfig = \"kubeconfig\", context = \"main\" }\n".to_owned() + &role("app")));
    let grants = [Grant::everywhere(&["serviceaccounts", "namespaces"], &["get", "list"])];
    scene.world.cluster("main").set_token("limited-token", User::limited("limited", grants));
    let document = scene.verify(4, &["--format", "json"]).json();
    let links = links(&document);
    let statuses: Vec<&str> = links.iter().map(|link| link["status"].as_str().expect("a status")).collect();
    assert_eq!(statuses, ["ok", "ok", "ok", "ok", "unknown", "unknown", "unknown", "unknown"], "{links:#?}");
    scene.world.with(|sandbox| {
        sandbox.gate().fault(
            Stage::Before,
            aws::Match::on("eks", "ListPodIdentityAssociations"),
            aws::Fault::Deny,
            None,
        );
    });
    let (status, text) = scene.link(4, "annotation", &[]);
    assert_eq!(status, "unknown", "{text}");
    assert!(text.contains("eks:ListPodIdentityAssociations"), "{text}");
}

#[test]
fn calls_grow_with_the_service_accounts_only_where_they_must() {
    let scene = Scene::bare();
    let names: Vec<String> = (0..500).map(|number| format!("\"app-{number:03}\"")).collect();
    // twenty roles, so that each trust policy fits
    let mut text = String::new();
    for (number, names) in names.chunks(25).enumerate() {
        let _ = write!(
            text,
            "[roles.r{number}]\nattach = [\"aws:AmazonS3ReadOnlyAccess\"]\n[[service-accounts]]\nrole = \"r{number}\"\nnamespace = \"apps\"\nname = [{}]\n",
            names.join(", ")
        );
    }
    scene.declare(&text);
    scene.bench.ends(0, &["apply", "--auto-approve"]);
    scene.world.clear_log();
    let cluster = scene.world.cluster("main");
    cluster.gate().forget();
    let run = scene.verify(0, &["--format", "json", "--parallelism", "50"]);
    assert_eq!(run.json()["summary"]["ok"], 500);
    let count = |action: &str| scene.world.actions().iter().filter(|one| *one == action).count();
    assert_eq!(count("AssumeRoleWithWebIdentity"), 500);
    assert_eq!(count("ListPodIdentityAssociations"), 1);
    let log = cluster.gate().log();
    let asked = |verb: &str, resource: &str| {
        log.iter().filter(|record| record.call.verb == verb && record.call.resource == resource).count()
    };
    assert_eq!(asked("create", "serviceaccounts/token"), 500);
    assert_eq!((asked("list", "pods"), asked("list", "mutatingwebhookconfigurations")), (1, 1));
    assert_eq!(asked("list", "namespaces"), 1);
    let changes =
        log.iter().filter(|record| ["create", "update", "patch", "delete"].contains(&record.call.verb.as_str()));
    assert!(changes.into_iter().all(|record| record.call.resource == "serviceaccounts/token"));
    let reads = scene.world.with(|sandbox| sandbox.published_reads());
    assert_eq!(reads.len(), 2, "{reads:?}");
}

#[test]
fn links_that_do_not_apply_are_not_judged() {
    let scene = Scene::bare();
    let entry = "[[service-accounts]]\nrole = \"app\"\nnamespace = \"apps\"\nname = \"x\"\nmanage = \"none\"\n[[service-accounts]]\nrole = \"app\"\nnamespace = \"apps\"\nname = \"job-*\"\nallow-wildcard = \"jobs\"\nmanage = \"none\"\n[[service-accounts]]\nrole = \"app\"\nnamespace = \"later\"\nname = \"y\"\n";
    scene.declare(&format!("[roles.app]\nattach = [\"aws:AmazonS3ReadOnlyAccess\"]\n{entry}"));
    scene.bench.ends(0, &["apply", "--auto-approve", "--deny", "none"]);
    let run = scene.verify(0, &["--deny", "none", "-v"]);
    run.says("Verified 3 ServiceAccounts: 1 ok, 0 broken, 0 not fully seen, 2 not there.")
        .says("it waits for namespace `later`")
        .says("a pattern names no single ServiceAccount")
        .says("`manage = \"none\"`");
    let run = scene.bench.ends(64, &["verify", "--deny", "none", "--only", "role/none"]);
    run.says("matches no ServiceAccount");
    let one = scene.verify(0, &["--deny", "none", "--only", "service-account/main/later/*", "--format", "json"]).json();
    let summary = json!({"service-accounts": 1, "ok": 0, "failed": 0, "unknown": 0, "missing": 1});
    assert_eq!(one["summary"], summary);
}

#[test]
fn apply_verifies_what_it_touched() {
    let scene = Scene::bare();
    scene.declare(&role("app"));
    let run = scene.bench.ends(0, &["apply", "--auto-approve", "--verify"]);
    run.says("Verified 1 ServiceAccount: 1 ok, 0 broken, 0 not fully seen.");
    scene.webhook(|hook| hook["rules"] = json!([]));
    scene.declare(&(role("app") + &role("two")));
    let run = scene.bench.ends(7, &["apply", "--auto-approve", "--verify"]);
    run.says("FAIL webhook: ").says("service-account/main/apps/two");
}

#[test]
fn apply_verifies_nothing_that_it_destroys() {
    let scene = Scene::new();
    let run = scene.bench.ends(0, &["apply", "--destroy", "--force", "--auto-approve", "--verify"]);
    run.says("Verified 0 ServiceAccounts: 0 ok, 0 broken, 0 not fully seen.");
    assert!(!run.stdout.contains("FAIL"), "{run}");
}

#[test]
fn apply_verifies_what_it_applied_in_part() {
    let scene = Scene::bare();
    scene.declare(&(role("app") + &role("two")));
    scene.world.deny_object("CreateRole", "two");
    let run = scene.bench.ends(6, &["apply", "--auto-approve", "--verify"]);
    run.says("Verified 1 ServiceAccount: 1 ok, 0 broken, 0 not fully seen.")
        .says("not verified: 1 ServiceAccount whose changes were not all applied");
    scene.webhook(|hook| hook["rules"] = json!([]));
    scene.declare(&(role("app") + &role("two") + &role("three")));
    let run = scene.bench.ends(6, &["apply", "--auto-approve", "--verify"]);
    run.says("FAIL webhook: ").says("service-account/main/apps/three");
}
