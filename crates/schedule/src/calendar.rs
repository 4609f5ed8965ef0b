//! Times of day on certain days, as a clock in one time zone shows them.

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time},
    tz::{AmbiguousOffset, TimeZone},
};

/// The days of a calendar as sets of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Days {
    /// Bits 1 to 12.
    pub(crate) months: u64,
    /// Bits 1 to 31.
    pub(crate) of_month: u64,
    /// Bits 0, which is Sunday, to 6.
    pub(crate) of_week: u64,
    /// Whether a day need only be one of `of_month` or of `of_week`, not both.
    pub(crate) either: bool,
}

pub(crate) const EVERY_MONTH: u64 = 0b1_1111_1111_1110;
pub(crate) const EVERY_DAY_OF_MONTH: u64 = 0xffff_fffe;
pub(crate) const EVERY_DAY_OF_WEEK: u64 = 0b111_1111;

impl Days {
    pub(crate) fn of_week(of_week: u64) -> Self {
        Self { months: EVERY_MONTH, of_month: EVERY_DAY_OF_MONTH, of_week, either: false }
    }

    fn has_month(self, month: i8) -> bool {
        has(self.months, month)
    }

    fn has(self, date: Date) -> bool {
        let of_month = has(self.of_month, date.day());
        let of_week = has(self.of_week, date.weekday().to_sunday_zero_offset());
        self.has_month(date.month()) && if self.either { of_month || of_week } else { of_month && of_week }
    }

    /// Whether there is such a day at all. Each date of the calendar falls on each day of the week in some year, so
    /// only days that a month does not have, such as 30 February, can be in the way.
    pub(crate) fn exist(self) -> bool {
        let lengths = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let in_month =
            |(month, length): (i8, i8)| self.has_month(month) && (1..=length).any(|day| has(self.of_month, day));
        self.either || (1..=12).zip(lengths).any(in_month)
    }
}

fn has(set: u64, number: i8) -> bool {
    u32::try_from(number).is_ok_and(|number| set >> number & 1 == 1)
}

/// Times of day, on certain days, in a time zone.
///
/// Where clocks change, a time that the day does not have is due at the first moment after the gap, and a time that
/// the day has twice is due once, the first time. One kind is different: what is due in *every* hour (a cron
/// expression whose hour is `*`) speaks of the hours that go by, so it is due whenever the clock shows such a time:
/// in the repeated hour again, and not at the end of a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// Minutes since midnight, in order, each once.
    pub(crate) times: Vec<u16>,
    pub(crate) days: Days,
    pub(crate) every_hour: bool,
    pub(crate) zone: TimeZone,
    pub(crate) zone_name: String,
}

impl Calendar {
    /// The IANA name of the zone whose clock counts.
    pub fn time_zone(&self) -> &str {
        &self.zone_name
    }

    /// The first due moment after `after`. `None` if there is none before the year 10000.
    pub(crate) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        if self.every_hour { self.next_shown(after) } else { self.next_reached(after) }
    }

    /// The first moment after `after` at which the clock reaches a due time it had never reached before: shows it, or
    /// jumps over it.
    fn next_reached(&self, after: Timestamp) -> Option<Timestamp> {
        let mut from = minute_after(self.zone.to_datetime(after))?;
        // After the clock was set back, what it showed before is over.
        let now = after.checked_add(jiff::SignedDuration::from_nanos(1)).ok()?;
        for change in self.zone.preceding(now) {
            if after.duration_since(change.timestamp()) > jiff::SignedDuration::from_hours(48) {
                break;
            }
            let last = change.timestamp().checked_sub(jiff::SignedDuration::from_nanos(1)).ok()?;
            from = from.max(minute_after(self.zone.to_datetime(last))?);
        }
        let due = self.next_match(from)?;
        match self.zone.to_ambiguous_timestamp(due).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(due).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(due).ok(),
            AmbiguousOffset::Gap { after: offset, .. } => {
                let earlier = offset.to_timestamp(due).ok()?;
                self.zone.following(earlier).find(|change| change.offset() == offset).map(|change| change.timestamp())
            }
        }
    }

    /// The first moment after `after` at which the clock shows a due time.
    fn next_shown(&self, after: Timestamp) -> Option<Timestamp> {
        // Between two changes of the clock it runs evenly.
        let mut from = minute_after(self.zone.to_datetime(after))?;
        let mut offset = self.zone.to_offset(after);
        let mut changes = self.zone.following(after);
        loop {
            let due = offset.to_timestamp(self.next_match(from)?).ok()?;
            match changes.next() {
                Some(change) if change.timestamp() <= due => {
                    offset = change.offset();
                    from = minute_from(offset.to_datetime(change.timestamp()))?;
                }
                _ => return Some(due),
            }
        }
    }

    /// The first due time from `from` on, as shown by a clock that never changes.
    fn next_match(&self, from: DateTime) -> Option<DateTime> {
        let mut date = from.date();
        let mut earliest = u16::try_from(from.hour()).ok()? * 60 + u16::try_from(from.minute()).ok()?;
        loop {
            if !self.days.has_month(date.month()) {
                date = date.last_of_month().tomorrow().ok()?;
                earliest = 0;
                continue;
            }
            if self.days.has(date) {
                let later = self.times.partition_point(|time| *time < earliest);
                if let Some(time) = self.times.get(later) {
                    return Some(date.to_datetime(time_of_day(*time)?));
                }
            }
            date = date.tomorrow().ok()?;
            earliest = 0;
        }
    }
}

fn time_of_day(minutes: u16) -> Option<Time> {
    Time::new(i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?, 0, 0).ok()
}

/// The first whole minute after `time`.
fn minute_after(time: DateTime) -> Option<DateTime> {
    let whole = DateTime::from_parts(time.date(), Time::new(time.hour(), time.minute(), 0, 0).ok()?);
    whole.checked_add(jiff::SignedDuration::from_mins(1)).ok()
}

/// The first whole minute that is not before `time`.
fn minute_from(time: DateTime) -> Option<DateTime> {
    let is_whole = time.second() == 0 && time.subsec_nanosecond() == 0;
    if is_whole { Some(time) } else { minute_after(time) }
}

#[cfg(test)]
mod tests;
