//! When a sync waits for a person. Pure: numbers in, a reason or nothing out.

use records::Counts;
use serde::{Deserialize, Serialize};

use crate::{Guards, Held, OnFinding};

/// What a comparison found, as far as guards care.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Findings {
    /// Records in the checkpoint before this sync.
    pub checkpoint: u64,
    pub counts: Counts,
    /// Used columns that the result does not have.
    pub missing_columns: Vec<String>,
    /// Used columns that the checkpoint does not know, and known ones that are not used any more.
    pub added_columns: Vec<String>,
    pub removed_columns: Vec<String>,
}

/// The first reason to hold, the gravest first.
pub(crate) fn held(guards: &Guards, findings: &Findings) -> Option<Held> {
    let holds = |on: OnFinding| on == OnFinding::Hold;
    let Findings { checkpoint, counts, .. } = findings;
    if holds(guards.missing_column) && !findings.missing_columns.is_empty() {
        return Some(Held::MissingColumn { columns: findings.missing_columns.clone() });
    }
    if holds(guards.empty_result) && counts.extracted == 0 && *checkpoint > 0 {
        return Some(Held::EmptyResult { checkpoint: *checkpoint });
    }
    if *checkpoint > 0 && counts.deleted >= guards.deletions_records_min {
        #[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
        let percent = counts.deleted as f64 * 100.0 / *checkpoint as f64;
        if percent > guards.deletions_percent {
            return Some(Held::Deletions {
                deleted: counts.deleted,
                checkpoint: *checkpoint,
                percent,
                limit_percent: guards.deletions_percent,
            });
        }
    }
    let edited = !findings.added_columns.is_empty() || !findings.removed_columns.is_empty();
    if holds(guards.edited) && edited && *checkpoint > 0 && counts.changed() > 0 {
        return Some(Held::Edited {
            added: findings.added_columns.clone(),
            removed: findings.removed_columns.clone(),
            records: counts.changed(),
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(findings: Findings, expected: Option<&str>) {
        let held = held(&Guards::default(), &findings);
        assert_eq!(held.as_ref().map(Held::code), expected, "{findings:?}");
    }

    fn deletions(deleted: u64, checkpoint: u64) -> Findings {
        Findings { checkpoint, counts: Counts { extracted: 1, deleted, ..Counts::default() }, ..Findings::default() }
    }

    #[test]
    fn deletions_hold_over_the_share_and_the_number() {
        check(deletions(99, 100), None);
        check(deletions(100, 100), Some("deletions"));
        check(deletions(100, 500), None);
        check(deletions(101, 500), Some("deletions"));
        check(deletions(200, 0), None);
    }

    #[test]
    fn an_empty_result_holds_only_if_the_destination_has_records() {
        let empty = |checkpoint| Findings { checkpoint, ..Findings::default() };
        check(empty(0), None);
        check(empty(1), Some("empty_result"));
    }

    #[test]
    fn a_missing_column_holds_even_on_a_first_sync() {
        check(Findings { missing_columns: vec!["plan".into()], ..Findings::default() }, Some("missing_column"));
    }

    #[test]
    fn an_edit_holds_only_if_it_touches_records() {
        let edit = |updated| Findings {
            checkpoint: 10,
            counts: Counts { extracted: 10, updated, ..Counts::default() },
            added_columns: vec!["plan".into()],
            ..Findings::default()
        };
        check(edit(0), None);
        check(edit(10), Some("edited"));
    }
}
