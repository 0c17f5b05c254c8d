//! JUnit XML: a test suite for each ServiceAccount, and a test case for each link
//! (<https://github.com/testmoapp/junitxml>). A broken link is a failure, an unseen one an error.

use super::super::write_text;
use super::SummaryV1;
use crate::model::sanitize::scrub;
use crate::verify::{ChainLinks, Link, Status};
use std::fmt::Write as _;
use std::io::{self, Write};

/// Writes JUnit XML.
///
/// # Errors
/// If `out` does not take all bytes.
pub fn junit(chains: &[ChainLinks], out: &mut dyn Write) -> io::Result<()> {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let SummaryV1 { service_accounts, .. } = SummaryV1::of(chains);
    open(&mut text, "testsuites", &format!("irsa verify ({service_accounts})"), chains);
    for chain in chains {
        text.push_str("  ");
        open(&mut text, "testsuite", &chain.address, std::slice::from_ref(chain));
        for link in &chain.links {
            case(&mut text, &chain.address, link);
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    write_text(&text, out)
}

fn open(text: &mut String, element: &str, name: &str, chains: &[ChainLinks]) {
    let links: Vec<&Link> = chains.iter().flat_map(|chain| &chain.links).collect();
    let count = |status: Status| links.iter().filter(|link| link.status == status).count();
    let [skipped, errors, failures] = [Status::NotApplicable, Status::Unknown, Status::Failed].map(count);
    let (name, tests) = (escaped(name), links.len());
    // a string takes everything
    let _ = write!(text, "<{element} name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"");
    // only a suite may have this attribute
    if element == "testsuite" {
        let _ = write!(text, " skipped=\"{skipped}\"");
    }
    text.push_str(">\n");
}

fn case(text: &mut String, address: &str, link: &Link) {
    let (class, name, message) = (escaped(address), link.kind.word(), escaped(&link.text));
    let _ = write!(text, "    <testcase classname=\"{class}\" name=\"{name}\"");
    let element = match link.status {
        Status::Ok => return text.push_str("/>\n"),
        Status::NotApplicable => {
            let _ = writeln!(text, "><skipped message=\"{message}\"/></testcase>");
            return;
        }
        Status::Unknown => "error",
        Status::Failed => "failure",
    };
    let hints: Vec<String> = link.hints.iter().map(|hint| escaped(hint)).collect();
    let hints = hints.join("\n");
    let _ = writeln!(text, "><{element} message=\"{message}\" type=\"{name}\">{hints}</{element}></testcase>");
}

/// XML text and attribute values, without what XML does not allow at all
/// (<https://www.w3.org/TR/xml/#charsets>): `scrub` has no control characters.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in scrub(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => {}
            other => out.push(other),
        }
    }
    out
}
