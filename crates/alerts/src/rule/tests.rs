//! From the form of a rule to a rule: defaults, mistakes with their places, what is watched.

use serde_json::{Value, json};

use super::*;

fn form(json: Value) -> RuleForm {
    serde_json::from_value(json).unwrap()
}

fn mistakes(json: Value) -> Vec<String> {
    form(json).check().unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn the_shortest_rule_watches_everything_and_tells_once() {
    let rule = form(json!({ "when": { "failed": {} } })).check().unwrap();
    let expected = Rule {
        enabled: true,
        when: When { failed: Some(Failed { in_a_row: 1 }), ..When::default() },
        watch: Watch::All,
        channels: Vec::new(),
        repeat_every: None,
    };
    assert_eq!(rule, expected);
}

#[test]
fn every_kind_has_defaults() {
    let all = json!({
        "failed": {}, "partly_delivered": {}, "held": {}, "delivery_rate": { "below_percent": 95 }, "late": {},
        "zero_rows": {}, "unusual_rows": {}, "schema_changed": {}, "credentials_expiring": {}
    });
    let rule = form(json!({ "when": all })).check().unwrap();
    assert!(Kind::ALL.into_iter().all(|kind| rule.when.has(kind)));
    let rate = DeliveryRate { below_percent: 95.0, window: DAY, records_min: 100 };
    assert_eq!(rule.when.delivery_rate, Some(rate));
    let late = Late { tolerance: 15 * MINUTE, until: Until::Started, silence: None };
    assert_eq!(rule.when.late, Some(late));
    assert_eq!(rule.when.credentials_expiring, Some(CredentialsExpiring { within: 14 * DAY }));
    assert_eq!((rule.when.history(), rule.when.window()), (62, Some(DAY)));
}

#[test]
fn kinds_are_told_apart_by_the_words_of_the_form() {
    for kind in Kind::ALL {
        let settings = if kind == Kind::DeliveryRate { json!({ "below_percent": 1 }) } else { json!({}) };
        let rule = form(json!({ "when": { kind.name(): settings } })).check().unwrap();
        let has: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| rule.when.has(*kind)).collect();
        assert_eq!(has, [kind]);
        assert_eq!(Kind::of_name(kind.name()), Some(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
}

#[test]
fn a_mistake_is_told_with_its_place_and_what_would_be_right() {
    let kinds = "`when`: it names nothing to tell about; give at least one of `failed`,";
    assert!(mistakes(json!({ "when": {} }))[0].starts_with(kinds));
    let wrong = json!({
        "when": {
            "failed": { "in_a_row": 0 },
            "partly_delivered": { "records_min": 0, "percent_min": 101 },
            "delivery_rate": { "below_percent": 95, "window": "a day" },
            "late": { "tolerance": "0s" },
            "unusual_rows": { "factor": 0.5, "history": 5, "history_min": 6 },
            "credentials_expiring": { "within": "1m" }
        },
        "watch": { "mappings": ["people", ""] },
        "channels": ["ops", "ops"],
        "repeat_every": "1m"
    });
    assert_eq!(
        mistakes(wrong),
        [
            "`when.failed.in_a_row`: it is 0; it must be from 1 to 100",
            "`when.partly_delivered.records_min`: it must be at least 1",
            "`when.partly_delivered.percent_min`: it is 101; it must be from 0 to 100",
            "`when.delivery_rate.window`: `a day` is not a length of time; write it as `90s`, `15m`, `1h30m` or `7d`",
            "`when.late.tolerance`: `0s` is out of its range, which is from 1 second to 31 days",
            "`when.unusual_rows.history_min`: it is 6, more than the 5 extracts that are looked at",
            "`when.unusual_rows.factor`: it is 0.5; it must be from 1 to 100",
            "`when.credentials_expiring.within`: `1m` is out of its range, which is from 1 hour to 366 days",
            "`watch.mappings[1]`: it must not be empty; write a name",
            "`channels[1]`: `ops` stands there twice; take one out",
            "`repeat_every`: `1m` is out of its range, which is from 5 minutes to 31 days",
        ]
    );
}

#[test]
fn a_short_history_asks_for_no_more_than_itself() {
    let rule = form(json!({ "when": { "unusual_rows": { "history": 5 } } })).check().unwrap();
    let unusual = rule.when.unusual_rows.unwrap();
    assert_eq!((unusual.history, unusual.history_min), (5, 5));
}

#[test]
fn unknown_words_are_refused_at_every_depth() {
    for wrong in [
        json!({ "when": { "failed": {} }, "who": 1 }),
        json!({ "when": { "broken": {} } }),
        json!({ "when": { "failed": { "often": 1 } } }),
        json!({ "when": { "held": { "often": 1 } } }),
        json!({ "when": { "failed": {} }, "watch": { "all": true } }),
    ] {
        assert!(serde_json::from_value::<RuleForm>(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn a_mapping_is_watched_by_its_own_name_or_by_what_it_uses() {
    let place = Place { mapping: "people-to-crm", model: "people", destination: "crm", source: "shop" };
    for (watch, is_watched) in [
        (json!({}), true),
        (json!({ "mappings": ["people-to-crm"] }), true),
        (json!({ "models": ["people"] }), true),
        (json!({ "destinations": ["crm"] }), true),
        (json!({ "sources": ["shop"] }), true),
        (json!({ "mappings": ["orders"], "sources": ["shop"] }), true),
        (json!({ "mappings": ["people"] }), false),
        (json!({ "models": ["crm"] }), false),
    ] {
        let rule = form(json!({ "when": { "held": {} }, "watch": watch })).check().unwrap();
        assert_eq!(rule.watch.includes(place), is_watched, "{watch}");
    }
}

#[test]
fn a_form_is_written_as_it_was_read() {
    let json = json!({
        "when": { "failed": { "in_a_row": 3 }, "held": {}, "late": { "tolerance": "1h", "until": "ended" } },
        "watch": { "destinations": ["crm"] },
        "channels": ["ops"],
        "repeat_every": "4h"
    });
    assert_eq!(serde_json::to_value(form(json.clone())).unwrap(), json);
}
