//! SIGINT and SIGTERM: one way for both. Reading is dropped at once; applying ends with the write in flight, or with the
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
    let ((tell_first, first), (tell_second, second)) = (watch::channel(None), watch::channel(None));
    tokio::spawn(async move {
        for told in [&tell_first, &tell_second] {
            told.send_replace(Some(next(&mut interrupt, &mut terminate).await));
        }
        // the channels must outlive the signals, or waiting for one would end with an error
        tokio::join!(tell_first.closed(), tell_second.closed());
    });
    Ok(Signals { first, second })
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) -> Interrupt {
    tokio::select! {
        _ = interrupt.recv() => Interrupt::Interrupt,
        _ = terminate.recv() => Interrupt::Terminate,
    }
}

fn unheard(error: &std::io::Error) -> Error {
    Error::failure(format!("cannot listen for signals: {error}"))
}
