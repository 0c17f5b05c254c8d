//! The pages behind `irsa explain`: what a rule, a note, a refusal or an exit code means, and what to do.
//!
//! The documentation is their only source: the sections of `docs/lint-rules.md`, and the sections and tables of
//! `docs/troubleshooting.md`. The same texts are the help of SARIF rules.

use std::sync::LazyLock;

const RULES: &str = include_str!("../docs/lint-rules.md");
const TROUBLESHOOTING: &str = include_str!("../docs/troubleshooting.md");

/// What a page is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// A lint rule, such as `IRSA004`.
    Rule,
    /// A note of a plan, such as `foreign-trust`.
    Note,
    /// A reason to refuse an object, such as `no-owner`.
    Refusal,
    /// An exit code, such as `exit-4`.
    ExitCode,
}

impl Page {
    /// The text without the head of a rule's section, which repeats severity and title.
    pub fn body(&self) -> &str {
        let head = self.text.strip_prefix("**").and_then(|rest| rest.split_once("** "));
        head.filter(|_| self.topic == Topic::Rule).map_or(&self.text, |(_, body)| body)
    }
}

impl Topic {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Note => "note",
            Self::Refusal => "refusal",
            Self::ExitCode => "exit-code",
        }
    }
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The word that `irsa explain` takes.
    pub word: String,
    /// Its kind.
    pub topic: Topic,
    /// A few words; of a refusal, its message with `…` for what differs.
    pub title: String,
    /// The severity of a rule or note; empty for other topics.
    pub severity: String,
    /// Markdown. Links are relative to the folder `docs/`.
    pub text: String,
    /// The section, relative to the repository: `docs/lint-rules.md#irsa004`.
    pub url: String,
}

/// All pages, by topic, in the order of the documentation.
static PAGES: LazyLock<Vec<Page>> = LazyLock::new(|| {
    let mut pages: Vec<Page> = rules().chain(notes()).chain(refusals()).chain(exit_codes()).collect();
    pages.sort_by_key(|page| page.topic);
    pages
});

/// All pages.
pub fn pages() -> &'static [Page] {
    &PAGES
}

/// The page of a word, in any case.
pub fn page(word: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.word.eq_ignore_ascii_case(word))
}

/// The sections of a page, each with its heading: `## heading`.
fn sections(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.split("\n## ").skip(1).filter_map(|section| {
        let (heading, text) = section.split_once('\n')?;
        Some((heading, text.trim()))
    })
}

/// The cells of each row of the tables in a text, without the heads.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let is_row = |line: &&str| line.starts_with("| `");
    text.lines().filter(is_row).map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
}

fn unquoted(cell: &str) -> String {
    cell.trim_matches('`').to_owned()
}

/// `**critical: condition on another issuer.** A condition …`
fn rules() -> impl Iterator<Item = Page> {
    sections(RULES).filter(|(heading, _)| heading.starts_with("IRSA")).map(|(id, text)| {
        let head = text.strip_prefix("**").and_then(|rest| rest.split_once("**")).map_or("", |(head, _)| head);
        let (severity, title) = head.trim_end_matches('.').split_once(": ").unwrap_or_default();
        Page {
            word: id.to_owned(),
            topic: Topic::Rule,
            title: title.to_owned(),
            severity: severity.to_owned(),
            text: text.to_owned(),
            url: format!("docs/lint-rules.md#{}", id.to_lowercase()),
        }
    })
}

fn troubleshooting(heading: &str) -> &'static str {
    sections(TROUBLESHOOTING).find(|(found, _)| *found == heading).map_or("", |(_, text)| text)
}

fn notes() -> impl Iterator<Item = Page> {
    rows(troubleshooting("Notes")).filter_map(|cells| {
        let [word, severity, text] = cells[..] else { return None };
        Some(Page {
            word: unquoted(word),
            topic: Topic::Note,
            title: first_sentence(text),
            severity: severity.to_owned(),
            text: text.to_owned(),
            url: "docs/troubleshooting.md#notes".to_owned(),
        })
    })
}

/// The text without links, up to the first full stop or colon before a space.
fn first_sentence(text: &str) -> String {
    let text = without_links(text);
    let end = [". ", ": "].into_iter().filter_map(|end| text.find(end)).min().unwrap_or(text.len());
    text[..end].trim_end_matches('.').to_owned()
}

fn refusals() -> impl Iterator<Item = Page> {
    rows(troubleshooting("Exit 4: refused")).filter_map(|cells| {
        let [message, text, word] = cells[..] else { return None };
        Some(Page {
            word: unquoted(word),
            topic: Topic::Refusal,
            title: unquoted(message),
            severity: String::new(),
            text: text.to_owned(),
            url: "docs/troubleshooting.md#exit-4-refused".to_owned(),
        })
    })
}

/// `Exit 4: refused` and `Exit 130 and 143: interrupted`.
fn exit_codes() -> impl Iterator<Item = Page> {
    let found = sections(TROUBLESHOOTING).filter_map(|(heading, text)| {
        let (codes, title) = heading.strip_prefix("Exit ")?.split_once(": ")?;
        Some((heading.to_lowercase().replace(' ', "-").replace(':', ""), codes, title, text))
    });
    found.flat_map(|(slug, codes, title, text)| {
        codes.split(" and ").map(move |code| Page {
            word: format!("exit-{code}"),
            topic: Topic::ExitCode,
            title: title.to_owned(),
            severity: String::new(),
            text: text.to_owned(),
            url: format!("docs/troubleshooting.md#{slug}"),
        })
    })
}

/// Markdown for a terminal: a link becomes its text and, if it leads to another page, the page's path.
pub fn without_links(markdown: &str) -> String {
    let (mut text, mut rest) = (String::with_capacity(markdown.len()), markdown);
    while let Some((before, after)) = rest.split_once("](") {
        let (Some(start), Some((target, behind))) = (opening(before), after.split_once(')')) else {
            text.push_str(before);
            text.push_str("](");
            rest = after;
            continue;
        };
        text.push_str(&before[..start]);
        text.push_str(&before[start + 1..]);
        let page = target.split('#').next().unwrap_or_default();
        if target.starts_with("http") {
            text.extend([" (", target, ")"]);
        } else if !page.is_empty() {
            text.extend([" (docs/", target, ")"]);
        }
        rest = behind;
    }
    text.push_str(rest);
    text
}

/// The bracket that opens the text of a link, which may have brackets of its own: `[guard]` of "[`[guard]`](…)".
fn opening(before: &str) -> Option<usize> {
    let mut inner = 0;
    before.char_indices().rev().find_map(|(at, character)| {
        match character {
            ']' => inner += 1,
            '[' if inner == 0 => return Some(at),
            '[' => inner -= 1,
            _ => {}
        }
        None
    })
}

#[cfg(test)]
mod tests;
