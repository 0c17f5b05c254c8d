use super::*;

#[test]
fn each_warning_is_reported_once() {
    let warnings = Warnings::default();
    let mut headers = HeaderMap::new();
    for value in [
        r#"299 - "v1 is \"old\"" "Wed, 21 Oct 2015 07:28:00 GMT""#,
        r#"299 kube "v1 is \"old\"""#,
        r#"199 - "something else""#,
        r#"299 - "unfinished"#,
        r#"299 - """#,
        "nonsense",
    ] {
        headers.append(WARNING, value.parse().unwrap());
    }
    let cluster = Key::parse("prod").unwrap();
    warnings.add(&cluster, &headers);
    assert_eq!(warnings.take(), [r#"cluster `prod`: v1 is "old""#]);
    warnings.add(&cluster, &headers);
    assert!(warnings.take().is_empty());
    for number in 0..200 {
        let mut headers = HeaderMap::new();
        headers.append(WARNING, format!("299 - \"{number}\"").parse().unwrap());
        warnings.add(&cluster, &headers);
    }
    assert_eq!(warnings.take().len(), MOST - 1);
}
