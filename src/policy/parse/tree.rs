//! A JSON reader that keeps where everything stands.
//!
//! serde_json keeps the last of two equal keys without a word, and has no positions once a value is read; the errors
//! that `canonical` finds need them. Strings and numbers are still read by serde_json.

use super::{Fault, ParseError, position, without_mark};
use serde::ser::{Serialize, Serializer};
use serde_json::{Number, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Nobody nests a policy deeper than five; the limit keeps the recursion of every reader small.
const DEPTH_LIMIT: usize = 32;

/// A JSON value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node<'a> {
    pub at: Option<usize>,
    pub shape: Shape<'a>,
}

/// What a JSON value is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Object(Vec<Entry<'a>>),
}

/// A key, where it stands, and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry<'a> {
    pub key: Cow<'a, str>,
    pub at: Option<usize>,
    pub value: Node<'a>,
}

/// Reads JSON, refusing duplicate keys, depth beyond 32, text behind the document and numbers that cannot be kept.
pub(crate) fn strict_json(text: &str) -> Result<Node<'_>, ParseError> {
    let mut reader = Reader { text: without_mark(text), at: 0, depth: 0 };
    reader.document().map_err(|fault| fault.locate(text))
}

impl<'a> Node<'a> {
    /// The tree of a value that came from no text.
    pub(crate) fn of(value: &'a Value) -> Self {
        let shape = match value {
            Value::Null => Shape::Null,
            Value::Bool(bool) => Shape::Bool(*bool),
            Value::Number(number) => Shape::Number(number.clone()),
            Value::String(text) => Shape::Text(text.into()),
            Value::Array(list) => Shape::List(list.iter().map(Self::of).collect()),
            Value::Object(map) => {
                Shape::Object(map.iter().map(|(key, value)| Entry::new(key, Self::of(value))).collect())
            }
        };
        shape.into()
    }

    /// A string.
    pub(crate) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Shape::Text(text.into()).into()
    }

    /// A list of one as its only item, any other as a list.
    pub(crate) fn one_or_all(items: Vec<Self>) -> Self {
        match <[Self; 1]>::try_from(items) {
            Ok([only]) => only,
            Err(items) => Shape::List(items).into(),
        }
    }

    /// An object of these entries, whose keys differ.
    pub(crate) fn entries<const N: usize>(entries: [(Cow<'a, str>, Self); N]) -> Self {
        Shape::Object(entries.into_iter().map(|(key, value)| Entry::new(key, value)).collect()).into()
    }

    /// The entries, if it is an object.
    pub(crate) fn object(&self) -> Option<&[Entry<'a>]> {
        match &self.shape {
            Shape::Object(entries) => Some(entries),
            _ => None,
        }
    }
}

/// A value that came from no text.
impl<'a> From<Shape<'a>> for Node<'a> {
    fn from(shape: Shape<'a>) -> Self {
        Self { at: None, shape }
    }
}

impl<'a> Entry<'a> {
    /// One that came from no text.
    pub(crate) fn new(key: impl Into<Cow<'a, str>>, value: Node<'a>) -> Self {
        Self { key: key.into(), at: None, value }
    }
}

/// The entry of this key.
pub(crate) fn find<'n, 'a>(entries: &'n [Entry<'a>], key: &str) -> Option<&'n Entry<'a>> {
    entries.iter().find(|entry| entry.key == key)
}

/// An object has its entries in the order of their keys, as serde_json's own has.
impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.shape {
            Shape::Null => serializer.serialize_unit(),
            Shape::Bool(bool) => serializer.serialize_bool(*bool),
            Shape::Number(number) => number.serialize(serializer),
            Shape::Text(text) => serializer.serialize_str(text),
            Shape::List(list) => serializer.collect_seq(list),
            Shape::Object(entries) => {
                let mut entries: Vec<&Entry<'_>> = entries.iter().collect();
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
    fn document(&mut self) -> Result<Node<'a>, Fault> {
        self.blank();
        if self.peek().is_none() {
            return fault(self.at, "the document is empty");
        }
        let node = self.value()?;
        self.blank();
        match self.peek() {
            None => Ok(node),
            Some(_) => fault(self.at, "there is text behind the document"),
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

    fn value(&mut self) -> Result<Node<'a>, Fault> {
        let at = self.at;
        let shape = match self.peek() {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::list)?,
            Some(b'"') => Shape::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => Shape::Number(self.number()?),
            Some(_) => self.word()?,
            None => return fault(at, "the document ends too early"),
        };
        Ok(Node { at: Some(at), shape })
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Shape<'a>, Fault>) -> Result<Shape<'a>, Fault> {
        if self.depth == DEPTH_LIMIT {
            return fault(self.at, format!("nested deeper than {DEPTH_LIMIT}"));
        }
        self.depth += 1;
        self.at += 1;
        let shape = read(self)?;
        self.depth -= 1;
        Ok(shape)
    }

    fn object(&mut self) -> Result<Shape<'a>, Fault> {
        let mut entries = Vec::new();
        let mut seen: BTreeMap<Cow<'a, str>, usize> = BTreeMap::new();
        self.blank();
        if self.took(b'}') {
            return Ok(Shape::Object(entries));
        }
        loop {
            self.blank();
            let at = self.at;
            if self.peek() != Some(b'"') {
                return self.expected("a key in double quotes");
            }
            let key = self.string()?;
            if let Some(first) = seen.insert(key.clone(), at) {
                let (line, column) = position(self.text, first);
                return fault(at, format!("duplicate key `{key}`, first at line {line}, column {column}"));
            }
            self.blank();
            if !self.took(b':') {
                return self.expected("`:`");
            }
            self.blank();
            let value = self.value()?;
            entries.push(Entry { key, at: Some(at), value });
            self.blank();
            if self.took(b'}') {
                return Ok(Shape::Object(entries));
            }
            if !self.took(b',') {
                return self.expected("`,` or `}`");
            }
        }
    }

    fn list(&mut self) -> Result<Shape<'a>, Fault> {
        let mut items = Vec::new();
        self.blank();
        if self.took(b']') {
            return Ok(Shape::List(items));
        }
        loop {
            self.blank();
            items.push(self.value()?);
            self.blank();
            if self.took(b']') {
                return Ok(Shape::List(items));
            }
            if !self.took(b',') {
                return self.expected("`,` or `]`");
            }
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        let mut plain = true;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => (plain, end) = (false, end + 2),
                Some(byte) => (plain, end) = (plain && *byte >= b' ', end + 1),
                None => return fault(start, "the string does not end"),
            }
        }
        self.at = end + 1;
        // both ends are quotes, so the slice begins and ends between characters
        if plain {
            return Ok(self.text[start + 1..end].into());
        }
        serde_json::from_str(&self.text[start..=end])
            .or_else(|_| fault(start, "the string has a control character or an escape that JSON does not know"))
    }

    fn number(&mut self) -> Result<Number, Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.at += 1;
        }
        let token = &self.text[start..self.at];
        let Ok(number) = serde_json::from_str::<Number>(token) else {
            return fault(start, format!("`{token}` is no JSON number"));
        };
        if number.to_string() != token {
            return fault(start, format!("number `{token}` cannot be kept exactly: write it in double quotes"));
        }
        Ok(number)
    }

    fn word(&mut self) -> Result<Shape<'a>, Fault> {
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

    fn expected<T>(&self, what: &str) -> Result<T, Fault> {
        // between tokens the reader always stands at the beginning of a character
        match self.text[self.at..].chars().next() {
            Some(found) if found.is_ascii_graphic() => fault(self.at, format!("expected {what}, found `{found}`")),
            Some(found) => fault(self.at, format!("expected {what}, found `{}`", found.escape_debug())),
            None => fault(self.at, format!("expected {what}, found the end")),
        }
    }
}

fn fault<T>(at: usize, message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { message: message.into(), at: Some(at) })
}
