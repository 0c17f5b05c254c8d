//! What `irsa import` prints when it has written its files.

use super::Importer;
use crate::config::Configuration;
use crate::import::{self, Imported, Seen};
use crate::verify::shell_word;
use crate::view::count;
use std::collections::BTreeSet;

/// Prints what was left out, what was written, and what to do next.
pub(super) fn print(importer: &Importer<'_>, seen: &Seen, result: &Imported) {
    let Importer { run, arguments, configuration, inside } = importer;
    let include = configuration.as_ref().and_then(Configuration::first_include);

    for text in &seen.unseen {
        run.ui.warning(&format!("not read: {text}"));
    }
    for text in &result.left_out {
        run.ui.warning(&format!("not declared: {text}"));
    }
    let words =
        [("cluster", "clusters"), ("role", "roles"), ("ServiceAccount", "ServiceAccounts"), ("policy", "policies")];
    let counts = result.counts.iter().zip(words);
    let counts: Vec<String> = counts.map(|(number, (one, many))| count(*number, one, many)).collect();
    let top = arguments.out.join(import::top_file(inside.is_some()));
    run.ui.message(&format!("wrote `{}`: {}", top.display(), counts.join(", ")));
    let config = if inside.is_none() {
        shell_word(&top.display().to_string())
    } else {
        let names = result.files.iter().filter_map(|(name, _)| match name.split_once('/') {
            Some(("roles", _)) => Some("roles/*.toml"),
            Some(_) => None,
            None => Some(name.as_str()),
        });
        let names: BTreeSet<String> = names.map(|name| importer.name(name)).collect();
        let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let (names, file) = (names.join(", "), run.global.config().display().to_string());
        run.ui.message(&match include {
            Some(origin) => format!("add to `include` at {}:{}: {names}", origin.file, origin.line),
            None => format!("add to `{file}`: include = [{names}]"),
        });
        shell_word(&file)
    };
    run.ui
        .message(&format!("read the files, then run `irsa validate -c {config}` and `irsa plan -c {config} --adopt`"));
}
