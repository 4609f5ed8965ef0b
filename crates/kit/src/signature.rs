//! HMAC signatures over whole request bodies, as webhooks have them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};

/// How requests are signed.
#[derive(Clone)]
pub struct Signature {
    pub algorithm: SignatureAlgorithm,
    pub secret: String,
    pub header: HeaderName,
    pub encoding: SignatureEncoding,
    /// Stands before the digest: `sha256=`. `{timestamp}` in it is replaced.
    pub prefix: String,
    /// What is signed: `{body}` is the body and `{timestamp}` the seconds since 1970.
    pub content: String,
    /// The header that carries the timestamp, if there is one.
    pub timestamp_header: Option<HeaderName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    Sha1,
    Sha256,
    Sha512,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureEncoding {
    Hex,
    Base64,
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signature({:?} in {})", self.algorithm, self.header)
    }
}

impl Signature {
    /// Adds the signature of `body`, made at `seconds` since 1970, to the headers.
    pub(crate) fn sign(&self, body: &[u8], seconds: i64, headers: &mut HeaderMap) {
        let timestamp = seconds.to_string();
        let content = self.content.replace("{timestamp}", &timestamp);
        let mut signed = Vec::with_capacity(content.len() + body.len());
        let mut parts = content.split("{body}");
        signed.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
        for part in parts {
            signed.extend_from_slice(body);
            signed.extend_from_slice(part.as_bytes());
        }
        let digest = digest(self.algorithm, &self.secret, &signed);
        let digest = match self.encoding {
            SignatureEncoding::Hex => hex(&digest),
            SignatureEncoding::Base64 => STANDARD.encode(digest),
        };
        let text = format!("{}{digest}", self.prefix.replace("{timestamp}", &timestamp));
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(self.header.clone(), value);
        }
        if let (Some(name), Ok(value)) = (&self.timestamp_header, HeaderValue::from_str(&timestamp)) {
            headers.insert(name.clone(), value);
        }
    }
}

/// The HMAC of some content in hexadecimal, for a signature over something else than the whole body.
pub fn hmac_hex(algorithm: SignatureAlgorithm, secret: &str, content: &[u8]) -> String {
    hex(&digest(algorithm, secret, content))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(algorithm: SignatureAlgorithm, secret: &str, content: &[u8]) -> Vec<u8> {
    fn of<M: Mac + KeyInit>(secret: &str, content: &[u8]) -> Vec<u8> {
        // HMAC takes a key of any length, so this cannot fail.
        let Ok(mut mac) = <M as KeyInit>::new_from_slice(secret.as_bytes()) else { return Vec::new() };
        mac.update(content);
        mac.finalize().into_bytes().to_vec()
    }
    match algorithm {
        SignatureAlgorithm::Sha1 => of::<Hmac<sha1::Sha1>>(secret, content),
        SignatureAlgorithm::Sha256 => of::<Hmac<sha2::Sha256>>(secret, content),
        SignatureAlgorithm::Sha512 => of::<Hmac<sha2::Sha512>>(secret, content),
    }
}
