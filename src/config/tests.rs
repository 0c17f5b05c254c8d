//! Tests of whole configurations: the errors of broken ones, and what valid ones resolve to.

mod broken;
mod examples;
mod hostile;
mod keys;
mod meaning;
mod random;
mod wrong_document;

use super::{Configuration, Diagnostics, Identities, load};
use crate::ids::{AccountId, Key, Partition, Region};
use crate::model::desired::Desired;
use std::path::PathBuf;
use tempfile::TempDir;

/// A folder with configuration files in it.
struct Folder(TempDir);

impl Folder {
    /// The files in `text`, each below a line `=== NAME`.
    fn of(text: &str) -> Self {
        let folder = Self(TempDir::new().unwrap());
        for part in text.split("=== ").filter(|part| !part.trim().is_empty()) {
            let (name, content) = part.split_once('\n').unwrap();
            folder.write(name.trim(), content);
        }
        folder
    }

    /// A folder with `irsa.toml` alone.
    fn alone(text: &str) -> Self {
        let folder = Self(TempDir::new().unwrap());
        folder.write("irsa.toml", text);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "tests write what is read")]
    fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn load(&self) -> Result<Configuration, Diagnostics> {
        load(&self.path("irsa.toml"))
    }

    /// Loads and resolves offline.
    fn resolve(&self) -> Result<Desired, Diagnostics> {
        self.load()?.resolve(&Identities::default())
    }
}

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

/// The account `default` in this partition and a default region, as if EKS were about to be called.
fn online(partition: &str) -> Identities {
    let account = (AccountId::parse("999988887777").unwrap(), Partition::parse(partition).unwrap());
    Identities {
        accounts: [(key("default"), account)].into(),
        default_region: Some(Region::parse("eu-west-1").unwrap()),
        online: true,
        provisional: false,
    }
}

fn rendered(diagnostics: &Diagnostics) -> String {
    let mut out = Vec::new();
    diagnostics.render(&mut out, false).unwrap();
    String::from_utf8(out).unwrap()
}

/// The errors of a configuration that must be refused, as text.
#[track_caller]
fn errors_of(folder: &Folder) -> String {
    rendered(&folder.resolve().expect_err("the configuration is invalid"))
}

/// Resolves a configuration of one file, which must be valid.
#[track_caller]
fn desired(text: &str) -> Desired {
    Folder::alone(text).resolve().unwrap_or_else(|diagnostics| panic!("{}", rendered(&diagnostics)))
}
