//! Declares tables of the file format, and reads sub-tables, arrays of tables and tables by key.

use crate::config::reader::{FileReader, FromKey, TableReader};
use crate::ids::{ClusterName, Key, PolicyName, RoleName};
use crate::model::origin::Origin;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::DeValue;

/// A table with fixed keys.
pub(crate) trait Table: Sized {
    fn read(reader: &mut TableReader<'_, '_>) -> Self;
    fn origin(&self) -> &Origin;
    /// The JSON Schema of each key.
    fn properties() -> Map<String, Value>;
}

/// Declares a table: the struct that holds it, how it is read, and the JSON Schema of its keys. `flatten` adds the keys
/// of another table, `state` adds fields that are not keys.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident $([reserves $reserved:literal])? {
        $($key:literal $field:ident: $type:ty = $property:expr;)*
        $(flatten $part:ident: $part_type:ident;)?
        $(state $state:ident: $state_type:ty;)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub(crate) struct $name {
            pub origin: Origin,
            /// Whether reading found an error in the table. A key that it lacks may be the one with the error.
            pub flawed: bool,
            $(pub $field: $type,)*
            $(pub $part: $part_type,)?
            $(pub $state: $state_type,)*
        }

        impl $name {
            fn keys(reader: &mut TableReader<'_, '_>) -> Self {
                Self {
                    origin: reader.origin.clone(),
                    flawed: false,
                    $($field: FromKey::from_key(reader, $key),)*
                    $($part: $part_type::keys(reader),)?
                    $($state: Default::default(),)*
                }
            }
        }

        impl Table for $name {
            fn read(reader: &mut TableReader<'_, '_>) -> Self {
                let mut table = Self::keys(reader);
                table.flawed = reader.finish(&[$($reserved)?]);
                $(table.$part.flawed = table.flawed;)?
                table
            }

            fn origin(&self) -> &Origin {
                &self.origin
            }

            fn properties() -> Map<String, Value> {
                let mut properties = Map::new();
                $(properties.insert($key.to_owned(), $property);)*
                $(properties.extend($part_type::properties());)?
                properties
            }
        }
    };
}

pub(super) use table;

impl<T: Table> FromKey for Option<T> {
    fn from_key(reader: &mut TableReader<'_, '_>, key: &'static str) -> Self {
        reader.table(key).map(|mut table| T::read(&mut table))
    }
}

/// An array of tables.
impl<T: Table> FromKey for Vec<T> {
    fn from_key(reader: &mut TableReader<'_, '_>, key: &'static str) -> Self {
        let Some(value) = reader.value(key) else { return Self::new() };
        let DeValue::Array(list) = value.get_ref() else {
            reader.file.wrong_type(value, "a list of tables");
            return Self::new();
        };
        let mut tables = Self::new();
        for item in list {
            let origin = reader.file.origin(item.span());
            let table = TableReader::of(reader.file, item, format!("[[{key}]]"), origin);
            tables.extend(table.map(|mut table| T::read(&mut table)));
        }
        tables
    }
}

/// Tables by the user's keys.
impl<T: Table> FromKey for BTreeMap<Key, T> {
    fn from_key(reader: &mut TableReader<'_, '_>, kind: &'static str) -> Self {
        let mut tables = Self::new();
        for (name, value) in reader.entries(kind, "a table of tables") {
            let table = keyed_table(reader.file, kind, name, value);
            if table.is_none() {
                reader.file.dropped.insert(name.get_ref().to_string());
            }
            // TOML itself refuses a key that is there twice
            tables.extend(table);
        }
        tables
    }
}

fn keyed_table<'a, T: Table>(
    file: &mut FileReader,
    kind: &str,
    name: &Spanned<Cow<'a, str>>,
    value: &Spanned<DeValue<'a>>,
) -> Option<(Key, T)> {
    let text = name.get_ref();
    match Key::parse(text) {
        Ok(key) => {
            let origin = file.origin(name.span());
            let mut table = TableReader::of(file, value, format!("[{kind}.{key}]"), origin)?;
            Some((key, T::read(&mut table)))
        }
        Err(error) => {
            file.refuse(name.span(), format!("`{text}` {error}")).hint = Some(other_name(kind, text));
            None
        }
    }
}

/// The hint for a name that is not a valid key: AWS allows longer names than tags, labels and addresses.
fn other_name(kind: &str, text: &str) -> String {
    let (what, refused) = match kind {
        "roles" => ("the role", RoleName::parse(text).err()),
        "policies" => ("the policy", PolicyName::parse(text).err()),
        "clusters" => ("the EKS cluster", ClusterName::parse(text).err()),
        _ => return "choose another key: `id` says which account it is".to_owned(),
    };
    match refused {
        None => format!("choose another key, and name {what} with `name = \"{text}\"`"),
        Some(error) => format!("choose another key, and name {what} with `name`, which {error}"),
    }
}
