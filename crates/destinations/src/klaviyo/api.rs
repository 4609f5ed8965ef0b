//! Requests to Klaviyo's API, and what its answers say.

use std::collections::BTreeMap;

use http::Method;
use kit::{Answer, DeliveryError, Request, Statuses, Wire};
use records::{Outcome, Value};

const API: &str = "https://a.klaviyo.com/api";
/// The date of the API that requests and answers have the form of.
const REVISION: &str = "2025-01-15";
/// More pages than any answer has that is read here.
const PAGES_MAX: usize = 1000;

/// A connection, and what the statuses of its answers mean.
#[derive(Clone, Copy)]
pub(super) struct Api<'a> {
    pub wire: &'a Wire,
    pub statuses: &'a Statuses,
}

/// What became of a request that carried many records.
pub(super) enum Sent {
    Taken(Answer),
    /// Nothing of it was taken, because of some of its records: an outcome for each.
    Refused(Vec<Outcome>),
}

/// A path below the API's address.
fn request(method: Method, path: &str) -> Request {
    Request::new(method, format!("{API}{path}")).header("accept", "application/json").header("revision", REVISION)
}

/// A request that only reads. The original sends this header with every request.
pub(super) fn get(path: &str) -> Request {
    request(Method::GET, path).header("content-type", "application/json").reading()
}

impl Api<'_> {
    pub(super) async fn send(self, method: Method, path: &str, body: &Value) -> Result<Answer, DeliveryError> {
        self.wire.send(request(method, path).json(body)).await
    }

    /// Sends, and sees that the answer has the one status that stands for success there.
    pub(super) async fn taken(
        self,
        method: Method,
        path: &str,
        body: &Value,
        success: u16,
    ) -> Result<Answer, DeliveryError> {
        let answer = self.send(method, path, body).await?;
        self.expect(&answer, success)?;
        Ok(answer)
    }

    pub(super) fn expect(self, answer: &Answer, success: u16) -> Result<(), DeliveryError> {
        match answer.failure(self.statuses) {
            Some(error) => Err(error),
            None if answer.status == success => Ok(()),
            None => Err(DeliveryError::UnexpectedAnswer {
                message: format!("status {} where {success} was expected: {}", answer.status, answer.message()),
            }),
        }
    }

    pub(super) async fn read(self, request: Request) -> Result<Value, DeliveryError> {
        let answer = self.wire.send(request).await?;
        self.expect(&answer, 200)?;
        answer.json()
    }

    /// Sends a request of many records, which Klaviyo takes whole or not at all. If it tells which records are wrong,
    /// by their place below `records`, those are rejected and the others are sent again without them.
    pub(super) async fn send_many(
        self,
        path: &str,
        body: &Value,
        records: &str,
        count: usize,
    ) -> Result<Sent, DeliveryError> {
        let answer = self.send(Method::POST, path, body).await?;
        if matches!(answer.failure(self.statuses), Some(DeliveryError::Refused { .. })) {
            let wrong = refused_places(&answer, records);
            if wrong.keys().next_back().is_some_and(|last| *last < count) {
                let others = "another record of the request was refused, so this one was not taken";
                let outcome = |place| wrong.get(&place).cloned().unwrap_or_else(|| Outcome::retry("not_taken", others));
                return Ok(Sent::Refused((0..count).map(outcome).collect()));
            }
        }
        self.expect(&answer, 202)?;
        Ok(Sent::Taken(answer))
    }

    /// All resources of an answer in pages. The first request is given; the pages after it only read on.
    pub(super) async fn pages(self, path: &str, first: Request) -> Result<Vec<Value>, DeliveryError> {
        let mut found = Vec::new();
        let mut request = first;
        for _ in 0..PAGES_MAX {
            let page = self.read(request).await?;
            let next = next_page(&page);
            found.extend(resources(page)?);
            let Some(cursor) = next else { return Ok(found) };
            request = get(&following(path, &cursor)).collecting();
        }
        Err(DeliveryError::UnexpectedAnswer { message: format!("more than {PAGES_MAX} pages at `{path}`") })
    }
}

/// The resources that an answer holds.
pub(super) fn resources(page: Value) -> Result<Vec<Value>, DeliveryError> {
    let data = match page {
        Value::Object(mut page) => page.remove("data"),
        _ => None,
    };
    match data {
        Some(Value::Array(data)) => Ok(data),
        _ => Err(DeliveryError::UnexpectedAnswer { message: "the answer has no list `data`".to_owned() }),
    }
}

/// Where the next page begins, encoded as it stands in the link. Only this is taken from the link: credentials go to
/// no address that an answer names.
pub(super) fn next_page(page: &Value) -> Option<String> {
    let (_, query) = page.at(&["links", "next"])?.as_str()?.split_once('?')?;
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let key = key.replace("%5B", "[").replace("%5b", "[").replace("%5D", "]").replace("%5d", "]");
        (key == "page[cursor]" && !value.is_empty()).then(|| value.to_owned())
    })
}

/// The path of the page that begins there.
pub(super) fn following(path: &str, cursor: &str) -> String {
    let joint = if path.contains('?') { '&' } else { '?' };
    format!("{path}{joint}page%5Bcursor%5D={cursor}")
}

/// The records that an answer's errors point at, by their place below `records`.
fn refused_places(answer: &Answer, records: &str) -> BTreeMap<usize, Outcome> {
    let json = answer.json().unwrap_or_default();
    let errors = json.get("errors").and_then(Value::as_array).unwrap_or_default();
    let mut places = BTreeMap::new();
    for error in errors {
        let pointer = error.at(&["source", "pointer"]).and_then(Value::as_str).unwrap_or_default();
        match place_in(pointer, records) {
            Some(place) => places.entry(place).or_insert_with(|| refusal(error)),
            // An error that is of no record is of the whole request.
            None => return BTreeMap::new(),
        };
    }
    places
}

/// The number that stands in a pointer after `records`: 3 in `/data/attributes/profiles/data/3/attributes/email`.
pub(super) fn place_in(pointer: &str, records: &str) -> Option<usize> {
    let (_, after) = pointer.split_once(records)?;
    after.strip_prefix('/')?.split('/').next()?.parse().ok()
}

/// An error of a record as its outcome.
pub(super) fn refusal(error: &Value) -> Outcome {
    let text = |key: &str| error.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let message = text("detail").or(text("title")).unwrap_or("Klaviyo refused the record without a reason");
    Outcome::rejected(text("code").unwrap_or("refused"), message)
}

/// A text as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

/// The outcomes of a batch that takes several requests, filled as they are answered.
pub(super) struct Outcomes {
    found: Vec<Option<Outcome>>,
    /// Whether a request was taken, so that the batch is not to be sent again as a whole.
    taken: bool,
    /// Why a request of several records was refused.
    refused: Option<DeliveryError>,
}

impl Outcomes {
    pub(super) fn of(count: usize) -> Self {
        Self { found: vec![None; count], taken: false, refused: None }
    }

    pub(super) fn set(&mut self, place: usize, outcome: Outcome) {
        self.taken |= outcome.is_delivered();
        if let Some(slot) = self.found.get_mut(place) {
            *slot = Some(outcome);
        }
    }

    /// A request for the records at those places failed, and no further one is sent.
    pub(super) fn failed(mut self, places: &[usize], error: DeliveryError) -> Result<Vec<Outcome>, DeliveryError> {
        if !self.taken || error == DeliveryError::Preview {
            return Err(error);
        }
        let text = error.to_string();
        let outcome = match error {
            DeliveryError::NoAnswer { message } | DeliveryError::UnexpectedAnswer { message } => {
                Outcome::InDoubt { message }
            }
            DeliveryError::RateLimited { after } => {
                Outcome::Retry { after, code: "rate_limited".to_owned(), message: text }
            }
            DeliveryError::Refused { code, message } | DeliveryError::Failed { code, message } => {
                Outcome::retry(code, message)
            }
            DeliveryError::CredentialsRefused { message } => Outcome::retry("credentials_refused", message),
            _ => Outcome::retry("unreachable", text),
        };
        for place in places {
            self.set(*place, outcome.clone());
        }
        Ok(self.done())
    }

    /// A request for the records at those places was refused as a whole; the next may yet be taken.
    pub(super) fn refused(&mut self, places: &[usize], code: String, message: String) {
        if let [place] = places {
            return self.set(*place, Outcome::rejected(code, message));
        }
        for place in places {
            self.set(*place, Outcome::retry(code.clone(), message.clone()));
        }
        self.refused.get_or_insert(DeliveryError::Refused { code, message });
    }

    /// The outcomes when all requests were sent. If none was taken, one that was refused for several records is that of
    /// the batch, so that it is halved until the wrong record is alone.
    pub(super) fn sent(self) -> Result<Vec<Outcome>, DeliveryError> {
        match self.refused {
            Some(error) if !self.taken => Err(error),
            _ => Ok(self.done()),
        }
    }

    pub(super) fn done(self) -> Vec<Outcome> {
        let unsent = || Outcome::retry("not_sent", "a request before this one failed");
        self.found.into_iter().map(|outcome| outcome.unwrap_or_else(unsent)).collect()
    }
}
