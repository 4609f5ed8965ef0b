//! Braze: profiles, events and purchases of users, their aliases, catalog items, campaigns and Canvases.

mod aliases;
mod answers;
mod catalog;
mod choices;
mod ecommerce;
mod profiles;
mod simulator;
mod track;
mod trigger;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kit::{
    Answer, Auth, Batch, ChoicePage, ChoiceQuery, DeliveryError, Destination, Facts, Payload, Request, SettingsError,
    Wire, WireSettings,
};
use records::{Object, Outcome, Value, object};

pub(crate) use simulator::simulator;

#[derive(Debug)]
struct Braze {
    facts: Facts,
    wire: WireSettings,
    endpoint: String,
    app_id: Option<String>,
}

/// Makes the destination. Settings and options were checked against the facts.
pub(crate) fn connect(
    facts: Facts,
    settings: &serde_json::Value,
    _options: &serde_json::Value,
) -> Result<Arc<dyn Destination>, SettingsError> {
    let text = |key: &str| settings.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
    let mut wire = kit::wire_settings(&facts, settings)?;
    wire.auth = Auth::Bearer { token: text("api_key").unwrap_or_default() };
    let endpoint = text("endpoint").unwrap_or_else(|| "https://rest.iad-01.braze.com".to_owned());
    Ok(Arc::new(Braze { wire, endpoint, app_id: text("app_id"), facts }))
}

/// What is said of a record that never left.
const INVALID: &str = "PAYLOAD_VALIDATION_FAILED";

#[async_trait]
impl Destination for Braze {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn wire_settings(&self) -> WireSettings {
        self.wire.clone()
    }

    async fn check(&self, wire: &Wire) -> Result<String, DeliveryError> {
        // A key has permissions for single endpoints, so any of these may be the one it is made for. Without data
        // Braze refuses to track, and says by its status that the key is good.
        let track = Request::post(self.url("/users/track")).json(&object! {});
        let list = |path: &str| Request::get(self.url(path));
        let mut refused = None;
        for request in [track, list("/campaigns/list"), list("/canvas/list"), list("/catalogs")] {
            let answer = wire.send(request).await?;
            match self.failure(&answer) {
                Some(error @ DeliveryError::CredentialsRefused { .. }) => drop(refused.get_or_insert(error)),
                None | Some(DeliveryError::Refused { .. }) => {
                    answer.json()?;
                    return Ok(format!("{} accepts the key", self.endpoint));
                }
                Some(error) => return Err(error),
            }
        }
        refused.map_or_else(|| Ok(format!("{} answers", self.endpoint)), Err)
    }

    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        match batch.action.as_str() {
            "updateUserProfile"
            | "updateUserProfile2"
            | "trackEvent"
            | "trackEvent2"
            | "trackPurchase"
            | "trackPurchase2"
            | "ecommerce"
            | "ecommerceSingleProduct" => track::deliver(self, batch, wire).await,
            "createAlias" | "createAlias2" => aliases::create(self, batch, wire).await,
            "identifyUser" | "identifyUser2" => aliases::identify(self, batch, wire).await,
            "upsertCatalogItem" => catalog::deliver(self, batch, wire).await,
            "triggerCampaign" => trigger::deliver(self, "/campaigns/trigger/send", batch, wire).await,
            "triggerCanvas" => trigger::deliver(self, "/canvas/trigger/send", batch, wire).await,
            other => Err(DeliveryError::Settings { message: format!("Braze has no action `{other}`") }),
        }
    }

    fn group(&self, action: &str, payload: &Payload) -> String {
        match action {
            "identifyUser" | "identifyUser2" => aliases::group(payload),
            _ => String::new(),
        }
    }

    async fn choices(&self, query: &ChoiceQuery, wire: &Wire) -> Result<ChoicePage, DeliveryError> {
        choices::page(self, query, wire).await
    }

    async fn save_mapping(
        &self,
        action: &str,
        hook: &str,
        inputs: &Value,
        wire: &Wire,
    ) -> Result<Value, DeliveryError> {
        match (action, hook) {
            ("upsertCatalogItem", "onMappingSave") => catalog::choose(self, inputs, wire).await,
            _ => Err(DeliveryError::Settings { message: format!("`{action}` has no hook `{hook}`") }),
        }
    }
}

impl Braze {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.endpoint.trim_end_matches('/'))
    }

    /// The error that an answer's status stands for. Braze says when its limit ends as a time, not as `Retry-After`.
    fn failure(&self, answer: &Answer) -> Option<DeliveryError> {
        match answer.failure(&self.facts.statuses)? {
            DeliveryError::RateLimited { after: None } => {
                let reset = answer.header("x-ratelimit-reset").and_then(|text| text.trim().parse::<i64>().ok());
                let wait = reset.map(|reset| reset.saturating_sub(answer.at.as_second()).max(0).unsigned_abs());
                Some(DeliveryError::RateLimited { after: wait.map(Duration::from_secs) })
            }
            other => Some(other),
        }
    }
}

/// A field of a payload.
fn field<'p>(payload: &'p Payload, key: &str) -> Option<&'p Value> {
    payload.fields.get(key)
}

/// A field's text, unless it is empty.
fn filled<'p>(payload: &'p Payload, key: &str) -> Option<&'p str> {
    field(payload, key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Sets a key to what there is, if there is anything. Null is something.
fn put(object: &mut Object, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        object.insert(key, value);
    }
}

/// The alias of a user, if both of its parts are there.
fn user_alias(payload: &Payload) -> Option<Value> {
    let alias = field(payload, "user_alias")?;
    let part = |key: &str| alias.get(key).filter(|part| part.as_str() != Some("") && !part.is_null());
    Some(object! { "alias_label" => part("alias_label")?, "alias_name" => part("alias_name")? })
}
