//! HubSpot beyond its cases: what every destination must do, dynamic fields, and whole syncs into the simulator.

use std::collections::BTreeSet;
use std::sync::Arc;

use kit::testing::conformance::{self, Subject};
use kit::testing::{Received, Reply};
use kit::{ChoicePage, ChoiceQuery, DeliveryError, Destination, Request};
use mapping::SyncMode;
use serde_json::{Value, json};

use crate::round_trip::{Simulated, delivered_and_rejected};

fn connect(url: &str) -> Arc<dyn Destination> {
    let connection = json!({ "endpoint": url, "limits": { "requests_per_second": 100_000, "burst": 1000 } });
    let settings = json!({ "connection": connection, "oauth": { "access_token": "token-word-1" } });
    destinations::connect("hubspot", &settings, &Value::Null).unwrap()
}

fn inputs(request: &Received) -> Vec<Value> {
    request.json()["inputs"].as_array().cloned().unwrap_or_default()
}

fn object(object_type: &str, index: u64) -> Value {
    let details =
        json!({ "object_type": object_type, "id_field_name": "ref", "id_field_value": format!("ref-{index}") });
    json!({ "object_details": details, "association_sync_mode": "upsert" })
}

#[tokio::test]
async fn it_does_what_every_destination_must_with_objects() {
    let accept = |request: &Received| {
        let shown = inputs(request).into_iter().map(|input| json!({ "id": "7", "properties": input["properties"] }));
        Reply::json(200, &json!({ "status": "COMPLETE", "results": shown.collect::<Vec<_>>() }))
    };
    let subject = Subject {
        connect: Box::new(connect),
        action: "upsertObject".to_owned(),
        mode: SyncMode::Upsert,
        fields: Box::new(|index| object("contact", index).into()),
        accept: Arc::new(accept),
        count: Box::new(|request| inputs(request).len()),
        secrets: vec!["token-word-1".to_owned()],
        empty_is_fine: false,
    };
    assert_eq!(conformance::check(&subject).await, Vec::<String>::new());
}

#[tokio::test]
async fn it_does_what_every_destination_must_with_events() {
    let subject = Subject {
        connect: Box::new(connect),
        action: "sendCustomBehavioralEvent".to_owned(),
        mode: SyncMode::Upsert,
        fields: Box::new(|index| json!({ "eventName": "pe1_paid", "objectId": index.to_string() }).into()),
        accept: Arc::new(|_| Reply::status(204)),
        count: Box::new(|request| inputs(request).len()),
        secrets: vec!["token-word-1".to_owned()],
        empty_is_fine: true,
    };
    assert_eq!(conformance::check(&subject).await, Vec::<String>::new());
}

async fn simulated(faults: Value) -> Simulated {
    let settings = json!({ "oauth": { "access_token": "token-word-1" }, "portalId": "77" });
    Simulated::start("hubspot", settings.clone(), settings, faults).await
}

/// A property of every object of a type that the simulator holds.
fn held(simulated: &Simulated, kind: &str, property: &str) -> BTreeSet<String> {
    let held = simulated.server.held();
    let objects = held["objects"]["records"][kind].as_array().cloned().unwrap_or_default();
    let values = objects.iter().map(|object| object["properties"][property].as_str().unwrap_or_default().to_owned());
    let values: Vec<_> = values.collect();
    let unique: BTreeSet<_> = values.iter().cloned().collect();
    assert_eq!(values.len(), unique.len(), "an object is held twice");
    unique
}

fn contact(index: usize) -> Value {
    json!({ "email": format!("User{index}@example.com"), "firstname": "Ada", "properties": { "score": index } })
}

#[tokio::test]
async fn contacts_are_held_after_a_sync_and_after_another() {
    let simulated = simulated(json!({})).await;
    let checked = simulated.destination.check(&simulated.wire).await.unwrap();
    assert_eq!(checked, "HubSpot accepts the credentials and shows contacts");
    for _ in 0..2 {
        let fates = simulated.load("upsertContact", true, (0..500).map(contact)).await;
        assert_eq!(delivered_and_rejected(&fates).1, Vec::<String>::new());
        assert_eq!(
            held(&simulated, "contacts", "email"),
            (0..500).map(|index| format!("user{index}@example.com")).collect()
        );
    }
    // A check, then for each hundred a read and a write.
    assert_eq!(simulated.server.counts().0, 1 + 2 * 2 * 5);
    let fates = simulated.load("upsertContact", false, (495..505).map(contact)).await;
    assert_eq!(delivered_and_rejected(&fates).1, Vec::<String>::new());
    assert_eq!(held(&simulated, "contacts", "email").len(), 505);
}

#[tokio::test]
async fn the_contacts_that_hubspot_refuses_are_the_ones_that_are_rejected() {
    let simulated = simulated(json!({ "refuse_percent": 5 })).await;
    let fates = simulated.load("upsertContact", true, (0..500).map(contact)).await;
    let (delivered, rejected) = delivered_and_rejected(&fates);
    assert!((5..60).contains(&rejected.len()), "{} rejected", rejected.len());
    let emails = fates.iter().filter(|fate| fate.outcome.is_delivered());
    let emails: BTreeSet<_> = emails.map(|fate| format!("user{}@example.com", fate.index)).collect();
    assert_eq!(held(&simulated, "contacts", "email"), emails);
    assert_eq!(delivered.len(), emails.len());
}

#[tokio::test]
async fn objects_are_written_linked_and_listed() {
    let simulated = simulated(json!({})).await;
    let records = (0..300_u64).map(|index| {
        let mut record = object("contact", index);
        record["object_details"]["property_group"] = json!("contactinformation");
        record["properties"] = json!({ "Score": index, "Active": "true" });
        let other = format!("c{}.example", index % 5);
        record["associations"] = json!([{ "object_type": "company", "association_label": "HUBSPOT_DEFINED:279", "id_field_name": "site", "id_field_value": other }]);
        let list = json!({ "connected_to_engage_audience": false, "list_name": "Best", "list_action": index % 2 == 0, "should_create_list": true });
        record["list_details"] = list;
        record
    });
    let fates = simulated.load("upsertObject", true, records).await;
    assert_eq!(delivered_and_rejected(&fates).1, Vec::<String>::new());
    assert_eq!(held(&simulated, "contacts", "ref").len(), 300);
    assert_eq!(held(&simulated, "companies", "site").len(), 5);
    let held = simulated.server.held();
    assert_eq!(held["objects"]["links"].as_array().unwrap().len(), 300);
    assert_eq!(held["lists"][0]["members"].as_array().unwrap().len(), 150);
}

#[tokio::test]
async fn the_objects_that_hubspot_refuses_are_the_ones_that_are_rejected() {
    let simulated = simulated(json!({ "refuse": [{ "field": "ref", "matches": "7$", "message": "no sevens" }] })).await;
    let fates = simulated.load("upsertObject", true, (0..200).map(|index| object("deal", index))).await;
    let (_, rejected) = delivered_and_rejected(&fates);
    assert_eq!(rejected.len(), 20);
    assert!(fates[17].outcome.message().unwrap().contains("no sevens"));
    assert_eq!(held(&simulated, "deals", "ref").len(), 180);
}

#[tokio::test]
async fn companies_and_other_objects_have_outcomes_of_their_own_in_a_batch() {
    let simulated = simulated(json!({ "refuse": [{ "field": "name", "equals": "Bad" }] })).await;
    let company = |index: usize| {
        let name = if index.is_multiple_of(50) { "Bad".to_owned() } else { format!("Company {index}") };
        json!({ "groupid": format!("g{index}"), "associateContact": false, "createNewCompany": true, "name": name })
    };
    let fates = simulated.load("upsertCompany", true, (0..200).map(company)).await;
    assert_eq!(delivered_and_rejected(&fates).1.len(), 4);
    // Two batches, each a read and a creation; nothing was split.
    assert_eq!(simulated.server.counts().0, 4);
    assert_eq!(held(&simulated, "companies", "segment_group_id").len(), 196);

    let unique = json!({ "name": "ref", "label": "Ref", "groupName": "dealinformation", "type": "string", "fieldType": "text", "hasUniqueValue": true });
    let request = Request::post("https://api.hubapi.com/crm/v3/properties/deals").json(&unique);
    assert_eq!(simulated.wire.send(request).await.unwrap().status, 201);
    let deal = |index: usize| {
        json!({
            "objectType": "deals",
            "customObjectSearchFields": { "ref": format!("d{index}") },
            "properties": { "ref": format!("d{index}"), "amount": index },
            "toObjectType": "companies",
            "associationLabel": "HUBSPOT_DEFINED:5",
            "searchFieldsToAssociateCustomObjects": { "segment_group_id": "g1" },
        })
    };
    for _ in 0..2 {
        let fates = simulated.load("upsertCustomObjectRecord", true, (0..150).map(deal)).await;
        assert_eq!(delivered_and_rejected(&fates).1, Vec::<String>::new());
        assert_eq!(held(&simulated, "deals", "ref").len(), 150);
    }
}

#[tokio::test]
async fn events_are_defined_and_sent() {
    let simulated = simulated(json!({})).await;
    let event = |index: usize| json!({ "event_name": "Paid", "record_details": { "object_type": "contact", "utk": format!("u{index}") }, "properties": { "amount": index } });
    let fates = simulated.load("customEvent", true, (0..600).map(event)).await;
    assert_eq!(delivered_and_rejected(&fates).1, Vec::<String>::new());
    let held = simulated.server.held();
    assert_eq!(held["events"]["sent"].as_array().unwrap().len(), 600);
    assert_eq!(held["events"]["definitions"][0]["fullyQualifiedName"], "pe77_paid");
}

async fn choices(simulated: &Simulated, action: &str, field: &str, fields: Value, page: Option<String>) -> ChoicePage {
    let query = ChoiceQuery {
        action: action.to_owned(),
        field: field.to_owned(),
        fields: fields.into(),
        page,
        ..ChoiceQuery::default()
    };
    simulated.destination.choices(&query, &simulated.wire).await.unwrap()
}

#[tokio::test]
async fn dynamic_fields_are_asked_from_the_account() {
    let simulated = simulated(json!({})).await;
    for index in 0..25 {
        let list = json!({ "name": format!("List {index}"), "objectTypeId": "contact", "processingType": "MANUAL" });
        let request = Request::post("https://api.hubapi.com/crm/v3/lists").json(&list);
        assert_eq!(simulated.wire.send(request).await.unwrap().status, 200);
    }
    let fields = json!({ "object_details": { "object_type": "contact" } });
    let first = choices(&simulated, "upsertObject", "list_details.list_name", fields.clone(), None).await;
    let next = first.next.clone();
    assert_eq!((first.choices.len(), next.as_deref()), (20, Some("20")));
    let second = choices(&simulated, "upsertObject", "list_details.list_name", fields.clone(), next).await;
    assert_eq!((second.choices.len(), second.next), (5, None));
    assert_eq!(second.choices[0].value, "List 20");

    let types = choices(&simulated, "upsertObject", "object_details.object_type", Value::Null, None).await;
    assert!(types.choices.iter().any(|choice| choice.value == "contact" && choice.label == "Contacts"));
    let ids = choices(&simulated, "upsertObject", "object_details.id_field_name", fields.clone(), None).await;
    let ids: Vec<_> = ids.choices.iter().map(|choice| choice.value.as_str()).collect();
    assert_eq!(ids, ["hs_object_id", "email"]);
    let properties = choices(&simulated, "upsertObject", "properties.__keys__", fields, None).await;
    assert!(properties.choices.iter().any(|choice| choice.value == "firstname" && choice.description == "string"));
    let fields =
        json!({ "object_details": { "object_type": "contact" }, "associations": [{}, { "object_type": "company" }] });
    let labels = choices(&simulated, "upsertObject", "associations.1.association_label", fields, None).await;
    let labels: Vec<_> = labels.choices.iter().map(|choice| choice.value.as_str()).collect();
    assert_eq!(labels, ["USER_DEFINED:1", "HUBSPOT_DEFINED:279"]);

    let none_yet =
        choices(&simulated, "customEvent", "properties.__keys__", json!({ "event_name": "Paid" }), None).await;
    assert!(none_yet.choices.iter().any(|choice| choice.value == "hs_page_title" && choice.label == "Page title"));
    let query = ChoiceQuery {
        action: "upsertObject".to_owned(),
        field: "properties.__keys__".to_owned(),
        ..ChoiceQuery::default()
    };
    let error = simulated.destination.choices(&query, &simulated.wire).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Settings { message } if message.contains("object_details.object_type")));
}
