//! Hashes.

use hmac::{Hmac, KeyInit, Mac};
use md5::Digest;
use sha2::Sha256;

pub(crate) fn hex(bytes: &[u8]) -> String {
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
