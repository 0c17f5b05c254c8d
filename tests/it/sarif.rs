//! `--format sarif`: what GitHub needs to show a result. `Bench::irsa` checks each document against the schema of the
//! standard.
//!
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>,
//! <https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support-for-code-scanning>.

use crate::ownership::{Scene, role, trust};
use crate::support::program::{Bench, Run};
use crate::support::python;
use irsa::render::sarif::{self, SarifResult};
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

/// Checks a document, and returns its results as (rule, level, address or nothing, line, suppressed).
fn results(run: &Run) -> Vec<(String, String, String, u64, bool)> {
    let document = run.json();
    text(&document["$schema"], "schema");
    let [only] = list(&document["runs"], "runs") else { panic!("one run") };
    let driver = &only["tool"]["driver"];
    text(&driver["name"], "name");
    text(&only["originalUriBaseIds"]["%SRCROOT%"]["description"]["text"], "the root");
    let rules = list(&driver["rules"], "rules");
    let mut ids = BTreeSet::new();
    for rule in rules {
        assert!(ids.insert(text(&rule["id"], "id")), "twice: {rule}");
        for key in ["shortDescription", "fullDescription", "help"] {
            // GitHub accepts 1,024 characters in a description
            let words = text(&rule[key]["text"], key);
            assert!(key == "help" || words.len() <= 1024, "{key}: {words}");
        }
        text(&rule["help"]["markdown"], "markdown");
        // of a name 255, and it shows ten tags
        assert!(text(&rule["name"], "name").len() <= 255, "{rule}");
        assert!(list(&rule["properties"]["tags"], "tags").len() <= 10, "{rule}");
        if text(&rule["id"], "id").starts_with("IRSA") {
            let score: f64 = text(&rule["properties"]["security-severity"], "score").parse().expect("a number");
            assert!(score > 0.0 && score <= 10.0, "{score}");
        }
    }
    let mut fingerprints = BTreeSet::new();
    let results = list(&only["results"], "results").iter().map(|result| {
        let rule = text(&result["ruleId"], "ruleId");
        let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
        assert_eq!(rules[index]["id"], rule);
        let level = text(&result["level"], "level");
        assert!(["none", "note", "warning", "error"].contains(&level), "{level}");
        text(&result["message"]["text"], "message");
        let [location] = list(&result["locations"], "locations") else { panic!("one location") };
        let place = &location["physicalLocation"];
        let uri = text(&place["artifactLocation"]["uri"], "uri");
        let plain = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c);
        assert!(!uri.starts_with('/') && uri.chars().all(plain), "{uri}");
        // a relative path starts at the root of the repository, and does not leave it
        let base = (!uri.starts_with("file:///")).then_some("%SRCROOT%");
        assert_eq!(place["artifactLocation"]["uriBaseId"].as_str(), base, "{uri}");
        assert!(!uri.split('/').any(|part| part == ".."), "{uri}");
        let [line, column, end] =
            ["startLine", "startColumn", "endLine"].map(|key| place["region"][key].as_u64().expect("a number"));
        assert!(line >= 1 && column >= 1 && end == line, "{place}");
        assert!(fingerprints.insert(text(&result["partialFingerprints"]["primaryLocationLineHash"], "hash")));
        let suppressed = result.get("suppressions").is_some_and(|list| {
            let [only] = self::list(list, "suppressions") else { panic!("one suppression") };
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
    assert!(results(&run).contains(&found("no-owner", "error", "role/app", 3, false)), "{}", run.stdout);
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

/// The results of live objects are where the objects are declared, also in an included file.
#[test]
fn results_without_a_line_are_where_the_object_is_declared() {
    let scene = Scene::new();
    scene.bench.write("irsa.toml", &format!("include = [\"teams/*.toml\"]\n{}", crate::ownership::HEAD));
    scene.bench.write("teams/a.toml", &format!("\n{}", role("app")));
    scene.bench.ends(0, &["apply", "--auto-approve"]);
    let place = |rule: &str| {
        let run = scene.bench.irsa(&["plan", "--format", "sarif", "--deny", "none"]);
        results(&run);
        let json = run.json();
        let all = list(&json["runs"][0]["results"], "results");
        let result = all.iter().find(|result| result["ruleId"] == rule).unwrap_or_else(|| panic!("{rule}: {run}"));
        let place = &result["locations"][0]["physicalLocation"];
        (text(&place["artifactLocation"]["uri"], "uri").to_owned(), place["region"]["startLine"].as_u64())
    };
    scene.world.deny_object("GetRole", "app");
    assert_eq!(place("incomplete"), ("teams/a.toml".to_owned(), Some(2)));
    scene.world.allow_all();
    scene.someone.put_inline(
        "app",
        "extra",
        &serde_json::json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:*", "Resource": "*"}]}),
    );
    assert_eq!(place("IRSA031"), ("teams/a.toml".to_owned(), Some(2)));
}

/// Also one on a live object.
#[test]
fn plan_and_drift_print_suppressions() {
    let scene = Scene::new();
    let role = "[roles.a]\nattach = [\"aws:AmazonS3ReadOnlyAccess\"]\nignore-attached = [\"arn:aws:iam::aws:policy/IAM*\"]\n\
                max-session-duration = \"8h\"\nservice-accounts = [\"apps/a\"]\n";
    let because = "IRSA031 = \"somebody else attaches it\", IRSA040 = \"known\", IRSA041 = \"long jobs\"";
    scene.declare(&format!("{role}ignore = {{ {because} }}\n"));
    scene.bench.ends(0, &["apply", "--auto-approve"]);
    scene.someone.attach("a", "arn:aws:iam::aws:policy/IAMFullAccess");
    for command in [&["plan"][..], &["drift", "--confirm-after", "0s"]] {
        let run = scene.bench.ends(0, &[command, &["--format", "sarif"]].concat());
        let suppressed: BTreeSet<_> = results(&run).into_iter().filter(|result| result.4).collect();
        let words: Vec<_> = suppressed.iter().map(|result| (result.0.as_str(), result.1.as_str())).collect();
        assert_eq!(words, [("IRSA031", "error"), ("IRSA040", "error"), ("IRSA041", "note")], "{command:?}");
        assert!(run.stdout.contains("\"justification\": \"somebody else attaches it\""), "{run}");
    }
}

#[test]
fn run_that_deny_ends_lists_every_finding() {
    let scene = Scene::new();
    let role = |key: &str| {
        format!(
            "[roles.{key}]\nservice-accounts = [\"apps/{key}\"]\nmax-session-duration = \"8h\"\nattach = [\"aws:ReadOnlyAccess\"]\n"
        )
    };
    scene.declare(&format!(
        "{}[roles.a.inline.all]\n{EVERYTHING}{}ignore = {{ IRSA041 = \"long jobs\" }}\n",
        role("a"),
        role("b")
    ));
    for command in ["validate", "plan", "drift"] {
        for (arguments, level) in [(&[][..], "note"), (&["--deny", "info"], "error")] {
            let line = [&[command, "--format", "sarif"], arguments].concat();
            let all = results(&scene.bench.ends(3, &line));
            for expected in [
                found("IRSA030", "error", "role/a", 3, false),
                // its severity is low
                found("IRSA041", level, "role/a", 3, false),
                found("IRSA041", "note", "role/b", 9, true),
            ] {
                assert!(all.contains(&expected), "{line:?}: {all:?}");
            }
        }
    }
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

#[test]
fn path_outside_of_a_repository_is_absolute() {
    let bench = bench(&format!("[roles.a]\nservice-accounts = [\"apps/a\"]\n[roles.a.inline.all]\n{EVERYTHING}"));
    let folder = bench.path("").canonicalize().expect("a folder");
    let above = format!("../{}/irsa.toml", folder.file_name().expect("a name").display());
    let run = bench.ends(3, &["validate", "--format", "sarif", "--config", &above]);
    assert!(!results(&run).is_empty());
    let uri = &run.json()["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(*uri, format!("file://{}/irsa.toml", folder.display()));
}

#[test]
fn schema_refuses_what_the_standard_does_not_know() {
    let run = bench("[roles.a]\nattach = [\"aws:ReadOnlyAccess\"]\nservice-acounts = [\"apps/a\"]\n")
        .ends(3, &["validate", "--format", "sarif"]);
    let errors = |change: &dyn Fn(&mut Value)| {
        let mut document = run.json();
        change(&mut document["runs"][0]);
        python::sarif_errors(&document.to_string())
    };
    assert_eq!(errors(&|_| {}), [""; 0]);
    for change in [
        &(|run: &mut Value| run["results"][0]["level"] = "high".into()) as &dyn Fn(&mut Value),
        &|run| run["results"][0]["address"] = "role/a".into(),
        &|run| run["results"][0]["message"] = "text".into(),
        &|run| run["tool"]["driver"]["rules"][0]["id"] = Value::Null,
        &|run| run["invocations"][0] = serde_json::json!({}),
    ] {
        assert_eq!(errors(change).len(), 1);
    }
}

/// GitHub accepts 25,000 results, and 10 MB after compression.
#[test]
fn largest_file_is_small_enough_for_github() {
    let result = |number: usize| SarifResult {
        rule: "IRSA041".to_owned(),
        severity: "low".to_owned(),
        address: format!("role/{:032x}", fastrand::u128(..)),
        // as unlike as texts can be
        text: std::iter::repeat_with(fastrand::alphanumeric).take(288).collect(),
        place: Some(("irsa.toml".to_owned(), number + 1, Some(1))),
        ignored: None,
        denied: false,
    };
    let results: Vec<SarifResult> = (0..25_100).map(result).collect();
    let mut document = Vec::new();
    sarif::document(&results, "irsa.toml", None, &mut document).expect("it is written");
    let document = String::from_utf8(document).expect("text");
    assert_eq!(document.matches("\"ruleId\"").count(), 25_000);
    let size = python::script("import gzip, sys; print(len(gzip.compress(sys.stdin.buffer.read())))", &document);
    assert!(size.trim().parse::<usize>().expect("a number") < 10_000_000, "{size}");
}
