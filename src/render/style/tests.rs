use super::*;

#[test]
fn plain_text_has_no_escape_sequence() {
    assert_eq!(Style::plain().paint(Ink::Added, "+"), "+");
    assert_eq!(Style::colored().paint(Ink::Added, "+"), "\u{1b}[32m+\u{1b}[0m");
    assert_eq!(Style::colored().paint(Ink::Dim, ""), "");
}
