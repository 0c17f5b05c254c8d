use super::*;

#[test]
fn position_counts_lines_and_characters() {
    let source = Source::new("a".into(), "a\n\u{e4}b\n\nc".into());
    let position = |start: usize| {
        let origin = source.origin(start..start + 1);
        (origin.line, origin.column)
    };
    assert_eq!(
        [position(0), position(2), position(4), position(6), position(7), position(99)],
        [(1, 1), (2, 1), (2, 2), (3, 1), (4, 1), (4, 2)]
    );
    let long = Source::new("a".into(), format!("{}x", "\u{e4}".repeat(COUNTED)).into());
    assert_eq!(long.origin(2..4).column, 2);
    assert_eq!(long.origin(COUNTED * 2..COUNTED * 2 + 1).column, COUNTED / 2 + COUNTED + 1);
    for (line, column, offset) in [(1, 1, 0), (2, 2, 4), (2, 9, 5), (4, 1, 7), (9, 1, 8)] {
        assert_eq!(Source::offset(&source.text, line, column), offset, "{line}:{column}");
    }
}

#[test]
fn path_out_of_the_folder_is_refused() {
    for (name, expected) in [
        ("a.toml", Ok("a.toml")),
        ("./teams/../a.toml", Ok("a.toml")),
        ("teams/x.json", Ok("teams/x.json")),
        ("../a.toml", Err(())),
        ("teams/../../a.toml", Err(())),
        ("/etc/passwd", Err(())),
        ("", Err(())),
    ] {
        assert_eq!(normalized(name).as_deref().map_err(|_| ()), expected, "{name}");
    }
    assert_eq!(relative_to("teams/a.toml", "p.json"), "teams/p.json");
    assert_eq!(relative_to("irsa.toml", "p.json"), "p.json");
}
