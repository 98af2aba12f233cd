//! The fleet's own certificate authority: it signs sensors and servers, and nobody
//! outside has to trust it.

use super::keys::{self, KeyFileError};
use picket_proto::fleet::SERVER_NAME;
use picket_store::{Certificate, Micros, Uuid};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};
use rustls::pki_types::{
    CertificateDer, CertificateSigningRequestDer, PrivateKeyDer, PrivatePkcs8KeyDer,
};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

const KEY: &str = "authority.key";
const CERTIFICATE: &str = "authority.crt";
/// As long as hardware lives.
const AUTHORITY_LIFE: Duration = Duration::from_secs(20 * 365 * 86_400);
const SERVER_LIFE: Duration = Duration::from_secs(14 * 86_400);
/// A server's own certificate is made anew so often.
const SERVER_RENEWAL: Duration = Duration::from_secs(86_400);
/// Clocks differ.
const SKEW: Duration = Duration::from_secs(300);
/// A certificate signing request with the one key that it holds is far below.
const MAX_CSR: usize = 4096;

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The authority's files.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// By our own doing.
    #[error("cannot make a certificate: {0}")]
    Making(#[from] rcgen::Error),
    /// By the TLS library.
    #[error("cannot use a certificate: {0}")]
    Tls(String),
    /// The request is none, or not signed by its own key.
    #[error("the certificate signing request cannot be used: {0}")]
    Request(String),
}

/// Signs certificates.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A sensor's certificate, and what the store keeps of it.
pub struct Signed {
    /// DER.
    pub certificate: Vec<u8>,
    /// For the store.
    pub record: Certificate,
}

impl Authority {
    /// Reads the authority's key and certificate; makes them if there are none.
    pub fn open(folder: &Path) -> Result<Authority, CertificateError> {
        let key = keys::secret_file(folder, KEY, || {
            let key = KeyPair::generate().map_err(|why| content(folder, KEY, &why))?;
            Ok(key.serialize_pem())
        })?;
        let key = KeyPair::from_pem(&key).map_err(|why| content(folder, KEY, &why))?;
        let made = || authority_params().self_signed(&key).map(|made| made.pem());
        let pem = keys::secret_file(folder, CERTIFICATE, || {
            made().map_err(|why| content(folder, CERTIFICATE, &why))
        })?;
        use rustls::pki_types::pem::PemObject;
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|why| content(folder, CERTIFICATE, &why))?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Authority {
            certificate,
            issuer,
        })
    }

    /// Its certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Signs a sensor's certificate. Of the request only the key is used: who the
    /// sensor is, the server says.
    pub fn sign_sensor(
        &self,
        request: &[u8],
        sensor: Uuid,
        life: Duration,
        now: Micros,
    ) -> Result<Signed, CertificateError> {
        let unusable = |why: String| CertificateError::Request(why);
        if request.len() > MAX_CSR {
            return Err(unusable(format!("it has more than {MAX_CSR} bytes")));
        }
        let request = CertificateSigningRequestDer::from(request);
        let request = CertificateSigningRequestParams::from_der(&request)
            .map_err(|why| unusable(why.to_string()))?;
        let mut serial = keys::random::<16>()?;
        // Positive, and never with a leading zero byte.
        serial[0] = (serial[0] & 0x7f) | 0x40;
        let mut params = leaf(
            &sensor.to_string(),
            life,
            ExtendedKeyUsagePurpose::ClientAuth,
        );
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let certificate = params.signed_by(&request.public_key, &self.issuer)?;
        Ok(Signed {
            certificate: certificate.der().to_vec(),
            record: Certificate {
                serial: keys::hex(&serial),
                issued_at: now,
                expires_at: now.saturating_add(micros(life)),
            },
        })
    }

    /// TLS as sensors meet it: TLS 1.3, client certificates of this authority or
    /// none (a new sensor has none yet), HTTP/2.
    pub(super) fn tls(self: &Authority) -> Result<ServerConfig, CertificateError> {
        let tls = |why: String| CertificateError::Tls(why);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots
            .add(self.certificate.clone())
            .map_err(|why| tls(why.to_string()))?;
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(|why| tls(why.to_string()))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|why| tls(why.to_string()))?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::new(OwnCertificate::new(self)?));
        config.alpn_protocols = vec![b"h2".to_vec()];
        // Ten thousand open streams: no resumption state for each.
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

fn content(folder: &Path, name: &str, why: &dyn std::fmt::Display) -> KeyFileError {
    KeyFileError::Content {
        path: folder.join(name),
        why: why.to_string(),
    }
}

fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("Picket fleet authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    lasting(&mut params, AUTHORITY_LIFE);
    params
}

fn leaf(name: &str, life: Duration, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    lasting(&mut params, life);
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn lasting(params: &mut CertificateParams, life: Duration) {
    let now = SystemTime::now();
    params.not_before = (now - SKEW).into();
    params.not_after = (now + life).into();
}

/// A server's own certificate, with a key that never touches a disk; made anew
/// every day.
struct OwnCertificate {
    authority_key: Vec<u8>,
    authority: CertificateDer<'static>,
    current: Mutex<(Arc<CertifiedKey>, Instant)>,
}

impl std::fmt::Debug for OwnCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OwnCertificate")
    }
}

impl OwnCertificate {
    fn new(authority: &Authority) -> Result<OwnCertificate, CertificateError> {
        let made = server_certificate(&authority.issuer, &authority.certificate)?;
        Ok(OwnCertificate {
            authority_key: authority.issuer.key().serialize_der(),
            authority: authority.certificate.clone(),
            current: Mutex::new((made, Instant::now())),
        })
    }

    fn renewed(&self) -> Result<Arc<CertifiedKey>, CertificateError> {
        let key = PrivatePkcs8KeyDer::from(self.authority_key.clone());
        let key = KeyPair::try_from(&key)?;
        let issuer = Issuer::from_ca_cert_der(&self.authority, key)?;
        server_certificate(&issuer, &self.authority)
    }
}

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.1.elapsed() >= SERVER_RENEWAL {
            match self.renewed() {
                Ok(made) => *current = (made, Instant::now()),
                // The one at hand is good for days yet.
                Err(why) => tracing::error!(%why, "the server's certificate was not renewed"),
            }
        }
        Some(current.0.clone())
    }
}

fn server_certificate(
    issuer: &Issuer<'_, KeyPair>,
    authority: &CertificateDer<'static>,
) -> Result<Arc<CertifiedKey>, CertificateError> {
    let key = KeyPair::generate()?;
    let mut params = leaf(
        SERVER_NAME,
        SERVER_LIFE,
        ExtendedKeyUsagePurpose::ServerAuth,
    );
    params.subject_alt_names = vec![rcgen::SanType::DnsName(SERVER_NAME.try_into()?)];
    let certificate = params.signed_by(&key, issuer)?;
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let private = rustls::crypto::ring::sign::any_supported_type(&private)
        .map_err(|why| CertificateError::Tls(why.to_string()))?;
    // The authority comes along: a new sensor knows it by its digest alone.
    let chain = vec![certificate.der().clone(), authority.clone()];
    Ok(Arc::new(CertifiedKey::new(chain, private)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::{FromDer, X509Certificate};

    fn request(name: &str) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
        params.distinguished_name = named(name);
        params.serialize_request(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_server_chooses_the_subject() {
        let folder = picket_store::testing::scratch("picket-ca-").unwrap();
        let authority = Authority::open(folder.path()).unwrap();
        let sensor = picket_store::new_id();
        let life = Duration::from_secs(3600);
        let signed = authority
            .sign_sensor(&request("admin"), sensor, life, 5)
            .unwrap();
        let (_, parsed) = X509Certificate::from_der(&signed.certificate).unwrap();
        assert_eq!(parsed.subject().to_string(), format!("CN={sensor}"));
        assert!(parsed.subject_alternative_name().unwrap().is_none());
        assert!(!parsed.is_ca());
        let serial = keys::hex(parsed.raw_serial());
        assert_eq!(serial, signed.record.serial);
        assert_eq!(signed.record.expires_at, 5 + 3_600_000_000);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let folder = picket_store::testing::scratch("picket-ca-").unwrap();
        let authority = Authority::open(folder.path()).unwrap();
        let id = picket_store::new_id();
        let life = Duration::from_secs(1);
        let mut broken = request("x");
        let last = broken.len() - 1;
        broken[last] ^= 1;
        for wrong in [vec![], vec![0; 100], vec![0; MAX_CSR + 1], broken] {
            let refused = authority.sign_sensor(&wrong, id, life, 0);
            assert!(matches!(refused, Err(CertificateError::Request(_))));
        }
    }

    #[test]
    fn an_authority_stays_the_same() {
        let folder = picket_store::testing::scratch("picket-ca-").unwrap();
        let first = Authority::open(folder.path()).unwrap();
        let second = Authority::open(folder.path()).unwrap();
        assert_eq!(first.certificate(), second.certificate());
    }
}
