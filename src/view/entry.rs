//! A difference as a tree of lines, for every renderer to draw.

use super::scrub::scrub;

/// What happens to the thing that a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It comes: `+`
    Added,
    /// It goes: `-`
    Removed,
    /// Something in it changes: `~`
    Changed,
    /// It stays, or is said beside the matter.
    Same,
}

impl Mark {
    /// The sign: never the colour alone.
    pub(crate) fn sign(self) -> char {
        match self {
            Self::Added => '+',
            Self::Removed => '-',
            Self::Changed => '~',
            Self::Same => ' ',
        }
    }
}

/// The text of one line; all strings are scrubbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Text {
    /// Words of ours over the lines below.
    Heading(String),
    /// The name of a field; its parts are below.
    Name(String),
    /// An item of a set, or a line of a text.
    Item(String),
    /// `name: value`
    Pair(String, String),
    /// `name: before -> after`
    Change(String, String, String),
    /// What is not shown: `2 statements unchanged`
    Folded(String),
}

/// One line, and those below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub mark: Mark,
    pub text: Text,
    pub children: Vec<Entry>,
}

impl Entry {
    pub(crate) fn heading(mark: Mark, words: &str, children: Vec<Self>) -> Self {
        Self { mark, text: Text::Heading(words.to_owned()), children }
    }

    /// The words of a heading.
    pub(crate) fn words(&self) -> &str {
        match &self.text {
            Text::Heading(words) | Text::Folded(words) | Text::Name(words) | Text::Item(words) => words,
            Text::Pair(name, _) | Text::Change(name, ..) => name,
        }
    }

    pub(crate) fn name(mark: Mark, name: &str, children: Vec<Self>) -> Self {
        Self { mark, text: Text::Name(scrub(name).into_owned()), children }
    }

    pub(crate) fn item(mark: Mark, text: &str) -> Self {
        Self { mark, text: Text::Item(scrub(text).into_owned()), children: Vec::new() }
    }

    pub(crate) fn pair(mark: Mark, name: &str, value: &str) -> Self {
        let text = Text::Pair(scrub(name).into_owned(), scrub(value).into_owned());
        Self { mark, text, children: Vec::new() }
    }

    pub(crate) fn change(name: &str, before: &str, after: &str) -> Self {
        let scrubbed = |text: &str| scrub(text).into_owned();
        let text = Text::Change(scrubbed(name), scrubbed(before), scrubbed(after));
        Self { mark: Mark::Changed, text, children: Vec::new() }
    }

    pub(crate) fn folded(words: String) -> Self {
        Self { mark: Mark::Same, text: Text::Folded(words), children: Vec::new() }
    }

    /// The same line with `name.` in front of its name, in place of a line of its own for `name`.
    pub(crate) fn under(mut self, name: &str) -> Self {
        let joined = |own: &str| format!("{}.{own}", scrub(name));
        match &mut self.text {
            Text::Name(own) | Text::Pair(own, _) | Text::Change(own, ..) => *own = joined(own),
            Text::Heading(_) | Text::Item(_) | Text::Folded(_) => return Self::single(self.mark, name, self),
        }
        self
    }

    fn single(mark: Mark, name: &str, child: Self) -> Self {
        Self::name(mark, name, vec![child])
    }
}
