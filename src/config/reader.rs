//! Takes values out of a parsed table, remembering where each stands; what is of the wrong type, unknown or not yet
//! supported becomes a diagnostic, and reading goes on.

use super::diagnostics::Diagnostic;
use super::source::Sources;
use crate::ids::IdError;
use crate::model::origin::Origin;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spot<T> {
    pub value: T,
    pub origin: Origin,
}

impl<T> Spot<T> {
    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Spot<U> {
        Spot { value: f(self.value), origin: self.origin }
    }
}

/// Where mistakes are gathered.
pub(crate) struct Gather<'a> {
    pub sources: &'a Sources,
    pub file: Arc<str>,
    pub list: Vec<Diagnostic>,
}

impl Gather<'_> {
    pub(crate) fn origin(&self, span: std::ops::Range<usize>) -> Origin {
        self.sources.origin(&self.file, span)
    }

    fn at(&mut self, span: std::ops::Range<usize>, message: impl Into<String>) -> &mut Diagnostic {
        let diagnostic = Diagnostic::at(&self.origin(span), message);
        self.list.push(diagnostic);
        let last = self.list.len() - 1;
        &mut self.list[last]
    }
}

/// One table, being read.
pub(crate) struct TableReader<'a, 'g, 's> {
    pub gather: &'g mut Gather<'s>,
    table: &'a DeTable<'a>,
    /// What the table is called in messages, for example `[roles.reports]`.
    name: String,
    pub origin: Origin,
    known: BTreeSet<&'static str>,
    later: BTreeSet<&'static str>,
}

impl<'a, 'g, 's> TableReader<'a, 'g, 's> {
    pub(crate) fn new(gather: &'g mut Gather<'s>, table: &'a DeTable<'a>, name: impl Into<String>, origin: Origin) -> Self {
        Self { gather, table, name: name.into(), origin, known: BTreeSet::new(), later: BTreeSet::new() }
    }

    /// A value that is a table, or says that it is none.
    pub(crate) fn of(
        gather: &'g mut Gather<'s>,
        value: &'a Spanned<DeValue<'a>>,
        name: impl Into<String>,
        origin: Origin,
    ) -> Option<Self> {
        if let DeValue::Table(table) = value.get_ref() {
            Some(Self::new(gather, table, name, origin))
        } else {
            wrong(gather, value, "a table");
            None
        }
    }

    fn raw(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.insert(key);
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    pub(crate) fn text(&mut self, key: &'static str) -> Option<Spot<String>> {
        let value = self.raw(key)?;
        text(self.gather, value)
    }

    /// A text that must be an id.
    pub(crate) fn id<T>(&mut self, key: &'static str, parse: fn(String) -> Result<T, IdError>) -> Option<Spot<T>> {
        let spot = self.text(key)?;
        id(self.gather, spot, parse)
    }

    pub(crate) fn flag(&mut self, key: &'static str) -> Option<Spot<bool>> {
        let value = self.raw(key)?;
        if let DeValue::Boolean(flag) = value.get_ref() {
            let origin = self.gather.origin(value.span());
            Some(Spot { value: *flag, origin })
        } else {
            wrong(self.gather, value, "`true` or `false`");
            None
        }
    }

    pub(crate) fn number(&mut self, key: &'static str) -> Option<Spot<u64>> {
        let value = self.raw(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        let origin = self.gather.origin(value.span());
        if number.is_none() {
            wrong(self.gather, value, "a whole number");
        }
        number.map(|value| Spot { value, origin })
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, key: &'static str) -> Option<Vec<Spot<String>>> {
        let value = self.raw(key)?;
        let DeValue::Array(list) = value.get_ref() else {
            wrong(self.gather, value, "a list of strings");
            return None;
        };
        Some(list.iter().filter_map(|item| text(self.gather, item)).collect())
    }

    /// One text or a list of them.
    pub(crate) fn one_or_more(&mut self, key: &'static str) -> Option<Vec<Spot<String>>> {
        match self.raw(key)?.get_ref() {
            DeValue::Array(_) => self.texts(key),
            _ => self.text(key).map(|spot| vec![spot]),
        }
    }

    /// A table of texts.
    pub(crate) fn pairs(&mut self, key: &'static str) -> Option<BTreeMap<String, Spot<String>>> {
        let value = self.raw(key)?;
        let DeValue::Table(table) = value.get_ref() else {
            wrong(self.gather, value, "a table of strings");
            return None;
        };
        let pairs = table.iter().filter_map(|(name, value)| Some((name.get_ref().to_string(), text(self.gather, value)?)));
        Some(pairs.collect())
    }

    /// The raw value of a key and its place.
    pub(crate) fn any(&mut self, key: &'static str) -> Option<Spot<&'a DeValue<'a>>> {
        let value = self.raw(key)?;
        let origin = self.gather.origin(value.span());
        Some(Spot { value: value.get_ref(), origin })
    }

    /// A sub-table.
    pub(crate) fn table(&mut self, key: &'static str) -> Option<TableReader<'a, '_, 's>> {
        let value = self.raw(key)?;
        let origin = self.gather.origin(self.span_of(key).unwrap_or_else(|| value.span()));
        let name = format!("{}.{key}", self.name.trim_matches(['[', ']']));
        TableReader::of(self.gather, value, format!("[{}]", name.trim_start_matches('.')), origin)
    }

    fn span_of(&self, key: &str) -> Option<std::ops::Range<usize>> {
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(name, _)| name.span())
    }

    /// The entries of a sub-table whose keys are the user's, each with the place of its key.
    pub(crate) fn entries(&mut self, key: &'static str) -> Vec<(Spot<String>, &'a Spanned<DeValue<'a>>)> {
        let Some(value) = self.raw(key) else { return Vec::new() };
        let DeValue::Table(table) = value.get_ref() else {
            wrong(self.gather, value, "a table of tables");
            return Vec::new();
        };
        table
            .iter()
            .map(|(name, value)| {
                let origin = self.gather.origin(name.span());
                (Spot { value: name.get_ref().to_string(), origin }, value)
            })
            .collect()
    }

    /// The tables of an array of tables.
    pub(crate) fn tables(&mut self, key: &'static str) -> Vec<&'a Spanned<DeValue<'a>>> {
        let Some(value) = self.raw(key) else { return Vec::new() };
        if let DeValue::Array(list) = value.get_ref() {
            list.iter().collect()
        } else {
            wrong(self.gather, value, "a list of tables");
            Vec::new()
        }
    }

    /// Keys that the format reserves.
    pub(crate) fn reserved(&mut self, keys: &[&'static str]) {
        self.later.extend(keys);
    }

    /// Whether any key is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.iter().any(|(name, _)| name.get_ref() == key)
    }

    /// Refuses what nobody asked for. To be called last.
    pub(crate) fn finish(self) {
        for (name, _) in self.table {
            let key = name.get_ref().as_ref();
            if self.known.contains(key) {
                continue;
            }
            let origin = self.gather.origin(name.span());
            if self.later.contains(key) {
                let message = format!("`{key}` is not yet supported");
                self.gather.list.push(Diagnostic::at(&origin, message).hint("remove it; a later version will know it"));
                continue;
            }
            let message = format!("unknown key `{key}` in {}", self.name);
            let mut diagnostic = Diagnostic::at(&origin, message);
            if let Some(near) = nearest(key, self.known.iter().copied()) {
                diagnostic = diagnostic.hint(format!("did you mean `{near}`?"));
            } else {
                let known: Vec<String> = self.known.iter().map(|key| format!("`{key}`")).collect();
                diagnostic = diagnostic.hint(format!("known here are {}", known.join(", ")));
            }
            self.gather.list.push(diagnostic);
        }
    }
}

/// Says that a value has the wrong type.
pub(crate) fn wrong(gather: &mut Gather<'_>, value: &Spanned<DeValue<'_>>, wanted: &str) {
    let found = value.get_ref().type_str();
    gather.at(value.span(), format!("expected {wanted}, found {found}"));
}

/// A value that must be a text.
pub(crate) fn text(gather: &mut Gather<'_>, value: &Spanned<DeValue<'_>>) -> Option<Spot<String>> {
    if let DeValue::String(text) = value.get_ref() {
        let origin = gather.origin(value.span());
        Some(Spot { value: text.to_string(), origin })
    } else {
        wrong(gather, value, "a string");
        None
    }
}

/// A text that must be an id.
pub(crate) fn id<T>(
    gather: &mut Gather<'_>,
    spot: Spot<String>,
    parse: fn(String) -> Result<T, IdError>,
) -> Option<Spot<T>> {
    match parse(spot.value.clone()) {
        Ok(value) => Some(Spot { value, origin: spot.origin }),
        Err(error) => {
            gather.list.push(Diagnostic::at(&spot.origin, format!("`{}` {error}", spot.value)));
            None
        }
    }
}

/// The most similar of `known`, if it is similar enough to be a slip.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(distance, similarity, candidate)| *distance <= 1 + candidate.len() / 5 || *similarity > 0.87)
        .min_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(b.2)))
        .map(|(_, _, candidate)| candidate)
}
