//! What the author of a pull request can do through the configuration that CI plans with CI's credentials. irsa reads
//! no file of the machine that it must not read, allows online nothing that it denies offline, and always shows
//! weakened guards.

use crate::ownership::{HEAD, Scene, role};
use crate::support::program::{Bench, Run, changes, refusals};
use crate::support::world::FIRST;
use irsa_sandbox::kubernetes::{self, User};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

/// A secret that irsa must never read, print or send.
const SECRET: &str = "canary-of-ci-4711";
const POLICY: &str = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}}"#;

/// A cluster that accepts the secret as the token of one of its users, so that its log shows whether irsa sent it.
struct Thief {
    scene: Scene,
    home: tempfile::TempDir,
}

impl Thief {
    fn new() -> Self {
        let (scene, home) = (Scene::new(), tempfile::tempdir().expect("a temporary folder"));
        scene.world.cluster("main").set_token(SECRET, User::admin("canary"));
        for name in [".token", "token", "x.toml", "x.json"] {
            std::fs::write(home.path().join(name), SECRET).expect("it is writable");
        }
        Self { scene, home }
    }

    /// Writes a kubeconfig for the cluster with this user.
    fn kubeconfig(&self, file: &str, user: &Value) {
        let entry = self.scene.world.cluster("main").kubeconfig_entry("");
        let mut text: Value = serde_json::from_str(&kubernetes::kubeconfig(&[entry])).expect("JSON");
        text["users"][0]["user"] = user.clone();
        self.scene.bench.write(file, &text.to_string());
    }

    /// Writes the top file, which names the kubeconfig.
    fn declare(&self, top: &str, kubeconfig: &str) {
        let kubernetes = format!("kubernetes = {{ kubeconfig = {kubeconfig:?}, context = \"main\" }}\n");
        self.scene.bench.write(top, &format!("{HEAD}{kubernetes}{}", role("app")));
    }

    fn link(&self, target: &str, link: &str) {
        let target = target.replace("HOME", &self.home.path().display().to_string());
        let link = self.scene.bench.path(link);
        std::fs::create_dir_all(link.parent().expect("a folder")).expect("it is writable");
        // a test may create the same link twice
        let _ = std::fs::remove_file(&link);
        symlink(target, link).expect("it is writable");
    }

    #[track_caller]
    fn stole_nothing(&self, run: &Run) {
        quiet(run);
        let log = self.scene.world.cluster("main").gate().log();
        assert!(log.iter().all(|record| record.call.user != "canary"), "the token was sent: {run}");
    }
}

/// The output does not contain the secret.
#[track_caller]
fn quiet(run: &Run) {
    assert!(!run.to_string().contains("4711"), "it is told: {run}");
}

#[test]
fn repository_kubeconfig_sends_no_local_file_to_its_server() {
    let thief = Thief::new();
    thief.scene.bench.write("sub/k/.hidden", SECRET);
    thief.scene.bench.write("sub/beside", SECRET);
    for (target, link) in
        [("HOME/token", "sub/k/link"), ("HOME", "sub/k/folder"), ("../beside", "sub/k/up"), ("k", "sub/linked")]
    {
        thief.link(target, link);
    }
    let home = thief.home.path().display().to_string();
    let up = "../".repeat(12);
    for path in [
        format!("{up}{}/.token", &home[1..]),
        format!("{home}/token"),
        "link".to_owned(),
        "folder/token".to_owned(),
        "up".to_owned(),
        "../beside".to_owned(),
        ".hidden".to_owned(),
        "gone".to_owned(),
    ] {
        for field in ["tokenFile", "client-key", "client-certificate"] {
            thief.kubeconfig("sub/k/kc.yaml", &json!({field: path}));
            for (top, named) in [
                ("sub/irsa.toml", "k/kc.yaml"),
                ("sub/irsa.toml", "linked/kc.yaml"),
                ("irsa.toml", "sub/k/kc.yaml"),
                ("irsa.toml", "./sub/../sub/linked/kc.yaml"),
            ] {
                thief.declare(top, named);
                let run = thief.scene.bench.ends(4, &["plan", "-c", top]);
                run.says("cluster/main").says(field);
                thief.stole_nothing(&run);
            }
        }
    }
    let absolute = thief.scene.bench.path("sub/irsa.toml").display().to_string();
    thief.kubeconfig("sub/k/kc.yaml", &json!({"tokenFile": "link"}));
    thief.stole_nothing(&thief.scene.bench.ends(4, &["plan", "-c", &absolute]));
    thief.stole_nothing(&thief.scene.bench.ends(4, &["apply", "--auto-approve", "-c", "sub/irsa.toml"]));
    assert!(thief.scene.world.writes().is_empty());
    // the same file through KUBECONFIG is trusted, because the user names it
    let mut thief = thief;
    let own = thief.scene.bench.path("sub/k/kc.yaml").display().to_string();
    thief.scene.bench.set("KUBECONFIG", &own);
    thief.scene.bench.write("irsa.toml", &format!("{HEAD}kubernetes = {{ context = \"main\" }}\n{}", role("app")));
    let run = thief.scene.bench.ends(0, &["plan"]);
    let log = thief.scene.world.cluster("main").gate().log();
    assert!(log.iter().any(|record| record.call.user == "canary"), "the test would see it: {run}");
}

#[test]
fn kubeconfig_must_lie_in_the_repository_and_may_use_files_beside_it() {
    let thief = Thief::new();
    thief.kubeconfig("k/kc.yaml", &json!({"tokenFile": "token"}));
    thief.scene.bench.write("k/token", "admin-token");
    thief.declare("irsa.toml", "k/kc.yaml");
    thief.scene.world.cluster("main").set_token("admin-token", User::admin("beside"));
    thief.scene.bench.ends(0, &["plan"]);
    let stolen = json!({"token": SECRET});
    thief.kubeconfig(".kube/config", &stolen);
    thief.kubeconfig("real.yaml", &stolen);
    std::fs::rename(thief.scene.bench.path("real.yaml"), thief.home.path().join("kc.yaml")).expect("they are ours");
    thief.link("HOME/kc.yaml", "kc.yaml");
    thief.link("HOME", "home");
    thief.link(".kube", "kube");
    for (named, code) in
        [("kc.yaml", 3), ("home/kc.yaml", 3), (".kube/config", 3), ("kube/config", 3), ("gone.yaml", 4)]
    {
        thief.declare("irsa.toml", named);
        thief.stole_nothing(thief.scene.bench.ends(code, &["plan"]).says(named));
    }
}

/// Runs every command that reads a configuration, in every format that shows configuration errors.
#[track_caller]
fn refuses(bench: &Bench, what: &str, more: &[&str]) {
    for line in [
        &["validate"][..],
        &["validate", "--format", "json"],
        &["plan"],
        &["plan", "--format", "json", "-vvv"],
        &["plan", "--format", "github"],
        &["drift"],
        &["apply", "--auto-approve"],
    ] {
        let run = bench.irsa(&[line, more].concat());
        assert_eq!(run.code, 3, "{what}: {run}");
        quiet(&run);
    }
}

#[test]
fn file_that_is_no_configuration_is_not_quoted() {
    let thief = Thief::new();
    let mut bench = thief.scene.bench;
    bench.set("CI_SECRET", SECRET);
    for (file, text) in [
        (".env", format!("KEY={SECRET}\n")),
        (".git/config", format!("[http]\n\textraheader = {SECRET}\n")),
        ("notes.txt", SECRET.to_owned()),
        ("key.json", format!("{{\"private_key\": \"{SECRET}\"}}")),
        ("ok.json", POLICY.to_owned()),
    ] {
        bench.write(file, &text);
    }
    let home = thief.home.path();
    let link = |target: std::path::PathBuf, link: &str| {
        let _ = std::fs::remove_file(bench.path(link));
        symlink(target, bench.path(link)).expect("it is writable");
    };
    link(home.to_owned(), "home");
    link("/proc/self/environ".into(), "environ.toml");
    link("/proc/self/environ".into(), "environ.json");
    link(home.join("x.toml"), "out.toml");
    link(".env".into(), "env.json");
    for include in [
        ".git/config",
        ".env",
        "*",
        ".*",
        ".*/*",
        "home/x.toml",
        "home/*.toml",
        "out.toml",
        "environ.toml",
        "notes.txt",
        "e*.toml",
    ] {
        bench.write("irsa.toml", &format!("include = [{include:?}]\n{HEAD}"));
        refuses(&bench, include, &[]);
    }
    for file in [".env", ".git/config", "notes.txt", "key.json", "home/x.json", "environ.json", "env.json"] {
        bench.write("irsa.toml", &format!("{HEAD}[policies.p]\nfile = {file:?}\n"));
        refuses(&bench, file, &[]);
    }
    bench.write("irsa.toml", &format!("{HEAD}[policies.p]\nfile = \"ok.json\"\n"));
    bench.ends(0, &["validate"]);
    for target in
        ["/proc/self/environ".into(), home.join("x.toml"), ".env".into(), "notes.txt".into(), home.join("token")]
    {
        link(target.clone(), "irsa.toml");
        let what = target.display().to_string();
        refuses(&bench, &what, &[]);
        // CI names the file, but the file may still be a link from the pull request
        refuses(&bench, &what, &["-c", "irsa.toml"]);
        refuses(&bench, &what, &["-c", &bench.path("irsa.toml").display().to_string()]);
    }
    // the folder that CI names may also be a link
    link("/proc/self".into(), "process");
    refuses(&bench, "a folder", &["-c", "process/environ"]);
    refuses(&bench, "a folder", &["-c", "./process/environ"]);
    link(".git".into(), "hidden");
    refuses(&bench, "a hidden folder", &["-c", "hidden/config"]);
    // a link to the user's own configuration works if `-c` or IRSA_CONFIG names it
    std::fs::write(home.join("top.toml"), HEAD).expect("it is writable");
    link(home.join("top.toml"), "irsa.toml");
    bench.ends(3, &["validate"]);
    bench.ends(0, &["validate", "-c", "irsa.toml"]);
    bench.set("IRSA_CONFIG", "irsa.toml");
    bench.ends(0, &["validate"]);
}

#[test]
fn template_with_branches_or_nesting_is_refused_with_its_line() {
    let bench = Bench::new(BTreeMap::new());
    let many = |piece: &str| piece.repeat(100_000);
    for (text, place) in [
        ("{% if account_id == \"000000000000\" %}harmless{% else %}*{% endif %}".to_owned(), "p.json:1:"),
        ("{% if region == 'us-east-1' %}harmless{% else %}*{% endif %}".to_owned(), "p.json:1:"),
        ("{{ 'harmless' if account_id == '000000000000' else '*' }}".to_owned(), "p.json:1:"),
        ("{{ account_id | replace('000000000000', 'harmless') }}".to_owned(), "p.json:1:"),
        ("{{ ['*', 'harmless'][account_id == '000000000000'] }}".to_owned(), "p.json:1:"),
        (format!("{{{{ account_id{} }}}}", many(" | upper")), "irsa.toml:"),
        (format!("{{{{ account_id{} }}}}", many(" + account_id")), "irsa.toml:"),
        (format!("{{{{ {}account_id{} }}}}", "(".repeat(50_000), ")".repeat(50_000)), "p.json:1:"),
        (format!("{{{{ {}account_id }}}}", "not ".repeat(30_000)), "p.json:1:"),
    ] {
        let policy = POLICY.replace("b/*", &text.replace('"', "\\\""));
        bench.write("p.json", &policy);
        bench.write("irsa.toml", &format!("{HEAD}[policies.p]\nfile = \"p.json\"\n"));
        bench.ends(3, &["validate"]).says(place);
        bench.write("irsa.toml", &format!("{HEAD}[policies.p]\njson = '''\n{policy}'''\n"));
        bench.ends(3, &["validate"]).says("irsa.toml:");
        bench.write(
            "irsa.toml",
            &format!(
                "{HEAD}{}[roles.app.inline.p]\nstatements = [{{ actions = \"s3:*\", resources = '''{text}''' }}]\n",
                role("app")
            ),
        );
        bench.ends(3, &["validate"]).says("irsa.toml:");
    }
}

#[test]
fn nested_repeated_or_large_input_is_refused_with_its_line() {
    let thief = Thief::new();
    let bench = &thief.scene.bench;
    let many = |piece: &str| piece.repeat(200_000);
    for text in [
        format!("x = {}", many("[")),
        format!("x = {}", many("{a=")),
        format!("x{} = 1", many(".a")),
        many("a\n"),
        format!("tags = {{ {} }}", (0..200_000).map(|i| format!("a{i}=1,")).collect::<Vec<_>>().concat()),
        format!("include = [\"{}x.toml\"]", "**/".repeat(1300)),
    ] {
        bench.write("irsa.toml", &format!("owner = \"me\"\n{text}\n"));
        let run = bench.ends(3, &["validate"]);
        run.says("irsa.toml:");
        assert!(run.stderr.len() < 4 << 20, "{} bytes", run.stderr.len());
    }
    for text in [many("["), many("{\"Statement\":"), format!("[{}1]", many("1,"))] {
        bench.write("p.json", &format!("{{\"Statement\": {}", &text[..text.len().min(120_000)]));
        bench.write("irsa.toml", &format!("{HEAD}[policies.p]\nfile = \"p.json\"\n"));
        bench.ends(3, &["validate"]).says("p.json:1:");
    }
    let line = |level: usize| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(","));
    let laughs = (1..30).map(line).collect::<Vec<_>>().concat();
    for text in [many("["), many("{a: "), format!("a0: &a0 [x]\n{laughs}"), " ".repeat(20 << 20)] {
        bench.write("kc.yaml", &text);
        thief.declare("irsa.toml", "kc.yaml");
        bench.ends(4, &["plan"]).says("kc.yaml");
    }
}

/// Offline, irsa does not know the account of the ambient credentials. Once STS has reported it, any other account is
/// foreign.
#[test]
fn denied_findings_are_checked_again_with_the_real_account_id() {
    let scene = Scene::new();
    let trust = |account: &str| {
        format!(
            "{}[[roles.app.trust]]\nactions = [\"sts:AssumeRole\"]\nprincipals = {{ aws = \"{account}\" }}\n",
            role("app")
        )
    };
    scene.declare(&trust(FIRST));
    scene.bench.ends(0, &["plan", "-o", "plan.json"]);
    scene.declare(&trust("999988887777"));
    scene.bench.ends(0, &["validate"]);
    for line in [
        &["plan"][..],
        &["plan", "-o", "other.json"],
        &["plan", "--detailed-exitcode", "--format", "json"],
        &["drift"],
        &["apply", "--auto-approve"],
        &["apply", "--auto-approve", "--skip-refused", "--allow-incomplete", "--force"],
    ] {
        let run = scene.bench.ends(3, line);
        run.says("IRSA014").says("irsa.toml:3");
        assert!(!scene.bench.path("other.json").exists());
    }
    assert!(scene.world.writes().is_empty());
    // a plan saved when the finding was allowed, or by somebody who allowed more
    scene.bench.ends(0, &["plan", "--deny", "critical", "-o", "plan.json"]);
    scene.bench.ends(3, &["apply", "plan.json"]).says("IRSA014");
    assert!(scene.world.writes().is_empty());
    scene.bench.ends(0, &["apply", "plan.json", "--deny", "critical"]);
    assert!(scene.someone.has_role("app"));
}

#[test]
fn weakened_guards_are_shown_in_every_plan() {
    let scene = Scene::new();
    scene.declare(&role("app"));
    let usual = scene.bench.plan(&[]);
    assert!(!usual["notes"].to_string().contains("guard-not-default"), "{usual}");
    let top = "[guard]\nmax-delete = 1234\nmax-change-percent = 99\nmin-existing = 4321\nrecent-use = \"1s\"\n[lock]\ncluster = \"main\"\n[prune]\npaths = [\"/legacy/\"]\n";
    let text = format!(
        "forget = [\"role/old\"]\nignore-tags = [\"cost:*\"]\n{HEAD}kubernetes = {{ context = \"main\", unverified = true }}\n{top}{}ignore-attached = [\"*audit*\"]\n",
        role("app")
    );
    scene.bench.write("irsa.toml", &text);
    let all = ["1234", "4321", "99", "irsa-me", "/legacy/", "role/old", "cost:*", "*audit*", "unverified"];
    for format in ["text", "json", "jsonl", "markdown", "github", "html"] {
        let run = scene.bench.ends(0, &["plan", "--format", format]);
        for what in all {
            // Markdown escapes its own characters
            assert!(run.stdout.replace('\\', "").contains(what), "{format}: `{what}` is not in {run}");
        }
    }
    let plan = scene.bench.plan(&[]);
    let notes = plan["notes"].as_array().expect("notes");
    let guards: Vec<&Value> = notes.iter().filter(|note| note["rule"] == "guard-not-default").collect();
    assert_eq!(guards.len(), 7, "{guards:?}");
    // also if nothing changes, and if only a part is selected
    scene.bench.ends(0, &["apply", "--auto-approve"]).says("1234");
    scene.bench.ends(0, &["plan"]).says("No changes.").says("1234");
    scene.bench.ends(0, &["plan", "--only", "role/app"]).says("1234");
    // the note names the owner whose objects are deleted
    let text = text.replace(
        &format!("{}ignore-attached", role("app")),
        "[roles.other]\nservice-accounts = [\"apps/other\"]\nignore-attached",
    );
    scene.bench.write("irsa.toml", &text);
    scene.bench.irsa(&["plan", "--destroy"]).says("undeclared objects of `me` are deleted");
}

#[test]
fn guard_flags_tighten_the_limits_and_never_loosen_them() {
    let scene = Scene::new();
    let many = |range: std::ops::Range<usize>| range.map(|number| role(&format!("app{number}"))).collect::<String>();
    scene.declare(&many(0..6));
    scene.bench.converges();
    let loose = "[guard]\nmax-delete = 1000\nmax-change-percent = 100\nmin-existing = 1000\n";
    let shrunk = format!("{loose}{}", many(0..4));
    scene.declare(&shrunk);
    // two roles and two ServiceAccounts
    for (flag, code) in [("3", 4), ("0", 4), ("4", 0), ("5000", 0)] {
        let run = scene.bench.ends(code, &["plan", "--guard-max-delete", flag]);
        if code == 4 {
            run.says(&format!("the plan deletes 4 objects, but `--guard-max-delete` allows only {flag}"));
        }
    }
    for (flag, code) in [("20", 4), ("0", 4), ("100", 0)] {
        let run = scene.bench.ends(code, &["plan", "--guard-max-change-percent", flag]);
        if code == 4 {
            run.says(&format!("but `--guard-max-change-percent` allows only {flag} percent"));
        }
    }
    scene.bench.ends(64, &["plan", "--guard-max-change-percent", "101"]);
    scene.bench.ends(64, &["plan", "--guard-max-delete", "-1"]);
    scene.bench.ends(4, &["apply", "--auto-approve", "--guard-max-delete", "3"]);
    let plan = scene.bench.plan(&["-o", "plan.json", "--guard-max-delete", "3"]);
    assert_eq!(refusals(&plan).len(), 4, "{plan}");
    assert_eq!(changes(&scene.bench.plan(&["-o", "plan.json"])).len(), 4);
    let run = scene.bench.irsa(&["apply", "plan.json", "--guard-max-delete", "3"]);
    assert!([4, 5].contains(&run.code), "{run}");
    run.says("--guard-max-delete");
    assert!(scene.someone.has_role("app5"));
    // a stricter limit in the file counts
    scene.declare(&format!("{}{}", loose.replace("max-delete = 1000", "max-delete = 1"), many(0..4)));
    scene.bench.ends(4, &["plan", "--guard-max-delete", "500"]).says("`guard.max-delete` allows only 1");
    scene.bench.ends(0, &["apply", "--auto-approve", "--guard-max-delete", "500", "--force"]);
    assert!(!scene.someone.has_role("app5"));
}
