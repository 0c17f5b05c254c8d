//! Which patterns of a policy cover which: `*` is any text, `?` is exactly one character
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>).
//!
//! A policy variable such as `${aws:PrincipalTag/team}` is opaque: an unknown text of any length, which only a `*` or the
//! very same variable covers. `${*}`, `${?}` and `${$}` are the characters themselves
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>). Case counts; fold the texts
//! first where it does not.

/// More sets of positions than any honest pattern needs; past it the answer is "no".
const LIMIT: usize = 4096;

/// Whether `pattern` matches everything that `other` matches. In doubt (patterns made to be costly) it says no.
pub(crate) fn covers(pattern: &str, other: &str) -> bool {
    together_cover(&[pattern], other)
}

/// Whether each text that `other` matches is matched by at least one of `patterns`. In doubt it says no.
pub(crate) fn together_cover<T: AsRef<str>>(patterns: &[T], other: &str) -> bool {
    if patterns.iter().any(|pattern| pattern.as_ref() == other) {
        return true;
    }
    let machine = Machine::of(patterns);
    let other = pieces(other);
    // for each place in `other`, the smallest sets of positions that were reached: a larger one accepts more
    let mut seen: Vec<Vec<Set>> = vec![Vec::new(); other.len() + 1];
    let mut open = vec![(0, machine.start())];
    let mut made = 0;
    while let Some((place, set)) = open.pop() {
        if seen[place].iter().any(|known| known.within(&set)) {
            continue;
        }
        made += 1;
        if set.is_empty() || made > LIMIT {
            return false;
        }
        match other.get(place) {
            None if !machine.accepts(&set) => return false,
            None => {}
            // characters that stand in no pattern: what matches them matches all others
            Some(Piece::Any) => {
                open.push((place, machine.step(&set, Piece::One)));
                open.push((place + 1, set.clone()));
            }
            Some(piece) => open.push((place + 1, machine.step(&set, *piece))),
        }
        seen[place].push(set);
    }
    true
}

/// Whether the whole of a text matches. Letters alone, without variables, as in the names of actions; faster than `covers`.
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

/// Whether some text is matched by both patterns. A variable may turn out to be any text.
pub(crate) fn meets(one: &str, other: &str) -> bool {
    let (one, other) = (pieces(one), pieces(other));
    let free = |piece: Option<&Piece<'_>>| matches!(piece, Some(Piece::Any | Piece::Variable(_)));
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
        if free(here) {
            open.push((i + 1, j));
        }
        if free(there) {
            open.push((i, j + 1));
        }
        // one character that both take
        let (one_step, other_step) = (usize::from(!free(here)), usize::from(!free(there)));
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

/// Whether a text has a wildcard: one that is not escaped as `${*}` or part of a variable's name.
pub(crate) fn is_wild(text: &str) -> bool {
    text.contains(['*', '?']) && pieces(text).iter().any(|piece| matches!(piece, Piece::Any | Piece::One))
}

/// The names of the variables in a text, with their default values.
pub(crate) fn variables(text: &str) -> Vec<&str> {
    let name = |piece| if let Piece::Variable(name) = piece { Some(name) } else { None };
    pieces(text).into_iter().filter_map(name).collect()
}

/// A piece of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    Is(char),
    /// `?`; as a symbol, a character that stands in no pattern.
    One,
    /// `*`
    Any,
    /// `${…}`
    Variable(&'a str),
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(inside) = rest.strip_prefix("${")
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

/// What stands at a position of the patterns.
#[derive(Debug, Clone, Copy)]
enum Node<'a> {
    Piece(Piece<'a>),
    /// A `?` beside a `*`: a variable, which may be empty, is taken by the `*` wherever that stands.
    OneBesideAny,
    /// The end of a pattern.
    End,
}

/// The patterns as one automaton.
struct Machine<'a> {
    nodes: Vec<Node<'a>>,
    starts: Vec<usize>,
}

impl<'a> Machine<'a> {
    fn of<T: AsRef<str>>(patterns: &'a [T]) -> Self {
        let (mut nodes, mut starts) = (Vec::new(), Vec::new());
        for pattern in patterns {
            starts.push(nodes.len());
            let pieces = pieces(pattern.as_ref());
            let wild = |piece: &Piece<'_>| matches!(piece, Piece::One | Piece::Any);
            for run in pieces.chunk_by(|a, b| wild(a) && wild(b)) {
                // `*?*`, `?*` and `*?` are one: at least as many characters as there are `?`
                if run.contains(&Piece::Any) {
                    nodes.extend(run.iter().filter(|piece| **piece == Piece::One).map(|_| Node::OneBesideAny));
                    nodes.push(Node::Piece(Piece::Any));
                } else {
                    nodes.extend(run.iter().map(|piece| Node::Piece(*piece)));
                }
            }
            nodes.push(Node::End);
        }
        Self { nodes, starts }
    }

    fn start(&self) -> Set {
        let mut set = Set::new(self.nodes.len());
        self.starts.iter().for_each(|start| self.reach(&mut set, *start));
        set
    }

    /// Adds a position, and those that are reached from it without a symbol.
    fn reach(&self, set: &mut Set, position: usize) {
        set.insert(position);
        if matches!(self.nodes[position], Node::Piece(Piece::Any)) {
            self.reach(set, position + 1);
        }
    }

    fn step(&self, set: &Set, symbol: Piece<'_>) -> Set {
        let mut next = Set::new(self.nodes.len());
        for position in set.iter() {
            let (stays, goes) = match (self.nodes[position], symbol) {
                (Node::Piece(Piece::Any), _) | (Node::OneBesideAny, Piece::Variable(_)) => (true, false),
                (Node::OneBesideAny, _) => (false, true),
                (Node::Piece(Piece::One), symbol) => (false, !matches!(symbol, Piece::Variable(_))),
                (Node::Piece(piece), symbol) => (false, piece == symbol),
                (Node::End, _) => (false, false),
            };
            if stays {
                self.reach(&mut next, position);
            }
            if goes {
                self.reach(&mut next, position + 1);
            }
        }
        next
    }

    fn accepts(&self, set: &Set) -> bool {
        set.iter().any(|position| matches!(self.nodes[position], Node::End))
    }
}

/// A set of positions.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Set(Box<[u64]>);

impl Set {
    fn new(size: usize) -> Self {
        Self(vec![0; size.div_ceil(64)].into())
    }

    fn insert(&mut self, position: usize) {
        self.0[position / 64] |= 1 << (position % 64);
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn within(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a & !b == 0)
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        let bits = |(index, word): (usize, &u64)| {
            let word = *word;
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| index * 64 + bit)
        };
        self.0.iter().enumerate().flat_map(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pattern_covers_what_it_covers() {
        for (pattern, other, expected) in [
            ("*", "*", true),
            ("**", "*", true),
            ("*", "**", true),
            ("?*", "*", false),
            ("*", "?*", true),
            ("*?", "?*", true),
            ("?*?", "*??", true),
            ("?*?", "?", false),
            ("?*", "a*", true),
            ("?*", "*a", true),
            ("a*", "a*b", true),
            ("a*b", "a*", false),
            ("a*b", "a?b", true),
            ("a?b", "a*b", false),
            ("*a*", "*a?a*", true),
            ("*aa*", "*a*a*", false),
            ("s3:*", "s3:Get*", true),
            ("s3:Get*", "s3:*", false),
            ("arn:aws:iam::1:ro*", "arn:aws:iam::1:role/?*", true),
            ("arn:aws:iam::1:role/?*", "arn:aws:iam::1:role/*", false),
            ("", "", true),
            ("*", "", true),
            ("", "*", false),
        ] {
            assert_eq!(covers(pattern, other), expected, "{pattern} covers {other}");
        }
    }

    #[test]
    fn a_variable_is_covered_by_itself_and_by_a_star() {
        for (pattern, other, expected) in [
            ("*", "${aws:username}", true),
            ("a/*", "a/${aws:username}/b", true),
            ("${aws:username}", "${aws:username}", true),
            ("${aws:username}*", "${aws:username}/x", true),
            ("?", "${aws:username}", false),
            ("?*", "${aws:username}", false),
            ("?*", "${aws:username}a", true),
            ("*?", "a${aws:username}", true),
            ("${aws:userid}", "${aws:username}", false),
            ("${aws:username}", "bob", false),
            ("${aws:username}", "*", false),
            // characters, and not wildcards
            ("${*}", "*", false),
            ("*", "${*}", true),
            ("a${?}", "a?", false),
            ("a?", "a${?}", true),
            ("${$}{x}", "${$}{x}", true),
        ] {
            assert_eq!(covers(pattern, other), expected, "{pattern} covers {other}");
        }
    }

    #[test]
    fn several_patterns_may_cover_together_what_none_covers_alone() {
        assert!(together_cover(&["", "?*"], "*"));
        assert!(!together_cover(&["?*"], "*"));
        assert!(together_cover(&["a", "??*", "?"], "?*"));
        assert!(together_cover(&["a*", "b*"], "a?*"));
        assert!(!together_cover(&["a*", "b*"], "?*"));
        assert!(!together_cover(&[] as &[&str], "a"));
    }

    #[test]
    fn patterns_that_have_a_text_in_common_meet() {
        for (one, other, expected) in [
            ("a*", "*b", true),
            ("a*", "b*", false),
            ("a", "a", true),
            ("?", "", false),
            ("*", "", true),
            ("a?c", "ab*", true),
            ("role/irsa/me/*", "role/*/app", true),
            ("role/${aws:username}", "role/app", true),
            ("role/x${aws:username}", "role/app", false),
            ("${*}", "a", false),
            ("${*}", "?", true),
        ] {
            assert_eq!(meets(one, other), expected, "{one} {other}");
            assert_eq!(meets(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn wildcards_and_variables_are_told_apart() {
        assert!(is_wild("a*") && is_wild("a?") && is_wild("${aws:username}*"));
        assert!(!is_wild("a") && !is_wild("a${*}b${?}") && !is_wild("${aws:PrincipalTag/x, '*'}"));
        assert_eq!(variables("a${aws:username}b${*}${x, 'y'}"), ["aws:username", "x, 'y'"]);
        assert_eq!(variables("a${aws:username"), [""; 0]);
    }

    /// A pattern made to take for ever is not known to be covered; the answer comes at once.
    #[test]
    fn a_costly_pattern_ends() {
        let pattern = format!("*a{}", "?".repeat(200));
        assert!(!covers(&pattern, &"*a".repeat(60)));
        assert!(covers("*", &"*a".repeat(60)));
    }

    /// Every text of the letters, up to the length.
    fn texts(length: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut last = all.clone();
        for _ in 0..length {
            last = last.iter().flat_map(|text| ["a", "b", "c"].map(|letter| format!("{text}{letter}"))).collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    fn fits(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) => fits(rest, text),
            (Some((b'*', rest)), Some((_, less))) => fits(rest, text) || fits(pattern, less),
            (Some((wanted, rest)), Some((c, less))) => (*wanted == b'?' || wanted == c) && fits(rest, less),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        // `c` stands in no pattern, as there always is such a character
        #[test]
        fn inclusion_is_that_of_all_short_texts(
            patterns in prop::collection::vec("[ab*?]{0,4}", 1..3),
            other in "[ab*?]{0,3}",
        ) {
            let texts = texts(6);
            let mut matched = texts.iter().filter(|text| fits(other.as_bytes(), text.as_bytes()));
            let all = matched
                .all(|text| patterns.iter().any(|pattern| fits(pattern.as_bytes(), text.as_bytes())));
            prop_assert_eq!(together_cover(&patterns, &other), all, "{:?} {}", patterns, other);
        }

        #[test]
        fn meeting_is_having_a_text_in_common(one in "[ab*?]{0,4}", other in "[ab*?]{0,4}") {
            let common = texts(6)
                .iter()
                .any(|text| fits(one.as_bytes(), text.as_bytes()) && fits(other.as_bytes(), text.as_bytes()));
            prop_assert_eq!(meets(&one, &other), common);
        }

        #[test]
        fn a_text_matches_what_covers_it(pattern in "[ab*?]{0,5}", text in "[ab]{0,6}") {
            prop_assert_eq!(matches(&pattern, &text), covers(&pattern, &text));
            prop_assert_eq!(matches(&pattern, &text), fits(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn whatever_covers_meets(one in "[ab*?]{0,6}", other in "[ab*?]{0,6}") {
            prop_assert!(!covers(&one, &other) || meets(&one, &other));
        }
    }
}
