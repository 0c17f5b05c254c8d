//! SIGINT, SIGTERM and SIGHUP: one way for all; a terminal that is closed ends a run as SIGTERM does. Reading is dropped at once; applying ends with the write in flight, or with the
//! second signal.

use crate::apply::report::Interrupt;
use crate::error::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The signals of a run; what was told stays told.
#[derive(Debug, Clone)]
pub(crate) struct Signals {
    /// The first one: nothing begins any more.
    pub(crate) first: watch::Receiver<Option<Interrupt>>,
    /// The second one: nothing is waited for any more.
    pub(crate) second: watch::Receiver<Option<Interrupt>>,
}

/// Listens from now on.
pub(crate) fn listen() -> Result<Signals, Error> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| unheard(&error))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| unheard(&error))?;
    let mut closed = if outlives_its_terminal() {
        None
    } else {
        Some(signal(SignalKind::hangup()).map_err(|error| unheard(&error))?)
    };
    let ((tell_first, first), (tell_second, second)) = (watch::channel(None), watch::channel(None));
    tokio::spawn(async move {
        for told in [&tell_first, &tell_second] {
            told.send_replace(Some(next(&mut interrupt, &mut terminate, closed.as_mut()).await));
        }
        // the channels must outlive the signals, or waiting for one would end with an error
        tokio::join!(tell_first.closed(), tell_second.closed());
    });
    Ok(Signals { first, second })
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal, closed: Option<&mut Signal>) -> Interrupt {
    let hang_up = async {
        match closed {
            Some(signal) => signal.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = interrupt.recv() => Interrupt::Interrupt,
        _ = terminate.recv() => Interrupt::Terminate,
        _ = hang_up => Interrupt::Terminate,
    }
}

fn unheard(error: &std::io::Error) -> Error {
    Error::failure(format!("cannot listen for signals: {error}"))
}

/// Whether whoever started the program wants it to outlive the terminal, as `nohup` does: then it is not listened for.
fn outlives_its_terminal() -> bool {
    #[expect(clippy::disallowed_methods, reason = "the kernel tells of this process, nothing of the configuration")]
    let status = std::fs::read_to_string("/proc/self/status");
    status.is_ok_and(|status| ignores_hang_up(&status))
}

/// Reads the set of ignored signals, of which the lowest bit is SIGHUP
/// (<https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>).
fn ignores_hang_up(status: &str) -> bool {
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).is_some_and(|set| set & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nohup_is_seen_in_the_set_of_ignored_signals() {
        for (status, ignored) in [
            ("Name:\tirsa\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\n", true),
            ("SigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n", false),
            ("", false),
        ] {
            assert_eq!(ignores_hang_up(status), ignored, "{status}");
        }
    }
}
