//! The API's certificate: the one that is given, or one that is made at the first start.

use crate::config::Tls;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the made one lies, below the data folder.
const FOLDER: &str = "tls";
/// Its names beside the host's.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It holds no certificate, or no key.
    #[error("{path}: {why}", path = path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// None could be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// Key and certificate do not fit, or are of a kind that is not understood.
    #[error("the certificate cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// Reads or makes the certificate. None where encryption is off. Second, the file that
/// people can be told to trust.
pub fn load(
    tls: &Tls,
    data: &Path,
) -> Result<Option<(Arc<ServerConfig>, PathBuf)>, CertificateError> {
    let (certificate, key) = match tls {
        Tls::Off => return Ok(None),
        Tls::Files { certificate, key } => (certificate.clone(), key.clone()),
        Tls::SelfSigned => {
            let folder = data.join(FOLDER);
            let files = (folder.join("server.crt"), folder.join("server.key"));
            if !files.0.exists() || !files.1.exists() {
                make(&folder, &files.0, &files.1)?;
            }
            files
        }
    };
    let pem = |path: &Path, why: rustls::pki_types::pem::Error| CertificateError::Pem {
        path: path.to_owned(),
        why: why.to_string(),
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect)
        .map_err(|why| pem(&certificate, why))?;
    let private = PrivateKeyDer::from_pem_file(&key).map_err(|why| pem(&key, why))?;
    // A provider of our own choice: another crate may have installed another.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some((Arc::new(config), certificate)))
}

fn make(folder: &Path, certificate: &Path, key: &Path) -> Result<(), CertificateError> {
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| CertificateError::File { path, source }
    };
    std::fs::create_dir_all(folder).map_err(file(folder))?;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let mut names: Vec<String> = LOCAL.map(str::to_owned).to_vec();
    if !host.is_empty() && host != "localhost" {
        names.push(host.to_owned());
    }
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "Picket server");
    let pair = KeyPair::generate()?;
    let made = params.self_signed(&pair)?;
    write(key, &pair.serialize_pem(), 0o600).map_err(file(key))?;
    write(certificate, &made.pem(), 0o644).map_err(file(certificate))
}

/// Whole or not at all.
fn write(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let _ = std::fs::remove_file(&beside);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}
