use super::*;
use std::collections::BTreeMap;

fn context(environment: &[(&str, &str)]) -> Context {
    let pairs = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Context::fixed(pairs.collect::<BTreeMap<_, _>>(), 0, 1)
}

#[test]
fn files_of_the_environment_come_before_the_one_in_the_home() {
    let all = context(&[("KUBECONFIG", "/a::/b"), ("HOME", "/home/me")]);
    assert_eq!(default_files(&all), [PathBuf::from("/a"), PathBuf::from("/b")]);
    let home = context(&[("KUBECONFIG", ":"), ("HOME", "/home/me")]);
    assert_eq!(default_files(&home), [PathBuf::from("/home/me/.kube/config")]);
    assert!(default_files(&context(&[])).is_empty());
}

#[tokio::test]
async fn endless_file_is_refused() {
    for path in ["/dev/zero"] {
        let error = read_file(path).await.unwrap_err();
        assert_eq!(error.to_string(), "it is larger than 16 MiB");
        let error = parse(Path::new(path)).await.unwrap_err();
        assert!(matches!(error, KubeconfigError::ReadConfig(..)), "{error}");
    }
}

#[tokio::test]
async fn relative_paths_are_resolved_in_any_encoding() {
    let folder = tempfile::tempdir().unwrap();
    let text = "{clusters: [{name: c, cluster: {certificate-authority: ca.pem}}], users: [{name: u, user: {tokenFile: \
                    /abs/token, client-key: k/key.pem, client-certificate: '', exec: {command: ./plugin}}}, {name: v, \
                    user: {exec: {command: aws}}}]}";
    let units = |unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
    let little = [&[0xff, 0xfe], &units(u16::to_le_bytes)[..]].concat();
    let big = [&[0xfe, 0xff], &units(u16::to_be_bytes)[..]].concat();
    let marked = [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat();
    for bytes in [text.as_bytes().to_vec(), little, big, marked] {
        let path = folder.path().join("config");
        tokio::fs::write(&path, bytes).await.unwrap();
        let config = parse(&path).await.unwrap();
        let resolved = |name: &str| Some(folder.path().join(name).display().to_string());
        let user = |number: usize| config.auth_infos[number].auth_info.clone().unwrap();
        assert_eq!(config.clusters[0].cluster.as_ref().unwrap().certificate_authority, resolved("ca.pem"));
        assert_eq!((user(0).token_file.as_deref(), user(0).client_key), (Some("/abs/token"), resolved("k/key.pem")));
        assert_eq!(user(0).client_certificate.as_deref(), Some(""));
        assert_eq!(user(0).exec.unwrap().command, resolved("./plugin"));
        assert_eq!(user(1).exec.unwrap().command.as_deref(), Some("aws"));
    }
    for bytes in [&[0xff, 0xfe, 0x00][..], &[0xff, 0x00]] {
        tokio::fs::write(folder.path().join("config"), bytes).await.unwrap();
        assert!(parse(&folder.path().join("config")).await.is_err());
    }
}
