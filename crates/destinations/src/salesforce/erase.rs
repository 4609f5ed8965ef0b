//! Deletes many records: finds their ids with few queries, then deletes two hundred with a request.

use std::collections::HashMap;

use kit::{DeliveryError, Payload, Request, Wire};
use records::{Outcome, Value};

use super::Salesforce;
use super::answers::{changes_nothing, failure, outcome_of, refused};
use super::lookup::{Found, encoded, field_name, given_id, not_understood, query, quoted, traits};
use super::object::text_of;
use super::single::{many_found, nothing_found};
use super::table::external_id;

/// What a request can delete at most, which also keeps the queries short enough for a URL.
const DELETED_MAX: usize = 200;
/// What a query may be long, encoded, with room for the rest of the URL.
const QUERY_BYTES_MAX: usize = 3500;

/// A record's place, and field and value of its external id.
type External = (usize, String, String);

/// How the record that a change means is found.
enum Search {
    Id(String),
    /// Its external id, by which a bulk upsert has written it.
    External {
        field: String,
        value: String,
    },
    Query(String),
}

impl Salesforce {
    /// Deletes the records. What became of each is known for all, or an error says that nothing was done.
    pub(super) async fn erase(
        &self,
        object: &str,
        records: &[&Payload],
        wire: &Wire,
    ) -> Result<Vec<Outcome>, DeliveryError> {
        let mut outcomes = Vec::with_capacity(records.len());
        for part in records.chunks(DELETED_MAX) {
            match self.erase_part(object, part, wire).await {
                Ok(part) => outcomes.extend(part),
                Err(error) if outcomes.is_empty() => return Err(error),
                Err(error) => {
                    outcomes.resize(outcomes.len() + part.len(), outcome_of(&error));
                    let left = Outcome::retry("not_sent", "not sent, since the request before failed");
                    outcomes.resize(records.len(), left);
                    break;
                }
            }
        }
        Ok(outcomes)
    }

    async fn erase_part(&self, object: &str, records: &[&Payload], wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let searches: Vec<_> = records.iter().map(|record| search(object, record)).collect();
        let mut ends: Vec<Option<Result<String, Outcome>>> = searches.iter().map(|_| None).collect();
        let mut externals = Vec::new();
        let mut queries = Vec::new();
        for (place, search) in searches.into_iter().enumerate() {
            match search {
                Ok(Search::Id(id)) => ends[place] = Some(Ok(id)),
                Ok(Search::External { field, value }) => externals.push((place, field, value)),
                Ok(Search::Query(soql)) => queries.push((place, soql)),
                Err(refusal) => ends[place] = Some(Err(refusal)),
            }
        }
        for (place, found) in self.find_external(object, &externals, wire).await? {
            ends[place] = Some(match found {
                Ok(Found::One(id)) => Ok(id),
                // The mapping wrote it under this very id, so it is gone already.
                Ok(Found::Nothing) => Err(Outcome::Delivered),
                Ok(Found::Many) => Err(many_found(object)),
                Err(outcome) => Err(outcome),
            });
        }
        let soqls: Vec<String> = queries.iter().map(|(_, soql)| soql.clone()).collect();
        for ((place, _), found) in queries.iter().zip(self.find_each(&soqls, wire).await?) {
            ends[*place] = Some(match found {
                Ok(Found::One(id)) => Ok(id),
                Ok(Found::Nothing) => Err(nothing_found(object)),
                Ok(Found::Many) => Err(many_found(object)),
                Err(outcome) => Err(outcome),
            });
        }
        // Two changes may mean one record; it is deleted once.
        let mut ids: Vec<String> = Vec::new();
        for id in ends.iter().flatten().flatten() {
            if !ids.contains(id) {
                ids.push(id.clone());
            }
        }
        let deleted = if ids.is_empty() { Vec::new() } else { self.delete(&ids, wire).await? };
        let outcome = |end: Option<Result<String, Outcome>>| match end {
            Some(Ok(id)) => {
                let place = ids.iter().position(|known| *known == id);
                place.and_then(|place| deleted.get(place)).cloned()
            }
            Some(Err(outcome)) => Some(outcome),
            None => None,
        };
        Ok(ends
            .into_iter()
            .map(|end| outcome(end).unwrap_or_else(|| Outcome::retry("not_sent", "the record was not searched for")))
            .collect())
    }

    async fn delete(&self, ids: &[String], wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let ids_text = ids.join(",");
        let url = self.url("composite/sobjects");
        let request = Request::delete(url).query([("ids", ids_text.as_str()), ("allOrNone", "false")]);
        let answer = self.send(wire, request).await?;
        if let Some(error) = failure(&answer, &self.facts.statuses) {
            return Err(error);
        }
        let json = answer.json()?;
        let results = json.as_array().filter(|results| results.len() == ids.len()).ok_or_else(|| {
            DeliveryError::UnexpectedAnswer { message: format!("no results for {} deleted records", ids.len()) }
        })?;
        Ok(results.iter().map(deleted).collect())
    }

    /// Finds records by their external ids, many with a query.
    async fn find_external(
        &self,
        object: &str,
        externals: &[External],
        wire: &Wire,
    ) -> Result<Vec<(usize, Result<Found, Outcome>)>, DeliveryError> {
        let mut all = Vec::with_capacity(externals.len());
        let mut rest = externals;
        while let Some((_, field, _)) = rest.first() {
            let mut bytes = 0;
            let fits = rest.iter().take_while(|(_, of, value)| {
                bytes += encoded(&quoted(value)).len() + 3;
                of == field && bytes <= QUERY_BYTES_MAX
            });
            let (part, later) = rest.split_at(fits.count().max(1));
            rest = later;
            // A field that holds numbers does not compare with text.
            let numbers = part.iter().all(|(_, _, value)| value.parse::<f64>().is_ok_and(f64::is_finite));
            let mut found = self.find_part(object, part, quoted, wire).await;
            if numbers && matches!(found, Err(DeliveryError::Refused { .. })) {
                found = self.find_part(object, part, str::to_owned, wire).await;
            }
            match found {
                Ok(found) => all.extend(found),
                // The query is wrong for all of them: an unknown field, say.
                Err(DeliveryError::Refused { code, message }) => {
                    let outcome = Outcome::rejected(code, message);
                    all.extend(part.iter().map(|(place, _, _)| (*place, Err(outcome.clone()))));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// The same for those that fit into a query.
    async fn find_part(
        &self,
        object: &str,
        part: &[External],
        literal: impl Fn(&str) -> String + Send,
        wire: &Wire,
    ) -> Result<Vec<(usize, Result<Found, Outcome>)>, DeliveryError> {
        let Some((_, field, _)) = part.first() else { return Ok(Vec::new()) };
        let values: Vec<_> = part.iter().map(|(_, _, value)| literal(value)).collect();
        let soql = format!("SELECT Id, {field} FROM {object} WHERE {field} IN ({})", values.join(", "));
        let answer = self.ask(&soql, wire).await?;
        let rows = rows(&answer.json().map_err(changes_nothing)?, field);
        if let Some(found) = matched(part, &rows.ok_or_else(|| not_understood(&answer))?) {
            return Ok(found.into_iter().map(|(place, found)| (place, Ok(found))).collect());
        }
        // The field compares in a way of its own, so each is asked for alone.
        let each = |value: &String| format!("SELECT Id FROM {object} WHERE {field} = {value}");
        let soqls: Vec<_> = values.iter().map(each).collect();
        let found = self.find_each(&soqls, wire).await?;
        Ok(part.iter().map(|(place, _, _)| *place).zip(found).collect())
    }
}

fn search(object: &str, record: &Payload) -> Result<Search, Outcome> {
    if let Some((field, value)) = external_id(record) {
        return Ok(Search::External { field: field_name(field), value: value.to_owned() });
    }
    let traits = traits(record)?;
    match given_id(traits) {
        // It stands in a list of ids, where a comma would name another record.
        Some(id) if matches!(id.len(), 15 | 18) && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Ok(Search::Id(id))
        }
        Some(id) => {
            let message = format!("`{id}` in `traits` is no Salesforce id, which is 15 or 18 letters and digits");
            Err(Outcome::rejected("INVALID_ID", message))
        }
        None => query(object, record, traits).map(Search::Query),
    }
}

/// Id and external id of each record that a query found; none if the answer is not the whole of them.
fn rows(json: &Value, field: &str) -> Option<Vec<(String, String)>> {
    let whole = json.get("done")?.as_bool()?;
    let records = json.get("records")?.as_array().filter(|_| whole)?;
    let row = |record: &Value| {
        let value = record.as_object()?.iter().find(|(name, _)| name.eq_ignore_ascii_case(field))?.1;
        Some((record.get("Id")?.as_str()?.to_owned(), text_of(value)?))
    };
    records.iter().map(row).collect()
}

/// Which record each external id leads to; none if a row belongs to no id, so that the comparison is not ours.
fn matched(asked: &[External], rows: &[(String, String)]) -> Option<Vec<(usize, Found)>> {
    let mut by_value: HashMap<String, Vec<&str>> = HashMap::new();
    for (id, value) in rows {
        by_value.entry(value.to_lowercase()).or_default().push(id);
    }
    let mut used = 0;
    let mut seen: HashMap<String, ()> = HashMap::new();
    let found = asked
        .iter()
        .map(|(place, _, value)| {
            let value = value.to_lowercase();
            let ids = by_value.get(&value).map(Vec::as_slice).unwrap_or_default();
            if seen.insert(value, ()).is_none() {
                used += ids.len();
            }
            let found = match ids {
                [] => Found::Nothing,
                [id] => Found::One((*id).to_owned()),
                _ => Found::Many,
            };
            (*place, found)
        })
        .collect();
    (used == rows.len()).then_some(found)
}

/// What became of one of the deleted records.
fn deleted(result: &Value) -> Outcome {
    if result.get("success").and_then(Value::as_bool) == Some(true) {
        return Outcome::Delivered;
    }
    let error = result.get("errors").and_then(Value::as_array).and_then(<[Value]>::first);
    let text = |key: &str| error.and_then(|error| error.get(key)).and_then(Value::as_str);
    match (text("statusCode"), text("message")) {
        (Some("ENTITY_IS_DELETED"), _) => Outcome::Delivered,
        (Some(code), message) => refused(code, message.unwrap_or("no message")),
        (None, _) => Outcome::InDoubt { message: "neither success nor an error is told for this record".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(values: &[&str]) -> Vec<External> {
        values.iter().enumerate().map(|(place, value)| (place, "ext__c".to_owned(), (*value).to_owned())).collect()
    }

    fn row(id: &str, value: &str) -> (String, String) {
        (id.to_owned(), value.to_owned())
    }

    #[test]
    fn rows_are_matched_as_the_tool_compares() {
        let found = matched(&asked(&["a1", "b2", "c3"]), &[row("2", "B2"), row("1", "a1")]).unwrap();
        assert_eq!(found, [(0, Found::One("1".into())), (1, Found::One("2".into())), (2, Found::Nothing)]);
        assert_eq!(matched(&asked(&["a1"]), &[row("1", "a1"), row("2", "A1")]).unwrap(), [(0, Found::Many)]);
        assert!(matched(&asked(&["a1", "b2"]), &[row("1", "a1 ")]).is_none());
    }

    #[test]
    fn a_deleted_record_that_is_gone_is_deleted() {
        let of = |text: &str| deleted(&Value::parse(text).unwrap());
        assert_eq!(of(r#"{"success":true,"errors":[]}"#), Outcome::Delivered);
        assert_eq!(of(r#"{"success":false,"errors":[{"statusCode":"ENTITY_IS_DELETED"}]}"#), Outcome::Delivered);
        assert_eq!(
            of(r#"{"success":false,"errors":[{"statusCode":"UNABLE_TO_LOCK_ROW"}]}"#).code(),
            Some("UNABLE_TO_LOCK_ROW")
        );
        assert!(matches!(of(r#"{"success":false,"errors":[]}"#), Outcome::InDoubt { .. }));
    }
}
