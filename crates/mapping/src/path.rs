//! Paths: `$.properties.address.city`, `items[0].sku`, `properties['a b']`.

use crate::budget::Budget;
use crate::event::{Hint, Side};
use crate::program::EvaluationError;
use crate::val::{Val, array_index};

/// A path, split once.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    parts: Box<[Part]>,
    /// Set if the path leads into a column of a change: the first two parts are `properties` or `previous` and it.
    column: Option<(Side, Hint)>,
}

#[derive(Debug, Clone)]
struct Part {
    key: Box<str>,
    index: Option<usize>,
}

/// The path of a `@path`: one `$.` is taken off, wherever it stands.
pub(crate) fn without_dollar(path: &str) -> String {
    path.replacen("$.", "", 1)
}

impl Path {
    /// Splits a path on `.`, on `[` before a quote or digit, and on `]` after one.
    pub(crate) fn parse(path: &str) -> Self {
        let opens = |next: Option<char>| next.is_some_and(|c| matches!(c, '"' | '\'' | '0'..='9'));
        let mut keys: Vec<String> = vec![String::new()];
        let mut last = None;
        let mut chars = path.chars().peekable();
        while let Some(c) = chars.next() {
            let splits = match c {
                '.' => true,
                '[' => opens(chars.peek().copied()),
                ']' => opens(last),
                _ => false,
            };
            if splits {
                // A run of `]` after a quote or digit is one separator.
                if c == ']' {
                    while chars.next_if_eq(&']').is_some() {}
                }
                keys.push(String::new());
            } else if let Some(key) = keys.last_mut() {
                key.push(c);
            }
            last = Some(c);
        }
        let part = |key: String| {
            let key: String = key.chars().filter(|c| !matches!(c, '\'' | '"')).collect();
            Part { index: array_index(&key), key: key.into() }
        };
        let parts: Box<[Part]> = keys.into_iter().filter(|key| !key.is_empty()).map(part).collect();
        let side = match parts.first().map(|part| &*part.key) {
            Some("properties") => Some(Side::Properties),
            Some("previous") => Some(Side::Previous),
            _ => None,
        };
        let column = side.filter(|_| parts.len() > 1).map(|side| (side, Hint::default()));
        Self { parts, column }
    }

    /// The first parts, for those who ask what a mapping reads.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| &*part.key)
    }

    /// The value at the path. Walking ends at the first falsy value, which is the result.
    pub(crate) fn get<'s>(&self, scope: &Val<'s>, budget: &Budget) -> Result<Val<'s>, EvaluationError> {
        if let (Val::Event(event), Some((side, hint))) = (scope, &self.column)
            && let Some(cell) = event.column(*side, &self.parts[1].key, hint)
        {
            return match self.parts.len() {
                2 => cell,
                _ => self.walk(cell?, 2),
            };
        }
        let mut at = scope;
        for (place, part) in self.parts.iter().enumerate() {
            if !at.is_truthy() {
                break;
            }
            match at.built_member(&part.key, part.index) {
                Some(below) => at = below,
                None => return self.walk(at.member(&part.key, part.index)?, place + 1),
            }
        }
        at.share(budget)
    }

    fn walk<'s>(&self, mut val: Val<'s>, from: usize) -> Result<Val<'s>, EvaluationError> {
        for part in self.parts.get(from..).unwrap_or_default() {
            if !val.is_truthy() {
                break;
            }
            val = val.member(&part.key, part.index)?;
        }
        Ok(val)
    }
}
