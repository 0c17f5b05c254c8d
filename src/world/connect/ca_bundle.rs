//! Reads the certificate authorities to trust for AWS instead of the system's: `AWS_CA_BUNDLE` or `ca_bundle`
//! (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-gen-config.html>).

use crate::world::bounds::read_file;
use crate::world::certificate::to_pem;
use crate::world::clean;
use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::Path;

/// Trusts only the certificates of a file. `setting` is what names the file.
///
/// # Errors
/// Why the file cannot be used.
pub(super) async fn trust_only(setting: &str, file: &Path) -> Result<TlsContext, String> {
    let named = format!("{setting} names `{}`", clean(&file.display().to_string()));
    let bytes = read_file(file).await.map_err(|error| format!("{named}, which cannot be read: {error}"))?;
    let authorities = authorities(&bytes);
    if authorities.is_empty() {
        return Err(format!("{named}, which contains no certificate: it must be a bundle of certificates in PEM"));
    }
    let store = authorities.iter().fold(TrustStore::empty(), |store, pem| store.with_pem_certificate(pem.as_bytes()));
    TlsContext::builder()
        .with_trust_store(store)
        .build()
        .map_err(|error| format!("{named}, which cannot be used: {error}"))
}

/// The usable certificates, each in PEM. Long bundles contain some that modern libraries reject.
fn authorities(pem: &[u8]) -> Vec<String> {
    let mut store = rustls::RootCertStore::empty();
    let all = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    all.filter(|der| store.add(der.clone()).is_ok()).map(|der| to_pem("CERTIFICATE", &der)).collect()
}

#[cfg(test)]
mod tests;
