use super::*;

#[test]
fn control_characters_in_a_log_line_are_escaped() {
    let written = |format, line: &str| {
        let mut out = Vec::new();
        Sanitized { format, out: &mut out }.write_all(line.as_bytes()).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        written(LogFormat::Text, "INFO a\u{1b}[2J\n::error::x ##vso[y]\u{3164}\n"),
        "INFO a<U+001B>[2J<U+000A>::error::x ##vso\\[y]<U+3164>\n"
    );
    let line = "{\"message\":\"a\u{202e}##[debug]\"}\n";
    let json = written(LogFormat::Json, line);
    assert_eq!(json, "{\"message\":\"a\\u202e##\\u005bdebug]\"}\n");
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(read(&json), read(line));
}
