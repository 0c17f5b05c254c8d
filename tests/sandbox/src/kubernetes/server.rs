//! A Kubernetes API server for one cluster: an object store served over TLS and HTTP on a loopback port.
//!
//! For each request the server parses it, authenticates and authorizes the user, passes the gate, executes the request
//! in one step under the store's lock, passes the gate again and answers.

use crate::gate::{GatedRequest, Passed, Stage, Stale};
use crate::kubernetes::access::{self, Access, Authenticate, Directory, User};
use crate::kubernetes::gate::{Call, Gate};
use crate::kubernetes::issuer::{Issuer, IssuerKey};
use crate::kubernetes::route::Request;
use crate::kubernetes::status::Refusal;
use crate::kubernetes::store::{Clock, Store};
use crate::kubernetes::tls;
use crate::kubernetes::token;
use crate::kubernetes::verbs::{self, Answer, Body, RequestParts};
use crate::kubernetes::watch::Watch;
use crate::wire::{self, ClosablePort, Lost, Payload, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT, WARNING};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// How long a deleted namespace stays `Terminating` before its controller deletes the contents.
const TERMINATION_TIME: Duration = Duration::from_secs(1);

/// The largest request body that kube-apiserver accepts.
const MAX_BODY: usize = 3 * 1024 * 1024;

/// How to set up a cluster.
#[derive(Clone)]
pub struct ClusterOptions {
    /// The cluster's name, which is also the name of its kubeconfig context.
    pub name: String,
    /// The issuer URL of the cluster's ServiceAccount tokens.
    pub issuer: String,
    /// The port on 127.0.0.1; 0 picks a free one.
    pub port: u16,
    /// The users of static bearer tokens, by token.
    pub tokens: BTreeMap<String, User>,
    /// Authenticates any other token.
    pub authenticate: Option<Authenticate>,
    /// The permissions of users that `authenticate` returns, by user name.
    pub access: BTreeMap<String, Access>,
    /// The permissions of users that `authenticate` returns but `access` does not list.
    pub otherwise: Access,
    /// The time source.
    pub clock: Clock,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            name: "cluster".to_owned(),
            issuer: "https://oidc.example.com/cluster".to_owned(),
            port: 0,
            tokens: BTreeMap::from([("admin-token".to_owned(), User::admin("admin"))]),
            authenticate: None,
            access: BTreeMap::new(),
            otherwise: Access::All,
            clock: Arc::new(jiff::Timestamp::now),
        }
    }
}

impl fmt::Debug for ClusterOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterOptions").field("name", &self.name).field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

struct Shared {
    issuer: Issuer,
    directory: Mutex<Directory>,
    store: Mutex<Store>,
    stale: Mutex<Stale<Store>>,
    stale_reads: AtomicU32,
    gate: Gate,
}

impl Shared {
    /// Authenticates a bearer token.
    fn user(&self, token: &str) -> Option<User> {
        let directory = || self.directory.lock().unwrap_or_else(PoisonError::into_inner);
        // Hold only one lock at a time: code that holds the store's lock may change what users may do.
        let known = directory().user(token);
        known.or_else(|| {
            let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
            let name = token::user_name(&store, &self.issuer, token);
            drop(store);
            name.map(|name| directory().service_account(name))
        })
    }
}

/// A running cluster. Dropping it stops the server.
pub struct Cluster {
    name: String,
    authority: String,
    shared: Arc<Shared>,
    closable_port: ClosablePort,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("name", &self.name)
            .field("closable_port", &self.closable_port)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn stale(&self) -> MutexGuard<'_, Stale<Store>> {
        self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Executes a request in one step under the store's lock.
    fn carry_out(&self, call: &Call, request: &Request, sent: &RequestParts<'_>) -> Result<Answer, Refusal> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut stale, reads) = (self.stale(), self.stale_reads.load(Ordering::SeqCst));
        if call.changes() {
            return stale.write(reads, &mut store, |store| verbs::carry_out(store, request, sent));
        }
        let reads_objects = request.resource.is_some() && ["get", "list"].contains(&request.verb);
        let owed = if reads_objects { stale.read() } else { None };
        match owed {
            None => verbs::carry_out(&mut store, request, sent),
            Some(before) => {
                self.gate.record_fault(call.number, "stale");
                // Continue tokens must work in either state, so the state that answers holds the list snapshots
                // meanwhile.
                before.swap_pages(&mut store);
                let answer = verbs::carry_out(before, request, sent);
                before.swap_pages(&mut store);
                answer
            }
        }
    }
}

impl Cluster {
    /// Starts a cluster. Needs a tokio runtime.
    pub async fn start(options: ClusterOptions) -> io::Result<Self> {
        let identity = tls::identity(&options.name)?;
        let store = Store::new(&options.name, options.clock).map_err(io::Error::other)?;
        let directory = Directory {
            tokens: options.tokens,
            authenticate: options.authenticate,
            access: options.access,
            otherwise: options.otherwise,
        };
        let shared = Arc::new(Shared {
            issuer: Issuer::new(options.issuer),
            directory: Mutex::new(directory),
            store: Mutex::new(store),
            stale: Mutex::default(),
            stale_reads: AtomicU32::new(0),
            gate: Gate::default(),
        });
        let (acceptor, serving) = (TlsAcceptor::from(identity.server), Arc::clone(&shared));
        let serve = move |stream| secure_connection(stream, acceptor.clone(), Arc::clone(&serving));
        let closable_port = ClosablePort::open(options.port, serve).await?;
        shared.issuer.publish_at(format!("https://{}", closable_port.address()));
        Ok(Self { name: options.name, authority: identity.authority_pem, shared, closable_port })
    }

    /// The cluster's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The issuer URL of the cluster's ServiceAccount tokens.
    pub fn issuer(&self) -> &str {
        &self.shared.issuer.url
    }

    /// The key that signs the cluster's ServiceAccount tokens.
    pub(crate) fn issuer_key(&self) -> Arc<IssuerKey> {
        Arc::clone(&self.shared.issuer.key)
    }

    /// `https://127.0.0.1:PORT`
    pub fn endpoint(&self) -> String {
        format!("https://{}", self.closable_port.address())
    }

    /// The address that the server listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.closable_port.address()
    }

    /// The PEM certificate of the authority that signed the server's certificate.
    pub fn certificate_authority_pem(&self) -> &str {
        &self.authority
    }

    /// The same as base64 of PEM, as EKS returns it in DescribeCluster.
    pub fn certificate_authority_data(&self) -> String {
        STANDARD.encode(&self.authority)
    }

    /// Stops the server without dropping the cluster: open connections break and new ones are refused.
    pub fn stop(&self) {
        self.closable_port.close();
    }

    /// With true, breaks all connections and refuses new ones. With false, accepts them again on the same port.
    pub async fn refuse_connections(&self, refuse: bool) -> io::Result<()> {
        self.closable_port.refuse(refuse).await
    }

    /// An in-memory connection without TLS, for clients that run on tokio's paused clock.
    pub fn connect(&self) -> DuplexStream {
        let shared = Arc::clone(&self.shared);
        wire::in_memory(|stream| connection(stream, shared))
    }

    /// The request log and the faults.
    pub fn gate(&self) -> &Gate {
        &self.shared.gate
    }

    /// Reads or changes the store directly, without HTTP, users or the gate. No request runs meanwhile.
    pub fn with<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        work(&mut self.shared.store.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hides every later write from the next `reads` reads after it; 0 turns this off.
    pub fn stale_reads(&self, reads: u32) {
        self.shared.stale_reads.store(reads, Ordering::SeqCst);
        self.shared.stale().clear();
    }

    /// Restores all objects from a saved store.
    pub(crate) fn restore(&self, store: &Store) {
        self.with(|now| now.go_back_to(store));
        self.shared.stale().clear();
    }

    /// Adds a static token for a user, or changes the user of an existing token.
    pub fn set_token(&self, token: &str, user: User) {
        let mut directory = self.shared.directory.lock().unwrap_or_else(PoisonError::into_inner);
        directory.tokens.insert(token.to_owned(), user);
    }

    /// Removes a static token.
    pub fn revoke_token(&self, token: &str) {
        let mut directory = self.shared.directory.lock().unwrap_or_else(PoisonError::into_inner);
        directory.tokens.remove(token);
    }

    /// Sets the permissions of a user that `authenticate` returns.
    pub fn set_access(&self, user: &str, access: Access) {
        let mut directory = self.shared.directory.lock().unwrap_or_else(PoisonError::into_inner);
        directory.access.insert(user.to_owned(), access);
    }

    /// The kubeconfig parts for this cluster and a user with this static token. The cluster, user and context entries
    /// all have the cluster's name.
    pub fn kubeconfig_entry(&self, token: &str) -> KubeconfigEntry {
        let cluster =
            json!({"server": self.endpoint(), "certificate-authority-data": self.certificate_authority_data()});
        KubeconfigEntry {
            name: self.name.clone(),
            cluster: json!({"name": self.name, "cluster": cluster}),
            user: json!({"name": self.name, "user": {"token": token}}),
            context: json!({"name": self.name, "context": {"cluster": self.name, "user": self.name}}),
        }
    }
}

/// One cluster's entries in a kubeconfig.
#[derive(Debug, Clone, PartialEq)]
pub struct KubeconfigEntry {
    /// The name of the context.
    pub name: String,
    /// An item of `clusters`.
    pub cluster: Value,
    /// An item of `users`.
    pub user: Value,
    /// An item of `contexts`.
    pub context: Value,
}

/// A kubeconfig file, written as JSON, which is also YAML. The current context is the first entry's.
pub fn kubeconfig(entries: &[KubeconfigEntry]) -> String {
    let list = |part: fn(&KubeconfigEntry) -> &Value| entries.iter().map(part).cloned().collect::<Vec<_>>();
    let current = entries.first().map_or("", |entry| entry.name.as_str());
    let file = json!({
        "apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": current,
        "clusters": list(|entry| &entry.cluster),
        "users": list(|entry| &entry.user),
        "contexts": list(|entry| &entry.context),
    });
    format!("{file:#}\n")
}

async fn secure_connection(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    connection(stream, shared).await;
}

async fn connection(stream: impl wire::Stream, shared: Arc<Shared>) {
    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
    // An error here means that the client disconnected or that a fault dropped the answer.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(shared: Arc<Shared>, incoming: http::Request<Incoming>) -> Result<Response<Payload>, Lost> {
    let (parts, body) = incoming.into_parts();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let request = Request::parse(&parts.method, parts.uri.path(), &query);
    let user = bearer(&parts.headers).and_then(|token| shared.user(&token));
    let body = Limited::new(body, MAX_BODY).collect().await.map(http_body_util::Collected::to_bytes);
    let mut call = Call {
        number: 0,
        verb: request.verb.to_owned(),
        resource: request.full_resource(),
        namespace: request.namespace.clone(),
        name: request.name.clone(),
        user: user.as_ref().map(|user| user.name.clone()).unwrap_or_default(),
        path: request.path.clone(),
        query,
        user_agent: header(&parts.headers, &USER_AGENT),
        content_type: header(&parts.headers, &CONTENT_TYPE),
        body: body.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default(),
    };
    shared.gate.arrived(&mut call);
    shared.gate.wait_for_latency().await;
    let result = match require_user(user, &request) {
        Err(refusal) => Err(refusal),
        Ok(user) => match (shared.gate.pass(Stage::Before, &call, None).await, body) {
            (Passed::Lost, _) => return Err(Lost),
            (Passed::Refused(refusal), _) => return Ok(respond(&shared, &call, Err(refusal))),
            (Passed::Page(status, body), _) => return Ok(shared.gate.page(&call, status, body)),
            (Passed::On | Passed::Cut, Err(_)) => {
                let text = format!("Request entity too large: limit is {MAX_BODY}");
                Err(Refusal::new(413, "RequestEntityTooLarge", text))
            }
            (Passed::On | Passed::Cut, Ok(body)) => {
                let sent = RequestParts {
                    user: &user,
                    user_agent: &call.user_agent,
                    content_type: &call.content_type,
                    accept: &header(&parts.headers, &ACCEPT),
                    body: &body,
                    issuer: &shared.issuer,
                };
                let done = shared.carry_out(&call, &request, &sent);
                if done.is_ok()
                    && call.changes()
                    && (call.verb.as_str(), call.resource.as_str()) == ("delete", "namespaces")
                {
                    tokio::spawn(empty_namespace(Arc::clone(&shared), request.name));
                }
                done
            }
        },
    };
    let code = result.as_ref().map_or_else(|refusal| refusal.code, |answer| answer.code);
    shared.gate.note(call.number, |record| record.outcome = Some(code));
    match shared.gate.pass(Stage::After, &call, Some(code)).await {
        Passed::On => Ok(respond(&shared, &call, result)),
        Passed::Refused(refusal) => Ok(respond(&shared, &call, Err(refusal))),
        Passed::Page(status, body) => Ok(shared.gate.page(&call, status, body)),
        Passed::Cut => Ok(wire::truncated(respond(&shared, &call, result))),
        Passed::Lost => Err(Lost),
    }
}

/// The namespace controller: deletes the contents of a terminating namespace. Objects with finalizers keep the
/// namespace until they are gone.
async fn empty_namespace(shared: Arc<Shared>, namespace: String) {
    tokio::time::sleep(TERMINATION_TIME).await;
    let mut store = shared.store.lock().unwrap_or_else(PoisonError::into_inner);
    if store.is_terminating(&namespace) {
        // Objects whose deletion a webhook denies stay, and so does the namespace.
        let _ = store.empty(&namespace);
    }
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = header(headers, &AUTHORIZATION);
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// Rejects unauthenticated requests, except for the health and version paths, which are open to everyone.
fn require_user(user: Option<User>, request: &Request) -> Result<User, Refusal> {
    let public = ["/healthz", "/livez", "/readyz", "/version"];
    let user = match user {
        Some(user) => user,
        None if public.contains(&request.path.as_str()) => User::limited("system:anonymous", []),
        None => return Err(Refusal::unauthorized()),
    };
    access::authorize(&user, request)?;
    Ok(user)
}

/// The body of a watch response: events that continue to arrive after the headers are sent.
fn stream(shared: &Arc<Shared>, watch: Watch) -> Payload {
    let (client, events) = mpsc::channel(64);
    let objects = Arc::clone(shared);
    let look = move |watch: &mut Watch| watch.look(&objects.store.lock().unwrap_or_else(PoisonError::into_inner));
    let bell = shared.store.lock().unwrap_or_else(PoisonError::into_inner).changes.bell();
    tokio::spawn(watch.drive(look, bell, client));
    Payload::from(events)
}

fn respond(shared: &Arc<Shared>, call: &Call, result: Result<Answer, Refusal>) -> Response<Payload> {
    let mut headers = HeaderMap::new();
    let (code, kind, payload) = match result {
        Ok(answer) => {
            for warning in &answer.warnings {
                if let Ok(value) = format!("299 - {warning:?}").parse() {
                    headers.append(WARNING, value);
                }
            }
            match answer.body {
                Body::Json(value) => (answer.code, "application/json", Payload::from(value.to_string())),
                Body::Keys(value) => (answer.code, "application/jwk-set+json", Payload::from(value.to_string())),
                Body::Text(text) => (answer.code, "text/plain; charset=utf-8", Payload::from(text.to_owned())),
                Body::Watch(watch) => (answer.code, "application/json", stream(shared, *watch)),
            }
        }
        Err(refusal) => {
            if let Some(seconds) = refusal.details.get("retryAfterSeconds").and_then(Value::as_u64) {
                headers.insert(RETRY_AFTER, seconds.into());
            }
            (refusal.code, "application/json", Payload::from(refusal.body().to_string()))
        }
    };
    shared.gate.note(call.number, |record| record.answer = Some(code));
    let mut response = Response::new(payload);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    headers.insert("audit-id", call.number.into());
    *response.headers_mut() = headers;
    response
}
