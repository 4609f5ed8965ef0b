//! The forms of channels: what is refused, and what becomes of their secrets.

use std::sync::Arc;

use records::{ChannelId, Random};
use serde_json::{Value, json};
use store::{Actor, ChannelRow, Keyring};

use super::*;

fn mistakes(json: Value) -> Vec<String> {
    let form: ChannelForm = serde_json::from_value(json).unwrap();
    form.check().unwrap_err().iter().map(ToString::to_string).collect()
}

fn email() -> Value {
    json!({
        "type": "email",
        "to": ["ops@example.com", "Operations <ops2@example.com>"],
        "from": "Outflow <outflow@example.com>",
        "smtp": { "host": "smtp.example.com", "username": "outflow", "password": "hunter22hunter22" }
    })
}

fn webhook() -> Value {
    json!({
        "type": "webhook",
        "url": "https://example.com/hooks/outflow",
        "secret": "0123456789abcdef",
        "headers": { "authorization": "Bearer abc", "x-team": "data" }
    })
}

fn slack() -> Value {
    json!({ "type": "slack", "url": "https://hooks.slack.com/services/T0/B0/x" })
}

#[test]
fn each_type_has_a_form_that_is_written_as_it_was_read() {
    for json in [email(), webhook(), slack()] {
        let form: ChannelForm = serde_json::from_value(json.clone()).unwrap();
        form.check().unwrap();
        assert_eq!(serde_json::to_value(form).unwrap(), json);
    }
}

#[test]
fn unknown_words_are_refused() {
    for (mut json, key) in [(email(), "cc"), (slack(), "channel"), (webhook(), "method")] {
        json[key] = "x".into();
        assert!(serde_json::from_value::<ChannelForm>(json.clone()).is_err(), "{json}");
    }
    assert!(serde_json::from_value::<ChannelForm>(json!({ "type": "pager" })).is_err());
}

#[test]
fn a_mistake_is_told_with_its_place_and_what_would_be_right() {
    let wrong = json!({
        "type": "email",
        "to": ["ops"],
        "from": "",
        "smtp": { "host": "https://smtp.example.com", "port": 0, "security": "none", "username": "outflow", "password": "x" }
    });
    assert_eq!(
        mistakes(wrong),
        [
            "`to[0]`: `ops` is not an address; write it as `ops@example.com` or `Operations <ops@example.com>`",
            "`from`: `` is not an address; write it as `ops@example.com` or `Operations <ops@example.com>`",
            "`smtp.host`: `https://smtp.example.com` is not the name of a server; write it as `smtp.example.com`",
            "`smtp.port`: it must be from 1 to 65535",
            "`smtp.security`: a password would be sent for all to read; choose `starttls` or `tls`, or sign in without one",
        ]
    );
    let wrong = json!({
        "type": "webhook",
        "url": "ftp://example.com",
        "secret": "short",
        "headers": { "Outflow-Signature": "x", "a b": "x", "ok": "x\r\ny" }
    });
    let mistakes = mistakes(wrong);
    assert_eq!(mistakes.len(), 5, "{mistakes:?}");
    assert!(mistakes[1].starts_with("`secret`: it is too short; write at least 16 characters"));
}

#[test]
fn a_secret_is_in_nothing_that_is_printed() {
    for json in [email(), webhook(), slack()] {
        let form: ChannelForm = serde_json::from_value(json).unwrap();
        let printed = format!("{form:?}");
        for secret in ["hunter22", "0123456789abcdef", "Bearer abc", "services/T0"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}

#[derive(Debug)]
struct Seven;

impl Random for Seven {
    fn next(&self) -> u64 {
        7
    }
}

fn keyring(letter: &str) -> Keyring {
    Keyring::of_text(&format!("{}A=", letter.repeat(42)), Arc::new(Seven)).unwrap()
}

fn row(name: &str, document: Value) -> ChannelRow {
    let now = jiff::Timestamp::UNIX_EPOCH;
    ChannelRow {
        id: ChannelId::new(now, &Seven),
        name: name.to_owned(),
        document,
        version: 1,
        created_at: now,
        updated_at: now,
        updated_by: Actor::system(),
    }
}

#[test]
fn secrets_are_sealed_opened_and_hidden_and_nothing_else_is() {
    let ring = keyring("B");
    for (json, paths) in [
        (email(), vec!["/smtp/password"]),
        (slack(), vec!["/url"]),
        (webhook(), vec!["/secret", "/headers/authorization", "/headers/x-team"]),
    ] {
        let sealed = seal_channel("ops", &json, None, &ring).unwrap();
        let hidden = hide_channel(&sealed);
        let mut rest = sealed.clone();
        for path in &paths {
            let text = sealed.pointer(path).unwrap().as_str().unwrap();
            assert!(text.starts_with("${sealed:") && text.ends_with('}'), "{text}");
            assert_eq!(hidden.pointer(path).unwrap(), KEPT);
            *rest.pointer_mut(path).unwrap() = json.pointer(path).unwrap().clone();
        }
        assert_eq!(rest, json);
        let opened = open_channel(&row("ops", sealed.clone()), &ring).unwrap();
        assert_eq!(serde_json::to_value(opened).unwrap(), json);
        // Handed back as it was shown, it stays as it was.
        assert_eq!(seal_channel("ops", &hidden, Some(&sealed), &ring).unwrap(), sealed);
        // A secret opens for its channel alone, and with its key.
        for (name, ring) in [("other", &ring), ("ops", &keyring("C"))] {
            let error = open_channel(&row(name, sealed.clone()), ring).unwrap_err();
            assert!(error.starts_with("the channel's secrets cannot be opened"), "{error}");
        }
    }
}

#[test]
fn a_kept_secret_is_not_led_to_another_server() {
    let ring = keyring("B");
    let stored = |json: &Value| seal_channel("ops", json, None, &ring).unwrap();
    let changed = |json: Value, path: &str, value: &str| {
        let mut changed = hide_channel(&json);
        *changed.pointer_mut(path).unwrap() = value.into();
        seal_channel("ops", &changed, Some(&stored(&json)), &ring).map_err(|problems| problems[0].to_string())
    };
    let error = changed(email(), "/smtp/host", "smtp.evil.example").unwrap_err();
    assert!(error.starts_with("`smtp.password`: it would be sent to another server"), "{error}");
    let error = changed(webhook(), "/url", "https://evil.example/hooks/outflow").unwrap_err();
    assert!(error.starts_with("`headers.authorization`: it would be sent"), "{error}");
    changed(webhook(), "/url", "https://example.com/hooks/other").unwrap();
    changed(email(), "/from", "other@example.com").unwrap();
    for (document, message) in [
        (hide_channel(&slack()), "there is no secret to keep"),
        (stored(&slack()), "what is sealed cannot be handed in"),
        (json!({ "type": "slack", "url": "${env:SLACK_URL}" }), "variables and files are not read here"),
    ] {
        let problems = seal_channel("ops", &document, None, &ring).unwrap_err();
        assert!(problems[0].message.starts_with(message), "{problems:?}");
    }
}
