//! Clients that connect through memory instead of a TCP stack.

use aws_config::{AppName, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::ErrorKind;
use futures::future::BoxFuture;
use http::header::USER_AGENT;
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo};
use irsa::world::Transports;
use irsa_sandbox::Sandbox;
use kube::client::{Body, ConfigExt};
use std::error::Error as _;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::SystemTime;
use tokio::io::DuplexStream;
use tokio::time::Instant;
use tower::Service;

/// The time of day, derived from a clock that may stand still.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time {
    pub(crate) began: SystemTime,
    pub(crate) started: Instant,
}

impl TimeSource for Time {
    fn now(&self) -> SystemTime {
        self.began + self.started.elapsed()
    }
}

/// Opens the connections.
pub(crate) struct Dials {
    time: Time,
    sandbox: Arc<Sandbox>,
    /// How many more connections to refuse: to AWS, and to Kubernetes.
    refused: [AtomicU32; 2],
    /// How many connections were opened: to AWS, and to Kubernetes.
    made: [AtomicU32; 2],
}

impl fmt::Debug for Dials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dials").field("refused", &self.refused).finish_non_exhaustive()
    }
}

impl Dials {
    pub(crate) fn new(sandbox: Arc<Sandbox>, time: Time) -> Self {
        Self { sandbox, time, refused: Default::default(), made: Default::default() }
    }

    /// The number of connections since the last call: to the Kubernetes APIs, or else to AWS.
    pub(crate) fn take_made(&self, kubernetes: bool) -> u32 {
        self.made[usize::from(kubernetes)].swap(0, Ordering::SeqCst)
    }

    /// Refuses the next `times` connections to the Kubernetes APIs, or else to AWS. Open connections stay open.
    pub(crate) fn refuse(&self, kubernetes: bool, times: u32) {
        self.refused[usize::from(kubernetes)].store(times, Ordering::SeqCst);
    }

    fn dial(&self, to: &Uri) -> io::Result<Wire> {
        let address = to.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let cluster = self.sandbox.cluster_at(address);
        let left = &self.refused[usize::from(cluster.is_some())];
        if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        self.made[usize::from(cluster.is_some())].fetch_add(1, Ordering::SeqCst);
        let stream = match cluster {
            Some(cluster) => cluster.connect(),
            None if self.sandbox.endpoint().ends_with(address) => self.sandbox.connect(),
            None => return Err(io::ErrorKind::ConnectionRefused.into()),
        };
        Ok(Wire(TokioIo::new(stream)))
    }

    /// The transports of irsa over these connections. The access key belongs to the first account, and the user agent
    /// contains the actor.
    pub(crate) fn wires(self: &Arc<Self>, actor: &str) -> Transports {
        let credentials = Credentials::new("test", "test", None, None, "test");
        let aws = SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
            .endpoint_url(self.sandbox.endpoint())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .time_source(self.time)
            .app_name(AppName::new(actor.to_owned()).expect("a name"))
            .http_client(SharedHttpClient::new(Http(Client::builder(TokioExecutor::new()).build(self.connector()))))
            .build();
        let dials = Arc::clone(self);
        let agent = HeaderValue::try_from(format!("irsa app/{actor}")).expect("a header");
        let kubernetes = move |mut config: kube::Config| {
            config.headers = vec![(USER_AGENT, agent.clone())];
            let client: Client<Connector, Body> = Client::builder(TokioExecutor::new()).build(dials.connector());
            let service = tower::ServiceBuilder::new()
                .layer(config.base_uri_layer())
                .option_layer(config.auth_layer()?)
                .layer(config.extra_headers_layer()?)
                .map_err(tower::BoxError::from)
                .service(client);
            Ok(kube::Client::new(service, config.default_namespace))
        };
        Transports { aws: Some(aws), kubernetes: Some(Arc::new(kubernetes)), ask: None }
    }

    fn connector(self: &Arc<Self>) -> Connector {
        Connector(Arc::clone(self))
    }
}

/// A connector for hyper.
#[derive(Debug, Clone)]
struct Connector(Arc<Dials>);

impl Service<Uri> for Connector {
    type Response = Wire;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Wire>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let dialled = self.0.dial(&to);
        Box::pin(std::future::ready(dialled))
    }
}

/// One connection.
struct Wire(TokioIo<DuplexStream>);

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl Write for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// An HTTP client for the SDKs, built on hyper like their default client.
#[derive(Debug, Clone)]
struct Http(Client<Connector, SdkBody>);

impl HttpClient for Http {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let response = client.request(request).await.map_err(failed)?;
            let response = response.map(SdkBody::from_body_1_x);
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Classifies failures as the default client of the SDKs does.
fn failed(error: Error) -> ConnectorError {
    let of_hyper = error.source().and_then(|source| source.downcast_ref::<hyper::Error>());
    if of_hyper.is_some_and(hyper::Error::is_incomplete_message) {
        return ConnectorError::other(error.into(), Some(ErrorKind::TransientError));
    }
    ConnectorError::io(error.into())
}
