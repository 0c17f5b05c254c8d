//! Writes what `irsa verify` found: a table with what to do below it, one JSON document, or JUnit XML.

mod junit;
mod table;

pub use junit::junit;
pub use table::text;

use super::write_text;
use crate::model::sanitize::printable;
use crate::verify::{ChainLinks, Link, Status};
use serde::Serialize;
use std::io::{self, Write};

/// The format version of the JSON. New keys raise the minor version, changed keys the major version.
pub const VERIFICATION_FORMAT_VERSION: &str = "1.1";

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct VerificationV1<'a> {
    format_version: &'static str,
    irsa_version: &'static str,
    service_accounts: Vec<ServiceAccountV1<'a>>,
    summary: SummaryV1,
}

#[derive(Debug, Serialize)]
struct ServiceAccountV1<'a> {
    address: &'a str,
    cluster: &'a str,
    namespace: &'a str,
    name: &'a str,
    role: &'a str,
    links: Vec<LinkV1<'a>>,
}

#[derive(Debug, Serialize)]
struct LinkV1<'a> {
    link: &'static str,
    status: &'static str,
    text: &'a str,
    hint: Option<String>,
}

/// The counts of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SummaryV1 {
    /// All chains.
    pub service_accounts: usize,
    /// Without a broken or unseen link, and not missing.
    pub ok: usize,
    /// With a broken link.
    pub failed: usize,
    /// With an unseen link, and none that is broken.
    pub unknown: usize,
    /// ServiceAccounts that do not exist, without a broken or unseen link.
    pub missing: usize,
}

impl SummaryV1 {
    /// Counts chains by their worst link.
    pub fn of(chains: &[ChainLinks]) -> Self {
        let count = |wanted: Status| chains.iter().filter(|chain| chain.status() == wanted).count();
        let (failed, unknown) = (count(Status::Failed), count(Status::Unknown));
        let is_missing = |chain: &&ChainLinks| chain.is_missing && chain.status() < Status::Unknown;
        let missing = chains.iter().filter(is_missing).count();
        let service_accounts = chains.len();
        Self { service_accounts, ok: service_accounts - failed - unknown - missing, failed, unknown, missing }
    }
}

/// Writes one JSON document.
///
/// # Errors
/// If `out` does not take all bytes.
pub fn json(chains: &[ChainLinks], out: &mut dyn Write) -> io::Result<()> {
    let document = VerificationV1 {
        format_version: VERIFICATION_FORMAT_VERSION,
        irsa_version: env!("CARGO_PKG_VERSION"),
        service_accounts: chains.iter().map(service_account).collect(),
        summary: SummaryV1::of(chains),
    };
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    write_text(&printable(&text), out)
}

fn service_account(chain: &ChainLinks) -> ServiceAccountV1<'_> {
    let ChainLinks { address, cluster, namespace, name, role, links, .. } = chain;
    ServiceAccountV1 { address, cluster, namespace, name, role, links: links.iter().map(link).collect() }
}

fn link(link: &Link) -> LinkV1<'_> {
    let Link { kind, status, text, hints } = link;
    let hint = (!hints.is_empty()).then(|| hints.join("\n"));
    LinkV1 { link: kind.word(), status: status.as_str(), text, hint }
}

#[cfg(test)]
mod tests;
