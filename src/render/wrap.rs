//! `wrap`: breaks text into lines by the width that a terminal shows it with.

use unicode_width::UnicodeWidthStr;

/// Lines are never narrower than this, so that a name or two fit.
const MIN_WIDTH: usize = 24;

/// The lines of `text`, each at most `width` columns wide. A longer word is not broken, so that an ARN can be copied.
pub(crate) fn wrap(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width.map(|width| width.max(MIN_WIDTH)) else {
        return vec![text.to_owned()];
    };
    if text.width() <= width {
        return vec![text.to_owned()];
    }
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.trim().is_empty() && line.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut line));
        } else if !line.is_empty() || !lines.is_empty() && word.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
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
}
