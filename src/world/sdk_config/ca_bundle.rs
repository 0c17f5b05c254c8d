//! Reads the certificate authorities to trust for AWS instead of the system's: `AWS_CA_BUNDLE` or `ca_bundle`
//! (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-gen-config.html>).

use super::profile::in_home;
use crate::context::Context;
use crate::world::bounds::read_file;
use crate::world::certificate::to_pem;
use crate::world::clean;
use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::Path;

/// Trusts only the certificates of a file. `setting` is the name of the setting that names the file, for messages.
///
/// # Errors
/// Why the file cannot be used.
pub(super) async fn trust_only(setting: &str, file: &Path) -> Result<TlsContext, String> {
    let pem = |der: &Vec<u8>| to_pem("CERTIFICATE", der);
    let authorities: Vec<String> = read(setting, file).await?.iter().map(pem).collect();
    let store = authorities.iter().fold(TrustStore::empty(), |store, pem| store.with_pem_certificate(pem.as_bytes()));
    TlsContext::builder()
        .with_trust_store(store)
        .build()
        .map_err(|error| format!("{}, which cannot be used: {error}", named(setting, file)))
}

/// The certificates of the file in `AWS_CA_BUNDLE`, in DER. None if the variable is not set.
pub(crate) async fn of_environment(context: &Context) -> Option<Result<Vec<Vec<u8>>, String>> {
    let file = in_home(context.variable("AWS_CA_BUNDLE")?, context);
    Some(read("`AWS_CA_BUNDLE`", &file).await)
}

fn named(setting: &str, file: &Path) -> String {
    format!("{setting} names `{}`", clean(&file.display().to_string()))
}

/// The certificates of a file, in DER.
async fn read(setting: &str, file: &Path) -> Result<Vec<Vec<u8>>, String> {
    let named = named(setting, file);
    let bytes = read_file(file).await.map_err(|error| format!("{named}, which cannot be read: {error}"))?;
    let authorities = authorities(&bytes);
    if authorities.is_empty() {
        return Err(format!("{named}, which contains no certificate: it must be a bundle of certificates in PEM"));
    }
    Ok(authorities)
}

/// The certificates that rustls can use. Long bundles often contain some that it rejects.
fn authorities(pem: &[u8]) -> Vec<Vec<u8>> {
    let mut store = rustls::RootCertStore::empty();
    let all = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    all.filter(|der| store.add(der.clone()).is_ok()).map(|der| der.to_vec()).collect()
}

#[cfg(test)]
mod tests;
