//! An admission webhook server over HTTPS, for use with a real Kubernetes API server.

use crate::kubernetes::admission::Policy;
use crate::kubernetes::tls;
use crate::wire::{ClosablePort, Payload};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::fmt;
use std::io;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// A running webhook server. Dropping it stops the server.
pub struct WebhookServer {
    authority: String,
    closable_port: ClosablePort,
}

impl fmt::Debug for WebhookServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookServer").field("closable_port", &self.closable_port).finish_non_exhaustive()
    }
}

impl WebhookServer {
    /// Starts a server on a loopback port. Needs a tokio runtime.
    pub async fn start(policy: Policy) -> io::Result<Self> {
        let identity = tls::identity("webhook")?;
        let acceptor = TlsAcceptor::from(identity.server);
        let serve = move |stream| connection(stream, acceptor.clone(), Policy::clone(&policy));
        Ok(Self { authority: identity.authority_pem, closable_port: ClosablePort::open(0, serve).await? })
    }

    /// The URL of the webhook.
    pub fn url(&self) -> String {
        format!("https://{}/", self.closable_port.address())
    }

    /// The PEM certificate of the authority that signed the server's certificate.
    pub fn certificate_authority_pem(&self) -> &str {
        &self.authority
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, policy: Policy) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(move |request| answer(Policy::clone(&policy), request));
    // An error here means that the client disconnected.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(policy: Policy, request: http::Request<Incoming>) -> Result<Response<Payload>, Infallible> {
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut response = Response::new(Payload::from(String::new()));
    if review["request"].is_null() {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    }
    let mut verdict = policy(&review["request"]);
    verdict["uid"] = review["request"]["uid"].clone();
    if verdict["patch"].is_string() {
        verdict["patchType"] = json!("JSONPatch");
    }
    let answer = json!({"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": verdict});
    *response.body_mut() = Payload::from(answer.to_string());
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    Ok(response)
}
