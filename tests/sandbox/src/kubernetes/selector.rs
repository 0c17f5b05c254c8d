//! Label and field selectors of list requests.
//!
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>. Does no I/O and holds
//! no state.

use crate::kubernetes::resource::Resource;
use crate::kubernetes::status::Refusal;
use crate::kubernetes::validate;
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
    Above(i64),
    Below(i64),
}

/// A parsed label selector. All requirements must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Labels(Vec<(String, Test)>);

/// A token of a label selector.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Sign(&'static str),
    End,
}

const SIGNS: [&str; 9] = ["!=", "==", "=", "!", "(", ")", ",", ">", "<"];

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Sign(sign) => sign,
            Self::End => "",
        }
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self, Self::Sign(own) if *own == sign)
    }
}

/// Splits a label selector into tokens, as `k8s.io/apimachinery/pkg/labels` does.
fn tokens(mut rest: &str) -> Vec<Token> {
    let mut all = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        if rest.is_empty() {
            all.push(Token::End);
            return all;
        }
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            all.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else {
            let stop = |c: char| "=!(),>< \t\r\n".contains(c);
            let end = rest.find(stop).unwrap_or(rest.len());
            all.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
}

/// Returns the tokens one by one. At the end it returns the end token again and again.
struct Reader {
    tokens: Vec<Token>,
    at: usize,
}

impl Reader {
    fn look(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> Token {
        let token = self.look().clone();
        self.at += 1;
        token
    }

    fn requirement(&mut self) -> Result<(String, Test), String> {
        let absent = self.look().is("!");
        if absent {
            self.take();
        }
        let key = match self.take() {
            Token::Word(key) => key,
            other => return Err(format!("found '{}', expected: identifier", other.text())),
        };
        let wrong = validate::qualified_name(&key);
        if !wrong.is_empty() {
            return Err(format!("key: Invalid value: {key:?}: {}", wrong.join("; ")));
        }
        if absent || *self.look() == Token::End || self.look().is(",") {
            return Ok((key, if absent { Test::Absent } else { Test::Exists }));
        }
        let operator = self.take();
        let test = match operator.text() {
            "=" | "==" => Test::In(vec![self.value()?]),
            "!=" => Test::NotIn(vec![self.value()?]),
            "in" => Test::In(self.values()?),
            "notin" => Test::NotIn(self.values()?),
            sign @ (">" | "<") => {
                let value = self.value()?;
                let why = || {
                    format!(
                        "values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
                    )
                };
                let bound = value.parse().map_err(|_| why())?;
                if sign == ">" { Test::Above(bound) } else { Test::Below(bound) }
            }
            other => {
                return Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt"));
            }
        };
        if let Test::In(values) | Test::NotIn(values) = &test {
            for (index, value) in values.iter().enumerate() {
                let wrong = validate::label_value(value);
                if !wrong.is_empty() {
                    return Err(format!("values[{index}][{key}]: Invalid value: {value:?}: {}", wrong.join("; ")));
                }
            }
        }
        Ok((key, test))
    }

    /// The single value after an operator. It may be empty.
    fn value(&mut self) -> Result<String, String> {
        if *self.look() == Token::End || self.look().is(",") {
            return Ok(String::new());
        }
        match self.take() {
            Token::Word(value) => Ok(value),
            other => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }

    /// `(a,b)`. Two adjacent commas enclose an empty value.
    fn values(&mut self) -> Result<Vec<String>, String> {
        let open = self.take();
        if !open.is("(") {
            return Err(format!("found '{}' expected: '('", open.text()));
        }
        let mut values = Vec::new();
        loop {
            let value = match self.look() {
                Token::Word(_) => self.take().text().to_owned(),
                _ => String::new(),
            };
            values.push(value);
            match self.take() {
                token if token.is(",") => {}
                token if token.is(")") => return Ok(values),
                other => return Err(format!("found '{}', expected: ',' or ')'", other.text())),
            }
        }
    }
}

impl Labels {
    /// Parses `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let mut reader = Reader { tokens: tokens(text), at: 0 };
        let mut all = Vec::new();
        if *reader.look() == Token::End {
            return Ok(Self::default());
        }
        if !matches!(reader.look(), Token::Word(_)) && !reader.look().is("!") {
            let why = format!("found '{}', expected: !, identifier, or 'end of string'", reader.look().text());
            return Err(Refusal::bad_request(why));
        }
        loop {
            let one = reader.requirement();
            all.push(one.map_err(|why| Refusal::bad_request(format!("unable to parse requirement: {why}")))?);
            match reader.take() {
                Token::End => return Ok(Self(all)),
                token if token.is(",") => {
                    if !matches!(reader.look(), Token::Word(_)) && !reader.look().is("!") {
                        let why = format!("found '{}', expected: identifier after ','", reader.look().text());
                        return Err(Refusal::bad_request(why));
                    }
                }
                other => {
                    let why = format!("found '{}', expected: ',' or 'end of string'", other.text());
                    return Err(Refusal::bad_request(why));
                }
            }
        }
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        self.0.iter().all(|(key, test)| {
            let value = labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
            match test {
                Test::In(values) => value.is_some_and(|value| values.iter().any(|one| one == value)),
                Test::NotIn(values) => value.is_none_or(|value| values.iter().all(|one| one != value)),
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
                Test::Above(bound) => {
                    value.and_then(|value| value.parse().ok()).is_some_and(|value: i64| value > *bound)
                }
                Test::Below(bound) => {
                    value.and_then(|value| value.parse().ok()).is_some_and(|value: i64| value < *bound)
                }
            }
        })
    }
}

/// The fields that a selector of this kind may use.
fn selectable_fields(resource: Resource) -> &'static [&'static str] {
    match resource {
        Resource::Pods => &[
            "metadata.name",
            "metadata.namespace",
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        Resource::Namespaces => &["metadata.name", "status.phase"],
        Resource::ServiceAccounts | Resource::Leases | Resource::ReplicaSets | Resource::MutatingWebhooks => {
            &["metadata.name", "metadata.namespace"]
        }
    }
}

/// Splits a field selector at the commas that are not escaped with a backslash.
fn split_terms(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (index, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Unescapes a value of a field selector. `\\`, `\,` and `\=` stand for the second character, which must be escaped.
fn unescaped(value: &str) -> Result<String, Refusal> {
    let wrong = |what: String| Refusal::bad_request(format!("invalid field selector: {what}"));
    let mut text = String::new();
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(next @ ('\\' | ',' | '=')) => text.push(next),
                next => {
                    let next = next.map(String::from).unwrap_or_default();
                    return Err(wrong(format!("invalid escape sequence: \\{next}")));
                }
            },
            ',' | '=' => return Err(wrong(format!("unescaped character in value: {}", u32::from(character)))),
            other => text.push(other),
        }
    }
    Ok(text)
}

/// A parsed field selector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, String, bool)>);

impl Fields {
    /// Parses `metadata.name=a,spec.serviceAccountName!=b`.
    pub(crate) fn parse(resource: Resource, text: &str) -> Result<Self, Refusal> {
        let mut all = Vec::new();
        for part in split_terms(text).into_iter().filter(|part| !part.is_empty()) {
            let sign = part.char_indices().find_map(|(at, _)| {
                let sign = ["!=", "==", "="].into_iter().find(|sign| part[at..].starts_with(sign))?;
                Some((&part[..at], sign, &part[at + sign.len()..]))
            });
            let Some((key, sign, value)) = sign else {
                let text = format!("invalid selector: '{text}'; can't understand '{part}'");
                return Err(Refusal::bad_request(text));
            };
            let (value, equal) = (unescaped(value)?, sign != "!=");
            if !selectable_fields(resource).contains(&key) {
                return Err(Refusal::bad_request(match resource {
                    Resource::Pods | Resource::Namespaces => format!("field label not supported: {key}"),
                    Resource::ServiceAccounts
                    | Resource::Leases
                    | Resource::ReplicaSets
                    | Resource::MutatingWebhooks => {
                        format!("{key:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
                    }
                }));
            }
            all.push((format!("/{}", key.replace('.', "/")), value, equal));
        }
        Ok(Self(all))
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|(pointer, value, equal)| {
            let found = match object.pointer(pointer) {
                Some(Value::String(text)) => text,
                Some(Value::Bool(true)) => "true",
                _ if pointer == "/spec/hostNetwork" => "false",
                _ => "",
            };
            (found == value) == *equal
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn label_selectors_match_as_documented() {
        let object = json!({"metadata": {"labels": {"app": "web", "irsa/owner": "me"}}});
        for (selector, expected) in [
            ("", true),
            ("app=web", true),
            ("app == web, irsa/owner=me", true),
            ("app!=web", false),
            ("tier!=front", true),
            ("app in (api, web)", true),
            ("app notin (api,web)", false),
            ("tier notin (api)", true),
            ("tier in (api)", false),
            ("app", true),
            ("tier", false),
            ("!tier", true),
            ("!app", false),
            ("irsa/owner in (me),app=api", false),
        ] {
            assert_eq!(Labels::parse(selector).unwrap().matches(&object), expected, "{selector}");
        }
        for (selector, expected) in [
            ("app=web,", false),
            ("app===web", false),
            ("app==", true),
            ("app=", true),
            ("app in ()", true),
            ("app in (a,,b)", true),
            ("in in (in)", true),
            ("app=web=front", false),
            ("app=(web)", false),
            ("app within (a)", false),
            ("app in a", false),
            ("app in (a", false),
            ("!app=web", false),
            ("=b", false),
            ("a b", false),
            ("-x", false),
            ("app=we!b", false),
            ("app=\u{e4}", false),
            ("replicas>3", true),
            ("replicas<three", false),
        ] {
            let parsed = Labels::parse(selector);
            assert_eq!(parsed.is_ok(), expected, "{selector}: {parsed:?}");
            assert!(parsed.err().is_none_or(|refusal| refusal.code == 400), "{selector}");
        }
        let three = Labels::parse("app===web").unwrap_err();
        assert_eq!(three.message, "unable to parse requirement: found '=', expected: identifier");
        let counted = json!({"metadata": {"labels": {"replicas": "4"}}});
        assert!(Labels::parse("replicas>3,replicas<5").unwrap().matches(&counted));
    }

    #[test]
    fn field_selectors_match_known_fields_and_refuse_others() {
        let pod = json!({"metadata": {"name": "a"}, "spec": {"serviceAccountName": "worker"}});
        let parse = |text| Fields::parse(Resource::Pods, text);
        assert!(parse("spec.serviceAccountName=worker,metadata.name=a").unwrap().matches(&pod));
        assert!(!parse("spec.serviceAccountName!=worker").unwrap().matches(&pod));
        assert!(parse("spec.hostNetwork=false,spec.hostNetwork!=true").unwrap().matches(&pod));
        for wrong in
            ["metadata.name===a", "metadata.name=a=b", "metadata.name=a\\b", "metadata.name=a\\", "metadata.name"]
        {
            assert_eq!(parse(wrong).unwrap_err().code, 400, "{wrong}");
        }
        assert!(!parse(r"metadata.name=a\,b\=c\\").unwrap().matches(&pod));
        assert_eq!(parse("spec.other=1").unwrap_err().message, "field label not supported: spec.other");
        let text = "\"spec.other\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"";
        let refusal = Fields::parse(Resource::ServiceAccounts, "spec.other=1").unwrap_err();
        assert_eq!((refusal.code, refusal.message.as_str()), (400, text));
    }
}
