//! An HTTP server that gives the replies of a test, and records the requests.

use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A recorded request.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    /// The number of requests before it.
    pub(crate) number: usize,
    pub(crate) path: String,
    /// The form of the query protocol.
    pub(crate) form: BTreeMap<String, String>,
}

impl Recorded {
    /// The operation of the query protocol.
    pub(crate) fn action(&self) -> &str {
        self.get("Action")
    }

    /// A field of the form, empty if it is missing.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.form.get(name).map_or("", String::as_str)
    }
}

/// The reply to a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Status and body.
    Body(u16, String),
    /// Nothing: the connection is closed.
    Hangup,
}

impl Reply {
    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self::Body(status, body.to_owned())
    }

    /// A success of the query protocol.
    pub(crate) fn result(action: &str, inner: &str) -> Self {
        Self::Body(
            200,
            format!(
                "<{action}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><{action}Result>{inner}\
                 </{action}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
            ),
        )
    }

    /// A success of an operation without result.
    pub(crate) fn done(action: &str) -> Self {
        Self::Body(
            200,
            format!(
                "<{action}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
                 <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
            ),
        )
    }

    /// A failure of the query protocol.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::Body(
            status,
            format!(
                "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>\
                 <Code>{code}</Code><Message>{}</Message></Error><RequestId>r</RequestId></ErrorResponse>",
                message.replace('\u{1b}', "&#27;")
            ),
        )
    }

    pub(crate) fn gone() -> Self {
        Self::error(404, "NoSuchEntity", "cannot be found.")
    }

    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::Body(status, body.to_owned())
    }

    pub(crate) fn json_error(status: u16, code: &str, message: &str) -> Self {
        Self::Body(status, format!(r#"{{"__type":"{code}","code":"{code}","message":"{message}"}}"#))
    }
}

type Answering = dyn Fn(&Recorded) -> Reply + Send + Sync;

/// The server. It runs as long as the runtime of its test.
pub(crate) struct Stub {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Recorded>>>,
}

impl Stub {
    pub(crate) async fn serve(answer: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, recorded): (Arc<Answering>, _) = (Arc::new(answer), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&answer), Arc::clone(&recorded)));
            }
        });
        Self { url, seen }
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Recorded> {
        self.seen.lock().unwrap().clone()
    }

    /// The operations so far, in order.
    pub(crate) fn actions(&self) -> Vec<String> {
        self.seen().iter().map(|seen| seen.action().to_owned()).collect()
    }
}

async fn converse(stream: TcpStream, answer: Arc<Answering>, recorded: Arc<Mutex<Vec<Recorded>>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let Some((path, body)) = request(&mut stream).await else { return };
        let form = body.split('&').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (decoded(k), decoded(v)));
        let seen = {
            let mut recorded = recorded.lock().unwrap();
            let seen = Recorded { number: recorded.len(), path, form: form.collect() };
            recorded.push(seen.clone());
            seen
        };
        let Reply::Body(status, body) = answer(&seen) else { return };
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: text/xml\r\nx-amzn-requestid: r-{}\r\ncontent-length: {}\r\n\r\n",
            seen.number,
            body.len()
        );
        if stream.write_all(format!("{head}{body}").as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let (mut path, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if path.is_empty() {
            line.split(' ').nth(1)?.clone_into(&mut path);
        } else if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((path, String::from_utf8(body).ok()?))
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8().unwrap().into_owned()
}
