//! `ignore`: findings that do not count, because the configuration says why.

use crate::ownership::Scene;
use crate::support::program::Bench;
use serde_json::Value;
use std::collections::BTreeMap;

const HEAD: &str = "owner = \"me\"\n[accounts.main]\nid = \"111122223333\"\n[clusters.main]\nregion = \"eu-west-1\"\n";
const EVERYTHING: &str = "statements = [{ actions = [\"*\"], resources = [\"*\"] }]\n";

fn bench(text: &str) -> Bench {
    let bench = Bench::new(BTreeMap::new());
    bench.write("irsa.toml", &format!("{HEAD}{text}"));
    bench
}

/// `rule address` of each entry.
fn rules(list: &Value) -> Vec<String> {
    let word = |entry: &Value, key: &str| entry[key].as_str().expect("a text").to_owned();
    let list = list.as_array().expect("a list");
    list.iter().map(|entry| format!("{} {}", word(entry, "rule"), word(entry, "address"))).collect()
}

#[test]
fn ignored_finding_does_not_count_and_is_listed_with_its_reason() {
    let because = "ignore = { IRSA030 = \"break glass\" }\n";
    let role = "[roles.a]\nservice-accounts = [\"apps/a\"]\n";
    let attach = "[roles.a]\nservice-accounts = [\"apps/a\"]\nattach = [\"p\"]\n";
    // on the inline policy, on its role, and on a policy
    for (text, address) in [
        (format!("{role}[roles.a.inline.all]\n{because}{EVERYTHING}"), "role/a"),
        (format!("{role}{because}[roles.a.inline.all]\n{EVERYTHING}"), "role/a"),
        (format!("{attach}[policies.p]\n{because}{EVERYTHING}"), "policy/main/p"),
    ] {
        bench(&text.replace(because, "")).ends(3, &["validate"]).says("IRSA030");
        let bench = bench(&text);
        let run = bench.ends(0, &["validate"]);
        run.says("is ignored; `-v` lists them");
        assert!(!run.stderr.contains("IRSA030"), "{}", run.stderr);
        bench.ends(0, &["validate", "-v"]).says("(ignored: break glass)");
        let json = bench.ends(0, &["validate", "--format", "json"]).json();
        assert!(rules(&json["ignored"]).contains(&format!("IRSA030 {address}")), "{json}");
        assert_eq!(json["ignored"][0]["reason"], "break glass");
        assert!(!rules(&json["findings"]).iter().any(|finding| finding.starts_with("IRSA030")), "{json}");
    }
}

#[test]
fn ignore_reaches_only_the_rule_and_the_object_that_it_names() {
    let because = "ignore = { IRSA030 = \"break glass\" }\n";
    let two = format!(
        "[roles.a]\nservice-accounts = [\"apps/a\"]\n[roles.a.inline.one]\n{because}{EVERYTHING}[roles.a.inline.two]\n{EVERYTHING}"
    );
    let run = bench(&two).ends(3, &["validate"]);
    assert!(
        run.stderr.contains("inline policy `two`") && !run.stderr.contains("inline policy `one`"),
        "{}",
        run.stderr
    );
    let wrong_rule = format!(
        "[roles.a]\nservice-accounts = [\"apps/a\"]\nignore = {{ IRSA031 = \"no\" }}\n[roles.a.inline.one]\n{EVERYTHING}"
    );
    bench(&wrong_rule).ends(3, &["validate"]).says("IRSA030");
    let other_role = format!(
        "[roles.a]\nservice-accounts = [\"apps/a\"]\n[roles.a.inline.one]\n{EVERYTHING}[roles.b]\nservice-accounts = [\"apps/b\"]\n{because}"
    );
    bench(&other_role).ends(3, &["validate"]).says("IRSA030 role/a");
}

#[test]
fn entry_ignores_findings_of_its_own_wildcard() {
    let entry = |name: &str, ignore: &str| {
        format!(
            "[[service-accounts]]\nrole = \"a\"\nnamespace = \"{name}\"\nname = \"*\"\nallow-wildcard = \"tests\"\n{ignore}"
        )
    };
    let because = "ignore = { IRSA006 = \"one team owns it\" }\n";
    let bench =
        bench(&format!("[roles.a]\nattach = [\"aws:ReadOnlyAccess\"]\n{}{}", entry("one", because), entry("two", "")));
    let json = bench.ends(0, &["validate", "--format", "json"]).json();
    let at = |list: &Value| -> Vec<(String, u64)> {
        let of = |entry: &Value| {
            (entry["rule"].as_str().unwrap_or_default().to_owned(), entry["line"].as_u64().unwrap_or(0))
        };
        list.as_array().expect("a list").iter().map(of).filter(|(rule, _)| rule == "IRSA006").collect()
    };
    assert_eq!(at(&json["ignored"]), [("IRSA006".to_owned(), 8)], "{json}");
    assert_eq!(at(&json["findings"]), [("IRSA006".to_owned(), 14)], "{json}");
}

#[test]
fn wrong_ignore_is_an_error_at_its_line() {
    let role = |ignore: &str| {
        format!("[roles.a]\nattach = [\"aws:ReadOnlyAccess\"]\nservice-accounts = [\"apps/a\"]\nignore = {ignore}\n")
    };
    for (ignore, words) in [
        ("{ IRSA300 = \"x\" }", "`IRSA300` is not a lint rule"),
        ("{ irsa030 = \"x\" }", "did you mean `IRSA030`?"),
        ("{ IRSA030 = \"\" }", "`ignore` of IRSA030 has no reason"),
        ("{ IRSA030 = \" \" }", "has no reason"),
        ("{ IRSA030 = true }", "expected a string, found boolean"),
        ("[\"IRSA030\"]", "expected a table of strings"),
    ] {
        bench(&role(ignore)).ends(3, &["validate"]).says(words).says("irsa.toml:9:");
    }
}

#[test]
fn ignore_without_a_finding_is_noted() {
    let text = "[roles.a]\nattach = [\"aws:ReadOnlyAccess\"]\nservice-accounts = [\"apps/a\"]\nignore = { IRSA030 = \"x\", IRSA016 = \"y\" }\n";
    let run = bench(text).ends(0, &["validate", "--deny", "info"]);
    run.says("`ignore` of IRSA030 ignores nothing");
    // only live objects show this rule
    assert!(!run.stderr.contains("IRSA016"), "{}", run.stderr);
}

#[test]
fn plan_counts_ignored_findings_and_lists_them() {
    let scene = Scene::new();
    let because = "ignore = { IRSA030 = \"break glass\" }\n";
    scene.declare(&format!(
        "[roles.a]\nservice-accounts = [\"apps/a\"]\n[roles.a.inline.all]\n{because}{EVERYTHING}[roles.b]\nattach = [\"aws:ReadOnlyAccess\"]\nservice-accounts = [\"apps/b\"]\n{because}"
    ));
    let run = scene.bench.ends(0, &["plan"]);
    run.says("1 finding is ignored: `-v` lists them.");
    run.says("`ignore` of IRSA030 ignores nothing");
    // the change that brings a severe finding may bring the `ignore` that hides it
    for format in ["text", "markdown", "html", "github"] {
        scene.bench.ends(0, &["plan", "--format", format]).says("ignored: break glass");
    }
    scene.bench.ends(0, &["plan", "-v"]).says("(ignored: break glass)");
    let plan = scene.bench.ends(0, &["plan", "--format", "json", "-o", "p.json"]).json();
    assert_eq!(rules(&plan["ignored"]), ["IRSA030 role/a"]);
    assert_eq!((&plan["format-version"], &plan["ignored"][0]["reason"]), (&"2.0".into(), &"break glass".into()));
    scene.bench.ends(0, &["show", "p.json"]).says("1 finding is ignored");
    scene.bench.ends(0, &["apply", "p.json"]);
    // live documents are judged by the same words
    scene.bench.ends(0, &["drift"]);
}
