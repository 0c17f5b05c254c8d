use super::*;
use crate::config::source::Source;
use std::sync::Arc;

fn places(text: &str) -> Vec<(String, Vec<(usize, usize)>)> {
    let source = Arc::new(Source::new("irsa.toml".into(), text.into()));
    let file = FileReader::new(source);
    let (table, errors) = DeTable::parse_recoverable(text);
    let (list, _) = syntax_errors(&file, table.get_ref(), &errors);
    let lines = |item: &Diagnostic| item.labels.iter().map(|(origin, _)| (origin.line, origin.column)).collect();
    list.iter().map(|item| (item.message.clone(), lines(item))).collect()
}

#[test]
fn duplicate_key_is_reported_with_both_positions() {
    for (text, name, expected) in [
        ("a = 1\nb = 2\na = 3\n", "a", [(3, 1), (1, 1)]),
        ("[roles.x]\n[roles.y]\n[roles.x]\n", "[roles.x]", [(3, 8), (1, 1)]),
        ("[roles.x]\nname = 1\n[roles.y]\nname = 2\nname = 3\n", "name", [(5, 1), (4, 1)]),
        ("[[s]]\nname = 1\n[[s]]\nname = 2\nname = 3\n", "name", [(5, 1), (4, 1)]),
    ] {
        assert_eq!(places(text), [(format!("`{name}` is defined twice"), expected.to_vec())], "{text}");
    }
}

#[test]
fn broken_line_has_one_error() {
    assert_eq!(places("a = [\"x\",\nb = [\"y\"]\n").len(), 1);
    assert_eq!(places("a = \nb = \n").len(), 2);
}
