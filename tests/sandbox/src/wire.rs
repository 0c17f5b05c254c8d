//! Connection handling that all servers of the sandbox share.

mod closable_port;
mod payload;

pub(crate) use closable_port::ClosablePort;
pub(crate) use payload::{Payload, page, truncated};

use http::HeaderMap;
use http::header::HeaderName;
use std::fmt;
use std::future::Future;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Serves connections until the future is dropped, which ends them all.
async fn accept<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                // Without TCP_NODELAY, small answers wait for the client's delayed acknowledgement.
                let _ = stream.set_nodelay(true);
                connections.spawn(serve(stream));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// A connection that a server can serve.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// The buffer of an in-memory connection, in bytes. It is larger than most messages.
const DUPLEX_BUFFER: usize = 64 * 1024;

/// Opens an in-memory connection and serves its other end until one of the two ends closes.
pub(crate) fn in_memory<F>(serve: impl FnOnce(DuplexStream) -> F) -> DuplexStream
where
    F: Future<Output = ()> + Send + 'static,
{
    let (near, far) = tokio::io::duplex(DUPLEX_BUFFER);
    tokio::spawn(serve(far));
    near
}

/// The error that closes a connection instead of an answer.
#[derive(Debug)]
pub(crate) struct Lost;

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer was lost")
    }
}

impl std::error::Error for Lost {}

/// The text of a header. Empty if it is missing.
pub(crate) fn header(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
