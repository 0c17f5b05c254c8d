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
