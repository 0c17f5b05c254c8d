//! AWS's Query protocol, which IAM and STS use: a form request, an XML response.
//!
//! This file has the request fields, an XML writer and the error format. It knows nothing about single operations
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/programming.html>).

use std::collections::HashMap;
use std::fmt::Write as _;

/// The fields of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params(HashMap<String, String>);

impl Params {
    /// Parses a form-encoded body. If a field occurs twice, the last one counts.
    pub(crate) fn parse(form_body: &[u8]) -> Self {
        Self(form_urlencoded::parse(form_body).into_owned().collect())
    }

    /// A field's text as sent.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All fields.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A field as a whole number.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, AwsError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| AwsError::new(400, "MalformedInput", "Invalid Argument"))
    }

    /// A field as a boolean.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, AwsError> {
        match self.text(name) {
            None => Ok(None),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(AwsError::new(400, "MalformedInput", "Invalid Argument")),
        }
    }

    /// `Name.member.1`, `Name.member.2`, …
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        (1..).map_while(|index: u32| self.text(&format!("{name}.member.{index}"))).collect()
    }

    /// `Name.member.1.First` with `Name.member.1.Second`, and so on. One of the two may be missing, but not both.
    pub(crate) fn pairs(&self, name: &str, first: &str, second: &str) -> Vec<(Option<&str>, Option<&str>)> {
        (1..)
            .map_while(|index: u32| {
                let field = |part: &str| self.text(&format!("{name}.member.{index}.{part}"));
                let pair = (field(first), field(second));
                (pair != (None, None)).then_some(pair)
            })
            .collect()
    }
}

/// A field's name as validation errors show it.
pub(crate) fn member(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + letters.as_str())
}

/// The validation message for a missing field.
pub(crate) fn missing(name: &str) -> String {
    format!("Value null at '{}' failed to satisfy constraint: Member must not be null", member(name))
}

/// An XML writer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Xml(String);

impl Xml {
    /// An empty document.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// `<name>text</name>`
    pub(crate) fn element(&mut self, name: &str, text: impl AsRef<str>) -> &mut Self {
        self.open(name);
        escape(text.as_ref(), &mut self.0);
        self.close(name)
    }

    /// `<name>text</name>`, or nothing for None.
    pub(crate) fn optional(&mut self, name: &str, text: Option<impl AsRef<str>>) -> &mut Self {
        match text {
            Some(text) => self.element(name, text),
            None => self,
        }
    }

    /// `<name>…</name>` around what `write` writes.
    pub(crate) fn nest(&mut self, name: &str, write: impl FnOnce(&mut Self)) -> &mut Self {
        self.open(name);
        write(self);
        self.close(name)
    }

    /// `<name><member>…</member>…</name>`, with one member for each item.
    pub(crate) fn members<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.open(name);
        for item in items {
            self.open("member");
            write(self, item);
            self.close("member");
        }
        self.close(name)
    }

    /// The same for plain texts.
    pub(crate) fn texts<T: AsRef<str>>(&mut self, name: &str, items: impl IntoIterator<Item = T>) -> &mut Self {
        self.members(name, items, |xml, item| escape(item.as_ref(), &mut xml.0))
    }

    fn open(&mut self, name: &str) -> &mut Self {
        self.0.extend(["<", name, ">"]);
        self
    }

    fn close(&mut self, name: &str) -> &mut Self {
        self.0.extend(["</", name, ">"]);
        self
    }
}

fn escape(text: &str, out: &mut String) {
    let plain = |byte: u8| byte >= 0x20 && !matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'');
    if text.bytes().all(plain) {
        out.push_str(text);
        return;
    }
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' => out.push(letter),
            '\r' => out.push_str("&#xD;"),
            // XML 1.0 cannot contain other control characters.
            letter if letter < ' ' => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
}

/// An AWS error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AwsError {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The AWS error code, for example `NoSuchEntity`.
    pub(crate) code: String,
    /// The error message.
    pub(crate) message: String,
    /// Whether the caller caused the error (`<Type>Sender</Type>`).
    pub(crate) sender: bool,
}

impl AwsError {
    /// An error with this status. A status below 500 means that the caller caused it.
    pub(crate) fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), sender: status < 500 }
    }

    /// A `ValidationError` that lists the failed constraints.
    pub(crate) fn validation(faults: &[String]) -> Self {
        let count = faults.len();
        let noun = if count == 1 { "error" } else { "errors" };
        Self::new(400, "ValidationError", format!("{count} validation {noun} detected: {}", faults.join("; ")))
    }

    /// The complete XML error response.
    pub(crate) fn to_query_xml(&self, xmlns: &str, request_id: &str) -> String {
        let mut xml = Xml::new();
        xml.nest("Error", |xml| {
            xml.element("Type", if self.sender { "Sender" } else { "Receiver" })
                .element("Code", &self.code)
                .element("Message", &self.message);
        })
        .element("RequestId", request_id);
        format!("<ErrorResponse xmlns=\"{xmlns}\">{}</ErrorResponse>", xml.0)
    }
}

/// The complete XML response of an operation. It has no result element if `result` is None.
pub(crate) fn respond(action: &str, xmlns: &str, result: Option<Xml>, request_id: &str) -> String {
    let size = result.as_ref().map_or(0, |Xml(body)| body.len());
    let mut answer = String::with_capacity(size + 256);
    let _ = write!(answer, "<{action}Response xmlns=\"{xmlns}\">");
    if let Some(Xml(body)) = result {
        let _ = write!(answer, "<{action}Result>{body}</{action}Result>");
    }
    let _ =
        write!(answer, "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>");
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lists_and_pairs_are_parsed() {
        let params = Params::parse(
            b"Action=TagRole&RoleName=a%2Bb+c&Tags.member.1.Key=k&Tags.member.1.Value=&Tags.member.2.Key=l&Ids.member.1=x&Ids.member.3=z&N=7",
        );
        assert_eq!(params.text("RoleName"), Some("a+b c"));
        assert_eq!(params.pairs("Tags", "Key", "Value"), [(Some("k"), Some("")), (Some("l"), None)]);
        assert_eq!(params.list("Ids"), ["x"]);
        assert_eq!(params.integer("N"), Ok(Some(7)));
        assert_eq!(params.integer("RoleName").unwrap_err().code, "MalformedInput");
    }

    #[test]
    fn answers_and_errors_are_well_formed() {
        let mut xml = Xml::new();
        xml.element("A", "<\"&'>\r\n\u{1}é").texts("L", ["1", "2"]).nest("E", |_| ());
        let answer = respond("GetIt", "urn:x", Some(xml), "id-1");
        assert_eq!(
            answer,
            "<GetItResponse xmlns=\"urn:x\"><GetItResult><A>&lt;&quot;&amp;&apos;&gt;&#xD;\n\u{fffd}é</A>\
             <L><member>1</member><member>2</member></L><E></E></GetItResult>\
             <ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></GetItResponse>"
        );
        assert_eq!(
            respond("DropIt", "urn:x", None, "id-2"),
            "<DropItResponse xmlns=\"urn:x\"><ResponseMetadata><RequestId>id-2</RequestId></ResponseMetadata></DropItResponse>"
        );
        let error = AwsError::new(404, "NoSuchEntity", "a < b").to_query_xml("urn:x", "id-3");
        assert_eq!(
            error,
            "<ErrorResponse xmlns=\"urn:x\"><Error><Type>Sender</Type><Code>NoSuchEntity</Code>\
             <Message>a &lt; b</Message></Error><RequestId>id-3</RequestId></ErrorResponse>"
        );
        assert!(AwsError::new(503, "ServiceUnavailable", "").to_query_xml("", "").contains("<Type>Receiver</Type>"));
    }
}
