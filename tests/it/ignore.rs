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
        run.says("is ignored; `-v` lists all");
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
        ("{ IRSA030 = \"\\u200b\\u2800\" }", "has no reason"),
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
    let unattached = format!("{text}[policies.p]\nignore = {{ IRSA030 = \"x\" }}\n{EVERYTHING}");
    bench(&unattached).ends(0, &["validate"]).says("`ignore` of IRSA030 ignores nothing: no role attaches the policy");
}

#[test]
fn plan_counts_ignored_findings_and_lists_them() {
    let scene = Scene::new();
    let because = "ignore = { IRSA030 = \"break glass\" }\n";
    scene.declare(&format!(
        "[roles.a]\nservice-accounts = [\"apps/a\"]\n[roles.a.inline.all]\n{because}{EVERYTHING}[roles.b]\nattach = [\"aws:ReadOnlyAccess\"]\nservice-accounts = [\"apps/b\"]\n{because}"
    ));
    let run = scene.bench.ends(0, &["plan"]);
    run.says("1 finding is ignored: `-v` lists all.");
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

#[test]
fn unused_ignore_is_noted_beside_a_used_one_in_its_line() {
    let text = "[roles.a]\nattach = [\"aws:ReadOnlyAccess\"]\nservice-accounts = [\"apps/a\"]\nmax-session-duration = \"8h\"\nignore = { IRSA030 = \"x\", IRSA041 = \"y\" }\n";
    let run = bench(text).ends(0, &["validate"]);
    run.says("1 finding is ignored").says("`ignore` of IRSA030 ignores nothing");
    assert!(!run.stderr.contains("of IRSA041 ignores nothing"), "{run}");
}

#[test]
fn entry_does_not_ignore_findings_of_another_entry_in_its_line() {
    let entry = |name: &str, ignore: &str| {
        format!("{{ role = \"a\", namespace = \"{name}\", name = \"*\", allow-wildcard = \"tests\"{ignore} }}")
    };
    let ignoring = entry("one", ", ignore = { IRSA006 = \"one team owns it\" }");
    let bench = Bench::new(BTreeMap::new());
    let top = format!("service-accounts = [{ignoring}, {}]\n", entry("two", ""));
    bench.write("irsa.toml", &format!("{top}{HEAD}[roles.a]\nattach = [\"aws:ReadOnlyAccess\"]\n"));
    let json = bench.ends(0, &["validate", "--format", "json"]).json();
    let texts = |list: &Value| -> Vec<String> {
        let wildcards = list.as_array().expect("a list").iter().filter(|finding| finding["rule"] == "IRSA006");
        wildcards.map(|finding| finding["text"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let (ignored, findings) = (texts(&json["ignored"]), texts(&json["findings"]));
    assert!(matches!(&ignored[..], [text] if text.contains("one/*") && !text.contains("two/*")), "{json}");
    assert!(matches!(&findings[..], [text] if text.contains("two/*") && !text.contains("one/*")), "{json}");
}

/// The finding has the address of the ServiceAccount.
#[test]
fn role_ignores_findings_on_its_service_accounts() {
    let role = "[roles.a]\nattach = [\"aws:ReadOnlyAccess\"]\nservice-accounts = [\"apps/default\"]\n";
    bench(role).ends(3, &["validate", "--deny", "medium"]).says("IRSA023");
    let ignore = "ignore = { IRSA023 = \"one pod a namespace\" }\n";
    let json = bench(&format!("{role}{ignore}")).ends(0, &["validate", "--deny", "medium", "--format", "json"]).json();
    assert_eq!(rules(&json["ignored"]), ["IRSA023 service-account/main/apps/default"]);
    assert_eq!(rules(&json["findings"]), Vec::<String>::new());
}

#[test]
fn validate_counts_ignored_findings_in_annotations() {
    let text = "[roles.a]\nattach = [\"aws:ReadOnlyAccess\"]\nservice-accounts = [\"apps/a\"]\nmax-session-duration = \"8h\"\nignore = { IRSA041 = \"y\" }\n";
    bench(text).ends(0, &["validate", "--format", "github"]).says("1 finding is ignored");
}

#[test]
fn only_leaves_out_ignored_findings_of_other_objects() {
    let scene = Scene::new();
    let role = |key: &str| {
        format!(
            "[roles.{key}]\nservice-accounts = [\"apps/{key}\"]\n[roles.{key}.inline.all]\nignore = {{ IRSA030 = \"break glass\" }}\n{EVERYTHING}"
        )
    };
    scene.declare(&(role("a") + &role("b")));
    assert_eq!(rules(&scene.bench.plan(&["--only", "role/b"])["ignored"]), ["IRSA030 role/b"]);
    assert_eq!(rules(&scene.bench.plan(&[])["ignored"]), ["IRSA030 role/a", "IRSA030 role/b"]);
    let run = scene.bench.ends(0, &["plan", "--only", "role/b"]);
    assert!(!run.stdout.contains("role/a"), "{run}");
}

/// What was not read may have the finding.
#[test]
fn ignore_of_a_live_finding_is_unused_only_once_the_object_was_read() {
    let scene = Scene::new();
    let role = "[roles.a]\nattach = [\"aws:AmazonS3ReadOnlyAccess\"]\nignore-attached = [\"arn:aws:iam::aws:policy/IAM*\"]\nservice-accounts = [\"apps/a\"]\n";
    scene.declare(role);
    scene.bench.ends(0, &["apply", "--auto-approve", "--deny", "none"]);
    scene.declare(&format!("{role}ignore = {{ IRSA031 = \"somebody else attaches it\", IRSA040 = \"known\" }}\n"));
    scene.someone.attach("a", "arn:aws:iam::aws:policy/IAMFullAccess");
    let plan = scene.bench.plan(&[]);
    assert_eq!(rules(&plan["ignored"]), ["IRSA031 role/a", "IRSA040 role/a"], "{plan}");
    assert!(!plan.to_string().contains("unused-ignore"), "{plan}");
    // offline nobody knows
    scene.bench.ends(0, &["validate"]).says("unless `irsa plan` shows that it ignores a finding on the live object");
    for action in ["GetRole", "ListAttachedRolePolicies", "GetAccountAuthorizationDetails"] {
        scene.world.deny(action);
    }
    let plan = scene.bench.plan(&[]);
    assert!(!plan["unknown"].as_array().expect("a list").is_empty(), "{plan}");
    assert!(!plan.to_string().contains("unused-ignore"), "{plan}");
    scene.world.allow_all();
    scene.someone.detach("a", "arn:aws:iam::aws:policy/IAMFullAccess");
    let plan = scene.bench.plan(&[]);
    assert!(rules(&plan["notes"]).contains(&"unused-ignore role/a".to_owned()), "{plan}");
}

#[test]
fn note_on_an_unused_ignore_has_the_address_of_its_object() {
    let scene = Scene::new();
    scene.declare(
        "[roles.a]\nservice-accounts = [\"apps/a\"]\nattach = [\"p\"]\n[policies.p]\nignore = { IRSA030 = \"x\" }\nstatements = [{ actions = [\"s3:GetObject\"], resources = [\"arn:aws:s3:::b/*\"] }]\n",
    );
    assert_eq!(rules(&scene.bench.plan(&[])["notes"]), ["unused-ignore policy/default/p"]);
}

/// GitHub accepts comments of up to 65,536 characters.
#[test]
fn many_ignored_findings_fit_in_a_comment() {
    let scene = Scene::new();
    let role = |key: usize, reason: &str| {
        format!(
            "[roles.r{key}]\nservice-accounts = [\"apps/r{key}\"]\n[roles.r{key}.inline.all]\nignore = {{ IRSA030 = \"{reason}\" }}\n{EVERYTHING}"
        )
    };
    let old: String = (100..600).map(|key| role(key, &"imported ".repeat(50))).collect();
    scene.declare(&old);
    scene.bench.ends(0, &["apply", "--auto-approve"]);
    // the new one is shown, although 500 come before it
    scene.declare(&(old + &role(999, "newly ignored")));
    let run = scene.bench.ends(0, &["plan", "--format", "markdown"]);
    assert!(run.stdout.len() < 65_536, "{}", run.stdout.len());
    run.says("newly ignored").says("501 findings are ignored, 481 more of severity high or critical");
    let run = scene.bench.ends(0, &["plan"]);
    assert_eq!(run.stdout.matches("(ignored: ").count(), 20, "{run}");
    assert_eq!(scene.bench.ends(0, &["plan", "-v"]).stdout.matches("(ignored: ").count(), 501);
    scene.bench.ends(0, &["plan", "--format", "markdown", "-v"]);
}
