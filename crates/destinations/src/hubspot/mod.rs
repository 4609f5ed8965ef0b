//! HubSpot: contacts, companies, objects of any type, their links and lists, custom events.

mod api;
mod behavioral_event;
mod cache;
mod choices;
mod company;
mod contact;
mod custom_event;
mod custom_object;
mod events;
mod links;
mod object;
mod search;
mod simulator;
mod values;
mod writes;

use std::sync::Arc;

use async_trait::async_trait;
use kit::{
    Batch, ChoicePage, ChoiceQuery, DeliveryError, Destination, Facts, Payload, Request, SettingsError, Wire,
    WireSettings,
};
use records::Outcome;

use api::{Api, ORIGIN};
use cache::Cache;
pub(crate) use simulator::simulator;

/// Makes the destination. Settings and options were checked against the facts.
pub(crate) fn connect(
    facts: Facts,
    settings: &serde_json::Value,
    _options: &serde_json::Value,
) -> Result<Arc<dyn Destination>, SettingsError> {
    let wire = kit::wire_settings(&facts, settings)?;
    let hub_id = settings.get("portalId").and_then(serde_json::Value::as_str).map(str::to_owned);
    Ok(Arc::new(HubSpot { facts, wire, hub_id, cache: Cache::default() }))
}

#[derive(Debug)]
struct HubSpot {
    facts: Facts,
    wire: WireSettings,
    hub_id: Option<String>,
    cache: Cache,
}

impl HubSpot {
    fn api<'a>(&'a self, wire: &'a Wire) -> Api<'a> {
        Api { wire, statuses: &self.facts.statuses, cache: &self.cache }
    }
}

#[async_trait]
impl Destination for HubSpot {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn wire_settings(&self) -> WireSettings {
        self.wire.clone()
    }

    async fn check(&self, wire: &Wire) -> Result<String, DeliveryError> {
        let url = format!("{ORIGIN}/crm/v3/objects/contacts?limit=1");
        let read = self.api(wire).json(Request::get(url)).await?;
        match read.get("results") {
            Some(_) => Ok("HubSpot accepts the credentials and shows contacts".to_owned()),
            None => Err(api::unexpected("the answer to a request for contacts has no `results`")),
        }
    }

    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let api = self.api(wire);
        let one = batch.records.first().filter(|_| !batch.batching).map(|record| &record.fields);
        match (batch.action.as_str(), one) {
            ("sendCustomBehavioralEvent", _) => behavioral_event::deliver(api, batch, self.hub_id.as_deref()).await,
            ("upsertContact", Some(fields)) => Ok(vec![contact::deliver_one(api, fields).await?]),
            ("upsertContact", None) => contact::deliver_batch(api, batch).await,
            ("upsertCompany", Some(fields)) => {
                let contact = batch.settings.transaction.get("contact_id");
                Ok(vec![company::deliver_one(api, fields, contact).await?])
            }
            ("upsertCompany", None) => company::deliver_batch(api, batch).await,
            ("upsertCustomObjectRecord", Some(fields)) => Ok(vec![custom_object::deliver_one(api, fields).await?]),
            ("upsertCustomObjectRecord", None) => custom_object::deliver_batch(api, batch).await,
            ("upsertObject", _) => object::deliver(api, batch).await,
            ("customEvent", _) => custom_event::deliver(api, batch).await,
            (other, _) => Err(DeliveryError::Settings { message: format!("HubSpot has no action `{other}`") }),
        }
    }

    fn group(&self, action: &str, payload: &Payload) -> String {
        match action {
            "upsertObject" => object::group(&payload.fields),
            "upsertCustomObjectRecord" => custom_object::group(&payload.fields),
            _ => String::new(),
        }
    }

    async fn choices(&self, query: &ChoiceQuery, wire: &Wire) -> Result<ChoicePage, DeliveryError> {
        choices::page(self.api(wire), query).await
    }
}
