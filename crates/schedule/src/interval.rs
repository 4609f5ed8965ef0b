//! Lengths of time between two syncs: `90s`, `15m`, `1h30m`, `1d`.

use jiff::Timestamp;

const SECONDS_MAX: u64 = 366 * 86_400;
const UNITS: [(char, u64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

/// A fixed length of time from a second to 366 days. A day is 24 hours, whatever clocks do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    seconds: u64,
}

impl Interval {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let example = "write it as `90s`, `15m`, `2h`, `1h30m` or `1d`";
        let wrong = || format!("`{text}` is not a length of time; {example}");
        let mut seconds: u64 = 0;
        let mut rest = text.trim();
        let mut units = &UNITS[..];
        if rest.is_empty() {
            return Err(format!("it must not be empty; {example}"));
        }
        while !rest.is_empty() {
            let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
            let (number, after) = rest.split_at(digits);
            let number: u64 = number.parse().map_err(|_| wrong())?;
            let after = after.trim_start();
            let Some(unit) = after.chars().next() else {
                return Err(format!("`{text}` has no unit; {example}"));
            };
            // From large to small, each once: `1h30m`, not `30m1h`.
            let place = units.iter().position(|(letter, _)| *letter == unit).ok_or_else(wrong)?;
            seconds =
                number.checked_mul(units[place].1).and_then(|part| seconds.checked_add(part)).ok_or_else(wrong)?;
            units = &units[place + 1..];
            rest = after[unit.len_utf8()..].trim_start();
        }
        match seconds {
            0 => Err(format!("`{text}` is too short; it must be at least `1s`")),
            1..=SECONDS_MAX => Ok(Self { seconds }),
            _ => Err(format!("`{text}` is too long; it may be at most `366d`")),
        }
    }

    pub fn seconds(self) -> u64 {
        self.seconds
    }

    /// The first moment after `after` that is a whole number of intervals away from `anchor`. It may lie before
    /// `anchor`: when the clock was set back, nothing waits longer than one interval.
    pub(crate) fn next_after(self, after: Timestamp, anchor: Timestamp) -> Option<Timestamp> {
        let every = i128::from(self.seconds) * 1_000_000_000;
        let (after, anchor) = (after.as_nanosecond(), anchor.as_nanosecond());
        let count = (after - anchor).div_euclid(every) + 1;
        Timestamp::from_nanosecond(anchor + count * every).ok()
    }

    /// `15 minutes`, `hour`: what stands after the word "every".
    pub(crate) fn words(self) -> String {
        let units = [("week", 604_800), ("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)];
        let whole = units.into_iter().find(|(_, seconds)| self.seconds.is_multiple_of(*seconds));
        let (word, length) = whole.unwrap_or(("second", 1));
        match self.seconds / length {
            1 => word.to_owned(),
            count => format!("{count} {word}s"),
        }
    }
}

#[cfg(test)]
mod tests;
