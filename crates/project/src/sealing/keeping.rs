//! Which secret of the stored document a `${kept}` keeps: the one at the same place. Items of a list have no names, so
//! that a secret could come to stand with what it does not belong to; there it must be clear.

use serde_json::Value;

use super::{KEPT, is_sealed, mask_document};
use crate::references::joined;

type Report<'a> = &'a mut dyn FnMut(&str, &str);

/// Puts the sealed texts of `stored` in the place of those that are kept.
pub(super) fn keep(value: &mut Value, stored: Option<&Value>, path: &str, report: Report<'_>) {
    match value {
        Value::String(text) if text == KEPT => match stored.and_then(Value::as_str) {
            Some(sealed) if is_sealed(sealed) => *text = sealed.to_owned(),
            _ => report(path, "there is no secret here that could be kept; write it"),
        },
        Value::Object(entries) => {
            for (key, below) in entries {
                keep(below, stored.and_then(|stored| stored.get(key)), &joined(path, key), report);
            }
        }
        Value::Array(items) => {
            let empty = Vec::new();
            let stored = stored.and_then(Value::as_array).unwrap_or(&empty);
            let partners = partners(items, stored);
            for (index, (item, partner)) in items.iter_mut().zip(partners).enumerate() {
                let path = format!("{path}[{index}]");
                match partner {
                    Partner::Of(place) => keep(item, stored.get(place), &path, report),
                    Partner::Unclear => report(
                        &path,
                        "it cannot be told which secret of the list is kept here, for the list has changed; write it",
                    ),
                    Partner::NotNeeded => {}
                }
            }
        }
        _ => {}
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Partner {
    /// Nothing is kept.
    NotNeeded,
    /// The stored item at this place.
    Of(usize),
    Unclear,
}

fn partners(items: &[Value], stored: &[Value]) -> Vec<Partner> {
    let masked: Vec<Value> = stored.iter().map(mask_document).collect();
    let mut is_taken = vec![false; stored.len()];
    let mut partners: Vec<Partner> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let partner = if !keeps(item) {
            Partner::NotNeeded
        } else {
            // As many as there were, in the order in which they were; one fewer could be any of them.
            let alike = |list: &[Value]| list.iter().filter(|other| *other == item).count();
            let earlier = alike(&items[..index]);
            let mut places = masked.iter().enumerate().filter(|(_, other)| *other == item).map(|(place, _)| place);
            match alike(&masked) {
                0 => Partner::Unclear,
                count if count == alike(items) => places.nth(earlier).map_or(Partner::Unclear, Partner::Of),
                _ => Partner::Unclear,
            }
        };
        if let Partner::Of(place) = partner {
            is_taken[place] = true;
        }
        partners.push(partner);
    }
    // An item that was edited is still where it was, in a list of the same length.
    if items.len() == stored.len() {
        for (index, partner) in partners.iter_mut().enumerate() {
            let is_new = !masked.contains(&items[index]);
            if *partner == Partner::Unclear && is_new && !is_taken[index] {
                *partner = Partner::Of(index);
            }
        }
    }
    partners
}

fn keeps(value: &Value) -> bool {
    match value {
        Value::String(text) => text == KEPT,
        Value::Array(items) => items.iter().any(keeps),
        Value::Object(entries) => entries.values().any(keeps),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
