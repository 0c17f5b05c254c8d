//! A loopback port that a test can close, so that connections are refused, and open again.
//!
//! A closed port stays bound, but without a listener, so that no other process takes it.

use crate::wire::accept;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

/// How often and how long to retry while the port is still in use.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

type Serve = Arc<dyn Fn(TcpStream) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

enum State {
    Open(JoinHandle<()>),
    /// The state is being changed.
    Moving,
    Refusing(TcpSocket),
    Closed,
}

/// A port and the function that serves its connections. Dropping it closes the port.
pub(crate) struct ClosablePort {
    address: SocketAddr,
    serve: Serve,
    state: Mutex<State>,
    /// Held during a change of the state, so that changes run one after another.
    change_lock: tokio::sync::Mutex<()>,
}

impl fmt::Debug for ClosablePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClosablePort").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for ClosablePort {
    fn drop(&mut self) {
        self.close();
    }
}

/// Binds a port without listening.
async fn bind_without_listening(address: SocketAddr) -> io::Result<TcpSocket> {
    let mut tries = 0;
    loop {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        match socket.bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            bound => return bound.map(|()| socket),
        }
    }
}

impl ClosablePort {
    /// Opens a port of 127.0.0.1; 0 picks a free one.
    pub(crate) async fn open<F>(port: u16, serve: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> io::Result<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let serve: Serve = Arc::new(move |stream| Box::pin(serve(stream)));
        let state = Mutex::new(Self::listen(listener, &serve));
        Ok(Self { address, serve, state, change_lock: tokio::sync::Mutex::default() })
    }

    fn listen(listener: TcpListener, serve: &Serve) -> State {
        let serve = Arc::clone(serve);
        State::Open(tokio::spawn(accept(listener, move |stream| serve(stream))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the port for good and breaks its connections.
    pub(crate) fn close(&self) {
        if let State::Open(task) = std::mem::replace(&mut *self.state(), State::Closed) {
            task.abort();
        }
    }

    /// With true, breaks all connections and refuses new ones. With false, accepts them again. Does nothing after
    /// `close`.
    pub(crate) async fn refuse(&self, refuse: bool) -> io::Result<()> {
        let _guard = self.change_lock.lock().await;
        let before = std::mem::replace(&mut *self.state(), State::Moving);
        let after = match before {
            State::Open(task) if refuse => {
                task.abort();
                // The listener is closed once its task has ended.
                let _ = task.await;
                bind_without_listening(self.address).await.map(State::Refusing)
            }
            State::Refusing(socket) if !refuse => {
                socket.listen(BACKLOG).map(|listener| Self::listen(listener, &self.serve))
            }
            other => Ok(other),
        };
        let (after, result) = after.map_or_else(|error| (State::Closed, Err(error)), |after| (after, Ok(())));
        let mut state = self.state();
        if matches!(*state, State::Moving) {
            *state = after;
        } else if let State::Open(task) = after {
            task.abort();
        }
        result
    }
}
