//! Whom outputs believe.

use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::io;
use std::path::Path;
use std::sync::Arc;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The authorities of that file, PEM; none: those that the system trusts.
fn authorities(file: Option<&Path>) -> io::Result<Vec<CertificateDer<'static>>> {
    let Some(file) = file else {
        return Ok(rustls_native_certs::load_native_certs().certs);
    };
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|why| {
        io::Error::other(format!("cannot read authorities {}: {why}", file.display()))
    })?;
    if certificates.is_empty() {
        let why = format!("there is no certificate in {}", file.display());
        return Err(io::Error::other(why));
    }
    Ok(certificates)
}

/// For a connection of our own.
pub(crate) fn client(file: Option<&Path>) -> io::Result<Arc<ClientConfig>> {
    let mut roots = rustls::RootCertStore::empty();
    // Of the system's, some may be of a kind that is not read; that is no fault of ours.
    let (_, _) = roots.add_parsable_certificates(authorities(file)?);
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// For requests.
pub(crate) fn requests(file: Option<&Path>) -> io::Result<ureq::tls::TlsConfig> {
    use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
    let certificates: Vec<_> = authorities(file)?
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(provider())
        .root_certs(RootCerts::new_with_certs(&certificates))
        .build())
}
