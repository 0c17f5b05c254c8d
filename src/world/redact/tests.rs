use super::*;

#[test]
fn secrets_with_a_name_or_a_known_form_are_hidden() {
    for (dirty, wanted) in [
        ("key AKIAIOSFODNN7EXAMPLE is unknown", "key AKIA*** is unknown"),
        ("x-amz-security-token:IQoJb3JpZ2luX2VjEXAMPLE//// host", "x-amz-security-token:*** host"),
        ("a&X-Amz-Signature=deadbeef&b=c", "a&X-Amz-Signature=***&b=c"),
        ("Credential=ASIAIOSFODNN7EXAMPLE/2024, Signature=abc", "Credential=ASIA***/2024, Signature=***"),
        ("{\"SecretAccessKey\": \"abc/def+g\"}", "{\"SecretAccessKey\": \"***\"}"),
        ("Authorization: Bearer abc", "Authorization: Bearer ***"),
        ("token k8s-aws-v1.aHR0cHM6Ly9z refused", "token k8s-aws-v1.*** refused"),
        ("jwt eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln here", "jwt eyJ*** here"),
        ("connect http://me:p@ss@proxy:3128/x?y: no", "connect http://***@proxy:3128/x?y: no"),
    ] {
        assert_eq!(clean(dirty), wanted);
    }
}

#[test]
fn credentials_of_this_process_are_hidden_as_they_are_and_percent_encoded() {
    hide("opaque+value/of=a-token");
    hide("opaque+value/of=a-token that is longer");
    hide("short");
    let dirty = "xopaque+value/of=a-tokeny, q=opaque%2Bvalue%2Fof%3Da%2Dtoken&, a short one";
    assert_eq!(clean(dirty), "x***y, q=***&, a short one");
    assert_eq!(clean("opaque+value/of=a-token that is longer"), "***");
}

#[test]
fn texts_without_secrets_are_unchanged() {
    for text in [
        "Signature expired: 20240101T000000Z is now earlier than 20240101T000500Z",
        "User: arn:aws:iam::111122223333:user/a is not authorized to perform: iam:GetRole",
        "The role with name AKIA cannot be found.",
        "https://example.com/@scope and user@example.com",
    ] {
        assert_eq!(clean(text), text);
    }
}

#[test]
fn control_characters_are_removed_and_long_texts_are_cut() {
    assert_eq!(clean("a\u{1b}[31m\r\n b\tc"), "a [31m b c");
    let long = clean(&"ä ".repeat(4_000));
    assert!(long.len() < MAX_LENGTH + 8, "{}", long.len());
}
