//! Hints for misspelled names: "did you mean …?", or a list of the known names.

use crate::model::quoted::quoted;

/// Longer words get no suggestion: comparing takes time and memory in proportion to their length.
const COMPARED_LENGTH: usize = 128;

/// The most similar of `known`, if `word` is likely a misspelling of it.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if word.len() > COMPARED_LENGTH {
        return None;
    }
    known
        .into_iter()
        .map(|candidate| {
            (strsim::damerau_levenshtein(word, candidate), strsim::jaro_winkler(word, candidate), candidate)
        })
        .filter(|(distance, similarity, candidate)| *distance <= 1 + candidate.len() / 5 || *similarity > 0.87)
        .min_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(b.2)))
        .map(|(_, _, candidate)| candidate)
}

/// The hint for an unknown word: the most similar known one, or `introduction` and all of them.
pub(crate) fn suggestion(word: &str, known: &[&str], introduction: &str) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => did_you_mean(near),
        None => format!("{introduction} {}", quoted(known).join(", ")),
    }
}

pub(crate) fn did_you_mean(near: &str) -> String {
    format!("did you mean `{near}`?")
}
