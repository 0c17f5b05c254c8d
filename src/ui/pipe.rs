//! A writer that ignores a broken pipe: `irsa plan | head` is no error.

use std::io::{self, ErrorKind, Write};

/// After a broken pipe, every write succeeds and is dropped. Other errors are returned.
pub(super) struct IgnoreBrokenPipe<W> {
    inner: W,
    closed: bool,
}

impl<W: Write> IgnoreBrokenPipe<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, closed: false }
    }

    fn unless_closed<T>(&mut self, result: io::Result<T>, default: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(default)
            }
            other => other,
        }
    }
}

impl<W: Write> Write for IgnoreBrokenPipe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(bytes.len());
        }
        let result = self.inner.write(bytes);
        self.unless_closed(result, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let result = self.inner.flush();
        self.unless_closed(result, ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes this many bytes, then fails.
    struct Pipe(usize, ErrorKind);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(self.1.into());
            }
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn writes_after_a_broken_pipe_are_dropped() {
        let mut stream = IgnoreBrokenPipe::new(Pipe(3, ErrorKind::BrokenPipe));
        stream.write_all(b"hello").unwrap();
        stream.write_all(b"world").unwrap();
        stream.flush().unwrap();
        assert!(stream.closed);
    }

    #[test]
    fn other_errors_are_returned() {
        let mut stream = IgnoreBrokenPipe::new(Pipe(3, ErrorKind::StorageFull));
        assert_eq!(stream.write_all(b"hello").unwrap_err().kind(), ErrorKind::StorageFull);
    }
}
