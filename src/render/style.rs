//! `Style` and `Ink`: colour and width of text on a terminal. `ui` chooses the style.
//!
//! Colour is never the only signal: without it, every sign and word is the same.

use anstyle::{AnsiColor, Color};

/// The style of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    color: bool,
    width: Option<usize>,
}

/// The role of a piece of text, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    Plain,
    Strong,
    Dim,
    Added,
    Removed,
    Changed,
    Adopted,
    Refused,
    Warning,
    Note,
}

impl Style {
    /// No colours, and no line breaks.
    pub const fn plain() -> Self {
        Self { color: false, width: None }
    }

    /// Colours, and no line breaks.
    pub const fn colored() -> Self {
        Self { color: true, width: None }
    }

    /// The same for a terminal with this many columns. None breaks no lines.
    #[must_use]
    pub const fn with_width(self, width: Option<usize>) -> Self {
        Self { width, ..self }
    }

    /// Whether the style has colours.
    pub const fn has_color(&self) -> bool {
        self.color
    }

    pub(crate) fn width(&self) -> Option<usize> {
        self.width
    }

    /// The text in its colour. The text must be scrubbed.
    pub(crate) fn paint(&self, ink: Ink, text: &str) -> String {
        if !self.color || ink == Ink::Plain || text.is_empty() {
            return text.to_owned();
        }
        let style = ink.style();
        format!("{style}{text}{style:#}")
    }
}

impl Ink {
    fn style(self) -> anstyle::Style {
        let plain = anstyle::Style::new();
        let color = |color: AnsiColor| plain.fg_color(Some(Color::Ansi(color)));
        match self {
            Self::Plain => plain,
            Self::Strong => plain.bold(),
            Self::Dim => plain.dimmed(),
            Self::Added => color(AnsiColor::Green),
            Self::Removed => color(AnsiColor::Red),
            Self::Changed => color(AnsiColor::Yellow),
            Self::Adopted => color(AnsiColor::Magenta),
            Self::Refused => color(AnsiColor::Red).bold(),
            Self::Warning => color(AnsiColor::Yellow).bold(),
            Self::Note => color(AnsiColor::Cyan),
        }
    }
}

#[cfg(test)]
mod tests;
