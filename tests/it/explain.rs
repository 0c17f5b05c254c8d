//! `irsa explain`: the pages of words offline, and addresses against live objects.

use crate::ownership::Scene;
use crate::support::program::Bench;
use crate::support::python;
use crate::support::world::World;
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
    scene.bench.ends(64, &["explain", "role/absent"]).says("`role/absent` is not an object of this configuration");
}

#[test]
fn refusals_and_findings_print_a_word_that_explain_takes() {
    let scene = Scene::new();
    scene.someone.create_role("app", &crate::ownership::trust(), &[]);
    scene.declare(&crate::ownership::role("app"));
    let run = scene.bench.ends(4, &["plan"]).says("(no-owner)").stdout.clone();
    assert!(run.contains("has no owner tag"), "{run}");
    scene.bench.ends(0, &["explain", "no-owner"]).says("adopt");
    scene.bench.ends(0, &["explain", "role/app"]).says("refused").says("(no-owner)");
}

#[test]
fn unknown_address_has_a_hint() {
    let scene = Scene::new();
    scene.declare(&crate::ownership::role("reports"));
    scene.bench.ends(64, &["explain", "role/report"]).says("did you mean `role/reports`?");
    scene
        .bench
        .ends(64, &["explain", "service-account/main/apps/report"])
        .says("did you mean `service-account/main/apps/reports`?");
    scene.bench.ends(64, &["explain", "orphan/default/role/*"]).says("is not an object of this configuration");
}

#[test]
fn address_shows_ignored_findings_with_their_reasons() {
    let scene = Scene::new();
    scene.declare(
        "[roles.a]\nservice-accounts = [\"apps/a\"]\n[roles.a.inline.all]\nignore = { IRSA030 = \"break glass\" }\n\
         statements = [{ actions = [\"*\"], resources = [\"*\"] }]\n",
    );
    scene.bench.ends(0, &["explain", "role/a"]).says("critical IRSA030 role/a").says("(ignored: break glass)");
    let json = scene.bench.ends(0, &["explain", "role/a", "--format", "json"]).json();
    let notes = json["object"]["notes"].as_array().expect("a list");
    let ignored: Vec<_> = notes.iter().filter(|note| note["rule"] == "IRSA030").map(|note| &note["ignored"]).collect();
    assert_eq!(ignored, ["break glass"]);
}

#[test]
fn every_word_of_a_plan_is_one_that_explain_takes() {
    let scene = Scene::new();
    scene.someone.create_role("app", &crate::ownership::trust(), &[]);
    scene.declare(&format!(
        "{}[roles.long]\nmax-session-duration = \"8h\"\nservice-accounts = [\"elsewhere/long\"]\n\
         attach = [\"aws:AmazonS3ReadOnlyAccess\"]\nignore = {{ IRSA030 = \"x\" }}\n",
        crate::ownership::role("app")
    ));
    let plan = scene.bench.plan(&[]);
    let texts = |list: &str, key: &str| -> Vec<String> {
        let items = plan[list].as_array().expect("a list").iter();
        items.map(|item| item[key].as_str().expect("a word").to_owned()).collect()
    };
    let mut words = texts("refused", "word");
    assert_eq!(words, ["no-owner", "depends-on-refused"], "{plan}");
    let run = scene.bench.ends(4, &["plan"]);
    for word in &words {
        run.says(&format!(" ({word})"));
    }
    words.extend(texts("notes", "rule"));
    for word in ["IRSA041", "unused-ignore", "waiting"] {
        assert!(words.iter().any(|found| found == word), "{words:?}");
    }
    for word in &words {
        scene.bench.ends(0, &["explain", word]);
    }
}

#[test]
fn object_that_was_not_read_is_unknown() {
    let scene = Scene::new();
    let text = "[policies.q]\nstatements = [{ actions = [\"sqs:SendMessage\"], resources = [\"arn:aws:sqs:*:*:q\"] }]\n\
                [roles.a]\nattach = [\"q\"]\nservice-accounts = [\"apps/a\"]\n";
    scene.declare(text);
    scene.bench.ends(0, &["apply", "--auto-approve"]);
    let of_cluster = ["service-account/main/apps/a"];
    let of_account = ["role/a", "policy/default/q", "oidc-provider/default/main"];
    let unknown = |addresses: &[&str]| {
        for address in addresses {
            let run = scene.bench.ends(4, &["explain", address]);
            run.says("state: unknown: ");
            assert!(!run.stdout.contains("does not exist"), "{run}");
            scene.bench.ends(0, &["explain", address, "--allow-incomplete"]).says("state: unknown: ");
        }
    };
    scene.world.deny_kubernetes("main");
    unknown(&of_cluster);
    scene.world.deny_account(crate::support::world::FIRST);
    unknown(&of_account);
    scene.world.allow_all();
    // the credentials are of another account than the declared one
    scene.bench.write(
        "irsa.toml",
        &format!(
            "owner = \"me\"\n[accounts.default]\nid = \"444455556666\"\n[clusters.main]\nregion = \"eu-west-1\"\n{text}"
        ),
    );
    for address in of_account.iter().chain(&of_cluster) {
        let run = scene.bench.ends(4, &["explain", address]);
        run.says("state: unknown: ");
        assert!(!run.stdout.contains("does not exist"), "{run}");
    }
}

#[test]
fn policy_that_no_role_attaches_has_a_page() {
    let scene = Scene::new();
    scene.declare(
        "[policies.lonely]\nstatements = [{ actions = [\"sqs:SendMessage\"], resources = [\"arn:aws:sqs:*:*:q\"] }]\n",
    );
    let run = scene.bench.ends(0, &["explain", "policy/default/lonely"]);
    run.says("policy/default/lonely  irsa.toml:3").says("no role of this account attaches it");
    scene.bench.ends(64, &["explain", "policy/default/lonel"]).says("did you mean `policy/default/lonely`?");
    scene.bench.ends(64, &["explain", "policy/other/lonely"]);
}

/// As the plan of all objects says it.
#[test]
fn orphan_with_dependents_is_not_refused() {
    let scene = Scene::new();
    scene.declare(&(crate::ownership::role("app") + &crate::ownership::role("gone")));
    scene.bench.ends(0, &["apply", "--auto-approve"]);
    scene.declare(&crate::ownership::role("app"));
    let run = scene.bench.ends(0, &["explain", "orphan/default/role/gone"]);
    run.says("state: `irsa apply` would delete it");
    assert!(!run.stdout.contains("refused"), "{run}");
}

#[test]
fn provider_and_attached_policies_show_what_is_live() {
    let scene = Scene::new();
    scene.declare(
        "[policies.q]\nstatements = [{ actions = [\"*\"], resources = [\"*\"] }]\n\
         [roles.a]\nattach = [\"q\"]\nservice-accounts = [\"apps/a\"]\n",
    );
    scene.bench.ends(0, &["apply", "--auto-approve", "--deny", "none"]);
    let run = scene.bench.ends(0, &["explain", "oidc-provider/default/main"]);
    run.says("oidc-provider/default/main  irsa.toml:2").says(&format!("url: {}", scene.world.issuer("main")));
    run.says("audiences: sts.amazonaws.com").says("irsa/owner = me");
    let run = scene.bench.ends(0, &["explain", "role/a"]);
    run.says("policy q").says("Allow * on *").says("critical IRSA030 policy/default/q");
}

#[test]
fn nearest_address_is_one_of_any_account_or_cluster() {
    let world = World::demo();
    world.create_namespaces("apps");
    let [first, _] = world.first_clusters();
    let second = world.second_cluster();
    let role = |key: &str, account: &str, cluster: &str| {
        format!(
            "[roles.{key}]\naccount = \"{account}\"\ncluster = \"{cluster}\"\nattach = [\"queue\"]\nservice-accounts = [\"apps/{key}\"]\n"
        )
    };
    let policy =
        "[policies.queue]\nstatements = [{ actions = [\"sqs:SendMessage\"], resources = [\"arn:aws:sqs:*:*:q\"] }]\n";
    let text = world.clusters_toml("me") + &role("mine", "one", &first) + &role("theirs", "two", &second) + policy;
    let bench = Bench::with(world.environment(), &text);
    for (typed, meant) in [
        ("role/their".to_owned(), "role/theirs".to_owned()),
        ("policy/tow/queue".to_owned(), "policy/two/queue".to_owned()),
        ("policy/one/que".to_owned(), "policy/one/queue".to_owned()),
        (format!("oidc-provider/one/{first}x"), format!("oidc-provider/one/{first}")),
        (format!("oidc-provider/two/x{second}"), format!("oidc-provider/two/{second}")),
        (format!("service-account/{second}/app/theirs"), format!("service-account/{second}/apps/theirs")),
    ] {
        bench.ends(64, &["explain", &typed]).says(&format!("did you mean `{meant}`?"));
        bench.ends(0, &["explain", &meant]).says(&meant).says("would create it");
    }
    bench.ends(64, &["explain", "account/one"]).says("accounts and clusters are not objects");
}

#[test]
fn words_need_no_valid_configuration() {
    let bench = Bench::with(BTreeMap::new(), "owner = ");
    for word in ["IRSA004", "foreign-trust", "no-owner", "exit-4"] {
        bench.ends(0, &["explain", word]);
    }
    bench.ends(3, &["explain", "role/a"]);
}

/// `lock.rs` has the run that another one locks out.
#[test]
fn error_of_a_refused_run_ends_with_its_word() {
    let scene = Scene::new();
    scene.declare(&crate::ownership::role("app"));
    let bench = &scene.bench;
    let apply = ["apply", "--auto-approve"];
    bench.ends(4, &["apply"]).says("there is no terminal to confirm on; nothing was written (no-terminal)");
    bench.ends(4, &["apply", "--format", "json"]).says("before it asks; nothing was written (no-prompt)");
    let run = on_terminal(bench, "apply", "no");
    assert!(run.contains("not confirmed; nothing was written (not-confirmed)"), "{run}");
    bench.ends(0, &["plan", "-o", "plan.json"]);
    scene.someone.create_role("app", &crate::ownership::trust(), &[]);
    bench.ends(4, &apply).says("the plan has refusals; nothing was written (has-refusals)");
    // the reason comes again where a saved plan meets it
    bench.ends(5, &["apply", "plan.json"]).says("role `app` exists and has no owner tag (no-owner)");
    bench.ends(4, &["plan", "-o", "plan.json"]);
    bench.ends(4, &["apply", "plan.json"]).says("role/app: role `app` exists and has no owner tag (no-owner)");
    bench
        .ends(0, &["apply", "plan.json", "--skip-refused"])
        .says("role/app: refused and skipped: role `app` exists and has no owner tag (no-owner)");
    scene.world.deny("GetRole");
    bench.ends(4, &apply).says("could not be read; nothing was written (incomplete)");
    for word in ["no-terminal", "no-prompt", "not-confirmed", "has-refusals", "incomplete", "locked"] {
        bench.ends(0, &["explain", word]).says("docs/troubleshooting.md");
    }
}

/// What irsa prints on a terminal, where somebody types this line.
fn on_terminal(bench: &Bench, command: &str, typed: &str) -> String {
    const SCRIPT: &str = r"
import os, pty, sys
command, typed, folder, *environment = sys.stdin.read().splitlines()
pid, terminal = pty.fork()
if pid == 0:
    os.chdir(folder)
    os.execve(command.split()[0], command.split(), dict(item.split('=', 1) for item in environment))
os.write(terminal, typed.encode() + b'\n')
while True:
    try:
        text = os.read(terminal, 4096)
    except OSError:
        break
    if not text:
        break
    os.write(1, text)
";
    let line = bench.command(&[command]);
    let mut lines = vec![
        format!("{} {command}", line.get_program().display()),
        typed.to_owned(),
        line.get_current_dir().expect("a folder").display().to_string(),
    ];
    let variables = line.get_envs().filter_map(|(name, value)| Some((name, value?)));
    lines.extend(variables.map(|(name, value)| format!("{}={}", name.display(), value.display())));
    python::script(SCRIPT, &lines.join("\n"))
}
