use super::*;
use proptest::prelude::*;

#[test]
fn words_stay_whole() {
    let text = "it trusts arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/east and nobody else at all";
    assert_eq!(
        wrap(text, Some(30)),
        ["it trusts", "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/east", "and nobody else at all"]
    );
    assert_eq!(wrap(text, None), [text]);
}

#[test]
fn wide_characters_count_twice() {
    let text = "漢字漢字漢字 漢字漢字漢字 漢字";
    assert_eq!(wrap(text, Some(24)), ["漢字漢字漢字", "漢字漢字漢字 漢字"]);
}

proptest! {
    #[test]
    fn no_word_is_lost(text in "[a-z漢 ]{0,120}", width in 1usize..80) {
        let lines = wrap(&text, Some(width));
        let words: Vec<&str> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
        prop_assert_eq!(words, text.split_whitespace().collect::<Vec<_>>());
        for line in &lines {
            prop_assert!(line.width() <= width.max(MIN_WIDTH) || !line.trim().contains(' '), "{:?}", line);
        }
    }
}
