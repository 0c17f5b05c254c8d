//! `irsa explain ADDRESS`: where an object is declared, what is live, who may assume it, what it may do, its findings.

use super::FORMAT_VERSION;
use crate::access::policy_name;
use crate::cli::Run;
use crate::cli::arguments::{Deny, Fleet, Global, Shape};
use crate::cli::output::{self, Output};
use crate::cli::session::Session;
use crate::config::suggest;
use crate::error::{Error, ExitStatus};
use crate::ids::{Key, PolicyArn};
use crate::model::address::Address;
use crate::model::desired::{Attachment, Binding, ClusterState, Desired, Manage, Subject};
use crate::model::live::Live;
use crate::model::note::Note;
use crate::model::origin::Origin;
use crate::model::resource::{Provider, Role};
use crate::model::sanitize::scrub;
use crate::plan::file::change_v2;
use crate::plan::{Change, LiveObject, Plan, ResourceChange, live_object};
use crate::view;
use serde_json::json;
use std::collections::BTreeSet;

/// What one run knows about an object.
struct Explained<'a> {
    /// The address as text.
    text: &'a str,
    /// None for a pattern of ServiceAccounts.
    address: Option<Address>,
    desired: &'a Desired,
    live: &'a Live,
    plan: &'a Plan,
    /// Where a policy is declared that no role of its account attaches.
    unattached: Option<&'a Origin>,
}

pub(super) async fn run(run: Run<'_>, output: &Output<'_>, text: &str) -> Result<ExitStatus, Error> {
    // A finding is shown, and ends nothing. A plan of one object would refuse it because of those that are left out.
    let global = Global { deny: Deny::None, only: Vec::new(), ..run.global.clone() };
    let run = Run { global: &global, ..run };
    let session = Session::open(run)?;
    output.spares(session.files())?;
    let options = session.options(&Shape::default(), Fleet::default())?;
    let (connected, plan, live) = session.plan(&options).await?;
    let desired = &connected.desired;
    let address = text.parse().ok();
    let unattached = match &address {
        Some(Address::Policy { account, key })
            if desired.accounts.contains_key(account)
                && !desired.policies.contains_key(&(account.clone(), key.clone())) =>
        {
            session.policy_origin(key)
        }
        _ => None,
    };
    let explained = Explained { text, address, desired, live: &live, plan: &plan, unattached };
    if !explained.is_known() {
        return Err(explained.unknown(session.policy_keys()));
    }
    let incomplete = explained.unread().is_some() && !global.allow_incomplete;
    output.print_result(&explained.text(), &explained.document()).await?;
    Ok(if incomplete { ExitStatus::Refused } else { ExitStatus::Success })
}

impl Explained<'_> {
    /// The declared addresses, and those of the plan.
    fn addresses<'k>(&self, policies: impl Iterator<Item = &'k Key>) -> BTreeSet<String> {
        let Self { desired, plan, .. } = self;
        let roles = desired.roles.keys().map(Address::role);
        let declared = policies.flat_map(|key| {
            let of = |account: &Key| Address::Policy { account: account.clone(), key: key.clone() };
            desired.accounts.keys().map(of).collect::<Vec<_>>()
        });
        let attached = desired.policies.keys().cloned().map(|(account, key)| Address::Policy { account, key });
        let providers = desired.roles.values().flat_map(|role| {
            let provider = |binding: &Binding| Address::OidcProvider {
                account: role.account.clone(),
                cluster: binding.cluster.clone(),
            };
            role.bindings.iter().map(provider)
        });
        let changed = plan.changes().map(|step| step.address.clone());
        let others = plan.unchanged.iter().chain(&plan.waiting).cloned();
        let objects = roles.chain(declared).chain(attached).chain(providers).chain(changed).chain(others);
        let mut texts: BTreeSet<String> = objects.map(|address| address.to_string()).collect();
        texts.extend(self.bindings().map(|(_, binding)| binding.address_text()));
        let refused = plan.refused.iter().map(|item| &item.address);
        let unknown = plan.unknown.iter().map(|item| &item.address);
        let noted = plan.notes.iter().chain(&plan.ignored).map(|note| &note.address);
        let named = refused.chain(unknown).chain(noted).filter(|text| text.parse::<Address>().is_ok());
        texts.extend(named.cloned());
        texts
    }

    fn is_known(&self) -> bool {
        let known = self.addresses(std::iter::empty());
        self.unattached.is_some() || known.contains(self.text) || self.binding().is_some()
    }

    fn unknown<'k>(&self, policies: impl Iterator<Item = &'k Key>) -> Error {
        let known = self.addresses(policies);
        let near = suggest::nearest(self.text, known.iter().map(String::as_str));
        let hint = near.map_or_else(
            || "`irsa plan` shows the addresses, `irsa explain` the other words".to_owned(),
            suggest::did_you_mean,
        );
        Error::usage(format!("`{}` is not an object of this configuration", self.text)).hint(hint)
    }

    fn bindings(&self) -> impl Iterator<Item = (&Key, &Binding)> {
        self.desired.roles.iter().flat_map(|(key, role)| role.bindings.iter().map(move |binding| (key, binding)))
    }

    /// The role and the binding of a ServiceAccount: by name, else by a pattern that matches it.
    fn binding(&self) -> Option<(&Key, &Binding)> {
        let by_name = self.bindings().find(|(_, binding)| binding.address_text() == self.text);
        by_name.or_else(|| {
            let Some(Address::ServiceAccount { cluster, namespace, name }) = &self.address else { return None };
            let matches = |binding: &Binding| binding.cluster == *cluster && binding.subject.matches(namespace, name);
            self.bindings().find(|(_, binding)| matches(binding))
        })
    }

    /// The findings and remarks about the object and, for a role, about the declared policies that it attaches. Then
    /// those that the configuration ignores.
    fn notes(&self) -> impl Iterator<Item = &Note> {
        let mut addresses = BTreeSet::from([self.text.to_owned()]);
        if let Some(Address::Role { key }) = &self.address
            && let Some(role) = self.desired.roles.get(key)
        {
            addresses.extend(role.attach.iter().filter_map(|attachment| match attachment {
                Attachment::Declared(key) => {
                    Some(Address::Policy { account: role.account.clone(), key: key.clone() }.to_string())
                }
                Attachment::Arn(_) => None,
            }));
        }
        self.plan.notes.iter().chain(&self.plan.ignored).filter(move |note| addresses.contains(&note.address))
    }

    /// `file:line` of the declaration. A provider follows from its cluster.
    fn declared(&self) -> Option<String> {
        let of_binding = || self.binding().map(|(_, binding)| &binding.origin);
        let origin = match &self.address {
            Some(Address::OidcProvider { cluster, .. }) => {
                self.desired.clusters.get(cluster).map(|cluster| &cluster.origin)
            }
            Some(Address::ServiceAccount { .. }) | None => of_binding(),
            Some(address) => self.desired.origin(address).or(self.unattached),
        };
        origin.map(ToString::to_string)
    }

    /// None for a pattern, and for a policy that has no live object.
    fn object(&self) -> Option<LiveObject> {
        let address = self.address.as_ref().filter(|_| self.unattached.is_none())?;
        Some(live_object(address, self.desired, self.live))
    }

    /// The state as the plan knows it.
    fn planned(&self) -> Option<String> {
        let text = self.text;
        if let Some(item) = self.plan.refused.iter().find(|item| item.address == text) {
            return Some(format!("refused: {}; {}", item.reason(), item.hint));
        }
        if let Some(step) = self.plan.steps.iter().find(|step| step.address.to_string() == text) {
            let action = step.change.action().as_str();
            return Some(format!("`irsa apply` would {action} it; `irsa plan --only '{text}'` shows how"));
        }
        let waits = self.plan.waiting.iter().any(|address| address.to_string() == text);
        waits.then(|| "it waits; the note below says for what".to_owned())
    }

    /// Why the object was not read. None if it was, or if the plan decides on it without its live object.
    fn unread(&self) -> Option<String> {
        let own = self.plan.unknown.iter().find(|item| item.address == self.text).map(|item| item.why.clone());
        own.or_else(|| match self.object() {
            Some(LiveObject::Unread(why)) if self.planned().is_none() => Some(why),
            _ => None,
        })
    }

    /// The state in a few words, and what to do next.
    fn state(&self) -> String {
        if let Some(why) = self.unread() {
            return format!("unknown: {why}");
        }
        if let Some(planned) = self.planned() {
            return planned;
        }
        let object = self.object();
        if let (Some((role, binding)), false) = (self.binding(), self.is_managed()) {
            let (_, name) = binding.subject.names();
            let cluster = self.desired.clusters.get(&binding.cluster);
            let state = match &binding.subject {
                _ if cluster.is_some_and(|cluster| cluster.state == ClusterState::Gone) => {
                    "its cluster has `state = \"gone\"`".to_owned()
                }
                Subject::Exact(..) => "irsa does not manage it (`manage = \"none\"`)".to_owned(),
                Subject::Wildcard { .. } if self.address.is_none() => {
                    format!("a pattern: irsa manages no ServiceAccount that it matches, role/{role} trusts all of them")
                }
                Subject::Wildcard { .. } => {
                    format!("irsa does not manage it; role/{role} trusts it, because `{name}` matches its name")
                }
            };
            let absent = if object == Some(LiveObject::NotFound) { "; it does not exist" } else { "" };
            return format!("{state}{absent}");
        }
        match object {
            Some(LiveObject::Read(_)) => "as declared".to_owned(),
            Some(LiveObject::Listed) => "it exists, and was not compared".to_owned(),
            Some(LiveObject::NotFound | LiveObject::Unread(_)) => "it does not exist".to_owned(),
            None => "no role of this account attaches it, so irsa does not create it".to_owned(),
        }
    }

    /// Whether irsa writes the ServiceAccount.
    fn is_managed(&self) -> bool {
        self.binding().is_some_and(|(_, binding)| {
            let cluster = self.desired.clusters.get(&binding.cluster);
            binding.manage != Manage::None && cluster.is_some_and(|cluster| cluster.state == ClusterState::Active)
        })
    }

    fn live_lines(&self) -> Vec<String> {
        let account = match &self.address {
            Some(Address::Role { key }) => self.desired.roles.get(key).map(|role| &role.account),
            _ => None,
        };
        let account = account.and_then(|key| self.desired.accounts.get(key)).map(|account| account.id.to_string());
        match (&self.address, self.object()) {
            (Some(address), Some(LiveObject::Read(live))) => {
                let mut lines = view::live_lines(address, &live, &self.plan.names, account.as_deref());
                match &live {
                    ResourceChange::Role(change) => {
                        if let Change::Create { after } = &**change {
                            lines.extend(self.policy_lines(after));
                        }
                    }
                    ResourceChange::Provider(Change::Create { after }) => lines.extend(provider_lines(after)),
                    _ => {}
                }
                lines
            }
            (Some(_), Some(LiveObject::Listed)) => vec!["it exists; irsa did not read it".to_owned()],
            (None, _) => self.binding().map(|(role, _)| format!("role: role/{role}")).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// The statements of the managed policies that a role attaches, and of its boundary.
    fn policy_lines(&self, role: &Role) -> Vec<String> {
        let attached = role.attached.iter().map(|arn| ("policy", arn));
        let all = attached.chain(role.permissions_boundary.iter().map(|arn| ("boundary", arn)));
        all.flat_map(|(what, arn)| self.statement_lines(what, arn)).collect()
    }

    fn statement_lines(&self, what: &str, arn: &PolicyArn) -> Vec<String> {
        let name = policy_name(arn);
        let Some(document) = self.plan.names.documents.get(arn.as_str()) else {
            return vec![format!("{what} {name}: `irsa access {}` reads its statements", self.text)];
        };
        if !document.is_parsed() {
            return vec![format!("{what} {name}: it cannot be parsed, and may allow anything")];
        }
        let statements = document.statements().iter().map(|statement| format!("  {}", view::statement_text(statement)));
        std::iter::once(format!("{what} {name}")).chain(statements).collect()
    }

    fn text(&self) -> String {
        let declared = self.declared().map(|origin| format!("  {origin}")).unwrap_or_default();
        let mut lines = vec![format!("{}{declared}", self.text), format!("  state: {}", self.state())];
        lines.extend(self.live_lines().into_iter().map(|line| format!("  {line}")));
        for note in self.notes() {
            lines.push(format!("  {}", output::finding(note)));
        }
        let mut text: String = lines.iter().map(|line| scrub(line)).collect::<Vec<_>>().join("\n");
        text.push('\n');
        text
    }

    fn document(&self) -> serde_json::Value {
        let live = match (&self.address, self.object()) {
            (Some(address), Some(LiveObject::Read(live))) => change_v2(address, &live).after,
            _ => serde_json::Value::Null,
        };
        let notes = self.notes().map(|note| {
            let ignored = note.ignored.as_ref().map(|ignored| &ignored.reason);
            json!({
                "address": note.address, "rule": note.rule, "severity": note.severity.as_str(), "origin": note.origin,
                "text": note.text, "ignored": ignored,
            })
        });
        json!({ "format-version": FORMAT_VERSION, "object": {
            "address": self.text, "declared": self.declared(), "state": self.state(), "live": live,
            "summary": self.live_lines(), "notes": notes.collect::<Vec<_>>(),
        }})
    }
}

fn provider_lines(provider: &Provider) -> Vec<String> {
    let list = |texts: Vec<String>| if texts.is_empty() { "none".to_owned() } else { texts.join(", ") };
    let tags = provider.tags.iter().map(|(key, value)| format!("{key} = {value}"));
    vec![
        format!("url: {}", provider.url),
        format!("audiences: {}", list(provider.audiences.iter().cloned().collect())),
        format!("tags: {}", list(tags.collect())),
    ]
}
