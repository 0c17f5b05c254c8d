//! `irsa explain ADDRESS`: where an object is declared, what is live, who may assume it, what it may do, its findings.

use super::FORMAT_VERSION;
use crate::cli::Run;
use crate::cli::arguments::{Deny, Fleet, Global, Shape};
use crate::cli::output::{self, Output};
use crate::cli::session::Session;
use crate::config::suggest;
use crate::error::{Error, ExitStatus};
use crate::model::address::Address;
use crate::model::desired::{Binding, Desired};
use crate::model::live::Live;
use crate::model::note::Note;
use crate::model::sanitize::scrub;
use crate::plan::file::change_v2;
use crate::plan::{LiveObject, Plan, live_object};
use crate::view;
use serde_json::json;

/// What one run knows about an object.
struct Explained<'a> {
    address: &'a Address,
    desired: &'a Desired,
    live: &'a Live,
    plan: &'a Plan,
}

pub(super) async fn run(run: Run<'_>, output: &Output<'_>, address: &Address) -> Result<ExitStatus, Error> {
    // a finding is shown, and ends nothing
    let global = Global { deny: Deny::None, only: vec![address.to_string()], ..run.global.clone() };
    let run = Run { global: &global, ..run };
    let session = Session::open(run)?;
    output.spares(session.files())?;
    let options = session.options(&Shape::default(), Fleet::default())?;
    let (connected, plan, live) = session.plan(&options).await?;
    let unread = plan.unknown.iter().any(|item| item.address == address.to_string());
    if !plan.unmatched.is_empty() {
        return Err(unknown(address, &connected.desired));
    }
    let explained = Explained { address, desired: &connected.desired, live: &live, plan: &plan };
    output.print_result(&explained.text(), &explained.document()).await?;
    let incomplete = unread && !global.allow_incomplete;
    Ok(if incomplete { ExitStatus::Refused } else { ExitStatus::Success })
}

fn unknown(address: &Address, desired: &Desired) -> Error {
    let roles = desired.roles.keys().map(Address::role);
    let policies = desired.policies.keys().cloned().map(|(account, key)| Address::Policy { account, key });
    let providers = desired.roles.values().flat_map(|role| {
        let provider = |binding: &Binding| Address::OidcProvider {
            account: role.account.clone(),
            cluster: binding.cluster.clone(),
        };
        role.bindings.iter().map(provider)
    });
    let bindings = desired.roles.values().flat_map(|role| &role.bindings);
    let service_accounts = bindings.filter_map(Binding::address);
    let known = roles.chain(policies).chain(providers).chain(service_accounts);
    let known: Vec<String> = known.map(|address| address.to_string()).collect();
    let near = suggest::nearest(&address.to_string(), known.iter().map(String::as_str));
    let hint = near.map_or_else(
        || "`irsa plan` shows the addresses, `irsa explain` the other words".to_owned(),
        suggest::did_you_mean,
    );
    Error::usage(format!("`{address}` is not an object of this configuration")).hint(hint)
}

impl Explained<'_> {
    /// The findings and remarks about the object, and then the findings that the configuration ignores.
    fn notes(&self) -> impl Iterator<Item = &Note> {
        let address = self.address.to_string();
        self.plan.notes.iter().chain(&self.plan.ignored).filter(move |note| note.address == address)
    }

    /// `file:line` of the declaration.
    fn declared(&self) -> Option<String> {
        self.desired.origin(self.address).map(ToString::to_string)
    }

    fn object(&self) -> LiveObject {
        live_object(self.address, self.desired, self.live)
    }

    /// The state in a few words, and what to do next.
    fn state(&self) -> String {
        let address = self.address.to_string();
        if let Some(item) = self.plan.unknown.iter().find(|item| item.address == address) {
            return format!("unknown: {}", item.why);
        }
        if let Some(item) = self.plan.refused.iter().find(|item| item.address == address) {
            return format!("refused: {}; {}", item.reason(), item.hint);
        }
        if let Some(step) = self.plan.steps.iter().find(|step| step.address == *self.address) {
            let action = step.change.action().as_str();
            return format!("`irsa apply` would {action} it; `irsa plan --only '{address}'` shows how");
        }
        if self.plan.waiting.contains(self.address) {
            return "it waits; the note below says for what".to_owned();
        }
        match self.object() {
            LiveObject::Read(_) => "as declared".to_owned(),
            LiveObject::Listed => "it exists, and was not compared".to_owned(),
            LiveObject::NotFound => "it does not exist".to_owned(),
        }
    }

    fn live_lines(&self) -> Vec<String> {
        let account = match self.address {
            Address::Role { key } => self.desired.roles.get(key).map(|role| &role.account),
            _ => None,
        };
        let account = account.and_then(|key| self.desired.accounts.get(key)).map(|account| account.id.to_string());
        match self.object() {
            LiveObject::Read(live) => view::live_lines(self.address, &live, &self.plan.names, account.as_deref()),
            LiveObject::Listed => vec!["it exists; irsa did not read it".to_owned()],
            LiveObject::NotFound => Vec::new(),
        }
    }

    fn text(&self) -> String {
        let declared = self.declared().map(|origin| format!("  {origin}")).unwrap_or_default();
        let mut lines = vec![format!("{}{declared}", self.address), format!("  state: {}", self.state())];
        lines.extend(self.live_lines().into_iter().map(|line| format!("  {line}")));
        for note in self.notes() {
            lines.push(format!("  {}", output::finding(note)));
        }
        let mut text: String = lines.iter().map(|line| scrub(line)).collect::<Vec<_>>().join("\n");
        text.push('\n');
        text
    }

    fn document(&self) -> serde_json::Value {
        let live = match self.object() {
            LiveObject::Read(live) => change_v2(self.address, &live).after,
            LiveObject::Listed | LiveObject::NotFound => serde_json::Value::Null,
        };
        let notes = self.notes().map(|note| {
            let ignored = note.ignored.as_ref().map(|ignored| &ignored.reason);
            json!({
                "rule": note.rule, "severity": note.severity.as_str(), "origin": note.origin, "text": note.text,
                "ignored": ignored,
            })
        });
        json!({ "format-version": FORMAT_VERSION, "object": {
            "address": self.address.to_string(), "declared": self.declared(), "state": self.state(), "live": live,
            "summary": self.live_lines(), "notes": notes.collect::<Vec<_>>(),
        }})
    }
}
