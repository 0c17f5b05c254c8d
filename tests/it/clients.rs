//! Runs each command of docs/sandbox.md, with its client, against the sandbox.

#[path = "../../benches/needed.rs"]
mod needed;

use crate::support::program::tell;
use crate::support::python;
use crate::support::world::World;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use irsa_sandbox::kubernetes::{Preconditions, Resource, Store};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The fenced blocks of a language in docs/sandbox.md.
fn blocks(language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sandbox.md");
    let text = std::fs::read_to_string(path).expect("docs/sandbox.md");
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split("\n```").next()).map(str::to_owned).collect()
}

/// The sandbox's environment, with the installed clients first on PATH.
fn environment(world: &World, home: &Path) -> BTreeMap<String, String> {
    let mut environment = world.environment();
    let path = std::env::var("PATH").unwrap_or_default();
    environment.insert("PATH".to_owned(), format!("{}:{path}", python::bin().display()));
    environment.insert("HOME".to_owned(), home.display().to_string());
    environment.insert("AWS_PAGER".to_owned(), String::new());
    environment
}

#[track_caller]
fn run(command: &mut Command, environment: &BTreeMap<String, String>, folder: &Path, what: &str) -> String {
    let output = command.env_clear().envs(environment).current_dir(folder).output().expect("it runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}\n{out}{err}");
    out.into_owned()
}

#[test]
fn aws_cli_and_kubectl_commands_of_the_page_succeed() {
    let (world, home) = (World::demo(), tempfile::tempdir().expect("a folder"));
    let environment = environment(&world, home.path());
    let blocks = blocks("sh");
    assert_eq!(blocks.len(), 2, "one for aws, one for kubectl");
    let mut count = 0;
    for line in blocks.iter().flat_map(|block| block.lines()) {
        run(Command::new("sh").args(["-c", line]), &environment, home.path(), line);
        count += 1;
    }
    assert!(count > 30, "the lines were read");
}

/// Runs only where curl is installed; the tests install the other clients themselves.
#[test]
fn curl_commands_for_the_admin_pages_succeed() {
    let curl = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|it| it.join("curl").is_file());
    if !curl {
        // writes to stderr directly, so that the test runner does not capture it
        let _ = std::io::stderr().write_all(b"skipped: the sandbox's admin pages by hand: no curl in PATH\n");
        return;
    }
    let (world, home) = (World::demo(), tempfile::tempdir().expect("a folder"));
    let environment = environment(&world, home.path());
    let lines = blocks("bash").concat();
    assert!(lines.lines().count() > 10, "the lines were read");
    for line in lines.lines() {
        let answer = run(Command::new("sh").args(["-c", line]), &environment, home.path(), line);
        serde_json::from_str::<Value>(&answer).unwrap_or_else(|_| panic!("{line}\n{answer}"));
    }
}

#[test]
fn boto3_example_of_the_page_succeeds() {
    let (world, home) = (World::demo(), tempfile::tempdir().expect("a folder"));
    let environment = environment(&world, home.path());
    for block in blocks("python") {
        run(Command::new(python::program("python")).args(["-c", &block]), &environment, home.path(), &block);
    }
}

/// A cluster accepts what `aws eks get-token` prints for it; other clusters reject it.
#[test]
fn eks_token_is_accepted_only_by_its_own_cluster() {
    let (world, home) = (World::demo(), tempfile::tempdir().expect("a folder"));
    let environment = environment(&world, home.path());
    let token = |cluster: &str| {
        let line = format!("aws eks get-token --cluster-name {cluster} --query status.token --output text");
        run(Command::new("sh").args(["-c", &line]), &environment, home.path(), &line).trim().to_owned()
    };
    let clusters = world.first_clusters();
    // a kubeconfig without users, so that kubectl sends no other token
    std::fs::write(home.path().join("none.yaml"), "apiVersion: v1\nkind: Config\n").expect("a file");
    let first = world.cluster(&clusters[0]);
    std::fs::write(home.path().join("ca.pem"), first.certificate_authority_pem()).expect("a file");
    let get = |token: &str| {
        let mut command = Command::new(python::program("kubectl"));
        command.args(["--kubeconfig", "none.yaml", "--server", &first.endpoint(), "--certificate-authority", "ca.pem"]);
        command.args(["--token", token, "get", "namespaces"]).env_clear().envs(&environment).current_dir(home.path());
        command.output().expect("it runs").status.success()
    };
    assert!(get(&token(&clusters[0])));
    assert!(!get(&token(&clusters[1])));
    assert!(!get("k8s-aws-v1.nonsense"));
}

/// The kubectl commands print what docs/sandbox.md shows.
#[test]
fn kubectl_prints_what_the_page_shows() {
    let (world, home) = (World::demo(), tempfile::tempdir().expect("a folder"));
    let environment = environment(&world, home.path());
    let sh = |line: &str| run(Command::new("sh").args(["-c", line]), &environment, home.path(), line);
    let kubectl = |line: &str| sh(&format!("kubectl --context shop-eu -n shop {line}"));
    assert_eq!(kubectl("create sa tried --dry-run=server"), "serviceaccount/tried created (server dry run)\n");
    assert_eq!(kubectl("create sa worker"), "serviceaccount/worker created\n");
    assert_eq!(kubectl("get sa -o name"), "serviceaccount/default\nserviceaccount/worker\n");
    assert!(kubectl("get sa worker -o yaml").contains("\n  resourceVersion: \""));
    assert_eq!(kubectl("auth can-i create serviceaccounts/token"), "yes\n");
    assert!(kubectl("auth can-i --list").contains("selfsubjectrulesreviews.authorization.k8s.io"));
    let issuer = world.issuer("shop-eu");
    let configuration: Value =
        serde_json::from_str(&kubectl("get --raw /.well-known/openid-configuration")).expect("JSON");
    assert_eq!(configuration["issuer"], issuer.as_str());
    let claims = |token: &str| -> Value {
        let part = token.split('.').nth(1).expect("a token has three parts");
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
    };
    let token = kubectl("create token worker --audience sts.amazonaws.com --duration 15m");
    let told = claims(&token);
    assert_eq!((&told["iss"], &told["aud"]), (&json!(issuer), &json!(["sts.amazonaws.com"])));
    assert_eq!(told["exp"].as_i64().expect("a time") - told["iat"].as_i64().expect("a time"), 15 * 60);
    let own = kubectl("create token worker");
    let as_worker = |line: &str| kubectl(&format!("--token '{}' {line}", own.trim()));
    assert!(as_worker("auth whoami").contains("system:serviceaccount:shop:worker"));
    assert_eq!(as_worker("auth can-i list sa || true"), "no\n");
}

/// `kubectl get -w` prints changes while it runs.
#[test]
fn kubectl_watch_shows_changes() {
    let (world, home) = (World::demo(), tempfile::tempdir().expect("a folder"));
    let environment = environment(&world, home.path());
    let mut child = Command::new(python::program("kubectl"))
        .args([
            "--context",
            "shop-eu",
            "-n",
            "shop",
            "get",
            "serviceaccounts",
            "-w",
            "--output-watch-events",
            "--no-headers",
        ])
        .env_clear()
        .envs(&environment)
        .current_dir(home.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut next = || -> Vec<String> {
        let line = lines.next().expect("it goes on").expect("text");
        // the third column is the age
        line.split_whitespace().take(2).map(str::to_owned).collect()
    };
    assert_eq!(next(), ["ADDED", "default"]);
    let cluster = world.cluster("shop-eu");
    cluster.with(|store| store.seed_service_account("shop", "worker", &[], "t")).expect("it is made");
    assert_eq!(next(), ["ADDED", "worker"]);
    let annotate = |object: &mut Value| object["metadata"]["annotations"] = json!({"a": "b"});
    cluster.with(|store| store.edit(Resource::ServiceAccounts, "shop", "worker", "t", annotate)).expect("it is there");
    assert_eq!(next(), ["MODIFIED", "worker"]);
    let gone =
        |store: &mut Store| store.delete(Resource::ServiceAccounts, "shop", "worker", &Preconditions::default(), false);
    cluster.with(gone).expect("it is there");
    assert_eq!(next(), ["DELETED", "worker"]);
    child.kill().expect("it still runs");
    child.wait().expect("it ends");
}

#[test]
fn terraform_example_of_the_page_succeeds() {
    let home = tempfile::tempdir().expect("a folder");
    let found = needed::Terraform::find(&|name| std::env::var_os(name), home.path());
    let needed::Terraform { program: terraform, configuration: mirror } = match found {
        Ok(found) => found,
        Err(why) => return tell(&format!("skipped: terraform against the sandbox: {why}")),
    };
    let world = World::demo();
    let mut environment = environment(&world, home.path());
    environment.insert("TF_CLI_CONFIG_FILE".to_owned(), mirror.display().to_string());
    std::fs::write(home.path().join("main.tf"), blocks("hcl").concat()).expect("a file");
    for arguments in [
        &["init", "-input=false"][..],
        &["apply", "-auto-approve", "-input=false"],
        &["plan", "-detailed-exitcode", "-input=false"],
        &["destroy", "-auto-approve", "-input=false"],
    ] {
        run(Command::new(&terraform).args(arguments), &environment, home.path(), &arguments.join(" "));
    }
}

#[test]
fn missing_terraform_or_provider_mirror_is_named() {
    let home = tempfile::tempdir().expect("a folder");
    let path = |name: &str| home.path().join(name);
    let find = |variables: &[(&str, PathBuf)]| {
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, path)| path.into());
        needed::Terraform::find(&variable, home.path())
    };
    let says = |variables: &[(&str, PathBuf)], what: &str| {
        let why = find(variables).expect_err("something is missing");
        assert!(why.contains(what), "{why}");
    };
    says(&[("PATH", path("bin"))], "no `terraform` in PATH");
    std::fs::create_dir_all(path("bin")).expect("a folder");
    std::fs::write(path("bin/terraform"), "").expect("a file");
    let both = [("PATH", path("bin")), ("HOME", path("home"))];
    let system = ["/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins"];
    if !system.iter().any(|folder| Path::new(folder).exists()) {
        says(&both, "no mirror of terraform's AWS provider: make one with `terraform providers mirror");
        let [program, home] = both.clone();
        says(&[program, home, ("TF_CLI_CONFIG_FILE", path("gone"))], "gone`, which is no file");
    }
    std::fs::create_dir_all(path("home/.terraform.d/plugins/registry.terraform.io/hashicorp/aws")).expect("a folder");
    let found = find(&both).expect("all is there");
    let text = std::fs::read_to_string(found.configuration).expect("it was written");
    assert!(text.contains("filesystem_mirror") && text.contains(".terraform.d/plugins"), "{text}");
}
