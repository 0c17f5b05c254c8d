//! Collects the warnings of API servers, such as deprecated versions and policies in warning mode
//! (<https://kubernetes.io/docs/reference/using-api/#warnings>). Each is reported once.

use super::failure::clean;
use crate::ids::Key;
use http::header::{HeaderMap, WARNING};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// At most this many warnings are kept in a run, because a server may send a different text for each object.
const MOST: usize = 50;

/// The warnings of a run.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Mutex<Collected>);

#[derive(Debug, Default)]
struct Collected {
    all: BTreeSet<String>,
    new: Vec<String>,
}

impl Warnings {
    /// Adds the warnings in the headers of a response.
    pub(crate) fn add(&self, cluster: &Key, headers: &HeaderMap) {
        let texts = headers.get_all(WARNING).iter().filter_map(|value| text(value.to_str().ok()?));
        let mut collected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for text in texts {
            let warning = format!("cluster `{cluster}`: {text}");
            if collected.all.len() < MOST && collected.all.insert(warning.clone()) {
                collected.new.push(warning);
            }
        }
    }

    /// The warnings since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).new)
    }
}

/// The text of `299 - "…"`, a quoted-string of HTTP, in which a backslash escapes the next character
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-5.6.4>).
fn text(value: &str) -> Option<String> {
    let (_, quoted) = value.trim_start().strip_prefix("299 ")?.split_once('"')?;
    let (mut text, mut characters) = (String::new(), quoted.chars());
    loop {
        match characters.next()? {
            '"' => break,
            '\\' => text.push(characters.next()?),
            character => text.push(character),
        }
    }
    Some(clean(&text)).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
