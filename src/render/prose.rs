//! Prose with literals in backticks, taken apart for the formats that have markup of their own.

/// A piece of prose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Words(&'a str),
    /// What stood between two backticks; has none itself.
    Literal(&'a str),
}

/// The pieces of `text` in order. A backtick without a partner stays among the words.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut list = Vec::new();
    let mut rest = text;
    let mut from = 0;
    while let Some(open) = rest[from..].find('`').map(|at| at + from) {
        let Some(length) = rest[open + 1..].find('`') else { break };
        let literal = &rest[open + 1..open + 1 + length];
        if literal.trim().is_empty() {
            // two backticks around nothing open no literal
            from = open + 1 + length + 1;
            continue;
        }
        if open > 0 {
            list.push(Piece::Words(&rest[..open]));
        }
        list.push(Piece::Literal(literal));
        rest = &rest[open + length + 2..];
        from = 0;
    }
    if !rest.is_empty() {
        list.push(Piece::Words(rest));
    }
    list
}

/// Escaped for HTML text and attributes.
pub(crate) fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Prose as HTML, literals as `<code>`.
pub(crate) fn html(text: &str) -> String {
    pieces(text)
        .into_iter()
        .map(|piece| match piece {
            Piece::Words(words) => escape_html(words),
            Piece::Literal(literal) => format!("<code>{}</code>", escape_html(literal)),
        })
        .collect()
}

/// Prose as HTML within GitHub's Markdown: nothing in it links or mentions.
pub(crate) fn quiet_html(text: &str) -> String {
    let words = |words: &str| {
        let escaped = escape_html(words).replace('@', "@<!-- -->").replace("://", ":<!-- -->//");
        // not the `#` of an escape
        escaped.replace("www.", "www<!-- -->.").replace('#', "#<!-- -->").replace("&#<!-- -->39;", "&#39;")
    };
    pieces(text)
        .into_iter()
        .map(|piece| match piece {
            Piece::Words(text) => words(text),
            Piece::Literal(literal) => format!("<code>{}</code>", escape_html(literal)),
        })
        .collect()
}

/// Prose as GitHub's Markdown, literals as code; nothing in it links, mentions or marks up.
pub(crate) fn markdown(text: &str) -> String {
    pieces(text)
        .into_iter()
        .map(|piece| match piece {
            Piece::Words(words) => escape_markdown(words),
            Piece::Literal(literal) => code(literal),
        })
        .collect()
}

/// A code span, whatever backticks are in it.
pub(crate) fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    if text.trim().is_empty() {
        return escape_markdown(text);
    }
    let fence = "`".repeat(longest + 1);
    let edge = text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']);
    let space = if edge { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// Words that Markdown takes as words. A comment in the middle keeps GitHub from making a mention, a reference or a
/// link, which it looks for after the escapes are resolved
/// (<https://github.github.com/gfm/#autolinks-extension->).
fn escape_markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '@' | '#' => {
                escaped.push('\\');
                escaped.push(character);
                escaped.push_str("<!-- -->");
            }
            ':' if rest.peek() == Some(&'/') => escaped.push_str(":<!-- -->"),
            '.' if escaped.ends_with("www") => escaped.push_str("<!-- -->."),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '+' | '-' | '!' | '|' | '~' | '=' | '$' => {
                escaped.push('\\');
                escaped.push(character);
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn literals_are_code_in_both() {
        let text = "role `a<b>` exists, see <script> & @admin #1 https://evil";
        assert_eq!(html(text), "role <code>a&lt;b&gt;</code> exists, see &lt;script&gt; &amp; @admin #1 https://evil");
        assert_eq!(
            markdown(text),
            "role `a<b>` exists, see &lt;script&gt; &amp; \\@<!-- -->admin \\#<!-- -->1 https:<!-- -->//evil"
        );
    }

    #[test]
    fn html_within_markdown_mentions_nobody() {
        assert_eq!(
            quiet_html("`@a` @b #1 'x' https://evil www.evil <b>"),
            "<code>@a</code> @<!-- -->b #<!-- -->1 &#39;x&#39; https:<!-- -->//evil www<!-- -->.evil &lt;b&gt;"
        );
    }

    #[test]
    fn backticks_without_a_partner_are_words() {
        assert_eq!(pieces("a ` b"), [Piece::Words("a ` b")]);
        assert_eq!(pieces("a `` b `c`"), [Piece::Words("a `` b "), Piece::Literal("c")]);
        assert_eq!(markdown("a ` *b*"), "a \\` \\*b\\*");
    }

    #[test]
    fn a_code_span_holds_its_backticks() {
        assert_eq!(code("a``b"), "```a``b```");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(code("role/a"), "`role/a`");
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_text(text in "[a`* ]{0,40}") {
            let joined: String = pieces(&text).into_iter().map(|piece| match piece {
                Piece::Words(words) => words.to_owned(),
                Piece::Literal(literal) => format!("`{literal}`"),
            }).collect();
            prop_assert_eq!(joined, text);
        }

        #[test]
        fn html_has_no_markup_but_code(text in any::<String>()) {
            let plain = html(&text).replace("<code>", "").replace("</code>", "");
            prop_assert!(!plain.contains(['<', '>', '"', '\'']));
        }
    }
}
