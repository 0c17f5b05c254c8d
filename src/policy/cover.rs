//! Whether one pattern of a policy stands for all that another one means, or for nothing of it.
//!
//! `*` is any text and `?` is any one character
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>). Only what is certain
//! is said: `false` means that it could not be told.

/// Whether `${…}` is a policy variable, whose value is not known here, or a text like any other, as it is in actions and
/// in documents of version 2008-10-17
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syntax {
    Literal,
    Variables,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token<'a> {
    Char(char),
    /// `?`
    One,
    /// `*`
    Any,
    /// `${…}`: some text, which may be empty.
    Variable(&'a str),
}

fn tokens(text: &str, syntax: Syntax) -> Vec<Token<'_>> {
    let mut tokens = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let variable = (syntax == Syntax::Variables && rest.starts_with("${"))
            .then(|| rest.find('}').map(|end| &rest[..=end]))
            .flatten();
        let (token, length) = match (variable, char) {
            // these three stand for the character itself
            (Some("${*}"), _) => (Token::Char('*'), 4),
            (Some("${?}"), _) => (Token::Char('?'), 4),
            (Some("${$}"), _) => (Token::Char('$'), 4),
            (Some(variable), _) => (Token::Variable(variable), variable.len()),
            (None, '*') => (Token::Any, 1),
            (None, '?') => (Token::One, 1),
            (None, char) => (Token::Char(char), char.len_utf8()),
        };
        tokens.push(token);
        rest = &rest[length..];
    }
    tokens
}

/// Whether all that `other` means is meant by `pattern` too.
pub(crate) fn covers(pattern: &str, syntax: Syntax, other: &str, other_syntax: Syntax) -> bool {
    pattern == "*" || all_covered(&tokens(pattern, syntax), &tokens(other, other_syntax))
}

/// As a shell matches names, with the tokens of `other` for characters: what may be several characters, or none, only a
/// `*` takes.
fn all_covered(pattern: &[Token<'_>], other: &[Token<'_>]) -> bool {
    let takes = |own: &Token<'_>, other: &Token<'_>| match own {
        Token::One => matches!(other, Token::One | Token::Char(_)),
        Token::Char(_) | Token::Variable(_) => own == other,
        Token::Any => false,
    };
    let (mut at, mut seen) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while seen < other.len() {
        match pattern.get(at) {
            Some(Token::Any) => {
                retry = Some((at + 1, seen));
                at += 1;
            }
            Some(token) if takes(token, &other[seen]) => {
                at += 1;
                seen += 1;
            }
            _ => match retry {
                Some((behind, from)) => {
                    retry = Some((behind, from + 1));
                    at = behind;
                    seen = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|token| *token == Token::Any)
}

/// Whether all resources that `other` means are meant by `pattern` too. Whether a `*` reaches beyond its part of an ARN
/// is not relied on, except for `*` alone
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>).
pub(crate) fn arn_covers(pattern: &str, syntax: Syntax, other: &str, other_syntax: Syntax) -> bool {
    if pattern == "*" || (pattern == other && syntax == other_syntax) {
        return true;
    }
    match (arn_parts(pattern, syntax), arn_parts(other, other_syntax)) {
        (Some(own), Some(others)) => {
            own.iter().zip(&others).all(|(own, other)| covers(own, syntax, other, other_syntax))
        }
        _ => false,
    }
}

/// The six parts of an ARN; a colon within `${…}` parts nothing.
fn arn_parts(text: &str, syntax: Syntax) -> Option<[&str; 6]> {
    let mut parts = [""; 6];
    let (mut part, mut from, mut variable) = (0, 0, false);
    for (at, char) in text.char_indices() {
        match char {
            '$' if syntax == Syntax::Variables && text[at..].starts_with("${") => variable = true,
            '}' => variable = false,
            ':' if !variable && part < 5 => {
                parts[part] = &text[from..at];
                part += 1;
                from = at + 1;
            }
            _ => {}
        }
    }
    parts[part] = &text[from..];
    (part == 5).then_some(parts)
}

/// Whether nothing that `other` means is meant by `pattern`: what stands before the first wildcard differs.
pub(crate) fn disjoint(pattern: &str, other: &str, syntax: Syntax) -> bool {
    let (own, other) = (tokens(pattern, syntax), tokens(other, syntax));
    let fixed = |tokens: &[Token<'_>]| tokens.iter().position(|token| !matches!(token, Token::Char(_)));
    let (own_fixed, other_fixed) = (fixed(&own), fixed(&other));
    let length = own_fixed.unwrap_or(own.len()).min(other_fixed.unwrap_or(other.len()));
    if own[..length] != other[..length] {
        return true;
    }
    // of two texts without wildcards only equal ones meet; one without is met by the other's pattern or it is not
    match (own_fixed, other_fixed) {
        (None, None) => own != other,
        (Some(_), None) if !own.iter().any(|token| matches!(token, Token::Variable(_))) => !all_covered(&own, &other),
        (None, Some(_)) if !other.iter().any(|token| matches!(token, Token::Variable(_))) => !all_covered(&other, &own),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(pattern: &str, other: &str) -> bool {
        arn_covers(pattern, Syntax::Variables, other, Syntax::Variables)
    }

    #[test]
    fn pattern_covers_what_it_matches_without_doubt() {
        let action = |pattern: &str, other: &str| covers(pattern, Syntax::Literal, other, Syntax::Literal);
        for (pattern, other) in [
            ("*", "s3:getobject"),
            ("s3:*", "s3:get*"),
            ("s3:get*", "s3:getobject"),
            ("s3:get?bject", "s3:getobject"),
            ("s3:get?bject", "s3:get?bject"),
            ("s3:*object", "s3:get*object"),
        ] {
            assert!(action(pattern, other), "{pattern} {other}");
        }
        for (pattern, other) in [
            ("s3:get*", "s3:*"),
            ("s3:?", "s3:*"),
            ("s3:getobject", "s3:getobjectacl"),
            ("s3:*object", "s3:getobject*"),
            ("s3:a?", "s3:a"),
        ] {
            assert!(!action(pattern, other), "{pattern} {other}");
        }
    }

    #[test]
    fn star_of_an_arn_reaches_to_the_end_of_its_part() {
        assert!(resource("arn:aws:s3:::*", "arn:aws:s3:::bucket/a:b"));
        assert!(resource("arn:aws:sqs:*:111122223333:q*", "arn:aws:sqs:eu-west-1:111122223333:queue"));
        assert!(!resource("arn:aws:*", "arn:aws:s3:::bucket"));
        assert!(!resource("arn:aws:sqs:*:q", "arn:aws:sqs:eu-west-1:111122223333:q"));
    }

    #[test]
    fn variable_is_covered_by_star_and_by_itself() {
        let variable = "arn:aws:s3:::home/${aws:username}/x";
        assert!(resource("arn:aws:s3:::home/*", variable));
        assert!(resource(variable, variable));
        assert!(!resource("arn:aws:s3:::home/????????????????/x", variable));
        assert!(!resource(variable, "arn:aws:s3:::home/bob/x"));
        assert!(!arn_covers(variable, Syntax::Literal, variable, Syntax::Variables));
        assert!(resource("arn:aws:s3:::a${*}b", "arn:aws:s3:::a${*}b"));
        assert!(!resource("arn:aws:s3:::a${*}b", "arn:aws:s3:::axxb"));
    }

    #[test]
    fn disjoint_only_where_nothing_can_match_both() {
        for (one, other) in [("iam:*", "s3:*"), ("s3:get*", "s3:put*"), ("s3:getobject", "s3:putobject"), ("s3:?", "s3:ab")] {
            assert!(disjoint(one, other, Syntax::Literal) && disjoint(other, one, Syntax::Literal), "{one} {other}");
        }
        for (one, other) in [("iam:*", "iam:get*"), ("*", "s3:get"), ("s3:get*", "s3:*object")] {
            assert!(!disjoint(one, other, Syntax::Literal) && !disjoint(other, one, Syntax::Literal), "{one} {other}");
        }
    }
}
