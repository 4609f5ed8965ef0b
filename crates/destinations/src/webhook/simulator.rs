//! A receiver of webhooks, served from memory: it checks signatures and keeps what it is sent, path by path.

use std::collections::{BTreeMap, HashMap};

use kit::simulator::{Received, Refusals, Reply, Simulator};
use kit::{SignatureAlgorithm, hmac_hex};
use records::Value as Record;
use serde_json::{Value, json};

use super::javascript;

/// Makes the receiver. With `sharedSecret` in its settings, only what is signed with it is taken.
pub(crate) fn simulator(settings: &Value) -> Box<dyn Simulator> {
    let secret = settings.get("sharedSecret").and_then(Value::as_str).filter(|secret| !secret.is_empty());
    Box::new(Receiver { secret: secret.map(str::to_owned), paths: BTreeMap::new() })
}

struct Receiver {
    secret: Option<String>,
    paths: BTreeMap<String, Inbox>,
}

/// What came to one path. What has a message id is kept once, however often it comes.
#[derive(Default)]
struct Inbox {
    items: Vec<Value>,
    places: HashMap<String, usize>,
}

impl Inbox {
    fn take(&mut self, item: &Value) {
        let Some(id) = item.get("messageId").and_then(Value::as_str) else { return self.items.push(item.clone()) };
        match self.places.get(id) {
            Some(&place) => self.items[place] = item.clone(),
            None => {
                self.places.insert(id.to_owned(), self.items.len());
                self.items.push(item.clone());
            }
        }
    }
}

impl Simulator for Receiver {
    fn answer(&mut self, request: &Received, refusals: &Refusals) -> Reply {
        if !matches!(request.method.as_str(), "POST" | "PUT" | "PATCH") {
            return Reply::json(405, &json!({ "message": "only POST, PUT and PATCH are taken" }));
        }
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            return Reply::json(400, &json!({ "message": "the body is not JSON" }));
        };
        if !self.is_signed(request) {
            return self.unauthorized();
        }
        let items = body.as_array().map_or_else(|| std::slice::from_ref(&body), Vec::as_slice);
        if let Some(reason) = items.iter().find_map(|item| refusals.reason_for(item)) {
            return Reply::json(422, &json!({ "message": reason }));
        }
        let inbox = self.paths.entry(request.path().to_owned()).or_default();
        items.iter().for_each(|item| inbox.take(item));
        Reply::json(200, &json!({ "taken": items.len() }))
    }

    fn held(&self) -> Value {
        self.paths.iter().map(|(path, inbox)| (path.clone(), json!(inbox.items))).collect()
    }
}

impl Receiver {
    /// Whether the signature is right, as a receiver finds out: from the first item, written anew.
    fn is_signed(&self, request: &Received) -> bool {
        let Some(secret) = &self.secret else { return true };
        let Ok(body) = serde_json::from_slice::<Record>(&request.body) else { return false };
        let first = body.as_array().map_or(Some(&body), <[Record]>::first);
        let Some(signed) = first.filter(|first| !first.is_null()) else { return true };
        let signature = hmac_hex(SignatureAlgorithm::Sha1, secret, javascript::json(signed).as_bytes());
        request.header("x-signature") == Some(signature.as_str())
    }
}
