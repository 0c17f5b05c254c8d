//! A real kube-apiserver with its etcd, from `KUBEBUILDER_ASSETS` or PATH, started as envtest does
//! (<https://book.kubebuilder.io/reference/envtest>): with RBAC, a ServiceAccount issuer and keys, and a token file;
//! without controllers.

use super::standin::free_port;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running API server. Dropping it ends the API server and its etcd.
pub(crate) struct ApiServer {
    /// etcd first, then the API server.
    children: Vec<Child>,
    folder: tempfile::TempDir,
    program: PathBuf,
    etcd: u16,
    pub(crate) port: u16,
    pub(crate) authority_pem: String,
    pub(crate) issuer: String,
}

/// The tokens in its token file, and their users.
pub(crate) const ADMIN: &str = "admin-token";
pub(crate) const LIMITED: &str = "limited-token";

/// The paths of the two programs, if this machine has them.
pub(crate) fn assets() -> Option<(PathBuf, PathBuf)> {
    let folders: Vec<PathBuf> = match std::env::var_os("KUBEBUILDER_ASSETS") {
        Some(folder) => vec![folder.into()],
        None => std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect(),
    };
    let find = |name: &str| folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    Some((find("etcd")?, find("kube-apiserver")?))
}

/// Reports a skipped test on stderr directly, so that the test runner does not capture it.
pub(crate) fn skipped(what: &str) {
    let line = format!("skipped: {what}: no kube-apiserver and etcd in KUBEBUILDER_ASSETS or PATH\n");
    // a closed stderr does not matter
    let _ = std::io::stderr().write_all(line.as_bytes());
}

impl ApiServer {
    /// Starts a server. `name` is a part of its issuer.
    pub(crate) fn start((etcd, apiserver): &(PathBuf, PathBuf), name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (authority_pem, port) = (identity(folder.path()), free_port());
        let issuer = format!("https://oidc.example.com/{name}");
        let (program, etcd_port) = (apiserver.clone(), free_port());
        let mut server = Self { children: Vec::new(), folder, program, etcd: etcd_port, port, authority_pem, issuer };
        let etcd_url = server.etcd_url();
        server.run(
            "etcd",
            Command::new(etcd).args([
                format!("--data-dir={}", server.path("etcd")),
                format!("--listen-client-urls={etcd_url}"),
                format!("--advertise-client-urls={etcd_url}"),
                format!("--listen-peer-urls=http://127.0.0.1:{}", free_port()),
                "--unsafe-no-fsync=true".to_owned(),
            ]),
        );
        let users = format!("{ADMIN},admin,admin,\"system:masters\"\n{LIMITED},limited,limited\n");
        fs::write(server.path("tokens.csv"), users).expect("it is writable");
        server.start_program();
        server
    }

    /// Starts the API server on its port, with the content of its etcd.
    pub(crate) fn start_program(&mut self) {
        let mut command = Command::new(&self.program);
        command.args([
            format!("--etcd-servers={}", self.etcd_url()),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", self.port),
            format!("--tls-cert-file={}", self.path("tls.crt")),
            format!("--tls-private-key-file={}", self.path("tls.key")),
            format!("--cert-dir={}", self.path("certificates")),
            format!("--token-auth-file={}", self.path("tokens.csv")),
            "--authorization-mode=RBAC".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            format!("--service-account-issuer={}", self.issuer),
            format!("--service-account-key-file={}", self.path("tokens.pub")),
            format!("--service-account-signing-key-file={}", self.path("tokens.key")),
        ]);
        self.run("kube-apiserver", &mut command);
    }

    fn etcd_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.etcd)
    }

    /// Kills the API server without a clean shutdown. etcd continues.
    pub(crate) fn kill_program(&mut self) {
        if let Some(mut child) = self.children.pop() {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        }
    }

    /// Makes etcd compact all revisions before the current one
    /// (<https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/>).
    pub(crate) fn compact(&self) {
        // this write makes everything that was read so far belong to an earlier revision
        let written = self.ask_etcd("put", &json!({"key": STANDARD.encode("/it/compacted"), "value": ""}));
        self.ask_etcd("compaction", &json!({"revision": written["header"]["revision"]}));
    }

    fn ask_etcd(&self, what: &str, body: &Value) -> Value {
        let body = body.to_string();
        let head = format!("Host: etcd\r\nConnection: close\r\nContent-Length: {}", body.len());
        let mut stream = TcpStream::connect(("127.0.0.1", self.etcd)).expect("etcd listens");
        write!(stream, "POST /v3/kv/{what} HTTP/1.1\r\n{head}\r\n\r\n{body}").expect("etcd reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("etcd answers");
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(body).expect("JSON")
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn run(&mut self, name: &str, command: &mut Command) {
        let log = fs::File::options().create(true).append(true).open(self.path(&format!("{name}.log")));
        let log = log.expect("it is writable");
        let errors = log.try_clone().expect("a second handle");
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        self.children.push(child.unwrap_or_else(|error| panic!("{name} does not start: {error}")));
    }

    /// `https://127.0.0.1:PORT`
    pub(crate) fn endpoint(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Waits until `ready` returns true. Panics with the log if one of the two processes ends.
    pub(crate) fn wait(&mut self, mut ready: impl FnMut() -> bool) {
        let begin = Instant::now();
        while !ready() {
            for (child, name) in self.children.iter_mut().zip(["etcd", "kube-apiserver"]) {
                if let Ok(Some(status)) = child.try_wait() {
                    let log = fs::read_to_string(self.folder.path().join(format!("{name}.log"))).unwrap_or_default();
                    let tail: Vec<&str> = log.lines().rev().take(30).collect();
                    panic!("{name} ended: {status}\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
                }
            }
            assert!(begin.elapsed() < Duration::from_mins(2), "kube-apiserver was not ready within two minutes");
            // a separate process runs in real time: a paused clock does not help
            std::thread::park_timeout(Duration::from_millis(200));
        }
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            // the process has nothing to save, and may have ended already
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Writes a serving certificate for 127.0.0.1 and a key for tokens. Returns the certificate authority.
fn identity(folder: &Path) -> String {
    let key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.distinguished_name.push(DnType::CommonName, "envtest");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let authority_pem = authority.self_signed(&key).expect("an authority").pem();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("two names");
    params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    let tokens = KeyPair::generate().expect("a key");
    for (name, text) in [
        ("tls.crt", certificate.pem()),
        ("tls.key", key.serialize_pem()),
        ("tokens.key", tokens.serialize_pem()),
        // the API server reads the key that verifies tokens as SEC1 or as a public key, never as PKCS#8
        ("tokens.pub", tokens.public_key_pem()),
    ] {
        fs::write(folder.join(name), text).expect("it is writable");
    }
    authority_pem
}
