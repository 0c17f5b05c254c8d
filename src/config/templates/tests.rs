use super::*;

fn variables() -> Variables {
    Variables {
        partition: "aws".into(),
        account_id: "111122223333".into(),
        owner: "me".into(),
        region: SharedValue::one("eu-west-1"),
        cluster: SharedValue(["b".to_owned(), "a".to_owned()].into()),
    }
}

#[test]
fn names_are_replaced_and_comments_dropped() {
    for (text, expected) in [
        ("arn:{{ partition }}:x:{{ region }}:{{account_id}}:{{ owner }}", "arn:aws:x:eu-west-1:111122223333:me"),
        ("a{{owner}}b{{  region  }}}c\n", "amebeu-west-1}c\n"),
        ("{\"a\": \"{{\n\tpartition\r\n}}\"}\r\n\n", "{\"a\": \"aws\"}\r\n\n"),
        ("no mark }} at all { {", "no mark }} at all { {"),
        ("{ {{ account_id }} }", "{ 111122223333 }"),
        ("{# a {{ comment }} {% if %} #}x{##}", "x"),
        ("${aws:PrincipalTag/team} <&>", "${aws:PrincipalTag/team} <&>"),
        ("ä{{ owner }}ö", "ämeö"),
        ("{{ '{' }}{ owner }} {{'{'}}%", "{{ owner }} {%"),
    ] {
        assert_eq!(variables().render(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn escaped_text_is_rendered_as_it_was() {
    for text in ["", "{", "}{", "{{ owner }}", "{{{# x #}", "{%{{{", "ä{ö{{ü", "{ {\u{0}", BRACE] {
        let escaped = escape(text, BRACE);
        assert_eq!(variables().render(&escaped).as_deref(), Ok(text), "{escaped}");
    }
}

/// The errors in a text, each with the part that it points at.
fn errors(text: &str) -> Vec<(String, &str)> {
    let errors = variables().render(text).expect_err(text);
    errors.into_iter().map(|error| (error.message, &text[error.span])).collect()
}

#[test]
fn unknown_name_is_refused_at_its_position() {
    for (text, name) in [
        ("\"acount_id\" {{ acount_id }}", "acount_id"),
        ("{% if false %}{{ hidden }}{% endif %}", "hidden"),
        ("{{ cluster }}", "cluster"),
        ("{{ account-id }}", "account-id"),
        ("{{ ACCOUNT_ID }}", "ACCOUNT_ID"),
    ] {
        let errors = errors(text);
        assert!(errors.iter().any(|(said, here)| said.contains(&format!("`{name}`")) && *here == name), "{errors:?}");
    }
    for text in ["{{ acount_id }}", "{{ account-id }}"] {
        assert_eq!(variables().render(text).unwrap_err()[0].hint, "did you mean `account_id`?");
    }
}

#[test]
fn expressions_and_statements_are_refused() {
    for (text, here) in [
        ("{{ owner | upper }}", "owner | upper"),
        ("{{ account_id|replace('000000000000','*') }}", "account_id|replace('000000000000','*')"),
        ("{{ 'a' if account_id == '000000000000' else 'b' }}", "'a' if account_id == '000000000000' else 'b'"),
        ("{{ {'000000000000': 'a'}[account_id] }}", "{'000000000000': 'a'}[account_id]"),
        ("{{ account_id[0] }}", "account_id[0]"),
        ("{{ account_id ~ owner }}", "account_id ~ owner"),
        ("{{ range(9) }}", "range(9)"),
        ("{{- owner -}}", "- owner -"),
        ("{{ 'owner' }}", "'owner'"),
        ("{{ owner.x }}", "owner.x"),
        ("{{ owner owner }}", "owner owner"),
        ("{{}}", ""),
    ] {
        if let [(said, place)] = &errors(text)[..] {
            assert!(said.contains("expected a name") || said.contains("unknown name"), "{text}: {said}");
            assert_eq!(*place, here, "{text}");
        } else {
            panic!("{text}: {:?}", errors(text));
        }
    }
    for word in ["if x", "for a in 'ab'", "set x = owner", "macro m()", "include 'x'", "raw", "-if x -", ""] {
        let text = format!("a {{%{word}%}} b");
        assert_eq!(errors(&text), [("templates have no statements".to_owned(), &text[2..text.len() - 2])]);
    }
    for (text, mark) in [("x {{ owner", "{{"), ("{% if", "{%"), ("{# x", "{#"), ("{{ owner }", "{{"), ("{", "")] {
        if mark.is_empty() {
            assert_eq!(variables().render(text).as_deref(), Ok(text));
        } else {
            assert!(errors(text)[0].0.starts_with(&format!("`{mark}` is not closed")), "{text}");
            assert_eq!(errors(text)[0].1, mark);
        }
    }
}

#[test]
fn large_templates_take_linear_time() {
    let many = |piece: &str| piece.repeat(100_000);
    for text in [
        format!("{{{{ owner{} }}}}", many(" | upper")),
        format!("{{{{ {}owner }}}}", many("-")),
        format!("{{{{ {}{} }}}}", many("("), many(")")),
        many("{% if x %}"),
        many("{{ x }}"),
        many("{{"),
        many("{#"),
    ] {
        assert!((1..=ERROR_LIMIT).contains(&variables().render(&text).unwrap_err().len()));
    }
    assert_eq!(variables().render(&many("{{ owner }}")).unwrap().len(), 200_000);
}
