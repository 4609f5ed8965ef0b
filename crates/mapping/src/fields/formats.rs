//! Formats of texts, as strict as the original's.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;

use regex::Regex;

use crate::javascript::{is_space, number_of_text};

/// Whether a text has a format. A format that is not known lets everything through.
pub fn fits(format: &str, text: &str) -> bool {
    match format {
        "date-like" => is_date_like(text),
        "date" => is_date(text),
        "time" => is_time(text),
        "date-time" => {
            let parts: Vec<&str> = text.split(|c: char| matches!(c, 'T' | 't') || is_space(c)).collect();
            matches!(parts[..], [date, time] if is_date(date) && is_time(time))
        }
        "email" => is_email(text),
        "hostname" => is_hostname(text),
        "ipv4" => is_ipv4(text),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "uri" => text.contains(['/', ':']) && is_uri(text),
        "uri-reference" => is_uri_reference(text),
        "uuid" => is_uuid(text),
        "regex" => is_regex(text),
        "duration" => is_duration(text),
        "json-pointer" => is_json_pointer(text),
        "byte" => is_byte(text),
        _ => true,
    }
}

fn matcher<'r>(cell: &'r OnceLock<Option<Regex>>, pattern: &str) -> Option<&'r Regex> {
    cell.get_or_init(|| Regex::new(pattern).ok()).as_ref()
}

/// What dayjs takes for a date, and numbers, which count as seconds.
fn is_date_like(text: &str) -> bool {
    const MILLIS_MAX: f64 = 8.64e15;
    let number = number_of_text(text);
    if records::number_text(number) == text {
        return (number * 1000.0).abs() <= MILLIS_MAX;
    }
    crate::dates::dayjs_millis(text).is_some()
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = bytes else { return false };
    let digits = [y1, y2, y3, y4, m1, m2, d1, d2];
    if !digits.iter().all(|digit| digit.is_ascii_digit()) {
        return false;
    }
    let number = |digits: &[&u8]| digits.iter().fold(0i16, |value, digit| value * 10 + i16::from(**digit - b'0'));
    let (month, day) = (number(&[m1, m2]), number(&[d1, d2]));
    // Year 0 is a leap year like any other here.
    jiff::civil::Date::new(number(&[y1, y2, y3, y4]), month as i8, day as i8).is_ok()
}

fn is_time(text: &str) -> bool {
    static TIME: OnceLock<Option<Regex>> = OnceLock::new();
    let pattern = r"^([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]+)?([zZ]|[+-][0-9]{2}(:?[0-9]{2})?)?$";
    let Some(found) = matcher(&TIME, pattern).and_then(|time| time.captures(text)) else { return false };
    let part = |index: usize| found.get(index).and_then(|part| part.as_str().parse::<u8>().ok()).unwrap_or(u8::MAX);
    let (hour, minute, second) = (part(1), part(2), part(3));
    (hour <= 23 && minute <= 59 && second <= 59) || (hour, minute, second) == (23, 59, 60)
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let is_atom = |atom: &str| {
        !atom.is_empty() && atom.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~-".contains(c))
    };
    let mut labels = 0;
    let valid = domain.split('.').all(|label| {
        labels += 1;
        is_label(label, usize::MAX)
    });
    local.split('.').all(is_atom) && valid && labels > 1
}

fn is_label(label: &str, length_max: usize) -> bool {
    !label.is_empty()
        && label.len() <= length_max
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_hostname(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    name.len() <= 253 && name.split('.').all(|label| is_label(label, 63))
}

fn is_ipv4(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let is_part = |part: &&str| {
        (1..=3).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && part.parse::<u16>().is_ok_and(|number| number <= 255)
    };
    text.parse::<Ipv4Addr>().is_ok() || (parts.len() == 4 && parts.iter().all(is_part))
}

fn is_uuid(text: &str) -> bool {
    let prefixed = text.get(..9).is_some_and(|prefix| prefix.eq_ignore_ascii_case("urn:uuid:"));
    let uuid = if prefixed { &text[9..] } else { text };
    let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && uuid.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn scheme_end(text: &str) -> Option<usize> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)))?;
    (text[end..].starts_with(':') && text.starts_with(|c: char| c.is_ascii_alphabetic())).then_some(end + 1)
}

fn is_uri(text: &str) -> bool {
    let Some(end) = scheme_end(text) else { return false };
    let (path, rest) = split_path(&text[end..]);
    !path.is_empty() && is_path(path, "") && is_tail(rest, "")
}

fn is_uri_reference(text: &str) -> bool {
    let whole = split_path(text);
    let after_scheme = scheme_end(text).map(|end| split_path(&text[end..]));
    let fits = |(path, rest): (&str, &str)| is_path(path, "\"") && is_tail(rest, "\"");
    fits(whole) || after_scheme.is_some_and(fits)
}

fn split_path(text: &str) -> (&str, &str) {
    text.split_at(text.find(['?', '#']).unwrap_or(text.len()))
}

/// A path of slashes and plain or escaped characters; after `//` a host may be an address in brackets.
fn is_path(path: &str, more: &str) -> bool {
    if let Some(authority) = path.strip_prefix("//").or_else(|| path.strip_prefix('/')) {
        let host = authority.split('/').next().unwrap_or_default();
        let (user, host_and_port) = host.rsplit_once('@').unwrap_or(("", host));
        if let Some((address, port)) = host_and_port.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let address_fits = address.parse::<Ipv6Addr>().is_ok() || is_future_address(address);
            let port_fits = port.is_empty()
                || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
            let after = &authority[host.len()..];
            return address_fits && port_fits && are_plain(user, ":") && are_plain(after, ":@/");
        }
    }
    are_plain(path, &format!(":@/{more}"))
}

fn is_future_address(address: &str) -> bool {
    let Some((version, rest)) = address.strip_prefix(['v', 'V']).and_then(|rest| rest.split_once('.')) else {
        return false;
    };
    !version.is_empty()
        && version.bytes().all(|byte| byte.is_ascii_hexdigit())
        && !rest.is_empty()
        && !rest.contains('%')
        && are_plain(rest, ":")
}

fn is_tail(tail: &str, more: &str) -> bool {
    let (query, fragment) = tail.split_once('#').unwrap_or((tail, ""));
    let query = query.strip_prefix('?').unwrap_or(query);
    let allowed = format!(":@/?{more}");
    are_plain(query, &allowed) && are_plain(fragment, &allowed)
}

/// Letters, digits, the usual signs and those given, and escapes.
fn are_plain(text: &str, more: &str) -> bool {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '%' {
            let escape = rest.as_bytes().get(1..3);
            if !escape.is_some_and(|escape| escape.iter().all(u8::is_ascii_hexdigit)) {
                return false;
            }
            rest = &rest[3..];
        } else if c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=".contains(c) || more.contains(c) {
            rest = &rest[1..];
        } else {
            return false;
        }
    }
    true
}

/// Whether JavaScript would take a text for a regular expression. Ours has no look-around and no back references,
/// so those are replaced by what it has before it is asked.
fn is_regex(text: &str) -> bool {
    static Z_ANCHOR: OnceLock<Option<Regex>> = OnceLock::new();
    static LOOK_AROUND: OnceLock<Option<Regex>> = OnceLock::new();
    static BACK_REFERENCE: OnceLock<Option<Regex>> = OnceLock::new();
    if matcher(&Z_ANCHOR, r"[^\\]\\Z").is_some_and(|anchor| anchor.is_match(text)) {
        return false;
    }
    let plain = match matcher(&LOOK_AROUND, r"\(\?(<?[=!])") {
        Some(found) => found.replace_all(text, "(?:").into_owned(),
        None => text.to_owned(),
    };
    let plain = match matcher(&BACK_REFERENCE, r"\\([1-9]|k<[^>]*>)") {
        Some(found) => found.replace_all(&plain, "a").into_owned(),
        None => plain,
    };
    // Outside of a repetition a brace is just a brace to JavaScript, and so is an unknown escape.
    let plain = loosened(&plain);
    !repeats_a_repetition(&plain) && regex_is_valid(&plain)
}

/// `a**` and `a{2}+`, which our expressions have and JavaScript's have not. A `?` after a repetition makes it lazy.
fn repeats_a_repetition(pattern: &str) -> bool {
    let mut in_class = false;
    let mut repetitions = 0;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
                repetitions = 0;
            }
            '[' => in_class = true,
            ']' => {
                in_class = false;
                repetitions = 0;
            }
            _ if in_class => {}
            '?' if repetitions == 1 => repetitions = 2,
            '*' | '+' | '?' | '{' if repetitions > 0 => return true,
            '*' | '+' | '?' => repetitions = 1,
            '{' => {
                // What stands in braces is digits and a comma here.
                while chars.next().is_some_and(|c| c != '}') {}
                repetitions = 1;
            }
            // `(?:` is no repetition.
            '(' => {
                repetitions = 0;
                if chars.as_str().starts_with('?') {
                    chars.next();
                }
            }
            _ => repetitions = 0,
        }
    }
    false
}

fn regex_is_valid(pattern: &str) -> bool {
    match Regex::new(pattern) {
        Ok(_) => true,
        // Too large for us is not wrong.
        Err(regex::Error::CompiledTooBig(_)) => true,
        Err(_) => false,
    }
}

fn loosened(pattern: &str) -> String {
    let mut out = String::new();
    let chars: Vec<char> = pattern.chars().collect();
    let mut in_class = false;
    let mut index = 0;
    while let Some(&c) = chars.get(index) {
        index += 1;
        match c {
            '\\' => {
                let Some(&escaped) = chars.get(index) else {
                    out.push('\\');
                    break;
                };
                index += 1;
                if "dDwWsSbBnrtfv".contains(escaped) || escaped.is_ascii_punctuation() {
                    out.extend(['\\', escaped]);
                } else {
                    out.push('a');
                }
            }
            '[' if in_class => out.push_str("\\["),
            '[' => {
                in_class = true;
                out.push('[');
                if chars.get(index) == Some(&'^') {
                    index += 1;
                    out.push('^');
                }
                if chars.get(index) == Some(&']') {
                    // An empty class is fine there.
                    index += 1;
                    in_class = false;
                    out.push_str("a]");
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            ']' => out.push_str("\\]"),
            '&' | '~' if in_class => out.extend(['\\', c]),
            '{' if !in_class => {
                let rest: String = chars[index..].iter().take_while(|c| **c != '}').collect();
                let closed = chars.get(index + rest.chars().count()) == Some(&'}');
                let (low, high) = rest.split_once(',').unwrap_or((&rest, &rest));
                let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
                let is_repetition = closed && !low.is_empty() && digits(low) && digits(high);
                out.push_str(if is_repetition { "{" } else { "\\{" });
            }
            c => out.push(c),
        }
    }
    out
}

fn is_duration(text: &str) -> bool {
    static DURATION: OnceLock<Option<Regex>> = OnceLock::new();
    let pattern = r"^P(([0-9]+Y)?([0-9]+M)?([0-9]+D)?(T([0-9]+H)?([0-9]+M)?([0-9]+S)?)?|([0-9]+W)?)$";
    text.len() > 1
        && !text.ends_with('T')
        && matcher(&DURATION, pattern).is_some_and(|duration| duration.is_match(text))
}

fn is_json_pointer(text: &str) -> bool {
    let escapes_fit = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    (text.is_empty() || text.starts_with('/')) && escapes_fit
}

fn is_byte(text: &str) -> bool {
    let data = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - data.len() <= 2
        && data.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}
