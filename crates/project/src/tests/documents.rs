//! Definitions that come as JSON documents: the same project, its problems without places in files.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use jiff::Timestamp;
use kit::{TokenStore, Tokens};
use records::Clock;
use serde_json::{Value, json};

use super::{connectors::forms, seals::FakeSeal};
use crate::{Allowed, Document, Known, Part, Project, Reach, Settings, Wiring};

fn settings() -> Settings {
    Settings {
        name: "server".to_owned(),
        folder: "/srv".into(),
        data: "/srv/data".into(),
        memory_bytes: 1,
        disk_bytes: 1,
        history_days: None,
        history_bytes: None,
    }
}

fn document(part: Part, name: &str, json: Value) -> Document {
    Document { part, name: name.to_owned(), json }
}

fn closure() -> Vec<Document> {
    vec![
        document(Part::Source, "shop", json!({ "type": "postgres", "host": "db", "password": "pass word" })),
        document(Part::Model, "people", json!({ "source": "shop", "key": ["id"], "query": "select '${env:X}'" })),
        document(
            Part::Destination,
            "crm",
            json!({ "type": "crm", "url": "https://crm.example.com", "api_key": "abcd" }),
        ),
        document(
            Part::Mapping,
            "people",
            json!({
                "model": "people",
                "destination": "crm",
                "action": "upsert",
                "mode": "upsert",
                "fields": { "email": { "@path": "$.properties.email" } },
                "schedule": { "after": "another" },
            }),
        ),
    ]
}

fn variables(name: &str) -> Option<String> {
    ["KEY", "SHOP_KEY", "OTHER"].contains(&name).then(|| format!("value of {name}"))
}

fn read(documents: &[Document], allowed: &Allowed, folder: &Path) -> Result<Project, String> {
    let seal = FakeSeal::new(1);
    let reach = Reach { folder, variables: &variables, allowed: Some(allowed), seal: Some(&seal) };
    Project::from_documents(settings(), documents, reach, &forms())
        .map_err(|problems| problems.iter().map(|problem| format!("{problem}\n")).collect())
}

/// The closure with other JSON of some documents, and what is said about it.
#[track_caller]
fn check(changed: &[(Part, Value)], expected: &str) {
    let mut documents = closure();
    for (part, json) in changed {
        documents
            .iter_mut()
            .filter(|document| document.part == *part)
            .for_each(|document| document.json = json.clone());
    }
    let found = read(&documents, &Allowed::default(), Path::new("/")).err().unwrap_or_else(|| "nothing".to_owned());
    assert_eq!(found.trim_end(), expected);
}

#[derive(Debug)]
struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

#[derive(Debug)]
struct NoTokens;

#[async_trait::async_trait]
impl TokenStore for NoTokens {
    async fn load(&self) -> std::io::Result<Option<Tokens>> {
        Ok(None)
    }

    async fn save(&self, _tokens: &Tokens) -> std::io::Result<()> {
        Ok(())
    }
}

fn wiring(project: &Project) -> Wiring<'_> {
    Wiring::new(project, Arc::new(|_| Arc::new(NoTokens)), Arc::new(StoppedClock))
}

#[tokio::test]
async fn the_documents_of_one_mapping_are_wired_as_files_are() {
    let forms = forms();
    let seal = FakeSeal::new(1);
    let sealed =
        |document: Document| Document { json: forms.seal_document(&document, &seal, None).unwrap(), ..document };
    let documents: Vec<Document> = closure().into_iter().map(sealed).collect();
    assert!(!format!("{documents:?}").contains("pass word"));
    let project = read(&documents, &Allowed::default(), Path::new("/")).unwrap();
    let mapping = wiring(&project).mapping("people").unwrap();
    assert_eq!(mapping.action, "upsert");
    // A query is taken as it stands.
    assert_eq!(mapping.model.query, "select '${env:X}'");
    let shown = mapping.model.source.check().await.unwrap();
    assert_eq!(shown, r#"{"host":"db","password":"pass word"}"#);
    let reached = mapping.connection.destination.check(&mapping.connection.wire).await.unwrap();
    assert!(reached.contains("abcd"), "{reached}");
    assert_eq!(project.secrets.hide("a pass word, abcd"), "a [secret], [secret]");
}

#[test]
fn problems_name_the_document_and_the_field() {
    check(
        &[
            (
                Part::Mapping,
                json!({ "model": "people", "destination": "crm", "fields": {}, "guards": { "on_edit": "no" } }),
            ),
            (Part::Source, json!({ "type": "postgres", "port": "x" })),
        ],
        "mappings/people: `guards.on_edit`: `no` is not known; it must be one of `hold`, `allow`\n\
         sources/shop: `port`: it must be a whole number, not the text `x`",
    );
    check(
        &[(Part::Mapping, json!({ "model": "persons", "destination": "crm", "fields": {} }))],
        "mappings/people: `model`: there is no model `persons`; there is only `people`",
    );
    check(
        &[(Part::Model, json!({ "source": "shop", "key": "id", "file": "/etc/passwd" }))],
        "models/people: `file`: a file cannot be named here; give the SQL as `query`",
    );
    let json = json!({ "model": "people", "destination": "crm", "fields": {}, "schedule": { "at": "25:00" } });
    check(
        &[(Part::Mapping, json)],
        "mappings/people: `schedule.at`: `25:00` is not a time of day; write it as `09:30`, from `00:00` to `23:59`",
    );
}

#[test]
fn what_a_source_says_about_a_query_is_told_at_its_place_within_the_query() {
    let project = read(&closure(), &Allowed::default(), Path::new("/")).unwrap();
    let place = kit::Place { line: 3, column: 7 };
    let problem = project.models[0].query_problem(Some(place), "no such table");
    assert_eq!(problem.to_string(), "models/people:3:7: `query`: no such table");
}

#[test]
fn variables_and_files_are_read_only_where_the_server_allows_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir(root.join("secrets")).unwrap();
    std::fs::write(root.join("secrets/key"), "from a file\n").unwrap();
    std::fs::write(root.join("other"), "not for all").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(root.join("other"), root.join("secrets/link")).unwrap();
    let names = ["KEY".to_owned(), "SHOP_*".to_owned()];
    let allowed = Allowed::new(&names, &["secrets".into()], root).unwrap();
    let key = |text: &str| {
        let mut documents = closure();
        documents[2].json["api_key"] = json!(text);
        read(&documents, &allowed, root).map(|project| project.destinations[0].settings["api_key"].clone())
    };
    assert_eq!(key("${env:KEY}").unwrap(), "value of KEY");
    assert_eq!(key("${env:SHOP_KEY}").unwrap(), "value of SHOP_KEY");
    assert_eq!(key("${file:secrets/key}").unwrap(), "from a file");
    assert_eq!(
        key("${env:OTHER}").unwrap_err(),
        "destinations/crm: `api_key`: the server does not let definitions read the environment variable `OTHER`; start it \
         with `--allow-env OTHER` to allow it, or write the value itself, which is then kept encrypted\n"
    );
    for refused in [
        "other",
        "secrets/../other",
        "/etc/passwd",
        #[cfg(unix)]
        "secrets/link",
    ] {
        let found = key(&format!("${{file:{refused}}}")).unwrap_err();
        assert!(found.contains(&format!("the server does not let definitions read the file `{refused}`")), "{found}");
    }
    assert!(key("${file:secrets/none}").unwrap_err().contains("cannot be read"));
    let seal = FakeSeal::new(1);
    let mut document = closure().remove(2);
    document.json["api_key"] = json!("a ${env:KEY} b $${c}");
    let sealed = forms().seal_document(&document, &seal, None).unwrap();
    assert_eq!(key(sealed["api_key"].as_str().unwrap()).unwrap(), "a value of KEY b ${c}");
}

#[test]
fn names_that_cannot_be_allowed_are_refused() {
    for wrong in ["*", "", "A=B", "A*B"] {
        assert!(Allowed::new(&[wrong.to_owned()], &[], Path::new("/")).is_err(), "{wrong}");
    }
}

/// What is there beside the document that is looked at.
struct There(BTreeMap<&'static str, Vec<&'static str>>);

impl Known for There {
    fn names(&self, part: Part) -> Vec<&str> {
        match part {
            Part::Source => vec!["shop"],
            Part::Model => vec!["people"],
            Part::Destination => vec!["crm"],
            Part::Mapping => self.0.keys().copied().collect(),
        }
    }

    fn awaited(&self, mapping: &str) -> Vec<&str> {
        self.0.get(mapping).cloned().unwrap_or_default()
    }
}

#[track_caller]
fn check_one(part: Part, name: &str, json: Value, expected: &str) {
    let there = There([("first", vec!["second"]), ("second", vec!["third"]), ("third", vec![])].into());
    let found = forms().check_document(&document(part, name, json), &there).err();
    let told = found.map_or("nothing".to_owned(), |problems| {
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    });
    assert_eq!(told, expected);
}

#[test]
fn one_document_is_looked_at_while_it_is_written() {
    let json = json!({ "type": "postgres", "port": "${env:PORT}", "password": "${kept}", "extracts_max": 2 });
    check_one(Part::Source, "shop", json, "nothing");
    check_one(
        Part::Mapping,
        "new one",
        json!({ "model": "persons", "destination": "crm", "fields": {}, "mode": "upset" }),
        "mappings/new one: `new one` is not a name; use letters, digits, `_` and `-`, and begin with a letter or digit\n\
         mappings/new one: `mode`: `upset` is not known; did you mean `upsert`?\n\
         mappings/new one: `model`: there is no model `persons`; there is only `people`",
    );
    check_one(
        Part::Model,
        "people",
        json!({ "source": "shop", "key": "id" }),
        "models/people: `query`: it is missing; give the SQL",
    );
    check_one(
        Part::Source,
        "shop",
        json!({ "type": "sqlite", "path": "x", "outcomes_table": "a.b.c" }),
        "sources/shop: `outcomes_table`: `a.b.c` names no table; write `name` or `schema.name`, each of letters, digits and \
         `_`, at most 40 of them",
    );
}

#[test]
fn mappings_do_not_wait_for_each_other_in_a_circle() {
    let after =
        |names: Value| json!({ "model": "people", "destination": "crm", "fields": {}, "schedule": { "after": names } });
    check_one(Part::Mapping, "new", after(json!(["first", "third"])), "nothing");
    check_one(
        Part::Mapping,
        "new",
        after(json!(["first", "forth"])),
        "mappings/new: `schedule.after[1]`: there is no mapping `forth`; it must be one of `first`, `second`, `third`",
    );
    check_one(
        Part::Mapping,
        "third",
        after(json!("first")),
        "mappings/third: `schedule.after`: it waits for `first`, which waits for `second`, which waits for `third`: none of \
         them would ever start",
    );
    check_one(
        Part::Mapping,
        "new",
        after(json!(["new"])),
        "mappings/new: `schedule.after`: it waits for itself, and so would never start",
    );
}
