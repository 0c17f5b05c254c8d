//! One cluster: its store behind TLS and HTTP on a loopback port.
//!
//! A request is named, its user found and authorized, passed through the gate, carried out in one step under the
//! store's lock, passed through the gate again and answered.

use crate::gate::{Asked, Passed, Stage, Stale};
use crate::kubernetes::access::{self, Access, Authenticate, Directory, User};
use crate::kubernetes::gate::{Call, Gate};
use crate::kubernetes::issuer::{Issuer, IssuerKey};
use crate::kubernetes::route::Request;
use crate::kubernetes::status::Refusal;
use crate::kubernetes::store::{Clock, Store};
use crate::kubernetes::tls;
use crate::kubernetes::token;
use crate::kubernetes::verbs::{self, Answer, Body, Sent};
use crate::kubernetes::watch::Watch;
use crate::wire::{self, Door, Lost, Payload, header};
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

/// How long a deleted namespace stays, before its controller has emptied it.
const TERMINATING: Duration = Duration::from_secs(1);

/// The largest body that kube-apiserver takes.
const BODY: usize = 3 * 1024 * 1024;

/// What a cluster is made of.
#[derive(Clone)]
pub struct ClusterOptions {
    /// The cluster's name; its kubeconfig context is called the same.
    pub name: String,
    /// The issuer of its ServiceAccount tokens.
    pub issuer: String,
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Static bearer tokens.
    pub tokens: BTreeMap<String, User>,
    /// Whom any other token speaks for.
    pub authenticate: Option<Authenticate>,
    /// What users that `authenticate` names may do.
    pub access: BTreeMap<String, Access>,
    /// What those of them may do whom `access` does not list.
    pub otherwise: Access,
    /// Where the time comes from.
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
    /// Whom a bearer token speaks for.
    fn user(&self, token: &str) -> Option<User> {
        let directory = || self.directory.lock().unwrap_or_else(PoisonError::into_inner);
        // One lock at a time: whoever works on the objects may change what users may do.
        let known = directory().user(token);
        known.or_else(|| {
            let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
            let name = token::user_name(&store, &self.issuer, token);
            drop(store);
            name.map(|name| directory().service_account(name))
        })
    }
}

/// A running cluster. It ends when it is dropped.
pub struct Cluster {
    name: String,
    authority: String,
    shared: Arc<Shared>,
    door: Door,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("name", &self.name).field("door", &self.door).finish_non_exhaustive()
    }
}

impl Shared {
    fn stale(&self) -> MutexGuard<'_, Stale<Store>> {
        self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One step under the store's lock.
    fn carry_out(&self, call: &Call, request: &Request, sent: &Sent<'_>) -> Result<Answer, Refusal> {
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
                self.gate.struck(call.number, "stale");
                // Lists under way are gone on with whichever state their next page is read from.
                before.swap_pages(&mut store);
                let answer = verbs::carry_out(before, request, sent);
                before.swap_pages(&mut store);
                answer
            }
        }
    }
}

impl Cluster {
    /// Starts a cluster; needs a tokio runtime.
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
        let door = Door::open(options.port, serve).await?;
        shared.issuer.publish_at(format!("https://{}", door.address()));
        Ok(Self { name: options.name, authority: identity.authority_pem, shared, door })
    }

    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The issuer of its ServiceAccount tokens.
    pub fn issuer(&self) -> &str {
        &self.shared.issuer.url
    }

    /// The key that its tokens are signed with.
    pub(crate) fn issuer_key(&self) -> Arc<IssuerKey> {
        Arc::clone(&self.shared.issuer.key)
    }

    /// `https://127.0.0.1:PORT`
    pub fn endpoint(&self) -> String {
        format!("https://{}", self.door.address())
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// The authority that signed the server's certificate.
    pub fn certificate_authority_pem(&self) -> &str {
        &self.authority
    }

    /// The same as EKS' DescribeCluster gives it: base64 of PEM.
    pub fn certificate_authority_data(&self) -> String {
        STANDARD.encode(&self.authority)
    }

    /// Ends it before it is dropped: connections break and no other is taken.
    pub fn stop(&self) {
        self.door.close();
    }

    /// Ends all connections and refuses new ones, or takes them again on the same port.
    pub async fn refuse_connections(&self, refuse: bool) -> io::Result<()> {
        self.door.refuse(refuse).await
    }

    /// A connection in memory, without TLS: the way in for a client on a paused clock.
    pub fn connect(&self) -> DuplexStream {
        let shared = Arc::clone(&self.shared);
        wire::in_memory(|stream| connection(stream, shared))
    }

    /// The log and the faults.
    pub fn gate(&self) -> &Gate {
        &self.shared.gate
    }

    /// Works on the objects themselves, past HTTP, users and the gate; no request runs meanwhile.
    pub fn with<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        work(&mut self.shared.store.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// After every write from now on, so many reads do not see it; 0 turns it off.
    pub fn stale_reads(&self, reads: u32) {
        self.shared.stale_reads.store(reads, Ordering::SeqCst);
        self.shared.stale().clear();
    }

    /// Puts all objects back.
    pub(crate) fn restore(&self, store: &Store) {
        self.with(|now| now.go_back_to(store));
        self.shared.stale().clear();
    }

    /// Adds a static token, or replaces whom it speaks for.
    pub fn set_token(&self, token: &str, user: User) {
        let mut directory = self.shared.directory.lock().unwrap_or_else(PoisonError::into_inner);
        directory.tokens.insert(token.to_owned(), user);
    }

    /// Takes a static token back.
    pub fn revoke_token(&self, token: &str) {
        let mut directory = self.shared.directory.lock().unwrap_or_else(PoisonError::into_inner);
        directory.tokens.remove(token);
    }

    /// Says what a user that `authenticate` names may do.
    pub fn set_access(&self, user: &str, access: Access) {
        let mut directory = self.shared.directory.lock().unwrap_or_else(PoisonError::into_inner);
        directory.access.insert(user.to_owned(), access);
    }

    /// The parts of a kubeconfig that name this cluster and a user with this static token; all three are called as the
    /// cluster.
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

/// One cluster in a kubeconfig.
#[derive(Debug, Clone, PartialEq)]
pub struct KubeconfigEntry {
    /// The context's name.
    pub name: String,
    /// An item of `clusters`.
    pub cluster: Value,
    /// An item of `users`.
    pub user: Value,
    /// An item of `contexts`.
    pub context: Value,
}

/// A kubeconfig file; the first entry's context is the current one. It is JSON, which is YAML.
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
    // An error is a client that left or an answer that was to be lost.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(shared: Arc<Shared>, incoming: http::Request<Incoming>) -> Result<Response<Payload>, Lost> {
    let (parts, body) = incoming.into_parts();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let request = Request::parse(&parts.method, parts.uri.path(), &query);
    let user = bearer(&parts.headers).and_then(|token| shared.user(&token));
    let body = Limited::new(body, BODY).collect().await.map(http_body_util::Collected::to_bytes);
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
    shared.gate.travel().await;
    let result = match admit(user, &request) {
        Err(refusal) => Err(refusal),
        Ok(user) => match (shared.gate.pass(Stage::Before, &call, None).await, body) {
            (Passed::Lost, _) => return Err(Lost),
            (Passed::Refused(refusal), _) => return Ok(respond(&shared, &call, Err(refusal))),
            (Passed::Page(status, body), _) => return Ok(shared.gate.page(&call, status, body)),
            (Passed::On | Passed::Cut, Err(_)) => {
                let text = format!("Request entity too large: limit is {BODY}");
                Err(Refusal::new(413, "RequestEntityTooLarge", text))
            }
            (Passed::On | Passed::Cut, Ok(body)) => {
                let sent = Sent {
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
                    tokio::spawn(empty(Arc::clone(&shared), request.name));
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

/// The namespace controller. What has finalizers keeps the namespace until they are gone.
async fn empty(shared: Arc<Shared>, namespace: String) {
    tokio::time::sleep(TERMINATING).await;
    let mut store = shared.store.lock().unwrap_or_else(PoisonError::into_inner);
    if store.is_terminating(&namespace) {
        // what a webhook does not let go stays, and the namespace with it
        let _ = store.empty(&namespace);
    }
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = header(headers, &AUTHORIZATION);
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// Finds out whether the request may go on; the health of the server and its version are for everyone.
fn admit(user: Option<User>, request: &Request) -> Result<User, Refusal> {
    let public = ["/healthz", "/livez", "/readyz", "/version"];
    let user = match user {
        Some(user) => user,
        None if public.contains(&request.path.as_str()) => User::limited("system:anonymous", []),
        None => return Err(Refusal::unauthorized()),
    };
    access::authorize(&user, request)?;
    Ok(user)
}

/// The events of a watch, which go on when the answer has begun.
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
