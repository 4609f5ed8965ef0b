//! Project files: what is accepted, and what each mistake is told as.

pub(crate) mod connectors;
mod documents;
pub(crate) mod seals;

use std::path::Path;

use self::connectors::forms;
use super::{GiveUpForm, Node, Part, Project, checking::parse_size, header, located::Place, problem::nearest};

const GOOD: [(&str, &str); 5] = [
    ("outflow.yaml", "version: 1\nname: test\n"),
    ("sources/shop.yaml", "type: sqlite\npath: shop.db\n"),
    ("models/customers.sql", "-- source: shop\n-- key: id\nselect id, email from customers\n"),
    ("destinations/files.yaml", "type: file\nfolder: out\n"),
    (
        "mappings/customers.yaml",
        "model: customers\ndestination: files\nmode: mirror\nfields:\n  id: {\"@path\": \"$.properties.id\"}\n",
    ),
];

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn variables(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some("s3cr3t-token".to_owned()),
        "PORT" => Some("5433".to_owned()),
        "DATABASE_URL" => Some("postgres://ada:pass word@db.example.com/shop".to_owned()),
        _ => None,
    }
}

fn read(files: &[(&str, &str)]) -> Result<Project, String> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &GOOD);
    write(folder.path(), files);
    Project::read(folder.path(), &variables, &forms())
        .map_err(|problems| problems.iter().map(|problem| format!("{problem}\n")).collect())
}

/// The good project with some files in other words, and what is said about it.
#[track_caller]
fn check(files: &[(&str, &str)], expected: &str) {
    let found = read(files).err().unwrap_or_else(|| "nothing\n".to_owned());
    assert_eq!(found.trim_end(), expected.trim_end());
}

#[test]
fn a_good_project_is_read() {
    let project = read(&[]).unwrap();
    assert_eq!(project.settings.name, "test");
    assert_eq!(project.models[0].key, ["id"]);
    assert_eq!(project.models[0].source, "shop");
    assert_eq!(project.mappings[0].form.model, "customers");
    assert_eq!(project.settings.memory_bytes, 512 << 20);
}

#[test]
fn everything_may_stand_in_one_file() {
    let text = "
version: 1
settings: {memory: 64MiB, history: {keep_days: 7, keep_bytes: 2GB}}
sources:
  crm: {type: sqlite, path: crm.db}
models:
  people:
    source: crm
    key: [country, id]
    query: |
      select * from people
destinations:
mappings:
  people: {model: people, destination: files, mode: upsert, fields: {id: 1}}
";
    let project = read(&[("outflow.yaml", text)]).unwrap();
    assert_eq!(project.model("people").unwrap().key, ["country", "id"]);
    assert_eq!(project.model("people").unwrap().query_line, 10);
    assert_eq!(project.settings.memory_bytes, 64 << 20);
    assert_eq!(project.settings.history_bytes, Some(2_000_000_000));
    assert_eq!(project.sources.len(), 2);
}

#[test]
fn an_unknown_key_is_told_with_the_nearest_known_one() {
    let mapping =
        "model: customers\ndestination: files\nmode: mirror\nfields: {id: 1}\nguards:\n  deletion_percent: 5\n";
    check(
        &[("mappings/customers.yaml", mapping)],
        "mappings/customers.yaml:6:3: `guards.deletion_percent`: the key `deletion_percent` is not known; did you mean \
         `deletions_percent`?",
    );
    check(
        &[("outflow.yaml", "version: 1\nmapping: {}\n")],
        "outflow.yaml:2:1: `mapping`: the key `mapping` is not known; did you mean `mappings`?",
    );
    check(
        &[("sources/shop.yaml", "type: sqlite\nfile: shop.db\n")],
        "sources/shop.yaml:1:1: `path`: it is missing: the path of the file\n\
         sources/shop.yaml:2:1: `file`: the key `file` is not known; it must be one of `type`, `description`, `path`, \
         `extracts_max`, `outcomes_table`",
    );
}

#[test]
fn a_wrong_type_is_told_with_the_right_one() {
    let mapping =
        "model: customers\ndestination: files\nmode: mirror\nfields: [1]\nenabled: maybe\nbatch: {records_max: 0}\n";
    check(
        &[("mappings/customers.yaml", mapping)],
        "mappings/customers.yaml:4:9: `fields`: it must be a map, not a list\n\
         mappings/customers.yaml:5:10: `enabled`: it must be true or false, not the text `maybe`\n\
         mappings/customers.yaml:6:22: `batch.records_max`: 0 is too small; it must be at least 1",
    );
    check(
        &[("outflow.yaml", "version: 2\nsettings:\n  memory: lots\n  history: {keep_days: ten}\n")],
        "outflow.yaml:1:10: `version`: 2 is not known; there is only `1`\n\
         outflow.yaml:3:11: `settings.memory`: `lots` is not a size; write it as `512MiB`, `2GB` or a number of bytes\n\
         outflow.yaml:4:24: `settings.history.keep_days`: it must be a whole number, not the text `ten`",
    );
}

#[test]
fn a_word_out_of_a_list_is_told_with_the_list() {
    let mapping = "model: customers\ndestination: files\nmode: mirrored\nfields: {id: 1}\nkeep: all\n";
    check(
        &[("mappings/customers.yaml", mapping)],
        "mappings/customers.yaml:3:7: `mode`: `mirrored` is not known; did you mean `mirror`?\n\
         mappings/customers.yaml:5:7: `keep`: `all` is not known; it must be one of `values`, `keys`",
    );
    check(
        &[("sources/shop.yaml", "type: postgresql\nhost: db\n")],
        "sources/shop.yaml:1:7: `type`: `postgresql` is not known; did you mean `postgres`?",
    );
    check(
        &[("sources/shop.yaml", "path: shop.db\n")],
        "sources/shop.yaml:1:1: `type`: it is missing; it must be one of `postgres`, `sqlite`",
    );
}

#[test]
fn a_name_that_is_not_there_is_told_with_those_that_are() {
    let mapping = "model: customer\ndestination: crm\nmode: mirror\nfields: {id: 1}\n";
    check(
        &[("mappings/customers.yaml", mapping)],
        "mappings/customers.yaml:1:1: `model`: there is no model `customer`; did you mean `customers`?\n\
         mappings/customers.yaml:2:1: `destination`: there is no destination `crm`; there is only `files`",
    );
}

#[test]
fn all_files_are_looked_at_before_anything_is_told() {
    check(
        &[
            ("models/customers.sql", "select 1\n"),
            ("mappings/customers.yaml", "destination: files\nfields: {id: 1}\n"),
            ("destinations/files.yaml", "type: fax\n"),
        ],
        "destinations/files.yaml:1:7: `type`: `fax` is not known; it must be one of `file`, `crm`\n\
         mappings/customers.yaml:1:1: `model`: it is missing: the name of the model whose records it sends\n\
         models/customers.sql:1:1: `source`: the source is missing; the file must begin with comments that name \
         it: `-- source: NAME` and `-- key: COLUMN`",
    );
}

#[test]
fn text_that_is_not_yaml_is_told_with_its_place() {
    let found = read(&[("sources/shop.yaml", "type: sqlite\npath: [shop.db\n")]).unwrap_err();
    assert!(found.starts_with("sources/shop.yaml:"), "{found}");
    let found = read(&[("sources/shop.yaml", "type: sqlite\npath: a\npath: b\n")]).unwrap_err();
    assert!(found.starts_with("sources/shop.yaml:3:1: "), "{found}");
    assert!(found.contains("path"), "{found}");
}

#[test]
fn what_a_server_needs_may_stand_in_files() {
    let project = read(&[
        ("sources/shop.yaml", "type: sqlite\npath: shop.db\nextracts_max: 2\noutcomes_table: audit.outflow\n"),
        (
            "models/customers.sql",
            "-- source: shop\n-- key: id\n-- personal: [email, name]\n-- enabled: false\nselect 1\n",
        ),
        (
            "mappings/customers.yaml",
            "model: customers\ndestination: files\nmode: mirror\nfields: {id: 1}\nschedule: {every: 15m}\n\
             give_up: {after_syncs: 10, after_days: 7}\n",
        ),
        (
            "mappings/later.yaml",
            "model: customers\ndestination: files\nmode: mirror\nfields: {id: 1}\nschedule: {after: customers}\n",
        ),
    ])
    .unwrap();
    let source = &project.sources[0];
    assert_eq!((source.extracts_max, source.outcomes_table.as_deref()), (2, Some("audit.outflow")));
    assert_eq!(source.settings, serde_json::json!({ "path": "shop.db" }));
    assert_eq!(
        (&project.models[0].personal[..], project.models[0].enabled),
        (&["email".into(), "name".into()][..], false)
    );
    let mapping = project.mapping("customers").unwrap();
    assert!(mapping.schedule.is_timed());
    assert_eq!(mapping.form.give_up, GiveUpForm { after_syncs: Some(10), after_days: Some(7) });
    let policy = sync::GiveUp { after_syncs: Some(10), after_days: Some(7) };
    assert_eq!(mapping.form.give_up.policy(), Some(policy));
    assert_eq!(GiveUpForm::default().policy(), None);
    assert_eq!(project.mapping("later").unwrap().schedule.awaited(), ["customers"]);
}

#[test]
fn mistakes_in_a_schedule_are_told_at_their_place() {
    let mapping = |schedule: &str| {
        format!("model: customers\ndestination: files\nmode: mirror\nfields: {{id: 1}}\nschedule: {schedule}\n")
    };
    check(
        &[("mappings/customers.yaml", &mapping("{every: 0s, days: mon}"))],
        "mappings/customers.yaml:5:12: `schedule.every`: `0s` is too short; it must be at least `1s`\n\
         mappings/customers.yaml:5:23: `schedule.days`: it goes with `at`, not with `every`; take it out",
    );
    check(
        &[("mappings/customers.yaml", &mapping("hourly"))],
        "mappings/customers.yaml:5:11: `schedule`: `hourly` is not known; there is only `manual`",
    );
    check(
        &[("mappings/customers.yaml", &mapping("{after: [nobody]}"))],
        "mappings/customers.yaml:5:20: `schedule.after[0]`: there is no mapping `nobody`; there is only `customers`",
    );
    check(
        &[("mappings/a.yaml", &mapping("{after: b}")), ("mappings/b.yaml", &mapping("{after: [customers, a]}"))],
        "mappings/a.yaml:5:12: `schedule.after`: it waits for `b`, which waits for `a`: none of them would ever start",
    );
}

#[test]
fn a_name_may_stand_once() {
    check(
        &[("outflow.yaml", "version: 1\nsources:\n  shop: {type: sqlite, path: other.db}\n")],
        "sources/shop.yaml:1:1: there is a source `shop` in `outflow.yaml` already; give one of them another name",
    );
    check(
        &[("outflow.yaml", "version: 1\nsources:\n  my shop: {type: sqlite, path: other.db}\n")],
        "outflow.yaml:3:3: `sources.my shop`: `my shop` is not a name; use letters, digits, `_` and `-`, and begin with a \
         letter or digit",
    );
}

#[test]
fn variables_and_files_are_filled_in_and_hidden() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &GOOD);
    write(
        folder.path(),
        &[
            (
                "sources/db.yaml",
                "type: postgres\nhost: db\nport: ${env:PORT}\ndatabase: d\nuser: u\npassword: ${file:password}\n",
            ),
            ("sources/other.yaml", "type: postgres\nurl: ${env:DATABASE_URL}\n"),
            ("password", "from a file\n"),
        ],
    );
    let project = Project::read(folder.path(), &variables, &forms()).unwrap();
    let settings = &project.source("db").unwrap().settings;
    assert_eq!(settings["port"], 5433);
    assert_eq!(settings["password"], "from a file");
    let hidden = project.secrets.hide("5433 'from a file' pass word postgres://ada:pass word@db.example.com/shop");
    assert_eq!(hidden, "5433 '[secret]' [secret] [secret]");
}

#[test]
fn a_sign_that_is_meant_as_such_is_written_twice() {
    let mapping = "model: customers\ndestination: files\nmode: mirror\nfields: {a: \"$${env:X}\", b: \"cost $5\"}\n";
    let project = read(&[("mappings/customers.yaml", mapping)]).unwrap();
    assert_eq!(project.mappings[0].form.fields["a"], "${env:X}");
    assert_eq!(project.mappings[0].form.fields["b"], "cost $5");
}

#[test]
fn a_variable_or_file_that_is_not_there_is_told_with_its_place() {
    let found = read(&[(
        "outflow.yaml",
        "version: 1\nsources:\n  db:\n    type: postgres\n    url: ${env:NOWHERE}\n  two:\n    type: postgres\n    url: ${secret:x}\n",
    )])
    .unwrap_err();
    assert_eq!(
        found.trim_end(),
        "outflow.yaml:5:10: `sources.db.url`: the environment variable `NOWHERE` is not set; set it before running outflow\n\
         outflow.yaml:8:10: `sources.two.url`: `${secret:x}` is not understood; write `${env:NAME}` or `${file:PATH}`, or \
         `$${` for the characters themselves"
    );
    let found = read(&[("sources/db.yaml", "type: postgres\nurl: ${file:nowhere.txt}\n")]).unwrap_err();
    assert!(found.starts_with("sources/db.yaml:2:6: `url`: the file `"), "{found}");
    assert!(found.contains("nowhere.txt` cannot be read: "), "{found}");
}

#[test]
fn a_folder_without_a_project_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let problems = Project::read(folder.path(), &variables, &forms()).unwrap_err();
    let found = problems.iter().next().unwrap().to_string();
    assert!(found.starts_with("outflow.yaml: there is no `outflow.yaml` in `"), "{found}");
    assert!(found.ends_with("run `outflow init` to make a project, or name its folder with `--project`"), "{found}");
}

#[test]
fn a_models_header_ends_at_the_first_line_that_is_no_comment() {
    let sql = "-- Who buys.\n-- source: shop\n-- key: [country, id]\n\n-- owner: nobody\nselect 1";
    let node = header::read(sql).unwrap();
    assert_eq!(node.get("key").unwrap().to_json(), serde_json::json!(["country", "id"]));
    assert_eq!(node.entry("source").unwrap().place, Place { line: 2, column: 4 });
    assert!(node.get("owner").is_none());
}

#[test]
fn a_place_is_that_of_the_deepest_part_that_is_there() {
    let node = Node::parse("fields:\n  address:\n    city: x\n  items:\n    - a\n    - b: 1\n").unwrap();
    let at = |path: &str| {
        let Place { line, column } = node.place_of(path);
        (line, column)
    };
    assert_eq!(at("fields.address.city"), (3, 5));
    assert_eq!(at("fields.address.zip"), (2, 3));
    assert_eq!(at("fields.items[1].b"), (6, 7));
    assert_eq!(at(""), (1, 1));
}

#[test]
fn sizes_are_read() {
    let cases =
        [("512MiB", Some(512 << 20)), ("2 GB", Some(2_000_000_000)), ("10", Some(10)), ("-1", None), ("2 GG", None)];
    for (text, size) in cases {
        assert_eq!(parse_size(text), size, "{text}");
    }
}

#[test]
fn a_slip_of_the_pen_is_recognised() {
    assert_eq!(nearest("destinatoin", &["model", "destination"]), Some("destination"));
    assert_eq!(nearest("Model", &["model", "destination"]), Some("model"));
    assert_eq!(nearest("wholly-other", &["model", "destination"]), None);
}

#[test]
fn each_part_has_a_schema_of_its_own() {
    for part in Part::ALL {
        let schema = forms().part_schema(part);
        let name = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/")).unwrap();
        assert!(schema["$defs"][name].is_object(), "{schema}");
    }
}
