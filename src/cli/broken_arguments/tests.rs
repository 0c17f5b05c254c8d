use super::*;

#[test]
fn metrics_file_is_found_in_a_wrong_command_line() {
    for (line, found) in [
        ("drift --bogus --metrics-file m", Some("m")),
        ("-c drift.toml drift --metrics-file=m --shard 9/3", Some("m")),
        ("--format sarif drift --metrics-file m", Some("m")),
        ("drift --metrics-file a --metrics-file b", Some("b")),
        ("drift --metrics-file - --bogus", Some("-")),
        ("drift --metrics-file --bogus", None),
        ("drift --metrics-file", None),
        ("drift --metrics-file=", None),
        ("drift --bogus -- --metrics-file m", None),
        ("drift --metrics-files m", None),
        ("plan --metrics-file m", None),
        ("-c drift plan --metrics-file m", None),
        ("", None),
    ] {
        let arguments = BrokenArguments::of(line.split_whitespace().map(OsString::from));
        assert_eq!(arguments.metrics_file(), found.map(PathBuf::from), "{line}");
    }
}

#[test]
fn annotations_are_wanted_by_commands_with_the_github_format() {
    for (line, annotated) in [
        ("plan --format github --bogus", true),
        ("--format=github plan --bogus", true),
        ("plan --format text --bogus", false),
        ("schema --format github --bogus", false),
    ] {
        assert_eq!(
            BrokenArguments::of(line.split_whitespace().map(OsString::from)).wants_annotations(),
            annotated,
            "{line}"
        );
    }
}
