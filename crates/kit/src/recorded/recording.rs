//! The other end of a connection in a recorded case: serves each recorded answer to the request it belongs to.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::comparison::{request_differences, url_agrees};
use super::form::ExpectedRequest;
use crate::{DeliveryError, Request};

/// The requests of a case, and what came of them.
#[derive(Debug)]
pub(crate) struct Recording {
    state: Mutex<State>,
    /// Where the recording has no requests because the original leaves them to its host: they are taken, and kept.
    takes_all: bool,
}

#[derive(Debug, Default)]
struct State {
    expected: Vec<(ExpectedRequest, bool)>,
    differences: Vec<String>,
    /// The JSON bodies of requests that `takes_all` let through.
    taken: Vec<Value>,
    ids: u64,
}

impl Recording {
    pub(super) fn new(expected: Vec<ExpectedRequest>, takes_all: bool) -> Self {
        let expected = expected.into_iter().map(|request| (request, false)).collect();
        Self { state: Mutex::new(State { expected, ..State::default() }), takes_all }
    }

    /// The ids are counted, as they were when the case was recorded.
    pub(crate) fn uuid(&self) -> String {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.ids += 1;
        format!("00000000-0000-4000-8000-{:012}", state.ids)
    }

    pub(crate) async fn answer(
        &self,
        request: &Request,
        url: &str,
        headers: &HeaderMap,
    ) -> Result<(u16, HeaderMap, Bytes), DeliveryError> {
        // Others that are under way at the same time get their turn.
        tokio::task::yield_now().await;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.takes_all {
            state.taken.push(serde_json::from_slice(&request.body).unwrap_or_default());
            return Ok((200, HeaderMap::new(), Bytes::from_static(b"{\"success\":true}")));
        }
        let group = state.expected.iter().find(|(_, served)| !served).map(|(expected, _)| expected.group);
        let mut found: Option<(usize, Vec<String>)> = None;
        for (place, (expected, served)) in state.expected.iter().enumerate() {
            if *served || Some(expected.group) != group {
                continue;
            }
            let is_it = expected.method == request.method.as_str() && url_agrees(&expected.url, url);
            if request.collecting && !is_it {
                continue;
            }
            let differences = request_differences(expected, request, url, headers);
            // Of several that do not fit, the one to the same place is most likely meant.
            let weight = |differences: &[String]| differences.len();
            if found.as_ref().is_none_or(|(_, best)| weight(&differences) < weight(best)) {
                found = Some((place, differences));
            }
        }
        let Some((place, differences)) = found else {
            if !request.collecting {
                let body = String::from_utf8_lossy(&request.body);
                state.differences.push(format!("{} {url} is not expected: {body}", request.method));
            }
            return Err(DeliveryError::NoAnswer { message: "the recorded case has no such request".to_owned() });
        };
        let name = format!("request {} ({} {})", place + 1, request.method, url);
        state.differences.extend(differences.into_iter().map(|text| format!("{name}: {text}")));
        let (expected, served) = &mut state.expected[place];
        *served = true;
        let response = &expected.response;
        let text: BTreeMap<_, _> = response.headers.iter().map(|(name, value)| (name.clone(), plain(value))).collect();
        let mut headers = HeaderMap::new();
        for (name, value) in text {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.append(name, value);
            }
        }
        let body = match &response.body {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Ok((response.status, headers, body.into()))
    }

    /// What differed, requests that never came among it.
    pub(super) fn differences(&self) -> Vec<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut differences = state.differences.clone();
        for (place, (expected, served)) in state.expected.iter().enumerate() {
            if !served {
                differences.push(format!("request {} ({} {}) was not made", place + 1, expected.method, expected.url));
            }
        }
        differences
    }

    pub(super) fn taken(&self) -> Vec<Value> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).taken.clone()
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
