//! moto and ministack: AWS stand-ins by other authors, each a separate process on a loopback port.

use super::python;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// A running stand-in. Dropping it ends the process.
pub(crate) struct StandIn {
    child: Child,
    port: u16,
    _home: tempfile::TempDir,
}

impl StandIn {
    /// Starts `moto_server`, with the AWS-managed policies.
    pub(crate) fn moto() -> Self {
        Self::start(|port| {
            let mut command = Command::new(python::program("moto_server"));
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true");
            command
        })
    }

    /// Starts `ministack`.
    pub(crate) fn ministack() -> Self {
        Self::start(|port| {
            let mut command = Command::new(python::program("ministack"));
            command.env("GATEWAY_PORT", port.to_string());
            command
        })
    }

    fn start(command: impl Fn(u16) -> Command) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let mut command = command(port);
        command.env("HOME", home.path()).current_dir(home.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut standin = Self { child: child.expect("the stand-in starts"), port, _home: home };
        standin.wait();
        standin
    }

    fn wait(&mut self) {
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the stand-in ended at once: {status}");
            }
            assert!(begin.elapsed() < Duration::from_mins(1), "the stand-in did not listen within a minute");
            // a separate process runs in real time: a paused clock does not help
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // the process has nothing to save, and may have ended already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A free port for a process that cannot report which port it took. Lies below the range of ephemeral ports, so that no
/// process that asks for any port can take it in between.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(offset < 200, "no port is free");
        // other test processes start at another offset
        let first = u16::try_from(std::process::id() % 50).unwrap_or(0) * 200 + 20_000;
        if TcpListener::bind(("127.0.0.1", first + offset)).is_ok() {
            return first + offset;
        }
    }
}
