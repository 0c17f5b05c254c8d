//! Canaries: irsa uses secrets of every kind, and none of them appears in anything that irsa prints or writes.

use crate::ownership::role;
use crate::support::program::{Bench, Run, tell};
use crate::support::someone::Someone;
use crate::support::standin::free_port;
use crate::support::world::{SECOND, World};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use irsa_sandbox::aws::{Fault, Match, Refusal};
use irsa_sandbox::gate::Stage as At;
use irsa_sandbox::kubernetes::{self, User};
use irsa_sandbox::{ClusterSpec, SandboxOptions};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A role that only the second account has, so that the caller in the log shows that irsa used the session.
const ADMINISTRATOR: &str = "arn:aws:iam::444455556666:role/OrganizationAccountAccessRole";

/// All output formats of `irsa`.
const FORMATS: [&str; 6] = ["text", "json", "jsonl", "markdown", "github", "html"];

/// How many outputs were searched.
static SEARCHED: AtomicUsize = AtomicUsize::new(0);

/// A sandbox, the credentials of a session in it, and the secrets to search for.
struct Stage {
    world: World,
    bench: Bench,
    canaries: BTreeMap<&'static str, String>,
}

/// A user of a kubeconfig that signs in with this token.
fn with_token(token: &str) -> Value {
    json!({"token": token})
}

impl Stage {
    fn new() -> Self {
        let cluster = ClusterSpec::new("main", SECOND, "eu-west-1").with_namespaces(&["apps"]);
        let options = SandboxOptions { clusters: vec![cluster], access_roles: true, ..SandboxOptions::empty() };
        let world = World::of(options);
        let session = Someone::at(&world.with(|sandbox| sandbox.endpoint()), "test").assume(ADMINISTRATOR, "canary");
        let (key, secret, token) = session;
        let mut bench = Bench::new(world.environment());
        bench.set("AWS_ACCESS_KEY_ID", &key);
        bench.set("AWS_SECRET_ACCESS_KEY", &secret);
        bench.set("AWS_SESSION_TOKEN", &token);
        bench.set("IRSA_TEST_SPEED", "20");
        let canaries = BTreeMap::from([("access key id", key), ("secret key", secret), ("session token", token)]);
        let stage = Self { world, bench, canaries };
        stage.declare("");
        stage
    }

    /// Writes the configuration, with this text after the table of the cluster.
    fn declare(&self, cluster: &str) {
        self.bench.write("irsa.toml", &format!("owner = \"me\"\n[clusters.main]\n{cluster}\n{}", role("app")));
    }

    /// Creates a secret for this test.
    fn canary(&mut self, what: &'static str) -> String {
        // only letters and digits: nothing in its form shows that it is a secret
        let text = format!("canary{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        self.canaries.insert(what, text.clone());
        text
    }

    /// From now on, irsa signs in to the cluster as this user of a kubeconfig.
    fn kubeconfig(&mut self, user: &Value, change: impl FnOnce(&mut Value)) {
        let cluster = self.world.cluster("main");
        let mut file: Value =
            serde_json::from_str(&kubernetes::kubeconfig(&[cluster.kubeconfig_entry("")])).expect("JSON");
        file["users"][0]["user"] = user.clone();
        change(&mut file);
        self.bench.write("kubeconfig", &file.to_string());
        let path = self.bench.path("kubeconfig").display().to_string();
        self.bench.set("KUBECONFIG", &path);
        self.declare("kubernetes = { context = \"main\" }");
    }

    /// Makes the token authenticate the user `canary`.
    fn welcome(&self, token: &str) {
        self.world.cluster("main").set_token(token, User::admin("canary"));
    }

    /// irsa called AWS with the session, and the secret signed the request.
    #[track_caller]
    fn session_was_used(&self) {
        let log = self.world.with(|sandbox| sandbox.log());
        assert!(log.iter().any(|record| record.call.caller.ends_with("/OrganizationAccountAccessRole/canary")));
    }

    /// irsa called the cluster with a token of the user `canary`.
    #[track_caller]
    fn token_was_used(&self) {
        let log = self.world.cluster("main").gate().log();
        assert!(log.iter().any(|record| record.call.user == "canary"), "{log:?}");
    }

    /// Runs irsa with the most verbose output, in both log formats. Returns what it printed.
    #[track_caller]
    fn runs(&self, code: i32, arguments: &[&str]) -> Vec<Run> {
        let run = |form: &str| {
            let mut line = arguments.to_vec();
            line.extend(["-vvv", "--log-format", form]);
            let run = self.bench.irsa(&line);
            self.search(&run.to_string(), &run.stdout);
            self.search(&run.to_string(), &run.stderr);
            assert_eq!(run.code, code, "{run}");
            run
        };
        ["text", "json"].map(run).into()
    }

    /// Searches a text for every canary, in every form that it may have there.
    #[track_caller]
    fn search(&self, whence: &str, text: &str) {
        SEARCHED.fetch_add(1, Ordering::Relaxed);
        for (what, canary) in &self.canaries {
            for form in forms(canary) {
                assert!(!text.contains(&form), "the {what} (`{form}`) is in {whence}");
            }
        }
    }
}

/// The secret as it is, URL-encoded, and in base64.
fn forms(canary: &str) -> Vec<String> {
    let encoded: String = form_urlencoded(canary);
    vec![canary.to_owned(), encoded, STANDARD.encode(canary), URL_SAFE_NO_PAD.encode(canary)]
}

fn form_urlencoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[test]
fn credentials_are_in_no_output_of_any_command() {
    let mut stage = Stage::new();
    // first with a token that irsa makes from the credentials
    stage.runs(0, &["plan"]);
    stage.session_was_used();
    assert!(stage.world.cluster("main").gate().log().iter().any(|record| record.call.user == ADMINISTRATOR));
    // then with everything that a kubeconfig can hold
    let token = stage.canary("bearer token");
    let (certificate, key) = identity();
    stage.canaries.insert("client key", key.lines().nth(1).expect("a line").to_owned());
    stage.welcome(&token);
    let user = json!({"token": token, "client-certificate-data": STANDARD.encode(certificate), "client-key-data": STANDARD.encode(&key)});
    stage.kubeconfig(&user, |_| {});
    stage.runs(0, &["validate"]);
    for format in FORMATS {
        stage.runs(0, &["plan", "--format", format, "-o", "plan.json"]);
        stage.runs(0, &["show", "plan.json", "--format", format]);
        stage.runs(2, &["drift", "--confirm-after", "0s", "--format", format, "--metrics-file", "irsa.prom"]);
    }
    stage.token_was_used();
    for file in ["plan.json", "irsa.prom"] {
        stage.search(file, &stage.bench.read(file));
    }
    stage.runs(0, &["apply", "plan.json"]);
    for format in ["text", "json", "jsonl"] {
        stage.runs(0, &["apply", "--auto-approve", "--destroy", "--force", "--format", format]);
        stage.runs(0, &["apply", "--auto-approve", "--format", format]);
    }
    let all = format!(
        "{:?}{:?}",
        stage.world.foreign(SECOND),
        crate::support::world::service_account(&stage.world.cluster("main"), "apps", "app")
    );
    stage.search("the live objects", &all);
    told("commands");
}

/// A client certificate and its key.
fn identity() -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(Vec::new()).and_then(|params| params.self_signed(&key));
    (certificate.expect("a certificate").pem(), key.serialize_pem())
}

fn told(what: &str) {
    tell(&format!("secrets: {what}: {} outputs searched so far", SEARCHED.load(Ordering::Relaxed)));
}

/// A shell script as exec plugin. It prints everything that it knows on stderr.
fn plugin(stage: &mut Stage, last: &str) -> (String, Value) {
    let (variable, argument, token) =
        (stage.canary("plugin's variable"), stage.canary("plugin's argument"), stage.canary("plugin's token"));
    let credential = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": token}});
    let script = format!(
        "#!/bin/sh\necho \"$SECRET $1 {token}\" >&2\necho called >> \"$0.log\"\ntest \"$SECRET $1\" = '{variable} {argument}' || exit 9\n{}\n",
        last.replace("CREDENTIAL", &format!("echo '{credential}'")).replace("TOKEN", &token)
    );
    stage.bench.write("plugin.sh", &script);
    let path = stage.bench.path("plugin.sh");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).expect("it is ours");
    let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "command": path.display().to_string(),
        "args": [argument], "env": [{"name": "SECRET", "value": variable}], "interactiveMode": "Never"});
    (token, json!({"exec": exec}))
}

#[test]
fn output_of_an_exec_plugin_is_not_repeated() {
    let works = "CREDENTIAL";
    for (last, code) in [
        (works, 0),
        ("echo TOKEN; exit 1", 4),
        ("echo TOKEN", 4),
        ("echo '{\"status\": {\"token\": \"TOKEN'", 4),
        ("echo '{\"status\": {\"token\": [\"TOKEN\"]}}'", 4),
        ("echo '{\"status\": {\"token\": \"TOKEN\\u0007\"}}'", 4),
        ("echo '{\"status\": {\"clientCertificateData\": \"TOKEN\", \"clientKeyData\": \"TOKEN\"}}'", 4),
        ("kill -9 $$", 4),
    ] {
        let mut stage = Stage::new();
        let (token, user) = plugin(&mut stage, last);
        stage.welcome(&token);
        stage.kubeconfig(&user, |_| {});
        stage.runs(code, &["plan", "--format", "json", "-o", "plan.json"]);
        stage.runs(if code == 0 { 2 } else { code }, &["drift", "--confirm-after", "0s"]);
        stage.runs(code, &["apply", "--auto-approve"]);
        assert!(stage.bench.read("plugin.sh.log").contains("called"), "{last}");
        if last == works {
            stage.token_was_used();
        }
        stage.search("plan.json", &stage.bench.read("plan.json"));
    }
    told("exec plugins");
}

/// Messages in which a service may repeat a secret.
fn echoes(canary: &str) -> Vec<String> {
    vec![
        format!("you sent {canary}, which may not do this"),
        format!("x-amz-security-token:{canary}\nhost"),
        format!("Authorization: Bearer {canary}"),
        format!("https://sts.amazonaws.com/?X-Amz-Security-Token={}", form_urlencoded(canary)),
        format!("({canary})"),
        format!("{}{canary}", "x".repeat(990)),
    ]
}

#[test]
fn secret_in_an_aws_answer_is_not_repeated() {
    let stage = Stage::new();
    for what in ["access key id", "secret key", "session token"] {
        for echo in echoes(&stage.canaries[what]) {
            for (action, arguments, code) in [
                ("GetCallerIdentity", &["plan", "--format", "json"][..], 4),
                ("ListRoles", &["plan", "-o", "plan.json"], 0),
                ("ListOpenIDConnectProviders", &["drift", "--confirm-after", "0s"], 4),
                ("CreateRole", &["apply", "--auto-approve", "--format", "json"], 6),
            ] {
                let service = if action == "GetCallerIdentity" { "sts" } else { "iam" };
                let said = Refusal::new(403, "AccessDenied", &echo);
                let fault = |fault| {
                    stage.world.with(|sandbox| {
                        sandbox.gate().heal();
                        sandbox.gate().fault(At::Before, Match::on(service, action), fault, None);
                    });
                };
                fault(Fault::Refuse(said));
                let run = stage.bench.irsa(arguments);
                stage.search(&run.to_string(), &run.to_string());
                assert!(run.code == code || code == 6 && run.code == 1, "{run}");
                if code != 0 {
                    run.says(action);
                }
            }
        }
    }
    stage.world.allow_all();
    stage.session_was_used();
    stage.search("plan.json", &stage.bench.read("plan.json"));
    told("what AWS says");
}

#[test]
fn secret_in_a_kubernetes_answer_is_not_repeated() {
    let mut stage = Stage::new();
    let token = stage.canary("bearer token");
    stage.welcome(&token);
    stage.kubeconfig(&with_token(&token), |_| {});
    stage.bench.ends(0, &["plan"]);
    stage.token_was_used();
    let cluster = stage.world.cluster("main");
    for echo in echoes(&token) {
        for code in [401, 403, 409, 422] {
            for (verb, arguments) in [
                ("list", &["plan", "-o", "plan.json"][..]),
                ("patch", &["apply", "--auto-approve", "--format", "json"]),
            ] {
                cluster.gate().heal();
                let refusal =
                    kubernetes::Refusal::new(code, "Forbidden", &*echo).cause("FieldManagerConflict", &echo, &echo);
                let refused = kubernetes::Fault::Refuse(refusal);
                cluster.gate().fault(At::Before, kubernetes::Match::on(verb, "serviceaccounts"), refused, None);
                let run = stage.bench.irsa(arguments);
                stage.search(&run.to_string(), &run.to_string());
                // after a refused list, irsa can still read in another way
                assert!(run.code != 0 || verb == "list", "{run}");
                stage.search("plan.json", &stage.bench.read("plan.json"));
            }
        }
    }
    told("what a cluster says");
}

/// Makes the body of the mirror's answer from the head of the request.
type Body = fn(&str) -> String;

/// A server that answers every request with an error that repeats the request's headers.
struct Mirror {
    port: u16,
}

impl Mirror {
    fn start(status: &'static str, body: Body) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        // the thread waits for the next client until the process ends
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || reflect(stream, status, body));
            }
        });
        Self { port }
    }
}

fn reflect(mut stream: TcpStream, status: &str, body: Body) {
    // drops a client that sends nothing
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let body = body(&String::from_utf8_lossy(&head));
    let length = body.len();
    // a client that has gone does not read the answer
    let _ = stream.write_all(
        format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\nx-amzn-requestid: {}\r\n\r\n{body}",
            "id"
        )
        .as_bytes(),
    );
}

fn in_xml(head: &str) -> String {
    let text = head.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{text}</Message></Error></ErrorResponse>"
    )
}

fn in_status(head: &str) -> String {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": head, "reason": head}).to_string()
}

#[test]
fn credentials_mirrored_by_a_server_are_not_repeated() {
    let bodies: [(&'static str, Body); 5] = [
        ("403 Forbidden", in_xml),
        ("403 Forbidden", in_status),
        ("403 Forbidden", str::to_owned),
        ("500 Internal Server Error", str::to_owned),
        ("200 OK", str::to_owned),
    ];
    for (status, body) in bodies {
        let mirror = Mirror::start(status, body);
        let address = format!("http://127.0.0.1:{}", mirror.port);
        for variable in ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_EKS"] {
            let mut stage = Stage::new();
            stage.bench.set(variable, &address);
            for run in stage.runs(4, &["plan", "--timeout", "1s"]) {
                assert!(!run.stdout.is_empty() || !run.stderr.is_empty(), "{run}");
            }
        }
        let mut stage = Stage::new();
        let token = stage.canary("bearer token");
        stage.kubeconfig(&with_token(&token), |file| file["clusters"][0]["cluster"] = json!({"server": address}));
        stage.declare("kubernetes = { context = \"main\", unverified = true }");
        stage.runs(4, &["plan", "--timeout", "1s"]);
    }
    told("mirrors");
}

#[test]
fn password_in_a_url_is_not_printed() {
    let closed = || format!("127.0.0.1:{}", free_port());
    for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_EKS", "HTTP_PROXY", "http_proxy"] {
        let mut stage = Stage::new();
        let password = stage.canary("password in an address");
        let (address, timeout) = (format!("http://user:{password}@{}", closed()), ["--timeout", "1s"]);
        stage.bench.set(variable, &address);
        if variable.to_ascii_lowercase().ends_with("proxy") {
            stage.bench.set("AWS_ENDPOINT_URL", "http://127.0.0.2:9");
        }
        stage.runs(4, &["plan", timeout[0], timeout[1]]);
        // not a URL at all
        stage.bench.set(variable, &format!("http://user:{password}@[::bad"));
        stage.runs(4, &["plan", timeout[0], timeout[1]]);
    }
    for field in ["server", "proxy-url"] {
        for scheme in ["https", "http", "socks5", "nonsense"] {
            let mut stage = Stage::new();
            let password = stage.canary("password in an address");
            let token = stage.canary("bearer token");
            stage.welcome(&token);
            let address = format!("{scheme}://user:{password}@{}", closed());
            stage.kubeconfig(&with_token(&token), |file| file["clusters"][0]["cluster"][field] = json!(address));
            stage.runs(4, &["plan", "--timeout", "1s"]);
        }
    }
    told("addresses");
}

#[test]
fn files_with_credentials_are_not_quoted() {
    let credentials = |stage: &mut Stage, text: &str| {
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            stage.bench.set(name, "");
        }
        stage.bench.write(".aws/credentials", text);
    };
    for text in [
        "[default]\naws_access_key_id = KEY\naws_secret_access_key = SECRET\n",
        "[default]\naws_access_key_id = KEY\n",
        "[default\naws_access_key_id = KEY\naws_secret_access_key = SECRET\n",
        "[default]\nKEY\nSECRET\n",
        "[default]\n= SECRET\n",
        "aws_secret_access_key = SECRET\n",
        "[default]\ncredential_process = sh -c 'echo KEY SECRET >&2; echo KEY SECRET; exit 1'\n",
        "[default]\ncredential_process = sh -c 'echo KEY SECRET'\n",
        "[default]\ncredential_process = no-such-program KEY SECRET\n",
        "[default]\ncredential_process = echo '{\"Version\": 1, \"AccessKeyId\": \"KEY\", \"SecretAccessKey\": [\"SECRET\"]}'\n",
    ] {
        let mut stage = Stage::new();
        let (key, secret) = (stage.canary("file's key id"), stage.canary("file's secret"));
        credentials(&mut stage, &text.replace("KEY", &key).replace("SECRET", &secret));
        stage.runs(4, &["plan", "--timeout", "1s"]);
    }
    // the token of a pod
    let mut stage = Stage::new();
    let token = stage.canary("web identity token");
    credentials(&mut stage, "");
    stage.bench.write("token", &token);
    let path = stage.bench.path("token").display().to_string();
    stage.bench.set("AWS_WEB_IDENTITY_TOKEN_FILE", &path);
    stage.bench.set("AWS_ROLE_ARN", ADMINISTRATOR);
    stage.runs(4, &["plan", "--timeout", "1s"]);
    let log = stage.world.with(|sandbox| sandbox.log());
    assert!(log.iter().any(|record| record.call.body.contains(&token)), "it was sent");
    // a file that is no kubeconfig
    for text in ["users: [{name: main, user: {token: TOKEN", "TOKEN", "- token: TOKEN\n  x\n", "users: TOKEN"] {
        let mut stage = Stage::new();
        let token = stage.canary("bearer token");
        stage.kubeconfig(&with_token(&token), |_| {});
        stage.bench.write("kubeconfig", &text.replace("TOKEN", &token));
        stage.runs(4, &["plan", "--timeout", "1s"]);
    }
    // a token in a file, a token that no HTTP header can hold, and a password
    for user in [
        json!({"tokenFile": "secret"}),
        json!({"token": "SECRET\u{7}"}),
        json!({"username": "me", "password": "SECRET"}),
        json!({"client-certificate-data": "SECRET", "client-key-data": "SECRET"}),
        json!({"client-certificate-data": "U0VDUkVU", "client-key-data": "SECRET=="}),
    ] {
        let mut stage = Stage::new();
        let secret = stage.canary("kubeconfig's secret");
        let file = stage.bench.path("secret").display().to_string();
        stage.bench.write("secret", &secret);
        let user: Value = serde_json::from_str(
            &user.to_string().replace("SECRET", &secret).replace("\"secret\"", &format!("{file:?}")),
        )
        .expect("JSON");
        stage.kubeconfig(&user, |_| {});
        for run in stage.runs(4, &["plan", "--timeout", "1s"]) {
            run.says("cluster/main");
        }
    }
    told("files");
}

/// A secret in a policy document was put there by the user: irsa shows it like the rest of the document, and nowhere
/// else.
#[test]
fn policy_document_is_shown_as_it_is() {
    let mut stage = Stage::new();
    let canary = stage.canary("word in a document");
    let inline = format!(
        "[roles.app.inline.own]\nstatements = [{{ actions = [\"s3:GetObject\"], resources = [\"arn:aws:s3:::{canary}/*\"] }}]\n"
    );
    stage.bench.write("irsa.toml", &format!("owner = \"me\"\n[clusters.main]\n{}{inline}", role("app")));
    let plan = stage.bench.ends(0, &["plan", "-vvv"]);
    assert!(plan.stdout.contains(&canary), "{plan}");
    stage.search("stderr", &plan.stderr);
    let apply = stage.bench.ends(0, &["apply", "--auto-approve", "--format", "json", "-vvv"]);
    stage.search("the report", &apply.to_string());
}

/// The `Debug` output of the public types.
#[test]
fn debug_output_has_no_secrets() {
    use irsa::context::Context;
    use irsa::event::Silence;
    use irsa::world::aws::{AwsReader, AwsSettings, EksToken};
    let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HTTPS_PROXY", "OTHER"];
    let canary = "canary0123456789";
    let environment = names.map(|name| (name.to_owned(), canary.to_owned())).into();
    let context = Context::fixed(environment, 0, 1);
    assert_eq!(context.variable("OTHER"), Some(canary));
    let settings = AwsSettings { timeout: Duration::from_secs(1), parallelism: 1 };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let none = (BTreeMap::new(), BTreeMap::new());
    let reader = runtime.block_on(AwsReader::connect(
        &context,
        &irsa::world::Transports::default(),
        &none.0,
        &none.1,
        settings,
        std::sync::Arc::new(Silence),
    ));
    let token = EksToken { token: canary.to_owned().into(), expires: 0 };
    for text in [
        format!("{context:?}"),
        format!("{context:#?}"),
        format!("{reader:?}"),
        format!("{:?}", reader.writer()),
        format!("{token:?}"),
        format!("{settings:?}"),
    ] {
        assert!(!text.contains("canary"), "{text}");
    }
}
