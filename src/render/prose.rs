//! Converts text with literals in backticks to HTML and to GitHub's Markdown, and escapes the rest.

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Words(&'a str),
    /// The text between two backticks, which has no backtick.
    Literal(&'a str),
}

/// The pieces of `text` in order. An unpaired backtick belongs to the words.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut list = Vec::new();
    let mut rest = text;
    let mut from = 0;
    while let Some(open) = rest[from..].find('`').map(|at| at + from) {
        let Some(length) = rest[open + 1..].find('`') else { break };
        let literal = &rest[open + 1..open + 1 + length];
        if literal.trim().is_empty() {
            // an empty pair of backticks is not a literal
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

/// The text with its words and literals converted.
fn convert(text: &str, words: impl Fn(&str) -> String, literal: impl Fn(&str) -> String) -> String {
    let convert = |piece| match piece {
        Piece::Words(text) => words(text),
        Piece::Literal(text) => literal(text),
    };
    pieces(text).into_iter().map(convert).collect()
}

fn html_code(text: &str) -> String {
    format!("<code>{}</code>", escape_html(text))
}

/// The text as HTML, with literals as `<code>`.
pub(crate) fn html(text: &str) -> String {
    convert(text, escape_html, html_code)
}

/// The text as HTML within GitHub's Markdown, without links and mentions.
pub(crate) fn quiet_html(text: &str) -> String {
    let words = |text: &str| {
        let escaped = escape_html(text).replace('@', "@<!-- -->").replace("://", ":<!-- -->//");
        // keeps the `#` of the escape `&#39;`
        escaped.replace("www.", "www<!-- -->.").replace('#', "#<!-- -->").replace("&#<!-- -->39;", "&#39;")
    };
    convert(text, words, html_code)
}

/// The text as GitHub's Markdown, with literals as code and without other markup, links and mentions.
pub(crate) fn markdown(text: &str) -> String {
    convert(text, escape_markdown, code)
}

/// A code span. The text may contain backticks.
pub(crate) fn code(text: &str) -> String {
    if text.trim().is_empty() {
        return escape_markdown(text);
    }
    let fence = "`".repeat(longest_backticks(text) + 1);
    let edge = text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']);
    let space = if edge { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// The length of the longest run of backticks.
pub(crate) fn longest_backticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Escapes every character that has a meaning in Markdown. GitHub looks for mentions, references and links after it has
/// resolved the escapes, so an HTML comment in the middle breaks them
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
mod tests;
