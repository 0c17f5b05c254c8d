//! `--format sarif`: what the standard requires, and what GitHub needs to show a result.
//!
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>,
//! <https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support-for-code-scanning>.

use crate::ownership::{Scene, role, trust};
use crate::support::program::{Bench, Run};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const HEAD: &str = "owner = \"me\"\n[accounts.main]\nid = \"111122223333\"\n[clusters.main]\nregion = \"eu-west-1\"\n";
const EVERYTHING: &str = "statements = [{ actions = [\"*\"], resources = [\"*\"] }]\n";

fn text<'a>(value: &'a Value, what: &str) -> &'a str {
    value.as_str().filter(|text| !text.is_empty()).unwrap_or_else(|| panic!("{what}: {value}"))
}

fn list<'a>(value: &'a Value, what: &str) -> &'a [Value] {
    value.as_array().unwrap_or_else(|| panic!("{what}: {value}"))
}

/// Only these keys: the standard's objects take others only under `properties`.
fn keys(value: &Value, allowed: &[&str]) {
    let object = value.as_object().unwrap_or_else(|| panic!("an object: {value}"));
    let unknown: Vec<&String> = object.keys().filter(|key| !allowed.contains(&key.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// Checks a document, and returns its results as (rule, level, address or nothing, line, suppressed).
fn results(run: &Run) -> Vec<(String, String, String, u64, bool)> {
    let document = run.json();
    keys(&document, &["$schema", "version", "runs"]);
    assert_eq!(document["version"], "2.1.0");
    let [only] = list(&document["runs"], "runs") else { panic!("one run") };
    keys(only, &["tool", "columnKind", "invocations", "results"]);
    let driver = &only["tool"]["driver"];
    keys(driver, &["name", "version", "rules"]);
    text(&driver["name"], "name");
    let rules = list(&driver["rules"], "rules");
    let mut ids = BTreeSet::new();
    for rule in rules {
        keys(
            rule,
            &["id", "name", "shortDescription", "fullDescription", "help", "defaultConfiguration", "properties"],
        );
        assert!(ids.insert(text(&rule["id"], "id")), "twice: {rule}");
        for key in ["shortDescription", "fullDescription", "help"] {
            // GitHub shows 1,024 characters of the descriptions
            let words = text(&rule[key]["text"], key);
            assert!(key == "help" || words.len() <= 1024, "{key}: {words}");
        }
        text(&rule["help"]["markdown"], "markdown");
        if text(&rule["id"], "id").starts_with("IRSA") {
            let score: f64 = text(&rule["properties"]["security-severity"], "score").parse().expect("a number");
            assert!((0.0..=10.0).contains(&score), "{score}");
        }
    }
    for invocation in list(&only["invocations"], "invocations") {
        keys(invocation, &["executionSuccessful", "toolExecutionNotifications"]);
        assert!(invocation["executionSuccessful"].is_boolean());
    }
    let mut fingerprints = BTreeSet::new();
    let results = list(&only["results"], "results").iter().map(|result| {
        keys(
            result,
            &[
                "ruleId",
                "ruleIndex",
                "level",
                "message",
                "locations",
                "partialFingerprints",
                "properties",
                "suppressions",
            ],
        );
        let rule = text(&result["ruleId"], "ruleId");
        let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
        assert_eq!(rules[index]["id"], rule);
        let level = text(&result["level"], "level");
        assert!(["none", "note", "warning", "error"].contains(&level), "{level}");
        text(&result["message"]["text"], "message");
        let [location] = list(&result["locations"], "locations") else { panic!("one location") };
        keys(location, &["physicalLocation", "logicalLocations"]);
        let place = &location["physicalLocation"];
        keys(place, &["artifactLocation", "region"]);
        let uri = text(&place["artifactLocation"]["uri"], "uri");
        let plain = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c);
        assert!(!uri.starts_with('/') && uri.chars().all(plain), "{uri}");
        let line = place["region"]["startLine"].as_u64().expect("a line");
        assert!(line >= 1);
        assert!(fingerprints.insert(text(&result["partialFingerprints"]["primaryLocationLineHash"], "hash")));
        let suppressed = result.get("suppressions").is_some_and(|list| {
            let [only] = self::list(list, "suppressions") else { panic!("one suppression") };
            keys(only, &["kind", "status", "justification"]);
            assert_eq!(only["kind"], "inSource");
            text(&only["justification"], "justification");
            true
        });
        let address = location["logicalLocations"][0]["fullyQualifiedName"].as_str().unwrap_or_default();
        (rule.to_owned(), level.to_owned(), address.to_owned(), line, suppressed)
    });
    results.collect()
}

fn bench(text: &str) -> Bench {
    let bench = Bench::new(BTreeMap::new());
    bench.write("irsa.toml", &format!("{HEAD}{text}"));
    bench
}

fn found(rule: &str, level: &str, address: &str, line: u64, ignored: bool) -> (String, String, String, u64, bool) {
    (rule.to_owned(), level.to_owned(), address.to_owned(), line, ignored)
}

#[test]
fn validate_prints_findings_and_suppressions() {
    let role = "[roles.a]\nservice-accounts = [\"apps/a\"]\nmax-session-duration = \"8h\"\n";
    let bench_of = |ignore: &str| bench(&format!("{role}[roles.a.inline.all]\n{ignore}{EVERYTHING}"));
    let run = bench_of("").ends(3, &["validate", "--format", "sarif"]);
    let all = results(&run);
    assert!(all.contains(&found("IRSA030", "error", "role/a", 6, false)), "{all:?}");
    assert!(all.contains(&found("IRSA041", "note", "role/a", 6, false)), "{all:?}");
    let run = bench_of("ignore = { IRSA030 = \"break glass\", IRSA031 = \"break glass\" }\n");
    let run = run.ends(0, &["validate", "--format", "sarif"]);
    assert!(results(&run).contains(&found("IRSA030", "error", "role/a", 6, true)), "{}", run.stdout);
    assert_eq!(
        results(
            &bench("[roles.a]\nattach = [\"aws:ReadOnlyAccess\"]\nservice-accounts = [\"apps/a\"]\n")
                .ends(0, &["validate", "--format", "sarif"])
        ),
        []
    );
}

#[test]
fn mistake_in_the_configuration_is_a_result_at_its_line() {
    let run = bench("[roles.a]\nattach = [\"aws:ReadOnlyAccess\"]\nservice-acounts = [\"apps/a\"]\n")
        .ends(3, &["validate", "--format", "sarif"]);
    assert_eq!(results(&run)[0], found("exit-3", "error", "", 8, false));
    let column = &run.json()["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startColumn"];
    assert_eq!(column, 1);
}

#[test]
fn fingerprint_does_not_depend_on_the_line() {
    let of = |head: &str| {
        let run =
            bench(&format!("{head}[roles.a]\nservice-accounts = [\"apps/a\"]\n[roles.a.inline.all]\n{EVERYTHING}"))
                .ends(3, &["validate", "--format", "sarif"]);
        let json = run.json();
        let of = |result: &Value| result["partialFingerprints"]["primaryLocationLineHash"].clone();
        list(&json["runs"][0]["results"], "results").iter().map(of).collect::<Vec<_>>()
    };
    let (here, below) = (of(""), of("\n\n# a comment\n"));
    assert!(!here.is_empty());
    assert_eq!(here, below);
}

#[test]
fn plan_prints_refusals_and_drift_prints_differences() {
    let scene = Scene::new();
    scene.someone.create_role("app", &trust(), &[]);
    scene.declare(&role("app"));
    let run = scene.bench.ends(4, &["plan", "--format", "sarif"]);
    assert!(results(&run).contains(&found("no-owner", "error", "role/app", 1, false)), "{}", run.stdout);
    scene.bench.ends(0, &["apply", "--auto-approve", "--adopt"]);
    // a plan's changes are no findings, drift's are
    scene.someone.detach("app", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess");
    let of_role = |run: &Run| -> Vec<_> {
        results(run).into_iter().filter(|result| result.2 == "role/app" && result.0 != "path-kept").collect()
    };
    assert_eq!(of_role(&scene.bench.ends(0, &["plan", "--format", "sarif"])), []);
    let drift = scene.bench.ends(2, &["drift", "--confirm-after", "0s", "--format", "sarif"]);
    assert_eq!(of_role(&drift), [found("exit-2", "warning", "role/app", 3, false)]);
    assert!(drift.stdout.contains("differs from its declaration: attached"), "{}", drift.stdout);
}

#[test]
fn failed_run_says_so() {
    let bench = Bench::new(BTreeMap::new());
    let run = bench.ends(3, &["plan", "--format", "sarif"]);
    assert_eq!(results(&run).len(), 1, "{}", run.stdout);
}

/// The path is that in the repository.
#[test]
fn path_is_relative_to_the_repository() {
    let bench = Bench::new(BTreeMap::new());
    bench.write(".git/HEAD", "ref: refs/heads/main\n");
    bench.write(
        "in fra/irsa.toml",
        &format!("{HEAD}[roles.a]\nservice-accounts = [\"apps/a\"]\n[roles.a.inline.all]\n{EVERYTHING}"),
    );
    let run = bench.ends(3, &["validate", "--format", "sarif", "--config", "in fra/irsa.toml"]);
    let uri = &run.json()["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(uri, "in%20fra/irsa.toml");
    assert!(!results(&run).is_empty());
}
