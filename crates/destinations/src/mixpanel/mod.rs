//! Mixpanel: events by `/import`, user profiles by `/engage`, group profiles by `/groups`.

mod answers;
mod browser;
mod events;
mod identity;
mod import;
mod profiles;
mod simulator;

use std::sync::Arc;

use async_trait::async_trait;
use kit::{Auth, Batch, DeliveryError, Destination, Facts, Request, SettingsError, Wire, WireSettings};
use records::{Outcome, Value};
pub(crate) use simulator::simulator;

#[derive(Debug)]
struct Mixpanel {
    facts: Facts,
    wire: WireSettings,
    account: Account,
}

/// The project that is written to, and how.
#[derive(Debug)]
struct Account {
    /// The origin of the project's region.
    origin: &'static str,
    token: String,
    secret: String,
    source_name: Option<String>,
    /// `1` or `0`: whether events are checked one by one.
    strict: String,
}

/// Makes the destination. Settings were checked against the facts.
pub(crate) fn connect(
    facts: Facts,
    settings: &serde_json::Value,
    _options: &serde_json::Value,
) -> Result<Arc<dyn Destination>, SettingsError> {
    let text = |key: &str| settings.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
    let region = text("apiRegion").unwrap_or_default();
    let account = Account {
        origin: match region.split(' ').next() {
            Some("EU") => "https://api-eu.mixpanel.com",
            Some("IN") => "https://api-in.mixpanel.com",
            _ => "https://api.mixpanel.com",
        },
        token: text("projectToken").unwrap_or_default(),
        secret: text("apiSecret").unwrap_or_default(),
        source_name: text("sourceName"),
        strict: text("strictMode").unwrap_or_else(|| "1".to_owned()),
    };
    let mut wire = kit::wire_settings(&facts, settings)?;
    wire.auth = Auth::Basic { username: account.secret.clone(), password: String::new() };
    Ok(Arc::new(Mixpanel { facts, wire, account }))
}

#[async_trait]
impl Destination for Mixpanel {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn wire_settings(&self) -> WireSettings {
        self.wire.clone()
    }

    async fn check(&self, wire: &Wire) -> Result<String, DeliveryError> {
        let credentials = records::object! {
            "api_secret" => self.account.secret.as_str(),
            "project_token" => self.account.token.as_str(),
        };
        let request = Request::post("https://mixpanel.com/api/app/validate-project-credentials/").json(&credentials);
        let answer = wire.send(request.secret()).await?;
        match answer.failure(&self.facts.statuses) {
            None => Ok("Mixpanel knows the project and its secret".to_owned()),
            // It is asked nothing else, so a refusal is one of the credentials.
            Some(DeliveryError::Refused { message, .. }) => Err(DeliveryError::CredentialsRefused { message }),
            Some(failure) => Err(failure),
        }
    }

    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let (account, records) = (&self.account, batch.records.as_slice());
        match batch.action.as_str() {
            "trackEvent" => {
                let events = records.iter().map(|record| vec![events::tracked(account, record, wire)]).collect();
                self.import(&account.strict, events, wire).await
            }
            "trackPurchase" => {
                let events = records.iter().map(|record| events::purchased(account, record, wire)).collect();
                self.import(&account.strict, events, wire).await
            }
            "identifyUser" if batch.batching => self.identify_many(records, wire).await,
            "alias" if batch.batching => self.alias_many(records, wire).await,
            "identifyUser" => {
                let mut outcomes = Vec::with_capacity(records.len());
                for record in records {
                    outcomes.push(self.identify(record, wire).await?);
                }
                Ok(outcomes)
            }
            "alias" => {
                let mut outcomes = Vec::with_capacity(records.len());
                for record in records {
                    outcomes.push(self.alias(record, wire).await?);
                }
                Ok(outcomes)
            }
            "groupIdentifyUser" => {
                let updates = records.iter().map(|record| profiles::group_update(account, record)).collect();
                self.update("/groups", batch.batching, updates, wire).await
            }
            "incrementProperties" => {
                let updates = records.iter().map(|record| profiles::increments(account, record)).collect();
                self.update("/engage", batch.batching, updates, wire).await
            }
            other => Err(DeliveryError::Settings { message: format!("there is no action `{other}`") }),
        }
    }
}

/// What JavaScript takes for true.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Int(int) => *int != 0,
        Value::Float(float) => *float != 0.0 && !float.is_nan(),
        Value::Decimal(digits) => digits.parse::<f64>().is_ok_and(|number| number != 0.0),
        Value::Text(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}
