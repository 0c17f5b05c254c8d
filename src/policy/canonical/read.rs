//! Reads JSON into the canonical form and collects every error.
//!
//! In a declared document, what IAM would refuse is an error too; in a live one, only what is ambiguous.

use super::super::document::PolicyKind;
use super::super::parse::{JsonMember, JsonNode, OffsetError, Shape, find};
use super::{
    CanonicalDocument, CanonicalStatement, Choice, Effect, Map, Operator, Principal, Quantifier, Set, Version, arn,
    fold, set,
};
use std::sync::Arc;

const DOCUMENT: [&str; 3] = ["Version", "Id", "Statement"];
const STATEMENT: [&str; 9] =
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];
const PRINCIPALS: [&str; 4] = ["AWS", "Service", "Federated", "CanonicalUser"];

/// Reads a document. `None` for `kind` means a live one. Also returns the statements in the order of the text.
pub(crate) fn document(
    node: &JsonNode<'_>,
    kind: Option<PolicyKind>,
) -> Result<(CanonicalDocument, Vec<Arc<CanonicalStatement>>), Vec<OffsetError>> {
    let mut reader = Reader { kind, errors: Vec::new() };
    let read = reader.document(node);
    match read {
        Some((version, list)) if reader.errors.is_empty() => {
            Ok((CanonicalDocument { version, statements: set(list.iter().cloned()) }, list))
        }
        _ => Err(reader.sorted_errors()),
    }
}

/// Reads one statement. `None` for `kind` accepts one of either kind.
pub(crate) fn statement(
    node: &JsonNode<'_>,
    kind: Option<PolicyKind>,
) -> Result<Arc<CanonicalStatement>, Vec<OffsetError>> {
    let mut reader = Reader { kind, errors: Vec::new() };
    reader.check_characters(node);
    let read = reader.statement(node);
    match read {
        Some(statement) if reader.errors.is_empty() => Ok(statement),
        _ => Err(reader.sorted_errors()),
    }
}

struct Reader {
    kind: Option<PolicyKind>,
    errors: Vec<OffsetError>,
}

impl Reader {
    fn report(&mut self, at: Option<usize>, message: impl Into<String>) {
        self.errors.push(OffsetError { message: message.into(), at });
    }

    /// Reports an error in place of a result.
    fn error<T>(&mut self, at: Option<usize>, message: impl Into<String>) -> Option<T> {
        self.report(at, message);
        None
    }

    fn sorted_errors(mut self) -> Vec<OffsetError> {
        self.errors.sort_by_key(|error| error.at);
        self.errors
    }

    fn declared(&self) -> bool {
        self.kind.is_some()
    }

    fn document(&mut self, node: &JsonNode<'_>) -> Option<(Version, Vec<Arc<CanonicalStatement>>)> {
        self.check_characters(node);
        let Some(entries) = node.object() else {
            return self.error(node.at, "a policy must be an object");
        };
        self.check_names(entries, &DOCUMENT);
        self.check_label(entries, "Id");
        let version = match find(entries, "Version") {
            Some(entry) => self.version(&entry.value),
            None => Some(Version::Old),
        };
        let statements = match find(entries, "Statement") {
            Some(entry) => self.items("Statement", &entry.value).and_then(|items| {
                // read all of them before giving up, to report all errors
                let read: Vec<Option<_>> = items.iter().map(|item| self.statement(item)).collect();
                read.into_iter().collect()
            }),
            None => self.error(node.at, "a policy needs `Statement`"),
        };
        Some((version?, statements?))
    }

    fn version(&mut self, node: &JsonNode<'_>) -> Option<Version> {
        match &node.shape {
            Shape::Text(text) if text == "2012-10-17" => Some(Version::Current),
            Shape::Text(text) if text == "2008-10-17" => Some(Version::Old),
            _ => self.error(node.at, "`Version` must be `2012-10-17` or `2008-10-17`"),
        }
    }

    fn statement(&mut self, node: &JsonNode<'_>) -> Option<Arc<CanonicalStatement>> {
        let Some(entries) = node.object() else {
            return self.error(node.at, "a statement must be an object");
        };
        self.check_names(entries, &STATEMENT);
        self.check_label(entries, "Sid");
        let effect = self.effect(node, entries);
        let principals = self.pair(entries, "Principal", "NotPrincipal", Self::principals);
        let actions = self.pair(entries, "Action", "NotAction", Self::actions);
        let resources = self.pair(entries, "Resource", "NotResource", Self::resources);
        let conditions = match find(entries, "Condition") {
            Some(entry) => self.conditions(&entry.value),
            None => Some(Map::default()),
        };
        self.check_kind(node, entries, effect);
        if find(entries, "Action").or_else(|| find(entries, "NotAction")).is_none() {
            return self.error(node.at, "a statement needs `Action` or `NotAction`");
        }
        Some(Arc::new(CanonicalStatement {
            effect: effect?,
            principals,
            actions: actions?,
            resources,
            conditions: conditions?,
        }))
    }

    /// Checks that the elements fit the kind of document.
    fn check_kind(&mut self, node: &JsonNode<'_>, entries: &[JsonMember<'_>], effect: Option<Effect>) {
        let principal = find(entries, "Principal").or_else(|| find(entries, "NotPrincipal"));
        let resource = find(entries, "Resource").or_else(|| find(entries, "NotResource"));
        match self.kind {
            None => {}
            Some(PolicyKind::Permissions) => {
                if let Some(entry) = principal {
                    self.report(entry.at, format!("a permission policy must not have `{}`", entry.key));
                }
                if resource.is_none() {
                    self.report(node.at, "a statement needs `Resource` or `NotResource`");
                }
            }
            Some(PolicyKind::Trust) => {
                match principal {
                    None => self.report(node.at, "a statement of a trust policy needs `Principal`"),
                    Some(entry) if entry.key == "NotPrincipal" && effect == Some(Effect::Allow) => {
                        self.report(entry.at, "`NotPrincipal` is allowed with `Deny` only");
                    }
                    Some(_) => {}
                }
                if let Some(entry) = resource {
                    self.report(entry.at, format!("a trust policy must not have `{}`", entry.key));
                }
            }
        }
    }

    /// Reports unknown element names. Case counts.
    fn check_names(&mut self, entries: &[JsonMember<'_>], names: &[&str]) {
        for entry in entries.iter().filter(|entry| !names.contains(&&*entry.key)) {
            let message = match names.iter().find(|name| name.eq_ignore_ascii_case(&entry.key)) {
                Some(name) => format!("unknown element `{}`: write `{name}`", entry.key),
                None => format!("unknown element `{}`", entry.key),
            };
            self.report(entry.at, message);
        }
    }

    /// Checks `Sid` or `Id`. IAM accepts only letters and digits in the `Sid` of a permission policy
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_sid.html>).
    fn check_label(&mut self, entries: &[JsonMember<'_>], name: &str) {
        let Some(entry) = find(entries, name) else { return };
        match &entry.value.shape {
            Shape::Text(text)
                if name == "Sid"
                    && self.kind == Some(PolicyKind::Permissions)
                    && !text.bytes().all(|b| b.is_ascii_alphanumeric()) =>
            {
                self.report(entry.value.at, format!("`Sid` must have only letters and digits, not `{text}`"));
            }
            Shape::Text(_) => {}
            _ => {
                self.report(entry.value.at, format!("`{name}` must be a string"));
            }
        }
    }

    fn effect(&mut self, node: &JsonNode<'_>, entries: &[JsonMember<'_>]) -> Option<Effect> {
        let Some(entry) = find(entries, "Effect") else {
            return self.error(node.at, "a statement needs `Effect`");
        };
        match &entry.value.shape {
            Shape::Text(text) if text == "Allow" => Some(Effect::Allow),
            Shape::Text(text) if text == "Deny" => Some(Effect::Deny),
            _ => self.error(entry.value.at, "`Effect` must be `Allow` or `Deny`"),
        }
    }

    /// Reads an element or its `Not` counterpart.
    fn pair<T: Ord>(
        &mut self,
        entries: &[JsonMember<'_>],
        plain: &str,
        not: &str,
        read: fn(&mut Self, &JsonMember<'_>) -> Option<Set<T>>,
    ) -> Option<Choice<T>> {
        match (find(entries, plain), find(entries, not)) {
            (Some(_), Some(entry)) => self.error(entry.at, format!("`{plain}` and `{not}` cannot be used together")),
            (Some(entry), None) => read(self, entry).map(Choice::Only),
            (None, Some(entry)) => read(self, entry).map(Choice::AllBut),
            (None, None) => None,
        }
    }

    /// The items of a list, or a single value.
    fn items<'n, 'a>(&mut self, name: &str, node: &'n JsonNode<'a>) -> Option<&'n [JsonNode<'a>]> {
        match &node.shape {
            Shape::List(list) if list.is_empty() => self.error(node.at, format!("`{name}` must not be empty")),
            Shape::List(list) => Some(list),
            _ => Some(std::slice::from_ref(node)),
        }
    }

    /// One string or a list of strings, with their positions.
    fn texts<'n>(&mut self, name: &str, node: &'n JsonNode<'_>) -> Option<Vec<(&'n str, Option<usize>)>> {
        let mut texts = Vec::new();
        for item in self.items(name, node)? {
            let Shape::Text(text) = &item.shape else {
                return self.error(item.at, format!("`{name}` must be a string or a list of strings"));
            };
            texts.push((&**text, item.at));
        }
        Some(texts)
    }

    /// AWS ignores the case of actions
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html>).
    fn actions(&mut self, entry: &JsonMember<'_>) -> Option<Set<String>> {
        let texts = self.texts(&entry.key, &entry.value)?;
        let declared = self.declared();
        for (text, at) in texts.iter().filter(|_| declared) {
            let formed = match text.split_once(':') {
                None | Some(("*", _)) => matches!(*text, "*" | "*:*"),
                Some((service, name)) => {
                    !service.is_empty()
                        && service.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                        && !name.is_empty()
                        && !name.contains(char::is_whitespace)
                }
            };
            let sts = text.split_once(':').is_some_and(|(service, _)| service.eq_ignore_ascii_case("sts"));
            if !formed {
                self.report(*at, format!("`{text}` is not an action: expected `*` or `SERVICE:NAME`"));
            } else if self.kind == Some(PolicyKind::Trust) && !sts {
                self.report(*at, format!("a trust policy can have `sts:` actions only, not `{text}`"));
            }
        }
        Some(set(texts.into_iter().map(|(text, _)| text.to_ascii_lowercase())))
    }

    fn resources(&mut self, entry: &JsonMember<'_>) -> Option<Set<String>> {
        let texts = self.texts(&entry.key, &entry.value)?;
        for (text, at) in &texts {
            if let Some(why) = self.declared().then(|| arn::refused_resource(text)).flatten() {
                self.report(*at, why);
            }
        }
        Some(set(texts.into_iter().map(|(text, _)| text.to_owned())))
    }

    /// `"*"` and `{"AWS": "*"}` both mean everyone
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>).
    fn principals(&mut self, entry: &JsonMember<'_>) -> Option<Set<Principal>> {
        let name = &entry.key;
        let kinds = match &entry.value.shape {
            Shape::Text(text) if text == "*" => return Some(set([Principal::Aws("*".into())])),
            Shape::Object(kinds) if kinds.is_empty() => {
                return self.error(entry.value.at, format!("`{name}` must not be empty"));
            }
            Shape::Object(kinds) => kinds,
            _ => {
                let message = format!("`{name}` must be `*` or an object of `AWS`, `Service`, `Federated`");
                return self.error(entry.value.at, message);
            }
        };
        self.check_names(kinds, &PRINCIPALS);
        let mut named = Vec::new();
        for kind in kinds {
            for (text, at) in self.texts(&kind.key, &kind.value)? {
                if let Some(message) = self.declared().then(|| arn::refused_principal(&kind.key, text)).flatten() {
                    self.report(at, message);
                }
                named.push(match &*kind.key {
                    "AWS" => fold::aws_principal(text),
                    // case-sensitive, unlike other host names
                    // (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateServiceLinkedRole.html>)
                    "Service" => Principal::Service(text.to_owned()),
                    "Federated" => Principal::Federated(text.to_owned()),
                    _ => Principal::CanonicalUser(text.to_owned()),
                });
            }
        }
        Some(set(named))
    }

    fn conditions(&mut self, node: &JsonNode<'_>) -> Option<Map<Operator, Map<String, Set<String>>>> {
        let Some(entries) = node.object() else {
            return self.error(node.at, "`Condition` must be an object");
        };
        let mut conditions = Vec::with_capacity(entries.len());
        for entry in entries {
            let operator = match fold::operator(&entry.key) {
                Some(operator) => operator,
                None if self.declared() => {
                    self.report(entry.at, format!("unknown condition operator `{}`", entry.key));
                    continue;
                }
                // AWS may have newer operators: an unknown one is kept as written
                None => Operator { quantifier: Quantifier::One, base: entry.key.to_string(), if_exists: false },
            };
            let Some(block) = self.block(entry, &operator) else { continue };
            conditions.push((operator, block, entry));
        }
        Some(sorted(conditions, |entry| {
            let message = format!("condition operator `{}` appears twice (case is ignored)", entry.key);
            self.report(entry.at, message);
        }))
    }

    /// The keys and values under one operator.
    fn block(&mut self, entry: &JsonMember<'_>, operator: &Operator) -> Option<Map<String, Set<String>>> {
        let keys = match entry.value.object() {
            Some([]) => return self.error(entry.value.at, format!("`{}` must not be empty", entry.key)),
            Some(keys) => keys,
            None => return self.error(entry.value.at, format!("`{}` must be an object of condition keys", entry.key)),
        };
        let mut block = Vec::with_capacity(keys.len());
        for key in keys {
            if self.declared() && !key.key.contains(':') {
                self.report(key.at, format!("`{}` is not a condition key: expected `SERVICE:NAME`", key.key));
            }
            let Some(mut values) = self.values(key) else { continue };
            if operator.base == "bool" {
                values = set(values.into_iter().map(fold::boolean));
            }
            block.push((fold::condition_key(&key.key), values, key));
        }
        Some(sorted(block, |key| {
            let message = format!("condition key `{}` appears twice under `{}` (case is ignored)", key.key, entry.key);
            self.report(key.at, message);
        }))
    }

    /// Booleans and numbers count as text.
    fn values(&mut self, key: &JsonMember<'_>) -> Option<Set<String>> {
        let mut values = Vec::new();
        for item in self.items(&key.key, &key.value)? {
            values.push(match &item.shape {
                Shape::Text(text) => text.to_string(),
                Shape::Bool(bool) => bool.to_string(),
                Shape::Number(number) => number.to_string(),
                Shape::Null | Shape::List(_) | Shape::Object(_) => {
                    let message = format!("`{}` must be a string, number or boolean, or a list of them", key.key);
                    return self.error(item.at, message);
                }
            });
        }
        Some(set(values))
    }

    /// IAM accepts only tab, line feed, carriage return and U+0020 to U+00FF in a policy
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
    fn check_characters(&mut self, node: &JsonNode<'_>) {
        if !self.declared() {
            return;
        }
        match &node.shape {
            Shape::Text(text) => self.check_text(text, node.at),
            Shape::List(list) => list.iter().for_each(|item| self.check_characters(item)),
            Shape::Object(entries) => {
                for entry in entries {
                    self.check_text(&entry.key, entry.at);
                    self.check_characters(&entry.value);
                }
            }
            Shape::Null | Shape::Bool(_) | Shape::Number(_) => {}
        }
    }

    fn check_text(&mut self, text: &str, at: Option<usize>) {
        if let Some(bad) = text.chars().find(|c| *c > '\u{ff}') {
            self.report(at, format!("IAM accepts no character above U+00FF, found U+{:04X}", u32::from(bad)));
        }
    }
}

/// Sorts by key and calls `twice` for each entry that repeats a key.
fn sorted<K: Ord, V>(mut list: Vec<(K, V, &JsonMember<'_>)>, mut twice: impl FnMut(&JsonMember<'_>)) -> Map<K, V> {
    // a stable sort: equal keys stay in the order of the text
    list.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    for pair in list.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        twice(pair[1].2);
    }
    list.into_iter().map(|(key, value, _)| (key, value)).collect()
}
