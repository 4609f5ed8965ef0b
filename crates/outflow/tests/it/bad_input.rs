//! Each kind of bad input, and what a person is told about it.

use super::support::{Project, Reply, Sink};

/// Runs a command on the small project with some files in other words; what is printed must hold each of `expected`.
#[track_caller]
fn check(files: &[(&str, &str)], words: &[&str], exit: i32, expected: &[&str]) {
    let sink = Sink::start();
    let project = Project::new(&sink);
    files.iter().for_each(|(path, text)| project.write(path, text));
    expect(&project, words, exit, expected);
}

#[track_caller]
fn expect(project: &Project, words: &[&str], exit: i32, expected: &[&str]) {
    let run = project.run(words);
    let all = format!("{}{}", run.out, run.err);
    for text in expected {
        assert!(all.contains(text), "`{text}` is not in:\n{all}");
    }
    assert_eq!(run.exit, exit, "{all}");
}

#[test]
fn an_unknown_key() {
    check(
        &[("sources/shop.yaml", "type: sqlite\npath: shop.db\nreadonly: true\n")],
        &["check"],
        1,
        &[
            "sources/shop.yaml:3:1\n  readonly: the key `readonly` is not known; it must be one of `type`, `description`, `path`",
        ],
    );
}

#[test]
fn a_wrong_type() {
    check(
        &[("outflow.yaml", "version: 1\nsettings: {memory: lots}\n")],
        &["sync", "--all"],
        1,
        &["outflow.yaml:2:20\n  settings.memory: `lots` is not a size; write it as `512MiB`"],
    );
}

#[test]
fn a_missing_variable() {
    check(
        &[("sources/shop.yaml", "type: sqlite\npath: ${env:SHOP_DB}\n")],
        &["check"],
        1,
        &["sources/shop.yaml:2:7\n  path: the environment variable `SHOP_DB` is not set"],
    );
}

#[test]
fn a_field_that_the_action_does_not_have() {
    let mapping = "model: customers\ndestination: crm\nmode: mirror\nfields:\n  boby: {a: 1}\n";
    check(
        &[("mappings/customers.yaml", mapping)],
        &["check"],
        1,
        &["mappings/customers.yaml:5:3: `fields.boby`: the action `request` has no field `boby`; did you mean `body`?"],
    );
}

#[test]
fn a_mistake_in_the_mapping_language() {
    let mapping =
        "model: customers\ndestination: crm\nmode: mirror\nfields:\n  body:\n    email: {\"@pth\": \"$.x\"}\n";
    check(&[("mappings/customers.yaml", mapping)], &["check"], 1, &["mappings/customers.yaml:6:", "@pth"]);
}

#[test]
fn a_column_that_the_model_does_not_have() {
    check(
        &[("models/customers.sql", "-- source: shop\n-- key: id\nselect id, email from customers\n")],
        &["check"],
        1,
        &[
            "mappings/customers.yaml:10:13: `fields.body.plan.@path`: ",
            "it reads the column `plan`, which the model `customers` does not have; it must be one of `id`, `email`",
        ],
    );
}

#[test]
fn a_query_error() {
    check(
        &[("models/customers.sql", "-- source: shop\n-- key: id\nselect id,\n  emial\nfrom customers\n")],
        &["check"],
        1,
        &["models/customers.sql:1:1: `query`: the query failed: no such column: emial"],
    );
}

#[test]
fn a_model_that_writes() {
    check(
        &[("models/customers.sql", "-- source: shop\n-- key: id\ndelete from customers\n")],
        &["check"],
        1,
        &["models/customers.sql:3:1: the model is refused"],
    );
}

#[test]
fn a_key_column_that_is_not_there() {
    check(
        &[("models/customers.sql", "-- source: shop\n-- key: customer_id\nselect id, email, plan from customers\n")],
        &["check"],
        1,
        &[
            "models/customers.sql:2:4: `key`: the key column `customer_id` is not in the model's result; it has `id`, `email`, \
             `plan`",
        ],
    );
    check(
        &[("models/customers.sql", "-- source: shop\n-- key: customer_id\nselect id, email, plan from customers\n")],
        &["sync", "--all"],
        1,
        &["the key column `customer_id` is not in the model's result"],
    );
}

#[test]
fn keys_that_stand_twice_or_are_null() {
    let sink = Sink::start();
    let project = Project::new(&sink);
    let query = "-- source: shop\n-- key: id\nselect nullif(id, 3) as id, email, plan from customers\n\
                 union all select 2, 'again@example.com', 'pro'\n";
    project.write("models/customers.sql", query);
    expect(
        &project,
        &["sync", "customers"],
        3,
        &[
            "the key 2 stands more than once",
            "again@example.com",
            "alan@example.com",
            "a part of the key is null",
            "1 delivered",
        ],
    );
}

#[test]
fn a_number_that_json_does_not_have() {
    check(
        &[(
            "models/customers.sql",
            "-- source: shop\n-- key: id\nselect id, email, case id when 2 then 9e999 else id * 0.5 end as plan from customers\n",
        )],
        &["sync", "customers"],
        3,
        &["1 rejected", "column `plan`", "cannot be sent: JSON has no such number", "2 delivered"],
    );
}

#[test]
fn a_database_that_is_not_there() {
    check(
        &[("sources/shop.yaml", "type: sqlite\npath: nowhere.db\n")],
        &["check"],
        1,
        &["sources/shop.yaml:1:1: ", "nowhere.db"],
    );
    check(
        &[("sources/shop.yaml", "type: postgres\nhost: 127.0.0.1\nport: 1\nuser: u\npassword: hidden-word\n")],
        &["check"],
        1,
        &["cannot reach 127.0.0.1:"],
    );
}

#[test]
fn a_destination_that_is_not_there() {
    check(
        &[("destinations/crm.yaml", "type: http\nbase_url: http://127.0.0.1:1\n")],
        &["check"],
        1,
        &["destinations/crm.yaml:1:1: cannot reach the destination"],
    );
    let sink = Sink::start();
    let project = Project::new(&sink);
    project.write("destinations/crm.yaml", "type: http\nbase_url: http://127.0.0.1:1\n");
    let run = project.run(&["sync", "customers"]);
    assert!(matches!(run.exit, 1 | 3), "{}{}", run.out, run.err);
    assert!(run.out.contains("cannot reach") || run.out.contains("unreachable"), "{}", run.out);
    let status = project.json(&["status"]);
    assert_ne!(status["mappings"][0]["records"], 3, "nothing is claimed to be there");
}

#[track_caller]
fn answered(reply: impl Fn() -> Reply + Send + Sync + 'static, exits: &[i32], expected: &str) {
    let sink = Sink::answering(move |_| reply());
    let project = Project::new(&sink);
    let run = project.run(&["sync", "customers"]);
    assert!(exits.contains(&run.exit), "{}{}", run.out, run.err);
    assert!(run.out.contains(expected), "{}{}", run.out, run.err);
    assert!(!run.out.contains("3 delivered"), "{}", run.out);
}

#[test]
fn an_answer_that_is_a_page() {
    let page = || Reply { status: 200, kind: "text/html", body: "<html>Sign in</html>".to_owned(), missing: 0 };
    answered(page, &[1, 3], "HTML");
}

#[test]
fn an_answer_that_is_cut_short() {
    let cut = || Reply { status: 200, kind: "application/json", body: "{\"results\":[".to_owned(), missing: 40 };
    answered(cut, &[1, 3], "3 in doubt");
}

#[test]
fn credentials_that_are_refused() {
    answered(|| Reply::json(401, &serde_json::json!({ "message": "no" })), &[1], "refused the credentials");
}

#[test]
fn a_checkpoint_that_was_cut_short() {
    let sink = Sink::start();
    let project = Project::new(&sink);
    assert_eq!(project.run(&["sync", "customers"]).exit, 0);
    let manifest = ".outflow/mappings/customers/checkpoint/manifest.json";
    let text = project.read(manifest);
    project.write(manifest, &text[..text.len() / 2]);
    sink.requests();
    expect(&project, &["sync", "customers"], 1, &["manifest.json"]);
    assert!(sink.requests().is_empty(), "nothing is sent on a guess");
}

#[test]
fn a_checkpoint_of_a_newer_version() {
    let sink = Sink::start();
    let project = Project::new(&sink);
    assert_eq!(project.run(&["sync", "customers"]).exit, 0);
    let manifest = ".outflow/mappings/customers/checkpoint/manifest.json";
    project.write(manifest, &project.read(manifest).replace("\"format\": 1", "\"format\": 99"));
    expect(&project, &["sync", "customers"], 1, &["has format 99, this program knows up to 1; update Outflow"]);
}

#[test]
fn more_disk_than_is_allowed() {
    check(
        &[("outflow.yaml", "version: 1\nsettings: {disk: 100}\n")],
        &["sync", "customers"],
        1,
        &["comparing needs more than 100 bytes on disk", "raise the limit or free the disk"],
    );
}

#[test]
fn text_that_is_not_utf8() {
    let sink = Sink::start();
    let project = Project::new(&sink);
    project.sql("update customers set email = cast(x'ff41' as text) where id = 2");
    let run = project.run(&["sync", "customers"]);
    assert_ne!(run.exit, 0, "{}{}", run.out, run.err);
    assert!(run.out.contains("column `email`"), "{}{}", run.out, run.err);
}
