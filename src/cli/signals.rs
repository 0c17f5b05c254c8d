//! SIGINT and SIGTERM: one way for both. Reading is dropped at once; applying ends with the write in flight.

use crate::apply::report::Interrupt;
use crate::error::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Tells of the first signal; it stays told.
pub(crate) fn listen() -> Result<watch::Receiver<Option<Interrupt>>, Error> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| unheard(&error))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| unheard(&error))?;
    let (sender, receiver) = watch::channel(None);
    tokio::spawn(async move {
        let seen = tokio::select! {
            _ = interrupt.recv() => Interrupt::Interrupt,
            _ = terminate.recv() => Interrupt::Terminate,
        };
        sender.send_replace(Some(seen));
        // the channel must outlive the signal, or waiting for it would end with an error
        sender.closed().await;
    });
    Ok(receiver)
}

fn unheard(error: &std::io::Error) -> Error {
    Error::failure(format!("cannot listen for signals: {error}"))
}
