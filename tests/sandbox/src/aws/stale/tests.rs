//! Stale reads over HTTP: how many, of whose state, and what is never stale.

use crate::aws::server::tests::{Bench, FIRST, Key, SECOND, TEST, role};
use serde_json::{Value, json};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const HOME: &str = "eu-west-1";
const PATH: &str = "/clusters/shop/pod-identity-associations";

async fn get(bench: &Bench, key: Key<'_>, name: &str) -> u16 {
    bench.query(key, "iam", &[("Action", "GetRole"), ("RoleName", name)]).await.status
}

#[tokio::test]
async fn iam_does_not_show_a_write_to_so_many_reads_of_its_account() {
    let bench = Bench::new().await;
    bench.aws.set_stale_reads(2);
    assert_eq!(bench.query(TEST, "iam", &role("r", TRUST)).await.status, 200);
    let again = bench.query(TEST, "iam", &role("r", TRUST)).await;
    assert_eq!(again.error(), (409, "EntityAlreadyExists".to_owned()), "writes see what there is");
    assert_eq!(bench.query(Key(SECOND, None), "iam", &role("r", TRUST)).await.status, 200);
    assert_eq!(get(&bench, TEST, "r").await, 404);
    let list = bench.query(TEST, "iam", &[("Action", "ListRoles")]).await;
    assert!(!list.body.contains("<RoleName>"), "{}", list.body);
    assert_eq!(get(&bench, TEST, "r").await, 200);
    assert_eq!(get(&bench, Key(SECOND, None), "r").await, 404, "each account by itself");
    assert_eq!(bench.query(TEST, "iam", &[("Action", "DeleteRole"), ("RoleName", "r")]).await.status, 200);
    assert_eq!(get(&bench, TEST, "r").await, 200, "a deleted role is still there");
    assert!(bench.aws.iam_call(FIRST, "GetRole", &[("RoleName", "r")]).is_err(), "but not to the test");
    let log = bench.aws.gate().log();
    let stale: Vec<_> = log.iter().filter(|record| record.fault == Some("stale")).map(|r| r.call.number).collect();
    assert_eq!(stale, [4, 5, 7, 9]);
    bench.aws.set_stale_reads(0);
    assert_eq!(get(&bench, TEST, "r").await, 404);
    bench.query(TEST, "iam", &role("r", TRUST)).await;
    assert_eq!(get(&bench, TEST, "r").await, 200);
}

#[tokio::test]
async fn eks_does_not_show_a_new_association_to_so_many_reads_of_its_place() {
    let bench = Bench::new().await;
    bench.query(TEST, "iam", &role("cart", TRUST)).await;
    bench.aws.set_stale_reads(1);
    let cluster = |name: &str| {
        json!({
            "name": name, "roleArn": "arn:aws:iam::111122223333:role/eks",
            "resourcesVpcConfig": {"subnetIds": ["subnet-1", "subnet-2"]},
        })
    };
    assert_eq!(bench.eks(TEST, HOME, "POST /clusters", cluster("shop")).await.status, 200);
    let body = json!({"namespace": "a", "serviceAccount": "b", "roleArn": "arn:aws:iam::111122223333:role/cart"});
    let made = bench.eks(TEST, HOME, &format!("POST {PATH}"), body.clone()).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let again = bench.eks(TEST, HOME, &format!("POST {PATH}"), body).await;
    assert_eq!(again.error(), (409, "ResourceInUseException".to_owned()), "writes see what there is");
    let count = async || {
        let list = bench.eks(TEST, HOME, &format!("GET {PATH}"), Value::Null).await;
        list.json()["associations"].as_array().unwrap().len()
    };
    assert_eq!(bench.eks(TEST, "us-east-1", "GET /clusters", Value::Null).await.status, 200);
    assert_eq!(count().await, 0);
    assert_eq!(count().await, 1);
    let id = made.json()["association"]["associationId"].as_str().unwrap().to_owned();
    assert_eq!(bench.eks(TEST, HOME, &format!("DELETE {PATH}/{id}"), Value::Null).await.status, 200);
    assert_eq!(bench.eks(TEST, HOME, "POST /clusters", cluster("new")).await.status, 200);
    let line = "GET /clusters/new/pod-identity-associations";
    assert_eq!(bench.eks(TEST, HOME, line, Value::Null).await.status, 200, "a cluster is known at once");
}
