//! Tests of regions, cached credentials and MFA.

use super::*;
use crate::ids::{AccountId, ClusterName, Partition};
use crate::model::desired::{ClusterState, KubernetesAccess};
use crate::model::origin::Origin;
use aws_credential_types::Credentials;
use aws_credential_types::provider::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

fn account(assume_role: Option<&str>) -> Account {
    Account {
        declared_id: None,
        id: AccountId::parse("111122223333").unwrap(),
        partition: Partition::parse("aws").unwrap(),
        profile: None,
        assume_role: assume_role.map(str::to_owned),
        external_id: None,
        origin: None,
    }
}

fn cluster(account: &str, region: Option<&str>) -> Cluster {
    Cluster {
        account: Key::parse(account).unwrap(),
        region: region.map(|region| Region::parse(region).unwrap()),
        name: Some(ClusterName::parse("c").unwrap()),
        issuer: None,
        state: ClusterState::Active,
        kubernetes: KubernetesAccess { kubeconfig: None, context: None, unverified: false },
        unmanaged: false,
        origin: Origin { file: "irsa.toml".into(), line: 1, column: 1, span: 0..0 },
    }
}

#[test]
fn account_without_region_gets_one_of_its_clusters_or_its_partition() {
    let key = Key::parse("prod").unwrap();
    let none = BTreeMap::new();
    let region = |account: &Account, clusters: &BTreeMap<Key, Cluster>| fallback_region(&key, account, clusters);
    assert_eq!(region(&account(None), &none), "us-east-1");
    assert_eq!(region(&account(Some("arn:aws-cn:iam::111122223333:role/a")), &none), "cn-north-1");
    assert_eq!(region(&account(Some("arn:aws-us-gov:iam::111122223333:role/a")), &none), "us-gov-west-1");
    let clusters: BTreeMap<Key, Cluster> = [
        ("a", cluster("other", Some("eu-west-1"))),
        ("b", cluster("prod", None)),
        ("c", cluster("prod", Some("cn-northwest-1"))),
    ]
    .into_iter()
    .map(|(key, cluster)| (Key::parse(key).unwrap(), cluster))
    .collect();
    assert_eq!(region(&account(None), &clusters), "cn-northwest-1");
}

#[tokio::test]
async fn default_region_is_read_from_the_environment() {
    let clock = |context: &Context| Clock::new(context);
    let transports = Transports::default();
    for (name, wanted) in [("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "eu-west-1")] {
        let environment = [(name.to_owned(), wanted.to_owned())].into_iter().collect();
        let context = Context::fixed(environment, 0, 1);
        let connector = AccountConnector::new(&context, &transports, Duration::from_mins(2), clock(&context));
        assert_eq!(connector.default_region().await.unwrap().unwrap().as_str(), wanted);
    }
    let environment = [("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "us-west-2")];
    let environment = environment.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    let context = Context::fixed(environment, 0, 1);
    let connector = AccountConnector::new(&context, &transports, Duration::from_mins(2), clock(&context));
    assert_eq!(connector.default_region().await.unwrap().unwrap().as_str(), "eu-west-1");
}

#[derive(Debug)]
struct Counting {
    asked: Arc<AtomicU32>,
    expiry: Option<SystemTime>,
}

impl ProvideCredentials for Counting {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.asked.fetch_add(1, Ordering::Relaxed);
        future::ProvideCredentials::ready(Ok(Credentials::new("a", "b", None, self.expiry, "test")))
    }
}

async fn asked_in(expiry: Option<Duration>) -> u32 {
    let clock = Clock::new(&Context::fixed(BTreeMap::new(), 1_000_000, 1));
    let asked = Arc::new(AtomicU32::new(0));
    let expiry = expiry.map(|left| clock.now() + left);
    let provider = CredentialCache::new(Counting { asked: Arc::clone(&asked), expiry }, clock, None);
    for _ in 0..3 {
        provider.provide_credentials().await.unwrap();
    }
    asked.load(Ordering::Relaxed)
}

#[tokio::test]
async fn credentials_are_fetched_again_only_when_they_are_about_to_expire() {
    assert_eq!(asked_in(None).await, 1);
    assert_eq!(asked_in(Some(Duration::from_hours(1))).await, 1);
    assert_eq!(asked_in(Some(Duration::from_mins(4))).await, 3);
}

/// The profile `m` of a credentials file.
fn profile(text: &str) -> profile::Profile {
    use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
    use aws_types::os_shim_internal::{Env, Fs};
    let files = EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Credentials, text).build();
    let (fs, env) = (Fs::from_slice(&[]), Env::from_slice(&[]));
    let loaded = aws_config::profile::load(&fs, &env, &files, Some("m".into()));
    let all = futures::executor::block_on(loaded).unwrap();
    let nowhere = || ("", PathBuf::new());
    profile::Profile {
        name: "m".into(),
        named_by: profile::NamedBy::Configuration,
        all: Some(all),
        files: [nowhere(), nowhere()],
    }
}

const MFA_PROFILE: &str = "[m]\nrole_arn = arn:aws:iam::111122223333:role/x\nsource_profile = m\naws_access_key_id = AKIDSOURCE\n\
    aws_secret_access_key = s\nmfa_serial = arn:aws:iam::111122223333:mfa/me\nexternal_id = e\nduration_seconds = 900\n";

#[tokio::test]
async fn role_with_mfa_serial_is_assumed_with_a_code() {
    use crate::world::aws::tests::stub::{Reply, Stub};
    let stub = Stub::serve(|seen| {
        let fields = ["Action", "RoleArn", "SerialNumber", "TokenCode", "ExternalId", "DurationSeconds", "RoleSessionName"];
        assert_eq!(
            fields.map(|name| seen.get(name)),
            ["AssumeRole", "arn:aws:iam::111122223333:role/x", "arn:aws:iam::111122223333:mfa/me", "123456", "e", "900", "irsa"]
        );
        Reply::result(
            "AssumeRole",
            "<Credentials><AccessKeyId>ASIAMADE</AccessKeyId><SecretAccessKey>t</SecretAccessKey><SessionToken>u</SessionToken>\
             <Expiration>2030-01-01T00:00:00Z</Expiration></Credentials>",
        )
    })
    .await;
    let context = Context::fixed(BTreeMap::new(), 0, 1);
    let sdk = crate::world::aws::tests::sdk(&stub.url, &context);
    let made = |answer: Option<&'static str>| {
        let profile = profile(MFA_PROFILE);
        let ask: crate::world::AskUser = Arc::new(move |question: &str| {
            assert_eq!(question, "MFA code of `arn:aws:iam::111122223333:mfa/me` for profile `m`:");
            answer.map(str::to_owned)
        });
        let source = SharedCredentialsProvider::new(mfa::own_keys(&profile).unwrap());
        mfa::provider(&profile, mfa::role_and_device(&profile).unwrap(), &sdk, source, Some(ask))
    };
    let credentials = made(Some(" 123456 ")).provide_credentials().await.unwrap();
    assert_eq!((credentials.access_key_id(), credentials.session_token()), ("ASIAMADE", Some("u")));
    assert_eq!(credentials.expiry(), Some(UNIX_EPOCH + Duration::from_hours(525_960)));
    for answer in [None, Some(""), Some(" ")] {
        let error = made(answer).provide_credentials().await.unwrap_err();
        let why = crate::world::account::unsigned(&error).into_error("x".to_owned()).message;
        assert!(why.contains("profile `m` needs an MFA code") && why.contains("run irsa in a terminal"), "{why}");
    }
    assert_eq!(stub.seen().len(), 1);
}

#[tokio::test]
async fn credentials_that_no_header_takes_are_refused() {
    for (id, secret, token, what) in [
        ("AKID\n", "s", None, "the access key id of the credentials has white space"),
        ("AKID", " s", None, "the secret access key of the credentials has white space"),
        ("AKID", "s", Some("a\u{e4}"), "the session token of the credentials has characters"),
        ("", "s", None, "the access key id of the credentials has characters"),
    ] {
        let given = Credentials::new(id, secret, token.map(str::to_owned), None, "test");
        let clock = Clock::new(&Context::fixed(BTreeMap::new(), 0, 1));
        let error = CredentialCache::new(given, clock, None).provide_credentials().await.unwrap_err();
        let why = crate::world::account::unsigned(&error).into_error("x".to_owned()).message;
        assert!(why.starts_with(what), "{why}");
    }
}
