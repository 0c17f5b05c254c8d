//! Random configurations: reading them never panics and always gives the same result.

use super::{Folder, rendered};
use crate::config::{Configuration, Identities};
use crate::model::desired::Desired;
use crate::model::origin::Origin;
use proptest::prelude::*;

/// Pieces of which many combinations are almost valid configurations.
const PIECES: [&str; 40] = [
    "owner = \"me\"\n",
    "version = 1\n",
    "[clusters.a]\n",
    "[clusters.b]\n",
    "[roles.r]\n",
    "[roles.q]\n",
    "[policies.p]\n",
    "[accounts.x]\n",
    "[[service-accounts]]\n",
    "[[roles.r.trust]]\n",
    "[roles.r.inline.i]\n",
    "[defaults.role]\n",
    "id = \"111122223333\"\n",
    "account = \"x\"\n",
    "cluster = [\"a\", \"*\"]\n",
    "cluster = \"b\"\n",
    "service-accounts = [\"a/b\", \"*/c\"]\n",
    "attach = [\"p\", \"aws:X\", \"arn:\"]\n",
    "json = '{\"Statement\": {{ owner }}'\n",
    "json = \"\"\"\n{\n\\\"Version\\\": 1, {% x\n\"\"\"\n",
    "statements = [{ actions = \"s3:*\", resources = \"{{ x }}\" }]\n",
    "tags = { \"\u{fc}\" = \"\u{1f600}\", a = 1 }\n",
    "name = \"*\"\n",
    "namespace = \"a-*\"\n",
    "role = \"r\"\n",
    "manage = \"x\"\n",
    "allow-wildcard = \"y\"\n",
    "token-expiration = \"99d\"\n",
    "state = \"gone\"\n",
    "issuer = \"https://x/y\"\n",
    "kubernetes = { context = \"\u{e4}\", kubeconfig = \"..\" }\n",
    "forget = [\"role/r\", \"\"]\n",
    "include = [\"*.toml\", \"**\"]\n",
    "description = \"\\u0000\"\n",
    "[",
    "\"",
    "= ",
    "\u{feff}",
    "\r\n",
    "file = \"irsa.toml\"\n",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn almost_valid_text_never_panics_and_gives_the_same_result_twice(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..24), noise in any::<String>(), place in any::<prop::sample::Index>()) {
        let mut text = pieces.concat();
        let starts: Vec<usize> = (0..=text.len()).filter(|i| text.is_char_boundary(*i)).collect();
        if noise.len() < 8 {
            text.insert_str(starts[place.index(starts.len())], &noise);
        }
        let folder = Folder::alone(&text);
        let first = folder.resolve();
        if let Err(diagnostics) = &first {
            prop_assert!(!diagnostics.list().is_empty());
            let errors = rendered(diagnostics);
            prop_assert!(!errors.contains(|c: char| c.is_control() && c != '\n'), "{errors:?}");
            diagnostics.to_json();
        }
        prop_assert_eq!(first, folder.resolve());
    }

    #[test]
    fn random_text_never_panics(text in any::<String>()) {
        let folder = Folder::alone(&text);
        if let Err(diagnostics) = folder.resolve() {
            rendered(&diagnostics);
        }
    }

    /// The order of tables, of entries and of files does not matter.
    #[test]
    fn shuffled_tables_resolve_to_the_same(tables in Just(TABLES.to_vec()).prop_shuffle(), split in 0..TABLES.len()) {
        let folder = Folder::alone(&format!("owner = \"me\"\ninclude = [\"more.toml\"]\n{}", tables[..split].concat()));
        folder.write("more.toml", &tables[split..].concat());
        let straight = Folder::alone(&format!("owner = \"me\"\n{}", TABLES.concat()));
        prop_assert_eq!(without_positions(folder.load()), without_positions(straight.load()));
    }
}

const TABLES: [&str; 10] = [
    "[clusters.eu]\nregion = \"eu-west-1\"\n",
    "[clusters.us]\nregion = \"us-east-1\"\n",
    "[policies.p]\nstatements = [{ actions = [\"s3:GetObject\"], resources = [\"arn:aws:s3:::{{ account_id }}\"] }]\n",
    "[roles.a]\ncluster = \"*\"\nservice-accounts = [\"apps/a\", \"apps/b\"]\nattach = [\"p\", \"aws:ReadOnlyAccess\"]\n\
     [[roles.a.trust]]\nprincipals = { service = \"ec2.amazonaws.com\" }\nactions = [\"sts:AssumeRole\"]\n",
    "[roles.b]\ntags = { x = \"1\", y = \"2\" }\nadopt = true\n",
    "[[service-accounts]]\nrole = \"b\"\ncluster = \"eu\"\nnamespace = \"apps\"\nname = [\"z\", \"y\"]\n",
    "[[service-accounts]]\nrole = \"b\"\ncluster = [\"us\", \"eu\"]\nnamespace = \"apps\"\nname = \"x\"\n",
    "[[service-accounts]]\nrole = \"a\"\ncluster = \"us\"\nnamespace = \"apps\"\nname = \"q-*\"\nallow-wildcard = \"tests\"\n",
    "[[service-accounts]]\nrole = \"b\"\ncluster = \"us\"\nnamespace = \"apps\"\nname = \"x\"\n",
    "[guard]\nmax-delete = 7\n",
];

/// The resolved configuration without positions and digest.
fn without_positions(configuration: Result<Configuration, crate::config::Diagnostics>) -> Desired {
    let configuration = configuration.unwrap_or_else(|diagnostics| panic!("{}", rendered(&diagnostics)));
    let mut desired =
        configuration.resolve(&Identities::default()).unwrap_or_else(|list| panic!("{}", rendered(&list)));
    let nowhere = Origin { file: "".into(), line: 0, column: 0, span: 0..0 };
    desired.config_digest.clear();
    desired.clusters.values_mut().for_each(|cluster| cluster.origin = nowhere.clone());
    desired.policies.values_mut().for_each(|policy| policy.origin = nowhere.clone());
    for role in desired.roles.values_mut() {
        role.origin = nowhere.clone();
        role.policy_origins.values_mut().for_each(|origin| *origin = nowhere.clone());
        role.bindings.iter_mut().for_each(|binding| binding.origin = nowhere.clone());
    }
    desired
}
