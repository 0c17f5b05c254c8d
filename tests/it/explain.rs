//! `irsa explain`: the pages of words offline, and addresses against live objects.

use crate::ownership::Scene;
use crate::support::program::Bench;
use serde_json::json;
use std::collections::BTreeMap;

#[test]
fn every_listed_word_has_a_page_and_needs_no_network() {
    let bench = Bench::new(BTreeMap::new());
    let words = bench.ends(0, &["explain", "--format", "json"]).json();
    let words = words["words"].as_array().expect("a list of words").clone();
    assert!(words.len() > 60, "{}", words.len());
    let listed = bench.ends(0, &["explain"]).stdout;
    // one word of each topic: a run takes a while
    let mut topics = BTreeMap::new();
    for entry in &words {
        let word = entry["word"].as_str().expect("a word");
        assert!(listed.contains(&format!("  {word} ")), "{word}");
        topics.insert(entry["topic"].as_str().expect("a topic"), word);
    }
    assert_eq!(topics.keys().copied().collect::<Vec<_>>(), ["exit-code", "note", "refusal", "rule"]);
    for word in topics.values() {
        let page = bench.ends(0, &["explain", word, "--format", "json"]).json();
        let text = page["page"]["text"].as_str().expect("a text");
        assert!(!text.is_empty(), "{word}");
        let printed = bench.ends(0, &["explain", word]);
        assert!(printed.stdout.contains(page["page"]["url"].as_str().expect("a url")), "{}", printed.stdout);
    }
}

#[test]
fn unknown_word_is_wrong_usage_with_a_hint() {
    let bench = Bench::new(BTreeMap::new());
    bench.ends(64, &["explain", "IRSA999"]).says("did you mean `IRSA");
    bench.ends(64, &["explain", "forein-trust"]).says("did you mean `foreign-trust`?");
    bench.ends(64, &["explain", "\u{1b}[2Jx"]).says("is not a rule, note, refusal, exit code or address");
}

#[test]
fn address_shows_declaration_live_object_and_findings() {
    let scene = Scene::new();
    scene.declare(
        "[roles.reports]\nservice-accounts = [\"apps/worker\"]\nmax-session-duration = \"8h\"\n[roles.reports.inline.read]\n\
         statements = [{ actions = [\"s3:GetObject\"], resources = [\"arn:aws:s3:::b/*\"] }]\n",
    );
    scene.bench.ends(0, &["explain", "role/reports"]).says("would create it");
    scene.bench.ends(0, &["apply", "--auto-approve"]);
    let run = scene.bench.ends(0, &["explain", "role/reports"]);
    for words in [
        "role/reports  irsa.toml:3",
        "state: as declared",
        "access: main apps/worker",
        "Allow s3:GetObject on arn:aws:s3:::b/*",
        "IRSA041",
    ] {
        run.says(words);
    }
    // what is live counts, not what is declared
    let other =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}]});
    scene.someone.put_inline("reports", "read", &other);
    let run = scene.bench.ends(0, &["explain", "role/reports"]);
    run.says("would update it").says("Allow s3:PutObject on *");
    assert!(!run.stdout.contains("s3:GetObject"), "{}", run.stdout);
    let json = scene.bench.ends(0, &["explain", "role/reports", "--format", "json"]).json();
    assert_eq!(json["object"]["address"], "role/reports");
    assert_eq!(json["object"]["live"]["inline"]["read"]["Statement"][0]["Action"], json!("s3:PutObject"));
    scene
        .bench
        .ends(0, &["explain", "service-account/main/apps/worker"])
        .says("irsa.toml:4")
        .says("role: role/reports");
    scene.bench.ends(0, &["explain", "oidc-provider/default/main"]).says("state: as declared");
    scene.bench.ends(64, &["explain", "role/absent"]).says("`role/absent` is no object of this configuration");
}

#[test]
fn refusals_and_findings_print_a_word_that_explain_takes() {
    let scene = Scene::new();
    scene.someone.create_role("app", &crate::ownership::trust(), &[]);
    scene.declare(&crate::ownership::role("app"));
    let run = scene.bench.ends(4, &["plan"]).says("(no-owner)").stdout.clone();
    assert!(run.contains("carries no owner"), "{run}");
    scene.bench.ends(0, &["explain", "no-owner"]).says("adopt");
    scene.bench.ends(0, &["explain", "role/app"]).says("refused").says("(no-owner)");
}
