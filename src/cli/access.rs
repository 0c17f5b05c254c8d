//! `irsa access`: which ServiceAccounts may do an action, or what an object may do.

mod reach;

use self::reach::{Annotated, Reach};
use super::Run;
use super::arguments::{Access, Deny, Global};
use super::output::Output;
use super::session::{self, Session};
use crate::access::{Deciding, Decision, NamedPolicy, Permitted, RolePermissions};
use crate::error::{Error, ExitStatus};
use crate::ids::{Key, PolicyArn};
use crate::model::address::Address;
use crate::model::desired::{Attachment, Binding, Boundary, Desired, Role};
use crate::model::evidence::Chain;
use crate::model::live::{Live, LiveRole, Observed};
use crate::model::pattern::Pattern;
use crate::model::sanitize::scrub;
use crate::observe;
use crate::policy::PolicyDocument;
use crate::render::Format;
use crate::view;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const FORMATS: &[Format] = &[Format::Text, Format::Json];
/// The version of the JSON form. New keys raise the minor number, changed keys the major one.
const FORMAT_VERSION: &str = "1.1";
const NOT_CONSIDERED: &str =
    "service and resource control policies, resource policies, session policies and EKS Pod Identity";

/// The declared roles, and how their ServiceAccounts reach them.
struct World {
    desired: Desired,
    /// None with `--declared`.
    live: Option<Live>,
    roles: BTreeMap<Key, RolePermissions>,
}

/// A ServiceAccount and what it may do.
struct Row<'a> {
    binding: &'a Binding,
    role: &'a Key,
    decision: Decision,
}

pub(super) async fn run(run: Run<'_>, arguments: &Access) -> Result<ExitStatus, Error> {
    let output = Output::open(run, "access", FORMATS, None)?;
    let question = arguments.what.parse::<Address>().ok();
    if question.is_none() {
        check_action(&arguments.what)?;
        check_resource(&arguments.what, &arguments.resource)?;
    }
    // findings do not matter here
    let global = Global { deny: Deny::None, only: Vec::new(), ..run.global.clone() };
    let inner = Run { global: &global, ..run };
    let world = if arguments.declared { declared(inner)? } else { live(inner, &output).await? };
    let (text, document, incomplete) = match question {
        Some(address) => world.of_object(&address)?,
        None => world.who_may(&arguments.what, &arguments.resource, &run.global.only)?,
    };
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

/// The configuration alone. Documents that only AWS has are unknown.
fn declared(run: Run<'_>) -> Result<World, Error> {
    let configuration = session::load(run.global)?;
    let desired = configuration.resolve(&session::offline(run.context))?;
    let offline = |arn: &PolicyArn| NamedPolicy {
        name: short_name(arn),
        document: Observed::Unknown("its document is not in the configuration".to_owned()),
    };
    let of_role = |(key, role): (&Key, &Role)| {
        let inline = role.inline.iter().map(|(name, document)| inline(name.as_str(), document));
        let attached = role.attach.iter().map(|attachment| match attachment {
            Attachment::Arn(arn) => offline(arn),
            Attachment::Declared(policy) => NamedPolicy {
                name: policy.to_string(),
                document: desired
                    .policies
                    .get(&(role.account.clone(), policy.clone()))
                    .map_or(Observed::Absent, |policy| Observed::Present(policy.document.clone())),
            },
        });
        let boundary = match &role.permissions_boundary {
            Boundary::Policy(arn) => Some(offline(arn)),
            Boundary::None | Boundary::Undeclared => None,
        };
        let policies = Observed::Present(inline.chain(attached).collect());
        (
            key.clone(),
            RolePermissions { key: key.clone(), arn: String::new(), account: String::new(), policies, boundary },
        )
    };
    let roles = desired.roles.iter().map(of_role).collect();
    Ok(World { desired, live: None, roles })
}

fn inline(name: &str, document: &PolicyDocument) -> NamedPolicy {
    NamedPolicy { name: format!("inline {name}"), document: Observed::Present(document.clone()) }
}

/// `aws:NAME` for a policy of AWS, and the name of another one.
fn short_name(arn: &PolicyArn) -> String {
    if arn.account() == "aws" { format!("aws:{}", arn.name()) } else { arn.name().to_owned() }
}

/// The live roles, and the documents of all that they attach.
async fn live(run: Run<'_>, output: &Output<'_>) -> Result<World, Error> {
    let session = Session::open(run)?;
    output.spares(session.files())?;
    let (connected, live) = session.read().await?;
    let desired = connected.desired;
    let found: BTreeMap<&Key, Observed<&LiveRole>> =
        desired.roles.iter().map(|(key, role)| (key, live.role(&role.account, &role.name))).collect();
    let mut needed: BTreeSet<(Key, PolicyArn)> = BTreeSet::new();
    for (key, role) in &found {
        let account = &desired.roles[*key].account;
        let Some(role) = role.present() else { continue };
        let arns = role.role.attached.iter().chain(&role.role.permissions_boundary);
        needed.extend(arns.map(|arn| (account.clone(), arn.clone())).filter(|at| managed(&live, at).is_none()));
    }
    let parallelism = usize::from(run.global.parallelism);
    let read = observe::read_documents(&needed, &connected.aws, parallelism);
    let read = session.unless_interrupted(read).await?;
    let document = |account: &Key, arn: &PolicyArn| {
        let at = (account.clone(), arn.clone());
        let document = managed(&live, &at).or_else(|| read.get(&at).cloned());
        let document = document.unwrap_or_else(|| Observed::Unknown("it was not read".to_owned()));
        NamedPolicy { name: short_name(arn), document }
    };
    let roles = found.iter().map(|(key, role)| {
        let account = &desired.roles[*key].account;
        let policies = role.clone().map(|role| {
            let of_role = role.role.inline.iter().map(|(name, document)| inline(name.as_str(), document));
            of_role.chain(role.role.attached.iter().map(|arn| document(account, arn))).collect()
        });
        let boundary = role.present().and_then(|role| role.role.permissions_boundary.as_ref());
        let arn = role.present().map(|role| role.arn.to_string()).unwrap_or_default();
        let id = desired.accounts.get(account).map(|account| account.id.to_string()).unwrap_or_default();
        let boundary = boundary.map(|arn| document(account, arn));
        ((*key).clone(), RolePermissions { key: (*key).clone(), arn, account: id, policies, boundary })
    });
    let roles = roles.collect();
    drop(found);
    Ok(World { desired, live: Some(live), roles })
}

/// The document of a policy that the plan read too.
fn managed(live: &Live, (account, arn): &(Key, PolicyArn)) -> Option<Observed<PolicyDocument>> {
    let policy = live.accounts.get(account)?.policies.get(arn)?;
    Some(policy.clone().map(|live| live.policy.document))
}

impl World {
    /// The declared role of an address, and the binding if it is a ServiceAccount's.
    fn role_of(&self, address: &Address) -> Result<(&Key, Option<&Binding>), Error> {
        let found = match address {
            Address::Role { key } => self.roles.get_key_value(key).map(|(key, _)| (key, None)),
            Address::ServiceAccount { .. } => {
                let chains = Chain::all(&self.desired, &[]);
                let found = chains.into_iter().find(|chain| chain.binding.address().as_ref() == Some(address));
                found.map(|chain| (chain.role_key, Some(chain.binding)))
            }
            Address::OidcProvider { .. } | Address::Policy { .. } | Address::Orphan { .. } => {
                return Err(Error::usage(format!("`{address}` has no permissions of its own"))
                    .hint("ask for a role or a ServiceAccount"));
            }
        };
        found.ok_or_else(|| {
            Error::usage(format!("`{address}` is not an object of this configuration"))
                .hint("`irsa plan` shows the addresses")
        })
    }

    /// What a role or a ServiceAccount may do.
    fn of_object(&self, address: &Address) -> Result<(String, Value, bool), Error> {
        let (key, binding) = self.role_of(address)?;
        let (mut lines, mut list, mut incomplete) = (vec![format!("{address}")], Vec::new(), false);
        let (mut role, mut reason, mut boundary) = (&self.roles[key], None, true);
        let mut policies = role.policies.clone();
        if let Some(binding) = binding {
            match self.annotated(key, binding) {
                Annotated::Role(other) => {
                    role = &self.roles[other];
                    policies = role.policies.clone();
                    let names = || format!("its annotation names role/{other}, and not the declared role/{key}");
                    reason = (other != key).then(names);
                }
                Annotated::None(why) => {
                    (policies, reason, boundary) = (Observed::Present(Vec::new()), Some(why), false);
                }
                Annotated::Other(why) => (policies, boundary) = (Observed::Unknown(why), false),
                Annotated::Unknown(why) => {
                    incomplete = true;
                    reason = Some(format!("unknown: {why}"));
                }
            }
            lines.push(format!("  role: role/{}", role.key));
            lines.extend(reason.iter().map(|why| format!("  {why}")));
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
                reason = Some(why.clone());
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
                    document.statements().iter().map(view::statement_text).collect()
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
            "format-version": FORMAT_VERSION, "address": address.to_string(), "role": role.key.as_str(),
            "reason": reason, "policies": list, "not-considered": NOT_CONSIDERED,
        });
        Ok((text_of(&lines), document, incomplete))
    }

    /// Which ServiceAccounts may do an action.
    ///
    /// # Errors
    /// Wrong usage, if a glob of `only` matches nothing.
    fn who_may(&self, action: &str, resource: &str, only: &[String]) -> Result<(String, Value, bool), Error> {
        let only: Vec<Pattern> = only.iter().map(Pattern::new).collect();
        if let Some(glob) = Chain::unmatched(&self.desired, &only) {
            return Err(Error::usage(format!("`--only '{}'` matches no ServiceAccount", glob.as_str()))
                .hint("addresses look like `role/KEY` or `service-account/CLUSTER/NAMESPACE/NAME`"));
        }
        let mut decisions: BTreeMap<&Key, Decision> = BTreeMap::new();
        let mut decide = |key| decisions.entry(key).or_insert_with(|| self.roles[key].decide(action, resource)).clone();
        let (mut rows, mut others, mut apart) = (Vec::new(), 0, Vec::new());
        for Chain { role_key, binding, .. } in Chain::all(&self.desired, &only) {
            let annotated = self.annotated(role_key, binding);
            let (key, mut decision) = match &annotated {
                Annotated::Role(other) => (*other, decide(other)),
                Annotated::Other(why) => (role_key, Decision::unknown(why.clone())),
                Annotated::None(_) | Annotated::Unknown(_) => (role_key, decide(role_key)),
            };
            if decision.answer == Permitted::No {
                others += 1;
                continue;
            }
            let reach = match annotated {
                Annotated::None(why) => Reach::No(why),
                Annotated::Other(_) => Reach::Yes,
                Annotated::Role(_) => self.trusts(key, binding),
                Annotated::Unknown(why) => match self.trusts(key, binding) {
                    Reach::Yes => Reach::Unknown(why),
                    other => other,
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
            if !decision.unread.is_empty() {
                decision.answer = Permitted::May;
            }
            rows.push(Row { binding, role: key, decision });
        }
        let incomplete = rows.iter().any(|row| row.decision.answer == Permitted::May);
        let mut lines = Vec::new();
        for row in &rows {
            lines.push(format!("{:<4} {}  role/{}", row.decision.answer.as_str(), name_of(row.binding), row.role));
            lines.extend(row.decision.allows.iter().map(|allow| format!("       {}", deciding_text(allow))));
            let limits = row.decision.limits.iter();
            lines.extend(limits.map(|limit| format!("       limited by {}", deciding_text(limit))));
            lines.extend(row.decision.unread.iter().map(|why| format!("       unknown: {why}")));
        }
        lines.extend(apart.iter().map(|why| format!("no   {why}")));
        let count = |wanted: Permitted| rows.iter().filter(|row| row.decision.answer == wanted).count();
        let (yes, conditional, unknown) = (count(Permitted::Yes), count(Permitted::If), count(Permitted::May));
        let no = others + apart.len();
        lines.push(format!("{action} on {resource}: {yes} yes, {conditional} if, {unknown} may, {no} no."));
        lines.push(format!("Not looked at: {NOT_CONSIDERED}."));
        let document = json!({
            "format-version": FORMAT_VERSION, "action": action, "resource": resource,
            "service-accounts": rows.iter().map(Row::to_json).collect::<Vec<_>>(),
            "unreached": apart, "others": others, "not-considered": NOT_CONSIDERED,
        });
        Ok((text_of(&lines), document, incomplete))
    }
}

/// `CLUSTER/NAMESPACE/NAME`
fn name_of(binding: &Binding) -> String {
    let (namespace, name) = binding.subject.names();
    format!("{}/{namespace}/{name}", binding.cluster)
}

/// `inline orders, statement 1: Allow …`
fn deciding_text(deciding: &Deciding) -> String {
    format!("{}, {}: {}", deciding.policy, deciding.name, view::statement_text(&deciding.statement))
}

fn text_of(lines: &[String]) -> String {
    let mut text = lines.iter().map(|line| scrub(line)).collect::<Vec<_>>().join("\n");
    text.push('\n');
    text
}

impl Row<'_> {
    fn to_json(&self) -> Value {
        let Self { binding, role, decision } = self;
        let (namespace, name) = binding.subject.names();
        let list = |all: &[Deciding]| -> Vec<Value> {
            let of = |deciding: &Deciding| {
                json!({
                    "policy": deciding.policy, "statement": deciding.name,
                    "text": view::statement_text(&deciding.statement), "conditions": deciding.conditions,
                })
            };
            all.iter().map(of).collect()
        };
        json!({
            "cluster": binding.cluster.as_str(), "namespace": namespace, "name": name, "role": role.as_str(),
            "answer": decision.answer.as_str(), "allowed-by": list(&decision.allows), "limited-by": list(&decision.limits),
            "unknown": decision.unread,
        })
    }
}
