//! Templates in policy documents: replaces names in double braces and drops comments.
//!
//! There are no filters, operators, conditions or loops. A document that could test its account or region could look
//! harmless offline, where `validate` lints it with placeholders, and grant everything in AWS. Nesting could also exhaust
//! the stack. The marks are Jinja's, which people know.

use super::reader::nearest;
use std::collections::BTreeSet;
use std::ops::Range;

/// The most mistakes reported for one template.
const TOLD: usize = 20;

/// What a document may name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Variables {
    pub partition: String,
    pub account_id: String,
    pub owner: String,
    pub region: Shared,
    pub cluster: Shared,
}

/// A value that is there if all users of a document share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shared {
    /// No user has one.
    Nobody,
    /// All share this one.
    One(String),
    /// They have these.
    Several(Vec<String>),
}

impl Shared {
    /// What these have in common.
    pub(crate) fn of(values: impl IntoIterator<Item = String>) -> Self {
        let values: BTreeSet<String> = values.into_iter().collect();
        let mut values: Vec<String> = values.into_iter().collect();
        match values.len() {
            0 => Self::Nobody,
            1 => Self::One(values.remove(0)),
            _ => Self::Several(values),
        }
    }
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub message: String,
    pub hint: Option<String>,
    /// The bytes of the template.
    pub span: Range<usize>,
}

/// Whether a text is more than itself.
pub(crate) fn is_template(text: &str) -> bool {
    text.as_bytes().windows(2).any(|pair| pair[0] == b'{' && matches!(pair[1], b'{' | b'%' | b'#'))
}

impl Variables {
    fn known(&self) -> [(&'static str, Option<&str>); 5] {
        [
            ("partition", Some(self.partition.as_str())),
            ("account_id", Some(self.account_id.as_str())),
            ("owner", Some(self.owner.as_str())),
            ("region", self.region.as_str()),
            ("cluster", self.cluster.as_str()),
        ]
    }

    /// Fills a template in.
    ///
    /// # Errors
    /// What is wrong with it, each with its place.
    pub(crate) fn render(&self, text: &str) -> Result<String, Vec<Fault>> {
        let known = self.known();
        let mut filled = String::with_capacity(text.len());
        let mut faults = Vec::new();
        let mut at = 0;
        while let Some((start, mark)) = next_mark(text, at) {
            filled.push_str(&text[at..start]);
            let inside = start + 2;
            let Some(length) = text[inside..].find(mark.end()) else {
                faults.push(not_closed(start, mark));
                break;
            };
            let end = inside + length;
            at = end + 2;
            match mark {
                Mark::Comment => {}
                Mark::Statement => faults.push(statement(start..at)),
                Mark::Name => {
                    let name = text[inside..end].trim_ascii_start();
                    let (start, name) = (end - name.len(), name.trim_ascii_end());
                    match known.iter().find(|(known, _)| *known == name) {
                        Some((_, Some(value))) => filled.push_str(value),
                        _ => faults.push(self.unknown(name, start..start + name.len())),
                    }
                }
            }
            if faults.len() >= TOLD {
                break;
            }
        }
        filled.push_str(&text[at..]);
        if faults.is_empty() { Ok(filled) } else { Err(faults) }
    }

    fn unknown(&self, name: &str, span: Range<usize>) -> Fault {
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
            let message = "expected a name between `{{` and `}}`".to_owned();
            return Fault { message, hint: Some(FILLS_IN.to_owned()), span };
        }
        let shared = match name {
            "region" => Some(&self.region),
            "cluster" => Some(&self.cluster),
            _ => None,
        };
        let (message, hint) = match shared {
            Some(Shared::Several(values)) => (
                format!("`{name}` has no single value here: its users have {}", several(values)),
                "write it out, or give each user a document of its own".to_owned(),
            ),
            Some(_) => (
                format!("`{name}` has no value here: nothing that uses the document has one"),
                "bind the role in a cluster that has one, or write it out".to_owned(),
            ),
            None => {
                let names = self.known().map(|(name, _)| name);
                let hint = nearest(name, names).map_or_else(
                    || "known are `partition`, `account_id`, `owner`, `region` and `cluster`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                (format!("unknown name `{name}` in a template"), hint)
            }
        };
        Fault { message, hint: Some(hint), span }
    }
}

impl Shared {
    fn as_str(&self) -> Option<&str> {
        match self {
            Self::One(value) => Some(value),
            Self::Nobody | Self::Several(_) => None,
        }
    }
}

fn several(values: &[String]) -> String {
    let shown: Vec<String> = values.iter().take(3).map(|value| format!("`{value}`")).collect();
    let more = values.len().saturating_sub(3);
    if more == 0 { shown.join(" and ") } else { format!("{} and {more} more", shown.join(", ")) }
}

const FILLS_IN: &str =
    "a template only fills in names, as in `{{ account_id }}`; it has no filters, conditions or loops";

/// What a pair of marks encloses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Name,
    Statement,
    Comment,
}

impl Mark {
    /// The mark that begins it.
    fn begin(self) -> &'static str {
        match self {
            Self::Name => "{{",
            Self::Statement => "{%",
            Self::Comment => "{#",
        }
    }

    /// The mark that ends it.
    fn end(self) -> &'static str {
        match self {
            Self::Name => "}}",
            Self::Statement => "%}",
            Self::Comment => "#}",
        }
    }
}

/// The first mark from this byte on.
fn next_mark(text: &str, from: usize) -> Option<(usize, Mark)> {
    let begins = |start: usize| {
        [Mark::Name, Mark::Statement, Mark::Comment].into_iter().find(|mark| text[start..].starts_with(mark.begin()))
    };
    text[from..].match_indices('{').find_map(|(place, _)| Some((from + place, begins(from + place)?)))
}

fn not_closed(start: usize, mark: Mark) -> Fault {
    let message = format!("`{}` is not closed with `{}`", mark.begin(), mark.end());
    let hint = "to write a literal brace, use `\\u007b` in JSON".to_owned();
    Fault { message, hint: Some(hint), span: start..start + 2 }
}

fn statement(span: Range<usize>) -> Fault {
    Fault { message: "templates have no statements".to_owned(), hint: Some(FILLS_IN.to_owned()), span }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        Variables {
            partition: "aws".into(),
            account_id: "111122223333".into(),
            owner: "me".into(),
            region: Shared::of(["eu-west-1".to_owned(), "eu-west-1".to_owned()]),
            cluster: Shared::of(["b".to_owned(), "a".to_owned()]),
        }
    }

    #[test]
    fn names_are_filled_in_and_comments_left_out() {
        for (text, expected) in [
            ("arn:{{ partition }}:x:{{ region }}:{{account_id}}:{{ owner }}", "arn:aws:x:eu-west-1:111122223333:me"),
            ("a{{owner}}b{{  region  }}}c\n", "amebeu-west-1}c\n"),
            ("{\"a\": \"{{\n\tpartition\r\n}}\"}\r\n\n", "{\"a\": \"aws\"}\r\n\n"),
            ("no mark }} at all { {", "no mark }} at all { {"),
            ("{ {{ account_id }} }", "{ 111122223333 }"),
            ("{# a {{ comment }} {% if %} #}x{##}", "x"),
            ("${aws:PrincipalTag/team} <&>", "${aws:PrincipalTag/team} <&>"),
            ("ä{{ owner }}ö", "ämeö"),
        ] {
            assert_eq!(variables().render(text).as_deref(), Ok(expected), "{text}");
        }
    }

    /// The faults of a text, each with what stands where it is told.
    fn faults(text: &str) -> Vec<(String, &str)> {
        let faults = variables().render(text).expect_err(text);
        faults.into_iter().map(|fault| (fault.message, &text[fault.span])).collect()
    }

    #[test]
    fn other_names_are_refused_where_they_stand() {
        for (text, name) in [
            ("\"acount_id\" {{ acount_id }}", "acount_id"),
            ("{% if false %}{{ hidden }}{% endif %}", "hidden"),
            ("{{ cluster }}", "cluster"),
            ("{{ account-id }}", "account-id"),
            ("{{ ACCOUNT_ID }}", "ACCOUNT_ID"),
        ] {
            let faults = faults(text);
            assert!(
                faults.iter().any(|(said, here)| said.contains(&format!("`{name}`")) && *here == name),
                "{faults:?}"
            );
        }
        for text in ["{{ acount_id }}", "{{ account-id }}"] {
            assert_eq!(variables().render(text).unwrap_err()[0].hint.as_deref(), Some("did you mean `account_id`?"));
        }
    }

    #[test]
    fn nothing_in_a_template_can_ask_where_it_is() {
        for (text, here) in [
            ("{{ owner | upper }}", "owner | upper"),
            ("{{ account_id|replace('000000000000','*') }}", "account_id|replace('000000000000','*')"),
            ("{{ 'a' if account_id == '000000000000' else 'b' }}", "'a' if account_id == '000000000000' else 'b'"),
            ("{{ {'000000000000': 'a'}[account_id] }}", "{'000000000000': 'a'}[account_id]"),
            ("{{ account_id[0] }}", "account_id[0]"),
            ("{{ account_id ~ owner }}", "account_id ~ owner"),
            ("{{ range(9) }}", "range(9)"),
            ("{{- owner -}}", "- owner -"),
            ("{{ 'owner' }}", "'owner'"),
            ("{{ owner.x }}", "owner.x"),
            ("{{ owner owner }}", "owner owner"),
            ("{{}}", ""),
        ] {
            if let [(said, place)] = &faults(text)[..] {
                assert!(said.contains("expected a name") || said.contains("unknown name"), "{text}: {said}");
                assert_eq!(*place, here, "{text}");
            } else {
                panic!("{text}: {:?}", faults(text));
            }
        }
        for word in ["if x", "for a in 'ab'", "set x = owner", "macro m()", "include 'x'", "raw", "-if x -", ""] {
            let text = format!("a {{%{word}%}} b");
            assert_eq!(faults(&text), [("templates have no statements".to_owned(), &text[2..text.len() - 2])]);
        }
        for (text, mark) in [("x {{ owner", "{{"), ("{% if", "{%"), ("{# x", "{#"), ("{{ owner }", "{{"), ("{", "")] {
            if mark.is_empty() {
                assert_eq!(variables().render(text).as_deref(), Ok(text));
            } else {
                assert!(faults(text)[0].0.starts_with(&format!("`{mark}` is not closed")), "{text}");
                assert_eq!(faults(text)[0].1, mark);
            }
        }
    }

    #[test]
    fn however_much_there_is_of_it_it_is_read_once() {
        let many = |piece: &str| piece.repeat(100_000);
        for text in [
            format!("{{{{ owner{} }}}}", many(" | upper")),
            format!("{{{{ {}owner }}}}", many("-")),
            format!("{{{{ {}{} }}}}", many("("), many(")")),
            many("{% if x %}"),
            many("{{ x }}"),
            many("{{"),
            many("{#"),
        ] {
            assert!((1..=TOLD).contains(&variables().render(&text).unwrap_err().len()));
        }
        assert_eq!(variables().render(&many("{{ owner }}")).unwrap().len(), 200_000);
    }
}
