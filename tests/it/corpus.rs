//! Runs the fuzz targets without a fuzzer: on every file of `fuzz/corpus`, and on some thousand inputs made from these
//! files.
//!
//! The inputs are numbered and the same in every run.

#[expect(unreachable_pub, reason = "the fuzz programs call it from another crate")]
#[path = "../../fuzz/src/lib.rs"]
pub(crate) mod targets;

use crate::support::program::tell;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use targets::{TARGETS, Target};

/// Fragments that have a meaning for one of the parsers.
const PIECES: [&str; 48] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    ":",
    ",",
    "=",
    "\n",
    "\r\n",
    " ",
    "\\",
    "/",
    "%7B",
    "%22",
    "%",
    "\\u0041",
    "\u{feff}",
    "\u{1b}[31m",
    "\u{202e}",
    "ä",
    "🦀",
    "null",
    "true",
    "-0",
    "1e999",
    "0.1",
    "*",
    "?",
    "${aws:username}",
    "{{ owner }}",
    "{% if x %}",
    "{#",
    "\"Version\":\"2008-10-17\"",
    "\"Principal\":\"*\"",
    "\"Effect\":\"Deny\"",
    "\"Condition\":{}",
    "\"AWS\":",
    "arn:aws:iam::111122223333:",
    "https://",
    "<Code>NoSuchEntity</Code>",
    "<Message>",
    "SECRET",
    "\"reason\":\"NotFound\"",
    "[roles.x]\n",
    "service-accounts = [\"a/b\"]\n",
    "include = [\"*\"]\n",
];

fn corpus(name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("an entry").path();
        let bytes = fs::read(&path).expect("a file");
        (path, bytes)
    };
    files.map(read).collect()
}

/// Changes the input in a few positions.
fn mutated(random: &mut fastrand::Rng, seeds: &[&Vec<u8>]) -> Vec<u8> {
    let pick = |random: &mut fastrand::Rng| seeds[random.usize(..seeds.len())].clone();
    let mut bytes = pick(random);
    for _ in 0..random.usize(1..6) {
        let start = random.usize(..=bytes.len());
        let end = random.usize(start..=bytes.len().min(start + 24));
        match random.usize(..6) {
            0 => drop(bytes.drain(start..end)),
            1 => {
                let again: Vec<u8> = bytes[start..end].to_vec();
                drop(bytes.splice(start..start, again));
            }
            2 if start < end => bytes[start] = random.u8(..),
            3 => {
                let other = pick(random);
                let from = random.usize(..=other.len());
                bytes.truncate(start);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let piece = PIECES[random.usize(..PIECES.len())].bytes();
                drop(bytes.splice(start..end, piece));
            }
        }
    }
    bytes
}

/// Runs the target on an input. On failure it names the input.
fn holds(name: &str, what: &str, target: Target, input: &[u8]) {
    let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
    assert!(outcome.is_ok(), "target `{name}`, {what}: {:?}", String::from_utf8_lossy(input));
}

/// Replays the corpus of a target, and runs `count` inputs made from it.
fn holds_for_all(name: &str, count: u64) {
    let (_, target) = TARGETS.into_iter().find(|(other, _)| *other == name).expect("a target");
    let corpus = corpus(name);
    assert!(corpus.len() >= 4, "the corpus of `{name}` is too small");
    for (path, bytes) in &corpus {
        holds(name, &path.display().to_string(), target, bytes);
    }
    let seeds: Vec<&Vec<u8>> = corpus.values().collect();
    for case in 0..count {
        let mut random = fastrand::Rng::with_seed(case);
        holds(name, &format!("input {case}"), target, &mutated(&mut random, &seeds));
    }
    tell(&format!("target `{name}`: {} files, {count} inputs made from them", corpus.len()));
}

#[test]
fn addresses_names_and_arns_round_trip() {
    holds_for_all("address", 5_000);
}

#[test]
fn service_answer_is_parsed_or_is_an_error_without_secrets() {
    holds_for_all("answer", 1_000);
}

#[test]
fn configuration_reads_the_same_every_time() {
    holds_for_all("config", 1_000);
}

#[test]
fn issuer_round_trips_through_its_provider_arn() {
    holds_for_all("issuer", 5_000);
}

#[test]
fn percent_encoding_is_decoded_once() {
    holds_for_all("percent", 3_000);
}

#[test]
fn plan_file_is_unchanged_or_refused() {
    holds_for_all("plan", 2_000);
}

#[test]
fn policy_round_trips() {
    holds_for_all("policy", 3_000);
}

#[test]
fn template_is_rendered_or_refused() {
    holds_for_all("template", 1_000);
}

/// A target without a fuzz program would never be fuzzed, and a corpus without a target never replayed.
#[test]
fn every_target_has_a_program_and_a_corpus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("the manifest");
    for (name, _) in TARGETS {
        let program = fs::read_to_string(root.join(format!("fuzz_targets/{name}.rs"))).expect("a program");
        assert!(program.contains(&format!("irsa_fuzz::{name}(data)")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
    for (folder, wanted) in [("corpus", TARGETS.len()), ("fuzz_targets", TARGETS.len())] {
        assert_eq!(fs::read_dir(root.join(folder)).expect("a folder").count(), wanted, "{folder}");
    }
}
