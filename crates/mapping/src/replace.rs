//! `@replace`: literal text for literal text, as JavaScript's regular expressions find and replace it.

use std::borrow::Cow;

use crate::budget::Budget;
use crate::program::EvaluationError;

/// The longest pattern, in UTF-16 units.
pub(crate) const PATTERN_MAX: usize = 10;
/// The longest replacement, in UTF-16 units.
pub(crate) const REPLACEMENT_MAX: usize = 10;

/// One pattern and what replaces it.
#[derive(Debug, Clone)]
pub(crate) struct Replacement {
    pub(crate) pattern: String,
    pub(crate) with: String,
    pub(crate) ignore_case: bool,
    pub(crate) global: bool,
}

impl Replacement {
    /// Replaces the pattern in a text. The pattern is not empty.
    pub(crate) fn apply<'t>(&self, text: &'t str, budget: &Budget) -> Result<Cow<'t, str>, EvaluationError> {
        let mut out = String::new();
        let mut from = 0;
        let mut start = 0;
        while let Some((begin, end)) = self.find(text, start) {
            out.push_str(&text[from..begin]);
            let before = out.len();
            self.expand(text, begin, end, &mut out);
            budget.text(out.len() - before)?;
            (from, start) = (end, end);
            if !self.global {
                break;
            }
        }
        if from == 0 && out.is_empty() {
            return Ok(Cow::Borrowed(text));
        }
        out.push_str(&text[from..]);
        budget.text(text.len())?;
        Ok(Cow::Owned(out))
    }

    fn find(&self, text: &str, start: usize) -> Option<(usize, usize)> {
        if self.pattern.is_empty() {
            return None;
        }
        if !self.ignore_case {
            let begin = start + text.get(start..)?.find(&self.pattern)?;
            return Some((begin, begin + self.pattern.len()));
        }
        let rest = text.get(start..)?;
        rest.char_indices().find_map(|(offset, _)| {
            let mut chars = rest[offset..].char_indices();
            let mut end = offset;
            for wanted in self.pattern.chars() {
                let (index, found) = chars.next()?;
                if fold(found) != fold(wanted) {
                    return None;
                }
                end = offset + index + found.len_utf8();
            }
            Some((start + offset, start + end))
        })
    }

    /// Appends the replacement: `$$`, `$&`, `` $` `` and `$'` are special; there are no groups.
    fn expand(&self, text: &str, begin: usize, end: usize, out: &mut String) {
        let mut chars = self.with.chars().peekable();
        while let Some(c) = chars.next() {
            let special = match (c, chars.peek()) {
                ('$', Some('$')) => "$",
                ('$', Some('&')) => &text[begin..end],
                ('$', Some('`')) => &text[..begin],
                ('$', Some('\'')) => &text[end..],
                _ => {
                    out.push(c);
                    continue;
                }
            };
            chars.next();
            out.push_str(special);
        }
    }
}

/// How a JavaScript regular expression without the `u` flag folds case: by upper case, if that is one UTF-16 unit, and
/// never from outside ASCII into it.
fn fold(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(single), None) if c <= '\u{ffff}' && single <= '\u{ffff}' && (c.is_ascii() || !single.is_ascii()) => {
            single
        }
        _ => c,
    }
}
