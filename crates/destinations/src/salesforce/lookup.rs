//! Finds the record that a mapping's matching fields mean, by a query.

use kit::{Answer, DeliveryError, Payload, Request, Wire};
use records::{Object, Outcome, Value};

use super::answers::{changes_nothing, failure};
use super::object::{is_truthy, text_of};
use super::{API_VERSION, Salesforce};

/// What the matching fields lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    One(String),
    Nothing,
    Many,
}

/// The matching fields of a record.
///
/// # Errors
/// There are none.
pub(super) fn traits(payload: &Payload) -> Result<&Object, Outcome> {
    let traits = payload.fields.get("traits").and_then(Value::as_object);
    traits.filter(|traits| !traits.is_empty()).ok_or_else(|| {
        Outcome::rejected("MISSING_TRAITS", "`traits` has no field; map at least one that finds the record")
    })
}

/// The Salesforce id, where the matching fields name it themselves.
pub(super) fn given_id(traits: &Object) -> Option<String> {
    traits.get("Id").filter(|id| is_truthy(Some(id))).and_then(text_of)
}

/// The query for the matching fields, in SOQL.
///
/// # Errors
/// A value is nothing that can be searched for.
pub(super) fn query(object: &str, payload: &Payload, traits: &Object) -> Result<String, Outcome> {
    let all = payload.fields.get("recordMatcherOperator").and_then(Value::as_str) == Some("AND");
    let mut soql = format!("SELECT Id FROM {object} WHERE ");
    for (place, (name, value)) in traits.iter().enumerate() {
        if place > 0 {
            soql.push_str(if all { " AND " } else { " OR " });
        }
        soql.push_str(&field_name(name));
        soql.push_str(" = ");
        soql.push_str(&literal(name, value)?);
    }
    Ok(soql)
}

/// A field's name without the characters that no such name has.
pub(super) fn field_name(name: &str) -> String {
    name.chars().filter(|char| char.is_ascii_alphanumeric() || *char == '_').collect()
}

/// Text as a literal of SOQL.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn literal(name: &str, value: &Value) -> Result<String, Outcome> {
    match value {
        Value::Text(text) => Ok(quoted(text)),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            let message = format!(
                "`traits.{name}` is {}; a record is found by text, a number, or true or false",
                value.type_name()
            );
            Err(Outcome::rejected("UNSUPPORTED_TYPE", message))
        }
        other => Ok(text_of(other).unwrap_or_default()),
    }
}

/// As JavaScript's `encodeURIComponent`, so that the URL is the one that the original makes.
pub(super) fn encoded(text: &str) -> String {
    let mut url = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}

impl Salesforce {
    /// Asks for the record.
    pub(super) async fn find(&self, soql: &str, wire: &Wire) -> Result<Found, DeliveryError> {
        let answer = self.ask(soql, wire).await?;
        let json = answer.json().map_err(changes_nothing)?;
        found(&json).ok_or_else(|| not_understood(&answer))
    }

    /// Sends a query.
    pub(super) async fn ask(&self, soql: &str, wire: &Wire) -> Result<Answer, DeliveryError> {
        let url = self.url(&format!("query/?q={}", encoded(soql)));
        let answer = self.send(wire, Request::get(url).reading()).await.map_err(changes_nothing)?;
        match failure(&answer, &self.facts.statuses) {
            Some(error) => Err(changes_nothing(error)),
            None => Ok(answer),
        }
    }

    /// The same for many queries, in as few requests as can be, each with what it found or why it failed.
    pub(super) async fn find_each(
        &self,
        queries: &[String],
        wire: &Wire,
    ) -> Result<Vec<Result<Found, Outcome>>, DeliveryError> {
        /// What a request of this kind carries at most.
        const QUERIES_MAX: usize = 25;
        let mut all = Vec::with_capacity(queries.len());
        for part in queries.chunks(QUERIES_MAX) {
            let requests: Vec<Value> = part
                .iter()
                .map(|soql| {
                    let url = format!("{API_VERSION}/query/?q={}", encoded(soql));
                    records::object! { "method" => "GET", "url" => url }
                })
                .collect();
            let body = records::object! { "batchRequests" => requests };
            let request = Request::post(self.url("composite/batch")).json(&body).reading();
            let answer = self.send(wire, request).await.map_err(changes_nothing)?;
            if let Some(error) = failure(&answer, &self.facts.statuses) {
                return Err(changes_nothing(error));
            }
            let json = answer.json().map_err(changes_nothing)?;
            let results = json.get("results").and_then(Value::as_array).filter(|results| results.len() == part.len());
            all.extend(results.ok_or_else(|| not_understood(&answer))?.iter().map(result_of));
        }
        Ok(all)
    }
}

/// What one of several queries gave.
fn result_of(result: &Value) -> Result<Found, Outcome> {
    let inner = result.get("result").unwrap_or(&Value::Null);
    if result.get("statusCode").and_then(Value::as_i64) == Some(200)
        && let Some(found) = found(inner)
    {
        return Ok(found);
    }
    let first = inner.as_array().and_then(<[Value]>::first).unwrap_or(inner);
    let text = |key: &str| first.get(key).and_then(Value::as_str);
    Err(match text("errorCode") {
        Some(code) => super::answers::refused(code, text("message").unwrap_or("no message")),
        None => Outcome::retry("unexpected_answer", "the query for the record was not answered"),
    })
}

fn found(json: &Value) -> Option<Found> {
    match json.get("totalSize")?.as_i64()? {
        0 => Some(Found::Nothing),
        1 => {
            let first = json.get("records")?.as_array()?.first()?;
            let id = first.get("Id")?.as_str().filter(|id| !id.is_empty())?;
            Some(Found::One(id.to_owned()))
        }
        _ => Some(Found::Many),
    }
}

pub(super) fn not_understood(answer: &Answer) -> DeliveryError {
    DeliveryError::Failed {
        code: "unexpected_answer".to_owned(),
        message: format!("the answer to the query lacks `totalSize` or the record's `Id`: {}", answer.message()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_cannot_leave_their_quotes() {
        assert_eq!(quoted("O'Neil"), "'O\\'Neil'");
        assert_eq!(quoted("\\' OR Name != '"), "'\\\\\\' OR Name != \\''");
        assert_eq!(literal("x", &Value::Float(1e21)).unwrap(), "1e+21");
        assert_eq!(literal("x", &Value::Bool(true)).unwrap(), "true");
        assert_eq!(literal("x", &Value::Null).unwrap_err().code(), Some("UNSUPPORTED_TYPE"));
        assert_eq!(field_name("Account.Name; x"), "AccountNamex");
    }

    #[test]
    fn queries_are_encoded_as_javascript_does() {
        assert_eq!(encoded("a b='Ł'(!~*)"), "a%20b%3D'%C5%81'(!~*)");
    }

    #[test]
    fn only_an_answer_with_its_fields_says_something() {
        let of = |text: &str| found(&Value::parse(text).unwrap());
        assert_eq!(of(r#"{"totalSize":1,"records":[{"Id":"1"}]}"#), Some(Found::One("1".to_owned())));
        assert_eq!(of(r#"{"totalSize":0,"records":[]}"#), Some(Found::Nothing));
        assert_eq!(of(r#"{"totalSize":2,"records":[]}"#), Some(Found::Many));
        assert_eq!(of(r#"{"totalSize":1,"records":[]}"#), None);
        assert_eq!(of(r#"{"records":[]}"#), None);
    }
}
