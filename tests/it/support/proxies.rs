//! Proxies on the loopback interface: HTTP CONNECT and SOCKS5. They connect to one port, whatever address they are
//! asked for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

type Log = Arc<Mutex<Vec<String>>>;

/// Listens on a port, with one thread per connection, until the process ends.
fn serve(handle: impl Fn(TcpStream, &Log) -> Option<()> + Send + Sync + 'static) -> (u16, Log) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (handle, log) = (Arc::new(handle), Log::default());
    let asked = Arc::clone(&log);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (handle, log) = (Arc::clone(&handle), Arc::clone(&log));
            std::thread::spawn(move || handle(stream, &log));
        }
    });
    (port, asked)
}

/// Copies bytes both ways until one side ends.
fn pass(client: TcpStream, server: TcpStream) -> Option<()> {
    let (mut from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let (mut from, mut to) = (server, client);
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
    Some(())
}

fn connect(port: u16) -> Option<TcpStream> {
    TcpStream::connect(("127.0.0.1", port)).ok()
}

/// A port from which each connection leads to `target` (`HOST:PORT`) through an HTTP proxy.
pub(crate) fn through(proxy: u16, target: &str) -> u16 {
    let request = format!("CONNECT {target} HTTP/1.1\r\n\r\n");
    let (port, _) = serve(move |client, _| {
        let mut server = connect(proxy)?;
        server.write_all(request.as_bytes()).ok()?;
        head(&mut server)?;
        pass(client, server)
    });
    port
}

/// Reads the head of an HTTP message.
fn head(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// A port that forwards to another port. Once the server has sent `after` bytes on a connection, runs `then` once,
/// before it forwards anything more from the client: between two pages of a list.
pub(crate) fn between(target: u16, after: usize, then: impl FnOnce() + Send + 'static) -> u16 {
    let then = Mutex::new(Some(Box::new(then) as Box<dyn FnOnce() + Send>));
    let then = Arc::new(then);
    let (port, _) = serve(move |client, _| {
        let server = connect(target)?;
        let (mut from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
        let (then, sent) = (Arc::clone(&then), Arc::new(AtomicUsize::new(0)));
        let seen = Arc::clone(&sent);
        std::thread::spawn(move || {
            let mut chunk = vec![0; 1 << 16];
            while let Ok(length @ 1..) = from.read(&mut chunk) {
                if seen.load(Ordering::SeqCst) >= after
                    && let Some(then) = then.lock().expect("no test has failed inside").take()
                {
                    then();
                }
                if to.write_all(&chunk[..length]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(std::net::Shutdown::Write);
        });
        let (mut from, mut to) = (server, client);
        let mut chunk = vec![0; 1 << 16];
        while let Ok(length @ 1..) = from.read(&mut chunk) {
            sent.fetch_add(length, Ordering::SeqCst);
            to.write_all(&chunk[..length]).ok()?;
        }
        let _ = to.shutdown(std::net::Shutdown::Write);
        Some(())
    });
    port
}

fn told(log: &Log, target: &str) {
    log.lock().expect("no test has failed inside").push(target.to_owned());
}

/// An HTTP proxy.
pub(crate) struct Connect {
    pub(crate) port: u16,
    log: Log,
}

impl Connect {
    /// A proxy that connects to nothing. `user` is the `name:password` that it requires.
    pub(crate) fn start(user: Option<String>) -> Self {
        Self::to(0, user)
    }

    /// A proxy that connects to this port.
    pub(crate) fn to(target: u16, user: Option<String>) -> Self {
        let (port, log) = serve(move |mut client, log| {
            let head = head(&mut client)?;
            let wanted = user.as_ref().map(|user| format!("Basic {}", STANDARD.encode(user)));
            if wanted.is_some_and(|wanted| !head.contains(&wanted)) {
                return client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").ok();
            }
            told(log, head.strip_prefix("CONNECT ")?.split(' ').next()?);
            if target == 0 {
                return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").ok();
            }
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
            pass(client, connect(target)?)
        });
        Self { port, log }
    }

    /// The addresses that clients asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.log.lock().expect("no test has failed inside").clone()
    }
}

/// A SOCKS5 proxy (RFC 1928 and 1929).
pub(crate) struct Socks {
    pub(crate) port: u16,
    log: Log,
}

impl Socks {
    /// A proxy that connects to this port. `user` is the name and the password that it requires.
    pub(crate) fn to(target: u16, user: Option<(String, String)>) -> Self {
        let (port, log) = serve(move |mut client, log| {
            let greeting = counted(&mut client, 2)?;
            let method = if user.is_some() { 2 } else { 0 };
            if !greeting.contains(&method) {
                return client.write_all(&[5, 0xff]).ok();
            }
            client.write_all(&[5, method]).ok()?;
            if let Some((name, password)) = &user {
                let told_name = counted(&mut client, 2)?;
                let told_password = counted(&mut client, 1)?;
                let good = told_name == name.as_bytes() && told_password == password.as_bytes();
                client.write_all(&[1, u8::from(!good)]).ok()?;
                if !good {
                    return None;
                }
            }
            let mut head = [0; 4];
            client.read_exact(&mut head).ok()?;
            // only host names: a client that resolves names itself asks for an IP address
            if head[3] != 3 {
                return client.write_all(&[5, 8, 0, 1, 0, 0, 0, 0, 0, 0]).ok();
            }
            let name = counted(&mut client, 1)?;
            client.read_exact(&mut [0; 2]).ok()?;
            told(log, &String::from_utf8_lossy(&name));
            client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
            pass(client, connect(target)?)
        });
        Self { port, log }
    }

    /// The addresses that clients asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.log.lock().expect("no test has failed inside").clone()
    }
}

/// Reads `before` bytes. The last one is the length of the following bytes, which are returned.
fn counted(client: &mut TcpStream, before: usize) -> Option<Vec<u8>> {
    let mut head = vec![0; before];
    client.read_exact(&mut head).ok()?;
    let mut bytes = vec![0; usize::from(*head.last()?)];
    client.read_exact(&mut bytes).ok()?;
    Some(bytes)
}
