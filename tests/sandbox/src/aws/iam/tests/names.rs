//! Tests of request fields: names, paths, lengths and tags.

use super::{ANYONE, Bench, error, has, tags, text, with};

#[test]
fn fields_of_a_new_role_are_checked() {
    let long = |count: usize| "a".repeat(count);
    let (name, description, path) = (long(65), long(1001), format!("/{}/", long(511)));
    let table: &[(&str, &str)] = &[
        ("RoleName", "bad name!"),
        ("RoleName", "é"),
        ("RoleName", ""),
        ("RoleName", &name),
        ("Path", "nolead"),
        ("Path", "/noend"),
        ("Path", "//"),
        ("Path", "/a b/"),
        ("Path", ""),
        ("Path", &path),
        ("Path", "/aws-service-role/x.amazonaws.com/"),
        ("MaxSessionDuration", "100"),
        ("MaxSessionDuration", "3599"),
        ("MaxSessionDuration", "43201"),
        ("Description", &description),
        ("Description", "\u{2014}"),
        ("PermissionsBoundary", "short"),
    ];
    for (field, value) in table {
        let mut bench = Bench::new();
        let mut fields = vec![("RoleName", "r"), ("AssumeRolePolicyDocument", ANYONE)];
        fields.retain(|(known, _)| known != field);
        fields.push((field, value));
        assert_eq!(bench.refused("CreateRole", &fields), error(400, "ValidationError"), "{field} = {value}");
        assert!(bench.iam.role_names().is_empty(), "{field} = {value}");
    }
    let mut bench = Bench::new();
    let (name, description, path) = (long(64), long(1000), format!("/{}/", long(510)));
    let fields = [
        ("RoleName", name.as_str()),
        ("Description", description.as_str()),
        ("Path", path.as_str()),
        ("MaxSessionDuration", "43200"),
        ("AssumeRolePolicyDocument", ANYONE),
    ];
    bench.ok("CreateRole", &fields);
    bench.ok("CreateRole", &[("RoleName", "a+=,.@_-Z9"), ("AssumeRolePolicyDocument", ANYONE)]);
}

#[test]
fn all_failed_constraints_are_reported_at_once() {
    let mut bench = Bench::new();
    let fields = [("RoleName", ""), ("MaxSessionDuration", "1")];
    let message = bench.call("CreateRole", &fields).unwrap_err().message;
    assert_eq!(
        message,
        "3 validation errors detected: \
         Value '' at 'roleName' failed to satisfy constraint: Member must have length greater than or equal to 1; \
         Value null at 'assumeRolePolicyDocument' failed to satisfy constraint: Member must not be null; \
         Value '1' at 'maxSessionDuration' failed to satisfy constraint: Member must have value greater than or equal to 3600"
    );
    let not_a_number = [("RoleName", "r"), ("MaxSessionDuration", "1h"), ("AssumeRolePolicyDocument", ANYONE)];
    assert_eq!(bench.refused("CreateRole", &not_a_number), error(400, "MalformedInput"));
}

#[test]
fn names_are_case_insensitive() {
    let mut bench = Bench::new();
    bench.role("App");
    bench.policy("Pol");
    let role = [("RoleName", "aPP"), ("Path", "/other/"), ("AssumeRolePolicyDocument", ANYONE)];
    assert_eq!(bench.refused("CreateRole", &role), error(409, "EntityAlreadyExists"));
    let policy = [("PolicyName", "pOL"), ("Path", "/other/"), ("PolicyDocument", super::POLICY)];
    assert_eq!(bench.refused("CreatePolicy", &policy), error(409, "EntityAlreadyExists"));
    assert_eq!(text(&bench.ok("GetRole", &[("RoleName", "APP")]), "RoleName"), "App");
    bench.ok("CreateUser", &[("UserName", "u")]);
    assert_eq!(bench.refused("CreateUser", &[("UserName", "U")]), error(409, "EntityAlreadyExists"));
    bench.ok("CreateInstanceProfile", &[("InstanceProfileName", "i")]);
    assert_eq!(
        bench.refused("CreateInstanceProfile", &[("InstanceProfileName", "I")]),
        error(409, "EntityAlreadyExists")
    );
}

#[test]
fn tags_are_checked_on_create_and_tag() {
    let many: Vec<(String, String)> = (0..51).map(|index| (format!("k{index}"), "v".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let (long_key, long_value) = ("k".repeat(129), "v".repeat(257));
    let table: &[(&[(&str, &str)], &str)] = &[
        (&many, "ValidationError"),
        (&[("a", "1"), ("A", "2")], "InvalidInput"),
        (&[("aws:x", "1")], "InvalidInput"),
        (&[("AWS:x", "1")], "InvalidInput"),
        (&[("", "1")], "ValidationError"),
        (&[(&long_key, "1")], "ValidationError"),
        (&[("k", &long_value)], "ValidationError"),
        (&[("k*", "1")], "ValidationError"),
        (&[("k", "a#b")], "ValidationError"),
    ];
    for (pairs, code) in table {
        let mut bench = Bench::new();
        bench.role("live");
        let fields = tags(pairs);
        let made = with(&[("RoleName", "r"), ("AssumeRolePolicyDocument", ANYONE)], &fields);
        assert_eq!(bench.refused("CreateRole", &made), error(400, code), "{pairs:?}");
        assert_eq!(bench.refused("TagRole", &with(&[("RoleName", "live")], &fields)), error(400, code), "{pairs:?}");
        assert!(!has(&bench.ok("GetRole", &[("RoleName", "live")]), "Tags"));
    }
    let mut bench = Bench::new();
    bench.role("r");
    assert_eq!(
        bench.refused("UntagRole", &[("RoleName", "r"), ("TagKeys.member.1", "aws:x")]),
        error(400, "InvalidInput")
    );
}

#[test]
fn a_fifty_first_tag_is_refused() {
    let mut bench = Bench::new();
    bench.role("r");
    let pairs: Vec<(String, String)> = (0..50).map(|index| (format!("k{index}"), String::new())).collect();
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    bench.ok("TagRole", &with(&[("RoleName", "r")], &tags(&pairs)));
    let set = |bench: &mut Bench, key: &str| bench.call("TagRole", &with(&[("RoleName", "r")], &tags(&[(key, "new")])));
    assert_eq!(set(&mut bench, "one-more").unwrap_err().code, "LimitExceeded");
    set(&mut bench, "K7").unwrap();
    let answer = bench.ok("ListRoleTags", &[("RoleName", "r")]);
    assert!(answer.contains("<Key>K7</Key><Value>new</Value>") && !answer.contains("<Key>k7</Key>"));
    bench.ok("UntagRole", &[("RoleName", "r"), ("TagKeys.member.1", "k7"), ("TagKeys.member.2", "absent")]);
    assert_eq!(super::texts(&bench.ok("ListRoleTags", &[("RoleName", "r")]), "Key").len(), 49);
}
