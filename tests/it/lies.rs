//! Malicious text in output. Text that others wrote into their cloud, into the configuration and into file names is
//! shown, but cannot control a terminal, deceive a reader or inject commands into the log of a CI job. These tests run
//! the real binary.

use crate::ownership::{Scene, role};
use crate::support::program::{Bench, Run};
use crate::support::world::FIRST;
use irsa_sandbox::aws::{Fault, Match, Refusal};
use irsa_sandbox::gate::Stage;
use irsa_sandbox::kubernetes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

const FORMATS: [&str; 6] = ["text", "json", "jsonl", "markdown", "github", "html"];

/// Log commands of GitHub, Azure, TeamCity and Buildkite, escape sequences and invisible characters.
const NASTY: &str = "x ##[debug]a ##vso[task.setvariable variable=b]c ##teamcity[d e] \u{1b}[2J\u{9b}31m\u{202e}\u{3164}\u{115f}\u{ffa0}\u{2800}\u{e0041}\u{ad}\r\n::set-output name=f::g\n  ::error::h\n--- i\n";

/// The same kind of text in Latin-1, which IAM accepts in a declared policy.
const LATIN: &str = "x ##[debug]a ##vso[task.setvariable variable=b]c ##teamcity[d e] \u{ad}\u{a0}\r\n::set-output name=f::g\n  ::error::h\n--- i\n";

/// What a reader of the output must still be able to see of it.
const SEEN: [&str; 4] = ["debug]a", "task.setvariable variable=b]c", "d e]", "name=f::g"];

/// No text in an output of this format acts as a command.
#[track_caller]
fn obeys_nothing(run: &Run, format: &str) {
    for (text, ours) in [(&run.stdout, format == "github"), (&run.stderr, false)] {
        for marker in ["##[", "##vso[", "##teamcity["] {
            assert!(!text.contains(marker), "{marker} in {run}");
        }
        let unseen = |c: &char| {
            c.is_control() && *c != '\n'
                || "\u{202e}\u{3164}\u{115f}\u{1160}\u{ffa0}\u{2800}\u{e0041}\u{ad}\u{2028}\u{a0}".contains(*c)
        };
        assert_eq!(text.chars().find(unseen), None, "{run}");
        for line in text.split('\n') {
            let begin = line.trim_start();
            let command = begin.strip_prefix("::").is_some_and(|rest| !rest.starts_with(':'));
            let known = ["::error ", "::warning ", "::notice "].iter().any(|own| line.starts_with(own));
            assert!(!command || ours && known, "`{line}` in {run}");
            for group in ["--- ", "+++ ", "~~~ "] {
                assert!(!line.starts_with(group), "`{line}` in {run}");
            }
        }
    }
}

/// The output shows the whole text.
#[track_caller]
fn is_seen(run: &Run, text: &str, codes: &[&str]) {
    for part in SEEN.iter().chain(codes) {
        assert!(text.contains(part), "`{part}` is not in {run}");
    }
}

/// A text as a TOML string, which is also a JSON string.
fn toml(text: &str) -> String {
    json!(text).to_string()
}

/// A policy with this value in a condition.
fn policy(value: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*",
        "Condition": {"StringLike": {"aws:RequestTag/x": value}}}]})
}

/// A document as IAM accepts it with any content: everything outside ASCII is an escape.
fn ascii(document: &Value) -> String {
    let mut text = String::new();
    for unit in document.to_string().encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => text.push(char::from(byte)),
            _ => write!(text, "\\u{unit:04x}").expect("memory takes all"),
        }
    }
    text
}

#[test]
fn malicious_configuration_is_shown_escaped_in_every_format() {
    let scene = Scene::new();
    let inline = format!("[roles.app.inline.p]\njson = {}\n", toml(&policy(LATIN).to_string()));
    let principal = "[[roles.app.trust]]\nprincipals = { aws = [\"arn:aws:iam::111122223333:root\"] }\nactions = [\"sts:AssumeRole\"]\n";
    let condition = format!("conditions = {{ StringEquals = {{ \"aws:PrincipalTag/x\" = [{}] }} }}\n", toml(LATIN));
    scene.declare(&(role("app") + "description = \"##[debug]one\"\n" + principal + &condition + &inline));
    for format in FORMATS {
        let plan = scene.bench.ends(0, &["plan", "--deny", "none", "--format", format, "-o", "plan.json", "-v"]);
        obeys_nothing(&plan, format);
        let shown = scene.bench.ends(0, &["show", "plan.json", "--format", format, "-v"]);
        obeys_nothing(&shown, format);
        assert_eq!(plan.stdout, shown.stdout);
        match format {
            "json" => {
                let all = shown.json();
                let of = |path: &str| {
                    all["changes"]
                        .as_array()
                        .expect("a list")
                        .iter()
                        .find_map(|change| change["after"].pointer(path))
                        .cloned()
                };
                assert_eq!(of("/inline/p/Statement/0/Condition/StringLike/aws:RequestTag~1x"), Some(json!(LATIN)));
                assert_eq!(of("/description"), Some(json!("##[debug]one")));
            }
            "jsonl" => assert!(plan.stdout.lines().all(|line| serde_json::from_str::<Value>(line).is_ok())),
            // the annotation shows only who gains access
            "github" => is_seen(&shown, &shown.stdout, &["U+00AD"]),
            _ => {
                is_seen(&shown, &shown.stdout, &["U+00AD", "U+00A0"]);
                assert!(shown.stdout.contains("##\\[debug]one") || shown.stdout.contains("debug]one"), "{shown}");
            }
        }
    }
    for format in ["text", "json"] {
        obeys_nothing(&scene.bench.irsa(&["validate", "--deny", "info", "--format", format]), format);
    }
    for (format, log) in [("text", "text"), ("json", "json"), ("jsonl", "text")] {
        let line = ["apply", "--auto-approve", "--deny", "none", "--format", format, "-vvv", "--log-format", log];
        obeys_nothing(&scene.bench.ends(0, &line), format);
    }
}

#[test]
fn malicious_live_text_is_shown_escaped() {
    let scene = Scene::new();
    scene.declare(&(role("app") + &role("held")));
    scene.bench.converges();
    // the policy and the tags of a role of ours, and a ServiceAccount that another manager owns
    let document = ascii(&policy(NASTY));
    let fields = [("RoleName", "app"), ("PolicyName", "theirs"), ("PolicyDocument", document.as_str())];
    scene.world.with(|sandbox| sandbox.iam_call(FIRST, "PutRolePolicy", &fields)).expect("a policy");
    scene.someone.tag_role("app", "team\u{3164}", "a\u{115f}b\u{ffa0}");
    let annotate = |store: &mut kubernetes::Store| {
        store.edit(kubernetes::Resource::ServiceAccounts, "apps", "held", "helm ##[debug]\u{3164}", |object| {
            object["metadata"]["annotations"]["eks.amazonaws.com/role-arn"] = json!(NASTY);
        })
    };
    scene.world.cluster("main").with(annotate).expect("a ServiceAccount");
    for format in FORMATS {
        let plan = scene.bench.ends(4, &["plan", "--format", format, "--force", "-o", "plan.json"]);
        obeys_nothing(&plan, format);
        let drift =
            scene.bench.ends(4, &["drift", "--confirm-after", "0s", "--format", format, "--metrics-file", "irsa.prom"]);
        obeys_nothing(&drift, format);
        if !["json", "jsonl"].contains(&format) {
            is_seen(&plan, &plan.stdout, &["U+001B", "U+202E", "U+3164", "U+2800"]);
            let tag = if format == "html" || format == "markdown" { "team&lt;U+3164&gt;" } else { "team<U+3164>" };
            assert!(format == "github" || plan.stdout.contains(tag) || plan.stdout.contains("team<U+3164>"), "{plan}");
        }
    }
    let json = scene.bench.plan(&[]);
    let said = json["refused"].to_string();
    assert!(said.contains("##[debug]") && said.contains("::set-output"), "data stays data: {json}");
    assert!(scene.bench.read("irsa.prom").is_ascii());
    for format in ["text", "json", "jsonl"] {
        obeys_nothing(&scene.bench.ends(4, &["apply", "--auto-approve", "--force", "--format", format]), format);
    }
    scene.bench.ends(0, &["apply", "--auto-approve", "--force", "--force-conflicts"]);
}

#[test]
fn malicious_service_message_is_shown_escaped() {
    let scene = Scene::new();
    scene.declare(&role("app"));
    for format in FORMATS {
        scene.world.fault(
            Stage::Before,
            Match::on("iam", "ListOpenIDConnectProviders"),
            Fault::Refuse(Refusal::new(400, "ValidationError", NASTY)),
            None,
        );
        let plan = scene.bench.irsa(&["plan", "--format", format]);
        obeys_nothing(&plan, format);
        assert!(plan.code == 4 && (plan.stdout.contains("debug]a") || plan.stdout.contains("debug\\]a")), "{plan}");
        scene.world.allow_all();
    }
    for (format, log) in [("text", "text"), ("json", "json"), ("jsonl", "json")] {
        scene.world.fault(
            Stage::Before,
            Match::on("iam", "CreateRole"),
            Fault::Refuse(Refusal::new(400, "##[debug]\n::error::x", NASTY)),
            None,
        );
        let run = scene.bench.irsa(&["apply", "--auto-approve", "--format", format, "-vvv", "--log-format", log]);
        obeys_nothing(&run, format);
        assert!(run.code == 6 || run.code == 1, "{run}");
        run.says("debug]a");
        scene.world.allow_all();
    }
    let refusal = kubernetes::Refusal::new(403, NASTY, NASTY);
    scene.world.cluster("main").gate().fault(
        Stage::Before,
        kubernetes::Match::any(),
        kubernetes::Fault::Refuse(refusal),
        None,
    );
    for format in FORMATS {
        obeys_nothing(&scene.bench.irsa(&["plan", "--format", format]), format);
    }
}

#[test]
fn malicious_file_name_is_shown_escaped() {
    let names = [
        "a\n::set-output name=x::y.toml",
        "a\r##[error]b.toml",
        "\u{1b}[2Jc\u{202e}d.toml",
        "::error::e.toml",
        "##vso[task.complete]f.toml",
        "\u{a0}::warning::h.toml",
    ];
    for name in names {
        let bench = Bench::new(BTreeMap::new());
        let include = "owner = \"me\"\ninclude = [\"*.toml\"]\n[clusters.main]\n";
        for text in ["owner = 1\n", "[roles.x]\nfile = 1\n", "broken ##[debug]\n::error::\u{202e}\r::error::z", ""] {
            let bench_file = |name: &str| bench.write(name, text);
            bench.write("irsa.toml", include);
            bench_file(name);
            for format in ["text", "json"] {
                obeys_nothing(&bench.irsa(&["validate", "--format", format]), format);
                obeys_nothing(&bench.irsa(&["validate", "--format", format, "--config", name]), format);
            }
            std::fs::remove_file(bench.path(name)).expect("it is there");
        }
        for line in [
            &["show", name][..],
            &["apply", name],
            &["validate", "--config", name],
            &["plan", "-o", name, "--config", "missing"],
            &["plan", "--only", name],
            &["plan", "--no-such-option", name],
            &["plan", name],
            &["schema", name],
            &["man", "-o", name],
        ] {
            let run = bench.irsa(line);
            obeys_nothing(&run, "text");
            assert_ne!(run.code, 0, "{run}");
        }
        obeys_nothing(&bench.ends(0, &["init", "--config", name]), "text");
        obeys_nothing(&bench.ends(0, &["validate", "--config", name]), "text");
        let scene = Scene::new();
        scene.declare(&role("app"));
        let saved = scene.bench.ends(0, &["plan", "-o", name]);
        obeys_nothing(&saved, "text");
        obeys_nothing(&scene.bench.ends(0, &["show", name]), "text");
    }
}

/// Values that irsa writes to a live role are shown as they are: two that differ only in an invisible character look
/// different.
#[test]
fn names_that_differ_in_an_invisible_character_look_different() {
    let scene = Scene::new();
    scene.declare(&(role("app") + "tags = { \"team\u{3164}\" = \"a\", team = \"b\u{ffa0}\" }\n"));
    let plan = scene.bench.ends(0, &["plan"]);
    plan.says("team<U+3164> = a").says("team = b<U+FFA0>");
}

/// The comment for a pull request is short, but still says who gets which access.
#[test]
fn large_change_does_not_hide_another_in_the_comment() {
    let scene = Scene::new();
    let mut harmless = String::new();
    for index in 0..90 {
        let resource = |at: usize| format!("\"arn:aws:s3:::bucket-{index}-{at}-{}/*\"", "abcde".repeat(8));
        let resources: Vec<String> = (0..40).map(resource).collect();
        let statement = format!("{{ actions = [\"s3:GetObject\"], resources = [{}] }}", resources.join(", "));
        writeln!(harmless, "[policies.p{index}]\nstatements = [{statement}]").expect("memory takes all");
        harmless.push_str(&role(&format!("r{index}")).replace("aws:AmazonS3ReadOnlyAccess", &format!("p{index}")));
    }
    let evil = role("evil")
        + "[roles.evil.inline.more]\nstatements = [{ actions = [\"iam:PutRolePolicy\"], resources = [\"*\"] }]\n";
    scene.declare(&(harmless + &evil));
    let comment = scene.bench.ends(0, &["plan", "--deny", "none", "--format", "markdown"]);
    assert!(comment.stdout.len() <= 60_000, "{}", comment.stdout.len());
    let line = |address: &str| {
        // its own line, or its entry in the list of what did not fit; a finding about it counts as neither
        let own = |line: &&str| line.contains(&format!("<code>{address}</code>"));
        let listed = |line: &&str| line.contains(&format!("`{address}`")) && line.contains("will be");
        let found = comment.stdout.lines().find(own).or_else(|| comment.stdout.lines().find(listed));
        found.unwrap_or_else(|| panic!("no {address} in {comment}")).to_owned()
    };
    let evil = line("role/evil");
    for part in ["will be created", "gains access", "main apps/evil", "iam:PutRolePolicy"] {
        assert!(evil.contains(part), "{part}: {evil}");
    }
    for index in 0..90 {
        assert!(line(&format!("role/r{index}")).contains("will be created"));
        assert!(line(&format!("policy/default/p{index}")).contains("s3:GetObject"));
    }
    let github = scene.bench.ends(0, &["plan", "--deny", "none", "--format", "github"]);
    github.says("role/evil will be created%0A").says("gives `iam:PutRolePolicy`");
    obeys_nothing(&github, "github");
}
