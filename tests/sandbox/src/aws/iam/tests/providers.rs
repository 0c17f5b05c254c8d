//! Tests of OpenID Connect providers: URLs, thumbprints, audiences, tags and deletion.

use super::{ACCOUNT, Bench, error, has, text, texts};

const URL: &str = "https://oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE";
const PRINT: &str = "9E99A48A9960B14926BB7F3B02E22DA2B0AB7280";

fn arn(url: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{}", url.trim_start_matches("https://"))
}

fn create(bench: &mut Bench, url: &str) -> Result<String, crate::aws::query::AwsError> {
    bench.call("CreateOpenIDConnectProvider", &[("Url", url), ("ClientIDList.member.1", "sts.amazonaws.com")])
}

#[test]
fn urls_are_checked_and_stored_without_scheme() {
    let mut bench = Bench::new();
    for url in [
        "http://foo.example.com",
        "foo.example.com",
        "https://",
        "https:///path",
        "https://foo.example.com:8443/x",
        "https://foo.example.com/x?y=z",
        "https://foo.example.com/a b",
        "https://-_/",
        "",
    ] {
        assert_eq!(create(&mut bench, url).expect_err(url).code, "ValidationError", "{url}");
    }
    assert_eq!(text(&create(&mut bench, URL).unwrap(), "OpenIDConnectProviderArn"), arn(URL));
    for same in [URL.to_owned(), format!("{URL}/")] {
        assert_eq!(create(&mut bench, &same).unwrap_err().code, "EntityAlreadyExists");
    }
    create(&mut bench, &URL.to_lowercase()).unwrap();
    let got = bench.ok("GetOpenIDConnectProvider", &[("OpenIDConnectProviderArn", &arn(URL))]);
    assert_eq!(text(&got, "Url"), URL.trim_start_matches("https://"));
    assert!(has(&got, "CreateDate") && !has(&got, "Tags"));
    assert_eq!(texts(&bench.ok("ListOpenIDConnectProviders", &[]), "Arn").len(), 2);
    assert_eq!(bench.iam.provider(URL.trim_start_matches("https://")).unwrap().client_ids, ["sts.amazonaws.com"]);
}

#[test]
fn a_missing_thumbprint_is_filled_in() {
    let mut bench = Bench::new();
    create(&mut bench, URL).unwrap();
    let prints = |bench: &mut Bench| {
        let got = bench.ok("GetOpenIDConnectProvider", &[("OpenIDConnectProviderArn", &arn(URL))]);
        texts(&text(&got, "ThumbprintList"), "member")
    };
    let filled = prints(&mut bench);
    assert!(filled.len() == 1 && filled[0].len() == 40 && filled[0].bytes().all(|byte| byte.is_ascii_hexdigit()));
    let arn = arn(URL);
    let update = [("OpenIDConnectProviderArn", arn.as_str()), ("ThumbprintList.member.1", PRINT)];
    bench.ok("UpdateOpenIDConnectProviderThumbprint", &update);
    assert_eq!(prints(&mut bench), [PRINT.to_lowercase()]);
    assert_eq!(bench.refused("UpdateOpenIDConnectProviderThumbprint", &update[..1]), error(400, "InvalidInput"));
    let bad = |prints: &[&str]| {
        let fields = (1..).zip(prints).map(|(index, print)| (format!("ThumbprintList.member.{index}"), *print));
        let fields: Vec<(String, &str)> = fields.chain([("Url".to_owned(), "https://x.example.com")]).collect();
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        Bench::new().refused("CreateOpenIDConnectProvider", &fields)
    };
    assert_eq!(bad(&["abc"]), error(400, "ValidationError"));
    assert_eq!(bad(&[&PRINT.replace('9', "z")]), error(400, "ValidationError"));
    assert_eq!(bad(&[PRINT; 6]), error(400, "InvalidInput"));
}

#[test]
fn adding_and_removing_clients_is_idempotent() {
    let mut bench = Bench::new();
    create(&mut bench, URL).unwrap();
    let arn = arn(URL);
    let client = |id| [("OpenIDConnectProviderArn", arn.as_str()), ("ClientID", id)];
    for _ in 0..2 {
        bench.ok("AddClientIDToOpenIDConnectProvider", &client("second"));
    }
    let clients = |bench: &Bench| bench.iam.provider(URL.trim_start_matches("https://")).unwrap().client_ids;
    assert_eq!(clients(&bench), ["sts.amazonaws.com", "second"]);
    for _ in 0..2 {
        bench.ok("RemoveClientIDFromOpenIDConnectProvider", &client("second"));
    }
    assert_eq!(clients(&bench), ["sts.amazonaws.com"]);
    for index in 0..99 {
        let id = format!("c{index}");
        bench.ok("AddClientIDToOpenIDConnectProvider", &[("OpenIDConnectProviderArn", &arn), ("ClientID", &id)]);
    }
    assert_eq!(bench.refused("AddClientIDToOpenIDConnectProvider", &client("c99")), error(409, "LimitExceeded"));
    assert_eq!(bench.refused("AddClientIDToOpenIDConnectProvider", &client("")), error(400, "ValidationError"));
}

#[test]
fn providers_are_tagged_and_deleted() {
    let mut bench = Bench::new();
    create(&mut bench, URL).unwrap();
    let arn = arn(URL);
    let provider = ("OpenIDConnectProviderArn", arn.as_str());
    bench.ok("TagOpenIDConnectProvider", &[provider, ("Tags.member.1.Key", "k"), ("Tags.member.1.Value", "v")]);
    assert_eq!(text(&bench.ok("ListOpenIDConnectProviderTags", &[provider]), "Value"), "v");
    bench.ok("UntagOpenIDConnectProvider", &[provider, ("TagKeys.member.1", "K")]);
    assert!(!has(&bench.ok("GetOpenIDConnectProvider", &[provider]), "Tags"));
    bench.ok("DeleteOpenIDConnectProvider", &[provider]);
    bench.ok("DeleteOpenIDConnectProvider", &[provider]);
    for action in ["GetOpenIDConnectProvider", "ListOpenIDConnectProviderTags", "UntagOpenIDConnectProvider"] {
        assert_eq!(bench.refused(action, &[provider]), error(404, "NoSuchEntity"), "{action}");
    }
    let nonsense = ("OpenIDConnectProviderArn", "neither an ARN nor a provider");
    assert_eq!(bench.refused("DeleteOpenIDConnectProvider", &[nonsense]), error(400, "InvalidInput"));
    assert!(bench.iam.set_quota("OpenIDConnectProvidersQuota", 0));
    assert_eq!(create(&mut bench, URL).unwrap_err().code, "LimitExceeded");
}
