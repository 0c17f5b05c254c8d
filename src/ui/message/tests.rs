use super::*;

#[test]
fn details_and_hints_follow_the_error() {
    let hints = ["run `aws sso login`".to_owned(), "or set `AWS_PROFILE`".to_owned()];
    let details = ["role/a: gone\n::error::x".to_owned(), "::error::y".to_owned()];
    let text = error(&Style::plain(), "account/prod: no credentials\u{1b}[2J", &details, &hints);
    assert_eq!(
        text,
        "error: account/prod: no credentials<U+001B>[2J\n  role/a: gone<U+000A>::error::x\n  \\::error::y\n\
             hint: run `aws sso login`\nhint: or set `AWS_PROFILE`\n"
    );
    assert_eq!(warning(&Style::colored(), "old"), "\u{1b}[1m\u{1b}[33mwarning:\u{1b}[0m old\n");
}

#[test]
fn control_characters_and_ci_commands_are_escaped() {
    assert_eq!(plain("one\ntwo\u{202e}"), "one<U+000A>two<U+202E>\n");
    assert_eq!(plain("::set-output name=x::y ##vso[z]"), "\\::set-output name=x::y ##vso\\[z]\n");
}
