//! Text patterns in policies: whether one pattern covers another, and whether two have a text in common.
//!
//! `*` matches any text and `?` any one character
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>). A policy variable
//! such as `${aws:PrincipalTag/team}` stands for an unknown text of any length: only a `*` or the same variable covers
//! it. `${*}`, `${?}` and `${$}` stand for the characters themselves
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>). Case counts: where AWS
//! ignores it, the caller lower-cases both texts first.

/// What `${…}` means in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// Plain text, as in actions and in documents of version 2008-10-17.
    Literal,
    /// A policy variable.
    Variables,
}

/// More states than any ordinary pattern needs. Beyond it the answer is that nothing is covered.
const MAX_STATES: usize = 4096;

/// Whether `pattern` matches every text that `other` matches. False if that is too costly to find out.
pub(crate) fn covers(pattern: &str, other: &str) -> bool {
    together_cover(&[pattern], other)
}

/// Whether each text that `other` matches is matched by at least one of `patterns`. False if that is too costly to find
/// out.
pub(crate) fn together_cover<T: AsRef<str>>(patterns: &[T], other: &str) -> bool {
    if patterns.iter().any(|pattern| pattern.as_ref() == other) {
        return true;
    }
    let pieces_of_all = patterns.iter().map(|pattern| pieces(pattern.as_ref(), Syntax::Variables));
    Automaton::new(pieces_of_all).covers(&pieces(other, Syntax::Variables))
}

/// `covers` for texts of documents whose versions may differ.
pub(crate) fn covers_as(pattern: &str, syntax: Syntax, other: &str, other_syntax: Syntax) -> bool {
    if !pattern.contains(['*', '?', '$']) {
        return pattern == other;
    }
    pattern == "*" || Automaton::new([pieces(pattern, syntax)]).covers(&pieces(other, other_syntax))
}

/// Whether the resource pattern `pattern` covers `other`. The six parts of the ARNs are compared one by one, because
/// AWS does not say whether a `*` reaches beyond its part, except for `*` alone
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>).
pub(crate) fn arn_covers(pattern: &str, syntax: Syntax, other: &str, other_syntax: Syntax) -> bool {
    if pattern == "*" || (pattern == other && syntax == other_syntax) {
        return true;
    }
    let (parts, others) = (arn_parts_as(pattern, syntax), arn_parts_as(other, other_syntax));
    parts.len() == 6
        && others.len() == 6
        && parts.iter().zip(others).all(|(part, other)| covers_as(part, syntax, other, other_syntax))
}

/// The parts of an ARN, at most six. A colon inside a policy variable does not separate parts.
pub(crate) fn arn_parts(arn: &str) -> Vec<&str> {
    arn_parts_as(arn, Syntax::Variables)
}

fn arn_parts_as(arn: &str, syntax: Syntax) -> Vec<&str> {
    let (mut parts, mut start, mut in_variable) = (Vec::with_capacity(6), 0, false);
    for (at, c) in arn.char_indices() {
        match c {
            '{' if syntax == Syntax::Variables => in_variable |= arn[..at].ends_with('$') && arn[at..].contains('}'),
            '}' => in_variable = false,
            ':' if !in_variable && parts.len() < 5 => {
                parts.push(&arn[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&arn[start..]);
    parts
}

/// Whether `pattern` matches the whole of `text`. `${…}` is plain text. Faster than `covers`.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t, mut retry) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                retry = Some((p, t));
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((after, from)) = retry else { return false };
                (p, t) = (after, from + 1);
                retry = Some((after, t));
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// Whether some text matches both patterns. A variable may turn out to be any text.
pub(crate) fn overlap(one: &str, other: &str) -> bool {
    overlap_as(one, Syntax::Variables, other, Syntax::Variables)
}

/// `overlap` for texts of documents whose versions may differ.
pub(crate) fn overlap_as(one: &str, syntax: Syntax, other: &str, other_syntax: Syntax) -> bool {
    let (one, other) = (pieces(one, syntax), pieces(other, other_syntax));
    let is_free = |piece: Option<&Piece<'_>>| matches!(piece, Some(Piece::Any | Piece::Variable(_)));
    // pairs of positions that some text reaches in both patterns
    let mut seen = vec![false; (one.len() + 1) * (other.len() + 1)];
    let mut open = vec![(0, 0)];
    while let Some((i, j)) = open.pop() {
        if i == one.len() && j == other.len() {
            return true;
        }
        let slot = &mut seen[i * (other.len() + 1) + j];
        if std::mem::replace(slot, true) {
            continue;
        }
        let (here, there) = (one.get(i), other.get(j));
        if is_free(here) {
            open.push((i + 1, j));
        }
        if is_free(there) {
            open.push((i, j + 1));
        }
        // one character that both take; a free piece stays where it is
        let (one_step, other_step) = (usize::from(!is_free(here)), usize::from(!is_free(there)));
        let agree = match (here, there) {
            (Some(Piece::Is(a)), Some(Piece::Is(b))) => a == b,
            (Some(_), Some(_)) => one_step + other_step > 0,
            _ => false,
        };
        if agree {
            open.push((i + one_step, j + other_step));
        }
    }
    false
}

/// Whether a text has a wildcard that is neither escaped as `${*}` nor inside a variable.
pub(crate) fn is_wild(text: &str) -> bool {
    text.contains(['*', '?'])
        && pieces(text, Syntax::Variables).iter().any(|piece| matches!(piece, Piece::Any | Piece::One))
}

/// The text before the first `*` or `?`.
pub(crate) fn fixed_prefix(pattern: &str) -> &str {
    pattern.split(['*', '?']).next().unwrap_or_default()
}

/// What stands between `${` and `}` of each variable in a text: its name, and its default value if it has one.
pub(crate) fn variables(text: &str) -> Vec<&str> {
    let name = |piece| if let Piece::Variable(name) = piece { Some(name) } else { None };
    pieces(text, Syntax::Variables).into_iter().filter_map(name).collect()
}

/// A pattern without variables that matches every text that `text` may stand for: `?` for an escaped character, `*` for
/// a variable.
pub(crate) fn without_variables(text: &str, syntax: Syntax) -> String {
    let plain = |piece| match piece {
        Piece::Is('*' | '?') | Piece::One => '?',
        Piece::Is(c) => c,
        Piece::Any | Piece::Variable(_) => '*',
    };
    pieces(text, syntax).into_iter().map(plain).collect()
}

/// A piece of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    Is(char),
    /// `?`. As an input symbol: a character that no pattern names.
    One,
    /// `*`
    Any,
    /// `${…}`
    Variable(&'a str),
}

fn pieces(text: &str, syntax: Syntax) -> Vec<Piece<'_>> {
    let mut pieces = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if syntax == Syntax::Variables
            && let Some(inside) = rest.strip_prefix("${")
            && let Some((name, after)) = inside.split_once('}')
        {
            rest = after;
            pieces.push(match name {
                "*" => Piece::Is('*'),
                "?" => Piece::Is('?'),
                "$" => Piece::Is('$'),
                name => Piece::Variable(name),
            });
            continue;
        }
        rest = &rest[c.len_utf8()..];
        pieces.push(match c {
            '*' => Piece::Any,
            '?' => Piece::One,
            c => Piece::Is(c),
        });
    }
    pieces
}

/// A node of the automaton.
#[derive(Debug, Clone, Copy)]
enum AutomatonNode<'a> {
    Piece(Piece<'a>),
    /// A `?` next to a `*`. A variable may be empty, so it does not pass the `?`; the `*` takes it.
    OneBesideAny,
    /// The end of a pattern.
    End,
}

/// A state: indices of nodes, sorted.
type State = Vec<usize>;

/// A nondeterministic automaton that accepts what any of several patterns matches.
struct Automaton<'a> {
    nodes: Vec<AutomatonNode<'a>>,
    starts: Vec<usize>,
}

impl<'a> Automaton<'a> {
    fn new(patterns: impl IntoIterator<Item = Vec<Piece<'a>>>) -> Self {
        let (mut nodes, mut starts) = (Vec::new(), Vec::new());
        for pieces in patterns {
            starts.push(nodes.len());
            let wild = |piece: &Piece<'_>| matches!(piece, Piece::One | Piece::Any);
            for run in pieces.chunk_by(|a, b| wild(a) && wild(b)) {
                // `*?*`, `?*` and `*?` mean the same: at least as many characters as the run has `?`
                if run.contains(&Piece::Any) {
                    nodes.extend(run.iter().filter(|piece| **piece == Piece::One).map(|_| AutomatonNode::OneBesideAny));
                    nodes.push(AutomatonNode::Piece(Piece::Any));
                } else {
                    nodes.extend(run.iter().map(|piece| AutomatonNode::Piece(*piece)));
                }
            }
            nodes.push(AutomatonNode::End);
        }
        Self { nodes, starts }
    }

    /// Whether it accepts every text that `other` matches.
    fn covers(&self, other: &[Piece<'_>]) -> bool {
        // for each position in `other`, the smallest states reached there: a larger state accepts more
        let mut seen: Vec<Vec<State>> = vec![Vec::new(); other.len() + 1];
        let mut open = vec![(0, self.start())];
        let mut states = 0;
        while let Some((position, state)) = open.pop() {
            let is_larger = |known: &State| known.iter().all(|node| state.binary_search(node).is_ok());
            if seen[position].iter().any(is_larger) {
                continue;
            }
            states += 1;
            if state.is_empty() || states > MAX_STATES {
                return false;
            }
            match other.get(position) {
                None if !self.accepts(&state) => return false,
                None => {}
                // a character that no pattern names stands for all: what accepts it accepts every other
                Some(Piece::Any) => {
                    open.push((position, self.step(&state, Piece::One)));
                    open.push((position + 1, state.clone()));
                }
                Some(piece) => open.push((position + 1, self.step(&state, *piece))),
            }
            seen[position].push(state);
        }
        true
    }

    fn start(&self) -> State {
        let mut state = State::new();
        self.starts.iter().for_each(|start| self.enter(&mut state, *start));
        state
    }

    /// Adds a node and those that follow without a symbol.
    fn enter(&self, state: &mut State, node: usize) {
        if let Err(at) = state.binary_search(&node) {
            state.insert(at, node);
        }
        if matches!(self.nodes[node], AutomatonNode::Piece(Piece::Any)) {
            self.enter(state, node + 1);
        }
    }

    fn step(&self, state: &State, symbol: Piece<'_>) -> State {
        let mut next = State::new();
        for node in state {
            let (stays, advances) = match (self.nodes[*node], symbol) {
                (AutomatonNode::Piece(Piece::Any), _) | (AutomatonNode::OneBesideAny, Piece::Variable(_)) => {
                    (true, false)
                }
                (AutomatonNode::OneBesideAny, _) => (false, true),
                (AutomatonNode::Piece(Piece::One), symbol) => (false, !matches!(symbol, Piece::Variable(_))),
                (AutomatonNode::Piece(piece), symbol) => (false, piece == symbol),
                (AutomatonNode::End, _) => (false, false),
            };
            if stays {
                self.enter(&mut next, *node);
            }
            if advances {
                self.enter(&mut next, *node + 1);
            }
        }
        next
    }

    fn accepts(&self, state: &State) -> bool {
        state.iter().any(|node| matches!(self.nodes[*node], AutomatonNode::End))
    }
}

#[cfg(test)]
mod tests;
