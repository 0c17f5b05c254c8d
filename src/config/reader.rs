//! Takes values out of a parsed table, remembering where each stands; what is of the wrong type, unknown or not yet
//! supported becomes a diagnostic, and reading goes on.

use super::diagnostics::Diagnostic;
use super::source::Source;
use crate::ids::IdError;
use crate::model::origin::Origin;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spot<T> {
    pub value: T,
    pub origin: Origin,
}

/// A table of strings: its keys, each there once, in order.
pub(crate) type RawPairs = Vec<(String, Spot<String>)>;

/// Where mistakes of one file are gathered.
pub(crate) struct Gather {
    pub source: Arc<Source>,
    pub list: Vec<Diagnostic>,
}

impl Gather {
    pub(crate) fn origin(&self, span: std::ops::Range<usize>) -> Origin {
        self.source.origin(span)
    }

    /// Adds a mistake at these bytes.
    pub(crate) fn refuse(&mut self, span: std::ops::Range<usize>, message: impl Into<String>, hint: Option<String>) {
        let mut diagnostic = Diagnostic::at(&self.origin(span), message);
        diagnostic.hint = hint;
        self.list.push(diagnostic);
    }
}

/// Keys that the format keeps for later, wherever they stand.
pub(crate) const RESERVED: [&str; 7] = ["via", "target-role", "presets", "moved", "overflow", "ignore", "thumbprints"];

/// The most mistakes reported for one table.
const UNKNOWN: usize = 1000;

/// One table, being read.
pub(crate) struct TableReader<'a, 'g> {
    pub gather: &'g mut Gather,
    table: &'a DeTable<'a>,
    /// What the table is called in messages, for example `[roles.reports]`.
    name: String,
    pub origin: Origin,
    known: Vec<&'static str>,
    later: &'static [&'static str],
    /// How many mistakes there were before this table.
    before: usize,
}

impl<'a, 'g> TableReader<'a, 'g> {
    pub(crate) fn new(gather: &'g mut Gather, table: &'a DeTable<'a>, name: impl Into<String>, origin: Origin) -> Self {
        let before = gather.list.len();
        Self { gather, table, name: name.into(), origin, known: Vec::new(), later: &[], before }
    }

    /// A value that is a table, or says that it is none.
    pub(crate) fn of(
        gather: &'g mut Gather,
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
        self.known.push(key);
        self.table.get(key)
    }

    /// Whether a key that may have a text or a table has a text.
    pub(crate) fn is_text(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|value| matches!(value.get_ref(), DeValue::String(_)))
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
            let wanted = "a whole number of 0 or more";
            match value.get_ref() {
                DeValue::Integer(number) => {
                    self.gather.refuse(value.span(), format!("expected {wanted}, found `{number}`"), None);
                }
                _ => wrong(self.gather, value, wanted),
            }
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
    pub(crate) fn pairs(&mut self, key: &'static str) -> Option<RawPairs> {
        let value = self.raw(key)?;
        let DeValue::Table(table) = value.get_ref() else {
            wrong(self.gather, value, "a table of strings");
            return None;
        };
        let mut pairs = Vec::with_capacity(table.len());
        for (name, value) in table {
            if let Some(spot) = text(self.gather, value) {
                // the place is the whole pair: its key may be what is wrong
                let origin = self.gather.origin(name.span().start..value.span().end);
                pairs.push((name.get_ref().to_string(), Spot { value: spot.value, origin }));
            }
        }
        Some(pairs)
    }

    /// The raw value of a key and its place.
    pub(crate) fn any(&mut self, key: &'static str) -> Option<Spot<&'a DeValue<'a>>> {
        let value = self.raw(key)?;
        let origin = self.gather.origin(value.span());
        Some(Spot { value: value.get_ref(), origin })
    }

    /// A sub-table.
    pub(crate) fn table(&mut self, key: &'static str) -> Option<TableReader<'a, '_>> {
        let value = self.raw(key)?;
        let origin = self.gather.origin(self.span_of(key).unwrap_or_else(|| value.span()));
        let outer = self.name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let name = outer.map_or_else(|| format!("[{key}]"), |outer| format!("[{outer}.{key}]"));
        TableReader::of(self.gather, value, name, origin)
    }

    /// The place of a key.
    pub(crate) fn span_of(&self, key: &str) -> Option<std::ops::Range<usize>> {
        self.table.get_key_value(key).map(|(name, _)| name.span())
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

    /// Keys that the format reserves in this kind of table alone.
    pub(crate) fn reserved(&mut self, keys: &'static [&'static str]) {
        self.later = keys;
    }

    /// Refuses what nobody asked for. To be called last; says whether anything was wrong with the table.
    pub(crate) fn finish(&mut self) -> bool {
        for (name, _) in self.table {
            let key = name.get_ref().as_ref();
            if self.known.contains(&key) {
                continue;
            }
            if self.gather.list.len() - self.before > UNKNOWN {
                break;
            }
            if self.later.contains(&key) || RESERVED.contains(&key) {
                let hint = "remove it: it is reserved for a later version".to_owned();
                self.gather.refuse(name.span(), format!("`{key}` is not yet supported"), Some(hint));
                continue;
            }
            let hint = nearest(key, self.known.iter().copied()).map_or_else(
                || {
                    let known: Vec<String> = self.known.iter().map(|key| format!("`{key}`")).collect();
                    format!("known here are {}", known.join(", "))
                },
                |near| format!("did you mean `{near}`?"),
            );
            self.gather.refuse(name.span(), format!("unknown key `{key}` in {}", self.name), Some(hint));
        }
        self.gather.list.len() > self.before
    }
}

/// Says that a value has the wrong type.
pub(crate) fn wrong(gather: &mut Gather, value: &Spanned<DeValue<'_>>, wanted: &str) {
    let found = value.get_ref().type_str();
    let account = matches!(value.get_ref(), DeValue::Integer(number) if number.as_str().len() == 12);
    let hint = account.then(|| "an account id is written in quotes".to_owned());
    gather.refuse(value.span(), format!("expected {wanted}, found {found}"), hint);
}

/// A value that must be a text.
pub(crate) fn text(gather: &mut Gather, value: &Spanned<DeValue<'_>>) -> Option<Spot<String>> {
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
    gather: &mut Gather,
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

/// Longer words are not compared: that takes time and memory in proportion to their length.
const SLIP: usize = 128;

/// The most similar of `known`, if it is similar enough to be a slip.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if word.len() > SLIP {
        return None;
    }
    known
        .into_iter()
        .map(|candidate| {
            (strsim::damerau_levenshtein(word, candidate), strsim::jaro_winkler(word, candidate), candidate)
        })
        .filter(|(distance, similarity, candidate)| *distance <= 1 + candidate.len() / 5 || *similarity > 0.87)
        .min_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(b.2)))
        .map(|(_, _, candidate)| candidate)
}
