//! Klaviyo: profiles, lists, consent and events.

mod api;
mod events;
mod import;
mod lists;
mod phone;
mod profile;
mod removal;
mod simulator;
mod single;
mod subscription;

use std::sync::Arc;

use async_trait::async_trait;
use kit::{
    Auth, Batch, ChoicePage, ChoiceQuery, DeliveryError, Destination, Facts, Job, Payload, SettingsError, Wire,
    WireSettings,
};
use records::{Outcome, Value};

use api::{Api, get};
pub(crate) use simulator::simulator;

const HOOK: &str = "retlOnMappingSave";

#[derive(Debug)]
struct Klaviyo {
    facts: Facts,
    wire: WireSettings,
}

/// Makes the destination. Settings and options were checked against the facts.
pub(crate) fn connect(
    facts: Facts,
    settings: &serde_json::Value,
    _options: &serde_json::Value,
) -> Result<Arc<dyn Destination>, SettingsError> {
    let key = settings.get("api_key").and_then(serde_json::Value::as_str).unwrap_or_default().trim().to_owned();
    let auth = Auth::ApiKeyHeader { header: http::header::AUTHORIZATION, prefix: "Klaviyo-API-Key ".to_owned(), key };
    let wire = WireSettings { auth, ..kit::wire_settings(&facts, settings)? };
    Ok(Arc::new(Klaviyo { facts, wire }))
}

impl Klaviyo {
    fn api<'a>(&'a self, wire: &'a Wire) -> Api<'a> {
        Api { wire, statuses: &self.facts.statuses }
    }
}

/// The first of the values that is a text and not empty.
fn first_text<'a>(values: impl IntoIterator<Item = Option<&'a Value>>) -> Option<&'a str> {
    values.into_iter().flatten().filter_map(Value::as_str).find(|text| !text.is_empty())
}

/// The list that profiles of the batch are added to. The list that the mapping was saved with comes before a record's
/// own where records go one by one, and after it in a batch, as in the original.
fn upsert_list(batch: &Batch) -> Option<&str> {
    let fields = &batch.records.first()?.fields;
    let saved = batch.settings.hook_outputs.get(HOOK).and_then(|outputs| outputs.get("id"));
    let (own, plain) = (fields.get("override_list_id"), fields.get("list_id"));
    if batch.batching { first_text([own, saved, plain]) } else { first_text([saved, own, plain]) }
}

#[async_trait]
impl Destination for Klaviyo {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn wire_settings(&self) -> WireSettings {
        self.wire.clone()
    }

    async fn check(&self, wire: &Wire) -> Result<String, DeliveryError> {
        let accounts = self.api(wire).read(get("/accounts/")).await?;
        let account = api::resources(accounts)?.into_iter().next().unwrap_or_default();
        let name = account.at(&["attributes", "contact_information", "organization_name"]).and_then(Value::as_str);
        Ok(match name.or(account.get("id").and_then(Value::as_str)) {
            Some(name) => format!("Klaviyo took the key, of the account `{name}`"),
            None => "Klaviyo took the key".to_owned(),
        })
    }

    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let api = self.api(wire);
        let fields = batch.records.first().map(|record| &record.fields).unwrap_or(&Value::Null);
        let list = first_text([fields.get("list_id")]);
        match batch.action.as_str() {
            "addProfileToList" | "removeProfileFromList" | "removeProfile" if list.is_none() => {
                let message = "`list_id` is empty: choose the list in the mapping";
                Ok(vec![Outcome::rejected("no_list", message); batch.records.len()])
            }
            "upsertProfile" if batch.batching => import::deliver(api, batch, upsert_list(batch)).await,
            "upsertProfile" => Ok(vec![single::upsert(api, fields, upsert_list(batch)).await?]),
            "addProfileToList" if batch.batching => import::deliver(api, batch, list).await,
            "addProfileToList" => Ok(vec![single::add(api, fields).await?]),
            "removeProfileFromList" | "removeProfile" => removal::deliver(api, batch).await,
            "trackEvent" => events::track(api, batch).await,
            "orderCompleted" => events::order(api, batch).await,
            "subscribeProfile" => subscription::subscribe(api, batch).await,
            "unsubscribeProfile" => subscription::unsubscribe(api, batch).await,
            other => Err(DeliveryError::Settings { message: format!("Klaviyo has no action `{other}`") }),
        }
    }

    fn group(&self, action: &str, payload: &Payload) -> String {
        let field = |key: &str| payload.fields.get(key);
        match action {
            "upsertProfile" => first_text([field("override_list_id"), field("list_id")]).unwrap_or_default().to_owned(),
            "addProfileToList" | "removeProfileFromList" | "removeProfile" => {
                first_text([field("list_id")]).unwrap_or_default().to_owned()
            }
            "subscribeProfile" => field("historical_import").and_then(Value::as_bool).unwrap_or(false).to_string(),
            _ => String::new(),
        }
    }

    async fn choices(&self, query: &ChoiceQuery, wire: &Wire) -> Result<ChoicePage, DeliveryError> {
        match query.field.as_str() {
            "list_id" | "list_identifier" => lists::choices(self.api(wire), query).await,
            _ => Ok(ChoicePage::default()),
        }
    }

    async fn save_mapping(
        &self,
        _action: &str,
        hook: &str,
        inputs: &Value,
        wire: &Wire,
    ) -> Result<Value, DeliveryError> {
        match hook {
            HOOK => lists::picked(self.api(wire), inputs).await,
            other => Err(DeliveryError::Settings { message: format!("Klaviyo has no hook `{other}`") }),
        }
    }

    async fn resume(&self, job: &Job, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        import::resume(self.api(wire), job).await
    }
}
