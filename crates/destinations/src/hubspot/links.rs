//! Associations between records that both exist: made and removed, a hundred in a request.

use kit::{DeliveryError, Request};
use records::{Outcome, Value, object};

use super::api::{Api, Batched, ORIGIN, RECORDS_MAX};
use super::values::segment;

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
        failed.extend(failures(&Batched::of(&answer.json()?)?, links));
    }
    Ok(failed)
}

fn failures(answer: &Batched, links: &[Link]) -> Vec<(usize, Outcome)> {
    if answer.is_without_errors() {
        return Vec::new();
    }
    let mut failed = Vec::new();
    for error in &answer.errors {
        let names = |id: &String| error.names.contains(id);
        let by_both = links.iter().any(|link| names(&link.from)) && links.iter().any(|link| names(&link.to));
        let meant = links.iter().filter(|link| match by_both {
            true => names(&link.from) && names(&link.to),
            false => names(&link.from) || names(&link.to),
        });
        let outcome = match error.outcome() {
            Outcome::Rejected { code, message } => Outcome::rejected(
                "ASSOCIATION_FAILED",
                format!("the record was written, but not linked ({code}): {message}"),
            ),
            other => other,
        };
        failed.extend(meant.map(|link| (link.of, outcome.clone())));
    }
    if answer.errors.is_empty() || answer.errors.iter().any(|error| error.names.is_empty()) {
        let message = "the record was written; HubSpot does not say whether it was linked".to_owned();
        let open = links.iter().filter(|link| failed.iter().all(|(of, _)| *of != link.of)).map(|link| link.of);
        let open: Vec<_> = open.collect();
        failed.extend(open.into_iter().map(|of| (of, Outcome::InDoubt { message: message.clone() })));
    }
    failed
}
