//! A JSON parser with IAM's rules: it keeps the order of keys and rejects duplicate keys.
//!
//! `serde_json::Value` does neither. The parser has only what policies need, and it keeps numbers as text.

use std::fmt::Write as _;

/// The maximum nesting depth of a policy. Real policies are much flatter.
const MAX_DEPTH: usize = 20;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Parses a text. None if it is not valid JSON.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { rest: text };
        let value = reader.value(0)?;
        reader.space();
        reader.rest.is_empty().then_some(value)
    }

    /// Writes the value without white space.
    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(text) => out.push_str(text),
            Self::Text(text) => quote(text, out),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(fields) => {
                out.push('{');
                for (index, (key, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    quote(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if letter < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn eat(&mut self, token: &str) -> bool {
        self.space();
        self.rest.strip_prefix(token).is_some_and(|rest| {
            self.rest = rest;
            true
        })
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.space();
        match self.rest.chars().next()? {
            '{' => self.object(depth),
            '[' => self.array(depth),
            '"' => self.text().map(Json::Text),
            't' => self.eat("true").then_some(Json::Bool(true)),
            'f' => self.eat("false").then_some(Json::Bool(false)),
            'n' => self.eat("null").then_some(Json::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        let mut fields: Vec<(String, Json)> = Vec::new();
        self.eat("{").then_some(())?;
        if self.eat("}") {
            return Some(Json::Object(fields));
        }
        loop {
            self.space();
            let key = self.text()?;
            self.eat(":").then_some(())?;
            let value = self.value(depth + 1)?;
            if fields.iter().any(|(known, _)| *known == key) {
                return None;
            }
            fields.push((key, value));
            if self.eat("}") {
                return Some(Json::Object(fields));
            }
            self.eat(",").then_some(())?;
        }
    }

    fn array(&mut self, depth: usize) -> Option<Json> {
        let mut items = Vec::new();
        self.eat("[").then_some(())?;
        if self.eat("]") {
            return Some(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.eat("]") {
                return Some(Json::List(items));
            }
            self.eat(",").then_some(())?;
        }
    }

    /// Parses a string or a number with serde_json, which handles escapes, surrogates and number formats.
    fn text(&mut self) -> Option<String> {
        let mut escaped = false;
        let inside = self.rest.strip_prefix('"')?;
        let end = inside.find(|letter| {
            let closes = letter == '"' && !escaped;
            escaped = letter == '\\' && !escaped;
            closes
        })?;
        let (token, rest) = self.rest.split_at(end + 2);
        self.rest = rest;
        serde_json::from_str(token).ok()
    }

    fn number(&mut self) -> Option<Json> {
        let end = self.rest.find(|letter: char| !(letter.is_ascii_digit() || "+-.eE".contains(letter)));
        let (token, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        serde_json::from_str::<serde_json::Number>(token).ok()?;
        self.rest = rest;
        Some(Json::Number(token.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> Option<String> {
        let mut out = String::new();
        Json::parse(text)?.write(&mut out);
        Some(out)
    }

    #[test]
    fn key_order_is_kept_and_white_space_is_dropped() {
        let text =
            "{ \"b\" : [1, -2.5e3, true,null ],\r\n\t\"a\":{\"é\\u00e9\\\"\\\\\":\"\\n\"}, \"c\":{} , \"d\":[ ]}";
        assert_eq!(
            rewritten(text).as_deref(),
            Some("{\"b\":[1,-2.5e3,true,null],\"a\":{\"éé\\\"\\\\\":\"\\n\"},\"c\":{},\"d\":[]}")
        );
    }

    #[test]
    fn invalid_json_is_refused() {
        for text in
            ["", "{", "{nope", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "01", "1 2", "tru", "'a'", "\"a", "{\"a\":1,\"a\":1}"]
        {
            assert_eq!(Json::parse(text), None, "{text}");
        }
        assert_eq!(Json::parse(&("[".repeat(30) + &"]".repeat(30))), None);
        assert!(Json::parse(&("[".repeat(9) + &"]".repeat(9))).is_some());
    }
}
