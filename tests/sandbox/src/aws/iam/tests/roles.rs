//! Tests of roles: responses, updates, boundaries, inline policies, instance profiles and quotas.

use super::super::Principals;
use super::{ACCOUNT, ANYONE, Bench, OTHER, POLICY, decoded, error, has, tags, text, texts, with};
use crate::aws::query::AwsError;
use jiff::Timestamp;
use std::sync::Arc;

const S3: &str = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";

fn full(bench: &mut Bench) -> String {
    let boundary = bench.policy("boundary");
    let fields = tags(&[("irsa/owner", "me"), ("env", "")]);
    let fields = with(
        &[
            ("RoleName", "app"),
            ("Path", "/irsa/team/"),
            ("Description", "hello <&>"),
            ("MaxSessionDuration", "7200"),
            ("PermissionsBoundary", &boundary),
            ("AssumeRolePolicyDocument", ANYONE),
        ],
        &fields,
    );
    bench.ok("CreateRole", &fields)
}

#[test]
fn each_response_has_the_fields_that_aws_returns() {
    let mut bench = Bench::new();
    let made = full(&mut bench);
    assert_eq!(text(&made, "Arn"), format!("arn:aws:iam::{ACCOUNT}:role/irsa/team/app"));
    let got = bench.ok("GetRole", &[("RoleName", "app")]);
    assert_eq!(text(&got, "Description"), "hello &lt;&amp;&gt;");
    assert_eq!(text(&got, "MaxSessionDuration"), "7200");
    assert_eq!(text(&got, "PermissionsBoundaryType"), "Policy");
    assert_eq!(texts(&got, "Key"), ["env", "irsa/owner"]);
    assert!(got.contains("<RoleLastUsed></RoleLastUsed>"));
    assert_eq!(text(&got, "CreateDate"), "2023-11-14T22:13:21Z");
    let listed = bench.ok("ListRoles", &[("PathPrefix", "/irsa/")]);
    for (field, there) in [
        ("AssumeRolePolicyDocument", true),
        ("Description", true),
        ("MaxSessionDuration", true),
        ("Tags", false),
        ("PermissionsBoundary", false),
        ("RoleLastUsed", false),
    ] {
        assert_eq!(has(&listed, field), there, "{field}");
    }
    assert!(bench.iam.set_last_used("APP", Timestamp::UNIX_EPOCH));
    assert!(!bench.iam.set_last_used("none", Timestamp::UNIX_EPOCH));
    let used = bench.ok("GetRole", &[("RoleName", "app")]);
    assert_eq!(text(&used, "LastUsedDate"), "1970-01-01T00:00:00Z");
}

#[test]
fn an_update_without_a_duration_sets_one_hour() {
    let mut bench = Bench::new();
    full(&mut bench);
    let answer = bench.ok("UpdateRole", &[("RoleName", "app"), ("Description", "d2"), ("MaxSessionDuration", "10800")]);
    assert!(has(&answer, "UpdateRoleResult"));
    let seen = |bench: &mut Bench| {
        let got = bench.ok("GetRole", &[("RoleName", "app")]);
        (texts(&got, "Description"), text(&got, "MaxSessionDuration"))
    };
    assert_eq!(seen(&mut bench), (vec!["d2".to_owned()], "10800".to_owned()));
    bench.ok("UpdateRole", &[("RoleName", "app"), ("Description", "")]);
    assert_eq!(seen(&mut bench), (vec![], "3600".to_owned()));
    let bad = [("RoleName", "app"), ("MaxSessionDuration", "1")];
    assert_eq!(bench.refused("UpdateRole", &bad), error(400, "ValidationError"));
    assert_eq!(bench.refused("UpdateRole", &[("RoleName", "none")]), error(404, "NoSuchEntity"));
    let described = bench.ok("UpdateRoleDescription", &[("RoleName", "app"), ("Description", "d3")]);
    assert_eq!(text(&described, "Description"), "d3");
}

#[test]
fn a_boundary_must_exist() {
    let mut bench = Bench::new();
    full(&mut bench);
    bench.role("r");
    let none = format!("arn:aws:iam::{ACCOUNT}:policy/none");
    let create = [("RoleName", "s"), ("AssumeRolePolicyDocument", ANYONE), ("PermissionsBoundary", none.as_str())];
    assert_eq!(bench.refused("CreateRole", &create), error(404, "NoSuchEntity"));
    let put = |arn| [("RoleName", "r"), ("PermissionsBoundary", arn)];
    assert_eq!(bench.refused("PutRolePermissionsBoundary", &put(&none)), error(404, "NoSuchEntity"));
    bench.ok("PutRolePermissionsBoundary", &put(S3));
    assert_eq!(text(&bench.ok("GetRole", &[("RoleName", "r")]), "PermissionsBoundaryArn"), S3);
    bench.ok("DeleteRolePermissionsBoundary", &[("RoleName", "r")]);
    assert!(!has(&bench.ok("GetRole", &[("RoleName", "r")]), "PermissionsBoundary"));
    assert_eq!(bench.refused("DeleteRolePermissionsBoundary", &[("RoleName", "r")]), error(404, "NoSuchEntity"));
}

#[test]
fn inline_policies_are_returned_verbatim() {
    let mut bench = Bench::new();
    bench.role("r");
    let spaced = POLICY.replace(',', ",\n ");
    let put = [("RoleName", "r"), ("PolicyName", "in"), ("PolicyDocument", spaced.as_str())];
    bench.ok("PutRolePolicy", &put);
    let got = bench.ok("GetRolePolicy", &put[..2]);
    assert_eq!(decoded(&text(&got, "PolicyDocument")), spaced);
    assert!(!text(&got, "PolicyDocument").contains('+'));
    assert_eq!(texts(&text(&bench.ok("ListRolePolicies", &[("RoleName", "r")]), "PolicyNames"), "member"), ["in"]);
    let bad = [("RoleName", "r"), ("PolicyName", "no"), ("PolicyDocument", "{no")];
    assert_eq!(bench.refused("PutRolePolicy", &bad), error(400, "MalformedPolicyDocument"));
    assert_eq!(bench.refused("GetRolePolicy", &bad[..2]), error(404, "NoSuchEntity"));
    bench.ok("DeleteRolePolicy", &put[..2]);
    assert_eq!(bench.refused("DeleteRolePolicy", &put[..2]), error(404, "NoSuchEntity"));
}

#[test]
fn a_role_in_use_is_not_deleted() {
    let mut bench = Bench::new();
    bench.role("r");
    let profile = [("InstanceProfileName", "i"), ("RoleName", "r")];
    let role = [("RoleName", "r")];
    bench.ok("CreateInstanceProfile", &profile[..1]);
    bench.ok("AddRoleToInstanceProfile", &profile);
    bench.ok("AttachRolePolicy", &[("RoleName", "r"), ("PolicyArn", S3)]);
    bench.ok("PutRolePolicy", &[("RoleName", "r"), ("PolicyName", "in"), ("PolicyDocument", POLICY)]);
    let why = |bench: &mut Bench| {
        let error = bench.call("DeleteRole", &role).unwrap_err();
        assert_eq!((error.status, error.code.as_str()), (409, "DeleteConflict"));
        error.message
    };
    assert!(why(&mut bench).contains("remove roles from instance profile"));
    bench.ok("RemoveRoleFromInstanceProfile", &profile);
    assert!(why(&mut bench).contains("detach all policies"));
    bench.ok("DetachRolePolicy", &[("RoleName", "r"), ("PolicyArn", S3)]);
    assert!(why(&mut bench).contains("must delete policies"));
    bench.ok("DeleteRolePolicy", &[("RoleName", "r"), ("PolicyName", "in")]);
    bench.ok("DeleteRole", &role);
    assert_eq!(bench.refused("DeleteRole", &role), error(404, "NoSuchEntity"));
}

#[test]
fn instance_profiles_hold_one_role() {
    let mut bench = Bench::new();
    bench.role("a");
    bench.role("b");
    let pair = |role| [("InstanceProfileName", "i"), ("RoleName", role)];
    assert_eq!(bench.refused("AddRoleToInstanceProfile", &pair("a")), error(404, "NoSuchEntity"));
    bench.ok("CreateInstanceProfile", &[("InstanceProfileName", "i"), ("Path", "/p/")]);
    assert_eq!(bench.refused("AddRoleToInstanceProfile", &pair("none")), error(404, "NoSuchEntity"));
    bench.ok("AddRoleToInstanceProfile", &pair("a"));
    assert_eq!(bench.refused("AddRoleToInstanceProfile", &pair("b")), error(409, "LimitExceeded"));
    assert_eq!(bench.refused("DeleteInstanceProfile", &pair("a")[..1]), error(409, "DeleteConflict"));
    assert_eq!(bench.refused("RemoveRoleFromInstanceProfile", &pair("b")), error(404, "NoSuchEntity"));
    let of = |bench: &mut Bench, role| {
        texts(&bench.ok("ListInstanceProfilesForRole", &[("RoleName", role)]), "InstanceProfileName")
    };
    assert_eq!((of(&mut bench, "a"), of(&mut bench, "b")), (vec!["i".to_owned()], vec![]));
    let got = bench.ok("GetInstanceProfile", &pair("a")[..1]);
    assert_eq!((text(&got, "RoleName"), text(&got, "Path")), ("a".to_owned(), "/p/".to_owned()));
    assert!(text(&got, "InstanceProfileId").starts_with("AIPA"));
    bench.ok("RemoveRoleFromInstanceProfile", &pair("a"));
    bench.ok("DeleteInstanceProfile", &pair("a")[..1]);
    assert_eq!(texts(&bench.ok("ListInstanceProfiles", &[]), "InstanceProfileName").len(), 0);
}

#[test]
fn a_service_linked_role_cannot_be_changed_by_callers() {
    let mut bench = Bench::new();
    let service = [("AWSServiceName", "eks.amazonaws.com")];
    let made = bench.ok("CreateServiceLinkedRole", &service);
    assert_eq!(text(&made, "Path"), "/aws-service-role/eks.amazonaws.com/");
    assert_eq!(bench.refused("CreateServiceLinkedRole", &service), error(400, "InvalidInput"));
    assert_eq!(bench.refused("CreateServiceLinkedRole", &[("AWSServiceName", "x")]), error(400, "InvalidInput"));
    let name = "AWSServiceRoleForAmazonEKS";
    let before = bench.iam.snapshot();
    let table: &[(&str, &[(&str, &str)])] = &[
        ("UpdateAssumeRolePolicy", &[("PolicyDocument", ANYONE)]),
        ("PutRolePolicy", &[("PolicyName", "in"), ("PolicyDocument", POLICY)]),
        ("AttachRolePolicy", &[("PolicyArn", S3)]),
        ("DetachRolePolicy", &[("PolicyArn", "arn:aws:iam::aws:policy/aws-service-role/AmazonEKSServiceRolePolicy")]),
        ("PutRolePermissionsBoundary", &[("PermissionsBoundary", S3)]),
        ("UpdateRole", &[("MaxSessionDuration", "7200")]),
        ("DeleteRole", &[]),
    ];
    for (action, fields) in table {
        let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("RoleName", name)]).collect();
        assert_eq!(bench.refused(action, &fields), error(400, "UnmodifiableEntity"), "{action}");
    }
    assert_eq!(bench.iam.snapshot(), before);
    bench.role("r");
    assert_eq!(bench.refused("DeleteServiceLinkedRole", &[("RoleName", "r")]), error(400, "InvalidInput"));
    let task = text(&bench.ok("DeleteServiceLinkedRole", &[("RoleName", name)]), "DeletionTaskId");
    let status = bench.ok("GetServiceLinkedRoleDeletionStatus", &[("DeletionTaskId", &task)]);
    assert_eq!(text(&status, "Status"), "SUCCEEDED");
    assert_eq!(bench.iam.role_names(), ["r"]);
}

#[test]
fn roles_are_found_by_name_or_arn() {
    let mut bench = Bench::new();
    full(&mut bench);
    let facts = bench.iam.role_trust("app").unwrap();
    assert_eq!(facts.max_session_duration, 7200);
    assert_eq!(bench.iam.role_trust(&facts.arn), Some(facts.clone()));
    assert_eq!(bench.iam.role_trust(&facts.arn.replace("/irsa/team/", "/")), None);
    assert_eq!(bench.iam.role_trust("none"), None);
}

#[test]
fn a_role_over_the_quota_is_refused() {
    let mut bench = Bench::new();
    assert!(bench.iam.set_quota("RolesQuota", 1));
    bench.role("a");
    bench.ok("CreateServiceLinkedRole", &[("AWSServiceName", "eks.amazonaws.com")]);
    let b = [("RoleName", "b"), ("AssumeRolePolicyDocument", ANYONE)];
    assert_eq!(bench.refused("CreateRole", &b), error(409, "LimitExceeded"));
}

#[test]
fn an_unsettled_role_becomes_visible_late() {
    let directory = Arc::new(Principals::default());
    let (mut here, mut there) = (Bench::of(ACCOUNT, &directory), Bench::of(OTHER, &directory));
    here.role("at-once");
    here.iam.unsettled(2);
    here.role("young");
    let arn = |bench: &mut Bench, name: &str| text(&bench.ok("GetRole", &[("RoleName", name)]), "Arn");
    let young = format!("arn:aws:iam::{ACCOUNT}:role/young");
    assert_eq!(arn(&mut here, "at-once"), format!("arn:aws:iam::{ACCOUNT}:role/at-once"));
    let listed = here.ok("ListRoles", &[]);
    let id = texts(&listed, "RoleId")[1].clone();
    assert!(listed.contains(&young), "lists show a new role at once");
    assert_eq!([(); 3].map(|()| arn(&mut here, "young")), [id.clone(), id, young.clone()]);
    let trust = ANYONE.replace("\"*\"", &format!(r#"{{"AWS":"{young}"}}"#));
    let made = [("RoleName", "r"), ("AssumeRolePolicyDocument", trust.as_str())];
    let changed = [("RoleName", "at-once"), ("PolicyDocument", trust.as_str())];
    let told = |error: AwsError| (error.code, error.message);
    let expected = ("MalformedPolicyDocument".to_owned(), format!("Invalid principal in policy: \"AWS\":\"{young}\""));
    assert_eq!(told(there.call("CreateRole", &made).unwrap_err()), expected, "other accounts also see the role late");
    assert_eq!(told(here.call("UpdateAssumeRolePolicy", &changed).unwrap_err()), expected);
    here.ok("UpdateAssumeRolePolicy", &changed);
    there.ok("CreateRole", &made);
    // A recreated role is new again.
    here.ok("DeleteRole", &[("RoleName", "young")]);
    here.role("young");
    assert!(arn(&mut here, "young").starts_with("AROA"));
    here.iam.unsettled(0);
    here.role("later");
    assert!(arn(&mut here, "later").ends_with("role/later"));
    here.ok("UpdateAssumeRolePolicy", &[("RoleName", "later"), ("PolicyDocument", &trust.replace("young", "later"))]);
}
