//! The phases of a sync.

/// One part of a sync, as its time is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// The model runs on the source, and its records come in.
    Extract,
    /// They are compared with the checkpoint; the change set is written.
    Compare,
    /// The changes are sent.
    Load,
    /// What was delivered enters the checkpoint.
    Commit,
}

impl Phase {
    pub const ALL: [Phase; 4] = [Phase::Extract, Phase::Compare, Phase::Load, Phase::Commit];

    pub fn name(self) -> &'static str {
        match self {
            Phase::Extract => "extract",
            Phase::Compare => "compare",
            Phase::Load => "load",
            Phase::Commit => "commit",
        }
    }
}
