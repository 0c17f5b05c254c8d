//! Patterns as in policies: `*` matches any text, `?` one character.

/// Stands for the open part of a pattern. No policy in the tests contains it.
const ANY: &str = "Zz9";

/// Whether a pattern matches a text.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut from) = (0, 0);
    // where to continue after a mismatch: behind the last star, one character later
    let mut back = None;
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                back = Some((at + 1, from));
                at += 1;
            }
            Some(letter) if *letter == b'?' || *letter == text[from] => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((star, last)) = back else { return false };
                back = Some((star, last + 1));
                at = star;
                from = last + 1;
            }
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}

/// A text that matches the pattern, and no narrower pattern.
pub(super) fn example(pattern: &str) -> String {
    pattern.replace('*', ANY).replace('?', "0")
}

fn is_open(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// Texts that distinguish these patterns: one for each pattern, one for each two patterns that overlap, and one that
/// matches none.
pub(super) fn examples(patterns: &[String], other: &str) -> Vec<String> {
    let mut all: Vec<String> = patterns.iter().map(|pattern| example(pattern)).collect();
    all.push(other.to_owned());
    let open: Vec<&String> = patterns.iter().filter(|pattern| is_open(pattern)).collect();
    for (index, one) in open.iter().enumerate() {
        for two in &open[index + 1..] {
            // if one pattern covers the other, the other's own example is enough
            if !fits(one, two) && !fits(two, one) {
                all.extend(common(one.as_bytes(), two.as_bytes()).and_then(|text| String::from_utf8(text).ok()));
            }
        }
    }
    all.sort();
    all.dedup();
    all
}

/// A text that both patterns match.
fn common(one: &[u8], two: &[u8]) -> Option<Vec<u8>> {
    let begin = |letter: u8, rest: Option<Vec<u8>>| {
        rest.map(|mut rest| {
            rest.insert(0, if letter == b'?' { b'0' } else { letter });
            rest
        })
    };
    match (one.split_first(), two.split_first()) {
        (None, None) => Some(Vec::new()),
        (Some((b'*', rest)), _) => common(rest, two).or_else(|| {
            let (letter, tail) = two.split_first()?;
            if *letter == b'*' { common(one, tail) } else { begin(*letter, common(one, tail)) }
        }),
        (_, Some((b'*', _))) => common(two, one),
        (Some((left, one)), Some((right, two))) if left == right || *left == b'?' || *right == b'?' => {
            begin(if *left == b'?' { *right } else { *left }, common(one, two))
        }
        _ => None,
    }
}

#[test]
fn pattern_matches_its_texts_and_no_others() {
    for (pattern, text, expected) in [
        ("s3:Get*", "s3:GetObject", true),
        ("s3:Get*", "s3:PutObject", false),
        ("*", "", true),
        ("a*b*c", "a-bb-b-c", true),
        ("a*b*c", "a-c", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("ab", "abc", false),
        ("*Object", "s3:GetObjects", false),
    ] {
        assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
    }
}

#[test]
fn examples_distinguish_overlapping_patterns() {
    let patterns = ["s3:*", "s3:Get*", "*Object", "s3:GetObject", "?3:Put*"].map(str::to_owned);
    let all = examples(&patterns, "other");
    let sides = |text: &str| patterns.iter().map(|pattern| fits(pattern, text)).collect::<Vec<_>>();
    let found: Vec<Vec<bool>> = all.iter().map(|text| sides(text)).collect();
    for wanted in [
        [true, false, false, false, false],
        [true, true, false, false, false],
        [false, false, true, false, false],
        [true, true, true, true, false],
        [false, false, false, false, false],
    ] {
        assert!(found.contains(&wanted.to_vec()), "{wanted:?} is not among {all:?}");
    }
    assert!(all.iter().any(|text| sides(text)[0] && sides(text)[4]), "{all:?}");
}
