//! Lengths of time as people write them: `90s`, `15m`, `1h30m`, `7d`.

use std::time::Duration;

const DAY: u64 = 86_400;

/// Reads a length of time; days have 24 hours.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let (mut seconds, mut smallest) = (0_u64, u64::MAX);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = match rest.as_bytes()[digits] {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => DAY,
            _ => return None,
        };
        // Each unit once, the larger first.
        if unit >= smallest {
            return None;
        }
        smallest = unit;
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    Some(Duration::from_secs(seconds))
}

/// The same for people: `2 hours`, `1 day and 6 hours`, `15 minutes`.
pub(crate) fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(DAY, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let Some(first) = units.iter().position(|(unit, _)| seconds >= *unit) else {
        return "less than a second".to_owned();
    };
    let counted = |count: u64, name: &str| match count {
        1 => format!("1 {name}"),
        _ => format!("{count} {name}s"),
    };
    let (unit, name) = units[first];
    let large = counted(seconds / unit, name);
    match units.get(first + 1).map(|(small, name)| (seconds % unit / small, name)) {
        None | Some((0, _)) => large,
        Some((small, name)) => format!("{large} and {}", counted(small, name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_read_and_said() {
        for (text, seconds, said) in [
            ("90s", 90, "1 minute and 30 seconds"),
            ("15m", 900, "15 minutes"),
            ("1h30m", 5_400, "1 hour and 30 minutes"),
            ("24h", 86_400, "1 day"),
            ("14d", 14 * 86_400, "14 days"),
            ("1d1s", 86_401, "1 day"),
            ("0s", 0, "less than a second"),
        ] {
            let duration = parse(text).unwrap();
            assert_eq!((duration.as_secs(), words(duration).as_str()), (seconds, said), "{text}");
        }
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for text in [
            "",
            "15",
            "m",
            "15 m",
            "-1h",
            "1.5h",
            "1m1h",
            "1h1h",
            "99999999999999999999s",
            "9999999999999999d",
            "1w",
            "ä",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
