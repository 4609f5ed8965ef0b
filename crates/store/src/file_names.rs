//! A mapping's name as a name for its files: safe on every file system, and never the same for two mappings.

use xxhash_rust::xxh3::xxh3_128;

/// Longer names end in a hash instead of their rest; file systems allow 255 bytes.
const LENGTH_MAX: usize = 120;

/// The name for files and folders of a mapping. Small letters, digits, `_` and `-` stay as they are; all else,
/// capitals too (some file systems do not tell them apart), is written as `%` and two hexadecimal digits a byte.
pub fn file_name(mapping: &str) -> String {
    let mut name = String::with_capacity(mapping.len());
    for byte in mapping.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    if name.is_empty() {
        // No other name is a lone `%`.
        name.push('%');
    }
    if name.len() > LENGTH_MAX {
        name.truncate(LENGTH_MAX - 34);
        // `%%` stands in no encoded name, so a shortened one is never another's full one.
        name.push_str(&format!("%%{:032x}", xxh3_128(mapping.as_bytes())));
    }
    name
}

#[cfg(test)]
mod tests;
