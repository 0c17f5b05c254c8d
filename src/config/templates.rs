//! The templates in policy documents: minijinja, strict, with the few names that a document may use.
//!
//! A template can neither read files nor call functions, and its steps are counted: a configuration is not trusted
//! with the machine that it is checked on.

use super::reader::nearest;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use std::collections::BTreeSet;
use std::ops::Range;

/// More steps than any policy needs.
const FUEL: u64 = 100_000;

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
    /// The bytes of the template, where they are known.
    pub span: Option<Range<usize>>,
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
    /// Everything that is wrong with it; names that it does not know also where they are in a branch not taken.
    pub(crate) fn render(&self, text: &str) -> Result<String, Vec<Fault>> {
        self.replaced(text).map_or_else(|| self.interpreted(text), Ok)
    }

    /// Fills in a template with nothing but known names between its marks, as most are; what is more needs an
    /// interpreter.
    fn replaced(&self, text: &str) -> Option<String> {
        if text.contains("{%") || text.contains("{#") {
            return None;
        }
        // the interpreter takes the last line for one without an end
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let known = self.known();
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, mark)) = rest.split_once("{{") {
            let (name, after) = mark.split_once("}}")?;
            let (_, value) = known.iter().find(|(known, _)| *known == name.trim_matches(' '))?;
            filled.push_str(before);
            filled.push_str((*value)?);
            rest = after;
        }
        filled.push_str(rest);
        Some(filled)
    }

    fn interpreted(&self, text: &str) -> Result<String, Vec<Fault>> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        let template = environment.template_from_str(text).map_err(|error| vec![fault(&error)])?;
        let known: Vec<(&str, &str)> =
            self.known().into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let asked: BTreeSet<String> = template.undeclared_variables(false).into_iter().collect();
        let faults: Vec<Fault> = asked
            .iter()
            .filter(|name| !known.iter().any(|(known, _)| known == name))
            .map(|name| self.unknown(name, text))
            .collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        template.render(Value::from_pairs(known)).map_err(|error| vec![fault(&error)])
    }

    fn unknown(&self, name: &str, text: &str) -> Fault {
        let span = place(name, text);
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

fn fault(error: &minijinja::Error) -> Fault {
    let kind = error.kind().to_string();
    let message = match error.detail() {
        Some(detail) => format!("{kind}: {detail}"),
        None => kind,
    };
    Fault { message: format!("the template is wrong: {message}"), hint: None, span: error.range() }
}

/// Where a name stands inside a template's marks.
fn place(name: &str, text: &str) -> Option<Range<usize>> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).map(|(start, _)| start..start + name.len()).find(|span| {
        let (before, after) = (&text[..span.start], &text[span.end..]);
        let opened = before.rfind("{{").max(before.rfind("{%"));
        let closed = before.rfind("}}").max(before.rfind("%}"));
        !before.ends_with(word) && !after.starts_with(word) && opened > closed
    })
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
    fn names_are_filled_in() {
        let text = "arn:{{ partition }}:x:{{ region }}:{{account_id}}:{{ owner }}{% if region == 'x' %}no{% endif %}";
        assert_eq!(variables().render(text).unwrap(), "arn:aws:x:eu-west-1:111122223333:me");
        assert_eq!(variables().render("${aws:PrincipalTag/team} <&>").unwrap(), "${aws:PrincipalTag/team} <&>");
    }

    #[test]
    fn what_is_replaced_is_what_the_interpreter_makes_of_it() {
        for text in [
            "{{ owner }}",
            "a{{owner}}b{{  region  }}}c\n",
            "{\"a\": \"{{ partition }}\"}\r\n\n",
            "no mark }} at all\r",
            "{ {{ account_id }} }",
        ] {
            assert_eq!(variables().replaced(text).expect(text), variables().interpreted(text).unwrap(), "{text}");
        }
        for text in ["{{{ owner }}", "{{- owner }}", "{{ 'owner' }}", "{{ x }}", "{{ cluster }}", "{# x #}", "{{ owner"]
        {
            assert_eq!(variables().replaced(text), None, "{text}");
        }
    }

    #[test]
    fn other_names_are_refused_where_they_stand() {
        for (text, name) in [
            ("\"acount_id\" {{ acount_id }}", "acount_id"),
            ("{% if false %}{{ hidden }}{% endif %}", "hidden"),
            ("{{ x | default('a') }}", "x"),
            ("{% for i in range(9) %}{% endfor %}", "range"),
            ("{{ cluster }}", "cluster"),
            ("{{ account-id }}", "account"),
        ] {
            let faults = variables().render(text).unwrap_err();
            let fault = faults.iter().find(|fault| fault.message.contains(&format!("`{name}`"))).expect(text);
            let span = fault.span.clone().expect(text);
            assert_eq!(&text[span.clone()], name, "{text}");
            assert!(text[..span.start].contains("{{") || text[..span.start].contains("{%"), "{text}");
        }
        let faults = variables().render("{{ acount_id }}").unwrap_err();
        assert_eq!(faults[0].hint.as_deref(), Some("did you mean `account_id`?"));
    }

    #[test]
    fn a_template_cannot_run_for_ever_or_open_files() {
        let loops = (0..12).map(|i| format!("{{% for a{i} in 'abcdefghijklmnop' %}}"));
        let ends = (0..12).map(|_| "{% endfor %}".to_owned());
        let text: String = loops.chain(["x".to_owned()]).chain(ends).collect();
        assert!(variables().render(&text).unwrap_err()[0].message.contains("fuel"));
        assert!(variables().render("{% include 'irsa.toml' %}").is_err());
        assert!(variables().render("{{ owner").is_err());
    }
}
