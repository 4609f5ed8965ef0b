//! Syncs that wait for a person, and syncs of which only a part arrives.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::Command,
    sync::{Mutex, mpsc},
};

use serde_json::{Value, json};

use super::support::{Project, Reply, Sink};

#[test]
fn an_empty_result_is_held_until_a_person_says_yes() {
    let sink = Sink::start();
    let project = Project::new(&sink);
    assert_eq!(project.run(&["sync", "customers"]).exit, 0);
    sink.requests();
    project.sql("delete from customers");
    let plan = project.run(&["plan", "customers"]);
    assert_eq!(plan.exit, 4, "{}{}", plan.out, plan.err);
    let held = project.run(&["sync", "customers"]);
    assert_eq!(held.exit, 4, "{}{}", held.out, held.err);
    assert!(held.out.contains("the model's result is empty, and the destination holds 3 records"), "{}", held.out);
    assert!(held.out.contains("release it with `outflow sync customers --yes`"), "{}", held.out);
    assert!(sink.requests().is_empty());
    let released = project.run(&["sync", "customers", "--yes"]);
    assert_eq!(released.exit, 0, "{}{}", released.out, released.err);
    assert_eq!(sink.records().len(), 3);
}

#[test]
fn an_edited_mapping_is_held_and_can_be_adopted() {
    let sink = Sink::start();
    let project = Project::new(&sink);
    let mapping = project.read("mappings/customers.yaml");
    let fewer = mapping.replace("    plan: { \"@path\": \"$.properties.plan\" }\n", "");
    project.write("mappings/customers.yaml", &fewer);
    assert_eq!(project.run(&["sync", "customers"]).exit, 0);
    sink.requests();
    project.write("mappings/customers.yaml", &mapping);
    let held = project.run(&["sync", "customers"]);
    assert_eq!(held.exit, 4, "{}{}", held.out, held.err);
    assert!(held.out.contains("the mapping was edited (columns now used: `plan`"), "{}", held.out);
    assert!(held.out.contains("which touches 3 records"), "{}", held.out);
    assert_eq!(project.run(&["baseline", "customers"]).exit, 0);
    assert_eq!(project.run(&["sync", "customers"]).exit, 0);
    assert!(sink.requests().is_empty());
}

#[test]
fn a_refused_record_does_not_spoil_its_neighbours() {
    let sink = Sink::answering(|request| {
        let result = |record: &Value| match record["plan"].as_str() {
            Some("free") => json!({ "error": "free plans are not welcome" }),
            _ => json!({ "status": 200 }),
        };
        Reply::json(200, &json!({ "results": request.records().iter().map(result).collect::<Vec<_>>() }))
    });
    let project = Project::new(&sink);
    let run = project.run(&["sync", "customers"]);
    assert_eq!(run.exit, 3, "{}{}", run.out, run.err);
    insta::assert_snapshot!(run.out);
    let status = project.json(&["status"]);
    assert_eq!(status["mappings"][0]["records"], 2);
    assert_eq!(status["mappings"][0]["last"]["counts"]["rejected"], 1);
    let again = project.json(&["sync", "customers"]);
    assert_eq!(again["syncs"][0]["counts"]["added"], 1, "what was not delivered is found again");
}

#[test]
fn a_saved_plan_is_sent_as_it_was_shown() {
    let sink = Sink::start();
    let project = Project::new(&sink);
    assert_eq!(project.run(&["plan", "--save", "now.plan"]).exit, 0);
    project.sql("update customers set plan = 'later'");
    let run = project.run(&["sync", "--plan", "now.plan"]);
    assert_eq!(run.exit, 0, "{}{}", run.out, run.err);
    assert!(sink.records().iter().all(|record| record["plan"] != "later"));
    let stale = project.run(&["sync", "--plan", "now.plan"]);
    assert_eq!(stale.exit, 1);
    assert!(stale.out.contains("is out of date"), "{}", stale.out);
    let wrong = project.run(&["sync", "--plan", "outflow.yaml"]);
    assert!(wrong.err.starts_with("error: `outflow.yaml` is not a plan"), "{}", wrong.err);
}

#[test]
fn ctrl_c_ends_a_sync_cleanly_with_the_rest_pending() {
    let (arrived, first_arrived) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(Some(released));
    let sink = Sink::answering(move |request| {
        // The first batch is answered only when the test says so; those after it at once.
        if request.method == "POST"
            && let Some(released) = released.lock().unwrap().take()
        {
            arrived.send(()).unwrap();
            released.recv().ok();
        }
        Reply::taken(request)
    });
    let project = Project::new(&sink);
    let destination = project.read("destinations/crm.yaml").replace("records_max: 100", "records_max: 1");
    project.write("destinations/crm.yaml", &format!("{destination}connection: {{limits: {{concurrency: 1}}}}\n"));

    let mut running = project.spawn(&["sync", "customers"]);
    first_arrived.recv().unwrap();
    let killed = Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let mut told = BufReader::new(running.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("ending: ") {
        line.clear();
        assert!(told.read_line(&mut line).unwrap() > 0, "the signal is answered with a word");
    }
    release.send(()).unwrap();
    let mut out = String::new();
    running.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(1), "{out}");
    assert!(out.contains("customers cancelled"), "{out}");
    assert!(out.contains("1 delivered"), "{out}");

    let rest = project.json(&["sync", "customers"]);
    assert_eq!(rest["syncs"][0]["counts"]["unchanged"], 1);
    assert_eq!(rest["syncs"][0]["counts"]["delivered"], 2);
}
