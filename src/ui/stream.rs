//! A stream whose reader may go away: `irsa plan | head` is no error.

use std::io::{self, ErrorKind, Write};

/// Drops what is written once the pipe is broken, and says that all is well; other errors are errors.
pub(crate) struct Quiet<W> {
    inner: W,
    closed: bool,
}

impl<W: Write> Quiet<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, closed: false }
    }

    fn unless_closed<T>(&mut self, result: io::Result<T>, then: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(then)
            }
            other => other,
        }
    }
}

impl<W: Write> Write for Quiet<W> {
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

    /// Takes so many bytes, then fails.
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
    fn a_broken_pipe_is_an_end() {
        let mut stream = Quiet::new(Pipe(3, ErrorKind::BrokenPipe));
        stream.write_all(b"hello").unwrap();
        stream.write_all(b"world").unwrap();
        stream.flush().unwrap();
        assert!(stream.closed);
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let mut stream = Quiet::new(Pipe(3, ErrorKind::StorageFull));
        assert_eq!(stream.write_all(b"hello").unwrap_err().kind(), ErrorKind::StorageFull);
    }
}
