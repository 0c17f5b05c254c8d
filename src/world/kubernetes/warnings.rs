//! What API servers warn of: deprecated versions, policies in warning mode, …
//! (<https://kubernetes.io/docs/reference/using-api/#warnings>). Each is told once.

use super::failure::clean;
use crate::ids::Key;
use http::header::{HeaderMap, WARNING};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// So many are kept: a server that warns of each object in other words is heard no further.
const MOST: usize = 50;

/// The warnings of a run.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Mutex<Heard>);

#[derive(Debug, Default)]
struct Heard {
    all: BTreeSet<String>,
    untold: Vec<String>,
}

impl Warnings {
    /// Takes what an answer of a cluster warns of.
    pub(crate) fn hear(&self, cluster: &Key, headers: &HeaderMap) {
        let texts = headers.get_all(WARNING).iter().filter_map(|value| text(value.to_str().ok()?));
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for text in texts {
            let told = format!("cluster `{cluster}`: {text}");
            if heard.all.len() < MOST && heard.all.insert(told.clone()) {
                heard.untold.push(told);
            }
        }
    }

    /// What was not told yet.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).untold)
    }
}

/// The text of `299 - "…"`, in which quotes and backslashes are escaped.
fn text(value: &str) -> Option<String> {
    let rest = value.trim_start().strip_prefix("299 ")?;
    let (_, quoted) = rest.split_once('"')?;
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
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_told_once_and_in_its_own_words() {
        let warnings = Warnings::default();
        let mut headers = HeaderMap::new();
        for value in [
            r#"299 - "v1 is \"old\"" "Wed, 21 Oct 2015 07:28:00 GMT""#,
            r#"299 kube "v1 is \"old\"""#,
            r#"199 - "something else""#,
            r#"299 - "unfinished"#,
            r#"299 - """#,
            "nonsense",
        ] {
            headers.append(WARNING, value.parse().unwrap());
        }
        let cluster = Key::parse("prod").unwrap();
        warnings.hear(&cluster, &headers);
        assert_eq!(warnings.take(), [r#"cluster `prod`: v1 is "old""#]);
        warnings.hear(&cluster, &headers);
        assert!(warnings.take().is_empty());
        for number in 0..200 {
            let mut headers = HeaderMap::new();
            headers.append(WARNING, format!("299 - \"{number}\"").parse().unwrap());
            warnings.hear(&cluster, &headers);
        }
        assert_eq!(warnings.take().len(), MOST - 1);
    }
}
