//! Response bodies: complete, truncated after half of the promised length, or a stream.

use crate::wire::Lost;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Sleep;

/// How long to wait before a truncated response ends the connection, so that the sent half is flushed.
const FLUSH: Duration = Duration::from_millis(10);

#[derive(Debug)]
enum End {
    Whole,
    Cut(Option<Pin<Box<Sleep>>>),
    Open(mpsc::Receiver<Bytes>),
}

/// A response body.
#[derive(Debug)]
pub(crate) struct Payload {
    bytes: Bytes,
    promised: u64,
    end: End,
}

impl From<String> for Payload {
    fn from(text: String) -> Self {
        Self { promised: text.len() as u64, bytes: Bytes::from(text), end: End::Whole }
    }
}

impl From<mpsc::Receiver<Bytes>> for Payload {
    fn from(stream: mpsc::Receiver<Bytes>) -> Self {
        Self { bytes: Bytes::new(), promised: 0, end: End::Open(stream) }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Lost;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Lost>>> {
        let bytes = std::mem::take(&mut self.bytes);
        if !bytes.is_empty() {
            self.promised -= bytes.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match &mut self.end {
            End::Whole => Poll::Ready(None),
            End::Cut(pause) => {
                ready!(pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(FLUSH))).as_mut().poll(cx));
                Poll::Ready(Some(Err(Lost)))
            }
            End::Open(stream) => stream.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty() && matches!(self.end, End::Whole)
    }

    fn size_hint(&self) -> SizeHint {
        if matches!(self.end, End::Open(_)) { SizeHint::default() } else { SizeHint::with_exact(self.promised) }
    }
}

/// Keeps the headers, including the full length, but sends only half of the body and then closes the connection. Of a
/// stream, whose length is not known, it sends nothing.
pub(crate) fn truncated(answer: Response<Payload>) -> Response<Payload> {
    answer.map(|body| {
        let half = body.bytes.len() / 2;
        let promised = if matches!(body.end, End::Open(_)) { 1 } else { body.promised };
        Payload { bytes: body.bytes.slice(..half), promised, end: End::Cut(None) }
    })
}

/// An HTML page. No service sends it, so it has no request id.
pub(crate) fn page(status: u16, body: String) -> Response<Payload> {
    let mut response = Response::new(Payload::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}
