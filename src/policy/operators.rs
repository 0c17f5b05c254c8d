//! The condition operators that IAM knows
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>).

const OPERATORS: [&str; 27] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "Null",
];

/// An operator taken apart: `ForAnyValue:`, the operator itself as AWS writes it, `IfExists`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operator {
    /// `ForAllValues` or `ForAnyValue`.
    pub(crate) quantifier: Option<&'static str>,
    /// The operator.
    pub(crate) name: &'static str,
    /// Whether a missing key satisfies it.
    pub(crate) if_exists: bool,
}

impl Operator {
    /// Reads an operator without regard to case; nothing if IAM knows no such one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (quantifier, rest) = match text.split_once(':') {
            Some((word, rest)) => {
                let known = ["ForAllValues", "ForAnyValue"].into_iter().find(|known| known.eq_ignore_ascii_case(word));
                (Some(known?), rest)
            }
            None => (None, text),
        };
        let find = |word: &str| OPERATORS.into_iter().find(|known| known.eq_ignore_ascii_case(word));
        if let Some(name) = find(rest) {
            return Some(Self { quantifier, name, if_exists: false });
        }
        let cut = rest.len().checked_sub("IfExists".len()).filter(|cut| rest.is_char_boundary(*cut))?;
        let (word, suffix) = rest.split_at(cut);
        // there is no NullIfExists
        let name = find(word).filter(|name| suffix.eq_ignore_ascii_case("IfExists") && *name != "Null")?;
        Some(Self { quantifier, name, if_exists: true })
    }

    /// Whether it holds for what is not listed.
    pub(crate) fn is_negated(self) -> bool {
        self.name.contains("Not")
    }
}

/// The one form under which equal operators are compared.
pub(crate) fn canonical(text: &str) -> Option<String> {
    Operator::parse(text).map(|Operator { quantifier, name, if_exists }| {
        let prefix = quantifier.map(|word| format!("{word}:")).unwrap_or_default();
        format!("{prefix}{name}{}", if if_exists { "IfExists" } else { "" })
    })
}

/// Whether the operator's values are `true` and `false`.
pub(crate) fn is_boolean(canonical: &str) -> bool {
    Operator::parse(canonical).is_some_and(|operator| ["Bool", "Null"].contains(&operator.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_read_without_case() {
        for (text, expected) in [
            ("stringequals", Some("StringEquals")),
            ("STRINGLIKEIFEXISTS", Some("StringLikeIfExists")),
            ("forallvalues:stringlike", Some("ForAllValues:StringLike")),
            ("ForAnyValue:ArnLikeIfExists", Some("ForAnyValue:ArnLikeIfExists")),
            ("NullIfExists", None),
            ("StringEqualz", None),
            ("Some:StringEquals", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(canonical(text).as_deref(), expected, "{text}");
        }
        assert!(Operator::parse("NotIpAddress").is_some_and(Operator::is_negated));
    }
}
