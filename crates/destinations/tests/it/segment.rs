//! Segment Connections and Segment Profiles against a workspace of Segment.

use std::sync::Arc;

use kit::testing::Reply;
use kit::testing::conformance::{self, Subject};
use kit::{ChoiceQuery, DeliveryError, DynamicChoice};
use mapping::SyncMode;
use records::OutcomeKind;
use serde_json::{Map, Value as Json, json};

use crate::round_trip::{Simulated, delivered_and_rejected};

const PROFILES: &str = "segment-profiles";

fn connections() -> Json {
    json!({ "source_write_key": "key-1" })
}

fn workspace() -> Json {
    json!({ "write_keys": { "key-1": "shop" } })
}

fn identify(number: usize) -> Json {
    json!({ "user_id": number.to_string(), "message_id": format!("m{number}"), "traits": { "number": number } })
}

fn sorted(keys: &Map<String, Json>) -> Vec<String> {
    let mut keys: Vec<String> = keys.keys().cloned().collect();
    keys.sort_by_key(|key| key.parse::<u64>().unwrap());
    keys
}

/// `write-key-0123` in the settings, or in the mapping if the space is that.
fn subject(slug: &'static str, settings: Json, space: &'static str) -> Subject {
    Subject {
        connect: Box::new(move |url| {
            let mut settings = settings.clone();
            settings["connection"] = json!({ "endpoint": url });
            destinations::connect(slug, &settings, &Json::Null).unwrap()
        }),
        action: "sendTrack".to_owned(),
        mode: SyncMode::Mirror,
        fields: Box::new(move |index| {
            let mut fields = json!({ "user_id": format!("u{index}"), "event_name": "Renewed" });
            if !space.is_empty() {
                fields["engage_space"] = json!(space);
            }
            fields.into()
        }),
        accept: Arc::new(|_| Reply::json(200, &json!({ "success": true }))),
        count: Box::new(|request| request.json()["batch"].as_array().map_or(0, Vec::len)),
        secrets: vec!["write-key-0123".to_owned(), "d3JpdGUta2V5LTAxMjM6".to_owned()],
        empty_is_fine: false,
    }
}

#[tokio::test]
async fn all_of_segment_conforms() {
    let key = "write-key-0123";
    let connections = subject("segment", json!({ "source_write_key": key }), "");
    assert_eq!(conformance::check(&connections).await, Vec::<String>::new());
    let named = subject(PROFILES, json!({ "spaces": { "main": key } }), "main");
    assert_eq!(conformance::check(&named).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_source_holds_what_was_delivered() {
    for batching in [true, false] {
        let simulated = Simulated::start("segment", connections(), workspace(), json!({})).await;
        let fates = simulated.load("sendIdentify", batching, (0..500).map(identify)).await;
        let (delivered, rejected) = delivered_and_rejected(&fates);
        let held = simulated.server.held();
        let users = held["sources"]["shop"]["users"].as_object().unwrap();
        assert_eq!((sorted(users), rejected.len()), (delivered, 0));
        assert_eq!(users["499"], json!({ "number": 499 }));
        assert_eq!(held["dropped"], json!({}));
    }
}

#[tokio::test]
async fn exactly_what_segment_refuses_is_rejected() {
    let simulated = Simulated::start("segment", connections(), workspace(), json!({ "refuse_percent": 5 })).await;
    let fates = simulated.load("sendIdentify", true, (0..500).map(identify)).await;
    let (delivered, rejected) = delivered_and_rejected(&fates);
    assert!((5..60).contains(&rejected.len()), "{} were rejected", rejected.len());
    let held = simulated.server.held();
    assert_eq!(sorted(held["sources"]["shop"]["users"].as_object().unwrap()), delivered);
}

#[tokio::test]
async fn a_call_that_segment_would_drop_for_its_size_is_rejected_and_its_neighbours_are_sent() {
    let simulated = Simulated::start("segment", connections(), workspace(), json!({})).await;
    let mut records: Vec<Json> = (0..3).map(identify).collect();
    records[1]["traits"]["long"] = json!("x".repeat(33_000));
    let fates = simulated.load("sendIdentify", true, records).await;
    let codes: Vec<_> = fates.iter().map(|fate| fate.outcome.code()).collect();
    assert_eq!(codes, [None, Some("too_large"), None]);
    assert_eq!(simulated.server.held()["dropped"], json!({}));
}

#[tokio::test]
async fn a_request_stays_within_its_limit_even_when_calls_are_larger_than_payloads() {
    let simulated = Simulated::start("segment", connections(), workspace(), json!({})).await;
    // The page's URL stands in the call twice.
    let page = |number: usize| json!({ "user_id": number.to_string(), "page": { "url": "x".repeat(5000) } });
    let fates = simulated.load("sendPage", true, (0..90).map(page)).await;
    assert_eq!(delivered_and_rejected(&fates).0.len(), 90);
    let report = simulated.server.report();
    assert_eq!(report.answers.keys().collect::<Vec<_>>(), ["200"]);
    assert_eq!(report.held["sources"]["shop"]["calls"], json!({ "page": 90 }));
}

#[tokio::test]
async fn a_change_that_is_sent_twice_counts_once() {
    // The first answer is lost after the calls were taken.
    let lost = json!({ "faults": [{ "fault": "drop", "first": 1, "taken": true }] });
    let simulated = Simulated::start("segment", connections(), workspace(), lost).await;
    let event = |number: usize| json!({ "user_id": "u", "event_name": "Renewed", "message_id": format!("m{number}") });
    let fates = simulated.load("sendTrack", true, (0..10).map(event)).await;
    assert_eq!(delivered_and_rejected(&fates).0.len(), 10);
    let held = simulated.server.held();
    assert_eq!(held["sources"]["shop"]["events"], json!({ "Renewed": 10 }));
    assert_eq!(held["dropped"], json!({ "seen before": 10 }));
}

#[tokio::test]
async fn a_write_key_is_checked_where_segment_tells() {
    let right = Simulated::start("segment", connections(), workspace(), json!({})).await;
    assert!(right.destination.check(&right.wire).await.is_ok());
    let wrong =
        Simulated::start("segment", json!({ "source_write_key": "wrong/write-key" }), workspace(), json!({})).await;
    let error = wrong.destination.check(&wrong.wire).await.unwrap_err();
    assert!(matches!(&error, DeliveryError::CredentialsRefused { .. }), "{error}");
    assert_eq!(wrong.wire.exchanges().len(), 1);
    let shown = serde_json::to_string(&*wrong.wire.exchanges()[0]).unwrap();
    assert!(!shown.contains("write-key"), "{shown}");
}

#[tokio::test]
async fn spaces_hold_what_was_delivered_to_them() {
    let settings = json!({ "spaces": { "main": "key-1", "other": "key-2" } });
    let tool = json!({ "write_keys": { "key-1": "Main", "key-2": "Other" } });
    let simulated = Simulated::start(PROFILES, settings, tool, json!({ "refuse_percent": 5 })).await;
    let record = |number: usize| {
        let space = if number.is_multiple_of(2) { "main" } else { "key-2" };
        json!({ "engage_space": space, "user_id": number.to_string(), "traits": { "number": number } })
    };
    let fates = simulated.load("sendIdentify", true, (0..500).map(record)).await;
    let (delivered, rejected) = delivered_and_rejected(&fates);
    assert!((5..60).contains(&rejected.len()), "{} were rejected", rejected.len());
    let held = simulated.server.held();
    let users = |space: &str| sorted(held["sources"][space]["users"].as_object().unwrap());
    let of = |rest: u64| {
        let keys = delivered.iter().filter(|key| key.parse::<u64>().unwrap() % 2 == rest);
        keys.cloned().collect::<Vec<_>>()
    };
    assert_eq!((users("Main"), users("Other")), (of(0), of(1)));
}

#[tokio::test]
async fn a_space_that_is_not_named_gets_nothing() {
    let settings = json!({ "spaces": { "main": "key-1" } });
    let simulated = Simulated::start(PROFILES, settings, workspace(), json!({})).await;
    let record = json!({ "engage_space": "mian", "user_id": "u" });
    let fates = simulated.load("sendIdentify", true, [record]).await;
    assert_eq!((fates[0].outcome.kind(), fates[0].outcome.code()), (OutcomeKind::Rejected, Some("unknown_space")));
    assert_eq!(simulated.server.report().requests, 0);
}

#[tokio::test]
async fn the_spaces_to_choose_from_come_page_by_page_or_from_the_settings() {
    let names: Map<String, Json> =
        (0..150).map(|number| (format!("key-{number:03}"), json!(format!("Space {number:03}")))).collect();
    let tool = json!({ "write_keys": names, "public_api_token": "token-1" });
    let settings = json!({ "public_api_token": "token-1" });
    let simulated = Simulated::start(PROFILES, settings, tool.clone(), json!({})).await;
    let choices = |page: Option<String>, search: Option<&str>| {
        let query = ChoiceQuery {
            action: "sendTrack".to_owned(),
            field: "engage_space".to_owned(),
            page,
            search: search.map(str::to_owned),
            ..ChoiceQuery::default()
        };
        let (destination, wire) = (simulated.destination.clone(), simulated.wire.clone());
        async move { destination.choices(&query, &wire).await }
    };
    let first = choices(None, None).await.unwrap();
    assert_eq!(first.choices.len(), 100);
    assert_eq!(first.choices[7], DynamicChoice::new("key-007", "Space 007"));
    let second = choices(first.next, None).await.unwrap();
    assert_eq!((second.choices.len(), second.next), (50, None));
    assert_eq!(choices(None, Some("space 04")).await.unwrap().choices.len(), 10);

    let settings = json!({ "public_api_token": "other", "spaces": { "main": "key-001" } });
    let named = Simulated::start(PROFILES, settings, tool, json!({})).await;
    let query = ChoiceQuery { field: "engage_space".to_owned(), ..ChoiceQuery::default() };
    let page = named.destination.choices(&query, &named.wire).await.unwrap();
    assert_eq!(page.choices, [DynamicChoice::new("main", "main")]);
    let error = named.destination.check(&named.wire).await.unwrap_err();
    assert!(matches!(&error, DeliveryError::CredentialsRefused { .. }), "{error}");
}

#[tokio::test]
async fn a_check_of_spaces_says_which_key_is_wrong() {
    let check = |settings: Json| async move {
        let simulated = Simulated::start(PROFILES, settings, workspace(), json!({})).await;
        simulated.destination.check(&simulated.wire).await.map_err(|error| error.to_string())
    };
    let right = check(json!({ "spaces": { "main": "key-1" }, "public_api_token": "any" })).await.unwrap();
    assert_eq!(right, "the Public API takes the token; a source has the write key of `main`");
    let wrong = check(json!({ "spaces": { "main": "key-1", "next": "gone" } })).await.unwrap_err();
    assert!(wrong.contains("space `next`: no source in Segment has this write key"), "{wrong}");
    assert!(check(json!({})).await.unwrap().starts_with("nothing to check"));
}
