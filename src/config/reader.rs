//! Reads typed values out of a parsed TOML table and keeps their positions. A value of the wrong type and an unknown
//! key each become a diagnostic, and reading goes on.

use super::diagnostics::Diagnostic;
use super::source::Source;
use super::suggest::suggestion;
use crate::ids::{
    AccountId, ClusterName, IamPath, IdError, IssuerUrl, Key, LeaseName, Namespace, PolicyName, Region, RoleArn,
    RoleName,
};
use crate::model::origin::Origin;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Located<T> {
    pub value: T,
    pub origin: Origin,
}

/// A table of strings whose keys are the user's, in order and without duplicates.
pub(crate) type StringTable = Vec<(String, Located<String>)>;

/// One file while it is read, with the errors found so far.
pub(crate) struct FileReader {
    pub source: Arc<Source>,
    pub errors: Vec<Diagnostic>,
    /// The keys of tables that could not be read at all. A reference to one of them is not another error.
    pub dropped: BTreeSet<String>,
}

impl FileReader {
    pub(crate) fn new(source: Arc<Source>) -> Self {
        Self { source, errors: Vec::new(), dropped: BTreeSet::new() }
    }

    pub(crate) fn origin(&self, span: Range<usize>) -> Origin {
        self.source.origin(span)
    }

    /// Adds an error about these bytes.
    pub(crate) fn refuse(&mut self, span: Range<usize>, message: impl Into<String>) -> &mut Diagnostic {
        let diagnostic = Diagnostic::at(&self.origin(span), message);
        diagnostic.push_to(&mut self.errors)
    }

    /// Refuses a value of the wrong type.
    pub(crate) fn wrong_type(&mut self, value: &Spanned<DeValue<'_>>, expected: &str) {
        let found = value.get_ref().type_str();
        let is_account = matches!(value.get_ref(), DeValue::Integer(number) if number.as_str().len() == 12);
        self.refuse(value.span(), format!("expected {expected}, found {found}")).hint =
            is_account.then(|| "an account id is written in quotes".to_owned());
    }

    /// Parses an id.
    pub(crate) fn id<T>(
        &mut self,
        text: &Located<String>,
        parse: fn(&str) -> Result<T, IdError>,
    ) -> Option<Located<T>> {
        match parse(&text.value) {
            Ok(value) => Some(Located { value, origin: text.origin.clone() }),
            Err(error) => {
                self.errors.push(Diagnostic::at(&text.origin, format!("`{}` {error}", text.value)));
                None
            }
        }
    }

    pub(crate) fn read<T: FromToml>(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Located<T>> {
        let origin = self.origin(value.span());
        T::from_toml(self, value).map(|value| Located { value, origin })
    }

    fn list<T: FromToml>(&mut self, list: &[Spanned<DeValue<'_>>]) -> Vec<Located<T>> {
        list.iter().filter_map(|item| self.read(item)).collect()
    }
}

/// A type that one TOML value is read as.
pub(crate) trait FromToml: Sized {
    /// What messages call a list of such values.
    const LIST: &'static str = "a list of strings";

    /// The value, or None after an error was added to the file.
    fn from_toml(file: &mut FileReader, value: &Spanned<DeValue<'_>>) -> Option<Self>;
}

impl FromToml for String {
    fn from_toml(file: &mut FileReader, value: &Spanned<DeValue<'_>>) -> Option<Self> {
        if let DeValue::String(text) = value.get_ref() {
            return Some(text.to_string());
        }
        file.wrong_type(value, "a string");
        None
    }
}

impl FromToml for bool {
    fn from_toml(file: &mut FileReader, value: &Spanned<DeValue<'_>>) -> Option<Self> {
        if let DeValue::Boolean(flag) = value.get_ref() {
            return Some(*flag);
        }
        file.wrong_type(value, "`true` or `false`");
        None
    }
}

impl FromToml for u64 {
    fn from_toml(file: &mut FileReader, value: &Spanned<DeValue<'_>>) -> Option<Self> {
        let expected = "a whole number of 0 or more";
        let DeValue::Integer(number) = value.get_ref() else {
            file.wrong_type(value, expected);
            return None;
        };
        let parsed = u64::from_str_radix(number.as_str(), number.radix()).ok();
        if parsed.is_none() {
            file.refuse(value.span(), format!("expected {expected}, found `{number}`"));
        }
        parsed
    }
}

macro_rules! ids_from_toml {
    ($($id:ident),*) => {$(
        impl FromToml for $id {
            fn from_toml(file: &mut FileReader, value: &Spanned<DeValue<'_>>) -> Option<Self> {
                let text = file.read::<String>(value)?;
                file.id(&text, |text| Self::parse(text)).map(|id| id.value)
            }
        }
    )*};
}
ids_from_toml!(
    AccountId,
    ClusterName,
    IamPath,
    IssuerUrl,
    Key,
    LeaseName,
    Namespace,
    PolicyName,
    Region,
    RoleArn,
    RoleName
);

/// Keys that the format reserves in every table for later versions.
pub(crate) const RESERVED: [&str; 6] = ["via", "target-role", "presets", "moved", "overflow", "thumbprints"];

/// The most errors reported for one table.
const ERROR_LIMIT: usize = 1000;

/// One table while it is read.
pub(crate) struct TableReader<'a, 'f> {
    pub file: &'f mut FileReader,
    table: &'a DeTable<'a>,
    /// What messages call the table, for example `[roles.reports]`.
    name: String,
    pub origin: Origin,
    known: Vec<&'static str>,
    /// The number of errors before this table.
    before: usize,
}

impl<'a, 'f> TableReader<'a, 'f> {
    pub(crate) fn new(file: &'f mut FileReader, table: &'a DeTable<'a>, name: String, origin: Origin) -> Self {
        let before = file.errors.len();
        Self { file, table, name, origin, known: Vec::new(), before }
    }

    /// A reader for a value that must be a table.
    pub(crate) fn of(
        file: &'f mut FileReader,
        value: &'a Spanned<DeValue<'a>>,
        name: String,
        origin: Origin,
    ) -> Option<Self> {
        if let DeValue::Table(table) = value.get_ref() {
            return Some(Self::new(file, table, name, origin));
        }
        file.wrong_type(value, "a table");
        None
    }

    /// The value of a key, which is known from now on.
    pub(crate) fn value(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.table.get(key)
    }

    /// The bytes of a key.
    pub(crate) fn key_span(&self, key: &str) -> Option<Range<usize>> {
        self.table.get_key_value(key).map(|(name, _)| name.span())
    }

    /// A reader for the sub-table `key`.
    pub(crate) fn table(&mut self, key: &'static str) -> Option<TableReader<'a, '_>> {
        let value = self.value(key)?;
        let origin = self.file.origin(self.key_span(key).unwrap_or_else(|| value.span()));
        let outer = self.name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let name = outer.map_or_else(|| format!("[{key}]"), |outer| format!("[{outer}.{key}]"));
        TableReader::of(self.file, value, name, origin)
    }

    /// The entries of the sub-table `key`, whose keys are the user's; `expected` is what messages call the sub-table.
    pub(crate) fn entries(
        &mut self,
        key: &'static str,
        expected: &str,
    ) -> Vec<(&'a Spanned<std::borrow::Cow<'a, str>>, &'a Spanned<DeValue<'a>>)> {
        let Some(value) = self.value(key) else { return Vec::new() };
        if let DeValue::Table(table) = value.get_ref() {
            return table.iter().collect();
        }
        self.file.wrong_type(value, expected);
        Vec::new()
    }

    /// Refuses the keys that were not read; `reserved` are keys that only this kind of table reserves. Returns whether
    /// the table has any error.
    pub(crate) fn finish(&mut self, reserved: &[&str]) -> bool {
        for (name, _) in self.table {
            let key = name.get_ref().as_ref();
            if self.known.contains(&key) {
                continue;
            }
            if self.file.errors.len() - self.before > ERROR_LIMIT {
                break;
            }
            let (message, hint) = if reserved.contains(&key) || RESERVED.contains(&key) {
                (format!("`{key}` is not yet supported"), "remove it: it is reserved for a later version".to_owned())
            } else {
                let hint = suggestion(key, &self.known, "known keys are");
                (format!("unknown key `{key}` in {}", self.name), hint)
            };
            self.file.refuse(name.span(), message).hint = Some(hint);
        }
        self.file.errors.len() > self.before
    }
}

/// A type that one key of a table is read as; a missing key is an empty value.
pub(crate) trait FromKey {
    fn from_key(reader: &mut TableReader<'_, '_>, key: &'static str) -> Self;
}

impl<T: FromToml> FromKey for Option<Located<T>> {
    fn from_key(reader: &mut TableReader<'_, '_>, key: &'static str) -> Self {
        let value = reader.value(key)?;
        reader.file.read(value)
    }
}

impl<T: FromToml> FromKey for Vec<Located<T>> {
    fn from_key(reader: &mut TableReader<'_, '_>, key: &'static str) -> Self {
        match reader.value(key).map(|value| (value, value.get_ref())) {
            None => Self::new(),
            Some((_, DeValue::Array(list))) => reader.file.list(list),
            Some((value, _)) => {
                reader.file.wrong_type(value, T::LIST);
                Self::new()
            }
        }
    }
}

/// One string or a list of them.
impl FromKey for Option<Vec<Located<String>>> {
    fn from_key(reader: &mut TableReader<'_, '_>, key: &'static str) -> Self {
        let value = reader.value(key)?;
        match value.get_ref() {
            DeValue::Array(list) => Some(reader.file.list(list)),
            _ => reader.file.read(value).map(|text| vec![text]),
        }
    }
}

impl FromKey for StringTable {
    fn from_key(reader: &mut TableReader<'_, '_>, key: &'static str) -> Self {
        let mut pairs = Self::new();
        for (name, value) in reader.entries(key, "a table of strings") {
            if let Some(value_text) = String::from_toml(reader.file, value) {
                // the key may be what is wrong, so the position covers both
                let origin = reader.file.origin(name.span().start..value.span().end);
                pairs.push((name.get_ref().to_string(), Located { value: value_text, origin }));
            }
        }
        pairs
    }
}
