//! Dates as JavaScript reads them: ISO 8601, mail dates, the looser forms that V8 takes, and the shapes of dayjs.

/// Milliseconds since 1970 of a date in text, as `Date.parse` gives them. Without a zone it is UTC.
pub fn date_millis(text: &str) -> Option<i64> {
    Reader::new(text).read()
}

/// The same as `dayjs` reads it: year, month, day and time in their order, with or without signs between them, and
/// whatever [`date_millis`] takes. A part that is out of range counts on into the next.
pub fn dayjs_millis(text: &str) -> Option<i64> {
    if text.ends_with(['z', 'Z']) {
        return date_millis(text);
    }
    dayjs_parts(text).map_or_else(|| date_millis(text), within_range)
}

/// Milliseconds since 1970 as `2024-06-10T08:30:00.000Z`. None: the year has not four digits.
pub fn date_text(millis: i64) -> Option<String> {
    let at = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_millisecond(millis).ok()?);
    (0..=9999).contains(&at.year()).then(|| at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}

/// The same as [`date_millis`], but only of text that begins as a date does: `May 5`, not `room 5`.
pub(crate) fn parse_plain(text: &str) -> Option<i64> {
    const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    let start: String = text.chars().take(3).collect::<String>().to_lowercase();
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'))
        || MONTHS.contains(&start.as_str())
        || DAYS.contains(&start.as_str());
    if begins { date_millis(text) } else { None }
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/// Zones by name, in hours east of Greenwich.
const ZONES: [(&str, i64); 12] = [
    ("z", 0),
    ("ut", 0),
    ("utc", 0),
    ("gmt", 0),
    ("est", -5),
    ("edt", -4),
    ("cst", -6),
    ("cdt", -5),
    ("mst", -7),
    ("mdt", -6),
    ("pst", -8),
    ("pdt", -7),
];

/// The most that a JavaScript date can be away from 1970.
const MILLIS_MAX: i64 = 8_640_000_000_000_000;
/// More years than any date has, few enough to reckon with.
const YEARS_MAX: i64 = 400_000;

fn within_range(millis: i64) -> Option<i64> {
    (millis.abs() <= MILLIS_MAX).then_some(millis)
}

/// Days since 1970 of the first of a month, counted from 0; a month beyond the year counts on.
fn days_to_month(year: i64, month: i64) -> i64 {
    let year = year + month.div_euclid(12);
    let month = month.rem_euclid(12);
    // Years begin in March here, so that the leap day is the last of its year.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let century = year.div_euclid(400);
    let day = (153 * month + 2) / 5;
    let year = year.rem_euclid(400);
    century * 146_097 + year * 365 + year / 4 - year / 100 + day - 719_468
}

fn millis_of(year: i64, month: i64, day: i64, time: [i64; 4]) -> i64 {
    let [hour, minute, second, milli] = time;
    let days = days_to_month(year, month) + day - 1;
    ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + milli
}

/// `2024-06-10 08:30`, `20240610`, `2024/6`, `2024-06-10T08:30:15.5`: digits with an optional sign between the parts.
fn dayjs_parts(text: &str) -> Option<i64> {
    use std::sync::OnceLock;
    static SHAPE: OnceLock<Option<regex::Regex>> = OnceLock::new();
    let shape = r"^([0-9]{4})[-/]?([0-9]{1,2})?[-/]?([0-9]{0,2})[Tt\s]*([0-9]{1,2})?:?([0-9]{1,2})?:?([0-9]{1,2})?[.:]?([0-9]+)?$";
    let found = SHAPE.get_or_init(|| regex::Regex::new(shape).ok()).as_ref()?.captures(text)?;
    let part = |index: usize| found.get(index).map(|part| part.as_str()).filter(|part| !part.is_empty());
    let number = |index: usize, default: i64| part(index).map_or(Some(default), |part| part.parse().ok());
    let year = match number(1, 0)? {
        year @ 0..=99 => 1900 + year,
        year => year,
    };
    // The first three digits count as milliseconds, however many there are.
    let milli = part(7).map_or(Some(0), |digits| digits.get(..3).unwrap_or(digits).parse().ok())?;
    let time = [number(4, 0)?, number(5, 0)?, number(6, 0)?, milli];
    Some(millis_of(year, number(2, 1)? - 1, number(3, 1)?, time))
}

/// A piece of the text.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Token {
    /// Its value and how many digits it has.
    Number(i64, usize),
    /// One of `:`, `-`, `+`, `.` and `)`.
    Sign(char),
    Month(i64),
    /// Hours to add.
    HalfOfDay(i64),
    /// Hours east, and whether it is the letter `Z`.
    Zone(i64, bool),
    /// The letter `T`.
    TimeFollows,
    Word,
    Space,
    /// Says nothing: commas, slashes, what stands in parentheses.
    Nothing,
    End,
}

impl Token {
    /// The value of a number with that many digits, if it lies between those two.
    fn fixed(self, digits: usize, low: i64, high: i64) -> Option<i64> {
        match self {
            Token::Number(value, length) if length == digits && (low..=high).contains(&value) => Some(value),
            _ => None,
        }
    }

    fn direction(self) -> Option<i64> {
        match self {
            Token::Sign('+') => Some(1),
            Token::Sign('-') => Some(-1),
            _ => None,
        }
    }
}

/// How a text goes on after what ISO 8601 knows of it.
enum Rest {
    /// It is a date of ISO 8601 and nothing else.
    Nothing,
    /// With this token, read as people write dates.
    From(Token),
    /// In a way that makes it no date.
    Wrong,
}

/// Reads a date token by token: first as ISO 8601, then from where that ends as people write dates.
struct Reader<'t> {
    rest: std::str::Chars<'t>,
    next: Token,
    /// Year, month and day in the order they came.
    parts: Vec<i64>,
    is_iso: bool,
    named_month: Option<i64>,
    /// Hour, minute, second, millisecond.
    time: Vec<i64>,
    half_of_day: Option<i64>,
    zone_direction: Option<i64>,
    zone_hours: Option<i64>,
    zone_minutes: Option<i64>,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        let mut reader = Self {
            rest: text.chars(),
            next: Token::End,
            parts: Vec::with_capacity(3),
            is_iso: false,
            named_month: None,
            time: Vec::with_capacity(4),
            half_of_day: None,
            zone_direction: None,
            zone_hours: None,
            zone_minutes: None,
        };
        reader.next = reader.scan();
        reader
    }

    fn read(mut self) -> Option<i64> {
        match self.iso() {
            Rest::Nothing => {}
            Rest::From(token) => self.loose(token)?,
            Rest::Wrong => return None,
        }
        self.value()
    }

    fn peek_char(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn scan(&mut self) -> Token {
        let Some(c) = self.peek_char() else { return Token::End };
        if c.is_ascii_digit() {
            return self.scan_number();
        }
        if c >= 'A' && !crate::javascript::is_space(c) {
            return self.scan_word();
        }
        if c == '(' {
            let mut depth = 0;
            for c in self.rest.by_ref() {
                match c {
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
            return Token::Nothing;
        }
        self.rest.next();
        match c {
            ':' | '-' | '+' | '.' | ')' => Token::Sign(c),
            c if crate::javascript::is_space(c) => Token::Space,
            _ => Token::Nothing,
        }
    }

    /// Digits beyond the ninth that counts are passed over.
    fn scan_number(&mut self) -> Token {
        let (mut value, mut length, mut counted) = (0, 0, 0);
        while let Some(digit) = self.peek_char().and_then(|c| c.to_digit(10)) {
            self.rest.next();
            length += 1;
            if counted > 0 || digit > 0 {
                counted += 1;
                if counted <= 9 {
                    value = value * 10 + i64::from(digit);
                }
            }
        }
        Token::Number(value, length)
    }

    /// Months may be written out; all other words must be as they are known.
    fn scan_word(&mut self) -> Token {
        let (mut start, mut length) = (String::new(), 0);
        while let Some(c) = self.peek_char().filter(|c| *c >= 'A' && !crate::javascript::is_space(*c)) {
            self.rest.next();
            length += 1;
            if length <= 3 {
                start.push(c.to_ascii_lowercase());
            }
        }
        if let Some(index) = MONTHS.iter().position(|name| *name == start) {
            return Token::Month(index as i64);
        }
        match start.as_str() {
            _ if length > 3 => Token::Word,
            "am" => Token::HalfOfDay(0),
            "pm" => Token::HalfOfDay(12),
            "t" => Token::TimeFollows,
            start => match ZONES.iter().find(|(name, _)| *name == start) {
                Some((name, hours)) => Token::Zone(*hours, *name == "z"),
                None => Token::Word,
            },
        }
    }

    fn take(&mut self) -> Token {
        let next = self.scan();
        std::mem::replace(&mut self.next, next)
    }

    fn skip(&mut self, sign: char) -> bool {
        let found = self.next == Token::Sign(sign);
        if found {
            self.take();
        }
        found
    }

    /// Takes a number of that many digits between those two.
    fn fixed(&mut self, digits: usize, low: i64, high: i64) -> Option<i64> {
        let value = self.next.fixed(digits, low, high)?;
        self.take();
        Some(value)
    }

    fn iso(&mut self) -> Rest {
        if let Some(direction) = self.next.direction() {
            let sign = self.take();
            match self.next.fixed(6, 0, 999_999) {
                Some(year) => {
                    self.take();
                    if direction < 0 && year == 0 {
                        return Rest::From(sign);
                    }
                    self.parts.push(direction * year);
                }
                None => return Rest::From(sign),
            }
        } else if let Some(year) = self.fixed(4, 0, 9999) {
            self.parts.push(year);
        } else {
            return Rest::From(self.take());
        }
        for high in [12, 31] {
            if !self.skip('-') {
                break;
            }
            let Some(part) = self.fixed(2, 1, high) else { return Rest::From(self.take()) };
            self.parts.push(part);
        }
        match self.next {
            Token::TimeFollows => {
                if self.iso_time().is_none() || self.next != Token::End {
                    return Rest::Wrong;
                }
            }
            Token::End => {}
            _ => return Rest::From(self.take()),
        }
        self.is_iso = true;
        Rest::Nothing
    }

    /// `T08:30`, `T08:30:15`, `T08:30:15.123`, each with `Z`, `+02:00` or `+0200`.
    fn iso_time(&mut self) -> Option<()> {
        self.take();
        let hour = self.fixed(2, 0, 24)?;
        let most = |most: i64| if hour == 24 { 0 } else { most };
        self.time.push(hour);
        if !self.skip(':') {
            return None;
        }
        let minute = self.fixed(2, 0, most(59))?;
        self.time.push(minute);
        if self.skip(':') {
            let second = self.fixed(2, 0, most(59))?;
            self.time.push(second);
            if self.skip('.') {
                let Token::Number(value, length) = self.next else { return None };
                if value > most(i64::MAX) {
                    return None;
                }
                self.take();
                self.time.push(thousandths(value, length));
            }
        }
        if let Token::Zone(_, true) = self.next {
            self.take();
            self.set_zone(1, 0, 0);
        } else if let Some(direction) = self.next.direction() {
            self.take();
            if let Some(both) = self.next.fixed(4, 0, 9999) {
                self.take();
                let (hours, minutes) = (both / 100, both % 100);
                if hours > 23 || minutes > 59 {
                    return None;
                }
                self.set_zone(direction, hours, minutes);
            } else {
                let hours = self.fixed(2, 0, 23)?;
                if !self.skip(':') {
                    return None;
                }
                let minutes = self.fixed(2, 0, 59)?;
                self.set_zone(direction, hours, minutes);
            }
        }
        Some(())
    }

    fn set_zone(&mut self, direction: i64, hours: i64, minutes: i64) {
        self.zone_direction = Some(direction);
        self.zone_hours = Some(hours);
        self.zone_minutes = Some(minutes);
    }

    /// Whether a number can be the next part of the time.
    fn time_expects(&self, value: i64) -> bool {
        match self.time.len() {
            1 | 2 => (0..=59).contains(&value),
            3 => (0..=999).contains(&value),
            _ => false,
        }
    }

    fn finish_time(&mut self, value: i64) {
        self.time.push(value);
        self.time.resize(4, 0);
    }

    /// The way people write dates: words before the first number are passed over, numbers with a colon are times.
    fn loose(&mut self, first: Token) -> Option<()> {
        let mut seen_number = !self.parts.is_empty();
        let mut token = first;
        loop {
            match token {
                Token::End => return Some(()),
                Token::Number(value, _) => {
                    seen_number = true;
                    self.loose_number(value)?;
                }
                Token::HalfOfDay(hours) if !self.time.is_empty() => self.half_of_day = Some(hours),
                Token::Month(month) => {
                    self.named_month = Some(month);
                    self.skip('-');
                }
                Token::Zone(hours, _) if seen_number => {
                    self.set_zone(if hours < 0 { -1 } else { 1 }, hours.abs(), 0);
                }
                Token::HalfOfDay(_) | Token::Zone(..) | Token::TimeFollows | Token::Word => {
                    if seen_number || matches!(self.next, Token::Number(..)) {
                        return None;
                    }
                }
                Token::Sign('+' | '-') if self.is_greenwich() || !self.time.is_empty() => {
                    seen_number = true;
                    self.loose_offset(token.direction()?)?;
                }
                Token::Sign('+' | '-' | ')') if seen_number => return None,
                Token::Sign(_) | Token::Space | Token::Nothing => {}
            }
            token = self.take();
        }
    }

    fn is_greenwich(&self) -> bool {
        self.zone_hours == Some(0) && self.zone_minutes == Some(0)
    }

    fn loose_number(&mut self, value: i64) -> Option<()> {
        if self.skip(':') {
            if self.skip(':') {
                if !self.time.is_empty() {
                    return None;
                }
                self.time.extend([value, 0]);
                return Some(());
            }
            if self.time.len() == 4 {
                return None;
            }
            self.time.push(value);
            self.skip('.');
            return Some(());
        }
        if self.skip('.') && self.time_expects(value) {
            self.time.push(value);
            let Token::Number(fraction, length) = self.take() else { return None };
            if self.time.len() < 4 {
                self.finish_time(thousandths(fraction, length));
            }
        } else if self.zone_hours.is_some() && self.zone_minutes.is_none() && (0..=59).contains(&value) {
            self.zone_minutes = Some(value);
        } else if self.time_expects(value) {
            self.finish_time(value);
            let ends = matches!(self.next, Token::End | Token::Space | Token::Zone(_, true) | Token::Sign('+' | '-'));
            if !ends {
                return None;
            }
        } else {
            if self.parts.len() == 3 {
                return None;
            }
            self.parts.push(value);
            self.skip('-');
        }
        Some(())
    }

    /// What stands after the sign: `2`, `02`, `0200`, `02:00`, or nothing.
    fn loose_offset(&mut self, direction: i64) -> Option<()> {
        self.zone_direction = Some(direction);
        let (value, length) = match self.next {
            Token::Number(value, length) => {
                self.take();
                (value, length)
            }
            _ => (0, 0),
        };
        (self.zone_hours, self.zone_minutes) = match length {
            _ if self.next == Token::Sign(':') => (Some(value), None),
            1 | 2 => (Some(value), Some(0)),
            3 | 4 => (Some(value / 100), Some(value % 100)),
            _ => return None,
        };
        Some(())
    }

    fn value(mut self) -> Option<i64> {
        if self.parts.is_empty() {
            return None;
        }
        self.parts.resize(3, 1);
        let [first, second, third] = self.parts[..] else { return None };
        let is_day = |value: i64| (1..=31).contains(&value);
        let (year, month, day) = match self.named_month {
            None if self.is_iso || !is_day(first) => (first, second - 1, third),
            None => (third, first - 1, second),
            Some(month) if is_day(first) => (second, month, first),
            Some(month) => (first, month, second),
        };
        let year = match year {
            0..=49 if !self.is_iso => year + 2000,
            50..=99 if !self.is_iso => year + 1900,
            year => year,
        };
        if year.abs() > YEARS_MAX || !(0..12).contains(&month) || !is_day(day) {
            return None;
        }
        self.time.resize(4, 0);
        let [mut hour, minute, second, milli] = self.time[..] else { return None };
        if let Some(hours) = self.half_of_day {
            if hour > 12 {
                return None;
            }
            hour = hour % 12 + hours;
        }
        let midnight = (hour, minute, second, milli) == (24, 0, 0, 0);
        if !midnight && (hour > 23 || minute > 59 || second > 59 || milli > 999) {
            return None;
        }
        let offset = self.zone_hours.unwrap_or(0) * 60 + self.zone_minutes.unwrap_or(0);
        let east = self.zone_direction.unwrap_or(1) * offset * 60_000;
        within_range(millis_of(year, month, day, [hour, minute, second, milli]) - east)
    }
}

/// The digits after a point as milliseconds.
fn thousandths(value: i64, length: usize) -> i64 {
    match length {
        1 => value * 100,
        2 => value * 10,
        3 => value,
        length => value / 10_i64.pow(u32::try_from(length.min(9).saturating_sub(3)).unwrap_or(0)),
    }
}
