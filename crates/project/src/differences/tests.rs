//! What is told of a difference, and that no secret is.

use serde_json::{Value, json};

use super::*;
use crate::{
    KEPT, mask_document,
    tests::{connectors::forms, seals::FakeSeal},
};

fn document(part: Part, name: &str, json: Value) -> Document {
    Document { part, name: name.to_owned(), json }
}

fn crm(json: Value) -> Document {
    let mut all = json!({ "type": "crm", "url": "https://crm.example.com" });
    all.as_object_mut().unwrap().extend(json.as_object().unwrap().clone());
    document(Part::Destination, "crm", all)
}

fn stored(document: &Document) -> Document {
    Document { json: forms().seal_document(document, &FakeSeal::new(1), None).unwrap(), ..document.clone() }
}

fn compare(desired: &[Document], current: &[Document]) -> Vec<Difference> {
    let found = forms().compare(desired, current, &FakeSeal::new(1));
    assert!(!format!("{found:?}").contains("abc"), "{found:?}");
    found
}

/// What is told of one definition that changes, a line a field.
fn fields(desired: &Document, current: &Document) -> Vec<String> {
    let [found] = &compare(std::slice::from_ref(desired), std::slice::from_ref(current))[..] else { panic!() };
    assert_eq!(found.kind == DifferenceKind::Unchanged, found.fields.is_empty());
    let shown = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), ToString::to_string);
    found
        .fields
        .iter()
        .map(|field| format!("{}: {} → {}", field.path, shown(&field.before), shown(&field.after)))
        .collect()
}

#[test]
fn each_field_that_differs_is_told() {
    let model = |json: Value| document(Part::Model, "m", json);
    let before =
        model(json!({ "source": "s", "key": "id", "query": "\n select 1\n", "description": "a", "enabled": null }));
    let after = model(json!({ "source": "t", "key": ["id"], "query": " select 1", "personal": ["x"] }));
    assert_eq!(fields(&after, &before), [r#"source: "s" → "t""#, r#"description: "a" → -"#, r#"personal: - → ["x"]"#]);
    let before = crm(json!({ "auth": { "user": "ada" }, "headers": { "a": "1", "b": "2" } }));
    let after = crm(json!({ "auth": { "user": "eve" }, "headers": { "b": "2", "a": 1 } }));
    assert_eq!(fields(&after, &before), [r#"auth.user: "ada" → "eve""#, r#"headers.a: "1" → 1"#]);
}

#[test]
fn secrets_are_compared_and_not_shown() {
    let secret = |key: &str| crm(json!({ "api_key": key, "auth": { "phrase": ["abc", key] } }));
    let current = stored(&secret("abc1"));
    assert_eq!(fields(&secret("abc1"), &current), [""; 0]);
    assert_eq!(
        fields(&secret("abc2"), &current),
        [r#"api_key: "[secret]" → "[secret]""#, r#"auth.phrase: ["[secret]","[secret]"] → ["[secret]","[secret]"]"#]
    );
    // What is marked is what it says.
    let marked = crm(json!({ "api_key": "${secret:abc1}", "auth": { "phrase": ["abc", "${secret:abc1}"] } }));
    assert_eq!(fields(&marked, &current), [""; 0]);
    let kept = Document { json: mask_document(&current.json), ..current.clone() };
    assert_eq!(fields(&kept, &current), [""; 0]);
    assert_eq!(kept.json["api_key"], KEPT);
    assert_eq!(
        fields(&crm(json!({})), &current),
        [r#"api_key: "[secret]" → -"#, r#"auth: {"phrase":["[secret]","[secret]"]} → -"#]
    );
}

#[test]
fn a_secret_that_does_not_open_is_another() {
    let mut current = stored(&crm(json!({ "api_key": "abc1" })));
    current.json["api_key"] = json!("${sealed:k9.0.zz}");
    assert_eq!(fields(&crm(json!({ "api_key": "abc1" })), &current), [r#"api_key: "[secret]" → "[secret]""#]);
}

#[test]
fn differences_come_in_an_order_in_which_they_can_be_made() {
    let all = |name: &str| Part::ALL.map(|part| document(part, name, json!({}))).to_vec();
    let both = document(Part::Source, "same", json!({}));
    let mut desired = all("new");
    desired.reverse();
    desired.push(both.clone());
    let mut current = all("old");
    current.push(both);
    let told: Vec<String> = compare(&desired, &current)
        .iter()
        .map(|difference| format!("{:?} {} {}", difference.kind, difference.part.noun(), difference.name))
        .collect();
    assert_eq!(
        told,
        [
            "Create source new",
            "Unchanged source same",
            "Create model new",
            "Create destination new",
            "Create mapping new",
            "Delete mapping old",
            "Delete destination old",
            "Delete model old",
            "Delete source old",
        ]
    );
}
