//! Tests of GetAccountAuthorizationDetails, GetAccountSummary and account snapshots.

use super::{ACCOUNT, Bench, POLICY, decoded, error, has, text, texts};

const S3: &str = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";

fn furnished() -> Bench {
    let mut bench = Bench::new();
    let arn = bench.policy("p");
    bench.ok("CreateUser", &[("UserName", "u")]);
    for name in ["app", "b", "c"] {
        bench.role(name);
    }
    bench.ok("PutRolePermissionsBoundary", &[("RoleName", "app"), ("PermissionsBoundary", &arn)]);
    bench.ok("AttachRolePolicy", &[("RoleName", "app"), ("PolicyArn", S3)]);
    bench.ok("PutRolePolicy", &[("RoleName", "app"), ("PolicyName", "in"), ("PolicyDocument", POLICY)]);
    bench.ok("TagRole", &[("RoleName", "app"), ("Tags.member.1.Key", "k"), ("Tags.member.1.Value", "v")]);
    bench.ok("UpdateRole", &[("RoleName", "app"), ("Description", "d"), ("MaxSessionDuration", "7200")]);
    bench.ok("CreateInstanceProfile", &[("InstanceProfileName", "i")]);
    bench.ok("AddRoleToInstanceProfile", &[("InstanceProfileName", "i"), ("RoleName", "b")]);
    bench
}

#[test]
fn details_of_roles_have_all_but_description_and_session() {
    let mut bench = furnished();
    let answer = bench.ok("GetAccountAuthorizationDetails", &[("Filter.member.1", "Role")]);
    let app = answer.split("<RoleId>").nth(1).unwrap();
    let app = format!("<RoleName>app</RoleName><RoleId>{app}");
    assert!(answer.contains("<RoleName>app</RoleName><RoleId>"));
    for field in ["RoleId", "Arn", "CreateDate", "AssumeRolePolicyDocument", "RoleLastUsed", "InstanceProfileList"] {
        assert!(has(&app, field), "{field}");
    }
    assert!(!has(&app, "Description") && !has(&app, "MaxSessionDuration"));
    assert_eq!(decoded(&text(&app, "PolicyDocument")), POLICY);
    assert!(app.contains(&format!("<PolicyName>AmazonS3ReadOnlyAccess</PolicyName><PolicyArn>{S3}</PolicyArn>")));
    assert_eq!(text(&app, "PermissionsBoundaryArn"), format!("arn:aws:iam::{ACCOUNT}:policy/p"));
    assert!(app.contains("<Tags><member><Key>k</Key><Value>v</Value></member></Tags>"));
    assert_eq!(texts(&answer, "InstanceProfileName"), ["i"]);
    assert_eq!((text(&answer, "UserDetailList"), text(&answer, "Policies")), (String::new(), String::new()));
}

#[test]
fn a_filter_selects_kinds() {
    let mut bench = furnished();
    let count = |bench: &mut Bench, filter: &[&str]| {
        let fields: Vec<(String, &str)> =
            (1..).zip(filter).map(|(index, kind)| (format!("Filter.member.{index}"), *kind)).collect();
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
        let answer = bench.ok("GetAccountAuthorizationDetails", &fields);
        let ids = |list, id| texts(&text(&answer, list), id).len();
        (ids("UserDetailList", "UserId"), texts(&answer, "RoleLastUsed").len(), ids("Policies", "PolicyId"))
    };
    assert_eq!(count(&mut bench, &[]), (1, 3, 2));
    assert_eq!(count(&mut bench, &["User"]), (1, 0, 0));
    assert_eq!(count(&mut bench, &["Role"]), (0, 3, 0));
    assert_eq!(count(&mut bench, &["Group"]), (0, 0, 0));
    assert_eq!(count(&mut bench, &["LocalManagedPolicy", "User"]), (1, 0, 1));
    assert_eq!(count(&mut bench, &["AWSManagedPolicy"]), (0, 0, 1));
    let local = bench.ok("GetAccountAuthorizationDetails", &[("Filter.member.1", "LocalManagedPolicy")]);
    assert_eq!(decoded(&text(&text(&local, "PolicyVersionList"), "Document")), POLICY);
    let wrong = [("Filter.member.1", "Roles")];
    assert_eq!(bench.refused("GetAccountAuthorizationDetails", &wrong), error(400, "ValidationError"));
}

#[test]
fn details_are_paged_across_kinds() {
    let mut bench = furnished();
    let (mut seen, mut marker) = (Vec::new(), None::<String>);
    loop {
        let mut fields = vec![("MaxItems", "2")];
        fields.extend(marker.as_deref().map(|marker| ("Marker", marker)));
        let answer = bench.ok("GetAccountAuthorizationDetails", &fields);
        seen.push((
            texts(&answer, "UserId").len(),
            texts(&answer, "RoleLastUsed").len(),
            texts(&answer, "PolicyId").len(),
        ));
        marker = texts(&answer, "Marker").into_iter().next();
        if marker.is_none() {
            break;
        }
    }
    assert_eq!(seen, [(1, 1, 0), (0, 2, 0), (0, 0, 2)]);
}

#[test]
fn the_summary_has_counts_and_quotas() {
    let mut bench = furnished();
    bench.iam.set_quota("AssumeRolePolicySizeQuota", 4096);
    let answer = bench.ok("GetAccountSummary", &[]);
    for (key, value) in [
        ("Roles", "3"),
        ("Users", "1"),
        ("Policies", "1"),
        ("PolicyVersionsInUse", "1"),
        ("InstanceProfiles", "1"),
        ("Providers", "0"),
        ("RolesQuota", "1000"),
        ("AssumeRolePolicySizeQuota", "4096"),
        ("RolePolicySizeQuota", "10240"),
        ("PolicySizeQuota", "6144"),
        ("AttachedPoliciesPerRoleQuota", "10"),
        ("VersionsPerPolicyQuota", "5"),
    ] {
        assert!(answer.contains(&format!("<entry><key>{key}</key><value>{value}</value></entry>")), "{key}");
    }
}

#[test]
fn a_snapshot_shows_every_user_change() {
    let mut bench = furnished();
    let mut seen = vec![bench.iam.snapshot()];
    let arn = format!("arn:aws:iam::{ACCOUNT}:policy/p");
    let url = [("Url", "https://x.example.com")];
    let changes: &[(&str, &[(&str, &str)])] = &[
        ("TagRole", &[("RoleName", "b"), ("Tags.member.1.Key", "x"), ("Tags.member.1.Value", "y")]),
        ("UpdateRole", &[("RoleName", "b"), ("Description", "other")]),
        ("PutRolePolicy", &[("RoleName", "b"), ("PolicyName", "in"), ("PolicyDocument", POLICY)]),
        ("AttachRolePolicy", &[("RoleName", "b"), ("PolicyArn", S3)]),
        ("DeleteRolePermissionsBoundary", &[("RoleName", "app")]),
        ("RemoveRoleFromInstanceProfile", &[("RoleName", "b"), ("InstanceProfileName", "i")]),
        ("CreatePolicyVersion", &[("PolicyArn", &arn), ("PolicyDocument", POLICY)]),
        ("SetDefaultPolicyVersion", &[("PolicyArn", &arn), ("VersionId", "v2")]),
        ("CreateOpenIDConnectProvider", &url),
        ("DeleteUser", &[("UserName", "u")]),
    ];
    for (action, fields) in changes {
        bench.ok(action, fields);
        let now = bench.iam.snapshot();
        assert!(!seen.contains(&now), "{action}");
        seen.push(now);
    }
    for action in ["ListRoles", "ListPolicies", "GetAccountAuthorizationDetails"] {
        bench.ok(action, &[]);
    }
    assert_eq!(seen.last(), Some(&bench.iam.snapshot()));
}
