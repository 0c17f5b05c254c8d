//! Captured output, for runs inside another program.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// What a run has written to a [`Ui`](super::Ui) that captures.
#[derive(Debug, Clone, Default)]
pub struct Captured {
    pub(super) stdout: Buffer,
    pub(super) stderr: Buffer,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// All of stdout so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// All of stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }
}

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
