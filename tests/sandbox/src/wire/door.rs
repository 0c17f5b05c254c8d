//! A loopback port that can be shut, so that connects are refused, and opened again.
//!
//! While it is shut the port stays bound, without a listener: nobody else gets it meanwhile.

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

/// How often and how long it waits for a port that is still taken.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

/// How many connects may wait to be accepted.
const BACKLOG: u32 = 1024;

type Serve = Arc<dyn Fn(TcpStream) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

enum State {
    Open(JoinHandle<()>),
    /// On its way to another state.
    Moving,
    Refusing(TcpSocket),
    Closed,
}

/// A port and what is served on it. It ends when it is dropped.
pub(crate) struct Door {
    address: SocketAddr,
    serve: Serve,
    state: Mutex<State>,
    /// Held by whoever moves it.
    turn: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.close();
    }
}

/// Binds without listening.
async fn occupy(address: SocketAddr) -> io::Result<TcpSocket> {
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

impl Door {
    /// Opens on a port of 127.0.0.1; 0 takes a free one.
    pub(crate) async fn open<F>(port: u16, serve: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> io::Result<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let serve: Serve = Arc::new(move |stream| Box::pin(serve(stream)));
        let state = Mutex::new(Self::listen(listener, &serve));
        Ok(Self { address, serve, state, turn: tokio::sync::Mutex::default() })
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

    /// Shuts it for good; its connections break.
    pub(crate) fn close(&self) {
        if let State::Open(task) = std::mem::replace(&mut *self.state(), State::Closed) {
            task.abort();
        }
    }

    /// Shuts it, which ends its connections, or opens it again; of one that is closed for good nothing comes.
    pub(crate) async fn refuse(&self, refuse: bool) -> io::Result<()> {
        let _turn = self.turn.lock().await;
        let before = std::mem::replace(&mut *self.state(), State::Moving);
        let after = match before {
            State::Open(task) if refuse => {
                task.abort();
                // Its listener is closed when it has ended.
                let _ = task.await;
                occupy(self.address).await.map(State::Refusing)
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
