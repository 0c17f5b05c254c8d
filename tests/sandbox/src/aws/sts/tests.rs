//! Tests of STS over HTTP: sessions within and across accounts, and ServiceAccount tokens.

use crate::aws::eks::{AccountRegion, NewCluster};
use crate::aws::server::tests::{Bench, FIRST, Key, Reply, SECOND, TEST, role};
use serde_json::{Value, json};

fn trust(principal: &Value, condition: &Value) -> String {
    let action = if principal.get("Federated").is_some() { "sts:AssumeRoleWithWebIdentity" } else { "sts:AssumeRole" };
    let statement = json!({"Effect": "Allow", "Principal": principal, "Action": action, "Condition": condition});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

fn error(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

impl Bench {
    async fn role_in(&self, account: &str, name: &str, principal: &Value, condition: &Value) -> String {
        let made = self.query(Key(account, None), "iam", &role(name, &trust(principal, condition))).await;
        made.text("Arn").to_owned()
    }

    async fn assume(&self, key: Key<'_>, arn: &str, more: &[(&str, &str)]) -> Reply {
        let mut fields = vec![("Action", "AssumeRole"), ("RoleArn", arn)];
        if !more.iter().any(|(name, _)| *name == "RoleSessionName") {
            fields.push(("RoleSessionName", "irsa"));
        }
        fields.extend(more);
        self.query(key, "sts", &fields).await
    }
}

#[tokio::test]
async fn a_role_of_another_account_is_assumed_and_used() {
    let bench = Bench::new().await;
    let root = json!({"AWS": format!("arn:aws:iam::{FIRST}:root")});
    let arn = bench.role_in(SECOND, "access", &root, &json!({})).await;
    let session = bench.assume(TEST, &arn, &[]).await;
    assert_eq!(session.status, 200, "{}", session.body);
    assert_eq!(session.text("Arn"), "arn:aws:sts::444455556666:assumed-role/access/irsa");
    assert_eq!(session.text("Expiration"), "2023-11-14T23:13:20Z");
    let (key, token) = (session.text("AccessKeyId"), session.text("SessionToken"));
    assert!(key.starts_with("ASIA") && key.len() == 20, "{key}");
    let there = Key(key, Some(token));
    let me = bench.query(there, "sts", &[("Action", "GetCallerIdentity")]).await;
    assert_eq!((me.text("Account"), me.text("Arn")), (SECOND, session.text("Arn")));
    assert_eq!(me.text("UserId"), session.text("AssumedRoleId"));
    let roles = bench.query(there, "iam", &[("Action", "ListRoles")]).await;
    assert_eq!(roles.text("RoleName"), "access");
    let used = bench.query(there, "iam", &[("Action", "GetRole"), ("RoleName", "access")]).await;
    assert_eq!(used.text("LastUsedDate"), "2023-11-14T22:13:20Z");
    for without in [Key(key, None), Key(key, Some("other"))] {
        let answer = bench.query(without, "iam", &[("Action", "ListRoles")]).await;
        assert_eq!(answer.error(), error(403, "InvalidClientTokenId"));
    }
    bench.wait(3600);
    let late = bench.query(there, "iam", &[("Action", "ListRoles")]).await;
    assert_eq!(late.error(), error(403, "ExpiredToken"));
    let late = bench.eks(there, "eu-west-1", "GET /clusters", Value::Null).await;
    assert_eq!(late.error(), error(403, "ExpiredTokenException"));
}

#[tokio::test]
async fn an_untrusted_caller_gets_the_same_denial_as_for_a_missing_role() {
    let bench = Bench::new().await;
    let arn = bench.role_in(FIRST, "other", &json!({"AWS": SECOND}), &json!({})).await;
    for arn in [arn.as_str(), "arn:aws:iam::111122223333:role/none", "arn:aws:iam::222222222222:role/none"] {
        let denied = bench.assume(TEST, arn, &[]).await;
        assert_eq!(denied.error(), error(403, "AccessDenied"));
        let text = format!(
            "User: arn:aws:iam::{FIRST}:user/sandbox is not authorized to perform: sts:AssumeRole on resource: {arn}"
        );
        assert_eq!(denied.text("Message"), text);
    }
    assert_eq!(bench.assume(Key(SECOND, None), &arn, &[]).await.status, 200);
}

#[tokio::test]
async fn trust_policy_conditions_are_evaluated() {
    let bench = Bench::new().await;
    let with_id = json!({"StringEquals": {"sts:ExternalId": "secret"}});
    let arn = bench.role_in(SECOND, "guarded", &json!({"AWS": FIRST}), &with_id).await;
    assert_eq!(bench.assume(TEST, &arn, &[]).await.error(), error(403, "AccessDenied"));
    assert_eq!(bench.assume(TEST, &arn, &[("ExternalId", "wrong")]).await.error(), error(403, "AccessDenied"));
    assert_eq!(bench.assume(TEST, &arn, &[("ExternalId", "secret")]).await.status, 200);
    let tagged = [("ExternalId", "secret"), ("Tags.member.1.Key", "k"), ("Tags.member.1.Value", "v")];
    let denied = bench.assume(TEST, &arn, &tagged).await;
    assert!(denied.text("Message").contains("sts:TagSession"), "{}", denied.body);
}

#[tokio::test]
async fn a_recreated_role_is_not_trusted_by_its_old_arn() {
    let bench = Bench::new().await;
    let runner = bench.role_in(FIRST, "runner", &json!({"AWS": FIRST}), &json!({})).await;
    let target = bench.role_in(SECOND, "target", &json!({"AWS": runner}), &json!({})).await;
    let session = bench.assume(TEST, &runner, &[]).await;
    let key = Key(session.text("AccessKeyId"), Some(session.text("SessionToken")));
    assert_eq!(bench.assume(TEST, &target, &[]).await.status, 403);
    assert_eq!(bench.assume(key, &target, &[]).await.status, 200);
    let chained = bench
        .query(
            Key(SECOND, None),
            "iam",
            &[("Action", "UpdateRole"), ("RoleName", "target"), ("MaxSessionDuration", "43200")],
        )
        .await;
    assert_eq!(chained.status, 200);
    assert_eq!(bench.assume(key, &target, &[("DurationSeconds", "7200")]).await.error(), error(400, "ValidationError"));
    bench.query(TEST, "iam", &[("Action", "DeleteRole"), ("RoleName", "runner")]).await;
    bench.role_in(FIRST, "runner", &json!({"AWS": FIRST}), &json!({})).await;
    let session = bench.assume(TEST, &runner, &[]).await;
    let key = Key(session.text("AccessKeyId"), Some(session.text("SessionToken")));
    assert_eq!(bench.assume(key, &target, &[]).await.error(), error(403, "AccessDenied"));
}

#[tokio::test]
async fn invalid_requests_are_validation_errors() {
    let bench = Bench::new().await;
    let arn = bench.role_in(FIRST, "self", &json!({"AWS": FIRST}), &json!({})).await;
    for more in [
        [("RoleSessionName", "s")],
        [("RoleSessionName", "has space")],
        [("DurationSeconds", "899")],
        [("DurationSeconds", "43201")],
        [("DurationSeconds", "3601")],
        [("ExternalId", "x")],
    ] {
        assert_eq!(bench.assume(TEST, &arn, &more).await.error(), error(400, "ValidationError"), "{more:?}");
    }
    for arn in ["short", "not-an-arn-but-long-enough"] {
        assert_eq!(bench.assume(TEST, arn, &[]).await.error(), error(400, "ValidationError"), "{arn}");
    }
    assert_eq!(bench.assume(TEST, &arn, &[("DurationSeconds", "3600")]).await.status, 200);
}

const SUBJECT: &str = "system:serviceaccount:shop:cart";

#[tokio::test]
async fn a_service_account_token_assumes_only_roles_that_trust_it() {
    let bench = Bench::new().await;
    let place = AccountRegion::new(FIRST, "eu-west-1");
    let cluster = bench.aws.add_cluster(&place, NewCluster::named("shop", &place, None)).await.unwrap();
    let issuer = cluster.issuer().to_owned();
    let host_path = issuer.trim_start_matches("https://").to_owned();
    let provider =
        [("Action", "CreateOpenIDConnectProvider"), ("Url", &issuer), ("ClientIDList.member.1", "sts.amazonaws.com")];
    let key = bench.aws.eks().issuer_key(&issuer).unwrap();
    let now = bench.now().as_second();
    let claims = json!({"iss": issuer, "sub": SUBJECT, "aud": ["sts.amazonaws.com"], "exp": now + 60});
    let good = key.sign(&claims).unwrap();
    let other = |field: &str, value: Value| {
        let mut claims = claims.clone();
        claims[field] = value;
        key.sign(&claims).unwrap()
    };
    let federated = format!("arn:aws:iam::{FIRST}:oidc-provider/{host_path}");
    let condition = json!({"StringEquals": {
        format!("{host_path}:sub"): SUBJECT, format!("{host_path}:aud"): "sts.amazonaws.com",
    }});
    let arn = bench.role_in(FIRST, "cart", &json!({"Federated": federated}), &condition).await;
    let become_role = async |token: &str, arn: &str| {
        let fields = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", arn),
            ("RoleSessionName", "pod"),
            ("WebIdentityToken", token),
        ];
        bench.unsigned(&fields).await
    };
    assert_eq!(become_role(&good, &arn).await.error(), error(400, "InvalidIdentityToken"), "no provider exists yet");
    assert_eq!(bench.query(TEST, "iam", &provider).await.status, 200);
    let session = become_role(&good, &arn).await;
    assert_eq!(session.status, 200, "{}", session.body);
    assert_eq!((session.text("SubjectFromWebIdentityToken"), session.text("Provider")), (SUBJECT, &*federated));
    let pod = Key(session.text("AccessKeyId"), Some(session.text("SessionToken")));
    let me = bench.query(pod, "sts", &[("Action", "GetCallerIdentity")]).await;
    assert_eq!(me.text("Arn"), "arn:aws:sts::111122223333:assumed-role/cart/pod");
    let (head, signature) = good.rsplit_once('.').unwrap();
    let forged = format!("{}.{signature}", other("exp", json!(now + 9999)).rsplit_once('.').unwrap().0);
    let flipped = format!("{head}.{}", signature.chars().rev().collect::<String>());
    for (token, expected) in [
        ("garbage".to_owned(), error(400, "InvalidIdentityToken")),
        (forged, error(400, "InvalidIdentityToken")),
        (flipped, error(400, "InvalidIdentityToken")),
        (format!("{head}."), error(400, "InvalidIdentityToken")),
        (other("aud", json!(["vault"])), error(400, "InvalidIdentityToken")),
        (other("aud", json!([])), error(400, "InvalidIdentityToken")),
        (other("sub", Value::Null), error(400, "InvalidIdentityToken")),
        (other("exp", json!("soon")), error(400, "InvalidIdentityToken")),
        (other("iss", json!(host_path)), error(400, "InvalidIdentityToken")),
        (other("nbf", json!(now + 1)), error(403, "IDPRejectedClaim")),
        (other("iss", json!("https://other.example.com")), error(400, "InvalidIdentityToken")),
        (other("exp", json!(now)), error(400, "ExpiredTokenException")),
        (other("sub", json!("system:serviceaccount:shop:other")), error(403, "AccessDenied")),
    ] {
        assert_eq!(become_role(&token, &arn).await.error(), expected, "{token}");
    }
    // STS checks in this order: the signature, the time, the audience, the trust policy.
    let both = key.sign(&json!({"iss": issuer, "sub": "other", "aud": "vault", "exp": now})).unwrap();
    assert_eq!(become_role(&both, &arn).await.error(), error(400, "ExpiredTokenException"));
    assert_eq!(become_role(&other("nbf", json!(now)), &arn).await.status, 200);
    assert_eq!(become_role(&good, "arn:aws:iam::111122223333:role/none").await.error(), error(403, "AccessDenied"));
    bench.aws.eks().remove(&place, "shop");
    assert_eq!(become_role(&good, &arn).await.error(), error(400, "InvalidIdentityToken"), "the cluster is gone");
}
