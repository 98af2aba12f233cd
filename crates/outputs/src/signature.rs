//! What signs webhooks: Standard Webhooks' HMAC-SHA256 over `id.timestamp.body`, in
//! `webhook-signature` as `v1,BASE64`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use std::io::{self, Read};
use std::path::Path;

/// Bytes of a secret, at most.
const MAX_SECRET: usize = 16 << 10;

/// Signs.
pub struct Signer(hmac::Key);

impl Signer {
    /// With a secret: as Standard Webhooks writes it, `whsec_` and Base64, or any other text
    /// as it stands.
    pub fn new(secret: &str) -> Signer {
        let bytes = secret
            .strip_prefix("whsec_")
            .and_then(|encoded| STANDARD.decode(encoded).ok())
            .unwrap_or_else(|| secret.as_bytes().to_vec());
        Signer(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
    }

    /// The headers of a message that is sent at this second.
    pub fn headers(&self, id: &str, seconds: i64, body: &str) -> [(&'static str, String); 3] {
        let tag = hmac::sign(&self.0, format!("{id}.{seconds}.{body}").as_bytes());
        [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", format!("v1,{}", STANDARD.encode(tag))),
        ]
    }
}

/// What stands in a file with a secret, without the space around it.
pub fn read_secret(file: &Path) -> io::Result<String> {
    let said = |why: io::Error| io::Error::new(why.kind(), format!("{}: {why}", file.display()));
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(said)?;
    let mut opened = opened.take(2 * MAX_SECRET as u64);
    opened.read_to_string(&mut text).map_err(said)?;
    let secret = text.trim();
    if secret.is_empty() || secret.len() > MAX_SECRET {
        return Err(said(io::Error::other("empty, or too long for a secret")));
    }
    Ok(secret.to_owned())
}
