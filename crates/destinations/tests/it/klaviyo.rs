//! Klaviyo beyond its cases: what every destination must do, lists to choose from, whole syncs into the simulator, and
//! imports whose results are read after the program ended.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kit::testing::conformance::{self, Subject};
use kit::testing::{Received, Reply, batch, payload};
use kit::{Batch, ChoiceQuery, DeliveryError, Destination, Job, JobLog};
use mapping::SyncMode;
use records::OutcomeKind;
use serde_json::{Value, json};

use crate::round_trip::{Simulated, delivered_and_rejected};

const KEY: &str = "pk_word1234";

fn connect(url: &str) -> Arc<dyn Destination> {
    let connection = json!({ "endpoint": url, "limits": { "requests_per_second": 100_000, "burst": 1000 } });
    destinations::connect("klaviyo", &json!({ "api_key": KEY, "connection": connection }), &Value::Null).unwrap()
}

fn subject(action: &str, fields: fn(u64) -> Value, count: fn(&Received) -> usize) -> Subject {
    Subject {
        connect: Box::new(connect),
        action: action.to_owned(),
        mode: SyncMode::Upsert,
        fields: Box::new(move |index| fields(index).into()),
        accept: Arc::new(|_| Reply::status(202)),
        count: Box::new(count),
        secrets: vec![KEY.to_owned()],
        empty_is_fine: false,
    }
}

#[tokio::test]
async fn it_does_what_every_destination_must_with_events() {
    let fields =
        |index| json!({ "profile": { "external_id": format!("c{index}") }, "metric_name": "Paid", "properties": {} });
    let count = |request: &Received| {
        request.json()["data"]["attributes"]["events-bulk-create"]["data"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(conformance::check(&subject("trackEvent", fields, count)).await, Vec::<String>::new());
}

#[tokio::test]
async fn it_does_what_every_destination_must_with_consent() {
    let fields = |index| json!({ "email": format!("user{index}@example.com") });
    let count =
        |request: &Received| request.json()["data"]["attributes"]["profiles"]["data"].as_array().map_or(0, Vec::len);
    assert_eq!(conformance::check(&subject("unsubscribeProfile", fields, count)).await, Vec::<String>::new());
}

async fn simulated(faults: Value) -> Simulated {
    let settings = json!({ "api_key": KEY });
    Simulated::start("klaviyo", settings.clone(), settings, faults).await
}

/// What all profiles that the simulator holds have in a field.
fn held(simulated: &Simulated, field: &str) -> BTreeSet<String> {
    let held = simulated.server.held();
    let profiles = held["profiles"].as_array().unwrap();
    profiles.iter().map(|profile| profile[field].as_str().unwrap_or_default().to_owned()).collect()
}

fn members(simulated: &Simulated, list: &str) -> usize {
    let held = simulated.server.held();
    let list = held["lists"].as_array().unwrap().iter().find(|other| other["id"] == list).unwrap();
    list["members"].as_array().unwrap().len()
}

fn person(index: usize) -> Value {
    // Addresses that a URL changes are among them.
    json!({ "email": format!("user+{index}@example.com"), "first_name": "Ada", "list_id": format!("LIST0{}", index % 2 + 1) })
}

#[tokio::test]
async fn profiles_are_held_after_a_sync_and_taken_off_their_lists_again() {
    let simulated = simulated(json!({})).await;
    let checked = simulated.destination.check(&simulated.wire).await.unwrap();
    assert_eq!(checked, "Klaviyo took the key, of the account `Simulated account`");
    for _ in 0..2 {
        let fates = simulated.load("upsertProfile", true, (0..500).map(person)).await;
        assert_eq!(delivered_and_rejected(&fates).1, Vec::<String>::new());
        assert_eq!(held(&simulated, "email"), (0..500).map(|index| format!("user+{index}@example.com")).collect());
    }
    assert_eq!((members(&simulated, "LIST01"), members(&simulated, "LIST02")), (250, 250));
    // A check, then for each list a job and its state.
    assert_eq!(simulated.server.counts().0, 1 + 2 * 2 * 2);
    let fates = simulated.load("addProfileToList", false, (495..505).map(person)).await;
    assert_eq!(delivered_and_rejected(&fates).1, Vec::<String>::new());
    assert_eq!(held(&simulated, "email").len(), 505);
    // More than a page of a search, and one that is not there.
    let fates = simulated.load("removeProfile", true, (0..600).map(person)).await;
    assert_eq!(delivered_and_rejected(&fates).1, Vec::<String>::new());
    assert_eq!((members(&simulated, "LIST01"), members(&simulated, "LIST02")), (0, 0));
    assert_eq!(held(&simulated, "email").len(), 505);
}

#[tokio::test]
async fn the_profiles_that_an_import_refuses_are_the_ones_that_are_rejected() {
    let simulated = simulated(json!({ "refuse_percent": 20 })).await;
    let fates = simulated.load("upsertProfile", true, (0..1000).map(person)).await;
    let (delivered, rejected) = delivered_and_rejected(&fates);
    // More than a page of errors for each list.
    assert!((150..260).contains(&rejected.len()), "{} rejected", rejected.len());
    let emails = fates.iter().filter(|fate| fate.outcome.is_delivered());
    let emails: BTreeSet<_> = emails.map(|fate| format!("user+{}@example.com", fate.index)).collect();
    assert_eq!(held(&simulated, "email"), emails);
    assert_eq!(members(&simulated, "LIST01") + members(&simulated, "LIST02"), delivered.len());
}

#[tokio::test]
async fn single_profiles_are_made_changed_and_refused() {
    let simulated = simulated(json!({ "refuse": [{ "field": "first_name", "equals": "Bad" }] })).await;
    for name in ["Ada", "Grace", "Bad"] {
        let people =
            (0..5).map(|index| json!({ "external_id": format!("c{index}"), "first_name": name, "list_id": "LIST01" }));
        let fates = simulated.load("upsertProfile", false, people).await;
        let (_, rejected) = delivered_and_rejected(&fates);
        assert_eq!(rejected.len(), if name == "Bad" { 5 } else { 0 });
    }
    assert_eq!((held(&simulated, "external_id").len(), members(&simulated, "LIST01")), (5, 5));
    assert_eq!(held(&simulated, "first_name"), BTreeSet::from(["Grace".to_owned()]));
    let nobody = [json!({ "external_id": "nobody", "list_id": "LIST01" })];
    let fates = simulated.load("removeProfileFromList", false, nobody).await;
    assert_eq!(fates[0].outcome.code(), Some("no_profile"));
}

#[tokio::test]
async fn events_are_sent_once_and_those_refused_are_rejected() {
    let simulated = simulated(json!({ "refuse": [{ "field": "plan", "equals": "bad" }] })).await;
    let event = |index: usize| {
        let plan = if index % 100 == 7 { "bad" } else { "pro" };
        json!({
            "profile": { "external_id": format!("c{}", index % 50) },
            "metric_name": "Paid",
            "properties": { "plan": plan },
            "unique_id": format!("e{index}"),
        })
    };
    for _ in 0..2 {
        let fates = simulated.load("trackEvent", true, (0..2500).map(event)).await;
        assert_eq!(delivered_and_rejected(&fates).1.len(), 25);
        assert_eq!(simulated.server.held()["events"].as_array().unwrap().len(), 2475);
    }
    // Orders of more events than a request may have.
    let order = |index: usize| {
        let products: Vec<_> = (0..9).map(|number| json!({ "sku": format!("s{number}") })).collect();
        json!({ "profile": { "external_id": "c1" }, "properties": { "order": index }, "products": products, "unique_id": format!("o{index}") })
    };
    for batching in [true, false] {
        let fates = simulated.load("orderCompleted", batching, (0..150).map(order)).await;
        assert_eq!(delivered_and_rejected(&fates).1, Vec::<String>::new());
        assert_eq!(simulated.server.held()["events"].as_array().unwrap().len(), 2475 + 1500);
    }
}

#[tokio::test]
async fn consent_is_given_and_withdrawn() {
    let simulated = simulated(json!({ "refuse": [{ "field": "email", "matches": "^user\\+[0-9]*99@" }] })).await;
    let fates = simulated.load("subscribeProfile", true, (0..500).map(person)).await;
    assert_eq!(delivered_and_rejected(&fates).1.len(), 5);
    assert_eq!(members(&simulated, "LIST01") + members(&simulated, "LIST02"), 495);
    let fates = simulated.load("unsubscribeProfile", true, (0..500).map(person)).await;
    assert_eq!(delivered_and_rejected(&fates).1.len(), 5);
    assert_eq!(members(&simulated, "LIST01") + members(&simulated, "LIST02"), 0);
    let consent = &simulated.server.held()["profiles"][0]["subscriptions"]["email"]["marketing"]["consent"];
    assert_eq!(consent, "UNSUBSCRIBED");
}

#[tokio::test]
async fn lists_are_chosen_page_by_page_and_made() {
    let simulated = simulated(json!({})).await;
    let mut found = Vec::new();
    let mut query =
        ChoiceQuery { action: "upsertProfile".to_owned(), field: "list_id".to_owned(), ..ChoiceQuery::default() };
    loop {
        let page = simulated.destination.choices(&query, &simulated.wire).await.unwrap();
        found.extend(page.choices.into_iter().map(|choice| (choice.value, choice.label)));
        query.page = page.next;
        if query.page.is_none() {
            break;
        }
    }
    assert_eq!(found.len(), 12);
    assert_eq!(found[0], ("LIST01".to_owned(), "List 1".to_owned()));
    let searched = ChoiceQuery {
        hook: Some("retlOnMappingSave".to_owned()),
        field: "list_identifier".to_owned(),
        search: Some("LIST 3".to_owned()),
        ..query
    };
    let page = simulated.destination.choices(&searched, &simulated.wire).await.unwrap();
    assert_eq!(page.choices.iter().map(|choice| choice.value.as_str()).collect::<Vec<_>>(), ["LIST03"]);

    let save = async |inputs: Value| {
        let hook = "retlOnMappingSave";
        let saved = simulated.destination.save_mapping("upsertProfile", hook, &inputs.into(), &simulated.wire).await;
        saved.map(|outputs| Value::from(&outputs))
    };
    assert_eq!(save(json!({ "list_identifier": "LIST02" })).await, Ok(json!({ "id": "LIST02", "name": "List 2" })));
    let made = save(json!({ "list_name": "Customers" })).await.unwrap();
    assert_eq!(made["name"], "Customers");
    assert_eq!(members(&simulated, made["id"].as_str().unwrap()), 0);
    let unknown = save(json!({ "list_identifier": "NONE" })).await.unwrap_err();
    assert!(matches!(unknown, DeliveryError::Refused { .. }), "{unknown}");
    let nothing = save(json!({})).await.unwrap_err();
    assert_eq!(nothing.to_string(), "give `list_identifier`, or `list_name` for a new list");
}

/// Keeps what it is told.
#[derive(Debug, Default)]
struct Notes(Mutex<Option<(Vec<u64>, String)>>);

#[async_trait]
impl JobLog for Notes {
    async fn started(&self, records: &[u64], token: &str) -> Result<(), String> {
        *self.0.lock().unwrap() = Some((records.to_vec(), token.to_owned()));
        Ok(())
    }
}

/// The outcomes of ten profiles of which one has no identifier, and those read again as after a crash.
async fn told_twice(faults: Value) -> [Vec<OutcomeKind>; 2] {
    let simulated = simulated(faults).await;
    let mut records: Vec<_> =
        (0..10).map(|index| payload(index, json!({ "external_id": format!("c{index}") }).into())).collect();
    records[3].fields = json!({ "first_name": "Nobody" }).into();
    let notes = Arc::new(Notes::default());
    let jobs: Arc<dyn JobLog> = Arc::<Notes>::clone(&notes);
    let batch = Batch { jobs: Some(jobs), ..batch("upsertProfile", SyncMode::Upsert, records) };
    let told = simulated.destination.deliver(&batch, &simulated.wire).await.unwrap();
    let (records, token) = notes.0.lock().unwrap().clone().unwrap();
    let token = records::Value::parse(&token).unwrap();
    let job = Job { action: "upsertProfile".to_owned(), token, records };
    let again = simulated.destination.resume(&job, &simulated.wire).await.unwrap();
    [told, again].map(|outcomes| outcomes.iter().map(records::Outcome::kind).collect())
}

#[tokio::test]
async fn the_results_of_an_import_are_read_after_the_program_ended() {
    use OutcomeKind::{Delivered, InDoubt, Rejected, Retry};
    let with = |kind, other| (0..10).map(|place| if place == 3 { kind } else { other }).collect::<Vec<_>>();
    // The one that was never sent comes again and is rejected then.
    assert_eq!(told_twice(json!({})).await, [with(Rejected, Delivered), with(Retry, Delivered)]);
    // Klaviyo repeats the refused profile, whose values are not noted: nothing is called delivered.
    let [told, again] = told_twice(json!({ "refuse": [{ "field": "external_id", "equals": "c7" }] })).await;
    let mut due = with(Rejected, Delivered);
    due[7] = Rejected;
    assert_eq!((told, again), (due, with(Retry, InDoubt)));
}
