//! Errors of declared documents: messages and positions.

use super::*;

const TEMPLATE: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {"Sid": "Action", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"},
    STATEMENT
  ]
}"#;

/// The errors of a statement whose `{` is at line 5, column 5.
fn second(kind: PolicyKind, statement: &str) -> Vec<(String, (usize, usize))> {
    let first = match kind {
        PolicyKind::Permissions => TEMPLATE.to_owned(),
        PolicyKind::Trust => {
            TEMPLATE.replace("s3:GetObject", "sts:AssumeRole").replace("\"Resource\"", "\"Principal\"")
        }
    };
    refused(kind, &first.replace("STATEMENT", statement))
}

#[test]
fn elements_of_permission_policies() {
    for (statement, message, column) in [
        (
            r#"{"Effect": "Allow", "action": "s3:*", "Resource": "*", "Action": "s3:*"}"#,
            "unknown element `action`: write `Action`",
            25,
        ),
        (r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Extra": 1}"#, "unknown element `Extra`", 60),
        (r#"{"Action": "s3:*", "Resource": "*"}"#, "a statement needs `Effect`", 5),
        (r#"{"Effect": "allow", "Action": "s3:*", "Resource": "*"}"#, "`Effect` must be `Allow` or `Deny`", 16),
        (r#"{"Effect": "Allow", "Resource": "*"}"#, "a statement needs `Action` or `NotAction`", 5),
        (r#"{"Effect": "Allow", "Action": "s3:*"}"#, "a statement needs `Resource` or `NotResource`", 5),
        (
            r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Principal": "*"}"#,
            "a permission policy must not have `Principal`",
            60,
        ),
        (r#"{"Effect": "Allow", "Action": [], "Resource": "*"}"#, "`Action` must not be empty", 35),
        (r#"{"Effect": "Allow", "Action": "s3:*", "Resource": []}"#, "`Resource` must not be empty", 55),
        (
            r#"{"Effect": "Allow", "Action": ["s3:*", 1], "Resource": "*"}"#,
            "`Action` must be a string or a list of strings",
            44,
        ),
        (
            r#"{"Effect": "Allow", "Action": "s3:*", "NotAction": "s3:*", "Resource": "*"}"#,
            "`Action` and `NotAction` cannot be used together",
            43,
        ),
        (
            r#"{"Effect": "Allow", "Action": "s3:*", "NotResource": "*", "Resource": "*"}"#,
            "`Resource` and `NotResource` cannot be used together",
            43,
        ),
        (
            r#"{"Effect": "Allow", "Action": ["s3:*", "GetObject"], "Resource": "*"}"#,
            "`GetObject` is not an action: expected `*` or `SERVICE:NAME`",
            44,
        ),
        (
            r#"{"Effect": "Allow", "Action": "s3:", "Resource": "*"}"#,
            "`s3:` is not an action: expected `*` or `SERVICE:NAME`",
            35,
        ),
        (
            r#"{"Effect": "Allow", "Action": ":GetObject", "Resource": "*"}"#,
            "`:GetObject` is not an action: expected `*` or `SERVICE:NAME`",
            35,
        ),
        (
            r#"{"Effect": "Allow", "Action": "s_3:GetObject", "Resource": "*"}"#,
            "`s_3:GetObject` is not an action: expected `*` or `SERVICE:NAME`",
            35,
        ),
        (
            r#"{"Effect": "Allow", "Action": "s3:Get Object", "Resource": "*"}"#,
            "`s3:Get Object` is not an action: expected `*` or `SERVICE:NAME`",
            35,
        ),
        (
            r#"{"Effect": "Allow", "Action": "*:Get", "Resource": "*"}"#,
            "`*:Get` is not an action: expected `*` or `SERVICE:NAME`",
            35,
        ),
        (
            r#"{"Effect": "Allow", "Action": "s3:*", "Resource": ["*", "bucket"]}"#,
            "`bucket` is not a resource: expected an ARN or `*`",
            61,
        ),
        (
            r#"{"Sid": "a b", "Effect": "Allow", "Action": "s3:*", "Resource": "*"}"#,
            "`Sid` must have only letters and digits, not `a b`",
            13,
        ),
        (r#"{"Sid": 1, "Effect": "Allow", "Action": "s3:*", "Resource": "*"}"#, "`Sid` must be a string", 13),
        (
            r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::ł"}"#,
            "IAM accepts no character above U+00FF, found U+0142",
            55,
        ),
        ("[]", "a statement must be an object", 5),
    ] {
        assert_eq!(second(PolicyKind::Permissions, statement), [(message.to_owned(), (5, column))], "{statement}");
    }
}

#[test]
fn conditions() {
    let condition =
        |text: &str| format!(r#"{{"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": {text}}}"#);
    for (text, message, column) in [
        ("null", "`Condition` must be an object", 73),
        (r#"{"StringEqual": {"aws:x": "a"}}"#, "unknown condition operator `StringEqual`", 74),
        (r#"{"NullIfExists": {"aws:x": "true"}}"#, "unknown condition operator `NullIfExists`", 74),
        (r#"{"StringEquals": {}}"#, "`StringEquals` must not be empty", 90),
        (r#"{"StringEquals": "x"}"#, "`StringEquals` must be an object of condition keys", 90),
        (r#"{"StringEquals": {"x": "a"}}"#, "`x` is not a condition key: expected `SERVICE:NAME`", 91),
        (r#"{"StringEquals": {"aws:x": []}}"#, "`aws:x` must not be empty", 100),
        (
            r#"{"StringEquals": {"aws:x": ["a", null]}}"#,
            "`aws:x` must be a string, number or boolean, or a list of them",
            106,
        ),
        (
            r#"{"StringEquals": {"aws:x": "a"}, "stringequals": {"aws:y": "b"}}"#,
            "condition operator `stringequals` appears twice (case is ignored)",
            106,
        ),
        (
            r#"{"StringEquals": {"aws:x": "a", "AWS:x": "b"}}"#,
            "condition key `AWS:x` appears twice under `StringEquals` (case is ignored)",
            105,
        ),
    ] {
        assert_eq!(second(PolicyKind::Permissions, &condition(text)), [(message.to_owned(), (5, column))], "{text}");
    }
    // ambiguous in a live document too
    let twice = condition(r#"{"StringEquals": {"aws:x": "a", "AWS:x": "b"}}"#);
    assert!(!PolicyDocument::live(&TEMPLATE.replace("STATEMENT", &twice)).is_parsed());
}

#[test]
fn elements_of_trust_policies() {
    for (statement, message, column) in [
        (r#"{"Effect": "Allow", "Action": "sts:AssumeRole"}"#, "a statement of a trust policy needs `Principal`", 5),
        (
            r#"{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*", "Resource": "*"}"#,
            "a trust policy must not have `Resource`",
            71,
        ),
        (
            r#"{"Effect": "Allow", "Action": "sts:AssumeRole", "NotPrincipal": "*"}"#,
            "`NotPrincipal` is allowed with `Deny` only",
            53,
        ),
        (
            r#"{"Effect": "Allow", "Action": ["sts:AssumeRole", "s3:Get*"], "Principal": "*"}"#,
            "a trust policy can have `sts:` actions only, not `s3:Get*`",
            54,
        ),
        (
            r#"{"Effect": "Allow", "Action": "*", "Principal": "*"}"#,
            "a trust policy can have `sts:` actions only, not `*`",
            35,
        ),
        (
            r#"{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "x"}"#,
            "`Principal` must be `*` or an object of `AWS`, `Service`, `Federated`",
            66,
        ),
        (r#"{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {}}"#, "`Principal` must not be empty", 66),
        (
            r#"{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Aws": "*"}}"#,
            "unknown element `Aws`: write `AWS`",
            67,
        ),
        (r#"{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": []}}"#, "`AWS` must not be empty", 74),
        (
            r#"{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ["arn:aws:iam::111122223333:role/*"]}}"#,
            "`arn:aws:iam::111122223333:role/*`: a principal cannot contain a wildcard",
            75,
        ),
        (
            r#"{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "1111"}}"#,
            "`1111` is not an AWS principal: expected an account id, an ARN or `*`",
            74,
        ),
        (
            r#"{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": ""}}"#,
            "a principal must not be empty",
            78,
        ),
    ] {
        assert_eq!(second(PolicyKind::Trust, statement), [(message.to_owned(), (5, column))], "{statement}");
    }
    // a Deny can have `NotPrincipal`, and the `Sid` of a trust statement can have spaces
    let fine = r#"{"Sid": "a b", "Effect": "Deny", "Action": "STS:*", "NotPrincipal": {"AWS": "111122223333"}}"#;
    assert_eq!(second(PolicyKind::Trust, fine), []);
}

#[test]
fn documents() {
    for (text, message, position) in [
        ("[]", "a policy must be an object", (1, 1)),
        ("{\n}", "a policy needs `Statement`", (1, 1)),
        ("{\"Statement\": []}", "`Statement` must not be empty", (1, 15)),
        ("{\"Statement\": 1}", "a statement must be an object", (1, 15)),
        (" {\"Version\": 2012}", "`Version` must be `2012-10-17` or `2008-10-17`", (1, 14)),
        ("{\"Version\": \"2012-10-18\"}", "`Version` must be `2012-10-17` or `2008-10-17`", (1, 13)),
        ("{\n\"version\": \"2012-10-17\"}", "unknown element `version`: write `Version`", (2, 1)),
    ] {
        let problems = refused(PolicyKind::Permissions, text);
        assert!(problems.contains(&(message.to_owned(), position)), "{text}: {problems:?}");
    }
}

#[test]
fn all_errors_are_reported_in_text_order() {
    let text = "{\"Id\": 1,\n \"Statement\": [{\"Effect\": \"No\",\n \"Action\": \"x\",\n \"Resource\": \"y\"},\n {\"effect\": \"Allow\"}]}";
    let lines: Vec<usize> = refused(PolicyKind::Permissions, text).iter().map(|(_, (line, _))| *line).collect();
    assert_eq!(lines, [1, 2, 3, 4, 5, 5, 5, 5]);
}

#[test]
fn single_statement_is_checked_against_its_kind() {
    let permission = permit(json!({}));
    assert!(Statement::parse(&permission, Some(PolicyKind::Permissions)).is_ok());
    assert!(Statement::parse(&permission, None).is_ok());
    let error = Statement::parse(&permission, Some(PolicyKind::Trust)).unwrap_err();
    assert_eq!(error.position, None);
    assert!(Statement::parse(&trust(json!({})), Some(PolicyKind::Trust)).is_ok());
    assert!(Statement::parse(&trust(json!({"Effect": 1})), None).is_err());
}

#[test]
fn size_does_not_count_white_space() {
    let text =
        "{ \"Statement\":\n\t{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::a b\u{a0}\"} }";
    let read = PolicyDocument::parse(text, PolicyKind::Permissions).unwrap();
    assert_eq!(read.size(), r#"{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::ab_"}}"#.len());
    assert_eq!(read.text(), text);
}

/// The error of a trust statement with this AWS principal.
fn named(principal: &str) -> Vec<String> {
    let statement =
        format!(r#"{{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {{"AWS": "{principal}"}}}}"#);
    match PolicyDocument::parse(
        &format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#),
        PolicyKind::Trust,
    ) {
        Ok(_) => Vec::new(),
        Err(error) => vec![error.to_string()],
    }
}

#[test]
fn unique_id_is_accepted_and_a_word_is_not() {
    assert_eq!(named("AROAEXAMPLEID000"), [""; 0], "16 letters and digits");
    for word in ["AROAEXAMPLEID00", "BROAEXAMPLEID0000", "AROAEXAMPLE-ID-000", "administrators-of-all"] {
        assert!(named(word).concat().contains("is not an AWS principal"), "{word}: {:?}", named(word));
    }
}

#[test]
fn character_above_ff_is_refused() {
    let resource = |c: char| {
        let statement =
            format!(r#"{{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::a{c}/*"}}"#);
        let text = format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#);
        PolicyDocument::parse(&text, PolicyKind::Permissions).is_ok()
    };
    assert!(resource('\u{ff}') && !resource('\u{100}'));
}
