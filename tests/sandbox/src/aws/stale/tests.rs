//! Tests of stale reads over HTTP: how many reads are stale, which state they show, and what is never stale.

use crate::aws::Item;
use crate::aws::server::tests::{Bench, FIRST, Key, SECOND, TEST, role};
use serde_json::{Value, json};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const HOME: &str = "eu-west-1";
const PATH: &str = "/clusters/shop/pod-identity-associations";

async fn get(bench: &Bench, key: Key<'_>, name: &str) -> u16 {
    bench.query(key, "iam", &[("Action", "GetRole"), ("RoleName", name)]).await.status
}

#[tokio::test]
async fn iam_hides_a_write_from_the_given_number_of_reads_in_its_account() {
    let bench = Bench::new().await;
    bench.aws.set_stale_reads(2);
    assert_eq!(bench.query(TEST, "iam", &role("r", TRUST)).await.status, 200);
    let again = bench.query(TEST, "iam", &role("r", TRUST)).await;
    assert_eq!(again.error(), (409, "EntityAlreadyExists".to_owned()), "writes see the current state");
    assert_eq!(bench.query(Key(SECOND, None), "iam", &role("r", TRUST)).await.status, 200);
    assert_eq!(get(&bench, TEST, "r").await, 404);
    let list = bench.query(TEST, "iam", &[("Action", "ListRoles")]).await;
    assert!(!list.body.contains("<RoleName>"), "{}", list.body);
    assert_eq!(get(&bench, TEST, "r").await, 200);
    assert_eq!(get(&bench, Key(SECOND, None), "r").await, 404, "each account has its own stale state");
    assert_eq!(bench.query(TEST, "iam", &[("Action", "DeleteRole"), ("RoleName", "r")]).await.status, 200);
    assert_eq!(get(&bench, TEST, "r").await, 200, "a stale read still shows the deleted role");
    assert!(
        bench.aws.iam_call(FIRST, "GetRole", &[("RoleName", "r")]).is_err(),
        "a direct call sees the current state"
    );
    let log = bench.aws.gate().log();
    let stale: Vec<_> = log.iter().filter(|record| record.fault == Some("stale")).map(|r| r.call.number).collect();
    assert_eq!(stale, [4, 5, 7, 9]);
    bench.aws.set_stale_reads(0);
    assert_eq!(get(&bench, TEST, "r").await, 404);
    bench.query(TEST, "iam", &role("r", TRUST)).await;
    assert_eq!(get(&bench, TEST, "r").await, 200);
}

#[tokio::test]
async fn eks_hides_an_association_from_the_given_number_of_reads_in_its_region() {
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
    assert_eq!(again.error(), (409, "ResourceInUseException".to_owned()), "writes see the current state");
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
    assert_eq!(bench.eks(TEST, HOME, line, Value::Null).await.status, 200, "a new cluster is never hidden");
}

const ARN: &str = "arn:aws:iam::111122223333:policy/p";
const ISSUER: &str = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/late";
const GET_ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}"#;
const PUT_ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Put*","Resource":"*"}]}"#;

impl Bench {
    async fn iam(&self, action: &str, fields: &[(&str, &str)]) -> String {
        let reply = self.query(TEST, "iam", &[&[("Action", action)], fields].concat()).await;
        format!("{} {}", reply.status, reply.body)
    }

    /// A bench with a role `r` that has one of everything, a policy and a provider.
    async fn furnished() -> Self {
        let bench = Self::new().await;
        bench.iam("CreateRole", &[("RoleName", "r"), ("AssumeRolePolicyDocument", TRUST)]).await;
        bench.iam("TagRole", &[("RoleName", "r"), ("Tags.member.1.Key", "a"), ("Tags.member.1.Value", "old")]).await;
        for name in ["one", "two"] {
            bench.iam("PutRolePolicy", &[("RoleName", "r"), ("PolicyName", name), ("PolicyDocument", GET_ALL)]).await;
        }
        bench.iam("CreatePolicy", &[("PolicyName", "p"), ("PolicyDocument", GET_ALL)]).await;
        bench.iam("AttachRolePolicy", &[("RoleName", "r"), ("PolicyArn", ARN)]).await;
        let provider = [("Url", "https://oidc.example.com/late"), ("ClientIDList.member.1", "sts.amazonaws.com")];
        bench.iam("CreateOpenIDConnectProvider", &provider).await;
        bench
    }
}

/// An item, a write to it, a read that shows the write late, and a read of something else that does not.
type Case = (Item, (&'static str, Vec<(&'static str, &'static str)>), Shown, Shown);
/// A read, and a text that it shows after the write.
type Shown = (&'static str, Vec<(&'static str, &'static str)>, &'static str);

const R: (&str, &str) = ("RoleName", "r");
const P: (&str, &str) = ("PolicyArn", ARN);
const I: (&str, &str) = ("OpenIDConnectProviderArn", ISSUER);

fn tagged<'a>(whole: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
    let two = [("Tags.member.1.Key", "A"), ("Tags.member.1.Value", "new")];
    [&[whole], &two[..], &[("Tags.member.2.Key", "b"), ("Tags.member.2.Value", "other")]].concat()
}

fn cases() -> Vec<Case> {
    let text = |text: &str| text.to_owned();
    let (role, policy, provider) = (|| text("r"), || text(ARN), || text(ISSUER));
    vec![
        (
            Item::Inline(role(), text("one")),
            ("PutRolePolicy", vec![R, ("PolicyName", "one"), ("PolicyDocument", PUT_ALL)]),
            ("GetRolePolicy", vec![R, ("PolicyName", "one")], "s3%3APut"),
            ("GetRolePolicy", vec![R, ("PolicyName", "two")], "s3%3AGet"),
        ),
        (
            Item::Inline(role(), text("three")),
            ("PutRolePolicy", vec![R, ("PolicyName", "three"), ("PolicyDocument", PUT_ALL)]),
            ("ListRolePolicies", vec![R], "three"),
            ("ListAttachedRolePolicies", vec![R], "policy/p"),
        ),
        (
            Item::Attached(role(), policy()),
            ("DetachRolePolicy", vec![R, P]),
            ("ListAttachedRolePolicies", vec![R], "<AttachedPolicies></AttachedPolicies>"),
            ("ListRolePolicies", vec![R], "one"),
        ),
        (
            Item::RoleTag(role(), text("a")),
            ("TagRole", tagged(R)),
            ("ListRoleTags", vec![R], "<Value>new</Value>"),
            ("ListRoleTags", vec![R], "<Value>other</Value>"),
        ),
        (
            Item::Trust(role()),
            ("UpdateAssumeRolePolicy", vec![R, ("PolicyDocument", OTHER_TRUST)]),
            ("GetRole", vec![R], "ec2.amazonaws.com"),
            ("ListRoleTags", vec![R], "<Value>old</Value>"),
        ),
        (
            Item::Boundary(role()),
            ("PutRolePermissionsBoundary", vec![R, ("PermissionsBoundary", ARN)]),
            ("GetRole", vec![R], "PermissionsBoundaryArn"),
            ("GetRole", vec![R], "pods.eks.amazonaws.com"),
        ),
        (
            Item::Details(role()),
            ("UpdateRole", vec![R, ("MaxSessionDuration", "7200")]),
            ("ListRoles", vec![], "7200"),
            ("ListRolePolicies", vec![R], "one"),
        ),
        (
            Item::Document(policy()),
            ("CreatePolicyVersion", vec![P, ("PolicyDocument", PUT_ALL), ("SetAsDefault", "true")]),
            ("GetPolicy", vec![P], "<DefaultVersionId>v2</DefaultVersionId>"),
            ("ListPolicyTags", vec![P], "<Tags></Tags>"),
        ),
        (
            Item::PolicyTag(policy(), text("a")),
            ("TagPolicy", tagged(P)),
            ("ListPolicyTags", vec![P], "<Value>new</Value>"),
            ("ListPolicyTags", vec![P], "<Value>other</Value>"),
        ),
        (
            Item::Audience(provider(), text("late")),
            ("AddClientIDToOpenIDConnectProvider", vec![I, ("ClientID", "late")]),
            ("GetOpenIDConnectProvider", vec![I], "<member>late</member>"),
            ("GetOpenIDConnectProvider", vec![I], "<member>sts.amazonaws.com</member>"),
        ),
        (
            Item::ProviderTag(provider(), text("a")),
            ("TagOpenIDConnectProvider", tagged(I)),
            ("GetOpenIDConnectProvider", vec![I], "<Value>new</Value>"),
            ("GetOpenIDConnectProvider", vec![I], "<Value>other</Value>"),
        ),
        (
            Item::Role(text("late")),
            ("CreateRole", vec![("RoleName", "late"), ("AssumeRolePolicyDocument", TRUST)]),
            ("ListRoles", vec![], "<RoleName>late</RoleName>"),
            ("ListRoles", vec![], "<RoleName>r</RoleName>"),
        ),
        (
            Item::Policy(text("arn:aws:iam::111122223333:policy/late")),
            ("CreatePolicy", vec![("PolicyName", "late"), ("PolicyDocument", GET_ALL)]),
            ("GetPolicy", vec![("PolicyArn", "arn:aws:iam::111122223333:policy/late")], "200 "),
            ("GetPolicy", vec![P], "200 "),
        ),
        (
            Item::Provider(provider()),
            ("DeleteOpenIDConnectProvider", vec![I]),
            ("ListOpenIDConnectProviders", vec![], "<OpenIDConnectProviderList></OpenIDConnectProviderList>"),
            ("ListRoles", vec![], "<RoleName>r</RoleName>"),
        ),
    ]
}

const OTHER_TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

#[tokio::test]
async fn each_item_is_stale_independently() {
    for (item, (action, fields), (late, asked, text), (other, others, shown)) in cases() {
        let bench = Bench::furnished().await;
        bench.aws.set_late(None, item.clone(), 2);
        let before = bench.iam(late, &asked).await;
        assert!(!before.contains(text), "{item:?}: {before}");
        let done = bench.iam(action, &fields).await;
        assert!(done.starts_with("200 "), "{item:?}: {done}");
        for _ in 0..2 {
            if (late, &asked) != (other, &others) {
                // A read that does not show the item does not count.
                let seen = bench.iam(other, &others).await;
                assert!(seen.contains(shown), "{item:?}: {seen}");
            }
            let seen = bench.iam(late, &asked).await;
            assert!(!seen.contains(text), "{item:?}: {seen}");
            assert!((late, &asked) != (other, &others) || seen.contains(shown), "{item:?}: {seen}");
        }
        let seen = bench.iam(late, &asked).await;
        assert!(seen.contains(text), "{item:?}: {seen}");
    }
}

#[tokio::test]
async fn a_stale_list_shows_the_item_before_its_last_write() {
    let bench = Bench::furnished().await;
    bench.aws.set_late(Some(FIRST), Item::Attached("r".to_owned(), ARN.to_owned()), 3);
    let attached = async || bench.iam("ListAttachedRolePolicies", &[R]).await.contains(ARN);
    bench.iam("DetachRolePolicy", &[R, P]).await;
    assert!(attached().await, "a stale read still shows the detached policy");
    bench.iam("AttachRolePolicy", &[R, P]).await;
    assert!(!attached().await, "a stale read does not show the policy attached again");
    assert_eq!(bench.aws.iam_call(FIRST, "ListAttachedRolePolicies", &[R]).unwrap().matches(ARN).count(), 1);
    let log = bench.aws.gate().log();
    let stale = log.iter().filter(|record| record.fault == Some("stale")).map(|record| record.call.action.clone());
    assert_eq!(stale.collect::<Vec<_>>(), ["ListAttachedRolePolicies"; 2]);
    bench.aws.set_late(None, Item::Attached("r".to_owned(), ARN.to_owned()), 0);
    assert!(attached().await, "reads are no longer stale");
}

#[tokio::test]
async fn several_items_are_stale_until_a_restore() {
    let bench = Bench::furnished().await;
    let snapshot = bench.aws.snapshot();
    for name in ["one", "two"] {
        bench.aws.set_late(None, Item::Inline("r".to_owned(), name.to_owned()), 1);
        bench.iam("DeleteRolePolicy", &[R, ("PolicyName", name)]).await;
    }
    let list = async || bench.iam("ListRolePolicies", &[R]).await;
    let both = list().await;
    assert!(both.contains("one") && both.contains("two"), "{both}");
    assert!(list().await.contains("<PolicyNames></PolicyNames>"));
    bench.aws.restore(&snapshot);
    bench.iam("DeleteRolePolicy", &[R, ("PolicyName", "one")]).await;
    bench.aws.restore(&snapshot);
    bench.iam("DeleteRolePolicy", &[R, ("PolicyName", "two")]).await;
    let now = list().await;
    assert!(now.contains("one") && now.contains("two"), "the last write is still hidden: {now}");
    bench.aws.set_stale_reads(0);
    bench.iam("DeleteRolePolicy", &[R, ("PolicyName", "one")]).await;
    assert!(list().await.contains("<PolicyNames></PolicyNames>"), "0 also turns off stale items");
}
