//! Tests of the judge: what it finds, and what it does not.

use super::{ACCOUNTS, Law, Roles, Trail, all_roles};
use crate::support::world::{FIRST, World};
use serde_json::{Value, json};

const ROLE: &str = "111122223333/r";
const BOUND: &str = "arn:aws:iam::111122223333:policy/bound";

fn document(statements: &Value) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// For example `allow("s3:Get*")`.
fn allow(action: &str) -> Value {
    json!({"Effect": "Allow", "Action": action, "Resource": "*"})
}

fn deny(action: &str) -> Value {
    json!({"Effect": "Deny", "Action": action, "Resource": "*"})
}

/// A statement with another key.
fn with(mut statement: Value, key: &str, value: Value) -> Value {
    statement[key] = value;
    statement
}

/// Statements that let these ServiceAccounts of `shop` assume a role, each with this audience.
fn lets_in(world: &World, names: &[&str], audience: &str) -> Value {
    let host = world.issuer("main").trim_start_matches("https://").to_owned();
    let subjects: Vec<String> = names.iter().map(|name| format!("system:serviceaccount:shop:{name}")).collect();
    json!([{
        "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": format!("arn:aws:iam::{FIRST}:oidc-provider/{host}")},
        "Condition": {"StringEquals": {format!("{host}:sub"): subjects, format!("{host}:aud"): audience}},
    }])
}

/// A sandbox with a role `r` that has no permissions yet.
struct Bench {
    world: World,
}

impl Bench {
    fn new() -> Self {
        let world = World::with_cluster("main");
        let bench = Self { world };
        let url = bench.world.issuer("main");
        bench.call("CreateOpenIDConnectProvider", &[("Url", &url), ("ClientIDList.member.1", "sts.amazonaws.com")]);
        let trust = document(&lets_in(&bench.world, &["a"], "sts.amazonaws.com"));
        bench.call("CreateRole", &[("RoleName", "r"), ("AssumeRolePolicyDocument", &trust)]);
        bench.call("CreatePolicy", &[("PolicyName", "bound"), ("PolicyDocument", &document(&json!([allow("s3:*")])))]);
        bench
    }

    fn call(&self, action: &str, fields: &[(&str, &str)]) {
        let done = self.world.with(|sandbox| sandbox.iam_call(FIRST, action, fields));
        done.unwrap_or_else(|refusal| panic!("{action} {fields:?}: {refusal:?}"));
    }

    fn put(&self, name: &str, statements: &Value) {
        self.call(
            "PutRolePolicy",
            &[("RoleName", "r"), ("PolicyName", name), ("PolicyDocument", &document(statements))],
        );
    }

    fn role(&self, action: &str, field: (&str, &str)) {
        self.call(action, &[("RoleName", "r"), field]);
    }

    fn tag(&self, key: &str, value: &str) {
        self.call("TagRole", &[("RoleName", "r"), ("Tags.member.1.Key", key), ("Tags.member.1.Value", value)]);
    }

    fn trust(&self, statements: &Value) {
        self.role("UpdateAssumeRolePolicy", ("PolicyDocument", &document(statements)));
    }

    fn now(&self) -> Roles {
        self.world.with(|sandbox| all_roles(sandbox, &ACCOUNTS))
    }

    /// Makes a change. Returns what is granted after it and was not before.
    #[track_caller]
    fn gains(&self, work: impl FnOnce(&Self)) -> Vec<String> {
        let before = self.now();
        work(self);
        Law::of(vec![before]).broken(&self.now()).iter().map(ToString::to_string).collect()
    }
}

#[track_caller]
fn tells(found: &[String], texts: &[&str]) {
    for text in texts {
        assert!(found.iter().any(|line| line.contains(text)), "`{text}` is not in {found:#?}");
    }
    assert!(!texts.is_empty() || found.is_empty(), "{found:#?}");
}

#[test]
fn allow_deny_and_boundary_change_grants() {
    let bench = Bench::new();
    tells(&bench.gains(|bench| bench.put("one", &json!([allow("s3:*")]))), &["a of arn", "s3:zz9 on", "3600 s"]);
    tells(&bench.gains(|bench| bench.put("two", &json!([deny("S3:Delete*")]))), &[]);
    tells(&bench.gains(|bench| bench.put("three", &json!([allow("s3:DeleteObject"), allow("s3:Get*")]))), &[]);
    let lost = bench.gains(|bench| bench.role("DeleteRolePolicy", ("PolicyName", "two")));
    tells(&lost, &["s3:deletezz9", "s3:deleteobject"]);
    assert!(lost.iter().all(|line| line.contains("s3:delete")), "{lost:#?}");
    tells(&bench.gains(|bench| bench.role("PutRolePermissionsBoundary", ("PermissionsBoundary", BOUND))), &[]);
    tells(&bench.gains(|bench| bench.put("four", &json!([allow("iam:*")]))), &[]);
    let grown = document(&json!([allow("s3:*"), allow("iam:*"), deny("iam:Create*")]));
    let version = [("PolicyArn", BOUND), ("PolicyDocument", grown.as_str()), ("SetAsDefault", "true")];
    tells(&bench.gains(|bench| bench.call("CreatePolicyVersion", &version)), &["iam:zz9"]);
    let free = bench.gains(|bench| bench.call("DeleteRolePermissionsBoundary", &[("RoleName", "r")]));
    assert!(!free.is_empty() && free.iter().all(|line| line.contains("iam:createzz9")), "{free:#?}");
}

#[test]
fn attached_policies_of_every_owner_count() {
    let bench = Bench::new();
    let attach = |name: &str, verb: &str| {
        let arn = format!("arn:aws:iam::aws:policy/{name}");
        bench.gains(|bench| bench.role(&format!("{verb}RolePolicy"), ("PolicyArn", &arn)))
    };
    tells(&attach("AmazonS3FullAccess", "Attach"), &["s3:zz9"]);
    tells(&attach("AWSCompromisedKeyQuarantineV3", "Attach"), &[]);
    tells(&attach("AmazonS3ReadOnlyAccess", "Attach"), &[]);
    tells(&attach("AWSCompromisedKeyQuarantineV3", "Detach"), &["s3:getobject", "s3:deletebucket"]);
    tells(&attach("AWSDenyAll", "Attach"), &[]);
    tells(&bench.gains(|bench| bench.role("AttachRolePolicy", ("PolicyArn", BOUND))), &[]);
    tells(&attach("AWSDenyAll", "Detach"), &["s3:zz9"]);
}

#[test]
fn not_action_resource_and_condition_are_distinguished() {
    let bench = Bench::new();
    let not_iam = json!([{"Effect": "Allow", "NotAction": ["iam:*", "s3:Put*"], "NotResource": "arn:aws:s3:::kept/*"}]);
    tells(&bench.gains(|bench| bench.put("one", &not_iam)), &["zz9:other on arn:aws:zz9:::other"]);
    let put = with(allow("s3:PutObject"), "Resource", json!("arn:aws:s3:::a/*"));
    let found = bench.gains(|bench| bench.put("two", &json!([put])));
    tells(&found, &["s3:putobject on arn:aws:s3:::a/Zz9"]);
    assert!(found.iter().all(|line| line.contains("arn:aws:s3:::a/Zz9")), "{found:#?}");
    tells(
        &bench.gains(|bench| bench.put("two", &json!([with(put.clone(), "Resource", json!("arn:aws:s3:::a/b*"))]))),
        &[],
    );
    let secure = json!({"Bool": {"aws:SecureTransport": "true"}});
    let found = bench.gains(|bench| bench.put("three", &json!([with(allow("iam:Get*"), "Condition", secure.clone())])));
    tells(&found, &["iam:getzz9 on", "with aws:securetransport = true"]);
    assert!(!found.iter().any(|line| line.contains("= other")), "{found:#?}");
    tells(&bench.gains(|bench| bench.put("four", &json!([with(deny("iam:*"), "Condition", secure)]))), &[]);
    let found = bench.gains(|bench| bench.put("three", &json!([allow("iam:Get*")])));
    assert!(!found.is_empty() && !found.iter().any(|line| line.contains("= true")), "{found:#?}");
}

#[test]
fn own_tags_of_a_role_count_in_conditions_and_variables() {
    let bench = Bench::new();
    bench.tag("Team", "a");
    let team = |value: &str| json!({"StringEquals": {"aws:PrincipalTag/team": value}});
    let own = with(allow("s3:GetObject"), "Resource", json!("arn:aws:s3:::${aws:PrincipalTag/team}/*"));
    let found = bench.gains(|bench| bench.put("one", &json!([own])));
    tells(&found, &["s3:getobject on arn:aws:s3:::a/Zz9"]);
    tells(&bench.gains(|bench| bench.put("two", &json!([with(allow("sqs:*"), "Condition", team("b"))]))), &[]);
    let found = bench.gains(|bench| bench.tag("team", "b"));
    tells(&found, &["s3:getobject on arn:aws:s3:::b/Zz9", "sqs:zz9", "be tagged team = b"]);
    tells(&bench.gains(|bench| bench.put("three", &json!([with(deny("sqs:*"), "Condition", team("b"))]))), &[]);
    tells(&bench.gains(|bench| bench.role("UntagRole", ("TagKeys.member.1", "TEAM"))), &["be without tag team"]);
    tells(&bench.gains(|bench| bench.tag("irsa/owner", "me")), &[]);
}

#[test]
fn trust_session_duration_and_provider_change_grants() {
    let bench = Bench::new();
    bench.put("one", &json!([allow("s3:*")]));
    let world = &bench.world;
    let found = bench.gains(|bench| bench.trust(&lets_in(world, &["a", "b"], "sts.amazonaws.com")));
    tells(&found, &["shop:b of arn", "may assume it"]);
    assert!(found.iter().all(|line| line.contains("shop:b")), "{found:#?}");
    tells(&bench.gains(|bench| bench.trust(&lets_in(world, &["b"], "sts.amazonaws.com"))), &[]);
    let found = bench.gains(|bench| bench.role("UpdateRole", ("MaxSessionDuration", "7200")));
    tells(&found, &["s3:zz9", "7200 s"]);
    tells(&bench.gains(|bench| bench.trust(&lets_in(world, &["b"], "other"))), &[]);
    let provider =
        format!("arn:aws:iam::{FIRST}:oidc-provider/{}", world.issuer("main").trim_start_matches("https://"));
    let audience = [("OpenIDConnectProviderArn", provider.as_str()), ("ClientID", "other")];
    tells(&bench.gains(|bench| bench.call("AddClientIDToOpenIDConnectProvider", &audience)), &["shop:b", "for other"]);
    tells(&bench.gains(|bench| bench.call("DeleteOpenIDConnectProvider", &audience[..1])), &[]);
    let someone = json!([{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": FIRST},
        "Condition": {"StringEquals": {"sts:ExternalId": "secret"}}}]);
    let found = bench.gains(|bench| bench.trust(&someone));
    tells(&found, &["arn:aws:iam::111122223333:root with sts:externalid = secret may assume it"]);
    assert!(!found.iter().any(|line| line.contains("= other")), "{found:#?}");
    tells(&bench.gains(|bench| bench.tag("x", "")), &["be tagged x = "]);
}

#[test]
fn variable_in_a_policy_without_version_is_plain_text() {
    let bench = Bench::new();
    bench.tag("team", "a");
    let text = json!({"Statement": with(allow("s3:*"), "Resource", json!("arn:aws:s3:::${aws:PrincipalTag/team}"))});
    let fields = [("RoleName", "r"), ("PolicyName", "one"), ("PolicyDocument", &text.to_string())];
    let found = bench.gains(|bench| bench.call("PutRolePolicy", &fields));
    assert!(!found.is_empty() && found.iter().all(|line| line.contains("on arn:aws:s3:::${")), "{found:#?}");
}

#[test]
fn trail_records_every_write_and_locates_violations() {
    let bench = Bench::new();
    bench.put("keeps", &json!([allow("s3:GetObject")]));
    bench.put("denies", &json!([deny("s3:Delete*")]));
    let trail = bench.world.with(|sandbox| Trail::begin(sandbox));
    bench.put("gives", &json!([allow("s3:*")]));
    bench.role("DeleteRolePolicy", ("PolicyName", "keeps"));
    bench.role("DeleteRolePolicy", ("PolicyName", "denies"));
    bench.put("again", &json!([deny("s3:Delete*")]));
    bench.put("gives", &json!([allow("s3:List*")]));
    bench.put("gives", &json!([allow("s3:*")]));
    let (before, after) = (trail.before().clone(), bench.now());
    assert_eq!(trail.moments().len(), 6);
    let broken = trail.broken(vec![before.clone(), after.clone()]);
    assert!(
        !broken.is_empty() && broken.iter().all(|line| line.contains("DeleteRolePolicy r denies: system")),
        "{broken:#?}"
    );
    tells(&broken, &["s3:deletezz9"]);
    let dips = trail.dips(&after);
    assert!(!dips.is_empty() && dips.iter().all(|line| line.contains("PutRolePolicy r gives: system")), "{dips:#?}");
    tells(&dips, &["may s3:getobject on"]);
    assert!(trail.broken(vec![before]).len() > broken.len(), "what is granted after is new, too");
    assert!(after.contains_key(ROLE));
}

#[test]
fn recreated_role_is_a_dip_and_temporary_role_is_wider() {
    let bench = Bench::new();
    bench.put("one", &json!([allow("s3:*")]));
    let trail = bench.world.with(|sandbox| Trail::begin(sandbox));
    let trust = document(&lets_in(&bench.world, &["a"], "sts.amazonaws.com"));
    let make = |name: &str| bench.call("CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", &trust)]);
    make("other");
    bench.call("DeleteRole", &[("RoleName", "other")]);
    bench.role("DeleteRolePolicy", ("PolicyName", "one"));
    bench.call("DeleteRole", &[("RoleName", "r")]);
    make("r");
    bench.put("one", &json!([allow("s3:*")]));
    let after = bench.now();
    tells(
        &trail.broken(vec![trail.before().clone(), after.clone()]),
        &["after CreateRole other: system:serviceaccount"],
    );
    let dips = trail.dips(&after);
    assert!(dips.iter().any(|line| line.contains("DeleteRole r: ") && line.contains("may assume it")), "{dips:#?}");
}
