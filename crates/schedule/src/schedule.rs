//! A schedule that was checked, and the moments it names.

use jiff::Timestamp;

use crate::{After, Calendar, Hook, Interval};

/// When a mapping is synced.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Schedule {
    /// Only when it is started.
    #[default]
    Manual,
    /// At a fixed distance of time.
    Every(Interval),
    /// At times of day, on days of the week.
    At(Calendar),
    /// As a cron expression says.
    Cron(Calendar),
    /// After other mappings.
    After(After),
    /// When a request comes from outside.
    Hook(Hook),
}

impl Schedule {
    /// Whether moments make it due, so that [`next_after`](Self::next_after) has an answer.
    pub fn is_timed(&self) -> bool {
        matches!(self, Self::Every(_) | Self::At(_) | Self::Cron(_))
    }

    /// The first moment after `after` at which it is due; `None` if time does not make it due.
    ///
    /// `anchor` is the moment the last start was due at (not when it began, so that delays do not add up), or `None`
    /// if there has been none since the mapping was enabled.
    ///
    /// - The answer lies after `after`, with one exception: an interval without an anchor is due right away, at
    ///   `after` itself.
    /// - An interval is due at whole numbers of intervals from its anchor. The answer is at most one interval away,
    ///   even from an anchor that lies in the future because the clock was set back.
    /// - Times of day do not depend on the anchor. [`Calendar`] tells what happens where clocks change.
    /// - However many due moments have gone by, the answer is one: who starts what was due and asks for the next
    ///   after *now* has made up for all of them with one sync.
    pub fn next_after(&self, after: Timestamp, anchor: Option<Timestamp>) -> Option<Timestamp> {
        match (self, anchor) {
            (Self::Every(_), None) => Some(after),
            (Self::Every(interval), Some(anchor)) => interval.next_after(after, anchor),
            (Self::At(calendar) | Self::Cron(calendar), _) => calendar.next_after(after),
            (Self::Manual | Self::After(_) | Self::Hook(_), _) => None,
        }
    }

    /// The next moments at which it is due, at most `count`, if each starts in time.
    pub fn next_times(&self, count: usize, after: Timestamp, anchor: Option<Timestamp>) -> Vec<Timestamp> {
        let first = self.next_after(after, anchor);
        std::iter::successors(first, |last| self.next_after(*last, Some(*last))).take(count).collect()
    }

    /// The mappings it waits for.
    pub fn awaited(&self) -> &[String] {
        match self {
            Self::After(after) => after.mappings(),
            _ => &[],
        }
    }

    /// The IANA name of the zone whose clock counts.
    pub fn time_zone(&self) -> Option<&str> {
        match self {
            Self::At(calendar) | Self::Cron(calendar) => Some(calendar.time_zone()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
