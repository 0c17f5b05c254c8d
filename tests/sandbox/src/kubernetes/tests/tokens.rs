//! Tests of ServiceAccount tokens: their creation, their verification, and their use for STS and the Kubernetes API.

use super::http::{cluster, get, send};
use crate::aws::bench::{Bench, FIRST, Key, TEST, role};
use crate::aws::{AccountRegion, NewCluster};
use crate::kubernetes::{Access, Cluster, Grant, Preconditions, Resource};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rsa::PublicKeyComponents;
use ring::signature::RSA_PKCS1_2048_8192_SHA256;
use serde_json::{Value, json};
use std::sync::Arc;

const ACCOUNT: &str = "/api/v1/namespaces/reporting/serviceaccounts/worker";

async fn ask(cluster: &Cluster, user: &str, body: &Value) -> (u16, Value) {
    send(cluster, "POST", &format!("{ACCOUNT}/token"), user, "application/json", &body.to_string()).await.unwrap()
}

/// Requests a token for these audiences, or for the API's own audience if there are none.
async fn token(cluster: &Cluster, user: &str, audiences: &[&str]) -> String {
    let (code, answer) = ask(cluster, user, &json!({"spec": {"audiences": audiences}})).await;
    assert_eq!(code, 201, "{answer}");
    answer["status"]["token"].as_str().unwrap().to_owned()
}

fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

fn seed(cluster: &Cluster) -> Value {
    cluster.with(|store| store.seed_service_account("reporting", "worker", &[], "t")).unwrap()
}

#[tokio::test]
async fn a_token_has_the_claims_of_a_real_one() {
    let cluster = cluster().await;
    let account = seed(&cluster);
    let body = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"audiences": ["sts.amazonaws.com"], "expirationSeconds": 600},
    });
    let (code, answer) = ask(&cluster, "root", &body).await;
    assert_eq!((code, &answer["kind"]), (201, &json!("TokenRequest")), "{answer}");
    let spec = json!({"audiences": ["sts.amazonaws.com"], "expirationSeconds": 600, "boundObjectRef": null});
    assert_eq!(answer["spec"], spec);
    let token = answer["status"]["token"].as_str().unwrap();
    let claims = part(token, 1);
    assert_eq!(claims["iss"], cluster.issuer());
    assert_eq!(claims["sub"], "system:serviceaccount:reporting:worker");
    assert_eq!(claims["aud"], json!(["sts.amazonaws.com"]));
    let (issued, ends) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert_eq!((claims["nbf"].as_i64(), ends), (Some(issued), issued + 600));
    let end: jiff::Timestamp = answer["status"]["expirationTimestamp"].as_str().unwrap().parse().unwrap();
    assert_eq!(end.as_second(), ends);
    let about = json!({
        "namespace": "reporting", "serviceaccount": {"name": "worker", "uid": account["metadata"]["uid"]},
    });
    assert_eq!(claims["kubernetes.io"], about);
    let other = self::token(&cluster, "root", &[]).await;
    assert_ne!(part(&other, 1)["jti"], claims["jti"]);
    assert_eq!(part(&other, 1)["aud"], json!([cluster.issuer()]), "the API's own audience");
    assert_eq!(part(&other, 1)["exp"].as_i64().unwrap() - part(&other, 1)["iat"].as_i64().unwrap(), 3600);
    assert!(cluster.gate().writes().is_empty(), "a token changes nothing");
    assert_eq!(cluster.gate().log()[0].call.resource, "serviceaccounts/token");
}

#[tokio::test]
async fn a_token_verifies_with_the_published_keys() {
    let cluster = cluster().await;
    seed(&cluster);
    let token = token(&cluster, "root", &["sts.amazonaws.com"]).await;
    let (_, document) = get(&cluster, "/.well-known/openid-configuration", "root").await;
    let place = document["jwks_uri"].as_str().unwrap();
    let path = place.strip_prefix(&cluster.endpoint()).unwrap();
    let (code, keys) = get(&cluster, path, "root").await;
    assert_eq!((code, keys["keys"].as_array().unwrap().len()), (200, 1));
    let key = &keys["keys"][0];
    assert_eq!((&key["kty"], &key["alg"], &key["use"]), (&json!("RSA"), &json!("RS256"), &json!("sig")));
    assert_eq!(part(&token, 0), json!({"alg": "RS256", "kid": key["kid"]}));
    assert_eq!(key["e"], "AQAB");
    let number = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let public = PublicKeyComponents { n: number("n"), e: number("e") };
    let (text, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    public.verify(&RSA_PKCS1_2048_8192_SHA256, text.as_bytes(), &signature).unwrap();
    let forged = format!("{text}x");
    assert!(public.verify(&RSA_PKCS1_2048_8192_SHA256, forged.as_bytes(), &signature).is_err());
    // ServiceAccounts may read both documents; other users need a role that allows it.
    let own = self::token(&cluster, "root", &[]).await;
    for path in ["/openid/v1/jwks", "/.well-known/openid-configuration"] {
        assert_eq!(get(&cluster, path, &own).await.0, 200, "{path}");
        assert_eq!(get(&cluster, path, "less").await.0, 403, "{path}");
        assert_eq!(get(&cluster, path, "nobody").await.0, 401, "{path}");
    }
}

#[tokio::test]
async fn an_invalid_token_request_is_refused_with_the_servers_message() {
    let cluster = cluster().await;
    let (code, status) = ask(&cluster, "root", &json!({})).await;
    assert_eq!((code, status["message"].as_str()), (404, Some("serviceaccounts \"worker\" not found")));
    seed(&cluster);
    let invalid = "TokenRequest.authentication.k8s.io";
    let bound = |kind: &str, name: &str| json!({"boundObjectRef": {"kind": kind, "apiVersion": "v1", "name": name}});
    cluster.with(|store| store.seed_service_account("reporting", "other", &[], "t")).unwrap();
    cluster.with(|store| store.seed_pod("reporting", "theirs", "other")).unwrap();
    let cases = [
        (
            json!({"expirationSeconds": 599}),
            422,
            format!(
                "{invalid} \"\" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less \
                 than 10 minutes"
            ),
        ),
        (
            json!({"expirationSeconds": 4_294_967_297_i64}),
            422,
            format!(
                "{invalid} \"\" is invalid: spec.expirationSeconds: Invalid value: 4294967297: may not specify a duration \
                 larger than 2^32 seconds"
            ),
        ),
        (
            json!({"expirationSeconds": "1h"}),
            400,
            "TokenRequest in version \"v1\" cannot be handled as a TokenRequest: json: cannot unmarshal string into Go \
             struct field TokenRequestSpec.spec.expirationSeconds of type int64"
                .to_owned(),
        ),
        (bound("Pod", "none"), 404, "pods \"none\" not found".to_owned()),
        (
            bound("Pod", "theirs"),
            400,
            "cannot bind token for serviceaccount \"worker\" to pod running with different serviceaccount name.".to_owned(),
        ),
        (bound("Service", "s"), 400, "cannot bind token to object of type /v1, Kind=Service".to_owned()),
    ];
    for (spec, code, message) in cases {
        let (found, status) = ask(&cluster, "root", &json!({"spec": spec})).await;
        assert_eq!((found, status["message"].as_str()), (code, Some(&*message)));
    }
    let (code, status) = ask(&cluster, "root", &json!({"metadata": {"name": "other"}})).await;
    let message = "TokenRequest.authentication.k8s.io \"worker\" is invalid: metadata.name: Invalid value: \"other\": must \
                   match the service account name if specified";
    assert_eq!((code, status["message"].as_str()), (422, Some(message)));
    // A longer duration than EKS allows is shortened.
    let (code, answer) = ask(&cluster, "root", &json!({"spec": {"expirationSeconds": 172_800}})).await;
    assert_eq!((code, &answer["spec"]["expirationSeconds"]), (201, &json!(86_400)));
    // Permission to create ServiceAccounts does not include permission to create their tokens.
    let grant = |resource: &str| Access::Only(vec![Grant::in_namespaces(&["reporting"], &[resource], &["create"])]);
    cluster.set_access("somebody", grant("serviceaccounts"));
    let (code, status) = ask(&cluster, "k8s-aws-v1.somebody", &json!({})).await;
    let message = "serviceaccounts \"worker\" is forbidden: User \"somebody\" cannot create resource \
                   \"serviceaccounts/token\" in API group \"\" in the namespace \"reporting\"";
    assert_eq!((code, status["message"].as_str()), (403, Some(message)));
    cluster.set_access("somebody", grant("serviceaccounts/token"));
    assert_eq!(ask(&cluster, "k8s-aws-v1.somebody", &json!({})).await.0, 201);
}

#[tokio::test]
async fn a_token_has_the_permissions_of_its_service_account() {
    let cluster = cluster().await;
    let account = seed(&cluster);
    let token = self::token(&cluster, "root", &[]).await;
    let list = "/api/v1/namespaces/reporting/serviceaccounts";
    let (code, status) = get(&cluster, list, &token).await;
    assert_eq!(code, 403);
    let user = "User \"system:serviceaccount:reporting:worker\" cannot list resource \"serviceaccounts\"";
    assert!(status["message"].as_str().unwrap().contains(user), "{status}");
    for path in ["/api", "/apis", "/api/v1", "/version", "/openapi/v3"] {
        assert_eq!(get(&cluster, path, &token).await.0, 200, "{path}");
    }
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let (code, me) = send(&cluster, "POST", path, &token, "application/json", "{}").await.unwrap();
    let groups = json!(["system:serviceaccounts", "system:serviceaccounts:reporting", "system:authenticated"]);
    let expected = json!({
        "username": "system:serviceaccount:reporting:worker", "uid": account["metadata"]["uid"], "groups": groups,
    });
    assert_eq!((code, &me["status"]["userInfo"]), (201, &expected));
    let grant = Grant::in_namespaces(&["reporting"], &["serviceaccounts"], &["list"]);
    cluster.set_access("system:serviceaccount:reporting:worker", Access::Only(vec![grant]));
    assert_eq!(get(&cluster, list, &token).await.0, 200);
    // The API rejects a token for another audience, from another cluster, or with changed claims.
    let foreign = self::token(&cluster, "root", &["sts.amazonaws.com"]).await;
    assert_eq!(get(&cluster, "/api", &foreign).await.0, 401);
    let other = super::http::cluster().await;
    seed(&other);
    assert_eq!(get(&other, "/api", &token).await.0, 401, "a token of the same issuer but signed by another key");
    let mut claims = part(&token, 1);
    claims["sub"] = json!("system:serviceaccount:kube-system:default");
    let parts: Vec<&str> = token.split('.').collect();
    let forged = format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2]);
    assert_eq!(get(&cluster, "/api", &forged).await.0, 401);
    // The token becomes invalid with its ServiceAccount. A new account of the same name has another uid.
    let gone = |resource, name: &str| {
        cluster.with(|store| store.delete(resource, "reporting", name, &Preconditions::default(), false))
    };
    gone(Resource::ServiceAccounts, "worker").unwrap();
    seed(&cluster);
    assert_eq!(get(&cluster, "/api", &token).await.0, 401);
    // The token becomes invalid with the pod that it is bound to.
    cluster.with(|store| store.seed_pod("reporting", "mine", "worker")).unwrap();
    let bound = json!({"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "mine"}}});
    let (code, answer) = ask(&cluster, "root", &bound).await;
    assert_eq!(code, 201, "{answer}");
    let token = answer["status"]["token"].as_str().unwrap();
    assert_eq!(part(token, 1)["kubernetes.io"]["pod"]["name"], "mine");
    assert_eq!(get(&cluster, "/api", token).await.0, 200);
    gone(Resource::Pods, "mine").unwrap();
    assert_eq!(get(&cluster, "/api", token).await.0, 401);
}

#[tokio::test]
async fn a_token_is_accepted_by_sts_until_it_expires() {
    let bench = Bench::new().await;
    let place = AccountRegion::new(FIRST, "eu-west-1");
    let cluster: Arc<Cluster> = bench.aws.add_cluster(&place, NewCluster::named("shop", &place, None)).await.unwrap();
    seed(&cluster);
    let issuer = cluster.issuer().to_owned();
    let host_path = issuer.trim_start_matches("https://");
    let provider =
        [("Action", "CreateOpenIDConnectProvider"), ("Url", &issuer), ("ClientIDList.member.1", "sts.amazonaws.com")];
    assert_eq!(bench.query(TEST, "iam", &provider).await.status, 200);
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": format!("arn:aws:iam::{FIRST}:oidc-provider/{host_path}")},
        "Condition": {"StringEquals": {
            format!("{host_path}:sub"): "system:serviceaccount:reporting:worker",
            format!("{host_path}:aud"): "sts.amazonaws.com",
        }},
    }]});
    let made = bench.query(TEST, "iam", &role("reports", &trust.to_string())).await;
    let arn = made.text("Arn").to_owned();
    let become_role = async |token: &str| {
        let fields = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", &arn),
            ("RoleSessionName", "pod"),
            ("WebIdentityToken", token),
        ];
        bench.unsigned(&fields).await
    };
    let good = token(&cluster, "admin-token", &["sts.amazonaws.com"]).await;
    let session = become_role(&good).await;
    assert_eq!(session.status, 200, "{}", session.body);
    let key = Key(session.text("AccessKeyId"), Some(session.text("SessionToken")));
    let me = bench.query(key, "sts", &[("Action", "GetCallerIdentity")]).await;
    assert_eq!(me.text("Arn"), "arn:aws:sts::111122223333:assumed-role/reports/pod");
    let own = token(&cluster, "admin-token", &[]).await;
    assert_eq!(
        become_role(&own).await.error(),
        (400, "InvalidIdentityToken".to_owned()),
        "the API's own audience is not accepted by STS"
    );
    assert_eq!(get(&cluster, "/api", &own).await.0, 200);
    bench.wait(3600);
    assert_eq!(become_role(&good).await.error(), (400, "ExpiredTokenException".to_owned()));
    assert_eq!(get(&cluster, "/api", &own).await.0, 200, "within the leeway");
    bench.wait(60);
    assert_eq!(get(&cluster, "/api", &own).await.0, 401);
}
