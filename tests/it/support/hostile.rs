//! An HTTP server on the loopback interface that answers as no honest server would.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request.
pub(crate) struct Asked {
    /// How many requests came before it.
    pub(crate) number: usize,
    /// The method and the path.
    pub(crate) line: String,
    /// The head and the body.
    pub(crate) text: String,
}

/// The answer to a request.
pub(crate) enum Answer {
    /// Status, further headers (each with its line end) and body.
    Whole(u16, String, String),
    /// A status and a first part of the body, then white space without end.
    Endless(u16, String),
    /// A delay, and then another answer.
    Late(Duration, Box<Self>),
}

impl Answer {
    /// An answer with status 200.
    pub(crate) fn ok(body: impl Into<String>) -> Self {
        Self::Whole(200, String::new(), body.into())
    }
}

/// The server. It runs until the process ends.
pub(crate) struct Hostile {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Hostile {
    pub(crate) fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (answer, count, asked) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)), Arc::default());
        let log: Arc<Mutex<Vec<String>>> = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, count, log) = (Arc::clone(&answer), Arc::clone(&count), Arc::clone(&log));
                std::thread::spawn(move || {
                    let Some((line, text)) = request(&stream) else { return };
                    log.lock().expect("no test has failed inside").push(text.clone());
                    let number = count.fetch_add(1, Ordering::SeqCst);
                    // the client may have gone
                    let _ = reply(stream, answer(&Asked { number, line, text }));
                });
            }
        });
        Self { port, asked }
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The requests, heads and bodies.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test has failed inside").clone()
    }
}

fn request(stream: &TcpStream) -> Option<(String, String)> {
    // drops a client that sends nothing
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut reader = BufReader::new(stream);
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        text.push_str(&line);
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let line = text.lines().next()?.trim_end_matches(" HTTP/1.1").to_owned();
    Some((line, text + &String::from_utf8_lossy(&body)))
}

fn reply(mut stream: TcpStream, answer: Answer) -> std::io::Result<()> {
    match answer {
        Answer::Late(time, answer) => {
            std::thread::sleep(time);
            reply(stream, *answer)
        }
        Answer::Whole(status, headers, body) => {
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n");
            stream.write_all((head + &body).as_bytes())
        }
        Answer::Endless(status, beginning) => {
            stream.write_all(format!("HTTP/1.1 {status} X\r\nconnection: close\r\n\r\n{beginning}").as_bytes())?;
            let blank = vec![b' '; 1 << 16];
            loop {
                stream.write_all(&blank)?;
            }
        }
    }
}
