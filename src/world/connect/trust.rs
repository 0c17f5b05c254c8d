//! Whom to trust on the way to AWS: the machine's authorities, or those of a bundle in their place
//! (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-gen-config.html>: `AWS_CA_BUNDLE`, `ca_bundle`).

use crate::world::bounds::FILE;
use crate::world::clean;
use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::Path;
use tokio::io::AsyncReadExt;

/// What trusts the certificates of a file alone; `what` names the file.
///
/// # Errors
/// Why the file cannot be used.
pub(super) async fn only(what: &str, file: &Path) -> Result<TlsContext, String> {
    let named = format!("{what} names `{}`", clean(&file.display().to_string()));
    let read = async {
        let mut bytes = Vec::new();
        tokio::fs::File::open(file).await?.take(FILE).read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = read.await.map_err(|error| format!("{named}, which cannot be read: {error}"))?;
    let authorities = authorities(&bytes);
    if authorities.is_empty() {
        return Err(format!("{named}, in which there is no certificate: it must be a bundle of them in PEM"));
    }
    let store = authorities.iter().fold(TrustStore::empty(), |store, pem| store.with_pem_certificate(pem.as_bytes()));
    TlsContext::builder()
        .with_trust_store(store)
        .build()
        .map_err(|error| format!("{named}, which cannot be used: {error}"))
}

/// The certificates that can be used, each as PEM. Bundles are long, and have some that no library but the oldest reads.
fn authorities(pem: &[u8]) -> Vec<String> {
    let mut store = rustls::RootCertStore::empty();
    let all = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    all.filter(|der| store.add(der.clone()).is_ok()).map(|der| to_pem(&der)).collect()
}

fn to_pem(der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::new(vec!["x".to_owned()]).unwrap().self_signed(&key).unwrap().pem()
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_bundle_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let told = async |text: &[u8]| {
            tokio::fs::write(&file, text).await.unwrap();
            only("`AWS_CA_BUNDLE`", &file).await.err()
        };
        assert!(only("`AWS_CA_BUNDLE`", &folder.path().join("gone")).await.unwrap_err().contains("cannot be read"));
        for text in [
            &b""[..],
            b"\xff\xfe",
            b"-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n",
            to_pem(b"x").as_bytes(),
        ] {
            assert!(told(text).await.unwrap().contains("there is no certificate"), "{text:?}");
        }
        assert_eq!(told(certificate().as_bytes()).await, None);
        // the good ones count
        let mixed = [to_pem(b"x"), certificate(), certificate()].concat();
        assert_eq!((told(mixed.as_bytes()).await, authorities(mixed.as_bytes()).len()), (None, 2));
    }
}
