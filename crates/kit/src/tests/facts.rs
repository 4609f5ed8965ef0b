//! Facts are read strictly, and settings are checked against them.

use serde_json::json;

use crate::{Facts, Meaning, Statuses};

const FACTS: &str = "
slug: crm
name: CRM
settings:
  - { key: token, label: Token, secret: true, required: true, description: From the account page. }
  - { key: region, label: Region, choices: [eu, us], default: eu }
  - { key: port, type: integer, label: Port }
  - { key: url, type: url, label: URL }
  - { key: auth, type: object, label: Auth, properties: [{ key: password, label: Password, secret: true }] }
actions:
  - slug: upsert
    name: Upsert
    modes: [upsert]
    fields: [{ key: email, label: Email, type: string, required: true }]
    batch: { records_max: 50 }
statuses: { 409: delivered, 5xx: retry }
";

fn problem(settings: serde_json::Value) -> String {
    Facts::parse(FACTS).unwrap().check_settings(&settings).unwrap_err().to_string()
}

#[test]
fn facts_are_read() {
    let facts = Facts::parse(FACTS).unwrap();
    let action = facts.action("upsert").unwrap();
    assert_eq!((action.batch.records_max, action.whole, action.fields[0].key.as_str()), (50, false, "email"));
    assert_eq!(facts.statuses.meaning(409), Some(Meaning::Delivered));
    assert!(facts.action("delete").is_none());
    assert!(
        facts.check_settings(&json!({ "token": "t", "region": "us", "port": 80, "url": "https://x.example" })).is_ok()
    );
}

#[test]
fn wrong_facts_are_told_with_their_line() {
    let wrong = |yaml: &str| Facts::parse(yaml).unwrap_err().to_string();
    let unknown = wrong(&FACTS.replace("name: CRM", "nmae: CRM"));
    assert!(
        unknown.starts_with("the facts are wrong at line 3, column 1: unknown field `nmae`, expected one of"),
        "{unknown}"
    );
    assert!(wrong(&FACTS.replace("modes: [upsert]", "modes: [upset]")).contains("at line 13"));
    assert!(wrong(&FACTS.replace("slug: crm", "slug: C R M")).contains("lower-case letters, digits and `-` only"));
    assert!(
        wrong(&FACTS.replace("409", "4099")).contains("`4099` is not a status such as `409` or a class such as `4xx`")
    );
    assert!(wrong(&FACTS.replace("records_max: 50", "records_max: 0")).contains("must be at least 1"));
}

#[test]
fn wrong_settings_are_told_by_field_and_a_secret_is_not_shown() {
    assert_eq!(problem(json!({})), "`token`: is required (From the account page)");
    assert_eq!(problem(json!({ "token": "" })), "`token`: is required (From the account page)");
    assert_eq!(problem(json!({ "token": 1234567 })), "`token`: must be text, not a number");
    assert_eq!(problem(json!({ "token": "t", "region": "asia" })), "`region`: must be one of `eu`, `us`, not `asia`");
    assert_eq!(problem(json!({ "token": "t", "port": 1.5 })), "`port`: must be a whole number, not `1.5`");
    assert_eq!(
        problem(json!({ "token": "t", "url": "ftp://x" })),
        "`url`: must be a URL that begins with `https://` or `http://`"
    );
    assert_eq!(
        problem(json!({ "token": "t", "auth": { "user": "x" } })),
        "`auth.user`: no such setting; known here: `password`"
    );
    assert_eq!(problem(json!([])), "must be an object of settings, not a list");
    let two = Facts::parse(FACTS).unwrap().check_settings(&json!({ "region": 1 })).unwrap_err();
    assert_eq!(two.problems.len(), 2, "all problems come at once");
}

#[test]
fn secrets_of_settings_are_found_at_any_depth() {
    let facts = Facts::parse(FACTS).unwrap();
    let found = facts.secrets(&json!({ "token": "abc", "region": "eu", "auth": { "password": "def" } }));
    assert_eq!(found, ["abc", "def"]);
}

#[test]
fn the_schema_of_facts_names_their_keys() {
    let schema = Facts::schema();
    assert!(schema["properties"]["actions"].is_object());
    assert_eq!(schema["additionalProperties"], json!(false));
}

#[test]
fn a_single_status_goes_before_its_class() {
    let table = |entries: &[(&str, Meaning)]| {
        Statuses::new(entries.iter().map(|(key, meaning)| ((*key).to_owned(), *meaning))).unwrap()
    };
    let own = table(&[("4xx", Meaning::Retry), ("404", Meaning::Delivered)]);
    for (status, meaning) in [(404, Meaning::Delivered), (410, Meaning::Retry), (429, Meaning::RateLimited)] {
        assert_eq!(own.meaning(status), Some(meaning), "{status}");
    }
    let over = own.overlaid(&table(&[("404", Meaning::Rejected)]));
    assert_eq!(over.meaning(404), Some(Meaning::Rejected));
    let default = Statuses::default();
    for (status, meaning) in [
        (200, Meaning::Delivered),
        (401, Meaning::CredentialsRefused),
        (403, Meaning::CredentialsRefused),
        (408, Meaning::Retry),
        (413, Meaning::Rejected),
        (422, Meaning::Rejected),
        (423, Meaning::Retry),
        (500, Meaning::Retry),
        (502, Meaning::InDoubt),
        (503, Meaning::Retry),
        (504, Meaning::InDoubt),
    ] {
        assert_eq!(default.meaning(status), Some(meaning), "{status}");
    }
    assert_eq!(default.meaning(302), None);
}

#[test]
fn words_that_nobody_wrote_are_found_wherever_they_stand() {
    let facts = Facts::parse(
        "
slug: crm
name: CRM
description: Keeps contacts.
docs: WRITE ME
settings: [{ key: token, label: WRITE ME, description: From the account page. }]
actions:
  - slug: upsert
    name: Upsert
    description: \"WRITE ME: what it does\"
    modes: [upsert]
    hooks: [{ slug: onMappingSave, name: WRITE ME, inputs: [], outputs: [{ key: list, label: WRITE ME }] }]
    fields:
      - key: kind
        label: Kind
        description: Of which kind it is
        choices: [{ value: a, label: WRITE ME }, b]
        properties: [{ key: deep, label: WRITE ME }]
",
    );
    let failures = crate::testing::cases::facts_failures(&facts.unwrap(), "crm");
    let places: Vec<_> = failures.iter().filter_map(|failure| failure.split('`').nth(1)).collect();
    let due = [
        "docs",
        "settings.token.label",
        "actions.upsert.description",
        "actions.upsert.kind.choices",
        "actions.upsert.kind.deep.label",
        "actions.upsert.onMappingSave.name",
        "actions.upsert.onMappingSave.outputs.list.label",
    ];
    assert_eq!(places, due);
    assert!(failures[0].contains("is still `WRITE ME`"), "{}", failures[0]);
}
