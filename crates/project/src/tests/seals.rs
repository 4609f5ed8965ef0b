//! A seal that only tests know: it hides a text from search, not from people.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Seal;

/// Seals the same text in another way each time, as a real one does.
#[derive(Debug)]
pub(crate) struct FakeSeal {
    pub(crate) key: u8,
    nonce: AtomicU64,
}

impl FakeSeal {
    pub(crate) fn new(key: u8) -> Self {
        Self { key, nonce: AtomicU64::new(0) }
    }
}

impl Seal for FakeSeal {
    fn seal(&self, about: &str, plain: &str) -> String {
        let nonce = self.nonce.fetch_add(1, Ordering::Relaxed);
        let hex: String = format!("{about}\n{plain}").bytes().map(|byte| format!("{:02x}", byte ^ self.key)).collect();
        format!("k{}.{nonce}.{hex}", self.key)
    }

    fn open(&self, about: &str, sealed: &str) -> Result<String, String> {
        let mut parts = sealed.split('.');
        let (key, hex) = (parts.next(), parts.nth(1).unwrap_or_default());
        // As a keyring does: the key of that name, whichever is the newest.
        let key: u8 = key.and_then(|key| key.strip_prefix('k')?.parse().ok()).ok_or("its key is not there")?;
        let byte = |place: usize| u8::from_str_radix(hex.get(place..place + 2)?, 16).ok().map(|byte| byte ^ key);
        let bytes = (0..hex.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or("it was changed")?;
        let (of, plain) = text.split_once('\n').ok_or("it was changed")?;
        if of == about { Ok(plain.to_owned()) } else { Err("it is about something else".to_owned()) }
    }
}
