//! Associations between records that both exist: made and removed, a hundred in a request.

use std::collections::HashSet;

use kit::{DeliveryError, Request};
use records::{Outcome, Value, object};

use super::api::{Api, BatchError, Batched, ORIGIN, RECORDS_MAX};
use super::values::{segment, text_of};

/// A link between two records.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Link {
    /// The record that asks for it, its place in whatever list the caller has.
    pub(super) of: usize,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) category: Value,
    pub(super) type_id: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Make,
    Remove,
}

impl Link {
    pub(super) fn types(&self) -> Value {
        let kind = object! { "associationCategory" => &self.category, "associationTypeId" => &self.type_id };
        Value::Array(vec![kind])
    }

    fn input(&self) -> Value {
        object! {
            "types" => self.types(),
            "from" => object! { "id" => self.from.as_str() },
            "to" => object! { "id" => self.to.as_str() },
        }
    }
}

/// Makes or removes links, and gives those that failed by who asked for them, each with its outcome.
pub(super) async fn change(
    api: Api<'_>,
    change: Change,
    from_type: &str,
    to_type: &str,
    links: &[Link],
) -> Result<Vec<(usize, Outcome)>, DeliveryError> {
    let what = match change {
        Change::Make => "create",
        Change::Remove => "labels/archive",
    };
    let url = format!("{ORIGIN}/crm/v4/associations/{}/{}/batch/{what}", segment(from_type), segment(to_type));
    let mut failed = Vec::new();
    for links in links.chunks(RECORDS_MAX) {
        let inputs: Vec<_> = links.iter().map(Link::input).collect();
        let answer = api.answer(Request::post(url.clone()).json(&object! { "inputs" => inputs })).await?;
        if let Some(failure) = answer.failure(api.statuses) {
            return Err(failure);
        }
        // What is removed is answered with nothing.
        if change == Change::Remove && answer.body.is_empty() {
            continue;
        }
        failed.extend(failures(&Batched::of(&answer.json()?)?, links, change));
    }
    Ok(failed)
}

/// The links that were not made, or removed, as far as the answer tells, and those it leaves open.
fn failures(answer: &Batched, links: &[Link], change: Change) -> Vec<(usize, Outcome)> {
    let mut failed: Vec<Option<Outcome>> = links.iter().map(|_| None).collect();
    let mut tells_all = answer.tells_all_errors();
    for error in &answer.errors {
        let outcome = match error.outcome() {
            Outcome::Rejected { code, message } => Outcome::rejected(
                "ASSOCIATION_FAILED",
                format!("the record was written, but not linked ({code}): {message}"),
            ),
            other => other,
        };
        let meant = meant(error, links);
        tells_all &= !meant.is_empty();
        for place in meant {
            failed[place].get_or_insert_with(|| outcome.clone());
        }
    }
    // What was made is shown, a pair of records once.
    let open = links.iter().zip(&failed).filter(|(_, failed)| failed.is_none());
    let pairs: HashSet<_> = open.map(|(link, _)| (&link.from, &link.to)).collect();
    tells_all &= change == Change::Remove || answer.results.len() >= pairs.len();
    let message = "the record was written; HubSpot does not say whether it was linked";
    let told = links.iter().zip(failed).filter_map(|(link, failed)| {
        let doubt =
            || (!tells_all && !is_shown(answer, link)).then(|| Outcome::InDoubt { message: message.to_owned() });
        Some((link.of, failed.or_else(doubt)?))
    });
    told.collect()
}

/// The places of the links that an error speaks of.
fn meant(error: &BatchError, links: &[Link]) -> Vec<usize> {
    let has = |names: &[String], id: &String| names.contains(id);
    let sided = !(error.from.is_empty() && error.to.is_empty());
    let one = |names: &[String], id: &String| names.is_empty() || has(names, id);
    let names = &error.names;
    // Ids without a side are of both where both sides know some.
    let by_both = links.iter().any(|link| has(names, &link.from)) && links.iter().any(|link| has(names, &link.to));
    let is_meant = |link: &Link| match (sided, by_both) {
        (true, _) => one(&error.from, &link.from) && one(&error.to, &link.to),
        (false, true) => has(names, &link.from) && has(names, &link.to),
        (false, false) => has(names, &link.from) || has(names, &link.to),
    };
    (0..links.len()).filter(|place| is_meant(&links[*place])).collect()
}

fn is_shown(answer: &Batched, link: &Link) -> bool {
    let is = |result: &Value, key: &str, id: &str| result.get(key).is_some_and(|shown| text_of(shown) == id);
    let mut results = answer.results.iter();
    results.any(|result| is(result, "fromObjectId", &link.from) && is(result, "toObjectId", &link.to))
}
