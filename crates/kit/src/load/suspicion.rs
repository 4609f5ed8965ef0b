//! Notices a destination that refuses whatever it is sent, as at a wrong path, before every record was tried.

use super::LoadStop;

/// After so many records refused alone, with the same code and none taken before, what is sent next is drawn at random.
const DRAWN_FROM: u32 = 20;
/// After so many the load ends.
const STOPPED_AT: u32 = 200;

/// What speaks for it so far.
#[derive(Debug, Default)]
pub(super) struct Suspicion {
    /// A record was taken, so the destination does not refuse everything.
    cleared: bool,
    code: String,
    in_a_row: u32,
}

impl Suspicion {
    pub(super) fn clear(&mut self) {
        self.cleared = true;
    }

    /// A record that was sent alone was refused. Gives the end of the load when it is enough.
    pub(super) fn refused_alone(&mut self, code: &str, message: &str) -> Option<LoadStop> {
        if self.cleared {
            return None;
        }
        if self.code != code {
            code.clone_into(&mut self.code);
            self.in_a_row = 0;
        }
        self.in_a_row += 1;
        (self.in_a_row >= STOPPED_AT).then(|| LoadStop::Refusing {
            records: self.in_a_row,
            code: code.to_owned(),
            message: message.to_owned(),
        })
    }

    /// Whether to try records at random, one by one, rather than batch after batch. A batch of bad records must not
    /// speak for the good ones behind it, in this sync and in the same way in each further one.
    pub(super) fn is_strong(&self) -> bool {
        !self.cleared && self.in_a_row >= DRAWN_FROM
    }
}
