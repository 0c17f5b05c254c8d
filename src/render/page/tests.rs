use super::*;

const TEXT: &str = "A first paragraph that goes on\nin a second line, with [a link](concepts.md#adopt).\n\n\
- An item of a list with several words\n  and a second line.\n- Another.\n\n\
| message | what to do | word |\n| --- | --- | --- |\n| `it exists` | Adopt it, or choose another name. | `no-owner` |\n\
| `it differs` | Look. | `differs` |\n\n```json\n{\"a\": \"a long line of code that nobody breaks\"}\n```\n";

#[test]
fn every_line_fits_the_width_but_code_and_long_words() {
    let shown = page(TEXT, Some(36));
    assert_eq!(
        shown,
        "A first paragraph that goes on in a\nsecond line, with a link\n(docs/concepts.md#adopt).\n\n\
         - An item of a list with several\n  words and a second line.\n- Another.\n\n  \
           message: `it exists`\n  what to do: Adopt it, or choose\n    another name.\n  word: `no-owner`\n\n  \
           message: `it differs`\n  what to do: Look.\n  word: `differs`\n\n\
         ```json\n{\"a\": \"a long line of code that nobody breaks\"}\n```\n"
    );
}

#[test]
fn without_a_width_only_tables_change() {
    let shown = page(TEXT, None);
    assert!(shown.starts_with("A first paragraph that goes on\nin a second line"), "{shown}");
    assert!(shown.contains("  what to do: Adopt it, or choose another name.\n"), "{shown}");
    assert!(!shown.contains('|'), "{shown}");
}

#[test]
fn no_page_shows_a_table_or_loses_a_word() {
    for item in crate::explain::pages() {
        let shown = page(item.body(), Some(80));
        assert!(!shown.lines().any(|line| line.starts_with("| ")), "{}: {shown}", item.word);
        let letters = |text: &str| text.chars().filter(|letter| letter.is_alphabetic()).count();
        assert!(letters(&shown) >= letters(&without_links(item.body())), "{}: {shown}", item.word);
        let wide = shown.lines().filter(|line| line.chars().count() > 80 && line.contains(". ")).count();
        assert_eq!(wide, 0, "{}: {shown}", item.word);
    }
}
