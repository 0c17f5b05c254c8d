//! A small strict JSON reader that keeps the place of every value and key: duplicate keys, depth beyond 32 and trailing
//! text are refused, which `serde_json` does not do for a tree.

use super::parse::ParseError;
use serde_json::{Map, Number, Value};

/// The depth that no policy needs.
const DEPTH: usize = 32;

/// A value and the byte at which it begins; 0 where there is no text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) data: Data,
    pub(crate) offset: usize,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Node>),
    Object(Vec<Member>),
}

/// A key with its place, and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) offset: usize,
    pub(crate) value: Node,
}

/// What is wrong, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) offset: usize,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>, offset: usize) -> Self {
        Self { message: message.into(), offset }
    }

    /// The fault with its line and column in the text; without them where there is no text.
    pub(crate) fn locate(self, text: &str) -> ParseError {
        let position = (!text.is_empty()).then(|| {
            let mut offset = self.offset.min(text.len());
            while !text.is_char_boundary(offset) {
                offset -= 1;
            }
            let before = &text[..offset];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
            (line, column)
        });
        ParseError { message: self.message, position }
    }
}

impl Node {
    /// A value that has no text.
    pub(crate) fn of(value: &Value) -> Self {
        let data = match value {
            Value::Null => Data::Null,
            Value::Bool(flag) => Data::Bool(*flag),
            Value::Number(number) => Data::Number(number.to_string()),
            Value::String(text) => Data::Text(text.clone()),
            Value::Array(list) => Data::List(list.iter().map(Self::of).collect()),
            Value::Object(map) => Data::Object(
                map.iter()
                    .map(|(key, value)| Member { key: key.clone(), offset: 0, value: Self::of(value) })
                    .collect(),
            ),
        };
        Self { data, offset: 0 }
    }

    /// The value as `serde_json` has it.
    pub(crate) fn value(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(flag) => Value::Bool(*flag),
            // what is no number for serde_json is none for the reader either
            Data::Number(text) => text.parse::<Number>().map_or(Value::Null, Value::Number),
            Data::Text(text) => Value::String(text.clone()),
            Data::List(list) => Value::Array(list.iter().map(Self::value).collect()),
            Data::Object(members) => Value::Object(
                members.iter().map(|member| (member.key.clone(), member.value.value())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// What the value is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.data {
            Data::Null => "null",
            Data::Bool(_) => "a boolean",
            Data::Number(_) => "a number",
            Data::Text(_) => "a string",
            Data::List(_) => "a list",
            Data::Object(_) => "an object",
        }
    }
}

/// Reads one value, and nothing behind it.
pub(crate) fn read(text: &str) -> Result<Node, Fault> {
    let mut reader = Reader { text, place: 0 };
    if text.starts_with('\u{feff}') {
        reader.place = '\u{feff}'.len_utf8();
    }
    let node = reader.value(0)?;
    reader.space();
    match reader.peek() {
        None => Ok(node),
        Some(_) => Err(reader.fault("there is more text behind the document")),
    }
}

struct Reader<'a> {
    text: &'a str,
    place: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.place).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.place += 1;
        }
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::new(message, self.place)
    }

    fn value(&mut self, depth: usize) -> Result<Node, Fault> {
        self.space();
        let offset = self.place;
        if depth > DEPTH {
            return Err(self.fault(format!("it is nested deeper than {DEPTH} levels")));
        }
        let data = match self.peek() {
            None => return Err(self.fault("the text ends where a value should be")),
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Data::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(_) => self.word()?,
        };
        Ok(Node { data, offset })
    }

    fn word(&mut self) -> Result<Data, Fault> {
        for (word, data) in [("true", Data::Bool(true)), ("false", Data::Bool(false)), ("null", Data::Null)] {
            if self.text[self.place..].starts_with(word) {
                self.place += word.len();
                return Ok(data);
            }
        }
        Err(self.fault("expected a JSON value"))
    }

    fn number(&mut self) -> Result<Data, Fault> {
        let begin = self.place;
        while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.place += 1;
        }
        let text = &self.text[begin..self.place];
        match text.parse::<Number>() {
            Ok(_) => Ok(Data::Number(text.to_owned())),
            Err(_) => Err(Fault::new(format!("`{text}` is no number"), begin)),
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        let begin = self.place;
        self.place += 1;
        loop {
            match self.peek() {
                None => return Err(Fault::new("the string that begins here has no end", begin)),
                Some(b'"') => break,
                Some(b'\\') => self.place += 2,
                Some(byte) if byte < 0x20 => return Err(self.fault("a control character in a string must be escaped")),
                Some(_) => self.place += 1,
            }
        }
        self.place += 1;
        let raw = self.text.get(begin..self.place).unwrap_or_default();
        // escapes and surrogates are serde_json's business
        serde_json::from_str(raw).map_err(|error| Fault::new(format!("this string is no JSON: {error}"), begin))
    }

    fn list(&mut self, depth: usize) -> Result<Data, Fault> {
        let mut list = Vec::new();
        self.place += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.place += 1;
            return Ok(Data::List(list));
        }
        loop {
            list.push(self.value(depth + 1)?);
            if self.end_or_comma(b']')? {
                return Ok(Data::List(list));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Data, Fault> {
        let mut members: Vec<Member> = Vec::new();
        self.place += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.place += 1;
            return Ok(Data::Object(members));
        }
        loop {
            self.space();
            let offset = self.place;
            if self.peek() != Some(b'"') {
                return Err(self.fault("expected a key in double quotes"));
            }
            let key = self.string()?;
            if members.iter().any(|member| member.key == key) {
                return Err(Fault::new(format!("key `{key}` stands twice in one object"), offset));
            }
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.fault("expected `:` behind the key"));
            }
            self.place += 1;
            members.push(Member { key, offset, value: self.value(depth + 1)? });
            if self.end_or_comma(b'}')? {
                return Ok(Data::Object(members));
            }
        }
    }

    /// Whether the list or object ends here; a comma goes on.
    fn end_or_comma(&mut self, end: u8) -> Result<bool, Fault> {
        self.space();
        match self.peek() {
            Some(b',') => {
                self.place += 1;
                Ok(false)
            }
            Some(byte) if byte == end => {
                self.place += 1;
                Ok(true)
            }
            _ => Err(self.fault(format!("expected `,` or `{}`", char::from(end)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, message, position) in [
            ("", "the text ends where a value should be", None),
            ("{\n  \"a\": 1,\n  \"a\": 2\n}", "key `a` stands twice in one object", Some((3, 3))),
            ("{\"a\": 1} x", "there is more text behind the document", Some((1, 10))),
            ("{\"a\" 1}", "expected `:` behind the key", Some((1, 6))),
            ("[1, 2", "expected `,` or `]`", Some((1, 6))),
            ("{a: 1}", "expected a key in double quotes", Some((1, 2))),
            ("[tru]", "expected a JSON value", Some((1, 2))),
            ("[01]", "`01` is no number", Some((1, 2))),
            ("[\"a", "the string that begins here has no end", Some((1, 2))),
            ("[1,]", "expected a JSON value", Some((1, 4))),
        ] {
            let error = read(text).unwrap_err().locate(text);
            assert_eq!((error.message.as_str(), error.position), (message, position), "{text}");
        }
        assert!(read(&"[".repeat(100)).unwrap_err().message.contains("deeper"));
        assert_eq!(read("\u{feff}[]").unwrap().value(), Value::Array(Vec::new()));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = read(&text).map_err(|fault| fault.locate(&text));
        }

        #[test]
        fn it_reads_what_serde_json_writes(keys in proptest::collection::btree_map(any::<String>(), any::<i64>(), 0..8)) {
            let value = serde_json::json!({ "map": keys, "list": [null, true, 1.5, "a\"\\\u{1f600}"] });
            prop_assert_eq!(read(&value.to_string()).unwrap().value(), value.clone());
            prop_assert_eq!(read(&format!("{value:#}")).unwrap().value(), value);
        }
    }
}
