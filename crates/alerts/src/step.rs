//! The state machine of an alert: from what is known and what is found now to what is written down and told.

use std::time::Duration;

use jiff::Timestamp;

use crate::{Finding, Kind, Verdict};

/// Trouble that is known and not over, as far as a step looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub message: String,
    /// When people were told of it last. None: nobody was, because it was muted.
    pub told_at: Option<Timestamp>,
    /// Somebody has taken note, so it is not told again while it lasts.
    pub is_acknowledged: bool,
    pub muted_until: Option<Timestamp>,
}

/// What a rule says about telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Telling {
    pub repeat_every: Option<Duration>,
    pub muted_until: Option<Timestamp>,
}

/// What happens now.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// It is written down as trouble, and told unless it is muted.
    Raise { finding: Finding, is_told: bool },
    /// The trouble goes on in other words. Nobody is told.
    Reword(Finding),
    /// It goes on and is told: for the first time because it was muted till now, or once more.
    Tell { finding: Option<Finding>, is_first: bool },
    /// It is over. Those are told who were told of its beginning, unless it is muted.
    Recover { message: String, is_told: bool },
}

/// The step from what is known to what was found. None: nothing happens.
pub fn step(kind: Kind, known: Option<&Known>, verdict: Verdict, telling: Telling, now: Timestamp) -> Option<Step> {
    let is_muted = |until: Option<Timestamp>| until.is_some_and(|until| now < until);
    let Some(known) = known else {
        return match verdict {
            Verdict::Trouble(finding) => Some(Step::Raise { finding, is_told: !is_muted(telling.muted_until) }),
            Verdict::Fine(_) | Verdict::Unknown => None,
        };
    };
    let is_muted = is_muted(telling.muted_until) || is_muted(known.muted_until);
    let finding = match verdict {
        Verdict::Fine(message) => {
            let is_told = known.told_at.is_some() && !is_muted && !kind.is_momentary();
            return Some(Step::Recover { message, is_told });
        }
        Verdict::Trouble(finding) => Some(finding),
        Verdict::Unknown => None,
    };
    let is_again = |told_at: Timestamp| {
        let pause = telling.repeat_every.filter(|_| !known.is_acknowledged);
        pause.is_some_and(|pause| Duration::try_from(now.duration_since(told_at)).is_ok_and(|since| since >= pause))
    };
    match known.told_at {
        None if !is_muted => Some(Step::Tell { finding, is_first: true }),
        Some(told_at) if !is_muted && is_again(told_at) => Some(Step::Tell { finding, is_first: false }),
        _ => finding.filter(|finding| finding.message != known.message).map(Step::Reword),
    }
}

#[cfg(test)]
mod tests;
