use super::*;
use std::io;

#[test]
fn line_is_returned_without_its_end() {
    for (typed, read) in [("123456\n", Some("123456")), ("\r\n", Some("")), ("12", Some("12")), ("", None)] {
        let mut out = Vec::new();
        let line = line("Code\u{1b}:", &Style::plain(), &mut io::Cursor::new(typed), &mut out);
        assert_eq!((line.as_deref(), String::from_utf8(out).unwrap().as_str()), (read, "Code<U+001B>: "));
    }
}

fn answer(typed: &[u8]) -> Confirmation {
    ask("Apply?", &Style::plain(), &mut io::Cursor::new(typed), &mut Vec::new())
}

#[test]
fn only_yes_confirms() {
    assert_eq!(answer(b"yes\n"), Confirmation::Yes);
    assert_eq!(answer(b"yes\r\n"), Confirmation::Yes);
    for typed in
        ["", "\n", "y\n", "Yes\n", "YES\n", " yes\n", "yes \n", "yes please\n", "no\n", "no\nyes\n", "yes", "yes\r\r\n"]
    {
        assert_eq!(answer(typed.as_bytes()), Confirmation::No, "{typed:?}");
    }
    assert_eq!(answer(b"\xff\xfe\n"), Confirmation::No);
}

#[test]
fn question_is_printed_without_control_characters() {
    let mut out = Vec::new();
    ask("Apply 3 changes?\u{1b}[8m", &Style::plain(), &mut io::Cursor::new(b"yes\n"), &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "\nApply 3 changes?<U+001B>[8m\n  Only `yes` goes on.\n\n  Answer: \n");
}

#[test]
fn question_on_a_closed_stream_is_not_confirmed() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    assert_eq!(ask("?", &Style::plain(), &mut io::Cursor::new(b"yes\n"), &mut Closed), Confirmation::No);
}
