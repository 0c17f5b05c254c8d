//! Evaluates documents with placeholders: texts that stand for a value that is not known offline.

use crate::policy::evaluate::{Evaluation, Request, Truth, evaluate};
use crate::policy::{PolicyDocument, Statement};

/// A text that stands for a value that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholder {
    /// The text, for example `000000000000`.
    pub text: &'static str,
    /// A pattern that matches every value.
    pub pattern: &'static str,
    /// What is not known, and what to do.
    pub why: &'static str,
}

/// No value has this character, and a policy may have it.
const NO_VALUE: &str = "\u{FF}";

/// A document, read with every value of its placeholders.
pub(super) struct Readings<'a> {
    written: &'a PolicyDocument,
    /// Why the document has other readings.
    why: Option<&'static str>,
    /// The document with placeholders that match nothing, and with placeholders that match every value. Empty if a
    /// reading cannot be parsed.
    others: Vec<PolicyDocument>,
}

/// A statement that applies or may apply.
pub(super) struct Found<'a> {
    /// The position in its document, from 1.
    number: usize,
    pub(super) statement: &'a Statement,
    pub(super) truth: Truth,
    /// The conditions that depend on something unknown.
    pub(super) conditions: Vec<String>,
    /// What is not known, if it depends on a placeholder whether the statement applies.
    pub(super) depends_on: Option<&'static str>,
}

impl Found<'_> {
    /// Its `Sid`, or its number.
    pub(super) fn name(&self) -> String {
        self.statement.sid().map_or_else(|| format!("statement {}", self.number), |sid| format!("statement `{sid}`"))
    }
}

impl<'a> Readings<'a> {
    pub(super) fn of(written: &'a PolicyDocument, placeholders: &[Placeholder]) -> Self {
        let text = || written.text();
        let found: Vec<&Placeholder> = placeholders.iter().filter(|one| text().contains(one.text)).collect();
        let reading = |value: fn(&Placeholder) -> &'static str| {
            let text = found.iter().fold(text().to_owned(), |text, one| text.replace(one.text, value(one)));
            Some(PolicyDocument::live(&text)).filter(PolicyDocument::is_parsed)
        };
        let others = match found.first() {
            None => Vec::new(),
            Some(_) => [reading(|_| NO_VALUE), reading(|one| one.pattern)].into_iter().flatten().collect(),
        };
        Self { written, why: found.first().map(|one| one.why), others }
    }

    /// The statements that apply or may apply.
    pub(super) fn found(&self, request: &Request) -> Vec<Found<'a>> {
        let Some(why) = self.why else {
            let evaluation = evaluate(self.written, request);
            return self
                .written
                .statements()
                .iter()
                .enumerate()
                .filter_map(|(index, statement)| {
                    let (truth, conditions) = state(&evaluation, index + 1);
                    let found = Found { number: index + 1, statement, truth, conditions, depends_on: None };
                    (truth != Truth::False).then_some(found)
                })
                .collect();
        };
        let evaluations: Vec<Evaluation<'_>> = self.others.iter().map(|reading| evaluate(reading, request)).collect();
        let written = evaluate(self.written, request);
        let statements = self.written.statements().iter().enumerate();
        statements
            .filter_map(|(index, statement)| {
                let number = index + 1;
                let truths: Vec<Truth> = evaluations.iter().map(|one| state(one, number).0).collect();
                let (_, conditions) = state(&written, number);
                let [least, most] = truths.as_slice() else {
                    let truth = Truth::Unknown;
                    return Some(Found { number, statement, truth, conditions, depends_on: Some(why) });
                };
                let depends_on = (least != most).then_some(why);
                let found = Found { number, statement, truth: *most, conditions, depends_on };
                (depends_on.is_some() || *most != Truth::False).then_some(found)
            })
            .collect()
    }

    /// Whether a deny covers all of the request, with every value.
    pub(super) fn certainly_denies(&self, request: &Request) -> bool {
        self.found(request)
            .iter()
            .any(|found| found.statement.denies() && found.depends_on.is_none() && found.truth == Truth::True)
    }

    /// Whether the document allows the request.
    ///
    /// # Errors
    /// What is not known, if it depends on a placeholder.
    pub(super) fn verdict(&self, request: &Request) -> Result<Truth, &'static str> {
        let found = self.found(request);
        let certain = |denies: bool| {
            let list = found.iter().filter(|one| one.statement.denies() == denies && one.depends_on.is_none());
            list.fold(Truth::False, |all, one| all.max(one.truth))
        };
        let open =
            |denies: bool| found.iter().filter(|one| one.statement.denies() == denies).find_map(|one| one.depends_on);
        let (allowed, denied) = (certain(false), certain(true));
        if denied == Truth::True {
            return Ok(Truth::False);
        }
        if let Some(why) = open(true).filter(|_| allowed != Truth::False || open(false).is_some()) {
            return Err(why);
        }
        match open(false) {
            Some(why) if allowed != Truth::True => Err(why),
            _ if denied == Truth::Unknown => Ok(allowed.min(Truth::Unknown)),
            _ => Ok(allowed),
        }
    }
}

/// How far a statement applies, and its open conditions.
fn state(evaluation: &Evaluation<'_>, number: usize) -> (Truth, Vec<String>) {
    let mut all = evaluation.allows.iter().chain(&evaluation.denies);
    all.find(|applied| applied.number == number).map_or((Truth::False, Vec::new()), |applied| {
        (applied.found.truth(), applied.found.open.iter().map(ToString::to_string).collect())
    })
}
