//! Chooses colour, width and progress from the flags, the terminal and the environment.

use super::ColorChoice;
use crate::context::Context;
use crate::render::Style;
use std::ops::RangeInclusive;

/// The widths for which irsa wraps text. Longer lines are hard to read, and a narrower terminal wraps lines itself.
const WIDTHS: RangeInclusive<usize> = 60..=160;
/// The width of a terminal that does not tell its own.
const DEFAULT_WIDTH: usize = 100;

/// The style of a stream. `columns` is the width of the terminal, if known. Only lines on a terminal are wrapped.
pub(super) fn style(color: ColorChoice, columns: Option<usize>, is_terminal: bool, context: &Context) -> Style {
    let style = if has_color(color, is_terminal, context) { Style::colored() } else { Style::plain() };
    let columns = context.variable("COLUMNS").and_then(|text| text.parse().ok()).or(columns);
    let width = columns.unwrap_or(DEFAULT_WIDTH).clamp(*WIDTHS.start(), *WIDTHS.end());
    style.with_width(is_terminal.then_some(width))
}

/// Follows <https://no-color.org> and <https://bixense.com/clicolors/>.
fn has_color(color: ColorChoice, is_terminal: bool, context: &Context) -> bool {
    let is = |name: &str, value: &str| context.variable(name) == Some(value);
    let set = |name: &str| context.variable(name).is_some();
    match color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto if set("NO_COLOR") => false,
        ColorChoice::Auto if set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0") => true,
        ColorChoice::Auto if is("CLICOLOR", "0") || is("TERM", "dumb") => false,
        ColorChoice::Auto => is_terminal && (cfg!(windows) || set("TERM") || set("CLICOLOR")),
    }
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProgressMode {
    None,
    Bar,
    Lines,
}

/// A bar on a terminal, lines in a CI job, else nothing: cron mails every line.
pub(super) fn progress(is_hidden: bool, is_terminal: bool, context: &Context) -> ProgressMode {
    let is_ci = context.variable("CI").is_some_and(|value| value != "false" && value != "0");
    if is_hidden {
        ProgressMode::None
    } else if is_terminal && context.variable("TERM") != Some("dumb") {
        ProgressMode::Bar
    } else if is_ci {
        ProgressMode::Lines
    } else {
        ProgressMode::None
    }
}

#[cfg(test)]
mod tests;
