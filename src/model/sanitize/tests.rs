use super::*;
use proptest::prelude::*;

#[test]
fn invisible_characters_become_their_code_points() {
    // one of each kind that the Unicode database has, with the ends of its ranges
    let unseen = [
        0x00, 0x1b, 0x7f, 0x85, 0x9b, 0xa0, 0xad, 0x34f, 0x600, 0x61c, 0x70f, 0x115f, 0x1160, 0x1680, 0x17b4, 0x17b5,
        0x180b, 0x180f, 0x2000, 0x200b, 0x200f, 0x2028, 0x2029, 0x202a, 0x202e, 0x202f, 0x205f, 0x2060, 0x2065, 0x206f,
        0x2800, 0x3000, 0x3164, 0xe000, 0xf8ff, 0xfdd0, 0xfe00, 0xfe0f, 0xfeff, 0xffa0, 0xfff0, 0xfff8, 0xfff9, 0xfffc,
        0xffff, 0x110bd, 0x13430, 0x13441, 0x16fe4, 0x1bca0, 0x1d159, 0x1d173, 0x1d17a, 0xe0000, 0xe0001, 0xe0020,
        0xe007f, 0xe0080, 0xe0100, 0xe01ef, 0xe0fff, 0xf0000, 0x10_ffff,
    ];
    for code in unseen {
        let character = char::from_u32(code).unwrap();
        assert!(is_invisible(character), "U+{code:04X}");
        assert_eq!(scrub(&format!("a{character}b")), format!("a<U+{code:04X}>b"));
    }
    for seen in " ~aü漢あ한नक्षि€→…“”–—✓😀\u{301}".chars() {
        assert!(!is_invisible(seen), "{seen:?}");
    }
}

#[test]
fn default_ignorable_code_points_are_invisible() {
    let set = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let all: Vec<char> = ('\0'..=char::MAX).filter(|character| set.contains(*character)).collect();
    assert!(all.len() > 4_000, "{}", all.len());
    assert!(all.into_iter().all(is_invisible));
}

#[test]
fn scrubbed_text_is_one_line_without_commands() {
    for (dirty, wanted) in [
        ("reads the reports ü 漢", "reads the reports ü 漢"),
        ("a\u{1b}[2Jb", "a<U+001B>[2Jb"),
        ("a\nb\tc\r", "a<U+000A>b<U+0009>c<U+000D>"),
        ("role/\u{202e}nimda", "role/<U+202E>nimda"),
        ("##[error]x", "##\\[error]x"),
        ("a ##[debug]b", "a ##\\[debug]b"),
        ("###[x", "###\\[x"),
        ("x##vso[task.setvariable variable=y]z", "x##vso\\[task.setvariable variable=y]z"),
        ("##VSO[x] ##teamcity[y]", "##VSO\\[x] ##teamcity\\[y]"),
        ("##v\u{ad}so[x]", "##v<U+00AD>so[x]"),
        ("## [x] #[x] ##x [y]", "## [x] #[x] ##x [y]"),
    ] {
        assert_eq!(scrub(dirty), wanted);
    }
    assert_ne!(scrub("ab"), scrub("a\u{200d}b"));
}

#[test]
fn commands_in_finished_lines_are_disabled() {
    for (dirty, wanted) in [
        ("::error::x\n", "\\::error::x\n"),
        ("one\n  ::set-output name=x::y\ntwo", "one\n  \\::set-output name=x::y\ntwo"),
        ("\u{1b}[1m\u{1b}[31m::error::x", "\u{1b}[1m\u{1b}[31m\\::error::x"),
        ("  a ##[group]x", "  a ##\\[group]x"),
        ("::add-mask::x ##vso[y]\n", "\\::add-mask::x ##vso\\[y]\n"),
        ("--- folded\n+++\n~~~ x\n^^^ +++", "\\--- folded\n\\+++\n\\~~~ x\n\\^^^ +++"),
        // no commands
        ("arn:aws:iam::111122223333:role/a\n", "arn:aws:iam::111122223333:role/a\n"),
        ("  ::: other.toml:3:1\n", "  ::: other.toml:3:1\n"),
        ("  --> irsa.toml:3:1\n--no-color\n + a", "  --> irsa.toml:3:1\n--no-color\n + a"),
    ] {
        assert_eq!(inert(dirty), wanted);
        assert_eq!(inert(wanted), wanted, "once is enough");
    }
}

#[test]
fn printable_json_keeps_its_data() {
    assert_eq!(
        printable("[\n \"##\", [\"a\u{ad}##vso[b\u{e0041}\"]]"),
        "[\n \"##\", [\"a\\u00ad##vso\\u005bb\\udb40\\udc41\"]]"
    );
}

proptest! {
    #[test]
    fn any_text_is_harmless_afterwards(text in any::<String>(), command in "(##|::|---|)[a-z]{0,3}(\\[|::| )?") {
        let text = text + &command;
        let clean = scrub(&text).into_owned();
        prop_assert!(!clean.chars().any(is_invisible));
        prop_assert_eq!(scrub(&clean), clean.as_str());
        let line = inert(&clean).into_owned();
        prop_assert!(command_free(&line), "{}", line);
        let json = printable(&serde_json::to_string(&text).unwrap());
        prop_assert!(!json.chars().any(is_invisible) && command_free(&json), "{}", json);
        prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}

/// Looks for commands as CI systems do.
fn command_free(line: &str) -> bool {
    let begin = line.trim_start();
    let v2 = begin.starts_with("::") && begin[2..].contains("::") && !begin.starts_with(":::");
    !v2 && !line.contains("##[") && !line.contains("##vso[")
}
