//! Hashes. What is a hash already is left alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::normal::{self, Normal};
use super::options::Options;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

impl Algorithm {
    fn length(self) -> usize {
        match self {
            Algorithm::Md5 => 16,
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
            Algorithm::Sha512 => 64,
        }
    }

    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Algorithm::Md5 => Md5::digest(bytes).to_vec(),
            Algorithm::Sha1 => Sha1::digest(bytes).to_vec(),
            Algorithm::Sha256 => Sha256::digest(bytes).to_vec(),
            Algorithm::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

/// A `@hash` directive.
#[derive(Debug, Clone)]
pub(super) struct Hash {
    algorithm: Algorithm,
    base64: bool,
    normal: Vec<Normal>,
}

impl Hash {
    pub(super) fn read(options: &mut Options<'_>, normal: Vec<Normal>) -> Option<Self> {
        let base64 = options.choice("encoding", &["hex", "base64"]) == Some("base64");
        let algorithm = match options.get("algorithm") {
            None => Algorithm::Sha256,
            Some(_) => match options.choice("algorithm", &["md5", "sha1", "sha256", "sha512"])? {
                "md5" => Algorithm::Md5,
                "sha1" => Algorithm::Sha1,
                "sha512" => Algorithm::Sha512,
                _ => Algorithm::Sha256,
            },
        };
        Some(Self { algorithm, base64, normal })
    }

    /// The hash of a text once it is normalised. An empty text stays empty, a hash of this algorithm stays as it is,
    /// and what cannot be normalised gives nothing.
    pub(super) fn apply(&self, text: &str) -> Option<String> {
        if self.is_hash(text.trim()) {
            return Some(text.trim().to_owned());
        }
        let text = normal::apply(&self.normal, text)?;
        if text.is_empty() {
            return Some(text);
        }
        let digest = self.algorithm.digest(text.as_bytes());
        Some(if self.base64 { STANDARD.encode(digest) } else { hex(&digest) })
    }

    /// By its length and characters, in either encoding.
    fn is_hash(&self, text: &str) -> bool {
        let length = self.algorithm.length();
        let is_hex = text.len() == length * 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex || STANDARD.decode(text).is_ok_and(|bytes| bytes.len() == length)
    }
}

fn hex(bytes: &[u8]) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(HEX[usize::from(byte >> 4)]));
        out.push(char::from(HEX[usize::from(byte & 15)]));
    }
    out
}

pub(crate) fn hex_of_sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn hex_of_hmac_sha256(key: &[u8], bytes: &[u8]) -> String {
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(bytes);
            hex(&mac.finalize().into_bytes())
        }
        Err(_) => String::new(),
    }
}
