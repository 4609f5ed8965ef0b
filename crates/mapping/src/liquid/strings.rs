//! What Liquid's text filters do to texts.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::budget::Budget;
use crate::javascript::is_space;
use crate::program::EvaluationError;

pub(super) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        // A first character of two UTF-16 units has its halves changed, which changes nothing.
        Some(first) if first > '\u{ffff}' => first.to_string() + &chars.as_str().to_lowercase(),
        Some(first) => first.to_uppercase().collect::<String>() + &chars.as_str().to_lowercase(),
        None => String::new(),
    }
}

pub(super) fn strip(text: &str, characters: Option<&str>, left: bool, right: bool) -> String {
    let goes = |c: char| characters.map_or_else(|| is_space(c), |characters| characters.contains(c));
    let text = if left { text.trim_start_matches(goes) } else { text };
    let text = if right { text.trim_end_matches(goes) } else { text };
    text.to_owned()
}

/// Takes out what stands in `<…>`, and comments, scripts and styles whole.
pub(super) fn strip_html(text: &str) -> String {
    let blocks = [("<script", "</script>"), ("<style", "</style>"), ("<!--", "-->"), ("<", ">")];
    let mut unclosed = [false; 4];
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        let block = &rest[open..];
        let mut after = None;
        for (index, (opener, closer)) in blocks.iter().enumerate() {
            if unclosed[index] || !block.starts_with(opener) {
                continue;
            }
            match block[opener.len()..].find(closer) {
                Some(end) => {
                    after = Some(opener.len() + end + closer.len());
                    break;
                }
                None => unclosed[index] = true,
            }
        }
        match after {
            Some(after) => rest = &block[after..],
            None => {
                out.push_str(block);
                return out;
            }
        }
    }
    out.push_str(rest);
    out
}

pub(super) fn single_spaces(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_space = false;
    for c in text.chars() {
        if is_space(c) {
            if !in_space {
                out.push(' ');
            }
            in_space = true;
        } else {
            out.push(c);
            in_space = false;
        }
    }
    out
}

/// `text.split(pattern).join(with)`: an empty pattern stands between all UTF-16 units.
pub(super) fn replace_all(text: &str, pattern: &str, with: &str, budget: &Budget) -> Result<String, EvaluationError> {
    let (count, inner) = match pattern {
        "" => (text.chars().count().saturating_sub(1), String::new()),
        pattern => (text.matches(pattern).count(), pattern.to_owned()),
    };
    budget.text(count.saturating_mul(with.len()))?;
    if inner.is_empty() {
        return Ok(split(text, "").join(with));
    }
    Ok(text.replace(&inner, with))
}

pub(super) fn replace_last(text: &str, pattern: &str, with: &str) -> String {
    match text.rfind(pattern) {
        Some(index) => format!("{}{with}{}", &text[..index], &text[index + pattern.len()..]),
        None => text.to_owned(),
    }
}

/// Splits a text; empty pieces at its end are left out.
pub(super) fn split(text: &str, separator: &str) -> Vec<String> {
    let mut pieces: Vec<String> = match separator {
        "" => text.chars().map(String::from).collect(),
        separator => text.split(separator).map(str::to_owned).collect(),
    };
    while pieces.last().is_some_and(String::is_empty) {
        pieces.pop();
    }
    pieces
}

/// `text.split(/\s+/)`.
pub(super) fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_space) {
        words.push(&rest[..start]);
        rest = rest[start..].trim_start_matches(is_space);
    }
    words.push(rest);
    words
}

fn is_cjk(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{3400}'..='\u{4dbf}' | '\u{3040}'..='\u{309f}'
        | '\u{30a0}'..='\u{30ff}' | '\u{ac00}'..='\u{d7af}')
}

pub(super) fn word_count(text: &str, mode: &str) -> usize {
    let text = crate::javascript::trim(text);
    if text.is_empty() {
        return 0;
    }
    let has_cjk = text.contains(is_cjk);
    if mode == "cjk" || (mode == "auto" && has_cjk) {
        let others = text.split(|c| is_cjk(c) || is_space(c)).filter(|word| !word.is_empty()).count();
        return text.chars().filter(|c| is_cjk(*c)).count() + others;
    }
    words(text).len()
}

pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

pub(super) fn unescape(text: &str) -> String {
    const ENTITIES: [(&str, char); 5] = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&#34;", '"'), ("&#39;", '\'')];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        match ENTITIES.iter().find(|(entity, _)| rest.starts_with(entity)) {
            Some((entity, c)) => {
                out.push(*c);
                rest = &rest[entity.len()..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Percent-encodes all bytes but letters, digits and the given signs.
pub(crate) fn encode_uri(text: &str, kept: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || (byte.is_ascii() && kept.contains(char::from(byte))) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

/// Percent-decodes; nothing if an escape is not one, or the bytes are no UTF-8.
pub(crate) fn decode_uri(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let [high, low, tail @ ..] = tail else { return None };
            let digit = |byte: u8| char::from(byte).to_digit(16);
            bytes.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
            rest = tail;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

/// Base64 as Node reads it once LiquidJS has found it to be base64.
pub(super) fn decode_base64(text: &str) -> Option<String> {
    let mut text: String = text.chars().filter(|c| !matches!(c, '\t' | '\n' | '\u{c}' | '\r' | ' ')).collect();
    if text.len().is_multiple_of(4) {
        let kept = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).map(str::len);
        text.truncate(kept.unwrap_or(text.len()));
    }
    if text.len() % 4 == 1 || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')) {
        return None;
    }
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&base64::alphabet::STANDARD, config).decode(text).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

pub(super) fn slugify(text: &str, mode: &str, cased: bool) -> String {
    let kept: Option<fn(char) -> bool> = match mode {
        "raw" => Some(|c| !is_space(c)),
        "default" | "latin" => Some(|c: char| c.is_alphanumeric() || is_mark(c)),
        "pretty" => Some(|c: char| c.is_alphanumeric() || is_mark(c) || "._~!$&'()+,;=@".contains(c)),
        "ascii" => Some(|c: char| c.is_ascii_alphanumeric()),
        _ => None,
    };
    let mut out = String::new();
    match kept {
        Some(kept) => {
            let text = if mode == "latin" { without_accents(text) } else { text.to_owned() };
            let mut dashed = false;
            for c in text.chars() {
                if kept(c) {
                    out.push(c);
                } else if !dashed {
                    out.push('-');
                }
                dashed = !kept(c);
            }
            let trimmed = out.strip_prefix('-').unwrap_or(&out);
            let trimmed = trimmed.strip_suffix('-').unwrap_or(trimmed);
            out = trimmed.to_owned();
        }
        None => out.push_str(text),
    }
    if cased { out } else { out.to_lowercase() }
}

/// The combining marks that occur in practice.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{610}'..='\u{61a}'
        | '\u{64b}'..='\u{65f}' | '\u{900}'..='\u{903}' | '\u{93a}'..='\u{94f}' | '\u{e31}' | '\u{e34}'..='\u{e3a}'
        | '\u{e47}'..='\u{e4e}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe20}'..='\u{fe2f}')
}

fn without_accents(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'à'..='å' => out.push('a'),
            'æ' => out.push_str("ae"),
            'ç' => out.push('c'),
            'è'..='ë' => out.push('e'),
            'ì'..='ï' => out.push('i'),
            'ð' => out.push('d'),
            'ñ' => out.push('n'),
            'ò'..='ö' | 'ø' => out.push('o'),
            'ù'..='ü' => out.push('u'),
            'ý' | 'ÿ' => out.push('y'),
            'ß' => out.push_str("ss"),
            'œ' => out.push_str("oe"),
            'þ' => out.push_str("th"),
            'ẞ' => out.push_str("SS"),
            'Œ' => out.push_str("OE"),
            'Þ' => out.push_str("TH"),
            c => out.push(c),
        }
    }
    out
}
