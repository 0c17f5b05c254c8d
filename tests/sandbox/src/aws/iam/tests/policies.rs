//! Tests of managed policies: versions, attachments and AWS managed policies.

use super::{ACCOUNT, Bench, OTHER, POLICY, decoded, error, has, tags, text, texts, with};

fn arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:policy/{name}")
}

const S3: &str = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";

#[test]
fn a_policy_is_returned_verbatim() {
    let mut bench = Bench::new();
    let spaced = POLICY.replace(',', " ,\n  ");
    let fields = tags(&[("o", "irsa")]);
    let fields =
        with(&[("PolicyName", "p"), ("Path", "/irsa/"), ("PolicyDocument", &spaced), ("Description", "d")], &fields);
    let made = bench.ok("CreatePolicy", &fields);
    assert_eq!((text(&made, "Arn"), text(&made, "DefaultVersionId")), (arn("irsa/p"), "v1".to_owned()));
    assert!(text(&made, "PolicyId").starts_with("ANPA"));
    let got = bench.ok("GetPolicy", &[("PolicyArn", &arn("irsa/p"))]);
    assert!(got.contains("<Tags><member><Key>o</Key><Value>irsa</Value></member></Tags>") && has(&got, "Description"));
    let version = bench.ok("GetPolicyVersion", &[("PolicyArn", &arn("irsa/p")), ("VersionId", "v1")]);
    assert_eq!(decoded(&text(&version, "Document")), spaced);
    let listed = bench.ok("ListPolicies", &[("Scope", "Local"), ("PathPrefix", "/irsa/")]);
    assert!(texts(&listed, "PolicyName") == ["p"] && !has(&listed, "Tags") && !has(&listed, "Description"));
    assert_eq!(texts(&bench.ok("ListPolicies", &[("Scope", "Local"), ("PathPrefix", "/x/")]), "PolicyName").len(), 0);
    assert_eq!(text(&bench.ok("ListPolicyTags", &[("PolicyArn", &arn("irsa/p"))]), "Key"), "o");
}

#[test]
fn a_policy_has_five_versions_and_never_reuses_a_number() {
    let mut bench = Bench::new();
    let arn = bench.policy("p");
    let create = |bench: &mut Bench, default: &str| {
        bench.call("CreatePolicyVersion", &[("PolicyArn", &arn), ("PolicyDocument", POLICY), ("SetAsDefault", default)])
    };
    for number in 2..=5 {
        assert_eq!(text(&create(&mut bench, "false").unwrap(), "VersionId"), format!("v{number}"));
    }
    assert_eq!(create(&mut bench, "true").unwrap_err().code, "LimitExceeded");
    let version = |id| [("PolicyArn", arn.as_str()), ("VersionId", id)];
    bench.ok("SetDefaultPolicyVersion", &version("v3"));
    assert_eq!(bench.refused("SetDefaultPolicyVersion", &version("v9")), error(404, "NoSuchEntity"));
    assert_eq!(bench.refused("DeletePolicyVersion", &version("v3")), error(409, "DeleteConflict"));
    assert_eq!(bench.refused("DeletePolicyVersion", &version("x")), error(400, "ValidationError"));
    bench.ok("DeletePolicyVersion", &version("v5"));
    let made = create(&mut bench, "true").unwrap();
    assert_eq!((text(&made, "VersionId"), text(&made, "IsDefaultVersion")), ("v6".to_owned(), "true".to_owned()));
    let listed = bench.ok("ListPolicyVersions", &[("PolicyArn", &arn)]);
    assert_eq!(texts(&listed, "VersionId"), ["v6", "v4", "v3", "v2", "v1"]);
    assert!(!has(&listed, "Document"));
    assert_eq!(bench.refused("DeletePolicy", &[("PolicyArn", &arn)]), error(409, "DeleteConflict"));
    for id in ["v1", "v2", "v3", "v4"] {
        bench.ok("DeletePolicyVersion", &version(id));
    }
    bench.ok("DeletePolicy", &[("PolicyArn", &arn)]);
    assert_eq!(bench.refused("GetPolicy", &[("PolicyArn", &arn)]), error(404, "NoSuchEntity"));
}

#[test]
fn a_policy_in_use_is_not_deleted() {
    let mut bench = Bench::new();
    bench.role("r");
    let (attached, bound) = (bench.policy("attached"), bench.policy("bound"));
    bench.ok("AttachRolePolicy", &[("RoleName", "r"), ("PolicyArn", &attached)]);
    bench.ok("AttachRolePolicy", &[("RoleName", "r"), ("PolicyArn", &attached)]);
    bench.ok("PutRolePermissionsBoundary", &[("RoleName", "r"), ("PermissionsBoundary", &bound)]);
    let counts = |bench: &mut Bench, arn: &str| {
        let policy = bench.ok("GetPolicy", &[("PolicyArn", arn)]);
        (text(&policy, "AttachmentCount"), text(&policy, "PermissionsBoundaryUsageCount"))
    };
    assert_eq!(counts(&mut bench, &attached), ("1".to_owned(), "0".to_owned()));
    assert_eq!(counts(&mut bench, &bound), ("0".to_owned(), "1".to_owned()));
    for arn in [&attached, &bound] {
        assert_eq!(bench.refused("DeletePolicy", &[("PolicyArn", arn)]), error(409, "DeleteConflict"));
        assert_eq!(texts(&bench.ok("ListEntitiesForPolicy", &[("PolicyArn", arn)]), "RoleName"), ["r"]);
    }
    let entities = |bench: &mut Bench, field, value| {
        texts(&bench.ok("ListEntitiesForPolicy", &[("PolicyArn", &bound), (field, value)]), "RoleName").len()
    };
    assert_eq!(entities(&mut bench, "PolicyUsageFilter", "PermissionsBoundary"), 1);
    assert_eq!(entities(&mut bench, "PolicyUsageFilter", "PermissionsPolicy"), 0);
    assert_eq!(entities(&mut bench, "EntityFilter", "User"), 0);
    assert_eq!(texts(&bench.ok("ListPolicies", &[("OnlyAttached", "true")]), "PolicyName"), ["attached", "bound"]);
    bench.ok("DetachRolePolicy", &[("RoleName", "r"), ("PolicyArn", &attached)]);
    bench.ok("DeleteRole", &[("RoleName", "r")]);
    bench.ok("DeletePolicy", &[("PolicyArn", &attached)]);
    bench.ok("DeletePolicy", &[("PolicyArn", &bound)]);
}

#[test]
fn policies_are_found_by_their_exact_arn() {
    let mut bench = Bench::new();
    bench.role("r");
    bench.policy("p");
    let table = [
        (arn("none"), 404, "NoSuchEntity"),
        (arn("P"), 404, "NoSuchEntity"),
        (arn("path/p"), 404, "NoSuchEntity"),
        ("arn:aws:iam::aws:policy/NoSuchThing".to_owned(), 404, "NoSuchEntity"),
        ("arn:aws:iam::aws:policy/AWSLambdaRole".to_owned(), 404, "NoSuchEntity"),
        (format!("arn:aws:iam::{OTHER}:policy/p"), 400, "InvalidInput"),
        (format!("arn:aws-cn:iam::{ACCOUNT}:policy/p"), 400, "InvalidInput"),
        ("not-an-arn-but-long-enough".to_owned(), 400, "InvalidInput"),
        (format!("arn:aws:iam::{ACCOUNT}:role/pppp"), 400, "InvalidInput"),
        ("short".to_owned(), 400, "ValidationError"),
    ];
    for (arn, status, code) in table {
        for (action, field) in [
            ("AttachRolePolicy", "PolicyArn"),
            ("DetachRolePolicy", "PolicyArn"),
            ("GetPolicy", "PolicyArn"),
            ("PutRolePermissionsBoundary", "PermissionsBoundary"),
        ] {
            let fields = [("RoleName", "r"), (field, arn.as_str())];
            assert_eq!(bench.refused(action, &fields), error(status, code), "{action} {arn}");
        }
    }
    assert_eq!(
        bench.refused("DetachRolePolicy", &[("RoleName", "r"), ("PolicyArn", &arn("p"))]),
        error(404, "NoSuchEntity")
    );
    assert_eq!(
        bench.refused("AttachRolePolicy", &[("RoleName", "none"), ("PolicyArn", S3)]),
        error(404, "NoSuchEntity")
    );
}

#[test]
fn an_eleventh_attachment_is_refused() {
    let mut bench = Bench::new();
    bench.role("r");
    for index in 0..9 {
        let arn = bench.policy(&format!("p{index}"));
        bench.ok("AttachRolePolicy", &[("RoleName", "r"), ("PolicyArn", &arn)]);
    }
    bench.ok("AttachRolePolicy", &[("RoleName", "r"), ("PolicyArn", S3)]);
    bench.ok("AttachRolePolicy", &[("RoleName", "r"), ("PolicyArn", S3)]);
    let one_more = bench.policy("one-more");
    let attach = [("RoleName", "r"), ("PolicyArn", one_more.as_str())];
    assert_eq!(bench.refused("AttachRolePolicy", &attach), error(409, "LimitExceeded"));
    bench.ok("DetachRolePolicy", &[("RoleName", "r"), ("PolicyArn", S3)]);
    bench.ok("AttachRolePolicy", &attach);
    let listed = bench.ok("ListAttachedRolePolicies", &[("RoleName", "r"), ("PathPrefix", "/")]);
    assert_eq!(texts(&listed, "PolicyArn").len(), 10);
    assert_eq!(texts(&listed, "PolicyName")[0], "one-more");
    let none = bench.ok("ListAttachedRolePolicies", &[("RoleName", "r"), ("PathPrefix", "/none/")]);
    assert_eq!(texts(&none, "PolicyArn").len(), 0);
}

#[test]
fn aws_policies_exist_and_cannot_be_changed() {
    let mut bench = Bench::new();
    bench.role("r");
    let policy = bench.ok("GetPolicy", &[("PolicyArn", S3)]);
    let version = text(&policy, "DefaultVersionId");
    let got = bench.ok("GetPolicyVersion", &[("PolicyArn", S3), ("VersionId", &version)]);
    assert!(decoded(&text(&got, "Document")).contains("s3:Get*"));
    let lambda = "arn:aws:iam::aws:policy/service-role/AWSLambdaRole";
    assert_eq!(text(&bench.ok("GetPolicy", &[("PolicyArn", lambda)]), "Path"), "/service-role/");
    for action in ["DeletePolicy", "TagPolicy"] {
        assert_eq!(bench.refused(action, &[("PolicyArn", S3)]), error(403, "AccessDenied"));
    }
    let linked = "arn:aws:iam::aws:policy/aws-service-role/AmazonEKSServiceRolePolicy";
    assert_eq!(
        bench.refused("AttachRolePolicy", &[("RoleName", "r"), ("PolicyArn", linked)]),
        error(400, "PolicyNotAttachable")
    );
    let names = texts(&bench.ok("ListPolicies", &[("Scope", "AWS"), ("MaxItems", "1000")]), "PolicyName");
    assert!(names.len() > 30 && names.contains(&"AdministratorAccess".to_owned()));
}
