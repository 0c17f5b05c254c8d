//! Environment variables and files that people have for the aws CLI and kubectl: irsa accepts them, or names what is
//! wrong with them. These tests run the real binary.

use crate::ownership::{HEAD, Scene, role};
use crate::support::hostile::{Answer, Hostile};
use crate::support::program::{Bench, Run};
use crate::support::proxies::{Connect, Socks};
use crate::support::standin::free_port;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

/// irsa reports errors that no retry fixes long before its budget of two minutes is spent.
const SOON: Duration = Duration::from_secs(25);

/// A bench like the scene's, whose environment a test can change.
fn bench(scene: &Scene) -> Bench {
    scene.declare(&role("app"));
    Bench::with(scene.world.environment(), &scene.bench.read("irsa.toml"))
}

/// The run prints this about an account or a cluster that it could not use, and no internal text.
#[track_caller]
fn tells(run: &Run, code: i32, text: &str) {
    assert_eq!(run.code, code, "{run}");
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(said.contains(text), "`{text}` is not in {run}");
    for word in ["panicked", "RUST_BACKTRACE", "feature", "cargo", "Cargo", "hunter2"] {
        assert!(!said.contains(word), "`{word}` is in {run}");
    }
}

#[test]
fn empty_variable_counts_as_unset() {
    let scene = Scene::new();
    let mut bench = bench(&scene);
    for (name, value) in [
        ("AWS_PROFILE", ""),
        ("AWS_ENDPOINT_URL_IAM", ""),
        ("AWS_ENDPOINT_URL_STS", " "),
        ("AWS_ENDPOINT_URL_EKS", "\n"),
        ("AWS_CA_BUNDLE", ""),
        ("AWS_SESSION_TOKEN", ""),
        ("AWS_DEFAULT_REGION", ""),
        ("AWS_CONFIG_FILE", ""),
        ("IRSA_CONFIG", ""),
    ] {
        bench.set(name, value);
    }
    bench.ends(0, &["plan"]);
    // the endpoint of all services, and that of a profile
    let endpoint = scene.world.with(|sandbox| sandbox.endpoint());
    bench.set("AWS_ENDPOINT_URL", "");
    bench.write(".aws/config", &format!("[default]\nendpoint_url = {endpoint}\nservices = own\nca_bundle =\n[services own]\niam =\n  endpoint_url =\n"));
    bench.ends(0, &["plan"]);
    bench.set("AWS_ENDPOINT_URL", &endpoint);
    bench.write(".aws/config", "[default]\nendpoint_url =\nregion =\n");
    bench.ends(0, &["plan"]);
    assert_eq!(bench.ends(0, &["--version"]).stdout.lines().count(), 1);
}

#[test]
fn invalid_variable_is_named() {
    for (name, value, text, code) in [
        ("AWS_ACCESS_KEY_ID", "test\n", "`AWS_ACCESS_KEY_ID` has white space or a line break", 4),
        ("AWS_ACCESS_KEY_ID", "te\u{7}st", "`AWS_ACCESS_KEY_ID` has characters", 4),
        ("AWS_SECRET_ACCESS_KEY", "hunter2\r\n", "`AWS_SECRET_ACCESS_KEY` has white space", 4),
        ("AWS_SESSION_TOKEN", "hunter2\u{e4}hunter2", "`AWS_SESSION_TOKEN` has characters", 4),
        ("AWS_SECRET_ACCESS_KEY", "", "`AWS_ACCESS_KEY_ID` is set and `AWS_SECRET_ACCESS_KEY` is not", 4),
        ("AWS_ENDPOINT_URL", "hunter2", "`AWS_ENDPOINT_URL` is not a URL", 4),
        ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1 ", "`AWS_ENDPOINT_URL_STS` is not a URL", 4),
        ("AWS_ENDPOINT_URL_EKS", "http://user:hunter2@[::bad", "`AWS_ENDPOINT_URL_EKS` is not a URL", 4),
        ("AWS_REGION", "eu-west-1 ", "`AWS_REGION` has white space around `eu-west-1`", 3),
        ("AWS_REGION", "Frankfurt", "`AWS_REGION` is `Frankfurt`: it must be an AWS region", 3),
        ("AWS_CA_BUNDLE", "/not/there.pem", "`AWS_CA_BUNDLE` names `/not/there.pem`, which cannot be read", 4),
        ("AWS_CA_BUNDLE", "/dev/null", "`AWS_CA_BUNDLE` names `/dev/null`, which contains no certificate", 4),
    ] {
        let scene = Scene::new();
        let mut bench = bench(&scene);
        bench.set(name, value);
        let begin = Instant::now();
        tells(&bench.irsa(&["plan"]), code, text);
        assert!(begin.elapsed() < SOON, "{name}");
    }
}

#[test]
fn invalid_endpoint_url_in_a_profile_is_named() {
    let default = "`endpoint_url` of profile `default` is not a URL";
    for (config, profile, text) in [
        ("[default]\nendpoint_url = hunter2\n", "", default),
        ("[default]\nendpoint_url = http://\n", "", default),
        ("[default]\nendpoint_url = ftp://127.0.0.1:1\n", "", default),
        ("[default]\nendpoint_url = http://user:hunter2@[::bad\n", "", default),
        ("[profile p]\nendpoint_url = 127.0.0.1:4566\n", "p", "`endpoint_url` of profile `p` is not a URL"),
        (
            "[default]\nservices = own\n[services own]\nsts =\n  endpoint_url = hunter2\n",
            "",
            "`endpoint_url` of `sts` in `[services own]` is not a URL",
        ),
        (
            "[default]\nendpoint_url = http://127.0.0.1:1\nservices = own\n[services own]\niam =\n  endpoint_url = ://hunter2\n",
            "",
            "`endpoint_url` of `iam` in `[services own]` is not a URL",
        ),
    ] {
        let scene = Scene::new();
        let mut bench = bench(&scene);
        for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_EKS"] {
            bench.set(name, "");
        }
        bench.set("AWS_PROFILE", profile);
        bench.write(".aws/config", config);
        let begin = Instant::now();
        tells(&bench.irsa(&["plan"]), 4, text);
        assert!(begin.elapsed() < SOON, "{config}");
        assert!(scene.world.actions().is_empty(), "nothing was sent: {config}");
    }
}

/// A bench without keys in its environment, with these config and credentials files.
fn with_files(scene: &Scene, config: &str, credentials: &str) -> Bench {
    let mut bench = bench(scene);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        bench.set(name, "");
    }
    bench.write(".aws/config", config);
    bench.write(".aws/credentials", credentials);
    bench
}

const KEYS: &str = "aws_access_key_id = test\naws_secret_access_key = hunter2\n";

#[test]
fn error_in_a_profile_is_named() {
    let cases: [(&str, &str, String, &str); 8] = [
        (
            "typo",
            "[profile a]\nregion = eu-west-1\n",
            format!("[b]\n{KEYS}"),
            "`AWS_PROFILE` names profile `typo`, which neither",
        ),
        ("typo", "[profile a]\nregion = eu-west-1\n", format!("[b]\n{KEYS}"), "there are `a`, `b`"),
        (
            "b",
            "",
            format!("\u{feff}[b]\n{KEYS}"),
            "/.aws/credentials` begins with a byte order mark (BOM): save it as UTF-8",
        ),
        (
            "l",
            "[profile l]\nlogin_session = arn:aws:iam::111122223333:user/me\n",
            String::new(),
            "profile `l` signs in with `aws login`",
        ),
        (
            "l",
            "[profile l]\nlogin_session = arn:aws:iam::111122223333:user/me\n",
            String::new(),
            "aws configure export-credentials --profile l --format env",
        ),
        (
            "m",
            "[profile m]\nrole_arn = arn:aws:iam::111122223333:role/x\nsource_profile = b\nmfa_serial = arn:aws:iam::111122223333:mfa/me\n",
            format!("[b]\n{KEYS}"),
            "profile `m` needs an MFA code of `arn:aws:iam::111122223333:mfa/me` (`mfa_serial`)",
        ),
        (
            "s",
            "[profile s]\nrole_arn = arn:aws:iam::111122223333:role/x\nsource_profile = gone\n",
            String::new(),
            "profile `s` has `source_profile = gone`, and there is no such profile",
        ),
        (
            "p",
            "[profile p]\ncredential_process = /not/there hunter2\n",
            String::new(),
            "the `credential_process` of profile `p` gave no credentials",
        ),
    ];
    for (name, config, credentials, text) in cases {
        let scene = Scene::new();
        let mut bench = with_files(&scene, config, &credentials);
        bench.set("AWS_PROFILE", name);
        tells(&bench.irsa(&["plan"]), 4, text);
        // the same for a profile that the configuration names
        bench.set("AWS_PROFILE", "");
        let head =
            format!("owner = \"me\"\n[accounts.one]\nid = \"111122223333\"\nprofile = \"{name}\"\n[clusters.main]\n");
        bench.write("irsa.toml", &format!("{head}{}", role("app")));
        let text = text.replace("`AWS_PROFILE` names", "the configuration names");
        tells(&bench.irsa(&["plan"]), 4, &text);
    }
}

/// The SDK describes these errors for programmers. irsa names the file, the profile and the wrong key, and does not ask
/// the user to log in again.
#[test]
fn missing_key_of_a_profile_is_named() {
    const ROLE: &str = "role_arn = arn:aws:iam::111122223333:role/x\n";
    let cases = [
        (
            format!("[profile p]\n{ROLE}web_identity_token_file = /not/there\n"),
            "profile `p` has `web_identity_token_file = /not/there`, which cannot be read: ",
        ),
        (
            format!("[profile p]\n{ROLE}web_identity_token_file = /dev/null\n"),
            "profile `p` has `web_identity_token_file = /dev/null`, which is empty",
        ),
        (
            "[profile p]\nweb_identity_token_file = /dev/null\n".to_owned(),
            "profile `p` has `web_identity_token_file` and no `role_arn`: both are needed",
        ),
        (
            format!("[profile p]\n{ROLE}source_profile = q\n[profile q]\n{ROLE}web_identity_token_file = /not/there\n"),
            "profile `q` has `web_identity_token_file = /not/there`, which cannot be read: ",
        ),
        (
            "[profile p]\naws_access_key_id = test\n".to_owned(),
            "profile `p` has `aws_access_key_id` and no `aws_secret_access_key`: both are needed",
        ),
        (
            "[profile p]\naws_secret_access_key = hunter2\n".to_owned(),
            "profile `p` has `aws_secret_access_key` and no `aws_access_key_id`: both are needed",
        ),
        (
            format!("[profile p]\n{ROLE}source_profile = q\n[profile q]\n{ROLE}source_profile = p\n"),
            "`source_profile` forms a cycle: `p`, `q`, `p`: give one of them an access key",
        ),
        (
            "[profile p]\nsso_session = gone\nsso_account_id = 111122223333\nsso_role_name = x\n".to_owned(),
            "profile `p` has `sso_session = gone`, and there is no section `[sso-session gone]`",
        ),
        (
            "[profile p]\nsso_account_id = 111122223333\nsso_start_url = https://x.example\nsso_region = eu-west-1\n"
                .to_owned(),
            "profile `p` has `sso_account_id` and no `sso_role_name`: both are needed",
        ),
        (
            format!("[profile p]\n{ROLE}"),
            "profile `p` has `role_arn` and nothing that assumes it: add `source_profile`",
        ),
        (
            "[profile p]\nrole_arn = notarn\nsource_profile = p\n".to_owned(),
            "profile `p` has a `role_arn` that is not the ARN of a role",
        ),
    ];
    for (config, text) in cases {
        let scene = Scene::new();
        let mut bench = with_files(&scene, &config, "");
        bench.set("AWS_PROFILE", "p");
        let run = bench.irsa(&["plan"]);
        tells(&run, 4, text);
        assert!(!run.stdout.contains("log in"), "{run}");
    }
}

#[test]
fn white_space_around_a_profile_name_is_named() {
    let scene = Scene::new();
    let mut bench = with_files(&scene, "", &format!("[default]\n{KEYS}"));
    bench.set("AWS_PROFILE", "default ");
    tells(&bench.irsa(&["plan"]), 4, "`AWS_PROFILE` has white space around `default`: remove it");
}

/// irsa does not ignore the variable: without it, irsa would use other credentials or another region than the user
/// meant.
#[test]
fn variable_that_is_not_utf8_is_named() {
    for name in ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_REGION"] {
        let scene = Scene::new();
        let bench = with_files(&scene, "", &format!("[default]\n{KEYS}"));
        let mut command = bench.command(&["plan"]);
        command.env("AWS_SECRET_ACCESS_KEY", "hunter2").env(name, std::ffi::OsStr::from_bytes(b"AKID\xff"));
        let output = command.output().expect("irsa runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(4), "{said}");
        assert!(said.contains(&format!("`{name}` is not UTF-8: set it again")), "{said}");
        assert!(!said.contains("both are needed") && !said.contains("hunter2"), "{said}");
        assert!(scene.world.actions().is_empty(), "nothing was sent: {said}");
    }
}

#[test]
fn error_in_a_file_named_by_a_variable_is_reported() {
    for (set, text) in [
        (
            &[("AWS_SHARED_CREDENTIALS_FILE", "/not/there")][..],
            "`AWS_SHARED_CREDENTIALS_FILE` names `/not/there`, which cannot be read",
        ),
        (&[("AWS_CONFIG_FILE", "/not/there")], "`AWS_CONFIG_FILE` names `/not/there`, which cannot be read"),
        (
            &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/not/there")],
            "`AWS_WEB_IDENTITY_TOKEN_FILE` is set and `AWS_ROLE_ARN` is not",
        ),
        (
            &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/not/there"), ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/x")],
            "`AWS_WEB_IDENTITY_TOKEN_FILE` names `/not/there`, which cannot be read",
        ),
        (
            &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/dev/null"), ("AWS_ROLE_ARN", "notarn")],
            "`AWS_WEB_IDENTITY_TOKEN_FILE` names `/dev/null`, which is empty",
        ),
        (
            &[("AWS_WEB_IDENTITY_TOKEN_FILE", "irsa.toml"), ("AWS_ROLE_ARN", "notarn")],
            "`AWS_ROLE_ARN` is not the ARN of a role",
        ),
        (&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "foo")], "`AWS_CONTAINER_CREDENTIALS_FULL_URI` is not a URL"),
        (
            &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "foo")],
            "`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` is not a path",
        ),
        (
            &[
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/x"),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/not/there"),
            ],
            "`AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` names `/not/there`, which cannot be read",
        ),
    ] {
        let scene = Scene::new();
        let mut bench = with_files(&scene, "", "");
        for (name, value) in set {
            bench.set(name, value);
        }
        let run = bench.irsa(&["plan"]);
        tells(&run, 4, text);
        assert!(!run.stdout.contains("log in again"), "{run}");
    }
}

/// The TLS server of a cluster stands in for an AWS endpoint. Only whether irsa trusts its certificate counts.
#[test]
fn ca_bundle_is_trusted_and_an_unknown_certificate_is_reported_at_once() {
    let scene = Scene::new();
    let cluster = scene.world.cluster("main");
    let mut bench = bench(&scene);
    bench.set("AWS_ENDPOINT_URL_STS", &cluster.endpoint());
    let begin = Instant::now();
    let strange = bench.irsa(&["plan"]);
    assert!(begin.elapsed() < SOON, "{strange}");
    tells(&strange, 4, "the server's certificate is not trusted");
    tells(&strange, 4, "`AWS_CA_BUNDLE`");
    let path = bench.path("ca.pem").display().to_string();
    bench.write("ca.pem", cluster.certificate_authority_pem());
    let trusted = |run: &Run| {
        tells(run, 4, "sts:GetCallerIdentity");
        assert!(!run.stdout.contains("certificate"), "the API answers, if not as STS: {run}");
    };
    bench.write(".aws/config", &format!("[default]\nca_bundle = {path}\n"));
    trusted(&bench.irsa(&["plan", "--timeout", "2s"]));
    bench.write(".aws/config", "");
    bench.set("AWS_CA_BUNDLE", &path);
    trusted(&bench.irsa(&["plan", "--timeout", "2s"]));
}

#[test]
fn error_that_no_retry_fixes_is_reported_at_once() {
    let proxy = Connect::start(None);
    let at = format!("http://127.0.0.1:{}", proxy.port);
    let wants = format!("http://127.0.0.1:{}", Connect::start(Some("me:secret".into())).port);
    let page = Hostile::start(|_| Answer::Whole(407, String::new(), String::new()));
    for (variables, text) in [
        (vec![("AWS_ENDPOINT_URL_STS", "https://sts.example.com"), ("HTTPS_PROXY", wants.as_str())], "HTTP status 407"),
        (vec![("AWS_ENDPOINT_URL_STS", "http://sts.example.com"), ("HTTP_PROXY", &page.address())], "HTTP status 407"),
        (
            vec![("AWS_ENDPOINT_URL_STS", "https://no-such-host.invalid")],
            "no-such-host.invalid|dns error|failed to lookup",
        ),
        (vec![("AWS_ENDPOINT_URL_STS", "https://sts.example.com"), ("HTTPS_PROXY", &at)], "tunnel error"),
    ] {
        let scene = Scene::new();
        let mut bench = bench(&scene);
        let ours = scene.world.with(|sandbox| sandbox.endpoint());
        let ours = ours.trim_start_matches("http://").split(':').next().unwrap_or_default();
        bench.set("NO_PROXY", ours);
        for (name, value) in variables {
            bench.set(name, value);
        }
        let begin = Instant::now();
        let timeout = if text == "tunnel error" { "2s" } else { "120s" };
        let run = bench.irsa(&["plan", "--timeout", timeout]);
        assert!(begin.elapsed() < SOON, "{:?}: {run}", begin.elapsed());
        let found = text.split('|').any(|text| run.stdout.contains(text));
        assert!(run.code == 4 && found, "{text}: {run}");
    }
}

/// A bench whose kubeconfig has one context, `main`, changed by `change`.
fn with_kubeconfig(scene: &Scene, change: impl FnOnce(&mut Value, &mut Value)) -> Bench {
    let mut bench = bench(scene);
    let mut entry = scene.world.cluster("main").kubeconfig_entry("admin-token");
    change(&mut entry.cluster["cluster"], &mut entry.user["user"]);
    bench.write("kubeconfig", &irsa_sandbox::kubernetes::kubeconfig(&[entry]));
    let path = bench.path("kubeconfig").display().to_string();
    bench.set("KUBECONFIG", &path);
    bench.write("irsa.toml", &format!("{HEAD}kubernetes = {{ context = \"main\" }}\n{}", role("app")));
    bench
}

#[test]
fn kubeconfig_is_read_as_kubectl_reads_it() {
    let scene = Scene::new();
    let plugin =
        json!({"apiVersion": "client.authentication.k8s.io/v1", "command": "cat", "args": ["credential.json"]});
    let credential = json!({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1",
        "status": {"token": "admin-token"}});
    for user in [
        json!({"tokenFile": "token"}),
        json!({"tokenFile": "token", "exec": plugin}),
        json!({"token": "", "exec": plugin}),
        json!({"token": "", "username": "", "password": "", "client-certificate": "", "tokenFile": "", "exec": plugin}),
    ] {
        let bench = with_kubeconfig(&scene, |_, place| *place = user.clone());
        bench.write("token", "\nadmin-token\r\n");
        bench.write("credential.json", &credential.to_string());
        let run = bench.irsa(&["plan"]);
        assert_eq!(run.code, 0, "{user}: {run}");
    }
    let bench = with_kubeconfig(&scene, |_, _| ());
    let text = bench.read("kubeconfig").replace("\"user\":\"main\"", "\"user\":\"gone\"");
    let text = if text.contains("gone") { text } else { text.replace("\"user\": \"main\"", "\"user\": \"gone\"") };
    bench.write("kubeconfig", &text);
    tells(&bench.irsa(&["plan"]), 4, "context `main` names user `gone`, which the kubeconfig lacks");
    let key = json!({"client-certificate-data": "eA==", "client-key-data": "eA=="});
    tells(
        &with_kubeconfig(&scene, |_, user| *user = key).irsa(&["plan"]),
        4,
        "`client-certificate` of the kubeconfig's user",
    );
}

#[test]
fn api_behind_a_proxy_is_reached_as_kubectl_reaches_it() {
    let scene = Scene::new();
    let port: u16 =
        scene.world.cluster("main").endpoint().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    // only the proxy can resolve this name; the certificate contains it
    let far = "https://kubernetes.default.svc";
    let connect = Connect::to(port, None);
    let secret = Connect::to(port, Some("me:se@cret".into()));
    let (socks, locked) = (Socks::to(port, None), Socks::to(port, Some(("me".into(), "se@cret".into()))));
    let own = [
        format!("http://127.0.0.1:{}", connect.port),
        format!("http://me:se%40cret@127.0.0.1:{}", secret.port),
        format!("socks5://127.0.0.1:{}", socks.port),
        format!("socks5h://127.0.0.1:{}", socks.port),
        format!("socks5://me:se%40cret@127.0.0.1:{}", locked.port),
    ];
    for proxy in &own {
        let by_kubeconfig = with_kubeconfig(&scene, |cluster, _| {
            cluster["server"] = json!(far);
            cluster["proxy-url"] = json!(proxy);
        });
        let run = by_kubeconfig.irsa(&["plan", "--timeout", "5s"]);
        assert_eq!(run.code, 0, "{proxy}: {run}");
        let mut by_variable = with_kubeconfig(&scene, |cluster, _| cluster["server"] = json!(far));
        by_variable.set("HTTPS_PROXY", proxy.trim_start_matches("http://"));
        let run = by_variable.irsa(&["plan", "--timeout", "5s"]);
        assert_eq!(run.code, 0, "{proxy}: {run}");
        by_variable.set("NO_PROXY", ".default.svc");
        assert_eq!(by_variable.irsa(&["plan", "--timeout", "1s"]).code, 4, "{proxy}");
    }
    assert!(connect.asked().iter().all(|target| target == "kubernetes.default.svc:443"), "{:?}", connect.asked());
    assert!(!connect.asked().is_empty() && !socks.asked().is_empty());
    // irsa reports what is wrong with a proxy
    for (proxy, text) in [
        (format!("http://127.0.0.1:{}", secret.port), "HTTP status 407"),
        (format!("socks5://me:hunter2@127.0.0.1:{}", locked.port), "SOCKS"),
        (format!("http://127.0.0.1:{}", free_port()), "Connection refused"),
        ("ftp://me:hunter2@proxy".to_owned(), "`proxy-url` is not a proxy URL"),
    ] {
        let bench = with_kubeconfig(&scene, |cluster, _| {
            cluster["server"] = json!(far);
            cluster["proxy-url"] = json!(proxy);
        });
        let begin = Instant::now();
        tells(&bench.irsa(&["plan", "--timeout", "20s"]), 4, text);
        assert!(begin.elapsed() < SOON, "{proxy}");
    }
}

#[test]
fn warning_of_an_api_server_is_printed_once() {
    let scene = Scene::new();
    let warning = "warning: 299 - \"v1 ServiceAccount is \\\"old\\\"\"\r\n".to_owned();
    let server = Hostile::start(move |asked| {
        let more = if asked.number % 2 == 0 { warning.clone() } else { warning.repeat(2) };
        Answer::Whole(200, more, json!({"metadata": {}, "items": []}).to_string())
    });
    let mut entry = scene.world.cluster("main").kubeconfig_entry("token");
    entry.cluster["cluster"] = json!({"server": server.address()});
    let bench = bench(&scene);
    bench.write("kube.yaml", &irsa_sandbox::kubernetes::kubeconfig(&[entry]));
    let way = "kubernetes = { kubeconfig = \"kube.yaml\", context = \"main\", unverified = true }\n";
    bench.write("irsa.toml", &format!("{HEAD}{way}{}", role("app")));
    let told = "cluster `main`: v1 ServiceAccount is \"old\"";
    for line in [&["plan"][..], &["drift", "--confirm-after", "0s"]] {
        let run = bench.irsa(line);
        assert_eq!(run.stderr.matches(told).count(), 1, "{run}");
    }
    assert!(server.asked().len() > 2, "it was warned of more than once");
    let quiet = bench.irsa(&["plan", "-q"]);
    assert!(!quiet.stderr.contains(told), "{quiet}");
}

#[test]
fn metrics_have_the_exit_code_of_a_run_without_a_plan() {
    let scene = Scene::new();
    scene.declare(&role("app"));
    scene.bench.converges();
    let line = ["drift", "--confirm-after", "0s", "--metrics-file", "irsa.prom"];
    scene.bench.ends(0, &line);
    let value = |name: &str| {
        let text = scene.bench.read("irsa.prom");
        let line = text.lines().find(|line| line.starts_with(&format!("{name}{{"))).map(str::to_owned);
        line.unwrap_or_else(|| panic!("{name} is not in {text}"))
    };
    assert_eq!(value("irsa_last_run_exit_code"), "irsa_last_run_exit_code{owner=\"me\"} 0");
    scene.bench.write("irsa.toml", "owner = ");
    scene.bench.ends(3, &line);
    assert_eq!(value("irsa_last_run_exit_code"), "irsa_last_run_exit_code{owner=\"me\"} 3");
    assert_eq!(value("irsa_complete"), "irsa_complete{owner=\"me\"} 0");
    assert!(!scene.bench.read("irsa.prom").contains("irsa_drift_objects"), "what was not looked at is not told");
    let fresh = Bench::with(BTreeMap::new(), "owner = ");
    fresh.ends(3, &line);
    assert!(fresh.read("irsa.prom").contains("irsa_last_run_exit_code{owner=\"\"} 3"));
    // for every kind of usage error
    for wrong in [
        &["--bogus"][..],
        &["--shard", "9/3"],
        &["--format", "xml"],
        &["--format", "junit"],
        &["--confirm-after", "soon"],
    ] {
        scene.bench.write("irsa.prom", "irsa_last_run_exit_code{owner=\"me\"} 0\n");
        scene.bench.ends(64, &[&line[..], wrong].concat());
        assert_eq!(value("irsa_last_run_exit_code"), "irsa_last_run_exit_code{owner=\"me\"} 64");
        scene.bench.write("irsa.prom", "no metrics\n");
        scene.bench.ends(64, &[&line[..1], wrong, &line[1..]].concat());
        assert_eq!(scene.bench.read("irsa.prom"), "no metrics\n", "what is no file of metrics stays");
    }
    // the metrics name the owner if irsa can read the configuration
    let known = Bench::with(BTreeMap::new(), "owner = \"me\"\n[clusters.main]\n");
    known.ends(64, &[&line[..], &["--format", "xml"]].concat());
    assert!(known.read("irsa.prom").contains("irsa_last_run_exit_code{owner=\"\"} 64"));
    known.ends(64, &[&line[..], &["--json-into", "irsa.toml", "--shard", "1/2"]].concat());
    assert!(known.read("irsa.prom").contains("irsa_last_run_exit_code{owner=\"me\",shard=\"1/2\"} 64"));
}
