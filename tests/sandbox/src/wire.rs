//! What every server here does alike on its loopback port.

mod door;
mod payload;

pub(crate) use door::Door;
pub(crate) use payload::{Payload, page, truncated};

use http::HeaderMap;
use http::header::HeaderName;
use std::fmt;
use std::future::Future;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Serves every connection until it is dropped, which ends them all.
async fn accept<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                // Without it small answers wait for the client's delayed acknowledgement.
                let _ = stream.set_nodelay(true);
                connections.spawn(serve(stream));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// What a server can be spoken to over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// How many bytes may be under way in memory; more than most messages here have.
const UNDER_WAY: usize = 64 * 1024;

/// A connection in memory whose other end is served until one of the two leaves.
pub(crate) fn in_memory<F>(serve: impl FnOnce(DuplexStream) -> F) -> DuplexStream
where
    F: Future<Output = ()> + Send + 'static,
{
    let (near, far) = tokio::io::duplex(UNDER_WAY);
    tokio::spawn(serve(far));
    near
}

/// Ends the connection instead of an answer.
#[derive(Debug)]
pub(crate) struct Lost;

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer was lost")
    }
}

impl std::error::Error for Lost {}

/// A header's text; empty where there is none.
pub(crate) fn header(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
