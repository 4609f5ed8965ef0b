//! Files that say what a server says: written once, left alone where they say it already, read again as it was.

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::FileChange;
use crate::{
    Document, KEPT, Part, Project,
    differences::normal,
    references::escaped,
    tests::connectors::forms,
    yaml::testing::{texts, values},
};

fn variables(name: &str) -> Option<String> {
    match name {
        "HOST" => Some("db.example.com".to_owned()),
        "PORT" => Some("5432".to_owned()),
        name if name.starts_with("OUTFLOW_") || name == "KEY" => Some(format!("value of {name}")),
        _ => None,
    }
}

fn document(part: Part, name: &str, json: Value) -> Document {
    Document { part, name: name.to_owned(), json }
}

fn documents() -> Vec<Document> {
    vec![
        document(
            Part::Source,
            "shop",
            json!({ "password": KEPT, "type": "postgres", "host": "db.example.com", "port": 5432, "description": "Ours." }),
        ),
        document(
            Part::Model,
            "people",
            json!({ "query": "select id,\n  '${x}' as sign\nfrom people", "key": ["id"], "source": "shop", "personal": ["email", "name"] }),
        ),
        document(
            Part::Destination,
            "crm",
            json!({ "type": "crm", "url": "https://crm.example.com", "api_key": KEPT, "auth": { "user": "ada", "phrase": KEPT } }),
        ),
        document(
            Part::Mapping,
            "people",
            json!({
                "fields": { "email": { "@path": "$.properties.email" } },
                "mode": "upsert",
                "action": "upsert",
                "destination": "crm",
                "model": "people",
                "schedule": { "every": "15m" },
            }),
        ),
    ]
}

/// Writes the documents into the folder and gives what changed.
fn pull(folder: &Path, documents: &[Document], prune: bool) -> Vec<FileChange> {
    let changes = forms().write_files(folder, documents, prune, &variables).unwrap();
    for change in &changes {
        let path = folder.join(&change.path);
        assert_eq!(std::fs::read_to_string(&path).ok(), change.before);
        match &change.after {
            Some(text) => {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            None => std::fs::remove_file(path).unwrap(),
        }
    }
    changes
}

fn paths(changes: &[FileChange]) -> Vec<&str> {
    changes.iter().map(|change| change.path.to_str().unwrap()).collect()
}

fn read(folder: &Path) -> Vec<Document> {
    let project = Project::read(folder, &variables, &forms())
        .map_err(|problems| format!("{:?}", problems.iter().collect::<Vec<_>>()));
    project.unwrap().documents().into_iter().map(|read| read.document).collect()
}

fn text(folder: &Path, path: &str) -> String {
    std::fs::read_to_string(folder.join(path)).unwrap()
}

#[test]
fn an_empty_folder_becomes_a_project() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let changes = pull(root, &documents(), false);
    assert_eq!(
        paths(&changes),
        ["destinations/crm.yaml", "mappings/people.yaml", "models/people.sql", "outflow.yaml", "sources/shop.yaml"]
    );
    let expected = "\
type: postgres
description: Ours.
host: db.example.com
port: 5432
password: ${env:OUTFLOW_SOURCE_SHOP_PASSWORD}
";
    assert_eq!(text(root, "sources/shop.yaml"), expected);
    let expected = "\
-- source: shop
-- key: id
-- personal: [email, name]

select id,
  '${x}' as sign
from people
";
    assert_eq!(text(root, "models/people.sql"), expected);
    let expected = "\
type: crm
url: https://crm.example.com
api_key: ${env:OUTFLOW_DESTINATION_CRM_API_KEY}
auth:
  user: ada
  phrase: ${env:OUTFLOW_DESTINATION_CRM_AUTH_PHRASE}
";
    assert_eq!(text(root, "destinations/crm.yaml"), expected);
    let expected = "\
model: people
destination: crm
action: upsert
mode: upsert
fields:
  email: { \"@path\": \"$.properties.email\" }
schedule:
  every: \"15m\"
";
    assert_eq!(text(root, "mappings/people.yaml"), expected);
    assert_eq!(pull(root, &documents(), true), []);
    let read = read(root);
    assert_eq!(read[0].json["password"], "${secret:value of OUTFLOW_SOURCE_SHOP_PASSWORD}");
    assert_eq!(normal(&read[1]), normal(&documents()[1]));
}

#[test]
fn a_file_that_says_the_same_in_other_words_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    pull(root, &documents(), false);
    let source = "# Ours.\nhost: ${env:HOST}   # the replica\npassword: '${env:KEY}'\nport: ${env:PORT}\ntype: postgres\ndescription: Ours.\n";
    std::fs::write(root.join("sources/shop.yaml"), source).unwrap();
    let model = "-- All of them.\n-- source: shop\n--   key: [id]\n-- personal: [email, name]\nselect id,\n  '${x}' as sign\nfrom people";
    std::fs::write(root.join("models/people.sql"), model).unwrap();
    // A comment that is no entry of the header is a part of the query.
    let mut documents = documents();
    documents[1].json["query"] = json!("-- All of them.\nselect id,\n  '${x}' as sign\nfrom people");
    assert_eq!(pull(root, &documents, true), []);
    // What changes is written; words that still mean the same stay.
    documents[0].json["port"] = json!(5433);
    assert_eq!(paths(&pull(root, &documents, false)), ["sources/shop.yaml"]);
    let expected = "type: postgres\ndescription: Ours.\nhost: ${env:HOST}\nport: 5433\npassword: ${env:KEY}\n";
    assert_eq!(text(root, "sources/shop.yaml"), expected);
}

#[test]
fn parts_in_the_project_file_are_changed_there_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let before = "\
version: 1
# Where from.
sources:
  # The shop.
  shop: {type: postgres, host: old, password: '${env:KEY}'}

models:
  people:  # everyone
    source: shop
    key: id
    query: |
      select '$${x}'
  other:
    source: shop
    key: id
    file: other.sql
destinations: {crm: {type: crm, url: 'https://crm.example.com'}}
";
    std::fs::write(root.join("outflow.yaml"), before).unwrap();
    std::fs::write(root.join("other.sql"), "select 1\n").unwrap();
    let mut documents = vec![
        document(Part::Source, "shop", json!({ "type": "postgres", "host": "new", "password": KEPT })),
        document(Part::Model, "people", json!({ "source": "shop", "key": "id", "query": "select '${x}'" })),
        document(Part::Model, "other", json!({ "source": "shop", "key": "id", "query": "select 2" })),
        document(Part::Destination, "crm", json!({ "type": "crm", "url": "https://crm.example.com" })),
    ];
    assert_eq!(paths(&pull(root, &documents, true)), ["other.sql", "outflow.yaml"]);
    let after = before.replace(
        "  shop: {type: postgres, host: old, password: '${env:KEY}'}\n",
        "  shop:\n    type: postgres\n    host: new\n    password: ${env:KEY}\n",
    );
    assert_eq!(text(root, "outflow.yaml"), after);
    assert_eq!(text(root, "other.sql"), "select 2\n");
    documents[1].json["query"] = json!("select '${y}'");
    pull(root, &documents, true);
    assert_eq!(
        text(root, "outflow.yaml"),
        after.replace(
            "  people:  # everyone\n    source: shop\n    key: id\n    query: |\n      select '$${x}'\n",
            "  people:\n    source: shop\n    key: id\n    query: select '$${y}'\n"
        )
    );
    // Without the models the section is empty, which is allowed.
    documents.retain(|document| document.part != Part::Model);
    pull(root, &documents, true);
    assert!(text(root, "outflow.yaml").contains("models:\ndestinations:"));
    assert_eq!(read(root).len(), 2);
    // In one line there is no safe place.
    documents[1].json["url"] = json!("https://new.example.com");
    let problems = forms().write_files(root, &documents, false, &variables).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].ends_with("move it to `destinations/crm.yaml` and try again"), "{told:?}");
    assert!(
        told[0].starts_with("outflow.yaml:11:21: `destinations.crm`: it cannot be changed here: what leads to"),
        "{told:?}"
    );
}

#[test]
fn what_is_not_there_any_more_goes_only_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    pull(root, &documents(), false);
    let fewer = &documents()[..3];
    assert_eq!(pull(root, fewer, false), []);
    let changes = pull(root, fewer, true);
    assert_eq!(paths(&changes), ["mappings/people.yaml"]);
    assert_eq!(changes[0].after, None);
}

#[test]
fn each_secret_has_a_variable_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let crm = |name: &str, headers: Value| {
        document(Part::Destination, name, json!({ "type": "crm", "url": "https://x", "headers": headers }))
    };
    let first = crm("a-b", json!({ "token": KEPT, "Token": KEPT }));
    pull(root, std::slice::from_ref(&first), false);
    let second = crm("a_b", json!({ "token": KEPT }));
    pull(root, &[first, second], false);
    let files = text(root, "destinations/a-b.yaml") + &text(root, "destinations/a_b.yaml");
    let names: Vec<&str> = crate::references::variables_of(&files).collect();
    assert_eq!(
        names,
        [
            "OUTFLOW_DESTINATION_A_B_HEADERS_TOKEN",
            "OUTFLOW_DESTINATION_A_B_HEADERS_TOKEN_2",
            "OUTFLOW_DESTINATION_A_B_HEADERS_TOKEN_3"
        ]
    );
}

#[test]
fn in_a_list_a_reference_stays_with_what_it_belongs_to() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let crm = |names: &[&str]| {
        let items: Vec<Value> = names.iter().map(|name| json!({ "name": name, "token": KEPT })).collect();
        [document(Part::Destination, "crm", json!({ "type": "crm", "url": "https://x", "headers": items }))]
    };
    // The schema of the fake has a map here; only the words of the file count.
    pull(root, &crm(&["a", "b"]), false);
    let file = text(root, "destinations/crm.yaml").replace("OUTFLOW_DESTINATION_CRM_HEADERS_0_TOKEN", "OF_A");
    std::fs::write(root.join("destinations/crm.yaml"), file).unwrap();
    pull(root, &crm(&["b", "c", "a"]), false);
    let tokens = text(root, "destinations/crm.yaml");
    let names: Vec<&str> = crate::references::variables_of(&tokens).collect();
    assert_eq!(names, ["OUTFLOW_DESTINATION_CRM_HEADERS_1_TOKEN", "OUTFLOW_DESTINATION_CRM_HEADERS_1_TOKEN_2", "OF_A"]);
}

/// A value whose texts refer to nothing.
fn plain(value: Value) -> Value {
    match value {
        Value::String(text) => escaped(&text).into(),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(entries) => entries.into_iter().map(|(key, value)| (key, plain(value))).collect(),
        other => other,
    }
}

fn projects() -> impl Strategy<Value = Vec<Document>> {
    let columns = proptest::collection::vec("[a-z]{1,4}|\\PC{1,4}", 1..3);
    let fields = proptest::collection::vec((texts(), values()), 0..4);
    (texts(), texts(), texts(), columns, fields, proptest::option::of(texts())).prop_map(
        |(path, query, description, key, fields, condition)| {
            let fields: Value = fields.into_iter().map(|(key, value)| (key, plain(value))).collect();
            let mut mapping = json!({ "model": "m", "destination": "d", "mode": "mirror", "fields": fields });
            if let Some(condition) = condition {
                mapping["where"] = plain(condition.into());
            }
            vec![
                document(Part::Source, "s", json!({ "type": "sqlite", "path": plain(path.into()) })),
                document(
                    Part::Model,
                    "m",
                    json!({ "source": "s", "key": key, "description": plain(description.into()), "query": query }),
                ),
                document(Part::Destination, "d", json!({ "type": "file", "folder": "x" })),
                document(Part::Mapping, "m", mapping),
            ]
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_written_is_read_as_the_same_documents(documents in projects()) {
        let folder = tempfile::tempdir().unwrap();
        pull(folder.path(), &documents, false);
        let read = read(folder.path());
        for (read, written) in read.iter().zip(&documents) {
            prop_assert_eq!(normal(read), normal(written));
        }
        prop_assert_eq!(read.len(), documents.len());
        prop_assert_eq!(pull(folder.path(), &documents, true), []);
    }
}
