//! A project's life, as a person sees it.

use super::support::{Project, Sink};

#[test]
fn a_project_from_its_first_sync_to_a_replay() {
    let sink = Sink::start();
    let project = Project::new(&sink);
    let mut story = String::new();
    let mut tell = |words: &[&str]| story.push_str(&project.transcript(words));

    tell(&["check"]);
    tell(&["preview", "customers", "--rows", "2"]);
    tell(&["plan", "--samples", "1"]);
    assert!(sink.requests().is_empty(), "a plan sends nothing");
    tell(&["status"]);
    tell(&["sync", "--all"]);
    assert_eq!(sink.records().len(), 3);
    tell(&["sync", "customers"]);
    assert!(sink.requests().is_empty(), "what did not change is not sent");

    project.sql(
        "update customers set plan = 'business' where id = 2; delete from customers where id = 3;
                 insert into customers values (4, 'barbara@example.com', null);",
    );
    tell(&["plan", "customers"]);
    tell(&["sync", "customers"]);
    let events: Vec<String> =
        sink.records().iter().map(|record| format!("{} {}", record["id"], record["event"])).collect();
    assert_eq!(events, ["2 \"updated\"", "3 \"deleted\"", "4 \"new\""]);
    tell(&["trace", "customers", "2"]);

    tell(&["reset", "customers", "--key", "1"]);
    tell(&["sync", "customers"]);
    assert_eq!(sink.records().len(), 1);
    project.sql("update customers set plan = 'free'");
    tell(&["baseline", "customers"]);
    tell(&["sync", "customers"]);
    assert!(sink.requests().is_empty(), "a baseline adopts without sending");
    tell(&["status"]);
    insta::assert_snapshot!(story);
}

#[test]
fn a_replay_sends_the_records_of_a_sync_again() {
    let sink = Sink::start();
    let project = Project::new(&sink);
    let first = project.json(&["sync", "customers"]);
    assert_eq!(sink.records().len(), 3);
    let id = first["syncs"][0]["sync"].as_str().unwrap().to_owned();
    // The id is normalised in what the test reads, so the history is asked for the real one.
    assert!(id.starts_with("sync_"), "{id}");
    let folder = project.path().join(".outflow/mappings/customers/syncs");
    let real = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
    project.sql("update customers set plan = 'basic' where id = 1");
    let run = project.run(&["replay", &real]);
    assert_eq!(run.exit, 0, "{}{}", run.out, run.err);
    let plans: Vec<_> = sink.records().iter().map(|record| record["plan"].to_string()).collect();
    assert_eq!(plans, ["\"basic\"", "\"free\"", "\"pro\""], "with the newest values");
    let run = project.run(&["replay", "yesterday"]);
    assert_eq!(run.exit, 1);
    assert!(run.err.starts_with("error: cannot replay `yesterday`\n"), "{}", run.err);
}

#[test]
fn a_new_project_works_as_it_stands() {
    let project = Project::empty();
    let mut story = String::new();
    for words in [&["init"][..], &["check"], &["sync", "--all"], &["sync", "--all"], &["init"]] {
        story.push_str(&project.transcript(words));
    }
    insta::assert_snapshot!(story);
}

#[test]
fn the_demo_ends_with_an_endpoint_that_equals_the_models() {
    let project = Project::empty();
    let run = project.run(&["demo", "--customers", "200"]);
    assert_eq!(run.exit, 0, "{}{}", run.out, run.err);
    assert_eq!(run.out.matches("✓ equal").count(), 2, "{}", run.out);
    let again = project.json(&["demo", "--customers", "50"]);
    assert_eq!(again["equal"], true);
    project.write("kept/notes.txt", "mine");
    let run = project.run(&["demo", "--dir", "kept"]);
    assert_eq!(run.exit, 1);
    assert_eq!(
        run.err,
        "error: `kept` is not empty, and no earlier demo made it\nhint: give another folder: `outflow demo --dir DIR`\n"
    );
    assert_eq!(project.read("kept/notes.txt"), "mine");
}
