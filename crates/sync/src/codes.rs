//! What a journal's entries mean.

use changes::{Bits, JournalEntries};
use records::{Counts, OutcomeKind};

/// A change that was left out on purpose.
pub(crate) const SKIPPED: u8 = 4;
/// A change that is being sent. Its outcome comes later and counts in its place.
pub(crate) const SENDING: u8 = 5;
/// A change that failed once more, and the mapping's policy tries it no further.
pub(crate) const GIVEN_UP: u8 = 6;

/// The code of an outcome.
pub(crate) fn code(kind: OutcomeKind) -> u8 {
    match kind {
        OutcomeKind::Delivered => 0,
        OutcomeKind::Rejected => 1,
        OutcomeKind::Retry => 2,
        OutcomeKind::InDoubt => 3,
    }
}

/// The outcome a code stands for, as counts and history tell it; nothing for what was skipped.
pub(crate) fn outcome(code: u8) -> Option<OutcomeKind> {
    match code {
        0 => Some(OutcomeKind::Delivered),
        1 | GIVEN_UP => Some(OutcomeKind::Rejected),
        2 => Some(OutcomeKind::Retry),
        3 | SENDING => Some(OutcomeKind::InDoubt),
        _ => None,
    }
}

pub(crate) fn count(counts: &mut Counts, code: u8, records: u64) {
    match outcome(code) {
        Some(OutcomeKind::Delivered) => counts.delivered += records,
        Some(OutcomeKind::Rejected) => counts.rejected += records,
        Some(OutcomeKind::Retry) => counts.retry += records,
        Some(OutcomeKind::InDoubt) => counts.in_doubt += records,
        None => counts.skipped += records,
    }
}

/// Whether the checkpoint takes a change with this code, so that no sync finds it again.
pub(crate) fn is_taken(code: u8) -> bool {
    code == self::code(OutcomeKind::Delivered) || code == SKIPPED || code == GIVEN_UP
}

/// The changes that the checkpoint takes, and those of which it notes a doubt: what was announced and has no outcome
/// was in flight when the process ended.
pub(crate) fn taken_and_doubtful(entries: &JournalEntries) -> (Bits, Bits) {
    let mut taken = Bits::new();
    for (_, changes) in entries.iter().filter(|(code, _)| is_taken(*code)) {
        taken.union_with(changes);
    }
    let mut doubtful = entries.with(code(OutcomeKind::InDoubt));
    doubtful.union_with(&entries.with(SENDING));
    (taken, doubtful)
}
