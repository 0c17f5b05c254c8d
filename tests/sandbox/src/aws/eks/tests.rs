//! Tests of EKS over HTTP: clusters and what belongs to them, and who may use a cluster's API.

use crate::aws::credentials::signature::token;
use crate::aws::server::tests::{Bench, FIRST, Key, SECOND, TEST, role};
use serde_json::{Value, json};

const HOME: &str = "eu-west-1";

fn new(name: &str) -> Value {
    json!({
        "name": name, "roleArn": "arn:aws:iam::111122223333:role/eks", "version": "1.32",
        "resourcesVpcConfig": {"subnetIds": ["subnet-1", "subnet-2"]}, "tags": {"team": "shop"},
        "accessConfig": {"authenticationMode": "API"},
    })
}

fn error(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

impl Bench {
    async fn ok(&self, line: &str, body: Value) -> Value {
        let reply = self.eks(TEST, HOME, line, body).await;
        assert_eq!(reply.status, 200, "{line}: {}", reply.body);
        reply.json()
    }

    async fn refused(&self, line: &str, body: Value) -> (u16, String) {
        self.eks(TEST, HOME, line, body).await.error()
    }
}

#[tokio::test]
async fn a_cluster_is_created_described_and_deleted() {
    let bench = Bench::new().await;
    let made = bench.ok("POST /clusters", new("shop")).await["cluster"].clone();
    assert_eq!(
        (&made["status"], &made["endpoint"], &made["identity"]),
        (&json!("CREATING"), &Value::Null, &Value::Null)
    );
    let shown = bench.ok("GET /clusters/shop", Value::Null).await["cluster"].clone();
    let expected = [
        ("status", json!("ACTIVE")),
        ("arn", json!("arn:aws:eks:eu-west-1:111122223333:cluster/shop")),
        ("version", json!("1.32")),
        ("tags", json!({"team": "shop"})),
        ("accessConfig", json!({"authenticationMode": "API"})),
        ("createdAt", json!(1_700_000_000.0)),
    ];
    for (field, value) in expected {
        assert_eq!(shown[field], value, "{field}");
    }
    let issuer = shown["identity"]["oidc"]["issuer"].as_str().unwrap();
    let id = issuer.strip_prefix("https://oidc.eks.eu-west-1.amazonaws.com/id/").unwrap();
    assert!(id.len() == 32 && id.bytes().all(|byte| b"0123456789ABCDEF".contains(&byte)), "{id}");
    let place = super::AccountRegion::new(FIRST, HOME);
    let kubernetes = bench.aws.eks().kubernetes(&place, "shop").unwrap();
    assert_eq!(shown["endpoint"], kubernetes.endpoint());
    assert_eq!(shown["certificateAuthority"]["data"], kubernetes.certificate_authority_data());
    assert_eq!(bench.ok("DELETE /clusters/shop", Value::Null).await["cluster"]["status"], "DELETING");
    for line in ["GET /clusters/shop", "DELETE /clusters/shop", "GET /clusters/shop/addons"] {
        assert_eq!(bench.refused(line, Value::Null).await, error(404, "ResourceNotFoundException"), "{line}");
    }
    bench.ok("POST /clusters", new("shop")).await;
    let again = bench.ok("GET /clusters/shop", Value::Null).await;
    assert_ne!(again["cluster"]["identity"], shown["identity"], "a recreated cluster has another issuer");
}

#[tokio::test]
async fn an_invalid_cluster_is_refused() {
    let bench = Bench::new().await;
    bench.ok("POST /clusters", new("shop")).await;
    assert_eq!(bench.refused("POST /clusters", new("shop")).await, error(409, "ResourceInUseException"));
    let mut asked = new("by-token");
    asked["clientRequestToken"] = json!("once");
    bench.ok("POST /clusters", asked.clone()).await;
    assert_eq!(bench.ok("POST /clusters", asked.clone()).await["cluster"]["name"], "by-token");
    asked["version"] = json!("1.31");
    assert_eq!(bench.refused("POST /clusters", asked).await, error(409, "ResourceInUseException"));
    for (field, value) in [
        ("name", json!("bad name")),
        ("name", json!("-first")),
        ("name", json!("x".repeat(101))),
        ("name", Value::Null),
        ("roleArn", json!("role")),
        ("resourcesVpcConfig", json!({"subnetIds": ["one"]})),
        ("accessConfig", json!({"authenticationMode": "NONE"})),
        ("tags", json!({"aws:x": "1"})),
    ] {
        let mut body = new("other");
        body[field] = value.clone();
        assert_eq!(
            bench.refused("POST /clusters", body).await,
            error(400, "InvalidParameterException"),
            "{field} {value}"
        );
    }
    assert_eq!(bench.ok("GET /clusters", Value::Null).await["clusters"], json!(["by-token", "shop"]));
}

#[tokio::test]
async fn clusters_are_listed_by_account_and_region_in_pages() {
    let bench = Bench::new().await;
    for name in ["c1", "c2", "c3"] {
        bench.ok("POST /clusters", new(name)).await;
    }
    let first = bench.ok("GET /clusters?maxResults=2", Value::Null).await;
    assert_eq!(first["clusters"], json!(["c1", "c2"]));
    let line = format!("GET /clusters?maxResults=2&nextToken={}", first["nextToken"].as_str().unwrap());
    assert_eq!(bench.ok(&line, Value::Null).await, json!({"clusters": ["c3"], "nextToken": null}));
    for query in ["maxResults=0", "maxResults=101", "maxResults=x", "nextToken=%25"] {
        let answer = bench.refused(&format!("GET /clusters?{query}"), Value::Null).await;
        assert_eq!(answer, error(400, "InvalidParameterException"), "{query}");
    }
    for (key, region) in [(TEST, "us-east-1"), (Key(SECOND, None), HOME)] {
        assert_eq!(bench.eks(key, region, "GET /clusters", Value::Null).await.json()["clusters"], json!([]));
        assert_eq!(bench.eks(key, region, "GET /clusters/c1", Value::Null).await.status, 404);
    }
}

const ROLE: &str = "arn:aws:iam::111122223333:role/cart";

async fn furnished() -> Bench {
    let bench = Bench::new().await;
    bench.ok("POST /clusters", new("shop")).await;
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}"#;
    assert_eq!(bench.query(TEST, "iam", &role("cart", trust)).await.status, 200);
    bench
}

#[tokio::test]
async fn associations_are_created_changed_and_deleted() {
    let bench = furnished().await;
    let path = "/clusters/shop/pod-identity-associations";
    let body =
        |account: &str| json!({"namespace": "shop", "serviceAccount": account, "roleArn": ROLE, "tags": {"a": "b"}});
    let made = bench.ok(&format!("POST {path}"), body("cart")).await["association"].clone();
    let id = made["associationId"].as_str().unwrap();
    assert!(id.len() == 19 && id.starts_with("a-"), "{id}");
    assert_eq!(made["associationArn"], format!("arn:aws:eks:eu-west-1:111122223333:podidentityassociation/shop/{id}"));
    assert_eq!((&made["roleArn"], &made["tags"]), (&json!(ROLE), &json!({"a": "b"})));
    assert_eq!(bench.refused(&format!("POST {path}"), body("cart")).await, error(409, "ResourceInUseException"));
    let mut foreign = body("other");
    foreign["roleArn"] = json!("arn:aws:iam::444455556666:role/cart");
    assert_eq!(bench.refused(&format!("POST {path}"), foreign.clone()).await, error(400, "InvalidParameterException"));
    foreign["roleArn"] = json!("arn:aws:iam::111122223333:role/none");
    let answer = bench.eks(TEST, HOME, &format!("POST {path}"), foreign).await;
    assert_eq!(answer.json()["message"], "Role provided in the request does not exist.");
    let mut far = body("far");
    far["targetRoleArn"] = json!("arn:aws:iam::444455556666:role/t");
    far["clientRequestToken"] = json!("once");
    let made_far = bench.ok(&format!("POST {path}"), far.clone()).await;
    assert!(made_far["association"]["externalId"].is_string(), "{made_far}");
    assert_eq!(
        bench.ok(&format!("POST {path}"), far).await,
        made_far,
        "a retry with the same token gets the same answer"
    );
    let listed = bench.ok(&format!("GET {path}?namespace=shop&serviceAccount=cart"), Value::Null).await;
    assert_eq!(listed["associations"].as_array().unwrap().len(), 1);
    assert_eq!(listed["associations"][0]["roleArn"], Value::Null);
    assert_eq!(bench.ok(&format!("GET {path}?namespace=none"), Value::Null).await["associations"], json!([]));
    assert!(bench.ok(&format!("GET {path}?maxResults=1"), Value::Null).await["nextToken"].is_string());
    bench.wait(5);
    let updated = bench.ok(&format!("POST {path}/{id}"), json!({"disableSessionTags": true})).await;
    assert_eq!(updated["association"]["disableSessionTags"], true);
    assert_eq!(updated["association"]["modifiedAt"], 1_700_000_005.0);
    let arn = made["associationArn"].as_str().unwrap().replace(':', "%3A").replace('/', "%2F");
    bench.ok(&format!("POST /tags/{arn}"), json!({"tags": {"x": "y"}})).await;
    bench.ok(&format!("DELETE /tags/{arn}?tagKeys=a&tagKeys=none"), Value::Null).await;
    assert_eq!(bench.ok(&format!("GET /tags/{arn}"), Value::Null).await, json!({"tags": {"x": "y"}}));
    assert_eq!(bench.ok(&format!("DELETE {path}/{id}"), Value::Null).await["association"]["associationId"], id);
    for line in [format!("GET {path}/{id}"), format!("DELETE {path}/{id}"), format!("POST {path}/{id}")] {
        assert_eq!(bench.refused(&line, json!({})).await, error(404, "ResourceNotFoundException"), "{line}");
    }
    assert_eq!(bench.refused(&format!("GET /tags/{arn}"), Value::Null).await, error(404, "NotFoundException"));
}

#[tokio::test]
async fn addons_create_and_delete_their_associations() {
    let bench = furnished().await;
    let path = "/clusters/shop/addons";
    let associations = "/clusters/shop/pod-identity-associations?namespace=kube-system";
    let body = |name: &str| json!({"addonName": name, "podIdentityAssociations": [{"serviceAccount": "aws-node", "roleArn": ROLE}]});
    let made = bench.ok(&format!("POST {path}"), body("vpc-cni")).await["addon"].clone();
    assert_eq!((&made["status"], made["podIdentityAssociations"].as_array().unwrap().len()), (&json!("CREATING"), 1));
    assert_eq!(bench.ok(&format!("GET {path}/vpc-cni"), Value::Null).await["addon"]["status"], "ACTIVE");
    let owned = bench.ok(&format!("GET {associations}"), Value::Null).await["associations"][0].clone();
    assert_eq!((&owned["ownerArn"], &owned["serviceAccount"]), (&made["addonArn"], &json!("aws-node")));
    assert_eq!(bench.refused(&format!("POST {path}"), body("vpc-cni")).await, error(409, "ResourceInUseException"));
    assert_eq!(bench.refused(&format!("POST {path}"), body("coredns")).await, error(409, "ResourceInUseException"));
    assert_eq!(
        bench.refused(&format!("POST {path}"), body("unheard-of")).await,
        error(400, "InvalidParameterException")
    );
    let with_role = json!({"addonName": "aws-ebs-csi-driver", "serviceAccountRoleArn": ROLE});
    assert_eq!(bench.ok(&format!("POST {path}"), with_role).await["addon"]["serviceAccountRoleArn"], ROLE);
    assert_eq!(bench.ok(&format!("GET {path}"), Value::Null).await["addons"], json!(["aws-ebs-csi-driver", "vpc-cni"]));
    let id = owned["associationId"].as_str().unwrap();
    let one = format!("/clusters/shop/pod-identity-associations/{id}");
    for (line, body) in [(format!("DELETE {one}"), Value::Null), (format!("POST {one}"), json!({"roleArn": ROLE}))] {
        assert_eq!(bench.refused(&line, body).await, error(400, "InvalidRequestException"), "{line}");
    }
    bench.ok(&format!("DELETE {path}/vpc-cni"), Value::Null).await;
    assert_eq!(bench.ok(&format!("GET {associations}"), Value::Null).await["associations"], json!([]));
    assert_eq!(
        bench.refused(&format!("GET {path}/vpc-cni"), Value::Null).await,
        error(404, "ResourceNotFoundException")
    );
}

#[tokio::test]
async fn an_addon_update_replaces_its_associations() {
    let bench = furnished().await;
    let path = "/clusters/shop/addons/aws-ebs-csi-driver";
    let associations = "/clusters/shop/pod-identity-associations?namespace=kube-system";
    let body = |accounts: &[&str]| {
        let list: Vec<_> = accounts.iter().map(|name| json!({"serviceAccount": name, "roleArn": ROLE})).collect();
        json!({"podIdentityAssociations": list})
    };
    let accounts = async || {
        let listed = bench.ok(&format!("GET {associations}"), Value::Null).await;
        let list = listed["associations"].as_array().unwrap().clone();
        let mut names: Vec<_> = list.iter().map(|one| one["serviceAccount"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let update = format!("POST {path}/update");
    assert_eq!(bench.refused(&update, json!({})).await, error(404, "ResourceNotFoundException"));
    let mut new = body(&["controller"]);
    new["addonName"] = json!("aws-ebs-csi-driver");
    bench.ok("POST /clusters/shop/addons", new).await;
    let taken = json!({"namespace": "kube-system", "serviceAccount": "taken", "roleArn": ROLE});
    bench.ok("POST /clusters/shop/pod-identity-associations", taken).await;
    bench.wait(5);
    let updated = bench.ok(&update, body(&["node", "controller"])).await["update"].clone();
    assert_eq!((&updated["type"], &updated["status"]), (&json!("AddonUpdate"), &json!("InProgress")));
    assert_eq!(accounts().await, ["controller", "node", "taken"]);
    let shown = bench.ok(&format!("GET {path}"), Value::Null).await["addon"].clone();
    assert_eq!((&shown["createdAt"], &shown["modifiedAt"]), (&json!(1_700_000_000.0), &json!(1_700_000_005.0)));
    assert_eq!(bench.refused(&update, body(&["third", "taken"])).await, error(409, "ResourceInUseException"));
    assert_eq!(accounts().await, ["controller", "node", "taken"], "a refused update changes nothing");
    let role = json!({"serviceAccountRoleArn": ROLE, "addonVersion": "v2"});
    assert_ne!(bench.ok(&update, role).await["update"]["id"], updated["id"]);
    assert_eq!(accounts().await, ["controller", "node", "taken"], "an update without associations changes none");
    let shown = bench.ok(&format!("GET {path}"), Value::Null).await["addon"].clone();
    assert_eq!((&shown["serviceAccountRoleArn"], &shown["addonVersion"]), (&json!(ROLE), &json!("v2")));
    bench.ok(&update, body(&[])).await;
    assert_eq!(accounts().await, ["taken"]);
}

#[tokio::test]
async fn a_session_policy_needs_disabled_session_tags() {
    let bench = furnished().await;
    let path = "/clusters/shop/pod-identity-associations";
    let policy = r#"{"Version":"2012-10-17","Statement":[]}"#;
    let body = |policy: &str, disable: bool| {
        let mut body = json!({"namespace": "shop", "serviceAccount": "cart", "roleArn": ROLE, "policy": policy});
        body["disableSessionTags"] = json!(disable);
        body
    };
    for (policy, disable) in [(policy, false), ("{no", true), ("[]", true)] {
        let answer = bench.refused(&format!("POST {path}"), body(policy, disable)).await;
        assert_eq!(answer, error(400, "InvalidParameterException"), "{policy} {disable}");
    }
    let made = bench.ok(&format!("POST {path}"), body(policy, true)).await["association"].clone();
    assert_eq!(made["policy"], policy);
    let one = format!("POST {path}/{}", made["associationId"].as_str().unwrap());
    let tagged = json!({"disableSessionTags": false});
    assert_eq!(bench.refused(&one, tagged.clone()).await, error(400, "InvalidParameterException"));
    assert_eq!(bench.ok(&one, json!({"policy": ""})).await["association"]["policy"], Value::Null);
    assert_eq!(bench.ok(&one, tagged).await["association"]["disableSessionTags"], false);
}

#[tokio::test]
async fn new_clusters_and_addons_are_creating_for_the_given_describes() {
    let bench = furnished().await;
    let status = async |line: &str, kind: &str| bench.ok(line, Value::Null).await[kind]["status"].clone();
    bench.aws.eks().keep_creating(2);
    bench.ok("POST /clusters", new("slow")).await;
    assert_eq!(status("GET /clusters/shop", "cluster").await, "ACTIVE", "the cluster existed before the setting");
    assert_eq!(bench.ok("GET /clusters", Value::Null).await["clusters"], json!(["shop", "slow"]));
    let early = bench.ok("GET /clusters/slow", Value::Null).await["cluster"].clone();
    assert_eq!(
        (&early["status"], &early["identity"], &early["endpoint"]),
        (&json!("CREATING"), &Value::Null, &Value::Null)
    );
    let addon = json!({"addonName": "vpc-cni"});
    let refused = bench.refused("POST /clusters/slow/addons", addon.clone()).await;
    assert_eq!(refused, error(400, "InvalidRequestException"));
    assert_eq!(bench.refused("DELETE /clusters/slow", Value::Null).await, error(409, "ResourceInUseException"));
    assert_eq!(status("GET /clusters/slow", "cluster").await, "CREATING");
    assert_eq!(status("GET /clusters/slow", "cluster").await, "ACTIVE");
    bench.ok("POST /clusters/slow/addons", addon).await;
    let path = "/clusters/slow/addons/vpc-cni";
    assert_eq!(status(&format!("GET {path}"), "addon").await, "CREATING");
    assert_eq!(bench.refused(&format!("POST {path}/update"), json!({})).await, error(409, "ResourceInUseException"));
    assert_eq!(status(&format!("GET {path}"), "addon").await, "CREATING");
    assert_eq!(status(&format!("GET {path}"), "addon").await, "ACTIVE");
    bench.aws.eks().keep_creating(0);
    bench.ok("POST /clusters", new("fast")).await;
    assert_eq!(status("GET /clusters/fast", "cluster").await, "ACTIVE");
}

#[tokio::test]
async fn an_unsettled_role_is_refused_by_eks() {
    let bench = furnished().await;
    bench.aws.with_iam(FIRST, |iam| iam.unsettled(1));
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    assert_eq!(bench.query(TEST, "iam", &role("young", trust)).await.status, 200);
    let body = json!({"namespace": "shop", "serviceAccount": "a", "roleArn": "arn:aws:iam::111122223333:role/young"});
    let line = "POST /clusters/shop/pod-identity-associations";
    assert_eq!(bench.refused(line, body.clone()).await, error(400, "InvalidParameterException"));
    bench.ok(line, body).await;
}

/// Asks a cluster's API over TLS who a token authenticates.
async fn whoami(bench: &Bench, cluster: &str, token: &str) -> (u16, Value) {
    let kubernetes = bench.aws.eks().kubernetes(&super::AccountRegion::new(FIRST, HOME), cluster).unwrap();
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    crate::kubernetes::tests::http::send(&kubernetes, "POST", path, token, "application/json", "{}").await.unwrap()
}

#[tokio::test]
async fn a_token_is_valid_only_for_its_cluster_and_lifetime() {
    let bench = Bench::new().await;
    for name in ["shop", "data"] {
        bench.ok("POST /clusters", new(name)).await;
    }
    let good = token("test", "test", None, "shop", bench.now());
    let (code, me) = whoami(&bench, "shop", &good).await;
    assert_eq!((code, &me["status"]["userInfo"]["username"]), (201, &json!("arn:aws:iam::111122223333:user/sandbox")));
    assert_eq!(whoami(&bench, "data", &good).await.0, 401, "a token for another cluster");
    for bad in [
        token("test", "wrong", None, "shop", bench.now()),
        token("AKIAIOSFODNN7EXAMPLE", "test", None, "shop", bench.now()),
        good.replacen("k8s-aws-v1.", "k8s-aws-v2.", 1),
        format!("{good}AAAA"),
    ] {
        assert_eq!(whoami(&bench, "shop", &bad).await.0, 401, "{bad}");
    }
    bench.wait(15 * 60);
    assert_eq!(whoami(&bench, "shop", &good).await.0, 201);
    bench.wait(1);
    assert_eq!(whoami(&bench, "shop", &good).await.0, 401, "too old");
}

#[tokio::test]
async fn an_access_entry_admits_a_principal_of_another_account() {
    let bench = Bench::new().await;
    bench.ok("POST /clusters", new("shop")).await;
    let stranger = token(SECOND, "test", None, "shop", bench.now());
    assert_eq!(whoami(&bench, "shop", &stranger).await.0, 401);
    let path = "/clusters/shop/access-entries";
    let principal = "arn:aws:iam::444455556666:user/sandbox";
    let made = bench.ok(&format!("POST {path}"), json!({"principalArn": principal})).await["accessEntry"].clone();
    let arn = made["accessEntryArn"].as_str().unwrap();
    assert!(
        arn.starts_with("arn:aws:eks:eu-west-1:111122223333:access-entry/shop/user/444455556666/sandbox/"),
        "{arn}"
    );
    assert_eq!(bench.ok(&format!("GET {path}"), Value::Null).await["accessEntries"], json!([principal]));
    let (code, me) = whoami(&bench, "shop", &stranger).await;
    assert_eq!((code, &me["status"]["userInfo"]["username"]), (201, &json!(principal)));
    let again = bench.refused(&format!("POST {path}"), json!({"principalArn": principal})).await;
    assert_eq!(again, error(409, "ResourceInUseException"));
    let nobody =
        bench.refused(&format!("POST {path}"), json!({"principalArn": "arn:aws:iam::444455556666:root"})).await;
    assert_eq!(nobody, error(400, "InvalidParameterException"));
    let encoded = principal.replace(':', "%3A").replace('/', "%2F");
    assert_eq!(bench.ok(&format!("GET {path}/{encoded}"), Value::Null).await["accessEntry"], made);
    bench.ok(&format!("DELETE {path}/{encoded}"), Value::Null).await;
    assert_eq!(whoami(&bench, "shop", &stranger).await.0, 401);
    let gone = bench.refused(&format!("GET {path}/{encoded}"), Value::Null).await;
    assert_eq!(gone, error(404, "ResourceNotFoundException"));
    let mut old = new("old");
    old["accessConfig"] = Value::Null;
    bench.ok("POST /clusters", old).await;
    let refused = bench.refused("POST /clusters/old/access-entries", json!({"principalArn": principal})).await;
    assert_eq!(refused, error(400, "InvalidRequestException"));
}

#[tokio::test]
async fn a_session_authenticates_as_its_role() {
    let bench = Bench::new().await;
    bench.ok("POST /clusters", new("shop")).await;
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}]}"#;
    bench.query(TEST, "iam", &role("deployer", trust)).await;
    let arn = "arn:aws:iam::111122223333:role/deployer";
    let session =
        bench.query(TEST, "sts", &[("Action", "AssumeRole"), ("RoleArn", arn), ("RoleSessionName", "ci")]).await;
    let [key, secret, sent] = ["AccessKeyId", "SecretAccessKey", "SessionToken"].map(|name| session.text(name));
    let (code, me) = whoami(&bench, "shop", &token(key, secret, Some(sent), "shop", bench.now())).await;
    assert_eq!((code, &me["status"]["userInfo"]["username"]), (201, &json!(arn)));
    assert_eq!(whoami(&bench, "shop", &token(key, secret, None, "shop", bench.now())).await.0, 401);
}
