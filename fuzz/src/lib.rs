//! What holds for any bytes that come from outside: one function for each door of the program.
//!
//! Each takes bytes and panics where something does not hold, so that a fuzzer can call it, and `tests/it/corpus.rs`,
//! which includes this file, can as well.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use irsa::config::Identities;
use irsa::context::Context;
use irsa::event::Silence;
use irsa::ids::{
    AccountId, ClusterName, IamPath, IssuerUrl, Key, Namespace, Partition, PolicyArn, PolicyName, ProviderArn, Region,
    RoleArn, RoleName, ServiceAccountName,
};
use irsa::model::address::Address;
use irsa::model::desired::Account;
use irsa::plan::file::{FORMAT_VERSION, FileError};
use irsa::plan::{ConfigKeys, PlanV2};
use irsa::policy::document::PolicyKind;
use irsa::policy::{ParseError, PolicyDocument};
use irsa::render::{self, Style};
use irsa::view::{Detail, PlanView};
use irsa::world::aws::{AwsReader, AwsSettings};
use irsa::world::{Answer, CallError, CallErrorKind, ReadAws, RoleAttributes, Transports, kubernetes};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A target: what holds for any bytes.
pub type Target = fn(&[u8]);

/// Every target, by the name of its corpus.
pub const TARGETS: [(&str, Target); 8] = [
    ("address", address),
    ("answer", answer),
    ("config", config),
    ("issuer", issuer),
    ("percent", percent),
    ("plan", plan),
    ("policy", policy),
    ("template", template),
];

/// A configuration is read in the same way every time, and all that is said of it can be printed.
pub fn config(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("irsa.toml"), data).expect("the file is written");
    resolves_alike(folder.path());
}

/// A policy file with a template in it is filled in, or refused in its place; one without is taken as it is.
pub fn template(data: &[u8]) {
    let configuration = "version = 1\nowner = \"fuzz\"\n\n[clusters.a]\n\n[roles.r]\nservice-accounts = [\"n/s\"]\n\
                         \n[roles.r.inline.p]\nfile = \"p.json\"\n";
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("irsa.toml"), configuration).expect("the file is written");
    std::fs::write(folder.path().join("p.json"), data).expect("the file is written");
    let Some(documents) = resolves_alike(folder.path()) else { return };
    let written = std::str::from_utf8(data).expect("what is taken is text");
    for document in documents {
        assert!(document.is_parsed());
        if !["{{", "{%", "{#"].iter().any(|mark| written.contains(mark)) {
            assert_eq!(document, PolicyDocument::live(written));
        }
    }
}

/// The inline policies of a configuration that is taken.
fn resolves_alike(folder: &Path) -> Option<Vec<PolicyDocument>> {
    let resolve = || irsa::config::load(&folder.join("irsa.toml"))?.resolve(&Identities::default());
    let outcome = resolve();
    assert_eq!(outcome, resolve());
    match outcome {
        Ok(desired) => {
            for role in desired.roles.values() {
                assert!(desired.accounts.contains_key(&role.account));
                assert!(role.bindings.iter().all(|binding| desired.clusters.contains_key(&binding.cluster)));
            }
            let inline = desired.roles.into_values().flat_map(|role| role.inline);
            Some(inline.map(|(_, document)| document).collect())
        }
        Err(diagnostics) => {
            assert!(!diagnostics.list().is_empty());
            let mut told = Vec::new();
            diagnostics.render(&mut told, false).expect("memory takes all");
            printable(&String::from_utf8(told).expect("text"));
            diagnostics.to_json();
            None
        }
    }
}

/// Nothing that a terminal would obey.
fn printable(text: &str) {
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
}

/// A policy is read alike live and declared, and is itself when it is written again.
pub fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let live = PolicyDocument::live(text);
    assert_eq!(live, PolicyDocument::live(text));
    assert_eq!(live.is_parsed(), live.problem().is_none());
    assert_eq!(live.is_parsed(), !live.statements().is_empty());
    live.federated_issuers();
    if is_plain(text) {
        assert_eq!(live, PolicyDocument::live(&encoded(text.as_bytes())));
        assert_eq!(live.text(), text);
    }
    if live.is_parsed() {
        let minified = live.minified();
        assert_eq!(live, PolicyDocument::live(&minified));
        assert_eq!(PolicyDocument::live(&minified).minified(), minified);
        assert_eq!(live.to_value(), serde_json::from_str::<Value>(&minified).expect("JSON"));
        assert!(live.size() <= minified.chars().count());
        assert_eq!(PolicyDocument::from_statements(live.statements()).statements(), live.statements());
        for issuer in live.federated_issuers() {
            assert!(live.federated_providers().iter().any(|provider| provider.ends_with(&issuer)));
        }
    }
    for kind in [PolicyKind::Permissions, PolicyKind::Trust] {
        let problems = PolicyDocument::problems(text, kind);
        match PolicyDocument::parse(text, kind) {
            Ok(declared) => {
                assert!(problems.is_empty() && declared.is_parsed());
                assert_eq!(declared, PolicyDocument::live(declared.text()));
            }
            Err(error) => {
                assert_eq!(problems.first(), Some(&error));
                for problem in &problems {
                    placed(problem, text);
                }
            }
        }
    }
}

/// An error stands in the text, or right behind it.
fn placed(error: &ParseError, text: &str) {
    assert!(!error.message.is_empty());
    let (line, column) = error.position.expect("text has positions");
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let found = text.split('\n').nth(line - 1).expect("the line is there");
    assert!((1..=found.chars().count() + 1).contains(&column), "{error:?}");
}

/// As IAM encodes: everything but letters, digits and `-_.~`.
fn encoded(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(*byte)),
            _ => write!(out, "%{byte:02X}").expect("memory takes all"),
        }
    }
    out
}

/// Percent-encoding is taken off once, and never makes two texts the same.
pub fn percent(data: &[u8]) {
    // whatever was encoded comes back, if it is text
    let once = encoded(data);
    let expected = std::str::from_utf8(data).unwrap_or(&once);
    assert_eq!(PolicyDocument::live(&once).text(), expected);
    let Ok(text) = std::str::from_utf8(data) else { return };
    let expected = if is_plain(text) { text.to_owned() } else { decoded(text) };
    assert_eq!(PolicyDocument::live(text).text(), expected);
}

/// Whether a document is not encoded: it begins as JSON does, perhaps behind a byte order mark.
fn is_plain(text: &str) -> bool {
    text.strip_prefix('\u{feff}').unwrap_or(text).trim_start().starts_with('{')
}

/// The text with every `%XX` as the byte that it stands for; as it is if that makes no text.
fn decoded(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).expect("two digits are a byte"));
                at += 3;
            }
            (byte, _, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// A plan file is taken as it was written or not at all, and whatever it holds can be shown.
pub fn plan(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match PlanV2::read(text) {
        Ok(file) => {
            assert_eq!(file.to_text(), text);
            assert!(PlanV2::read(&format!("{text} ")).is_err());
            assert!(PlanV2::read(&text.replacen("\"owner\": \"", "\"owner\": \"x", 1)).is_err());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    // someone who knows how the digests are made
    let Ok(mut file) = serde_json::from_str::<PlanV2>(text) else { return };
    FORMAT_VERSION.clone_into(&mut file.format_version);
    seal(&mut file);
    let sealed = file.to_text();
    printable(&sealed);
    match PlanV2::read(&sealed) {
        // only the counts are made anew
        Ok(read) => {
            let counted = PlanV2 {
                summary: read.summary.clone(),
                complete: read.complete,
                digest: read.digest.clone(),
                ..file.clone()
            };
            assert_eq!(read, counted);
            assert_eq!(PlanV2::read(&read.to_text()).as_ref(), Ok(&read));
        }
        Err(error) => assert!(matches!(error, FileError::Contradiction(_)), "{error}"),
    }
    let view = PlanView::of(&file, Detail::Usual, &ConfigKeys::default());
    let shown = |show: &dyn Fn(&mut Vec<u8>) -> std::io::Result<()>| {
        let mut out = Vec::new();
        show(&mut out).expect("memory takes all");
        printable(&String::from_utf8(out).expect("text"));
    };
    shown(&|out| render::terminal::plan(&view, &Style::plain().with_width(Some(60)), out));
    shown(&|out| render::markdown::plan(&view, out));
    shown(&|out| render::github::plan(&view, out));
    shown(&|out| render::html::plan(&view, out));
    shown(&|out| render::json::plan(&file, out));
    shown(&|out| render::jsonl::plan(&file, out));
}

/// Makes the digests of a plan file anew.
pub fn seal(file: &mut PlanV2) {
    let sha256 = |text: &str| {
        let bytes = Sha256::digest(text);
        bytes.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
    };
    let json = |value: Result<String, serde_json::Error>| value.expect("JSON");
    let changes = file.changes.iter().map(|change| {
        let refused = file.refused.iter().any(|item| item.address == change.address);
        let refused = if refused { r#","refused":true"# } else { "" };
        let [address, action] = [&change.address, &change.action].map(|text| json(serde_json::to_string(text)));
        let [before, after] = [&change.before, &change.after].map(|side| json(serde_json::to_string(side)));
        let fields = json(serde_json::to_string(&change.fields));
        format!(
            r#"{{"address":{address},"action":{action},"before":{before},"after":{after},"fields":{fields}{refused}}}"#
        )
    });
    let changes: Vec<String> = changes.collect();
    let [owner, config] = [&file.owner, &file.config_digest].map(|text| json(serde_json::to_string(text)));
    let options = json(serde_json::to_string(&file.options));
    let changes = changes.join(",");
    let asked = format!(r#"{{"owner":{owner},"config-digest":{config},"options":{options},"changes":[{changes}]}}"#);
    file.plan_digest = sha256(&asked);
    file.digest.clear();
    file.digest = sha256(&json(serde_json::to_string(file)));
}

/// What a name is taken for says itself again, and an ARN is made of its parts.
pub fn address(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(address) = text.parse::<Address>() {
        assert_eq!(address.to_string(), text);
    }
    let names = [
        Key::parse(text).map(|name| name.to_string()),
        AccountId::parse(text).map(|name| name.to_string()),
        Partition::parse(text).map(|name| name.to_string()),
        Region::parse(text).map(|name| name.to_string()),
        RoleName::parse(text).map(|name| name.to_string()),
        PolicyName::parse(text).map(|name| name.to_string()),
        IamPath::parse(text).map(|name| name.to_string()),
        ClusterName::parse(text).map(|name| name.to_string()),
        Namespace::parse(text).map(|name| name.to_string()),
        ServiceAccountName::parse(text).map(|name| name.to_string()),
        ProviderArn::parse(text).map(|name| name.to_string()),
    ];
    for name in names.into_iter().flatten() {
        assert_eq!(name, text);
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
    }
    if let Ok(arn) = RoleArn::parse(text) {
        let (partition, account) = (arn.partition(), AccountId::parse(arn.account()).expect("an account"));
        let name = RoleName::parse(arn.name()).expect("a name");
        let path = path_of(text, &format!("arn:{partition}:iam::{account}:role"), name.as_str());
        if let Ok(path) = IamPath::parse(path) {
            let partition = Partition::parse(partition).expect("a partition");
            assert_eq!(RoleArn::of(&partition, &account, &path, &name).as_str(), text);
        }
    }
    if let Ok(arn) = PolicyArn::parse(text) {
        let name = PolicyName::parse(arn.name()).expect("a name");
        let path = path_of(text, &format!("arn:{}:iam::{}:policy", arn.partition(), arn.account()), name.as_str());
        let partition = Partition::parse(arn.partition()).expect("a partition");
        match AccountId::parse(arn.account()) {
            Ok(account) => {
                if let Ok(path) = IamPath::parse(path) {
                    assert_eq!(PolicyArn::of(&partition, &account, &path, &name).as_str(), text);
                }
            }
            Err(_) => assert_eq!(arn.account(), "aws"),
        }
    }
}

/// What stands between the head of an ARN and the name at its end.
fn path_of<'a>(arn: &'a str, head: &str, name: &str) -> &'a str {
    let path = arn.strip_prefix(head).and_then(|rest| rest.strip_suffix(name)).expect("an ARN is made of its parts");
    assert!(path.starts_with('/') && path.ends_with('/'), "{arn}");
    path
}

/// An issuer is the one of its provider and of no other.
pub fn issuer(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(issuer) = IssuerUrl::parse(text) else { return };
    assert_eq!(issuer.as_str(), text);
    assert_eq!(format!("https://{}", issuer.host_path()), text);
    let partition = Partition::parse("aws").expect("a partition");
    let account = AccountId::parse("111122223333").expect("an account");
    let provider = ProviderArn::of(&partition, &account, &issuer);
    assert_eq!(provider.host_path(), issuer.host_path());
    assert_eq!(ProviderArn::parse(provider.as_str()).as_ref(), Ok(&provider));
    assert_eq!(provider.account(), "111122223333");
    // as a key of a trust policy it is one word
    let host = issuer.host_path().split('/').next().expect("a host");
    assert!(!host.is_empty() && !host.contains(':'), "{text}");
    let arn = provider.as_str();
    let trust = format!(r#"{{"Statement":{{"Effect":"Allow","Action":"sts:*","Principal":{{"Federated":"{arn}"}}}}}}"#);
    let issuers: Vec<String> = PolicyDocument::live(&trust).federated_issuers().into_iter().collect();
    // a backslash is an escape in JSON, and no issuer needs one
    if !text.contains('\\') {
        assert_eq!(issuers, [issuer.host_path()]);
    }
}

/// An answer of a service is a role, no role, or an error that can be printed and says no secret; the first two bytes
/// are its status.
pub fn answer(data: &[u8]) {
    let Some((status, body)) = data.split_first_chunk::<2>() else { return };
    let status = 200 + u16::from_be_bytes(*status) % 400;
    // planted where a service repeats what was sent
    let secret = "AKIAIOSFODNN7EXAMPLE";
    let body: Vec<u8> = String::from_utf8_lossy(body).replace("SECRET", &format!(" {secret} ")).into_bytes();
    let read = || role(status, &body);
    let told = read();
    assert_eq!(told, read());
    match &told {
        Ok(Some(head)) => {
            assert!(status < 400, "{head:?}");
            let name = head.summary.name.as_str();
            assert!(RoleName::parse(name).is_ok());
        }
        // only the word of IAM says that a role is not there
        Ok(None) => {
            assert!(status >= 300 && String::from_utf8_lossy(&body).contains("NoSuchEntity"), "{status}");
        }
        Err(error) => said(error, secret),
    }
    if status >= 400 {
        let error = kubernetes::parse_error_response(status, &body);
        said(&error, secret);
        if error.kind == CallErrorKind::NotFound {
            let body = serde_json::from_slice::<Value>(&body).expect("only a `Status` says it").to_string();
            assert!(body.contains("NotFound") || body.contains("NamespaceTerminating"), "{status} {body}");
        }
    }
}

/// Returns the same response to every request.
#[derive(Debug, Clone)]
struct Canned {
    status: u16,
    body: Vec<u8>,
}

impl HttpConnector for Canned {
    fn call(&self, _request: HttpRequest) -> HttpConnectorFuture {
        let status = self.status.try_into().expect("a status");
        let mut response = HttpResponse::new(status, SdkBody::from(self.body.clone()));
        response.headers_mut().insert("x-amzn-requestid", "request-1");
        HttpConnectorFuture::ready(Ok(response))
    }
}

/// What irsa reads from a response to iam:GetRole. The clock is paused, so retries take no time.
fn role(status: u16, body: &[u8]) -> Answer<Option<RoleAttributes>> {
    let canned = Canned { status, body: body.to_vec() };
    let credentials = Credentials::new("AKIDNOBODY", "nothing", None, None, "fuzz");
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(canned.clone())))
        .build();
    let transports = Transports { aws: Some(sdk), ..Transports::default() };
    let account = Account {
        declared_id: None,
        id: AccountId::parse("111122223333").expect("an id"),
        partition: Partition::parse("aws").expect("a partition"),
        profile: None,
        assume_role: None,
        external_id: None,
        origin: None,
    };
    let (key, name) = (Key::parse("fuzz").expect("a key"), RoleName::parse("app").expect("a name"));
    let accounts = BTreeMap::from([(key.clone(), account)]);
    let context = Context::fixed(BTreeMap::new(), 0, 1);
    // longer than the SDK's own retries, so that the service's error is the last one
    let settings = AwsSettings { timeout: Duration::from_secs(10), parallelism: 1 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let listen = Arc::new(Silence);
        let reader = AwsReader::connect(&context, &transports, &accounts, &BTreeMap::new(), settings, listen).await;
        reader.role_attributes(&key, &name).await
    })
}

fn said(error: &CallError, secret: &str) {
    let text = error.to_string();
    printable(&text);
    assert!(!text.contains(secret), "{text}");
    assert!(!text.contains('\n') && text.len() < 4_000, "{text}");
}
