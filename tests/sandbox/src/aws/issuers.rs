//! The public side of issuers: an HTTP proxy that answers for their hosts over TLS, with an authority of its own.
//!
//! EKS publishes the discovery document and the keys of a cluster under its issuer
//! (<https://docs.aws.amazon.com/eks/latest/userguide/enable-iam-roles-for-service-accounts.html>). A program that uses
//! the proxy (`HTTPS_PROXY`) and trusts the authority (`SSL_CERT_FILE`) reads those of the running clusters. Every other
//! host is refused: nothing leaves the machine.

use crate::aws::Aws;
use crate::wire::{ClosablePort, Payload};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// The largest head of a CONNECT request.
const MOST: usize = 8 * 1024;
const CONFIGURATION: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/keys";

/// The proxy. Dropping it closes its port.
#[derive(Debug)]
pub(crate) struct Issuers {
    closable_port: ClosablePort,
    authority_pem: String,
    shared: Arc<Shared>,
}

struct Shared {
    aws: Arc<Aws>,
    authority: Issuer<'static, KeyPair>,
    /// The URLs that were asked for.
    asked: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issuers")
    }
}

impl Issuers {
    pub(crate) async fn start(aws: Arc<Aws>) -> io::Result<Self> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
        params.distinguished_name.push(DnType::CommonName, "sandbox issuers");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let authority_pem = params.self_signed(&key).map_err(io::Error::other)?.pem();
        let authority = Issuer::new(params, key);
        let shared = Arc::new(Shared { aws, authority, asked: Mutex::default() });
        let serving = Arc::clone(&shared);
        let closable_port = ClosablePort::open(0, move |stream| {
            let shared = Arc::clone(&serving);
            async move {
                // An error means that the client disconnected.
                let _ = shared.tunnel(stream).await;
            }
        });
        Ok(Self { closable_port: closable_port.await?, authority_pem, shared })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.closable_port.address()
    }

    pub(crate) fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    pub(crate) fn replace(&self, url: &str, answer: Option<(u16, String)>) {
        let mut replaced = self.shared.aws.published.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Some(answer) => replaced.insert(url.to_owned(), answer),
            None => replaced.remove(url),
        };
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    /// Reads a CONNECT request and serves the host that it names.
    async fn tunnel(self: Arc<Self>, mut stream: TcpStream) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() > MOST {
                return Ok(());
            }
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let host = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
        let Some(host) = host.and_then(|target| target.strip_suffix(":443")).filter(|host| self.knows(host)) else {
            return stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
        };
        let host = host.to_owned();
        let acceptor = TlsAcceptor::from(self.certificate(&host)?);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        let stream = acceptor.accept(stream).await?;
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = self.answer(&format!("https://{host}{}", request.uri().path()));
            async move { Ok::<_, Infallible>(answer) }
        });
        let served = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        served.map_err(io::Error::other)
    }

    fn knows(&self, host: &str) -> bool {
        let begins = format!("https://{host}");
        let of_host =
            |url: &str| url.strip_prefix(&begins).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let replaced = self.aws.published.lock().unwrap_or_else(PoisonError::into_inner);
        replaced.keys().any(|url| of_host(url)) || self.aws.eks().issuers().iter().any(|issuer| of_host(issuer))
    }

    fn certificate(&self, host: &str) -> io::Result<Arc<ServerConfig>> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = CertificateParams::new(vec![host.to_owned()]).map_err(io::Error::other)?;
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.authority).map_err(io::Error::other)?;
        let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(io::Error::other)?;
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private);
        config.map(Arc::new).map_err(io::Error::other)
    }

    fn answer(&self, url: &str) -> Response<Payload> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(url.to_owned());
        let replaced = self.aws.published.lock().unwrap_or_else(PoisonError::into_inner).get(url).cloned();
        let (status, body) = replaced.unwrap_or_else(|| match self.document(url) {
            Some(document) => (200, document.to_string()),
            None => (404, json!({"message": "Not Found"}).to_string()),
        });
        let mut response = Response::new(Payload::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
        response
    }

    fn document(&self, url: &str) -> Option<Value> {
        if let Some(issuer) = url.strip_suffix(KEYS) {
            return Some(self.aws.eks().issuer_key(issuer)?.key_set());
        }
        let issuer = url.strip_suffix(CONFIGURATION)?;
        self.aws.eks().issuer_key(issuer)?;
        Some(json!({
            "issuer": issuer, "jwks_uri": format!("{issuer}{KEYS}"), "authorization_endpoint": "urn:kubernetes:programmatic_authorization",
            "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
            "claims_supported": ["sub", "iss"], "id_token_signing_alg_values_supported": ["RS256"],
        }))
    }
}

impl Aws {
    /// The keys that a test published for an issuer without a cluster in the sandbox.
    pub(crate) fn published_keys(&self, issuer: &str) -> Vec<Value> {
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |url: &str| -> Option<Value> {
            let (_, body) = published.get(url).filter(|(status, _)| *status == 200)?;
            serde_json::from_str(body).ok()
        };
        let document = read(&format!("{issuer}{CONFIGURATION}")).filter(|document| document["issuer"] == issuer);
        let keys = document.and_then(|document| read(document["jwks_uri"].as_str()?));
        keys.and_then(|keys| keys["keys"].as_array().cloned()).unwrap_or_default()
    }
}
