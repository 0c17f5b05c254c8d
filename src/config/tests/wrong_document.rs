//! Documents of the wrong kind are recognised, and names that cannot be keys get a hint.

use super::{Folder, errors_of};

const HEAD: &str = "owner = \"me\"\n[clusters.c]\n[roles.r]\nservice-accounts = [\"a/b\"]\n";

/// The errors of a policy file with this text, and of the same text as an inline policy's `json`.
fn both_errors(text: &str) -> [String; 2] {
    let folder = Folder::alone(&format!("{HEAD}attach = [\"p\"]\n[policies.p]\nfile = \"p.json\"\n"));
    folder.write("p.json", text);
    let inline = format!("{HEAD}[roles.r.inline.x]\njson = '''{text}'''\n");
    [errors_of(&folder), errors_of(&Folder::alone(&inline))]
}

const DOCUMENT: &str =
    r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}"#;
const ENCODED: &str = "%7B%22Version%22%3A%20%222012-10-17%22%7D";

/// A text, a part of the message and a part of the hint.
type Case = (String, &'static str, &'static str);

/// Policies of other kinds, and output of the aws CLI.
fn policies_and_output() -> Vec<Case> {
    let trust = |action: &str| {
        format!(
            r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": {action}, "Principal": {{"Federated": "x"}}}}]}}"#
        )
    };
    vec![
        (
            trust("\"sts:AssumeRoleWithWebIdentity\""),
            "a trust policy: it has `Principal` and `sts:AssumeRoleWithWebIdentity`",
            "[[roles.KEY.trust]]",
        ),
        (
            trust("[\"sts:TagSession\", \"sts:assumerole\"]"),
            "a trust policy: it has `Principal` and `sts:AssumeRole`",
            "service-accounts",
        ),
        (trust("\"x:y\""), "a trust policy: it has `Principal` and no `Resource`", "[[roles.KEY.trust]]"),
        (
            DOCUMENT.replace("\"Resource\"", "\"Principal\": \"*\", \"Resource\""),
            "a resource-based policy",
            "remove `Principal`",
        ),
        (
            format!("{{\"PolicyVersion\": {{\"Document\": {DOCUMENT}, \"VersionId\": \"v1\"}}}}"),
            "`aws iam get-policy-version`",
            "--query PolicyVersion.Document",
        ),
        (
            format!("{{\"PolicyVersion\": {{\"Document\": \"{ENCODED}\", \"VersionId\": \"v1\"}}}}"),
            "`aws iam get-policy-version`",
            "--query PolicyVersion.Document",
        ),
        (format!("{{\"Document\": {DOCUMENT}, \"VersionId\": \"v1\"}}"), "a version of a managed policy", "`Document`"),
        (
            format!("{{\"RoleName\": \"r\", \"PolicyName\": \"p\", \"PolicyDocument\": {DOCUMENT}}}"),
            "`aws iam get-role-policy`",
            "--query PolicyDocument",
        ),
        (
            format!("{{\"Role\": {{\"AssumeRolePolicyDocument\": {DOCUMENT}}}}}"),
            "`aws iam get-role`",
            "trust policy alone",
        ),
        (
            "{\"Policy\": {\"Arn\": \"arn:aws:iam::1:policy/p\"}}".to_owned(),
            "`aws iam get-policy`",
            "get-policy-version",
        ),
        (
            "{\"Policy\": {\"PolicySummary\": {}, \"Content\": \"{}\"}}".to_owned(),
            "`aws organizations describe-policy`",
            "Organizations",
        ),
        ("{\"Policy\": \"{}\"}".to_owned(), "a resource-based policy", "remove `Principal`"),
    ]
}

/// Other spellings of a policy, and files of other tools.
fn files() -> Vec<Case> {
    vec![
        (ENCODED.to_owned(), "percent-encoded", "unquote"),
        (format!("{DOCUMENT:?}"), "inside a JSON string", "jq -r"),
        (
            DOCUMENT[DOCUMENT.find('[').unwrap()..DOCUMENT.len() - 1].to_owned(),
            "a list of statements",
            "\"Statement\": […]",
        ),
        (
            DOCUMENT[DOCUMENT.rfind('{').unwrap()..DOCUMENT.len() - 2].to_owned(),
            "a single statement",
            "\"Statement\": […]",
        ),
        (
            format!(
                "{{\"AWSTemplateFormatVersion\": \"2010-09-09\", \"Resources\": {{\"A\": {{\"Type\": \"AWS::IAM::Policy\", \"Properties\": {DOCUMENT}}}}}}}"
            ),
            "a CloudFormation template",
            "policy document that is in it",
        ),
        (
            "{\"resource\": {\"aws_iam_policy\": {\"p\": {\"policy\": \"${x}\"}}}}".to_owned(),
            "a Terraform file",
            "policy document that is in it",
        ),
        (
            "data \"aws_iam_policy_document\" \"p\" {\n}\n".to_owned(),
            "a Terraform file",
            "policy document that is in it",
        ),
        (
            "{\"apiVersion\": \"v1\", \"kind\": \"ServiceAccount\", \"metadata\": {\"name\": \"secret-4711\"}}"
                .to_owned(),
            "a Kubernetes manifest",
            "service-accounts",
        ),
        ("apiVersion: v1\nkind: ServiceAccount\n".to_owned(), "a Kubernetes manifest", "service-accounts"),
        ("Version: '2012-10-17'\nStatement:\n  - Effect: Allow\n".to_owned(), "a policy in YAML", "as JSON"),
    ]
}

#[test]
fn document_of_another_kind_is_recognised_with_a_hint() {
    for (text, what, hint) in policies_and_output().into_iter().chain(files()) {
        for errors in both_errors(&text) {
            assert!(errors.contains("this is ") && errors.contains(what) && errors.contains(hint), "{text}\n{errors}");
            assert!(errors.contains("1 mistake in the configuration"), "{text}\n{errors}");
            assert_eq!(errors.matches("error: ").count(), 1, "{text}\n{errors}");
        }
    }
    // a misspelled element is reported as such, and a file of another kind is not quoted
    assert!(both_errors(&DOCUMENT.replace("Action", "Acton"))[0].contains("did you mean `Action`?"));
    let secret = both_errors("{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"data\": {\"x\": \"secret-4711\"}}");
    assert!(!secret[0].contains("4711"), "{}", secret[0]);
    let folder = Folder::alone(&format!("{HEAD}[roles.r.inline.x]\nfile = \"sa.yaml\"\n"));
    assert!(errors_of(&folder).contains("not a Kubernetes manifest or a CloudFormation template"));
}

#[test]
fn statement_of_another_kind_is_recognised_with_a_hint() {
    for (statement, what, hint) in [
        (
            "[roles.r.inline.x]\nstatements = [{ actions = [\"sts:AssumeRole\"], principals = { aws = \"111122223333\" } }]",
            "this is a trust statement",
            "[[roles.KEY.trust]]",
        ),
        (
            "[policies.p]\nstatements = [{ actions = [\"s3:*\"], principals = \"*\", resources = [\"*\"] }]",
            "resource-based policy",
            "remove `principals`",
        ),
        (
            "[[roles.r.trust]]\nactions = [\"s3:GetObject\"]\nresources = [\"*\"]",
            "this is a permission statement",
            "[roles.KEY.inline.NAME]",
        ),
        (
            "[[roles.r.trust]]\nactions = [\"sts:AssumeRole\"]\nresources = [\"*\"]\nprincipals = { aws = \"111122223333\" }",
            "a trust statement has no `resources`",
            "remove `resources`",
        ),
    ] {
        let errors = errors_of(&Folder::alone(&format!("{HEAD}{statement}\n")));
        assert!(errors.contains(what) && errors.contains(hint), "{errors}");
    }
}

#[test]
fn name_that_cannot_be_a_key_gets_a_hint_at_the_key_for_names() {
    let long = |length: usize| "n".repeat(length);
    for (text, wanted) in [
        (format!("[roles.{}]\n", long(64)), format!("name = \"{}\"", long(64))),
        (
            format!("[roles.{}]\n", long(65)),
            "name the role with `name`, which must be 1-64 characters long, but this one has 65".to_owned(),
        ),
        ("[roles.\"team+app@x\"]\n".to_owned(), "name = \"team+app@x\"".to_owned()),
        ("[roles.\"team/app\"]\n".to_owned(), "this has `/`".to_owned()),
        (format!("[policies.{}]\n", long(128)), format!("name the policy with `name = \"{}\"`", long(128))),
        (format!("[policies.{}]\n", long(129)), "name the policy with `name`".to_owned()),
        (format!("[clusters.{}]\n", long(100)), format!("name the EKS cluster with `name = \"{}\"`", long(100))),
        ("[clusters.\"arn:aws:eks\"]\n".to_owned(), "name the EKS cluster with `name`".to_owned()),
        (format!("[accounts.{}]\n", long(64)), "`id` says which account it is".to_owned()),
    ] {
        let errors = errors_of(&Folder::alone(&format!("owner = \"me\"\n{text}")));
        assert!(errors.contains(&wanted), "{wanted}\n{errors}");
        assert!(errors.contains("1-63 characters"), "{errors}");
    }
    let errors = errors_of(&Folder::alone(&format!("owner = \"{}\"\n", long(64))));
    assert!(errors.contains("this has 64") && errors.contains("choose a shorter or simpler name"), "{errors}");
}
