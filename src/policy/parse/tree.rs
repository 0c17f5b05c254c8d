//! A JSON parser that records the position of every key and value.
//!
//! serde_json silently keeps the last of two equal keys and drops positions, which the errors of `canonical` need.
//! Strings with escapes and numbers are still parsed by serde_json.

use super::{OffsetError, ParseError, position, without_mark};
use serde::ser::{Serialize, Serializer};
use serde_json::{Number, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Policies nest at most five levels. The limit bounds the recursion.
const DEPTH_LIMIT: usize = 32;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonNode<'a> {
    /// Where it begins, in bytes. `None` if it was not parsed from text.
    pub at: Option<usize>,
    pub shape: Shape<'a>,
}

/// The content of a JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<JsonNode<'a>>),
    Object(Vec<JsonMember<'a>>),
}

/// A key of an object, its position in bytes, and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonMember<'a> {
    pub key: Cow<'a, str>,
    pub at: Option<usize>,
    pub value: JsonNode<'a>,
}

/// Parses JSON. Refuses duplicate keys, more than 32 levels, text after the document and inexact numbers.
pub(crate) fn strict_json(text: &str) -> Result<JsonNode<'_>, ParseError> {
    let mut reader = Reader { text: without_mark(text), at: 0, depth: 0 };
    reader.document().map_err(|error| error.locate(text))
}

impl<'a> JsonNode<'a> {
    /// The node of a serde_json value.
    pub(crate) fn of(value: &'a Value) -> Self {
        let shape = match value {
            Value::Null => Shape::Null,
            Value::Bool(bool) => Shape::Bool(*bool),
            Value::Number(number) => Shape::Number(number.clone()),
            Value::String(text) => Shape::Text(text.into()),
            Value::Array(list) => Shape::List(list.iter().map(Self::of).collect()),
            Value::Object(map) => {
                Shape::Object(map.iter().map(|(key, value)| JsonMember::new(key, Self::of(value))).collect())
            }
        };
        shape.into()
    }

    /// A string node.
    pub(crate) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Shape::Text(text.into()).into()
    }

    /// The only item of a list of one, or else the list.
    pub(crate) fn one_or_all(items: Vec<Self>) -> Self {
        match <[Self; 1]>::try_from(items) {
            Ok([only]) => only,
            Err(items) => Shape::List(items).into(),
        }
    }

    /// An object. The keys must differ.
    pub(crate) fn entries<const N: usize>(entries: [(Cow<'a, str>, Self); N]) -> Self {
        Shape::Object(entries.into_iter().map(|(key, value)| JsonMember::new(key, value)).collect()).into()
    }

    /// The entries of an object.
    pub(crate) fn object(&self) -> Option<&[JsonMember<'a>]> {
        match &self.shape {
            Shape::Object(entries) => Some(entries),
            _ => None,
        }
    }
}

impl<'a> From<Shape<'a>> for JsonNode<'a> {
    fn from(shape: Shape<'a>) -> Self {
        Self { at: None, shape }
    }
}

impl<'a> JsonMember<'a> {
    /// An entry that was not parsed from text.
    pub(crate) fn new(key: impl Into<Cow<'a, str>>, value: JsonNode<'a>) -> Self {
        Self { key: key.into(), at: None, value }
    }
}

/// The entry with this key.
pub(crate) fn find<'n, 'a>(entries: &'n [JsonMember<'a>], key: &str) -> Option<&'n JsonMember<'a>> {
    entries.iter().find(|entry| entry.key == key)
}

/// Sorts the entries of objects by key, like `serde_json::Value`.
impl Serialize for JsonNode<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.shape {
            Shape::Null => serializer.serialize_unit(),
            Shape::Bool(bool) => serializer.serialize_bool(*bool),
            Shape::Number(number) => number.serialize(serializer),
            Shape::Text(text) => serializer.serialize_str(text),
            Shape::List(list) => serializer.collect_seq(list),
            Shape::Object(entries) => {
                let mut entries: Vec<&JsonMember<'_>> = entries.iter().collect();
                entries.sort_by(|one, other| one.key.cmp(&other.key));
                serializer.collect_map(entries.into_iter().map(|entry| (&entry.key, &entry.value)))
            }
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<JsonNode<'a>, OffsetError> {
        self.blank();
        if self.peek().is_none() {
            return error(self.at, "the document is empty");
        }
        let node = self.value()?;
        self.blank();
        match self.peek() {
            None => Ok(node),
            Some(_) => error(self.at, "unexpected text after the document"),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<JsonNode<'a>, OffsetError> {
        let at = self.at;
        let shape = match self.peek() {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::list)?,
            Some(b'"') => Shape::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => Shape::Number(self.number()?),
            Some(_) => self.word()?,
            None => return error(at, "unexpected end of the document"),
        };
        Ok(JsonNode { at: Some(at), shape })
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Shape<'a>, OffsetError>) -> Result<Shape<'a>, OffsetError> {
        if self.depth == DEPTH_LIMIT {
            return error(self.at, format!("nested deeper than {DEPTH_LIMIT}"));
        }
        self.depth += 1;
        self.at += 1;
        let shape = read(self)?;
        self.depth -= 1;
        Ok(shape)
    }

    fn object(&mut self) -> Result<Shape<'a>, OffsetError> {
        let mut entries = Vec::new();
        let mut seen: BTreeMap<Cow<'a, str>, usize> = BTreeMap::new();
        self.items(b'}', "`,` or `}`", |reader| {
            let at = reader.at;
            if reader.peek() != Some(b'"') {
                return reader.expected("a key in double quotes");
            }
            let key = reader.string()?;
            if let Some(first) = seen.insert(key.clone(), at) {
                let (line, column) = position(reader.text, first);
                return error(at, format!("duplicate key `{key}`, first at line {line}, column {column}"));
            }
            reader.blank();
            if !reader.took(b':') {
                return reader.expected("`:`");
            }
            reader.blank();
            let value = reader.value()?;
            entries.push(JsonMember { key, at: Some(at), value });
            Ok(())
        })?;
        Ok(Shape::Object(entries))
    }

    fn list(&mut self) -> Result<Shape<'a>, OffsetError> {
        let mut items = Vec::new();
        self.items(b']', "`,` or `]`", |reader| {
            items.push(reader.value()?);
            Ok(())
        })?;
        Ok(Shape::List(items))
    }

    /// Reads items separated by commas until `end`.
    fn items(
        &mut self,
        end: u8,
        expected: &str,
        mut item: impl FnMut(&mut Self) -> Result<(), OffsetError>,
    ) -> Result<(), OffsetError> {
        self.blank();
        if self.took(end) {
            return Ok(());
        }
        loop {
            self.blank();
            item(self)?;
            self.blank();
            if self.took(end) {
                return Ok(());
            }
            if !self.took(b',') {
                return self.expected(expected);
            }
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, OffsetError> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        let mut plain = true;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => (plain, end) = (false, end + 2),
                Some(byte) => (plain, end) = (plain && *byte >= b' ', end + 1),
                None => return error(start, "the string does not end"),
            }
        }
        self.at = end + 1;
        // both ends are quotes, which are single bytes
        if plain {
            return Ok(self.text[start + 1..end].into());
        }
        serde_json::from_str(&self.text[start..=end])
            .or_else(|_| error(start, "the string has a control character or an escape that JSON does not know"))
    }

    fn number(&mut self) -> Result<Number, OffsetError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.at += 1;
        }
        let token = &self.text[start..self.at];
        let Ok(number) = serde_json::from_str::<Number>(token) else {
            return error(start, format!("`{token}` is not a JSON number"));
        };
        if number.to_string() != token {
            return error(start, format!("number `{token}` cannot be kept exactly: write it in double quotes"));
        }
        Ok(number)
    }

    fn word(&mut self) -> Result<Shape<'a>, OffsetError> {
        let words = [("true", Shape::Bool(true)), ("false", Shape::Bool(false)), ("null", Shape::Null)];
        for (word, shape) in words {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(shape);
            }
        }
        self.expected("a value")
    }

    fn took(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn expected<T>(&self, what: &str) -> Result<T, OffsetError> {
        // between tokens, `at` is a character boundary
        match self.text[self.at..].chars().next() {
            Some(found) if found.is_ascii_graphic() => error(self.at, format!("expected {what}, found `{found}`")),
            Some(found) => error(self.at, format!("expected {what}, found `{}`", found.escape_debug())),
            None => error(self.at, format!("expected {what}, found the end")),
        }
    }
}

fn error<T>(at: usize, message: impl Into<String>) -> Result<T, OffsetError> {
    Err(OffsetError { message: message.into(), at: Some(at) })
}
