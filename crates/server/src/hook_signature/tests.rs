//! Signatures that are right, wrong, old, and of another program's making.

use schedule::{Schedule, ScheduleForm};
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "a secret of many letters";
const NOW: i64 = 1_700_000_000;

fn hook(mut form: Value) -> Hook {
    form["secret"] = SECRET.into();
    let form: ScheduleForm = serde_json::from_value(json!({ "hook": form })).unwrap();
    match form.check().unwrap() {
        Schedule::Hook(hook) => hook,
        other => panic!("{other:?}"),
    }
}

fn checked(hook: &Hook, header: &str, value: &str, body: &str) -> Checked {
    let mut headers = HeaderMap::new();
    headers.insert(http::HeaderName::try_from(header.to_lowercase()).unwrap(), value.parse().unwrap());
    check(hook, &headers, body.as_bytes(), Timestamp::from_second(NOW).unwrap())
}

fn hmac(content: &str) -> String {
    hmac_hex(SignatureAlgorithm::Sha256, SECRET, content.as_bytes())
}

#[test]
fn a_signature_holds_for_its_body_and_for_five_minutes() {
    let hook = hook(json!({}));
    let right = |seconds: i64| format!("t={seconds},v1={}", hmac(&format!("{seconds}.body")));
    for (value, is_right) in [
        (right(NOW), true),
        (right(NOW - 300), true),
        (right(NOW + 300), true),
        (right(NOW - 301), false),
        (right(NOW + 301), false),
        (right(NOW).to_uppercase().replace("T=", "t=").replace("V1=", "v1="), true),
        (format!("t={NOW},v1={},v1={}", "0".repeat(64), hmac(&format!("{NOW}.body"))), true),
        (format!("t={NOW},v1={}", hmac(&format!("{NOW}.other"))), false),
        (format!("t={NOW},v1={}", hmac("body")), false),
        (format!("t={},v1={}", NOW + 1, hmac(&format!("{NOW}.body"))), false),
        (format!("t=+{NOW},v1={}", hmac(&format!("+{NOW}.body"))), false),
        (format!("t={NOW}"), false),
        (format!("t={NOW},v1="), false),
        (format!("v1={}", hmac(&format!("{NOW}.body"))), false),
        // The body alone, which could be sent again for ever.
        (format!("sha256={}", hmac("body")), false),
        (String::new(), false),
    ] {
        let checked = checked(&hook, "X-Outflow-Signature", &value, "body");
        assert_eq!(checked != Checked::Wrong, is_right, "{value}");
    }
    let elsewhere = checked(&hook, "X-Signature", &right(NOW), "body");
    assert_eq!(elsewhere, Checked::Wrong);
}

#[test]
fn the_same_signature_is_told_as_the_same_request() {
    let hook = hook(json!({}));
    let value = |seconds: i64| format!("t={seconds},v1={}", hmac(&format!("{seconds}.body")));
    let once = checked(&hook, "X-Outflow-Signature", &value(NOW), "body");
    assert_eq!(once, checked(&hook, "X-Outflow-Signature", &value(NOW), "body"));
    assert_ne!(once, checked(&hook, "X-Outflow-Signature", &value(NOW + 1), "body"));
    assert!(matches!(once, Checked::Once(_)));
}

#[test]
fn a_header_that_the_schedule_names_may_hold_a_signature_of_the_body() {
    let hook = hook(json!({ "header": "X-Hub-Signature-256" }));
    for (value, expected) in [
        (format!("sha256={}", hmac("body")), Checked::Right),
        (hmac("body"), Checked::Right),
        (hmac("other"), Checked::Wrong),
        (format!("sha1={}", hmac("body")), Checked::Wrong),
    ] {
        assert_eq!(checked(&hook, "X-Hub-Signature-256", &value, "body"), expected, "{value}");
    }
    let timed = format!("t={NOW},v1={}", hmac(&format!("{NOW}.body")));
    assert!(matches!(checked(&hook, "X-Hub-Signature-256", &timed, "body"), Checked::Once(_)));
}

#[test]
fn dbt_cloud_signs_the_body_in_the_header_of_its_own() {
    let hook = hook(json!({ "kind": "dbt_cloud" }));
    assert_eq!(checked(&hook, "Authorization", &hmac("body"), "body"), Checked::Right);
    assert_eq!(checked(&hook, "Authorization", &hmac("body"), "bodY"), Checked::Wrong);
    assert_eq!(checked(&hook, "X-Outflow-Signature", &hmac("body"), "body"), Checked::Wrong);
}
