//! Tests of IAM pagination.

use super::{Bench, error, has, tags, text, texts, with};

/// All pages of a list, as the texts of `element` in each.
fn pages(bench: &mut Bench, action: &str, fields: &[(&str, &str)], size: &str, element: &str) -> Vec<Vec<String>> {
    let (mut all, mut marker) = (Vec::new(), None::<String>);
    loop {
        let mut fields = fields.to_vec();
        fields.push(("MaxItems", size));
        fields.extend(marker.as_deref().map(|marker| ("Marker", marker)));
        let answer = bench.ok(action, &fields);
        all.push(texts(&answer, element));
        assert_eq!(has(&answer, "Marker"), text(&answer, "IsTruncated") == "true");
        marker = texts(&answer, "Marker").into_iter().next();
        if marker.is_none() {
            return all;
        }
    }
}

fn sizes(pages: &[Vec<String>]) -> Vec<usize> {
    pages.iter().map(Vec::len).collect()
}

#[test]
fn lists_are_paged() {
    let mut bench = Bench::new();
    for index in 0..7 {
        let name = format!("pg{index}");
        let fields = [("RoleName", name.as_str()), ("Path", "/page/"), ("AssumeRolePolicyDocument", super::ANYONE)];
        bench.ok("CreateRole", &fields);
        bench.role(&format!("other{index}"));
    }
    let found = pages(&mut bench, "ListRoles", &[("PathPrefix", "/page/")], "3", "RoleName");
    assert_eq!(sizes(&found), [3, 3, 1]);
    assert_eq!(found.concat(), ["pg0", "pg1", "pg2", "pg3", "pg4", "pg5", "pg6"]);
    assert_eq!(sizes(&pages(&mut bench, "ListRoles", &[], "7", "RoleName")), [7, 7]);
    let arns: Vec<String> = (0..3).map(|index| bench.policy(&format!("p{index}"))).collect();
    for (arn, name) in arns.iter().zip(["x", "y", "z"]) {
        bench.ok("AttachRolePolicy", &[("RoleName", "pg0"), ("PolicyArn", arn)]);
        bench.ok("AttachRolePolicy", &[("RoleName", "pg1"), ("PolicyArn", arn)]);
        let inline = [("RoleName", "pg0"), ("PolicyName", name), ("PolicyDocument", super::POLICY)];
        bench.ok("PutRolePolicy", &inline);
    }
    let pairs = tags(&[("a", "1"), ("b", "2"), ("c", "3")]);
    bench.ok("TagRole", &with(&[("RoleName", "pg0")], &pairs));
    bench.ok("TagPolicy", &with(&[("PolicyArn", &arns[0])], &pairs));
    for _ in 0..2 {
        bench.ok("CreatePolicyVersion", &[("PolicyArn", &arns[0]), ("PolicyDocument", super::POLICY)]);
    }
    let role = [("RoleName", "pg0")];
    let policy = [("PolicyArn", arns[0].as_str())];
    let local = [("Scope", "Local")];
    let none: [(&str, &str); 0] = [];
    let table: [(_, &[_], _, &[usize]); 8] = [
        ("ListAttachedRolePolicies", &role, "PolicyArn", &[2, 1]),
        ("ListRolePolicies", &role, "member", &[2, 1]),
        ("ListRoleTags", &role, "Key", &[2, 1]),
        ("ListPolicyTags", &policy, "Key", &[2, 1]),
        ("ListPolicyVersions", &policy, "VersionId", &[2, 1]),
        ("ListEntitiesForPolicy", &policy, "RoleName", &[2]),
        ("ListPolicies", &local, "PolicyName", &[2, 1]),
        ("ListUsers", &none, "UserName", &[0]),
    ];
    for (action, fields, element, expected) in table {
        assert_eq!(sizes(&pages(&mut bench, action, fields, "2", element)), expected, "{action}");
    }
    let everything = pages(&mut bench, "ListPolicies", &[], "40", "PolicyName").concat();
    assert_eq!(everything.last().map(String::as_str), Some("p2"));
    assert_eq!(everything.len(), super::super::managed::POLICIES.len() + 3);
}

#[test]
fn a_marker_stays_valid_when_items_are_added_and_removed() {
    let mut bench = Bench::new();
    for name in ["b", "d", "f"] {
        bench.role(name);
    }
    let first = bench.ok("ListRoles", &[("MaxItems", "2")]);
    bench.ok("DeleteRole", &[("RoleName", "d")]);
    bench.role("a");
    bench.role("e");
    let second = bench.ok("ListRoles", &[("MaxItems", "2"), ("Marker", &text(&first, "Marker"))]);
    assert_eq!(texts(&second, "RoleName"), ["e", "f"]);
    assert_eq!(text(&second, "IsTruncated"), "false");
}

#[test]
fn invalid_markers_and_sizes_are_refused_by_every_list() {
    let mut bench = Bench::new();
    for name in ["a", "b"] {
        bench.role(name);
    }
    let arn = bench.policy("p");
    let foreign = text(&bench.ok("ListRoles", &[("MaxItems", "1")]), "Marker");
    for action in [
        "ListRoles",
        "ListRolePolicies",
        "ListAttachedRolePolicies",
        "ListRoleTags",
        "ListPolicies",
        "ListPolicyVersions",
        "ListPolicyTags",
        "ListEntitiesForPolicy",
        "ListInstanceProfiles",
        "ListInstanceProfilesForRole",
        "ListUsers",
        "GetAccountAuthorizationDetails",
    ] {
        let mut table = vec![("MaxItems", "0"), ("MaxItems", "1001"), ("Marker", "garbage"), ("Marker", "")];
        if action != "ListRoles" {
            table.push(("Marker", &foreign));
        }
        for wrong in table {
            let fields = [("RoleName", "a"), ("PolicyArn", arn.as_str()), wrong];
            assert_eq!(bench.refused(action, &fields), error(400, "ValidationError"), "{action} {wrong:?}");
        }
    }
}

#[test]
fn the_default_page_size_is_100() {
    let mut bench = Bench::new();
    for index in 0..101 {
        bench.role(&format!("r{index:03}"));
    }
    assert_eq!(texts(&bench.ok("ListRoles", &[]), "RoleName").len(), 100);
    assert_eq!(texts(&bench.ok("ListRoles", &[("MaxItems", "1000")]), "RoleName").len(), 101);
}
