//! Computes who may do what as a role: every subject of its trust policy, with every request that its policies
//! distinguish.
//!
//! The questions come from the documents of all compared moments: an example for each pattern, for each two patterns
//! that overlap, and for no pattern. A policy that answers all examples alike answers every request alike.

use super::document::{Document, Request, list, own_tag, texts};
use super::pattern::examples;
use super::role::{Role, host};
use irsa_sandbox::aws::Facts;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The most questions about one role. The documents in tests must be small.
const MOST: usize = 20_000;

/// Somebody who may try to assume a role.
struct Subject {
    facts: Facts,
    action: &'static str,
    /// The provider and the audience of the subject's token.
    token: Option<(String, String)>,
    shown: String,
}

/// A use of a role's session.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Use {
    /// Having the role: whatever others allow to its ARN.
    Session,
    /// Having this value of the tag, or no such tag: whatever others allow to it.
    Tag(String, Option<String>),
    /// A request, in the context with this index.
    Do { action: String, resource: String, context: usize },
}

/// Condition keys with their values.
type Context = Vec<(String, String)>;

/// All questions about one role at several moments.
struct Questions {
    subjects: Vec<Subject>,
    uses: Vec<Use>,
    contexts: Vec<Context>,
    /// The keys of the role's own tags, as conditions spell them.
    tag_keys: BTreeSet<String>,
}

/// The answers at one moment.
struct Answers {
    trusted: Vec<bool>,
    allowed: Vec<bool>,
    session: u64,
}

/// Something that somebody may do, or no longer may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant(String);

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Condition keys with the values that they are compared with. Spellings with the same meaning are one key.
#[derive(Default)]
struct Keys(BTreeMap<String, Vec<String>>);

impl Keys {
    fn add(&mut self, key: &str, values: Vec<String>) {
        // the part after a `/` is case-sensitive
        let key = if key.contains('/') { key.to_owned() } else { key.to_ascii_lowercase() };
        self.0.entry(key).or_default().extend(values);
    }

    /// Every context that these keys distinguish. The keys in `always` are present in each.
    fn contexts(&self, always: &[&str]) -> Vec<Context> {
        let mut all = vec![Context::new()];
        for (key, values) in &self.0 {
            let mut longer = Vec::new();
            for context in &all {
                if !always.contains(&key.as_str()) {
                    longer.push(context.clone());
                }
                for value in examples(values, "other") {
                    longer.push([&context[..], &[(key.clone(), value)]].concat());
                }
            }
            all = longer;
            assert!(all.len() < MOST, "too many contexts: {:?}", self.0);
        }
        all
    }
}

fn facts_in(mut facts: Facts, context: &Context) -> Facts {
    for (key, value) in context {
        facts.set(key, [value.as_str()]);
    }
    facts
}

/// The statements of a trust policy.
fn statements(role: &Role) -> Vec<Value> {
    let trust: Value = serde_json::from_str(&role.trust).expect("a trust policy");
    list(&trust["Statement"]).to_vec()
}

/// Everybody whom these trust policies may mean.
fn subjects(roles: &[&Role]) -> Vec<Subject> {
    let (mut named, mut keys) = (BTreeSet::new(), BTreeMap::new());
    for statement in roles.iter().flat_map(|role| statements(role)) {
        assert!(statement.get("NotPrincipal").is_none(), "NotPrincipal is not understood: {statement}");
        let principal = &statement["Principal"];
        if principal == "*" {
            named.insert(("AWS".to_owned(), "arn:aws:iam::999999999999:role/anyone".to_owned()));
        }
        for (kind, names) in principal.as_object().into_iter().flatten() {
            let name = |name: String| if name == "*" { "arn:aws:iam::999999999999:role/anyone".into() } else { name };
            named.extend(texts(names).into_iter().map(|text| (kind.clone(), name(text))));
        }
        for (key, wanted) in statement["Condition"]
            .as_object()
            .into_iter()
            .flat_map(|all| all.values())
            .flat_map(|keys| keys.as_object().into_iter().flatten())
        {
            keys.entry(key.clone()).or_insert_with(Vec::new).extend(texts(wanted));
        }
    }
    let mut all = Vec::new();
    for (kind, name) in named {
        match kind.as_str() {
            "Federated" => all.extend(with_tokens(roles, &name, &keys)),
            "AWS" => all.extend(with_keys("AWS", &name, &keys)),
            "Service" => all.extend(with_keys("Service", &name, &keys)),
            other => panic!("a principal is not understood: {other}"),
        }
    }
    assert!(all.len() < MOST, "too many subjects");
    all
}

fn is_general(key: &str) -> bool {
    ["aws:", "sts:"].iter().any(|prefix| key.to_ascii_lowercase().starts_with(prefix))
}

/// All subjects with a token of this provider.
fn with_tokens(roles: &[&Role], arn: &str, known: &BTreeMap<String, Vec<String>>) -> Vec<Subject> {
    let (subject, audience) = (format!("{}:sub", host(arn)), format!("{}:aud", host(arn)));
    let mut keys = Keys::default();
    keys.add(&subject, Vec::new());
    let audiences = roles.iter().filter_map(|role| role.providers.get(arn)).flatten();
    keys.add(&audience, audiences.cloned().collect());
    for (key, values) in known {
        if is_general(key) || key.starts_with(&format!("{}:", host(arn))) {
            keys.add(key, values.clone());
        }
    }
    let contexts = keys.contexts(&[&subject, &audience]).into_iter();
    contexts
        .map(|context| {
            let value = |key: &str| context.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value);
            Subject {
                facts: facts_in(Facts::named("Federated", &[arn]), &context),
                action: "sts:AssumeRoleWithWebIdentity",
                token: Some((arn.to_owned(), value(&audience).to_owned())),
                shown: format!("{} of {arn} for {}", value(&subject), value(&audience)),
            }
        })
        .collect()
}

/// This AWS principal, in every context.
fn with_keys(kind: &'static str, name: &str, known: &BTreeMap<String, Vec<String>>) -> Vec<Subject> {
    let mut keys = Keys::default();
    for (key, values) in known.iter().filter(|(key, _)| is_general(key)) {
        keys.add(key, values.clone());
    }
    let account = name.split(':').nth(4).unwrap_or_default();
    let root = format!("arn:aws:iam::{account}:root");
    let contexts = keys.contexts(&[]).into_iter();
    contexts
        .map(|context| Subject {
            facts: facts_in(Facts::named(kind, &[name, &root]), &context),
            action: "sts:AssumeRole",
            token: None,
            shown: format!("{name}{}", shown(&context)),
        })
        .collect()
}

fn shown(context: &Context) -> String {
    context.iter().fold(String::new(), |text, (key, value)| text + " with " + key + " = " + value)
}

/// The policies of a role, with its tags in place of variables.
struct Read {
    own: Vec<Document>,
    boundary: Option<Document>,
}

impl Read {
    fn of(role: &Role) -> Self {
        Self {
            own: role.own.values().map(|text| Document::read(text, &role.tags)).collect(),
            boundary: role.boundary.as_ref().map(|text| Document::read(text, &role.tags)),
        }
    }

    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics-bound.html>
    fn allow(&self, request: Request<'_>) -> bool {
        self.own.iter().any(|document| document.allows(request))
            && !self.own.iter().any(|document| document.denies(request))
            && self.boundary.as_ref().is_none_or(|bound| bound.allows(request) && !bound.denies(request))
    }
}

impl Questions {
    /// Every question whose answer can differ between these moments of a role.
    fn of(roles: &[&Role]) -> Self {
        let (mut actions, mut resources, mut keys) = (Vec::new(), Vec::new(), Keys::default());
        let mut tag_keys = BTreeSet::new();
        for role in roles {
            let read = Read::of(role);
            for statement in read.own.iter().chain(&read.boundary).flat_map(|document| &document.0) {
                actions.extend(statement.actions.list.iter().cloned());
                resources.extend(statement.resources.list.iter().cloned());
                for (key, values) in statement.keys() {
                    if own_tag(&key).is_some() {
                        tag_keys.insert(key);
                    } else {
                        keys.add(&key, values);
                    }
                }
            }
        }
        for list in [&mut actions, &mut resources] {
            list.sort();
            list.dedup();
        }
        let mut uses = vec![Use::Session];
        let tags: BTreeSet<&String> = roles.iter().flat_map(|role| role.tags.keys()).collect();
        for key in tags {
            let values: BTreeSet<_> = roles.iter().map(|role| role.tags.get(key).cloned()).collect();
            uses.extend(values.into_iter().map(|value| Use::Tag(key.clone(), value)));
        }
        let contexts = keys.contexts(&[]);
        for action in examples(&actions, "zz9:other") {
            for resource in examples(&resources, "arn:aws:zz9:::other") {
                uses.extend((0..contexts.len()).map(|context| Use::Do {
                    action: action.to_ascii_lowercase(),
                    resource: resource.clone(),
                    context,
                }));
            }
        }
        assert!(uses.len() < MOST, "too many requests: {}", uses.len());
        Self { subjects: subjects(roles), uses, contexts, tag_keys }
    }

    fn ask(&self, role: &Role) -> Answers {
        let trust = Value::from_iter([("Statement", Value::from(statements(role)))]);
        let trusted = self.subjects.iter().map(|subject| {
            let taken = subject.token.as_ref().is_none_or(|(provider, audience)| {
                role.providers.get(provider).is_some_and(|known| known.contains(audience))
            });
            taken && subject.facts.allowed_by(&trust, subject.action)
        });
        let read = Read::of(role);
        let mut tagged = Facts::default();
        for key in &self.tag_keys {
            let value = own_tag(key).and_then(|key| role.tags.get(&key));
            tagged.set(key, value.map(String::as_str));
        }
        let facts: Vec<Facts> = self.contexts.iter().map(|context| facts_in(tagged.clone(), context)).collect();
        let allowed = self.uses.iter().map(|what| match what {
            Use::Session => true,
            Use::Tag(key, value) => role.tags.get(key) == value.as_ref(),
            Use::Do { action, resource, context } => read.allow(Request { action, resource, facts: &facts[*context] }),
        });
        Answers { trusted: trusted.collect(), allowed: allowed.collect(), session: role.session }
    }

    /// Every grant for which `session` returns the length of a wrong session.
    fn wrong(&self, name: &str, session: impl Fn(usize, usize) -> Option<u64>) -> Vec<Grant> {
        let mut all = Vec::new();
        for (index, subject) in self.subjects.iter().enumerate() {
            for (number, what) in self.uses.iter().enumerate() {
                let Some(seconds) = session(index, number) else { continue };
                let what = match what {
                    Use::Session => "assume it".to_owned(),
                    Use::Tag(key, Some(value)) => format!("be tagged {key} = {value}"),
                    Use::Tag(key, None) => format!("be without tag {key}"),
                    Use::Do { action, resource, context } => {
                        format!("{action} on {resource}{}", shown(&self.contexts[*context]))
                    }
                };
                all.push(Grant(format!("{} may {what} as {name} for {seconds} s", subject.shown)));
            }
        }
        all
    }
}

impl Answers {
    /// The longest session in which this subject has this use, in seconds. 0 means none.
    fn session(&self, subject: usize, what: usize) -> u64 {
        if self.trusted[subject] && self.allowed[what] { self.session } else { 0 }
    }
}

/// What a role grants at a moment, and for so long at none of its ends.
pub(super) fn wider(name: &str, ends: &[Option<&Role>], moment: &Role) -> Vec<Grant> {
    let ends: Vec<&Role> = ends.iter().copied().flatten().collect();
    if ends.contains(&moment) {
        return Vec::new();
    }
    let questions = Questions::of(&[&ends[..], &[moment]].concat());
    let (ends, now): (Vec<_>, _) = (ends.iter().map(|role| questions.ask(role)).collect(), questions.ask(moment));
    questions.wrong(name, |subject, what| {
        let most = ends.iter().map(|end| end.session(subject, what)).max().unwrap_or(0);
        Some(now.session(subject, what)).filter(|seconds| *seconds > most)
    })
}

/// What a role grants at both ends, and not, or not for so long, at a moment.
pub(super) fn dips(name: &str, ends: [&Role; 2], moment: Option<&Role>) -> Vec<Grant> {
    let questions = Questions::of(&ends.iter().copied().chain(moment).collect::<Vec<_>>());
    let (one, two) = (questions.ask(ends[0]), questions.ask(ends[1]));
    let now = moment.map(|role| questions.ask(role));
    questions.wrong(name, |subject, what| {
        let least = one.session(subject, what).min(two.session(subject, what));
        let now = now.as_ref().map_or(0, |now| now.session(subject, what));
        Some(least).filter(|seconds| now < *seconds)
    })
}
