//! How many records the model gave, against how many it usually gives.

use serde_json::json;

use super::Verdict;
use crate::{SyncFacts, UnusualRows, form::Direction};

/// Times the median absolute deviation is the standard deviation, were the numbers distributed normally.
const DEVIATION_SCALE: f64 = 1.4826;
/// How many times the square root of the usual number chance alone explains: a table of nine records that has five or
/// fifteen is no news.
const CHANCE: f64 = 3.0;

pub(super) fn judge_zero(newest: &SyncFacts) -> Verdict {
    match newest.counts.extracted {
        _ if !newest.is_whole => Verdict::Unknown,
        0 => Verdict::trouble("the model gave no records".to_owned(), json!({ "rows": 0 }), newest.id),
        rows => Verdict::Fine(format!("the model gave {rows} records")),
    }
}

pub(super) fn judge_unusual(rule: UnusualRows, syncs: &[SyncFacts]) -> Verdict {
    let Some((newest, before)) = syncs.split_first() else { return Verdict::Unknown };
    let before = before.iter().filter(|sync| sync.is_whole).map(|sync| sync.counts.extracted);
    let before: Vec<u64> = before.take(rule.history).collect();
    if !newest.is_whole || before.len() < rule.history_min {
        return Verdict::Unknown;
    }
    let rows = newest.counts.extracted;
    let usual = Usual::of(&before);
    let margin = usual.margin(rule.factor, rule.percent_min);
    let is_fewer = rows as f64 + margin < usual.median;
    let is_more = rows as f64 > usual.median + margin;
    let is_unusual = match rule.direction {
        Direction::Both => is_fewer || is_more,
        Direction::Fewer => is_fewer,
        Direction::More => is_more,
    };
    let (low, high) = ((usual.median - margin).max(0.0).ceil() as u64, (usual.median + margin).floor() as u64);
    if !is_unusual {
        return Verdict::Fine(format!("the model gave {rows} records; usual are {low} to {high}"));
    }
    let far = if is_fewer { "fewer" } else { "more" };
    let message = format!(
        "the model gave {rows} records, far {far} than in the {} extracts before; usual are {low} to {high}",
        before.len()
    );
    let details = json!({ "rows": rows, "median": usual.median, "low": low, "high": high, "extracts": before.len() });
    Verdict::trouble(message, details, newest.id)
}

/// The middle of some numbers, and how far from it they usually lie. One wild number changes neither.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Usual {
    median: f64,
    /// The median of the distances to the median.
    deviation: f64,
}

impl Usual {
    fn of(numbers: &[u64]) -> Self {
        let numbers: Vec<f64> = numbers.iter().map(|number| *number as f64).collect();
        let median = median(numbers.clone());
        Self { median, deviation: self::median(numbers.iter().map(|number| (number - median).abs()).collect()) }
    }

    /// How far from the median a number may lie.
    fn margin(self, factor: f64, percent_min: f64) -> f64 {
        let by_deviation = factor * DEVIATION_SCALE * self.deviation;
        let by_share = percent_min / 100.0 * self.median;
        let by_chance = CHANCE * self.median.max(1.0).sqrt();
        by_deviation.max(by_share).max(by_chance)
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() {
        0 => 0.0,
        even if even % 2 == 0 => f64::midpoint(numbers[middle - 1], numbers[middle]),
        _ => numbers[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wild_number_changes_neither_the_usual_one_nor_the_distance() {
        let usual = Usual::of(&[100, 101, 99, 102, 98, 100, 1_000_000]);
        assert_eq!(usual, Usual { median: 100.0, deviation: 1.0 });
        assert_eq!(Usual::of(&[1, 2]), Usual { median: 1.5, deviation: 0.5 });
    }

    #[test]
    fn the_margin_is_the_widest_of_three() {
        let margin = |numbers: &[u64], percent| Usual::of(numbers).margin(4.0, percent);
        // Numbers that never vary: the share, or chance where the share is small.
        assert_eq!(margin(&[1_000; 9], 25.0), 250.0);
        assert_eq!(margin(&[100; 9], 1.0), 30.0);
        assert_eq!(margin(&[0; 9], 25.0), 3.0);
        // Numbers that vary a lot.
        assert!(margin(&[500, 1_000, 1_500, 2_000, 2_500], 10.0) > 2_500.0);
    }
}
