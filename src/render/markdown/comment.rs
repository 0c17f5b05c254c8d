//! `Comment`: fits blocks of text into GitHub's limit of 65,536 characters for a comment.
//!
//! Each block has forms of different lengths. A block that does not fit in full is shown in short, listed, or counted.
//! Blocks with a lower weight are placed first.

use crate::view::count;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The largest size of a comment, in bytes.
const LIMIT: usize = 60_000;
/// The part of it for titles and for the sentence about what is left out.
const RESERVE: usize = 1_200;

/// The section of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Section {
    Change,
    Failure,
    Step,
    Refused,
    Unread,
    Note,
    Waiting,
}

impl Section {
    fn title(self) -> Option<&'static str> {
        match self {
            Self::Change | Self::Failure | Self::Step => None,
            Self::Refused => Some("Refused"),
            Self::Unread => Some("Not read"),
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
            Self::Unread => ("unread object", "unread objects"),
            Self::Note => ("note", "notes"),
            Self::Waiting => ("waiting object", "waiting objects"),
        };
        count(number, one, many)
    }
}

/// A part of a comment that is shown in one of several forms.
pub(super) struct Block {
    pub section: Section,
    /// Blocks with a lower weight are placed first.
    pub weight: usize,
    /// From the shortest to the longest.
    pub forms: Vec<String>,
    /// Whether the shortest form is a line of the list at the end.
    pub listed: bool,
}

/// A head, which is always shown, and the blocks below it.
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

    /// The form in which each block is shown. All blocks get their shortest form before any gets the next one, and so on. At
    /// first the shortest forms get only half of the room: the other half is for longer forms of the first blocks.
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
                // a form may be shorter than the one before it
                let now = chosen[index].map_or(0, |form| forms[form].len());
                let Some(text) = forms.get(form).filter(|text| text.len() + kept <= room + now) else { continue };
                room = room + now - text.len();
                chosen[index] = Some(form);
            }
        }
        chosen
    }

    /// The text: the head, the blocks in their order, the list, the counts of blocks that are left out.
    pub(super) fn finish(self) -> String {
        let chosen = self.chosen();
        let Self { head, blocks } = self;
        let mut text = head;
        let (mut last, mut listed) = (None, Vec::new());
        let mut left: BTreeMap<Section, usize> = BTreeMap::new();
        for (block, form) in blocks.iter().zip(chosen) {
            let Block { section, weight, forms, listed: may_be_listed } = block;
            match form {
                None => *left.entry(*section).or_default() += 1,
                Some(0) if *may_be_listed => listed.push((weight, &forms[0])),
                Some(form) => {
                    if let Some(title) = section.title().filter(|_| last != Some(*section)) {
                        let _ = writeln!(text, "\n**{title}**\n");
                    }
                    last = Some(*section);
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
            let left: Vec<String> = left.into_iter().map(|(section, number)| section.counted(number)).collect();
            let _ = writeln!(text, "\n_Left out, because a comment has a size limit: {}._", left.join(", "));
        }
        text
    }
}

#[cfg(test)]
mod tests;
