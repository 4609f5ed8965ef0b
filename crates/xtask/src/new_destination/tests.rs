//! New destinations in a made-up checkout.

use std::process::Command;

use serde_json::{Value, json};

use super::*;

const LIB: &str = "//! The list.

mod braze;
#[path = \"segment-profiles/mod.rs\"]
mod segment_profiles;
mod webhook;

use std::sync::Arc;

macro_rules! listed {}

const LIST: [Listed; 3] = [
    Listed { simulator: Some(braze::simulator), ..listed!(\"braze\", braze) },
    listed!(\"segment-profiles\", segment_profiles),
    listed!(\"webhook\", webhook),
];

#[cfg(test)]
mod tests;
";

fn checkout() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("crates/destinations/src/braze")).unwrap();
    fs::write(root.path().join(list::PATH), LIB).unwrap();
    root
}

fn read_in(root: &tempfile::TempDir, path: &str) -> String {
    fs::read_to_string(root.path().join("crates/destinations/src").join(path)).unwrap()
}

/// Whether rustfmt would leave the files as they are.
fn is_formatted(root: &tempfile::TempDir, slug: &str) -> bool {
    let style = crate::workspace().join("rustfmt.toml");
    let folder = root.path().join("crates/destinations/src").join(slug);
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--check", "--edition", "2024", "--config-path"]).arg(style);
    let output = rustfmt.arg(folder.join("mod.rs")).output().unwrap();
    output.status.success()
}

fn catalogue(root: &tempfile::TempDir, listed: &Value) -> PathBuf {
    let path = root.path().join("catalog.jsonl");
    fs::write(&path, format!("{}\n{listed}\n", json!({ "slug": "other" }))).unwrap();
    path
}

fn acme(auth: &str) -> Value {
    json!({
        "slug": "acme", "name": "Acme CRM (Actions)", "auth": { "scheme": auth },
        "settings": [
            { "key": "account", "label": "Their words", "type": "string", "required": true, "description": "Their words" },
            { "key": "apiToken", "label": "Their words", "type": "password", "required": true },
            { "key": "region", "label": "Their words", "type": "string", "required": false, "default": "eu",
              "choices": [{ "label": "Their words", "value": "eu" }, { "label": "us", "value": "us" }] }
        ],
        "actions": [{
            "slug": "upsert", "title": "Their words", "syncMode": { "default": "add", "choices": [
                { "label": "Their words", "value": "add" }, { "label": "Their words", "value": "upsert" }] },
            "batching": { "supported": true, "batchSizeDefault": 75 },
            "hooks": [{ "hook": "onMappingSave", "label": "Their words", "inputFields": [],
                "outputTypes": { "list_id": { "label": "Their words", "type": "string", "required": true } } }],
            "fields": [
                { "key": "email", "label": "Their words", "type": "string", "required": true, "format": "email",
                  "default": { "@path": "$.properties.email" } },
                { "key": "userId", "label": "Their words", "type": "string", "required": true },
                { "key": "score", "label": "Their words", "type": "number", "required": true },
                { "key": "items", "label": "Their words", "type": "object", "required": false, "multiple": true,
                  "properties": [{ "key": "on", "label": "Their words", "type": "boolean", "required": false, "default": "true" }] },
                { "key": "kind", "label": "Their words", "type": "string", "dynamic": true, "unsafe_hidden": true,
                  "choices": ["a", { "label": "Their words", "value": "b" }, { "label": "c", "value": "c" }],
                  "required": { "match": "any", "conditions": [{ "fieldKey": "email", "operator": "is_not", "value": "x" }] } }
            ]
        }]
    })
}

#[test]
fn the_example_gets_its_folder_and_its_lines() {
    let root = checkout();
    let written = write(root.path(), "customer-io", None).unwrap();
    assert_eq!(written.len(), 7);
    assert!(written.iter().all(|path| root.path().join(path).exists()), "{written:?}");
    let lib = read_in(&root, "lib.rs");
    assert!(
        lib.contains("mod braze;\n#[path = \"customer-io/mod.rs\"]\nmod customer_io;\n#[path = \"segment-"),
        "{lib}"
    );
    assert!(lib.contains("const LIST: [Listed; 4] = [\n"), "{lib}");
    assert!(
        lib.contains("braze) },\n    listed!(\"customer-io\", customer_io, simulated),\n    listed!(\"segment"),
        "{lib}"
    );
    let code = read_in(&root, "customer-io/mod.rs");
    assert!(code.starts_with("//! Customer Io: "), "{code}");
    assert!(code.contains("impl Destination for CustomerIo {"), "{code}");
    let facts = read_in(&root, "customer-io/destination.yaml");
    assert!(facts.starts_with("slug: customer-io\nname: Customer Io\ndescription: WRITE ME\n"), "{facts}");
    assert!(read_in(&root, "customer-io/cases/all_accepted.yaml").contains("request: WRITE ME\n"));
    let example = read_in(&root, "customer-io/example.yaml");
    assert!(
        example
            .starts_with("# destinations/customer-io.yaml\ntype: customer-io\napi_key: ${env:CUSTOMER_IO_API_KEY}\n")
    );
    assert!(example.contains("destination: customer-io\n"), "{example}");
    assert!(read_in(&root, "customer-io/README.md").starts_with("# Customer Io\n"));
    assert!(is_formatted(&root, "customer-io"));
}

#[test]
fn lines_go_to_their_places_at_both_ends_and_between() {
    for (slug, before, after) in [
        ("acme", "", "mod acme;\nmod braze;"),
        ("zed", "mod webhook;\nmod zed;\n\nuse", "webhook),\n    listed!(\"zed\", zed, simulated),\n];"),
        (
            "segment",
            "mod braze;\nmod segment;\n#[path",
            "listed!(\"segment\", segment, simulated),\n    listed!(\"segment-",
        ),
        (
            "1plusx",
            "#[path = \"1plusx/mod.rs\"]\nmod _1plusx;\nmod braze;",
            "[\n    listed!(\"1plusx\", _1plusx, simulated),\n    Listed {",
        ),
    ] {
        let lib = list::with(LIB, &Names::of(slug).unwrap()).unwrap();
        assert!(lib.contains(before) && lib.contains(after), "{lib}");
        assert!(lib.ends_with("mod tests;\n"));
    }
    assert!(matches!(list::with("mod a;\n", &Names::of("b").unwrap()), Err(NewDestinationError::List(..))));
}

#[test]
fn names_that_rust_has_already_are_changed() {
    let names = |slug: &str| Names::of(slug).map(|names| (names.module, names.type_name)).unwrap();
    assert_eq!(names("batch"), ("batch".to_owned(), "BatchTool".to_owned()));
    assert_eq!(names("loop"), ("loop_".to_owned(), "Loop".to_owned()));
    assert_eq!(names("1plusx"), ("_1plusx".to_owned(), "Tool1plusx".to_owned()));
}

#[test]
fn bad_slugs_and_taken_ones_are_refused_and_nothing_is_written() {
    let root = checkout();
    for slug in ["", "Acme", "a_b", "-a", "a-", "a--b", "a/b", "..", "ä"] {
        let error = write(root.path(), slug, None).unwrap_err();
        assert!(matches!(error, NewDestinationError::Slug(_)), "{slug}: {error}");
    }
    let error = write(root.path(), "braze", None).unwrap_err().to_string();
    assert!(error.starts_with("there is `crates/destinations/src/braze` already"), "{error}");
    let path = catalogue(&root, &acme("custom"));
    let error = write(root.path(), "none", Some(&path)).unwrap_err().to_string();
    assert!(error.starts_with("there is no `none` in "), "{error}");
    assert!(matches!(write(root.path(), "acme", Some(Path::new("/none"))), Err(NewDestinationError::Io { .. })));
    fs::write(&path, "{\n").unwrap();
    let error = write(root.path(), "acme", Some(&path)).unwrap_err().to_string();
    assert!(error.starts_with("line 1 of "), "{error}");
    assert_eq!(read_in(&root, "lib.rs"), LIB);
    assert!(!root.path().join("crates/destinations/src/acme").exists());
}

#[test]
fn facts_have_the_structure_of_the_catalogue_and_none_of_its_words() {
    let root = checkout();
    let path = catalogue(&root, &acme("custom"));
    write(root.path(), "acme", Some(&path)).unwrap();
    let facts = read_in(&root, "acme/destination.yaml");
    let due = r#"slug: acme
name: Acme CRM
description: WRITE ME
docs: WRITE ME

settings:
  - key: account
    label: WRITE ME
    description: WRITE ME
    type: text
    required: true
  - key: apiToken
    label: WRITE ME
    description: WRITE ME
    type: text
    secret: true
    required: true
  - key: region
    label: WRITE ME
    description: WRITE ME
    type: text
    choices: ["eu", "us"]
    default: "eu"
"#;
    assert!(facts.starts_with(due), "{facts}");
    let due = r#"  - slug: upsert
    name: WRITE ME
    description: WRITE ME
    modes: [add, upsert]
    batch: { records_max: 75, bytes_max: 4000000 }
    hooks:
      - slug: onMappingSave
        name: WRITE ME
        description: WRITE ME
        inputs: []
        outputs:
          - key: list_id
            label: WRITE ME
            description: WRITE ME
            type: string
            required: true
    fields:
      - key: email
        label: WRITE ME
        description: WRITE ME
        type: string
        required: true
        format: email
        default: { "@path": "$.properties.email" }
      - key: userId
        label: WRITE ME
        description: WRITE ME
        type: string
        required: true
      - key: score
        label: WRITE ME
        description: WRITE ME
        type: number
        required: true
      - key: items
        label: WRITE ME
        description: WRITE ME
        type: object
        multiple: true
        properties:
          - key: "on"
            label: WRITE ME
            type: boolean
            default: "true"
      - key: kind
        label: WRITE ME
        description: WRITE ME
        type: string
        required: { "match": "any", "conditions": [{ "field_key": "email", "operator": "is_not", "value": "x" }] }
        dynamic: true
        hidden: true
        choices: ["a", { "value": "b", "label": "WRITE ME" }, "c"]
"#;
    assert!(facts.contains(due), "{facts}");
    assert!(!facts.contains("Their words"), "{facts}");
    let example = read_in(&root, "acme/example.yaml");
    let due = "type: acme\naccount: \"account 1\"\napiToken: ${env:ACME_API_TOKEN}\n---\n";
    assert!(example.contains(due), "{example}");
    let due = "fields:\n  email: { \"@path\": \"$.properties.email\" }\n  userId: { \"@path\": \"$.properties.id\" }\n  score: \"WRITE ME\"\n";
    assert!(example.ends_with(due), "{example}");
    let case = read_in(&root, "acme/cases/all_accepted.yaml");
    assert!(
        case.contains(
            "mode: upsert\nrecords:\n  - { \"email\": \"a@example.com\", \"userId\": \"userId 1\", \"score\": 1 }\n"
        ),
        "{case}"
    );
    assert!(case.contains(r#""account": "account 1", "apiToken": "secret-word-1" }"#), "{case}");
}

#[test]
fn credentials_are_those_of_the_original() {
    for (scheme, code, simulator) in [
        ("custom", "Auth::Bearer { token: text(\"apiToken\") }", "pointer(\"/apiToken\")"),
        ("basic", "Auth::Basic { username: text(\"account\"), password: text(\"apiToken\") }", "request.basic()"),
        ("oauth2", "let wire = kit::wire_settings(&facts, settings)?;\n    Ok(", "pointer(\"/oauth/access_token\")"),
    ] {
        let root = checkout();
        let path = catalogue(&root, &acme(scheme));
        write(root.path(), "acme", Some(&path)).unwrap();
        let (found, tool) = (read_in(&root, "acme/mod.rs"), read_in(&root, "acme/simulator.rs"));
        assert!(found.contains(code) && tool.contains(simulator), "{found}{tool}");
        assert_eq!(found.contains("Auth"), scheme != "oauth2");
        assert!(is_formatted(&root, "acme"), "{found}");
        let facts = read_in(&root, "acme/destination.yaml");
        assert_eq!(facts.contains("  scheme: oauth2\n  authorize_url: WRITE ME\n"), scheme == "oauth2");
    }
}

#[test]
fn the_kit_refuses_the_words_that_are_left_to_write() {
    let cases = fs::read_to_string(crate::workspace().join("crates/kit/src/testing/cases.rs")).unwrap();
    assert!(cases.contains(&format!("pub const UNWRITTEN: &str = \"{UNWRITTEN}\";")));
}

#[test]
fn the_real_list_takes_one_more() {
    let lib = fs::read_to_string(crate::workspace().join(list::PATH)).unwrap();
    let added = list::with(&lib, &Names::of("zzz-zzz").unwrap()).unwrap();
    assert_eq!(added.lines().count(), lib.lines().count() + 3);
}

#[test]
fn the_checkout_is_the_one_a_person_stands_in() {
    let root = checkout();
    let within = root.path().join("crates/destinations/src/braze");
    assert_eq!(checkout_of(&within).as_deref(), Some(root.path()));
    assert_eq!(checkout_of(root.path().parent().unwrap()), None);
    let written = write(root.path(), "acme", None).unwrap();
    assert!(report(root.path(), &written).starts_with(&format!("written in `{}`:\n  crates/", root.path().display())));
}
