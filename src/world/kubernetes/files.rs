//! The files that a kubeconfig is made of, read no further than such a file can be long: one may be a device or a pipe
//! without end.

use crate::world::bounds::FILE;
use kube::config::{Kubeconfig, KubeconfigError};
use std::io;
use std::path::Path;
use tokio::io::AsyncReadExt;

/// The bytes of a file.
pub(crate) async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    tokio::fs::File::open(path).await?.take(FILE + 1).read_to_end(&mut bytes).await?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE) {
        return Err(io::Error::other(format!("it is larger than {} MiB", FILE >> 20)));
    }
    Ok(bytes)
}

/// The text of a file without what surrounds it, as tokens and certificates are written into files.
pub(crate) async fn text(path: impl AsRef<Path>) -> io::Result<String> {
    let text = String::from_utf8(read(path).await?);
    Ok(text.map_err(|_| io::Error::other("it is no text"))?.trim().to_owned())
}

/// A kubeconfig. The files that it names are beside it
/// (<https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/#file-references>).
pub(crate) async fn kubeconfig(path: &Path) -> Result<Kubeconfig, KubeconfigError> {
    let unreadable = |error: io::Error| KubeconfigError::ReadConfig(error, path.to_owned());
    let text = decoded(&read(path).await.map_err(unreadable)?);
    let text = text.ok_or_else(|| unreadable(io::Error::other("it is no text")))?;
    let mut config = Kubeconfig::from_yaml(&text)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let beside = |file: &mut Option<String>| {
        let found = file
            .as_ref()
            .filter(|file| !file.is_empty())
            .and_then(|file| folder.join(file).to_str().map(str::to_owned));
        if let Some(found) = found {
            *file = Some(found);
        }
    };
    for cluster in config.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        beside(&mut cluster.certificate_authority);
    }
    for user in config.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        beside(&mut user.client_certificate);
        beside(&mut user.client_key);
        beside(&mut user.token_file);
        // a program without a slash is looked for in `PATH`
        if let Some(exec) =
            user.exec.as_mut().filter(|exec| exec.command.as_ref().is_some_and(|name| name.contains('/')))
        {
            beside(&mut exec.command);
        }
    }
    Ok(config)
}

/// The text of a YAML file, in any of the encodings that editors write.
fn decoded(bytes: &[u8]) -> Option<String> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Option<Vec<u16>> = bytes.chunks(2).map(|pair| pair.try_into().ok().map(unit)).collect();
        String::from_utf16(&units?).ok()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => String::from_utf8(rest.to_vec()).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_without_end_is_not_read_to_its_end() {
        for path in ["/dev/zero"] {
            let error = read(path).await.unwrap_err();
            assert_eq!(error.to_string(), "it is larger than 16 MiB");
            let error = kubeconfig(Path::new(path)).await.unwrap_err();
            assert!(matches!(error, KubeconfigError::ReadConfig(..)), "{error}");
        }
    }

    #[tokio::test]
    async fn what_a_kubeconfig_names_is_beside_it_in_any_encoding() {
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
            let config = kubeconfig(&path).await.unwrap();
            let beside = |name: &str| Some(folder.path().join(name).display().to_string());
            let user = |number: usize| config.auth_infos[number].auth_info.clone().unwrap();
            assert_eq!(config.clusters[0].cluster.as_ref().unwrap().certificate_authority, beside("ca.pem"));
            assert_eq!((user(0).token_file.as_deref(), user(0).client_key), (Some("/abs/token"), beside("k/key.pem")));
            assert_eq!(user(0).client_certificate.as_deref(), Some(""));
            assert_eq!(user(0).exec.unwrap().command, beside("./plugin"));
            assert_eq!(user(1).exec.unwrap().command.as_deref(), Some("aws"));
        }
        for bytes in [&[0xff, 0xfe, 0x00][..], &[0xff, 0x00]] {
            tokio::fs::write(folder.path().join("config"), bytes).await.unwrap();
            assert!(kubeconfig(&folder.path().join("config")).await.is_err());
        }
    }
}
