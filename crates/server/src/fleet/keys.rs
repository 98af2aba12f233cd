//! Key files: made once, readable by their owner alone.

use picket_proto::bundle::SigningKey;
use rustls::crypto::ring;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The seed of the key that signs bundles.
const SIGNING: &str = "bundle.key";

/// A key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Read or made.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read it.
    #[error(
        "{} can be read by others than its owner (mode {mode:o}): whoever read it can give rules to \
         the fleet. Make it 0600, and make a new key if somebody may have",
        path.display()
    )]
    Open {
        /// Which.
        path: PathBuf,
        /// How.
        mode: u32,
    },
    /// It holds no key.
    #[error("{} holds no key that can be used: {why}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

/// Random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N], KeyFileError> {
    let mut bytes = [0; N];
    let random = ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| KeyFileError::Random)?;
    Ok(bytes)
}

/// The key that signs bundles; made if there is none.
pub(super) fn signing_key(folder: &Path) -> Result<SigningKey, KeyFileError> {
    let text = secret_file(folder, SIGNING, || {
        use base64_text as text;
        Ok(text(&random::<32>()?))
    })?;
    SigningKey::parse(&text).map_err(|why| KeyFileError::Content {
        path: folder.join(SIGNING),
        why: why.to_string(),
    })
}

/// Reads a secret file; makes it if there is none. Of several who make it at once,
/// one does, and the others read what it made.
pub(super) fn secret_file(
    folder: &Path,
    name: &str,
    make: impl FnOnce() -> Result<String, KeyFileError>,
) -> Result<String, KeyFileError> {
    let path = folder.join(name);
    let failed = |source| KeyFileError::File {
        path: path.clone(),
        source,
    };
    if !path.try_exists().map_err(failed)? {
        let mut dirs = fs::DirBuilder::new();
        dirs.recursive(true).mode(0o700);
        dirs.create(folder).map_err(failed)?;
        let pending = folder.join(format!(".{name}.{}", hex(&random::<8>()?)));
        let text = make()?;
        let written =
            write_new(&pending, &text).and_then(|()| match fs::hard_link(&pending, &path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                linked => linked,
            });
        let _ = fs::remove_file(&pending);
        written.map_err(failed)?;
        fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed)?;
    }
    let mode = fs::metadata(&path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Open { path, mode });
    }
    fs::read_to_string(&path).map_err(failed)
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64_text(seed: &[u8; 32]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let folder = picket_store::testing::scratch("picket-keys-").unwrap();
        let folder = folder.path().join("fleet");
        let first = signing_key(&folder).unwrap();
        let second = signing_key(&folder).unwrap();
        assert_eq!(first.public(), second.public());
        let file = folder.join(SIGNING);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let error = signing_key(&folder).unwrap_err();
        assert!(
            matches!(error, KeyFileError::Open { mode: 0o640, .. }),
            "{error}"
        );
    }
}
