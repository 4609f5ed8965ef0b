//! What is sealed, what is kept, and that nothing of a secret is left anywhere else.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::tests::{connectors::forms, seals::FakeSeal};

fn document(part: Part, json: Value) -> Document {
    Document { part, name: "it".to_owned(), json }
}

fn crm(settings: Value) -> Document {
    let mut json = json!({ "type": "crm", "url": "https://crm.example.com" });
    json.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    document(Part::Destination, json)
}

fn seal(document: &Document, stored: Option<&Value>) -> Result<Value, String> {
    forms()
        .seal_document(document, &FakeSeal::new(1), stored)
        .map_err(|problems| problems.iter().map(|problem| format!("{problem}\n")).collect())
}

/// The paths at which something was sealed.
fn sealed_places(json: &Value) -> Vec<String> {
    fn find(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::String(text) if is_sealed(text) => found.push(path.to_owned()),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, item)| find(item, &format!("{path}[{index}]"), found));
            }
            Value::Object(entries) => entries.iter().for_each(|(key, below)| find(below, &joined(path, key), found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    find(json, "", &mut found);
    found
}

#[track_caller]
fn check(document: &Document, expected: &[&str]) {
    assert_eq!(sealed_places(&seal(document, None).unwrap()), expected);
}

#[test]
fn what_the_settings_of_a_connector_call_secret_is_sealed_at_any_depth() {
    let auth = json!({ "user": "ada", "phrase": { "first": "a", "more": ["b", "", 7] } });
    check(&crm(json!({ "api_key": "abc", "auth": auth })), &["api_key", "auth.phrase.first", "auth.phrase.more[0]"]);
    let source = json!({ "type": "postgres", "host": "db", "user": "ada", "password": "p", "url": "postgres://db" });
    check(&document(Part::Source, source), &["password", "url"]);
}

#[test]
fn what_stands_under_a_telling_name_is_sealed() {
    let headers = json!({ "X-Shop-Key": "k", "Accept": "json", "Cookie": "c" });
    check(&crm(json!({ "headers": headers })), &["headers.X-Shop-Key", "headers.Cookie"]);
    let mapping = json!({
        "model": "m",
        "destination": "d",
        "fields": {
            "access_token": "t",
            "token_url": "https://example.com",
            "email": { "@path": "$.properties.email" },
            "auth_token": { "@path": "$.properties.token" },
            "password": { "@literal": "p" },
        },
        "schedule": { "hook": { "secret": "s" } },
    });
    check(
        &document(Part::Mapping, mapping),
        &["fields.access_token", "fields.password.@literal", "schedule.hook.secret"],
    );
}

#[test]
fn an_address_with_a_password_is_sealed() {
    check(&crm(json!({ "url": "https://ada:lovelace@crm.example.com" })), &["url"]);
    check(&crm(json!({ "url": "https://ada:${env:P}@crm.example.com" })), &[]);
    check(&crm(json!({ "url": "https://crm.example.com/a:b@c" })), &[]);
    let sql = "select 'postgres://ada:lovelace@db' as password, '${sealed:x}' as b";
    let model = document(Part::Model, json!({ "source": "s", "key": "id", "query": sql }));
    assert_eq!(seal(&model, None).unwrap(), model.json);
}

#[test]
fn a_text_may_say_itself_that_it_is_a_secret() {
    let mapping = json!({ "model": "m", "destination": "d", "fields": { "salt": "${secret:a}b}", "x": "plain" } });
    let document = document(Part::Mapping, mapping);
    let sealed = seal(&document, None).unwrap();
    assert_eq!(sealed_places(&sealed), ["fields.salt"]);
    let text = super::sealed(sealed["fields"]["salt"].as_str().unwrap()).unwrap();
    assert_eq!(FakeSeal::new(1).open("mapping/it", text).unwrap(), "a}b");
}

#[test]
fn a_reference_alone_is_no_secret_and_one_within_a_secret_is_sealed_with_it() {
    check(&crm(json!({ "api_key": "${env:KEY}", "auth": { "phrase": "${file:key.txt}" } })), &[]);
    check(&crm(json!({ "api_key": "Bearer ${env:KEY}" })), &["api_key"]);
    let found = seal(&crm(json!({ "api_key": "a${b" })), None).unwrap_err();
    let message = "destinations/it: `api_key`: in it, `${` begins a reference such as `${env:NAME}`; write `$${` for the \
                   characters themselves\n";
    assert_eq!(found, message);
}

#[test]
fn what_is_sealed_cannot_be_handed_in() {
    let stolen = seal(&crm(json!({ "api_key": "abc" })), None).unwrap();
    let found = seal(&crm(json!({ "url": stolen["api_key"] })), None).unwrap_err();
    assert_eq!(
        found,
        "destinations/it: `url`: what is sealed cannot be handed in; write the secret itself, or `${kept}` to keep it\n"
    );
    let found = seal(&crm(json!({ "url": format!("https://x?{}", stolen["api_key"].as_str().unwrap()) })), None);
    assert!(found.is_err());
    check(&crm(json!({ "url": "https://x?$${sealed:k.x}" })), &[]);
}

#[test]
fn a_secret_that_is_kept_stays_as_it_is_stored() {
    let stored = seal(&crm(json!({ "api_key": "abc", "auth": { "user": "ada", "phrase": "def" } })), None).unwrap();
    let edited = crm(json!({ "api_key": KEPT, "auth": { "user": "eve", "phrase": "new" } }));
    let again = seal(&edited, Some(&stored)).unwrap();
    assert_eq!(again["api_key"], stored["api_key"]);
    assert_ne!(again["auth"]["phrase"], stored["auth"]["phrase"]);
    assert_eq!(again["auth"]["user"], "eve");
}

#[test]
fn there_must_be_something_to_keep() {
    let nothing = "destinations/it: `api_key`: there is no secret here that could be kept; write it\n";
    assert_eq!(seal(&crm(json!({ "api_key": KEPT })), None).unwrap_err(), nothing);
    let reference = json!({ "type": "crm", "api_key": "${env:KEY}" });
    assert_eq!(seal(&crm(json!({ "api_key": KEPT })), Some(&reference)).unwrap_err(), nothing);
    let found = seal(&crm(json!({ "api_key": "x${kept}" })), None).unwrap_err();
    assert!(found.contains("`${kept}` stands for a whole text"), "{found}");
}

#[test]
fn a_secret_does_not_pass_to_another_kind_of_connector() {
    let stored = seal(&crm(json!({ "api_key": "abc" })), None).unwrap();
    let other = document(Part::Destination, json!({ "type": "file", "folder": "x", "api_key": KEPT }));
    assert!(seal(&other, Some(&stored)).unwrap_err().contains("no secret here"));
}

/// Headers as a list, in which a secret has no name of its own.
fn list(names: &[(&str, &str)]) -> Document {
    let items: Vec<Value> = names.iter().map(|(name, token)| json!({ "name": name, "token": token })).collect();
    crm(json!({ "headers": items }))
}

#[test]
fn in_a_list_a_secret_stays_with_what_it_belongs_to() {
    let stored = seal(&list(&[("a", "1"), ("b", "2")]), None).unwrap();
    let token = |json: &Value, index: usize| json["headers"][index]["token"].clone();
    let cases: [(&[&str], &[Option<usize>]); 6] = [
        (&["a", "b"], &[Some(0), Some(1)]),
        (&["b", "a"], &[Some(1), Some(0)]),
        (&["b"], &[Some(1)]),
        // Renamed where it was.
        (&["c", "b"], &[Some(0), Some(1)]),
        // The first is gone, and what is new has no secret yet.
        (&["b", "c"], &[Some(1), None]),
        (&["c"], &[None]),
    ];
    for (names, expected) in cases {
        let kept: Vec<(&str, &str)> = names.iter().map(|name| (*name, KEPT)).collect();
        match seal(&list(&kept), Some(&stored)) {
            Ok(sealed) => {
                for (index, from) in expected.iter().enumerate() {
                    assert_eq!(token(&sealed, index), token(&stored, from.unwrap()), "{names:?}");
                }
            }
            Err(found) => {
                let wrong = expected.iter().position(Option::is_none).unwrap();
                assert!(found.contains(&format!("`headers[{wrong}]`: it cannot be told which")), "{names:?}: {found}");
                assert_eq!(found.lines().count(), 1, "{found}");
            }
        }
    }
}

#[test]
fn secrets_that_look_alike_are_not_guessed_at() {
    let stored = seal(&list(&[("a", "1"), ("a", "2")]), None).unwrap();
    let both = seal(&list(&[("a", KEPT), ("a", KEPT)]), Some(&stored)).unwrap();
    assert_eq!(both["headers"], stored["headers"]);
    assert!(seal(&list(&[("a", KEPT)]), Some(&stored)).unwrap_err().contains("it cannot be told which"));
}

#[test]
fn secrets_are_sealed_anew_with_the_newest_key() {
    let stored = seal(&crm(json!({ "api_key": "abc" })), None).unwrap();
    let newest = FakeSeal::new(2);
    let document = document(Part::Destination, stored);
    let anew = forms().reseal_document(&document, &newest).unwrap();
    let text = sealed(anew["api_key"].as_str().unwrap()).unwrap();
    assert!(text.starts_with("k2."), "{text}");
    assert_eq!(newest.open("destination/it", text).unwrap(), "abc");
    let moved = Document { name: "other".to_owned(), ..document };
    let problems = forms().reseal_document(&moved, &newest).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["destinations/other: `api_key`: it is about something else"]);
}

#[test]
fn what_people_look_at_has_no_secrets() {
    let json =
        json!({ "api_key": "abc", "auth": { "user": "ada", "phrase": "${env:P}" }, "headers": { "a": "${secret:s}" } });
    let shown = forms().hide_document(&crm(json));
    assert_eq!(
        shown,
        json!({
            "type": "crm",
            "url": "https://crm.example.com",
            "api_key": "[secret]",
            "auth": { "user": "ada", "phrase": "${env:P}" },
            "headers": { "a": "[secret]" },
        })
    );
}

/// Documents of destinations with secrets in every place that can have one, each of which is `§` and a number.
fn documents() -> impl Strategy<Value = Value> {
    let secret = "§[0-9]{1,6}";
    let settings = (
        proptest::option::of(secret),
        proptest::collection::vec(secret, 0..3),
        proptest::collection::vec(("[a-c]", secret), 0..4),
        proptest::collection::btree_map("[a-z]{1,3}", "[a-z]{0,3}", 0..3),
        proptest::option::of(secret),
    );
    settings.prop_map(|(key, phrases, list, plain, password)| {
        let list: Vec<Value> = list.into_iter().map(|(name, token)| json!({ "n": name, "token": token })).collect();
        let mut json =
            json!({ "type": "crm", "auth": { "user": "u", "phrase": phrases }, "list": list, "plain": plain });
        if let Some(key) = key {
            json["api_key"] = json!(key);
        }
        json["url"] = json!(password.map_or("https://h".to_owned(), |password| format!("https://u:{password}@h")));
        json
    })
}

proptest! {
    #[test]
    fn nothing_of_a_secret_is_left_and_keeping_all_changes_nothing(json in documents()) {
        let document = document(Part::Destination, json);
        let stored = seal(&document, None).unwrap();
        prop_assert!(!stored.to_string().contains('§'), "{stored}");
        let masked = mask_document(&stored);
        let text = masked.to_string();
        prop_assert!(!text.contains('§') && !text.contains("sealed"), "{text}");
        let again = seal(&Document { json: masked, ..document.clone() }, Some(&stored)).unwrap();
        prop_assert_eq!(&again, &stored);
        // And all of it can be had again.
        let opened = forms().reseal_document(&Document { json: stored, ..document.clone() }, &Opened).unwrap();
        prop_assert_eq!(opened.to_string().replace("${sealed:", "").replace('}', ""), document.json.to_string().replace('}', ""));
    }
}

/// Opens as the test's seal does, and seals nothing.
struct Opened;

impl Seal for Opened {
    fn seal(&self, _about: &str, plain: &str) -> String {
        plain.to_owned()
    }

    fn open(&self, about: &str, sealed: &str) -> Result<String, String> {
        FakeSeal::new(1).open(about, sealed)
    }
}
