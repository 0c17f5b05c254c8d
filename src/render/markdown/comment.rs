//! A comment in the making: GitHub takes 65,536 characters, so that what cannot be shown in full is shown in short, and
//! what cannot be shown in short is listed or counted. The weighty is chosen first.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The size of a comment, in bytes.
const LIMIT: usize = 60_000;
/// What titles and the sentence about what is left out may take of it.
const RESERVE: usize = 1_200;

/// What a block tells of, and so where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Change,
    Failure,
    Step,
    Refused,
    Unknown,
    Note,
    Waiting,
}

impl Kind {
    fn title(self) -> Option<&'static str> {
        match self {
            Self::Change | Self::Failure | Self::Step => None,
            Self::Refused => Some("Refused"),
            Self::Unknown => Some("Not seen"),
            Self::Note => Some("Notes"),
            Self::Waiting => Some("Waiting"),
        }
    }

    fn counted(self, number: usize) -> String {
        let (one, many) = match self {
            Self::Change => ("change", "changes"),
            Self::Failure => ("failure", "failures"),
            Self::Step => ("step", "steps"),
            Self::Refused => ("refusal", "refusals"),
            Self::Unknown => ("unseen object", "unseen objects"),
            Self::Note => ("note", "notes"),
            Self::Waiting => ("waiting object", "waiting objects"),
        };
        format!("{number} {}", if number == 1 { one } else { many })
    }
}

/// Something that is told.
pub(super) struct Block {
    pub kind: Kind,
    /// Which are shown, and shown in full, when not all can be: the lower, the sooner.
    pub weight: usize,
    /// How it may be shown, from the shortest to the longest.
    pub forms: Vec<String>,
    /// Whether the shortest form is a line of the list of what is not shown.
    pub listed: bool,
}

/// A comment in the making.
pub(super) struct Comment {
    head: String,
    blocks: Vec<Block>,
}

impl Comment {
    pub(super) fn new(head: String) -> Self {
        Self { head, blocks: Vec::new() }
    }

    pub(super) fn push(&mut self, block: Block) {
        self.blocks.push(block);
    }

    /// Which form of each block is shown. All get their shortest before any gets a longer one, and so on; but half of the
    /// room is kept from the shortest, so that of very many the weighty are shown and the others are counted.
    fn chosen(&self) -> Vec<Option<usize>> {
        let mut room = LIMIT.saturating_sub(self.head.len() + RESERVE);
        let mut order: Vec<usize> = (0..self.blocks.len()).collect();
        order.sort_by_key(|index| self.blocks[*index].weight);
        let mut chosen: Vec<Option<usize>> = vec![None; self.blocks.len()];
        let longest = self.blocks.iter().map(|block| block.forms.len()).max().unwrap_or(0);
        let half = room / 2;
        for (form, kept) in std::iter::once((0, half)).chain((1..longest).map(|form| (form, 0))).chain([(0, 0)]) {
            for &index in &order {
                let forms = &self.blocks[index].forms;
                if chosen[index].is_some_and(|now| now >= form) || (form > 0 && chosen[index].is_none()) {
                    continue;
                }
                // in its order a form need not be longer than the one before it
                let now = chosen[index].map_or(0, |form| forms[form].len());
                let Some(text) = forms.get(form).filter(|text| text.len() + kept <= room + now) else { continue };
                room = room + now - text.len();
                chosen[index] = Some(form);
            }
        }
        chosen
    }

    /// The head, the blocks in their order, then the list of what is not shown.
    pub(super) fn finish(self) -> String {
        let chosen = self.chosen();
        let Self { head, blocks } = self;
        let mut text = head;
        let (mut last, mut listed) = (None, Vec::new());
        let mut left: BTreeMap<Kind, usize> = BTreeMap::new();
        for (block, form) in blocks.iter().zip(chosen) {
            let Block { kind, weight, forms, listed: may_be_listed } = block;
            match form {
                None => *left.entry(*kind).or_default() += 1,
                Some(0) if *may_be_listed => listed.push((weight, &forms[0])),
                Some(form) => {
                    if let Some(title) = kind.title().filter(|_| last != Some(*kind)) {
                        let _ = writeln!(text, "\n**{title}**\n");
                    }
                    last = Some(*kind);
                    text.push_str(&forms[form]);
                }
            }
        }
        if !listed.is_empty() {
            listed.sort_by_key(|(weight, _)| **weight);
            let _ = writeln!(text, "\n**Too much for a comment; the riskiest first**\n");
            text.extend(listed.into_iter().map(|(_, line)| line.as_str()));
        }
        if !left.is_empty() {
            let left: Vec<String> = left.into_iter().map(|(kind, number)| kind.counted(number)).collect();
            let _ = writeln!(text, "\n_Left out, for a comment may be only so long: {}._", left.join(", "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(kind: Kind, weight: usize, sizes: &[usize]) -> Block {
        let forms = sizes.iter().enumerate().map(|(form, size)| format!("{form}{}\n", "x".repeat(*size)));
        Block { kind, weight, forms: forms.collect(), listed: kind == Kind::Change }
    }

    fn chosen(blocks: Vec<Block>) -> Vec<Option<usize>> {
        let comment = Comment { head: String::new(), blocks };
        let chosen = comment.chosen();
        assert!(comment.finish().len() <= LIMIT);
        chosen
    }

    #[test]
    fn all_are_shown_in_short_before_one_is_in_full() {
        let three = |first: &[usize]| {
            let rest = [block(Kind::Change, 2, &[10, 100, 1_000]), block(Kind::Change, 1, &[10, 100, 1_000])];
            chosen([block(Kind::Change, 3, first)].into_iter().chain(rest).collect())
        };
        assert_eq!(three(&[10, 100, 1_000]), [Some(2); 3]);
        assert_eq!(three(&[10, 100, 70_000]), [Some(1), Some(2), Some(2)]);
        assert_eq!(three(&[10, 70_000, 1_000]), [Some(2), Some(2), Some(2)], "a later form may be shorter");
        assert_eq!(three(&[70_000, 80_000]), [None, Some(2), Some(2)]);
        assert_eq!(three(&[40_000, 41_000]), [Some(0), Some(2), Some(2)], "what is left goes to those who had none");
    }

    #[test]
    fn the_weighty_is_chosen_first() {
        let half = LIMIT / 2;
        let two = |one: usize, other: usize| {
            chosen(vec![block(Kind::Change, one, &[10, half]), block(Kind::Note, other, &[10, half])])
        };
        assert_eq!(two(1, 2), [Some(1), Some(0)]);
        assert_eq!(two(2, 1), [Some(0), Some(1)]);
    }

    #[test]
    fn what_is_not_shown_is_listed_or_counted() {
        let mut comment = Comment::new("head\n".into());
        for index in 0..30_000 {
            comment.push(block(Kind::Change, 30_000 - index, &[40, 400]));
        }
        comment.push(block(Kind::Refused, 0, &[10, 20]));
        let text = comment.finish();
        assert!(text.len() <= LIMIT);
        let lines = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
        let (listed, shown) = (lines("0xx"), lines("1xx") - 1);
        assert!(listed > 500 && shown > 50, "{listed} {shown}");
        let left = 30_000 - listed - shown;
        assert!(text.contains(&format!("Left out, for a comment may be only so long: {left} changes.")), "{left}");
        assert!(text.contains("**Refused**\n\n1xxxx"));
    }
}
