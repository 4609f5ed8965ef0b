//! Contacts, found by their email: one with a request or two, many with HubSpot's batch endpoints.

use std::collections::HashMap;

use kit::{Batch, DeliveryError, Request};
use records::{Object, Outcome, Value, object};

use super::api::{self, Api, Batched, Finder, ORIGIN, Said, shown_id};
use super::values::{flattened, is_truthy, segment, text, trimmed};

/// Fields that are properties of the same name.
const PROPERTIES: [&str; 12] = [
    "company",
    "firstname",
    "lastname",
    "phone",
    "address",
    "city",
    "state",
    "country",
    "zip",
    "email",
    "website",
    "lifecyclestage",
];

/// Updates the contact of one record, or creates it.
pub(super) async fn deliver_one(api: Api<'_>, fields: &Value) -> Result<Outcome, DeliveryError> {
    let email = text(fields, "email").unwrap_or_default();
    let properties = properties(fields, |name, value| {
        let value = trimmed(value);
        if name == "lifecyclestage" { value.to_lowercase() } else { value.to_owned() }
    });
    let Some(contact) = update(api, email, &properties).await? else { return create(api, &properties).await };
    let stage = text(fields, "lifecyclestage").filter(|stage| !stage.is_empty()).map(str::to_lowercase);
    if stage.is_none() || stage == api::property(&contact, "lifecyclestage") {
        return Ok(Outcome::Delivered);
    }
    // HubSpot moves a contact back a stage only when the stage was emptied before.
    let emptied = object! { "lifecyclestage" => "" };
    if update(api, email, &emptied).await?.is_none() || update(api, email, &properties).await?.is_none() {
        return create(api, &properties).await;
    }
    Ok(Outcome::Delivered)
}

/// None: there is no contact with that email.
async fn update(api: Api<'_>, email: &str, properties: &Value) -> Result<Option<Value>, DeliveryError> {
    let url = format!("{ORIGIN}/crm/v3/objects/contacts/{}?idProperty=email", segment(email));
    let answer = api.answer(Request::patch(url).json(&object! { "properties" => properties })).await?;
    if answer.status == 404 {
        return Ok(None);
    }
    let contact = api.taken(&answer)?;
    shown_id(&contact)?;
    Ok(Some(contact))
}

async fn create(api: Api<'_>, properties: &Value) -> Result<Outcome, DeliveryError> {
    let request = Request::post(format!("{ORIGIN}/crm/v3/objects/contacts"));
    let contact = api.json(request.json(&object! { "properties" => properties })).await?;
    shown_id(&contact)?;
    Ok(Outcome::Delivered)
}

/// The contact's properties: the fields of their names, each text through `written`, and over them what is mapped
/// below `properties`.
fn properties(fields: &Value, written: impl Fn(&str, &str) -> String) -> Value {
    let named = PROPERTIES.iter().filter_map(|name| {
        let value = match fields.get(name)? {
            Value::Null => return None,
            Value::Text(text) => Value::from(written(name, text)),
            other => other.clone(),
        };
        Some(((*name).to_owned(), value))
    });
    let mut properties: Object = named.collect();
    for (name, value) in flattened(fields.get("properties")).into_iter().flatten() {
        properties.insert(name, value);
    }
    Value::Object(properties)
}

/// One email of a batch, with the records that have it; the last one's properties are sent.
struct Contact {
    email: String,
    properties: Object,
    records: Vec<usize>,
    /// Known after the contacts were read.
    is: Is,
}

#[derive(PartialEq)]
enum Is {
    Unknown,
    /// Its id.
    There(String),
    Missing,
    Settled(Outcome),
}

impl Contact {
    fn stage(&self) -> Option<&Value> {
        self.properties.get("lifecyclestage").filter(|stage| is_truthy(Some(stage)))
    }
}

pub(super) async fn deliver_batch(api: Api<'_>, batch: &Batch) -> Result<Vec<Outcome>, DeliveryError> {
    let mut contacts = by_email(batch);
    let emails = contacts.iter().map(|contact| contact.email.as_str());
    let body = api::read_body(&["email", "lifecyclestage", "hs_additional_emails"], "email", emails);
    let read = api.batch("contacts", "read", &body).await?;
    find(&mut contacts, &read);

    let mut outcomes: Vec<Option<Outcome>> = contacts.iter().map(|_| None).collect();
    create_many(api, &contacts, &mut outcomes).await?;
    update_many(api, &mut contacts, &mut outcomes).await?;

    let mut by_record: Vec<Option<Outcome>> = batch.records.iter().map(|_| None).collect();
    for (contact, outcome) in contacts.into_iter().zip(outcomes) {
        let outcome = match contact.is {
            Is::Settled(outcome) => outcome,
            _ => outcome.unwrap_or_else(not_read),
        };
        for record in contact.records {
            by_record[record] = Some(outcome.clone());
        }
    }
    Ok(by_record.into_iter().map(|outcome| outcome.unwrap_or_else(not_read)).collect())
}

/// Nothing was written for it.
fn not_read() -> Outcome {
    Outcome::retry("NOT_READ", "HubSpot said neither that there is a contact with this email nor that there is none")
}

fn by_email(batch: &Batch) -> Vec<Contact> {
    let mut contacts: Vec<Contact> = Vec::with_capacity(batch.records.len());
    let mut places: HashMap<String, usize> = HashMap::new();
    for (index, record) in batch.records.iter().enumerate() {
        let email = text(&record.fields, "email").unwrap_or_default().to_lowercase();
        let lower = |name: &str| matches!(name, "email" | "lifecyclestage");
        let properties = properties(&record.fields, |name, value| match lower(name) {
            true => value.to_lowercase(),
            false => value.to_owned(),
        });
        let properties = match properties {
            Value::Object(properties) => properties,
            _ => Object::new(),
        };
        match places.get(&email) {
            Some(&place) => {
                let contact = &mut contacts[place];
                contact.properties = properties;
                contact.records.push(index);
            }
            None => {
                places.insert(email.clone(), contacts.len());
                contacts.push(Contact { email, properties, records: vec![index], is: Is::Unknown });
            }
        }
    }
    contacts
}

/// Which of the contacts exist, as HubSpot's answer says.
fn find(contacts: &mut [Contact], read: &Batched) {
    let places: HashMap<String, usize> =
        contacts.iter().enumerate().map(|(place, contact)| (contact.email.clone(), place)).collect();
    for found in &read.results {
        let Some(id) = api::id_of(found) else { continue };
        let email = api::property(found, "email").map(|email| email.to_lowercase());
        let others = api::property(found, "hs_additional_emails").unwrap_or_default();
        let others = others.split(';').map(|email| email.trim().to_lowercase());
        // The same contact under several emails of the batch is written under the first, as one request may hold it
        // only once.
        let mut of_it = email.into_iter().chain(others).filter_map(|email| places.get(&email).copied());
        if let Some(place) = of_it.next() {
            contacts[place].is = Is::There(id);
        }
        for place in of_it.filter(|place| contacts[*place].is == Is::Unknown).collect::<Vec<_>>() {
            contacts[place].is = Is::Settled(Outcome::retry(
                "SAME_CONTACT",
                "another record of the batch is the same contact under another email; sent again after it",
            ));
        }
    }
    for error in &read.errors {
        for place in error.names.iter().filter_map(|name| places.get(&name.to_lowercase()).copied()) {
            if contacts[place].is == Is::Unknown {
                contacts[place].is = if error.is_not_found() { Is::Missing } else { Is::Settled(error.outcome()) };
            }
        }
    }
}

async fn create_many(
    api: Api<'_>,
    contacts: &[Contact],
    outcomes: &mut [Option<Outcome>],
) -> Result<(), DeliveryError> {
    let missing: Vec<_> = (0..contacts.len()).filter(|place| contacts[*place].is == Is::Missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let inputs: Vec<_> =
        missing.iter().map(|place| object! { "properties" => contacts[*place].properties.clone() }).collect();
    let created = api.batch("contacts", "create", &object! { "inputs" => inputs }).await?;
    let finder = Finder::new(&created.results, |result| api::property(result, "email"));
    let emails: Vec<_> = missing.iter().map(|place| contacts[*place].email.as_str()).collect();
    let said = created.said(&emails, |email| finder.place(email), |email| vec![(*email).to_owned()]);
    for (place, said) in missing.into_iter().zip(said) {
        outcomes[place] = Some(said.outcome());
    }
    Ok(())
}

async fn update_many(
    api: Api<'_>,
    contacts: &mut [Contact],
    outcomes: &mut [Option<Outcome>],
) -> Result<(), DeliveryError> {
    let mut there = Vec::new();
    for (place, contact) in contacts.iter_mut().enumerate() {
        if let Is::There(id) = &contact.is {
            contact.properties.remove("email");
            there.push((place, id.clone()));
        }
    }
    if there.is_empty() {
        return Ok(());
    }
    let inputs = there.iter().map(|(place, id)| (id.as_str(), Value::from(contacts[*place].properties.clone())));
    let (updated, said) = update_by_id(api, inputs.collect()).await?;
    // Where HubSpot kept a stage that is further on, the stage is emptied and set again.
    let mut back = Vec::new();
    for ((place, id), said) in there.iter().zip(&said) {
        if let (Said::Object(result), Some(stage)) = (said, contacts[*place].stage()) {
            let current = updated.results[*result].at(&["properties", "lifecyclestage"]);
            if current != Some(stage) {
                back.push((*place, id.as_str(), stage.clone()));
            }
        }
        outcomes[*place] = Some(said.outcome());
    }
    if back.is_empty() {
        return Ok(());
    }
    let stages = |of: &dyn Fn(&Value) -> Value| {
        back.iter().map(|(_, id, stage)| (*id, object! { "lifecyclestage" => of(stage) })).collect::<Vec<_>>()
    };
    let (_, emptied) = update_by_id(api, stages(&|_| Value::from(""))).await?;
    let (_, set) = update_by_id(api, stages(&|stage| stage.clone())).await?;
    for (((place, ..), emptied), set) in back.iter().zip(emptied).zip(set) {
        outcomes[*place] = Some(if let Said::Failed(outcome) = emptied { outcome } else { set.outcome() });
    }
    Ok(())
}

async fn update_by_id(api: Api<'_>, inputs: Vec<(&str, Value)>) -> Result<(Batched, Vec<Said>), DeliveryError> {
    let bodies = inputs.iter().map(|(id, properties)| object! { "id" => *id, "properties" => properties });
    let body = object! { "inputs" => bodies.collect::<Vec<_>>() };
    let updated = api.batch("contacts", "update", &body).await?;
    let finder = Finder::new(&updated.results, api::id_of);
    let said = updated.said(&inputs, |(id, _)| finder.place(id), |(id, _)| vec![(*id).to_owned()]);
    Ok((updated, said))
}
