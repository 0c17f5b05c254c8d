//! SIGINT, SIGTERM and SIGHUP; SIGHUP, when the terminal closes, counts as SIGTERM. The first signal drops reads and lets
//! writes in flight end; the second one ends the run.

use crate::apply::report::Interrupt;
use crate::error::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The signals that have come.
#[derive(Debug, Clone)]
pub(super) struct Signals {
    pub(super) first: watch::Receiver<Option<Interrupt>>,
    pub(super) second: watch::Receiver<Option<Interrupt>>,
}

/// Starts to listen.
pub(super) fn listen() -> Result<Signals, Error> {
    let listen_to = |kind| signal(kind).map_err(|error| Error::failure(format!("cannot listen for signals: {error}")));
    let mut interrupt = listen_to(SignalKind::interrupt())?;
    let mut terminate = listen_to(SignalKind::terminate())?;
    let mut hangup = if is_hangup_ignored() { None } else { Some(listen_to(SignalKind::hangup())?) };
    let ((send_first, first), (send_second, second)) = (watch::channel(None), watch::channel(None));
    tokio::spawn(async move {
        for sender in [&send_first, &send_second] {
            sender.send_replace(Some(next(&mut interrupt, &mut terminate, hangup.as_mut()).await));
        }
        // a dropped sender would end the waits with an error
        tokio::join!(send_first.closed(), send_second.closed());
    });
    Ok(Signals { first, second })
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal, hangup: Option<&mut Signal>) -> Interrupt {
    let hangup = async {
        match hangup {
            Some(signal) => signal.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = interrupt.recv() => Interrupt::Interrupt,
        _ = terminate.recv() => Interrupt::Terminate,
        _ = hangup => Interrupt::Terminate,
    }
}

/// Whether the process was started with SIGHUP ignored, as `nohup` does: the program must outlive the terminal.
fn is_hangup_ignored() -> bool {
    #[expect(clippy::disallowed_methods, reason = "this file is about the process, not part of the configuration")]
    let status = std::fs::read_to_string("/proc/self/status");
    status.is_ok_and(|status| ignores_hangup(&status))
}

/// Reads the set of ignored signals, whose lowest bit is SIGHUP
/// (<https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>).
fn ignores_hangup(status: &str) -> bool {
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).is_some_and(|set| set & 1 == 1)
}

#[cfg(test)]
mod tests;
