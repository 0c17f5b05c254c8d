//! `irsa access`: which ServiceAccounts may do an action, or what an object may do.

use super::Run;
use super::arguments::{Access, Deny, Global};
use super::output::Output;
use super::session::{self, Session};
use crate::access::{Deciding, Decision, NamedPolicy, Permitted, RolePermissions, assumes};
use crate::error::{Error, ExitStatus};
use crate::ids::{Key, PolicyArn, ProviderArn, RoleArn};
use crate::model::address::Address;
use crate::model::desired::{Attachment, Binding, Boundary, Desired, Manage, Role, Subject};
use crate::model::evidence::Chain;
use crate::model::live::{Live, LiveRole, Observed};
use crate::model::marks::ROLE_ARN;
use crate::model::pattern::Pattern;
use crate::model::pattern::any_matches;
use crate::model::sanitize::scrub;
use crate::observe;
use crate::policy::PolicyDocument;
use crate::policy::evaluate::Truth;
use crate::render::Format;
use crate::view;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const FORMATS: &[Format] = &[Format::Text, Format::Json];
/// The version of the JSON form. New keys raise the minor number, changed keys the major one.
const FORMAT_VERSION: &str = "1.0";
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
    }
    // findings do not matter here
    let global = Global { deny: Deny::None, only: Vec::new(), ..run.global.clone() };
    let inner = Run { global: &global, ..run };
    let world = if arguments.declared { declared(inner)? } else { live(inner, &output).await? };
    let (text, document, incomplete) = match question {
        Some(address) => world.of_object(&address)?,
        None => world.who_may(&arguments.what, &arguments.resource, &run.global.only),
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
    let read = observe::documents(&needed, &connected.aws, parallelism);
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
    fn role_of(&self, address: &Address) -> Result<&Key, Error> {
        let found = match address {
            Address::Role { key } => self.roles.get_key_value(key).map(|(key, _)| key),
            Address::ServiceAccount { cluster, namespace, name } => {
                let subject = Subject::Exact(namespace.clone(), name.clone());
                let bound = |binding: &Binding| binding.cluster == *cluster && binding.subject == subject;
                self.desired.roles.iter().find(|(_, role)| role.bindings.iter().any(bound)).map(|(key, _)| key)
            }
            Address::OidcProvider { .. } | Address::Policy { .. } | Address::Orphan { .. } => {
                return Err(Error::usage(format!("`{address}` has no permissions of its own"))
                    .hint("ask for a role or a ServiceAccount"));
            }
        };
        found.ok_or_else(|| {
            Error::usage(format!("`{address}` is no object of this configuration"))
                .hint("`irsa plan` shows the addresses")
        })
    }

    /// What a role or a ServiceAccount may do.
    fn of_object(&self, address: &Address) -> Result<(String, Value, bool), Error> {
        let role = &self.roles[self.role_of(address)?];
        let (mut lines, mut list, mut incomplete) = (vec![format!("{address}")], Vec::new(), false);
        if matches!(address, Address::ServiceAccount { .. }) {
            lines.push(format!("  role: role/{}", role.key));
        }
        let policies = match &role.policies {
            Observed::Present(policies) => policies.as_slice(),
            Observed::Absent => {
                lines.push("  the role does not exist".to_owned());
                &[]
            }
            Observed::Unknown(why) => {
                incomplete = true;
                lines.push(format!("  unknown: {why}"));
                &[]
            }
        };
        let all =
            policies.iter().map(|policy| (policy, false)).chain(role.boundary.iter().map(|policy| (policy, true)));
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
            "policies": list, "not-considered": NOT_CONSIDERED,
        });
        Ok((text_of(&lines), document, incomplete))
    }

    /// Which ServiceAccounts may do an action.
    fn who_may(&self, action: &str, resource: &str, only: &[String]) -> (String, Value, bool) {
        let only: Vec<Pattern> = only.iter().map(Pattern::new).collect();
        let (mut rows, mut others, mut apart) = (Vec::new(), 0, Vec::new());
        for (key, role) in &self.desired.roles {
            let decision = self.roles[key].decide(action, resource);
            for binding in &role.bindings {
                let name = name_of(binding);
                let addresses = [format!("role/{key}"), format!("service-account/{name}")];
                if !only.is_empty() && !addresses.iter().any(|address| any_matches(&only, address)) {
                    continue;
                }
                if decision.answer == Permitted::No {
                    others += 1;
                    continue;
                }
                let mut decision = decision.clone();
                match self.reaches(role, key, binding) {
                    Reach::Yes => {}
                    Reach::Unknown(why) => decision.unread.push(why),
                    Reach::No(why) => {
                        apart.push(format!("{name}: {why}"));
                        continue;
                    }
                }
                if !decision.unread.is_empty() {
                    decision.answer = Permitted::May;
                }
                rows.push(Row { binding, role: key, decision });
            }
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
        (text_of(&lines), document, incomplete)
    }

    /// Whether the pods of a ServiceAccount get the role: the OIDC provider and the trust policy let their tokens in, and
    /// the annotation names it. With `--declared` they always do.
    fn reaches(&self, role: &Role, key: &Key, binding: &Binding) -> Reach {
        let Some(live) = &self.live else { return Reach::Yes };
        let Some(found) = live.role(&role.account, &role.name).present().copied() else {
            return Reach::Unknown("the role could not be read".to_owned());
        };
        let cluster = live.clusters.get(&binding.cluster);
        let Some(issuer) = cluster.and_then(|cluster| cluster.issuer.present()) else {
            return Reach::Unknown(format!("the issuer of cluster `{}` is not known", binding.cluster));
        };
        let Some(account) = self.desired.accounts.get(&role.account) else { return Reach::Yes };
        let provider = ProviderArn::of(&account.partition, &account.id, issuer);
        let claim = binding.subject.claim();
        let subject = match &binding.subject {
            Subject::Exact(namespace, name) => Some((namespace.clone(), name.clone())),
            Subject::Wildcard { .. } => None,
        };
        let read = subject.as_ref().and_then(|subject| cluster?.service_accounts.get(subject));
        let chain = Chain { role_key: key, role, binding, is_fresh: false };
        let audience = chain.audience(read.and_then(Observed::present));
        match accepts(live, role, &provider, audience) {
            Reach::Yes => {}
            other => return other,
        }
        let trusted = assumes(&found.role.trust, provider.as_str(), issuer.host_path(), audience, &claim);
        match trusted {
            Truth::False => return Reach::No(format!("the trust policy of role/{key} does not let it in")),
            Truth::Unknown => return Reach::Unknown(format!("whether the trust policy of role/{key} lets it in")),
            Truth::True => {}
        }
        if subject.is_none() {
            return Reach::Yes;
        }
        match read {
            Some(Observed::Present(live)) => match live.annotations.get(ROLE_ARN) {
                Some(arn) if RoleArn::parse(arn).is_ok_and(|arn| arn == found.arn) => Reach::Yes,
                Some(arn) => Reach::No(format!("its annotation names another role, {arn}")),
                None => Reach::No("it has no annotation with a role".to_owned()),
            },
            Some(Observed::Unknown(why)) => Reach::Unknown(why.clone()),
            // whoever creates it decides on its annotation
            None | Some(Observed::Absent) if binding.manage == Manage::None => Reach::Yes,
            Some(Observed::Absent) => Reach::No("it does not exist".to_owned()),
            None => Reach::Unknown("the ServiceAccount was not read".to_owned()),
        }
    }
}

/// Whether pods get a role.
enum Reach {
    Yes,
    /// It is not known; the text says why.
    Unknown(String),
    No(String),
}

/// Whether the account of a role has the OIDC provider, and it accepts the audience.
fn accepts(live: &Live, role: &Role, provider: &ProviderArn, audience: &str) -> Reach {
    let Some(account) = live.accounts.get(&role.account) else {
        return Reach::Unknown(format!("account `{}` was not read", role.account));
    };
    match (account.providers.get(provider), &account.providers_listed) {
        (Some(Observed::Present(found)), _) if found.provider.audiences.contains(audience) => Reach::Yes,
        (Some(Observed::Present(_)), _) => {
            Reach::No(format!("the OIDC provider does not accept the audience `{audience}` of its tokens"))
        }
        (Some(Observed::Unknown(why)), _) | (None, Observed::Unknown(why)) => Reach::Unknown(why.clone()),
        (Some(Observed::Absent) | None, _) => {
            Reach::No(format!("account `{}` has no OIDC provider for its cluster", role.account))
        }
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
