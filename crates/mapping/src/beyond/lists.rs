//! What our directives do to lists and texts.

use std::cmp::Ordering;
use std::collections::HashSet;

use regex::Regex;

use crate::budget::Budget;
use crate::javascript;
use crate::path::Path;
use crate::program::EvaluationError;
use crate::val::Val;

pub(super) fn split(text: &str, separator: &str, limit: Option<usize>) -> Val<'static> {
    let limit = limit.unwrap_or(usize::MAX);
    let piece = |piece: &str| Val::text(piece.to_owned());
    Val::Array(match separator {
        "" => text.chars().take(limit).map(|c| Val::text(c.to_string())).collect(),
        separator => text.splitn(limit, separator).map(piece).collect(),
    })
}

/// Null and missing items are left out.
pub(super) fn join<'s>(items: &[Val<'s>], separator: &str, budget: &Budget) -> Result<Val<'s>, EvaluationError> {
    let mut out = String::new();
    let mut first = true;
    for item in items.iter().filter(|item| !item.is_absent()) {
        if !first {
            budget.text(separator.len())?;
            out.push_str(separator);
        }
        first = false;
        javascript::write_text(item, &mut out, budget, 0)?;
    }
    Ok(Val::text(out))
}

/// The first of items that are equal as JSON.
pub(super) fn unique<'s>(items: &[Val<'s>], budget: &Budget) -> Result<Val<'s>, EvaluationError> {
    let mut seen = HashSet::new();
    let mut kept = Vec::new();
    for item in items {
        if seen.insert(javascript::stringify(item, budget)?) {
            kept.push(item.share(budget)?);
        }
    }
    Ok(Val::Array(kept))
}

/// Numbers before texts, each in its order; null and missing last. Equal items keep their order.
pub(super) fn sort<'s>(
    items: &[Val<'s>],
    by: Option<&Path>,
    descending: bool,
    budget: &Budget,
) -> Result<Val<'s>, EvaluationError> {
    enum Key {
        Number(f64),
        Text(String),
        Nothing,
    }
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        let val = match by {
            Some(path) => path.get(item, budget)?,
            None => item.share(budget)?,
        };
        let key = match &val {
            Val::Missing | Val::Null => Key::Nothing,
            Val::Int(_) | Val::Float(_) | Val::Decimal(_) => Key::Number(javascript::number(&val, budget)?),
            other => Key::Text(javascript::text(other, budget)?.into_owned()),
        };
        keyed.push((key, item.share(budget)?));
    }
    keyed.sort_by(|(left, _), (right, _)| {
        let order = match (left, right) {
            (Key::Nothing, Key::Nothing) => Ordering::Equal,
            (Key::Nothing, _) => return Ordering::Greater,
            (_, Key::Nothing) => return Ordering::Less,
            (Key::Number(left), Key::Number(right)) => left.total_cmp(right),
            (Key::Number(_), Key::Text(_)) => Ordering::Less,
            (Key::Text(_), Key::Number(_)) => Ordering::Greater,
            (Key::Text(left), Key::Text(right)) => left.cmp(right),
        };
        if descending { order.reverse() } else { order }
    });
    Ok(Val::Array(keyed.into_iter().map(|(_, item)| item).collect()))
}

/// Where a slice begins and ends; negative places count from the end.
pub(super) fn bounds(from: i64, to: Option<i64>, length: usize) -> (usize, usize) {
    let length_signed = i64::try_from(length).unwrap_or(i64::MAX);
    let place = |place: i64| {
        let place = if place < 0 { length_signed.saturating_add(place) } else { place };
        usize::try_from(place.clamp(0, length_signed)).unwrap_or(0)
    };
    let from = place(from);
    (from, to.map_or(length, place).max(from))
}

pub(super) fn slice_text(text: &str, from: i64, to: Option<i64>) -> String {
    let (from, to) = bounds(from, to, text.chars().count());
    text.chars().skip(from).take(to - from).collect()
}

/// `$1` and `${name}` in the replacement stand for groups, `$$` for a dollar.
pub(super) fn regex_replace(
    regex: &Regex,
    text: &str,
    with: &str,
    global: bool,
    budget: &Budget,
) -> Result<String, EvaluationError> {
    let mut out = String::new();
    let mut from = 0;
    for captures in regex.captures_iter(text).take(if global { usize::MAX } else { 1 }) {
        let Some(whole) = captures.get(0) else { break };
        budget.spend(1)?;
        out.push_str(&text[from..whole.start()]);
        let before = out.len();
        captures.expand(with, &mut out);
        budget.text(out.len() - before)?;
        from = whole.end();
    }
    out.push_str(&text[from..]);
    Ok(out)
}

/// The group of the first match, or of all of them; missing if there is none.
pub(super) fn regex_extract(
    regex: &Regex,
    text: &str,
    group: usize,
    all: bool,
    budget: &Budget,
) -> Result<Val<'static>, EvaluationError> {
    let mut found = Vec::new();
    for captures in regex.captures_iter(text) {
        budget.spend(1)?;
        let part = captures.get(group).map(|part| part.as_str().to_owned());
        if !all {
            return Ok(part.map_or(Val::Missing, Val::text));
        }
        if let Some(part) = part {
            budget.text(part.len())?;
            found.push(Val::text(part));
        }
    }
    Ok(if all { Val::Array(found) } else { Val::Missing })
}
