//! What a run inside another program writes, kept instead of shown.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// What was written to a [`Ui`](super::Ui) that keeps it.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    pub(super) stdout: Stream,
    pub(super) stderr: Stream,
}

/// One of the two.
#[derive(Debug, Clone, Default)]
pub(super) struct Stream(Arc<Mutex<Vec<u8>>>);

impl Kept {
    /// All of stdout so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// All of stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }
}

impl Stream {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
