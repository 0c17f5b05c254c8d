//! A token is read without its signature and never printed.

use super::*;

#[test]
fn claims_of_a_token_are_read_and_the_token_is_not_printed() {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"iss": "https://oidc.example.com/a", "sub": "system:serviceaccount:a:b", "aud": ["x", "y"]});
    let text = format!("{}.{}.c2VjcmV0", part(json!({"alg": "RS256", "kid": "k1"})), part(claims));
    let read = token(SecretString::from(text.clone())).expect("a token");
    assert_eq!((read.claims.issuer.as_str(), read.claims.key_id.as_str()), ("https://oidc.example.com/a", "k1"));
    assert_eq!(read.claims.audiences, ["x", "y"]);
    assert!(!format!("{read:?}").contains(&text), "{read:?}");
    let one = format!("{}.{}.x", part(json!({})), part(json!({"aud": "x"})));
    assert_eq!(token(SecretString::from(one)).expect("a token").claims.audiences, ["x"]);
    for broken in ["", "a.b.c", "e30", "e30.e30x.x"] {
        assert!(token(SecretString::from(broken.to_owned())).is_none(), "{broken}");
    }
}

#[test]
fn match_labels_and_expressions_become_requirements() {
    let read: LabelSelector = serde_json::from_value(json!({
        "matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["2"]}],
    }))
    .expect("a selector");
    let labels = |pairs: &[(&str, &str)]| -> StringMap {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let selector = selector(Some(read));
    assert_eq!(selector.unfulfilled(&labels(&[("a", "1")])), None);
    assert_eq!(selector.unfulfilled(&labels(&[("a", "1"), ("b", "2")])).expect("NotIn").to_string(), "b NotIn (2)");
    assert_eq!(selector.unfulfilled(&labels(&[])).expect("In").to_string(), "a In (1)");
}
