//! Whether a request from outside is signed with a hook's secret, compared in constant time over the body as it came.

use http::HeaderMap;
use jiff::Timestamp;
use kit::{SignatureAlgorithm, hmac_hex};
use schedule::{Hook, HookKind};
use subtle::ConstantTimeEq as _;

/// How far the time of a request may be off, in seconds.
const WINDOW: u64 = 300;
/// The header whose signature holds a time. In one that a schedule names, a program may sign in its own way.
const OWN_HEADER: &str = "x-outflow-signature";

/// Whether the signature is right, and what tells a repeat of the request from another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checked {
    Wrong,
    /// The text is the same if the request is sent again.
    Once(String),
    /// Nothing in it tells a repeat.
    Right,
}

/// Checks a request against a hook.
pub(crate) fn check(hook: &Hook, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Checked {
    let Some(value) = headers.get(hook.signature_header()).and_then(|value| value.to_str().ok()) else {
        return Checked::Wrong;
    };
    let value = value.trim();
    match hook.kind() {
        HookKind::DbtCloud => plain(hook, value, body),
        HookKind::Signed => match value.starts_with("t=") {
            true => timed(hook, value, body, now),
            false if hook.signature_header().eq_ignore_ascii_case(OWN_HEADER) => Checked::Wrong,
            false => plain(hook, value.strip_prefix("sha256=").unwrap_or(value), body),
        },
    }
}

/// `t=SECONDS,v1=HEX`, over the seconds, a dot and the body. There may be several of `v1`, while a secret is changed.
fn timed(hook: &Hook, value: &str, body: &[u8], now: Timestamp) -> Checked {
    let parts = || value.split(',').filter_map(|part| part.trim().split_once('='));
    let Some((_, seconds)) = parts().find(|(key, _)| *key == "t") else { return Checked::Wrong };
    // Written as a number is: what is signed is the text.
    let is_number = seconds.bytes().all(|byte| byte.is_ascii_digit());
    let Some(then) = seconds.parse::<i64>().ok().filter(|_| is_number) else { return Checked::Wrong };
    if now.as_second().abs_diff(then) > WINDOW {
        return Checked::Wrong;
    }
    let mut signed = format!("{seconds}.").into_bytes();
    signed.extend_from_slice(body);
    let expected = hmac_hex(SignatureAlgorithm::Sha256, hook.secret(), &signed);
    let given = parts().filter(|(key, _)| *key == "v1").map(|(_, signature)| signature);
    match given.fold(false, |right, signature| same(&expected, signature) | right) {
        true => Checked::Once(expected),
        false => Checked::Wrong,
    }
}

fn plain(hook: &Hook, value: &str, body: &[u8]) -> Checked {
    let expected = hmac_hex(SignatureAlgorithm::Sha256, hook.secret(), body);
    if same(&expected, value) { Checked::Right } else { Checked::Wrong }
}

fn same(expected: &str, given: &str) -> bool {
    expected.as_bytes().ct_eq(given.to_ascii_lowercase().as_bytes()).into()
}

#[cfg(test)]
mod tests;
