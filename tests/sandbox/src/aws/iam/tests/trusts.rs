//! Tests of trust policies: what IAM rejects and how it returns them.

use super::super::Principals;
use super::{ACCOUNT, ANYONE, Bench, OTHER, decoded, error, text};
use std::sync::Arc;

fn trust(principal: &str, rest: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"{rest}}}]}}"#
    )
}

fn aws(principal: &str) -> String {
    trust(&format!(r#"{{"AWS":"{principal}"}}"#), "")
}

const WEB: &str = r#"{"Federated":"arn:aws:iam::111122223333:oidc-provider/h/id/X"}"#;

#[test]
fn trust_policies_are_checked_on_create_and_update() {
    let star = trust("\"*\"", "");
    let account = format!("arn:aws:iam::{ACCOUNT}");
    let table = [
        ("{nope".to_owned(), "invalid Json"),
        (star.replace("\"Principal\":\"*\",", ""), "Missing required field Principal"),
        (star.replace("\"Principal\":\"*\"", "\"NotPrincipal\":\"*\""), "prohibited field NotPrincipal"),
        (trust("\"*\"", r#","Resource":"*""#), "prohibited field Resource"),
        (trust("\"*\"", r#","NotResource":"*""#), "prohibited field NotResource"),
        (star.replace("Action", "NotAction"), "prohibited field NotAction"),
        (star.replace("\"sts:AssumeRole\"", "[]"), "Missing required field Action"),
        (star.replace("sts:AssumeRole", "s3:GetObject"), "may only specify STS AssumeRole"),
        (star.replace("sts:AssumeRole", "*"), "may only specify STS AssumeRole"),
        (star.replace("\"sts:AssumeRole\"", r#"["sts:AssumeRole","sts:GetFederationToken"]"#), "may only specify"),
        (star.replace("Allow", "allow"), "Syntax errors"),
        (trust("{}", ""), "Syntax errors"),
        (trust(r#"{"AWS":[]}"#, ""), "Syntax errors"),
        (trust("\"111122223333\"", ""), "Invalid principal"),
        (
            aws(&format!("{account}:role/nobody")),
            "Invalid principal in policy: \"AWS\":\"arn:aws:iam::111122223333:role/nobody\"",
        ),
        (aws(&format!("{account}:user/nobody")), "Invalid principal"),
        (aws(&format!("{account}:role/LIVE")), "Invalid principal"),
        (aws(&format!("{account}:role/path/live")), "Invalid principal"),
        (aws(&format!("{account}:role/*")), "Invalid principal"),
        (aws(&format!("{account}:group/g")), "Invalid principal"),
        (aws("arn:aws-cn:iam::111122223333:root"), "Invalid principal"),
        (aws(&format!("arn:aws:iam::{OTHER}:role/nobody")), "Invalid principal"),
        (aws("1234"), "Invalid principal"),
        (aws("AROAABCDEFGHIJKLMNOPQ"), "Invalid principal"),
        (trust(r#"{"Service":"ec2"}"#, ""), "Invalid principal in policy: \"SERVICE\":\"ec2\""),
        (trust(r#"{"Service":"ec2.example.com"}"#, ""), "Invalid principal"),
        (trust(r#"{"CanonicalUser":"79a5"}"#, ""), "Invalid principal"),
        (trust(r#"{"Federated":"https://h/id/X"}"#, ""), "Federated principals must be"),
        (trust(&WEB.replace("provider/h", "provider/https://h"), ""), "Federated principals must be"),
        (trust(&WEB.replace("arn:aws:", "arn:aws-cn:"), ""), "Federated principals must be"),
        (trust(&WEB.replace("111122223333", ""), ""), "Federated principals must be"),
        (trust("\"*\"", r#","Condition":{"StringEqualz":{"h:sub":"x"}}"#), "Invalid Condition type : StringEqualz."),
        (trust("\"*\"", r#","Condition":{"StringEquals":{"sub":"x"}}"#), "prefaced by a vendor"),
    ];
    let directory = Arc::new(Principals::default());
    directory.add_account(OTHER);
    let mut bench = Bench::of(ACCOUNT, &directory);
    bench.role("live");
    let before = bench.iam.snapshot();
    for (document, why) in table {
        let made = [("RoleName", "r"), ("AssumeRolePolicyDocument", document.as_str())];
        let changed = [("RoleName", "live"), ("PolicyDocument", document.as_str())];
        for (action, fields) in [("CreateRole", made), ("UpdateAssumeRolePolicy", changed)] {
            let error = bench.call(action, &fields).expect_err(&document);
            assert_eq!((error.status, error.code.as_str()), (400, "MalformedPolicyDocument"), "{document}");
            assert!(error.message.contains(why), "{document}: {}", error.message);
        }
    }
    assert_eq!(bench.iam.snapshot(), before);
}

#[test]
fn a_valid_trust_policy_is_accepted() {
    let mut bench = Bench::new();
    bench.role("live");
    for document in [
        trust("\"*\"", ""),
        aws("*"),
        aws(&format!("arn:aws:iam::{ACCOUNT}:role/live")),
        aws("arn:aws:iam::999988887777:role/out/of/sight"),
        aws(&format!("arn:aws:sts::{ACCOUNT}:assumed-role/live/session")),
        trust(r#"{"Service":["ec2.amazonaws.com","eks.amazonaws.com.cn"]}"#, r#","Sid":"a""#),
        trust(r#"{"Federated":["accounts.google.com","arn:aws:iam::111122223333:saml-provider/s"]}"#, ""),
        trust(WEB, r#","Condition":{"ForAnyValue:stringlikeifexists":{"h/id/X:sub":["a","b*"]}}"#)
            .replace("sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"),
        trust("\"*\"", "")
            .replace("\"sts:AssumeRole\"", r#"["sts:tagsession","sts:AssumeRole*","sts:*","sts:SetSourceIdentity"]"#),
    ] {
        bench.ok("UpdateAssumeRolePolicy", &[("RoleName", "live"), ("PolicyDocument", &document)]);
    }
}

#[test]
fn a_trust_policy_is_returned_as_iam_rewrites_it() {
    let mut bench = Bench::new();
    let written = r#" { "Statement" : { "Condition": {"stringequals": {"h:sub": ["one"], "h:aud": ["x", "y"]}, "Bool": {"aws:SecureTransport": true}},
        "Action": ["sts:AssumeRole"], "Principal": {"AWS": ["444455556666", "arn:aws:iam::444455556666:root", "111122223333"], "Service": ["eks.amazonaws.com"]},
        "Effect": "Allow", "Sid": "" } } "#;
    let made = bench.ok("CreateRole", &[("RoleName", "r"), ("AssumeRolePolicyDocument", written)]);
    let read = r#"{"Version":"2008-10-17","Statement":[{"Sid":"","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:root","arn:aws:iam::444455556666:root"],"Service":"eks.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"stringequals":{"h:sub":"one","h:aud":["x","y"]},"Bool":{"aws:SecureTransport":"true"}}}]}"#;
    assert_eq!(bench.trust("r"), read);
    assert_eq!(decoded(&text(&made, "AssumeRolePolicyDocument")), read);
    assert!(text(&made, "AssumeRolePolicyDocument").starts_with("%7B%22Version%22%3A"));
    assert_eq!(
        bench.iam.role_trust("r").unwrap().trust.to_string(),
        serde_json::from_str::<serde_json::Value>(read).unwrap().to_string()
    );
}

#[test]
fn a_deleted_principal_is_returned_as_its_id_for_good() {
    let mut bench = Bench::new();
    bench.role("gone");
    bench.ok("CreateUser", &[("UserName", "gone-user"), ("Path", "/p/")]);
    let role_arn = format!("arn:aws:iam::{ACCOUNT}:role/gone");
    let user_arn = format!("arn:aws:iam::{ACCOUNT}:user/p/gone-user");
    let role_id = text(&bench.ok("GetRole", &[("RoleName", "gone")]), "RoleId");
    let user_id = text(&bench.ok("GetUser", &[("UserName", "gone-user")]), "UserId");
    let document = trust(&format!(r#"{{"AWS":["{role_arn}","{user_arn}"]}}"#), "");
    bench.ok("CreateRole", &[("RoleName", "r"), ("AssumeRolePolicyDocument", &document)]);
    let read = bench.trust("r");
    assert!(read.contains(&role_arn) && read.contains(&user_arn) && !read.contains(&role_id), "{read}");
    bench.ok("DeleteRole", &[("RoleName", "gone")]);
    bench.ok("DeleteUser", &[("UserName", "gone-user")]);
    bench.role("gone");
    let read = bench.trust("r");
    assert!(read.contains(&role_id) && user_id.starts_with("AIDA") && read.contains(&user_id), "{read}");
    assert!(!read.contains(&role_arn) && !read.contains(&user_arn), "{read}");
    let rewritten = [("RoleName", "r"), ("PolicyDocument", read.as_str())];
    assert_eq!(bench.refused("UpdateAssumeRolePolicy", &rewritten), error(400, "MalformedPolicyDocument"));
    let listed = bench.ok("ListRoles", &[]);
    assert!(super::texts(&listed, "AssumeRolePolicyDocument").iter().any(|document| document.contains(&role_id)));
}

#[test]
fn principals_of_other_accounts_are_looked_up_and_become_ids() {
    let directory = Arc::new(Principals::default());
    let (mut here, mut there) = (Bench::of(ACCOUNT, &directory), Bench::of(OTHER, &directory));
    let arn = format!("arn:aws:iam::{OTHER}:role/caller");
    let role = [("RoleName", "r"), ("AssumeRolePolicyDocument", &aws(&arn))];
    assert_eq!(here.refused("CreateRole", &role), error(400, "MalformedPolicyDocument"));
    there.role("caller");
    here.ok("CreateRole", &role);
    assert!(here.trust("r").contains(&arn));
    let id = text(&there.ok("GetRole", &[("RoleName", "caller")]), "RoleId");
    there.ok("DeleteRole", &[("RoleName", "caller")]);
    assert!(here.trust("r").contains(&format!(r#"{{"AWS":"{id}"}}"#)));
}

#[test]
fn the_id_of_an_existing_role_is_returned_as_its_arn() {
    let mut bench = Bench::new();
    bench.role("live");
    let id = text(&bench.ok("GetRole", &[("RoleName", "live")]), "RoleId");
    bench.ok("UpdateAssumeRolePolicy", &[("RoleName", "live"), ("PolicyDocument", &aws(&id))]);
    assert!(bench.trust("live").contains("arn:aws:iam::111122223333:role/live"));
}

#[test]
fn a_trust_policy_may_have_2048_characters_without_white_space() {
    let mut bench = Bench::new();
    let sub =
        |count: usize| trust("\"*\"", &format!(r#","Condition":{{"StringLike":{{"h:sub":"{}"}}}}"#, "y".repeat(count)));
    let rest = super::super::document::size(&sub(0));
    let create = |bench: &mut Bench, name: &str, document: &str| {
        bench.call("CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", document)])
    };
    let error = create(&mut bench, "r", &sub(2049 - rest)).unwrap_err();
    assert_eq!((error.status, error.code.as_str()), (409, "LimitExceeded"));
    assert_eq!(error.message, "Cannot exceed quota for ACLSizePerRole: 2048");
    create(&mut bench, "r", &sub(2048 - rest).replace(',', ",    \n")).unwrap();
    bench.iam.set_quota("AssumeRolePolicySizeQuota", 4096);
    create(&mut bench, "s", &sub(2049 - rest)).unwrap();
    let update = [("RoleName", "r"), ("PolicyDocument", &sub(4097 - rest))];
    assert_eq!(bench.refused("UpdateAssumeRolePolicy", &update).1, "LimitExceeded");
    assert!(
        bench.call("UpdateAssumeRolePolicy", &[("RoleName", "none"), ("PolicyDocument", ANYONE)]).unwrap_err().status
            == 404
    );
}
