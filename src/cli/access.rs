//! `irsa access`: which ServiceAccounts may do an action, or what an object may do.

mod reach;
mod world;

use self::reach::{Annotated, Reach};
use self::world::{UNKNOWN_ID, World};
use super::Run;
use super::arguments::{Access, Deny, Global};
use super::output::Output;
use crate::access::{Deciding, Decision, Permitted, RolePermissions};
use crate::error::{Error, ExitStatus};
use crate::ids::Key;
use crate::model::address::Address;
use crate::model::desired::{Binding, PLACEHOLDER_ID};
use crate::model::evidence::Chain;
use crate::model::live::Observed;
use crate::model::pattern::{Pattern, any_matches};
use crate::model::sanitize::scrub;
use crate::policy::Statement;
use crate::render::Format;
use crate::view;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;

const FORMATS: &[Format] = &[Format::Text, Format::Json];
/// The version of the JSON form. New keys raise the minor number, changed keys the major one.
const FORMAT_VERSION: &str = "1.2";
const NOT_CONSIDERED: &str =
    "service and resource control policies, resource policies, session policies and EKS Pod Identity";

/// The resource if none is named.
const EVERYTHING: &str = "*";

/// A ServiceAccount and what it may do.
struct Row<'a> {
    binding: Cow<'a, Binding>,
    role: &'a Key,
    decision: Decision,
    /// Whether the configuration names it.
    is_declared: bool,
}

/// An object whose permissions are asked for.
struct Subject<'a> {
    role: &'a Key,
    /// None for a role.
    binding: Option<Cow<'a, Binding>>,
}

pub(super) async fn run(run: Run<'_>, arguments: &Access) -> Result<ExitStatus, Error> {
    let output = Output::open(run, "access", FORMATS, None)?;
    let what = arguments.what.as_str();
    // a pattern of ServiceAccounts is no `Address`
    let is_address = what.starts_with("service-account/") || what.parse::<Address>().is_ok();
    if !is_address {
        check_action(what)?;
        check_resource(what, &arguments.resource)?;
    } else if arguments.resource != EVERYTHING {
        return Err(Error::usage(format!("`irsa access {what}` takes no resource"))
            .hint("it lists all that the object may do; ask for an action to name a resource"));
    }
    // findings do not matter here
    let global = Global { deny: Deny::None, only: Vec::new(), ..run.global.clone() };
    let inner = Run { global: &global, ..run };
    let world = if arguments.declared { world::declared(inner)? } else { world::live(inner, &output).await? };
    let only: Vec<Pattern> = run.global.only.iter().map(Pattern::new).collect();
    let (text, document, incomplete) =
        if is_address { world.of_object(what, &only)? } else { world.who_may(what, &arguments.resource, &only)? };
    output.print_result(&text, &document).await?;
    let refused = incomplete && !arguments.declared && !run.global.allow_incomplete;
    Ok(if refused { ExitStatus::Refused } else { ExitStatus::Success })
}

/// `service:Action` or `*`.
fn check_action(text: &str) -> Result<(), Error> {
    let plain = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '*' | '?' | '_'))
    };
    let good = text == "*" || text.split_once(':').is_some_and(|(service, action)| plain(service) && plain(action));
    if good {
        return Ok(());
    }
    Err(Error::usage(format!("`{text}` is neither an action nor an address"))
        .hint("actions look like `s3:GetObject` or `s3:*`, addresses like `role/KEY`"))
}

/// `*`, an ARN, or a pattern that ARNs may match
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>).
fn check_resource(action: &str, text: &str) -> Result<(), Error> {
    if text.starts_with("arn:") || text.starts_with('*') {
        return Ok(());
    }
    let example = match action.split_once(':') {
        Some((service, _)) if service != "s3" && !service.contains(['*', '?']) => {
            format!("arn:aws:{service}:eu-west-1:111122223333:NAME")
        }
        _ => "arn:aws:s3:::my-bucket/*".to_owned(),
    };
    Err(Error::usage(format!("the resource `{text}` is no ARN"))
        .hint(format!("resources look like `{example}` or `*`")))
}

impl World {
    /// The declared role of an address and, for a ServiceAccount, its binding: by name, else by its annotation, else by a
    /// pattern that matches it.
    fn subject(&self, text: &str) -> Result<Subject<'_>, Error> {
        let address = text.parse::<Address>().ok();
        let chains = || Chain::all(&self.desired, &[]).into_iter();
        let found = match &address {
            Some(Address::Role { key }) => {
                self.roles.get_key_value(key).map(|(role, _)| Subject { role, binding: None })
            }
            Some(Address::OidcProvider { .. } | Address::Policy { .. } | Address::Orphan { .. }) => {
                return Err(Error::usage(format!("`{text}` has no permissions of its own"))
                    .hint("ask for a role or a ServiceAccount"));
            }
            Some(Address::ServiceAccount { .. }) | None => {
                let named = chains().find(|chain| chain.address() == text);
                named.map(|chain| Subject { role: chain.role_key, binding: Some(Cow::Borrowed(chain.binding)) })
            }
        };
        let found = found.or_else(|| {
            let Some(Address::ServiceAccount { cluster, namespace, name }) = &address else { return None };
            let mut annotated = self.undeclared().into_iter();
            let annotated = annotated.find(|(_, binding)| binding.address() == address);
            let by_pattern = || {
                let chain = chains()
                    .find(|chain| chain.binding.cluster == *cluster && chain.binding.subject.matches(namespace, name));
                chain.map(|chain| {
                    let audience = chain.binding.audience.clone();
                    let binding = self.unmanaged(chain.role_key, cluster, namespace, name);
                    (chain.role_key, Binding { audience, ..binding })
                })
            };
            let (role, binding) = annotated.or_else(by_pattern)?;
            Some(Subject { role, binding: Some(Cow::Owned(binding)) })
        });
        found.ok_or_else(|| {
            Error::usage(format!("`{text}` is not an object of this configuration"))
                .hint("`irsa plan` shows the addresses")
        })
    }

    /// What a role or a ServiceAccount may do.
    ///
    /// # Errors
    /// Wrong usage, if no glob of `only` matches it.
    fn of_object(&self, address: &str, only: &[Pattern]) -> Result<(String, Value, bool), Error> {
        let Subject { role: key, binding } = self.subject(address)?;
        let role_address = Address::role(key).to_string();
        if let Some(glob) = only.iter().find(|glob| !glob.matches(address) && !glob.matches(&role_address)) {
            return Err(Error::usage(format!("`--only '{}'` does not match `{address}`", glob.as_str()))
                .hint("leave out `--only`: the address selects one object"));
        }
        let (mut lines, mut list, mut incomplete) = (vec![address.to_owned()], Vec::new(), false);
        let (mut role, mut reasons, mut boundary) = (&self.roles[key], Vec::new(), true);
        let mut policies = role.policies.clone();
        if let Some(binding) = &binding {
            let annotated = self.annotated(key, binding);
            let mut reach = Reach::Yes;
            match annotated {
                Annotated::Role(other) => {
                    role = &self.roles[other];
                    policies = role.policies.clone();
                    if other != key {
                        let names = format!("its annotation names role/{other}, and not the declared role/{key}");
                        reasons.push(names);
                    }
                    reach = self.trusts(other, binding);
                }
                Annotated::None(why) => {
                    (policies, boundary) = (Observed::Present(Vec::new()), false);
                    reasons.push(why);
                }
                Annotated::Other(why) => (policies, boundary) = (Observed::Unknown(why), false),
                Annotated::Unknown(why) => {
                    incomplete = true;
                    reasons.push(format!("unknown: {why}"));
                    reach = self.trusts(key, binding);
                }
            }
            match reach {
                Reach::Yes => {}
                Reach::Unknown(why) => {
                    incomplete = true;
                    reasons.push(format!("unknown: {why}"));
                }
                Reach::No(why) => reasons.push(format!("its pods do not get the role: {why}")),
            }
            lines.push(format!("  role: role/{}", role.key));
            lines.extend(reasons.iter().map(|why| format!("  {why}")));
        }
        let policies = match &policies {
            Observed::Present(policies) => policies.as_slice(),
            Observed::Absent => {
                lines.push("  the role does not exist".to_owned());
                &[]
            }
            Observed::Unknown(why) => {
                incomplete = true;
                lines.push(format!("  unknown: {why}"));
                reasons.push(why.clone());
                &[]
            }
        };
        let boundary = role.boundary.iter().filter(|_| boundary).map(|policy| (policy, true));
        let all = policies.iter().map(|policy| (policy, false)).chain(boundary);
        for (policy, is_boundary) in all {
            let label = if is_boundary { "boundary " } else { "" };
            lines.push(format!("  {label}{}", policy.name));
            let statements = match &policy.document {
                Observed::Present(document) if document.is_parsed() => {
                    for placeholder in &role.placeholders {
                        let why = format!("unknown: {}", placeholder.why);
                        if document.text().contains(placeholder.text) && !reasons.contains(&why) {
                            incomplete = true;
                            lines.push(format!("    {why}"));
                            reasons.push(why);
                        }
                    }
                    document.statements().iter().map(|statement| statement_text(statement, role)).collect()
                }
                Observed::Present(_) => {
                    incomplete = true;
                    vec!["it cannot be parsed, and may allow anything".to_owned()]
                }
                Observed::Absent => vec!["it does not exist".to_owned()],
                Observed::Unknown(why) => {
                    incomplete = true;
                    vec![format!("unknown: {why}")]
                }
            };
            lines.extend(statements.iter().map(|text| format!("    {text}")));
            list.push(json!({ "policy": policy.name, "boundary": is_boundary, "statements": statements }));
        }
        lines.push(format!("Not looked at: {NOT_CONSIDERED}."));
        let document = json!({
            "format-version": FORMAT_VERSION, "address": address, "role": role.key.as_str(),
            "reason": (!reasons.is_empty()).then(|| reasons.join("; ")), "policies": list, "not-considered": NOT_CONSIDERED,
        });
        Ok((text_of(&lines), document, incomplete))
    }

    /// Which ServiceAccounts may do an action.
    ///
    /// # Errors
    /// Wrong usage, if a glob of `only` matches nothing.
    fn who_may(&self, action: &str, resource: &str, only: &[Pattern]) -> Result<(String, Value, bool), Error> {
        let undeclared = self.undeclared();
        let is_selected = |only: &[Pattern], role: &Key, binding: &Binding| {
            let address = binding.address().map(|address| address.to_string()).unwrap_or_default();
            only.is_empty() || any_matches(only, &address) || any_matches(only, &Address::role(role).to_string())
        };
        let selects =
            |glob: &&Pattern| undeclared.iter().any(|(role, binding)| is_selected(&[(*glob).clone()], role, binding));
        let unmatched = only
            .iter()
            .find(|glob| Chain::unmatched(&self.desired, std::slice::from_ref(*glob)).is_some() && !selects(glob));
        if let Some(glob) = unmatched {
            return Err(Error::usage(format!("`--only '{}'` matches no ServiceAccount", glob.as_str()))
                .hint("addresses look like `role/KEY` or `service-account/CLUSTER/NAMESPACE/NAME`"));
        }
        let mut decisions: BTreeMap<&Key, Decision> = BTreeMap::new();
        let mut decide = |key| decisions.entry(key).or_insert_with(|| self.roles[key].decide(action, resource)).clone();
        let (mut rows, mut others, mut apart) = (Vec::new(), 0, Vec::new());
        for Chain { role_key, binding, .. } in Chain::all(&self.desired, only) {
            let annotated = self.annotated(role_key, binding);
            let (key, mut decision) = match &annotated {
                Annotated::Role(other) => (*other, decide(other)),
                Annotated::Other(why) => (role_key, Decision::unknown(why.clone())),
                Annotated::None(_) | Annotated::Unknown(_) => (role_key, decide(role_key)),
            };
            // an annotation that was not read may name a role that may do it
            if decision.answer == Permitted::No && !matches!(annotated, Annotated::Unknown(_)) {
                others += 1;
                continue;
            }
            let reach = match annotated {
                Annotated::None(why) => Reach::No(why),
                Annotated::Other(_) => Reach::Yes,
                Annotated::Role(_) => self.trusts(key, binding),
                Annotated::Unknown(why) => match self.trusts(key, binding) {
                    Reach::Yes => Reach::Unknown(why),
                    Reach::Unknown(other) => Reach::Unknown(format!("{why}; {other}")),
                    other @ Reach::No(_) => other,
                },
            };
            match reach {
                Reach::Yes => {}
                Reach::Unknown(why) => decision.unread.push(why),
                Reach::No(why) => {
                    apart.push(format!("{}: {why}", name_of(binding)));
                    continue;
                }
            }
            rows.push(Row { binding: Cow::Borrowed(binding), role: key, decision, is_declared: true });
        }
        for (role, binding) in undeclared.into_iter().filter(|(role, binding)| is_selected(only, role, binding)) {
            let mut decision = decide(role);
            match self.trusts(role, &binding) {
                Reach::Yes => {}
                Reach::Unknown(why) => decision.unread.push(why),
                Reach::No(_) => continue,
            }
            if decision.answer != Permitted::No {
                rows.push(Row { binding: Cow::Owned(binding), role, decision, is_declared: false });
            }
        }
        for row in rows.iter_mut().filter(|row| !row.decision.unread.is_empty()) {
            row.decision.answer = Permitted::May;
        }
        rows.sort_by_cached_key(|row| name_of(&row.binding));
        let incomplete = rows.iter().any(|row| row.decision.answer == Permitted::May);
        let mut lines = Vec::new();
        for row in &rows {
            let undeclared = if row.is_declared { "" } else { " (not declared)" };
            let (answer, name) = (row.decision.answer.as_str(), name_of(&row.binding));
            lines.push(format!("{answer:<4} {name}  role/{}{undeclared}", row.role));
            let role = &self.roles[row.role];
            lines.extend(row.decision.allows.iter().map(|allow| format!("       {}", deciding_text(allow, role))));
            let limits = row.decision.limits.iter();
            lines.extend(limits.map(|limit| format!("       limited by {}", deciding_text(limit, role))));
            lines.extend(row.decision.unread.iter().map(|why| format!("       unknown: {why}")));
        }
        lines.extend(apart.iter().map(|why| format!("no   {why}")));
        let count = |wanted: Permitted| rows.iter().filter(|row| row.decision.answer == wanted).count();
        let (yes, conditional, unknown) = (count(Permitted::Yes), count(Permitted::If), count(Permitted::May));
        let no = others + apart.len();
        lines.push(format!("{action} on {resource}: {yes} yes, {conditional} if, {unknown} may, {no} no."));
        let unread: Vec<&str> = self.not_all_read().into_iter().map(Key::as_str).collect();
        if !unread.is_empty() {
            lines.push(format!(
                "Not all read: the ServiceAccounts of {}. Undeclared ones may do it too.",
                unread.join(", ")
            ));
        }
        lines.push(format!("Not looked at: {NOT_CONSIDERED}."));
        let document = json!({
            "format-version": FORMAT_VERSION, "action": action, "resource": resource,
            "service-accounts": rows.iter().map(|row| row.to_json(&self.roles[row.role])).collect::<Vec<_>>(),
            "unreached": apart, "others": others, "not-considered": NOT_CONSIDERED, "not-all-read": unread,
        });
        Ok((text_of(&lines), document, incomplete))
    }
}

/// `CLUSTER/NAMESPACE/NAME`
fn name_of(binding: &Binding) -> String {
    let (namespace, name) = binding.subject.names();
    format!("{}/{namespace}/{name}", binding.cluster)
}

/// A statement, with `{{ account_id }}` for an id that is not known.
fn statement_text(statement: &Statement, role: &RolePermissions) -> String {
    let text = view::statement_text(statement);
    if role.placeholders.contains(&UNKNOWN_ID) { text.replace(PLACEHOLDER_ID, "{{ account_id }}") } else { text }
}

/// `inline orders, statement 1: Allow …`
fn deciding_text(deciding: &Deciding, role: &RolePermissions) -> String {
    format!("{}, {}: {}", deciding.policy, deciding.name, statement_text(&deciding.statement, role))
}

fn text_of(lines: &[String]) -> String {
    let mut text = lines.iter().map(|line| scrub(line)).collect::<Vec<_>>().join("\n");
    text.push('\n');
    text
}

impl Row<'_> {
    fn to_json(&self, permissions: &RolePermissions) -> Value {
        let Self { binding, role, decision, is_declared } = self;
        let (namespace, name) = binding.subject.names();
        let list = |all: &[Deciding]| -> Vec<Value> {
            let of = |deciding: &Deciding| {
                json!({
                    "policy": deciding.policy, "statement": deciding.name,
                    "text": statement_text(&deciding.statement, permissions), "conditions": deciding.conditions,
                })
            };
            all.iter().map(of).collect()
        };
        json!({
            "cluster": binding.cluster.as_str(), "namespace": namespace, "name": name, "role": role.as_str(),
            "answer": decision.answer.as_str(), "allowed-by": list(&decision.allows), "limited-by": list(&decision.limits),
            "unknown": decision.unread, "declared": is_declared,
        })
    }
}
