//! Dates as LiquidJS's `date` filter prints them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

/// The time zone that a date is shown in.
pub(super) enum Zone {
    /// The program's own, which is UTC.
    Unset,
    /// Minutes west of Greenwich.
    Minutes(f64),
    /// A name like `Europe/Berlin`.
    Named(String),
}

/// A point in time, shown in a zone.
pub(super) struct Moment {
    seconds: i64,
    millis: i64,
    shown: DateTime,
    /// Minutes east of Greenwich.
    offset: i64,
    zone_name: String,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Wider than this a field is not padded.
const WIDTH_MAX: usize = 1000;

impl Moment {
    pub(super) fn new(millis: f64, zone: &Zone) -> Option<Self> {
        if !millis.is_finite() {
            return None;
        }
        let at = Timestamp::from_millisecond(millis.trunc() as i64).ok()?;
        let (offset, zone_name) = match zone {
            Zone::Unset => (0, "UTC".to_owned()),
            Zone::Minutes(minutes) => (-(minutes.trunc() as i64), String::new()),
            Zone::Named(name) => {
                let offset = TimeZone::get(name).ok()?.to_offset(at);
                (i64::from(offset.seconds()) / 60, name.clone())
            }
        };
        let shift = Offset::from_seconds(i32::try_from(offset.checked_mul(60)?).ok()?).ok()?;
        let whole = at.as_millisecond();
        Some(Self {
            seconds: whole.div_euclid(1000),
            millis: whole.rem_euclid(1000),
            shown: shift.to_datetime(at),
            offset,
            zone_name,
        })
    }

    /// Days before the year's first such day belong to week 0.
    fn week_of_year(&self, first_day: i64) -> i64 {
        let weekday = i64::from(self.shown.weekday().to_sunday_zero_offset());
        let since_first_day = (weekday - first_day).rem_euclid(7);
        (i64::from(self.shown.day_of_year()) - 1 - since_first_day + 7) / 7
    }

    fn offset_text(&self, colon: bool) -> String {
        let (sign, minutes) = if self.offset < 0 { ('-', -self.offset) } else { ('+', self.offset) };
        format!("{sign}{:02}{}{:02}", minutes / 60, if colon { ":" } else { "" }, minutes % 60)
    }

    fn time_text(&self) -> String {
        let hour = self.shown.hour();
        let half = if hour < 12 { "AM" } else { "PM" };
        let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
        format!("{twelve}:{:02}:{:02} {half}", self.shown.minute(), self.shown.second())
    }

    fn date_text(&self) -> String {
        format!("{}/{}/{}", self.shown.month(), self.shown.day(), self.shown.year())
    }

    /// What a conversion prints before padding, with its own width; nothing if there is no such conversion.
    fn convert(&self, conversion: char, colon: bool, width: usize) -> Option<(String, usize)> {
        let shown = &self.shown;
        let month = usize::try_from(shown.month() - 1).unwrap_or(0);
        let weekday = usize::try_from(shown.weekday().to_sunday_zero_offset()).unwrap_or(0);
        let hour = shown.hour();
        let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
        let day = shown.day();
        Some(match conversion {
            'a' => (DAYS[weekday][..3].to_owned(), 0),
            'A' => (DAYS[weekday].to_owned(), 0),
            'b' | 'h' => (MONTHS[month][..3].to_owned(), 0),
            'B' => (MONTHS[month].to_owned(), 0),
            'c' => (format!("{}, {}", self.date_text(), self.time_text()), 0),
            'C' => (i64::from(shown.year()).div_euclid(100).to_string(), 2),
            'd' | 'e' => (day.to_string(), 2),
            'H' | 'k' => (hour.to_string(), 2),
            'I' | 'l' => (twelve.to_string(), 2),
            'j' => (shown.day_of_year().to_string(), 3),
            'L' => (self.millis.to_string(), 3),
            'm' => (shown.month().to_string(), 2),
            'M' => (shown.minute().to_string(), 2),
            'N' => {
                let width = if width == 0 { 9 } else { width.min(WIDTH_MAX) };
                let digits: String = format!("{:03}", self.millis).chars().take(width).collect();
                (format!("{digits:0<width$}"), 0)
            }
            'p' => (if hour < 12 { "AM" } else { "PM" }.to_owned(), 0),
            'P' => (if hour < 12 { "am" } else { "pm" }.to_owned(), 0),
            'q' => {
                let ordinal = match (day / 10, day % 10) {
                    (1, _) => "th",
                    (_, 1) => "st",
                    (_, 2) => "nd",
                    (_, 3) => "rd",
                    _ => "th",
                };
                (ordinal.to_owned(), 0)
            }
            's' => (self.seconds.to_string(), 0),
            'S' => (shown.second().to_string(), 2),
            'u' => ((if weekday == 0 { 7 } else { weekday }).to_string(), 0),
            'U' => (self.week_of_year(0).to_string(), 2),
            'w' => (weekday.to_string(), 0),
            'W' => (self.week_of_year(1).to_string(), 2),
            'x' => (self.date_text(), 0),
            'X' => (self.time_text(), 0),
            'y' => (shown.year().rem_euclid(100).to_string(), 2),
            'Y' => (shown.year().to_string(), 4),
            'z' => (self.offset_text(colon), 0),
            'Z' if self.zone_name.is_empty() => (self.offset_text(colon), 0),
            'Z' => (self.zone_name.clone(), 0),
            't' => ("\t".to_owned(), 0),
            'n' => ("\n".to_owned(), 0),
            '%' => ("%".to_owned(), 0),
            _ => return None,
        })
    }

    /// The date in a format of `%Y`, `%-d`, `%^a`, `%05H` and the like.
    pub(super) fn format(&self, format: &str) -> String {
        let mut out = String::new();
        let mut rest = format;
        while let Some(start) = rest.find('%') {
            out.push_str(&rest[..start]);
            let directive = &rest[start..];
            let body = &directive[1..];
            let flags_end = body.find(|c| !"-_0^#:".contains(c)).unwrap_or(body.len());
            let (flags, body) = body.split_at(flags_end);
            let digits_end = body.find(|c: char| !c.is_ascii_digit()).unwrap_or(body.len());
            let (digits, body) = body.split_at(digits_end);
            let after_modifier = body.strip_prefix(['E', 'O']).filter(|body| !body.is_empty());
            let body = after_modifier.unwrap_or(body);
            let conversion = body.chars().next();
            let length = directive.len() - body.len() + conversion.map_or(0, char::len_utf8);
            rest = &directive[length..];
            let width: usize = digits.parse().unwrap_or(0);
            let converted = conversion.and_then(|c| Some((c, self.convert(c, flags.contains(':'), width)?)));
            match converted {
                Some((conversion, (text, own_width))) => {
                    out.push_str(&padded(text, flags, conversion, if width > 0 { width } else { own_width }));
                }
                None => out.push_str(&directive[..length]),
            }
        }
        out.push_str(rest);
        out
    }
}

fn padded(text: String, flags: &str, conversion: char, width: usize) -> String {
    let mut pad = if "aAbBceklpP".contains(conversion) { ' ' } else { '0' };
    let text = if flags.contains('^') {
        text.to_uppercase()
    } else if flags.contains('#') {
        if text.chars().any(char::is_lowercase) { text.to_uppercase() } else { text.to_lowercase() }
    } else {
        text
    };
    if flags.contains('_') {
        pad = ' ';
    } else if flags.contains('0') {
        pad = '0';
    }
    let width = if flags.contains('-') { 0 } else { width.min(WIDTH_MAX) };
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) if pad == '0' => ("-", digits),
        _ => ("", text.as_str()),
    };
    let missing = width.saturating_sub(sign.len() + digits.chars().count());
    let padding: String = std::iter::repeat_n(pad, missing).collect();
    format!("{sign}{padding}{digits}")
}
