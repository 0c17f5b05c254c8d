use super::super::PolicyDocument;
use super::*;

fn document(text: &str) -> PolicyDocument {
    let document = PolicyDocument::live(text);
    assert!(document.is_parsed(), "{text}");
    document
}

fn statements(list: &[Value]) -> PolicyDocument {
    document(&json!({ "Version": "2012-10-17", "Statement": list }).to_string())
}

fn allow(action: &Value, resource: &Value) -> Value {
    json!({ "Effect": "Allow", "Action": action, "Resource": resource })
}

fn deny(action: &str) -> Value {
    json!({ "Effect": "Deny", "Action": action, "Resource": "*" })
}

fn effects(before: impl AsRef<[Value]>, after: impl AsRef<[Value]>) -> [bool; 4] {
    let all = between(Some(&statements(before.as_ref())), Some(&statements(after.as_ref())));
    [all.allow_leaves, all.allow_arrives, all.deny_leaves, all.deny_arrives]
}

#[test]
fn added_action_arrives_and_removed_action_leaves() {
    let one = allow(&json!("s3:GetObject"), &json!("*"));
    let two = allow(&json!(["s3:GetObject", "s3:PutObject"]), &json!("*"));
    assert_eq!(effects([one.clone()], [two.clone()]), [false, true, false, false]);
    assert_eq!(effects([two.clone()], [one.clone()]), [true, false, false, false]);
    assert_eq!(effects([one.clone()], [one, deny("s3:Delete*")]), [false, false, false, true]);
}

#[test]
fn wider_pattern_and_fewer_conditions_cover() {
    let narrow = allow(&json!("s3:Get*"), &json!("arn:aws:s3:::a/*"));
    let wide = allow(&json!("s3:*"), &json!("*"));
    assert_eq!(effects([narrow.clone()], [wide.clone()]), [false, true, false, false]);
    let mut conditioned = wide.clone();
    conditioned["Condition"] = json!({ "Bool": { "aws:SecureTransport": "true" } });
    assert_eq!(effects([conditioned.clone()], [wide]), [false, true, false, false]);
    let mut twice = conditioned.clone();
    twice["Condition"]["StringEquals"] = json!({ "aws:SourceVpc": "vpc-1" });
    assert_eq!(effects([twice], [conditioned]), [false, true, false, false]);
}

#[test]
fn statement_split_over_several_has_no_effect() {
    let both = allow(&json!(["s3:GetObject", "s3:PutObject"]), &json!(["arn:aws:s3:::a", "arn:aws:s3:::b"]));
    let spread = [
        allow(&json!("s3:GetObject"), &json!(["arn:aws:s3:::a", "arn:aws:s3:::b"])),
        allow(&json!("s3:PutObject"), &json!("arn:aws:s3:::a")),
        allow(&json!("s3:PutObject"), &json!("arn:aws:s3:::b")),
    ];
    assert_eq!(effects([both.clone()], &spread), [false; 4]);
    assert_eq!(effects(&spread[..2], &[both]), [false, true, false, false]);
}

#[test]
fn not_action_is_compared_by_its_exceptions() {
    let all_but = |list: Value| json!({ "Effect": "Allow", "NotAction": list, "Resource": "*" });
    assert_eq!(effects([all_but(json!(["iam:*"]))], [all_but(json!(["iam:*", "sts:*"]))]), [true, false, false, false]);
    assert_eq!(
        effects([allow(&json!("s3:Get*"), &json!("*"))], [all_but(json!("iam:*"))]),
        [false, true, false, false]
    );
    assert_eq!(effects([allow(&json!("*"), &json!("*"))], [all_but(json!("iam:*"))]), [true, false, false, false]);
}

#[test]
fn unparsed_document_has_every_effect() {
    let odd = PolicyDocument::live("{\"Statement\": 1}");
    let known = statements(&[deny("s3:*")]);
    assert_eq!(between(Some(&odd), Some(&odd)), PermissionEffects::default());
    assert_eq!(between(Some(&odd), Some(&known)), PermissionEffects::unknown(true, true));
    assert_eq!(between(None, Some(&odd)), PermissionEffects::unknown(false, true));
    assert_eq!(intersect(Some(&odd), Some(&known)), None);
}

#[test]
fn intersection_has_the_common_allows_and_all_denies() {
    let one = statements(&[allow(&json!(["s3:*", "sqs:SendMessage"]), &json!("*")), deny("s3:Delete*")]);
    let other = statements(&[allow(&json!(["s3:Get*", "sns:*"]), &json!("*")), deny("s3:Put*")]);
    let both = statements(&[allow(&json!(["s3:Get*"]), &json!("*")), deny("s3:Delete*"), deny("s3:Put*")]);
    assert_eq!(intersect(Some(&one), Some(&other)), Some(both));
    let first = statements(&[deny("s3:Put*")]);
    assert_eq!(intersect(None, Some(&statements(&[deny("s3:Put*"), allow(&json!("s3:*"), &json!("*"))]))), Some(first));
}

#[test]
fn intersection_of_disjoint_documents_is_a_statement_without_effect() {
    let apart = intersect(
        Some(&statements(&[allow(&json!("s3:*"), &json!("*"))])),
        Some(&statements(&[allow(&json!("sqs:*"), &json!("*"))])),
    );
    assert_eq!(apart, Some(statements(&[deny("sts:GetCallerIdentity")])));
}

#[test]
fn variable_of_one_version_is_plain_text_in_the_other() {
    let of = |version: &str, action: &str| {
        document(&format!(
            r#"{{"Version":"{version}","Statement":{{"Effect":"Allow","Action":"{action}","Resource":"arn:aws:s3:::${{aws:username}}"}}}}"#
        ))
    };
    let (old, new) = (of("2008-10-17", "s3:*"), of("2012-10-17", "s3:*"));
    let all = between(Some(&old), Some(&new));
    assert!(all.allow_leaves && all.allow_arrives);
    assert_eq!(intersect(Some(&old), Some(&new)), None);
    assert!(!intersect(Some(&old), Some(&of("2008-10-17", "s3:Get*"))).unwrap().is_current());
}

/// Without variables, `${aws:username}` is sixteen plain characters, of which the pattern excepts fifteen and any one.
#[test]
fn exception_is_compared_in_the_syntax_of_its_own_document() {
    let document = |version: &str, resource: &str| {
        let statement = json!({ "Effect": "Allow", "Action": "*", "NotResource": resource });
        document(&json!({ "Version": version, "Statement": statement }).to_string())
    };
    let any = format!("arn:aws:s3:::a{}", "?".repeat("${aws:username}".len()));
    let (variable, texts) = (document("2012-10-17", "arn:aws:s3:::a${aws:username}"), document("2008-10-17", &any));
    // whose name has another length is excepted by the first only
    assert!(between(Some(&variable), Some(&texts)).allow_arrives);
    let literal = document("2008-10-17", "arn:aws:s3:::a${aws:username}");
    assert!(!between(Some(&texts), Some(&literal)).allow_leaves, "the pattern excepts the plain text too");
    assert!(between(Some(&texts), Some(&literal)).allow_arrives);
}
