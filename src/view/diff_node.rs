//! `DiffNode`: one line of a diff and the lines below it. Every renderer draws this tree.

use crate::model::sanitize::scrub;
use serde_json::Value;

/// What happens to the thing on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// `+`
    Added,
    /// `-`
    Removed,
    /// `~`
    Changed,
    /// A space: unchanged, or a remark.
    Same,
}

impl Sign {
    /// For a value that is null where it does not exist.
    pub(crate) fn of(before: &Value, after: &Value) -> Self {
        match (before.is_null(), after.is_null()) {
            (true, true) => Self::Same,
            (true, false) => Self::Added,
            (false, true) => Self::Removed,
            (false, false) => Self::Changed,
        }
    }

    /// Every output has this character, with and without colour.
    pub(crate) fn character(self) -> char {
        match self {
            Self::Added => '+',
            Self::Removed => '-',
            Self::Changed => '~',
            Self::Same => ' ',
        }
    }
}

/// The text of one line. All strings are scrubbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NodeText {
    /// irsa's own words above the lines that they describe.
    Heading(String),
    /// The name of a field; its parts are the children.
    Name(String),
    /// An item of a set, or a line of a text.
    Item(String),
    /// `name: value`
    Pair(String, String),
    /// `name: before -> after`
    Change(String, String, String),
    /// A count of unchanged lines: `2 statements unchanged`
    Folded(String),
}

/// One line and the lines below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiffNode {
    pub sign: Sign,
    pub text: NodeText,
    pub children: Vec<Self>,
}

impl DiffNode {
    pub(crate) fn heading(sign: Sign, words: &str, children: Vec<Self>) -> Self {
        Self { sign, text: NodeText::Heading(words.to_owned()), children }
    }

    pub(crate) fn name(sign: Sign, name: &str, children: Vec<Self>) -> Self {
        Self { sign, text: NodeText::Name(scrub(name).into_owned()), children }
    }

    pub(crate) fn item(sign: Sign, text: &str) -> Self {
        Self { sign, text: NodeText::Item(scrub(text).into_owned()), children: Vec::new() }
    }

    pub(crate) fn pair(sign: Sign, name: &str, value: &str) -> Self {
        let text = NodeText::Pair(scrub(name).into_owned(), scrub(value).into_owned());
        Self { sign, text, children: Vec::new() }
    }

    pub(crate) fn change(name: &str, before: &str, after: &str) -> Self {
        let [name, before, after] = [name, before, after].map(|text| scrub(text).into_owned());
        Self { sign: Sign::Changed, text: NodeText::Change(name, before, after), children: Vec::new() }
    }

    pub(crate) fn folded(words: String) -> Self {
        Self { sign: Sign::Same, text: NodeText::Folded(words), children: Vec::new() }
    }

    /// The words of a heading or item; the name of a pair or change.
    pub(crate) fn words(&self) -> &str {
        match &self.text {
            NodeText::Heading(words) | NodeText::Name(words) | NodeText::Item(words) | NodeText::Folded(words) => words,
            NodeText::Pair(name, _) | NodeText::Change(name, ..) => name,
        }
    }

    /// Puts `name.` in front of the node's own name. An item or heading has no name: it becomes the child of a new node.
    pub(crate) fn under(mut self, name: &str) -> Self {
        match &mut self.text {
            NodeText::Name(own) | NodeText::Pair(own, _) | NodeText::Change(own, ..) => {
                *own = format!("{}.{own}", scrub(name));
                self
            }
            NodeText::Heading(_) | NodeText::Item(_) | NodeText::Folded(_) => Self::name(self.sign, name, vec![self]),
        }
    }
}
