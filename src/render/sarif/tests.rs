use super::*;

fn written(results: &[SarifResult]) -> Value {
    let mut out = Vec::new();
    document(results, "irsa.toml", None, &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn file_has_no_more_results_than_github_accepts() {
    let of = |number: usize| {
        let severity = if number.is_multiple_of(5) { "critical" } else { "low" };
        let ignored = number.is_multiple_of(10).then(|| "why".to_owned());
        SarifResult { ignored, ..result("IRSA041", severity, &format!("role/r{number}"), "long") }
    };
    let results: Vec<SarifResult> = (0..MOST_RESULTS + 7).map(of).collect();
    let run = &written(&results)["runs"][0];
    let written = run["results"].as_array().unwrap();
    assert_eq!(written.len(), MOST_RESULTS);
    let counted = |results: &[Value], severity: &str| {
        results.iter().filter(|result| result["properties"]["severity"] == severity).count()
    };
    let suppressed = written.iter().filter(|result| result.get("suppressions").is_some()).count();
    let all_suppressed = results.iter().filter(|result| result.ignored.is_some()).count();
    assert_eq!((suppressed, all_suppressed), (all_suppressed - 7, MOST_RESULTS / 10 + 1));
    let low = results.iter().filter(|result| result.severity == "low").count();
    assert_eq!(counted(written, "low"), low);
    let notification = &run["invocations"][0]["toolExecutionNotifications"][0];
    assert_eq!(notification["level"], "warning");
    assert!(notification["message"]["text"].as_str().unwrap().starts_with("7 results"), "{notification}");
    let first = |result: &Value| result["message"]["text"].as_str().unwrap().to_owned();
    assert_eq!(first(&written[1]), "role/r1: long", "in their order");
}

#[test]
fn file_with_few_results_has_no_notification() {
    let run = &written(&[result("IRSA041", "low", "role/r", "long")])["runs"][0];
    assert_eq!(run["invocations"][0]["toolExecutionNotifications"], json!([]));
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
}

#[test]
fn every_page_is_a_rule_within_the_limits_of_github() {
    for page in explain::pages() {
        let rule = rule(&page.word);
        let text = rule["fullDescription"]["text"].as_str().unwrap();
        assert!(text.chars().count() <= DESCRIPTION_LENGTH, "{}", page.word);
        assert!(!text.starts_with("**") && !text.contains("]("), "{}: {text}", page.word);
        assert!(rule["shortDescription"]["text"].as_str().unwrap().len() <= DESCRIPTION_LENGTH);
    }
}

#[test]
fn refusal_keeps_its_fingerprint_when_its_numbers_change() {
    let of = |rule: &str, text: &str| {
        let document = written(&[result(rule, "high", "role/a", text)]);
        document["runs"][0]["results"][0]["partialFingerprints"].clone()
    };
    assert_eq!(of("recent-use", "it was used 3 minutes ago"), of("recent-use", "it was used 4 minutes ago"));
    assert_eq!(of(DIFFERS, "differs: trust"), of(DIFFERS, "differs: tags, trust"));
    assert_ne!(of("recent-use", "it was used"), of("max-delete", "it was used"));
    assert_ne!(of("IRSA030", "statement 1"), of("IRSA030", "statement 2"));
}

#[test]
fn uri_has_only_characters_of_a_uri() {
    for (path, expected) in [
        ("infra/irsa.toml", "infra/irsa.toml"),
        ("in fra/ä:#?%.toml", "in%20fra/%C3%A4%3A%23%3F%25.toml"),
        ("/tmp/irsa.toml", "file:///tmp/irsa.toml"),
        ("../irsa.toml", "../irsa.toml"),
    ] {
        assert_eq!(uri(path), expected);
    }
}
