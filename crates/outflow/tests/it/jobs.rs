//! The real program ended by SIGKILL while a job works on at the tool: the next run reads the job's results and sends
//! nothing of it again.

use std::time::Duration;

use kit::simulator::{SimulatorServer, SimulatorSettings};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::support::Project;

const ROWS: usize = 400;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_outlives_the_program_is_not_made_again() {
    let settings = SimulatorSettings::read(&json!({ "latency": { "millis": 400 } })).unwrap();
    let make = || destinations::simulator("salesforce", &Value::Null).unwrap();
    let org = SimulatorServer::start(0, settings, make).await.unwrap();
    let project = project(&org.url());

    let mut child = project.spawn(&["sync", "accounts"]);
    let began = Instant::now();
    let jobs = || org.held()["jobs"].as_array().cloned().unwrap_or_default();
    while !jobs().iter().any(|job| job["state"] != "Open") {
        assert!(began.elapsed() < Duration::from_secs(60), "no job was closed");
        sleep(Duration::from_millis(5)).await;
    }
    // The answer to the request that closed the job is still on its way, and its results are read after it.
    child.kill().unwrap();
    child.wait().unwrap();
    let made = jobs().len();

    org.change(&json!({ "latency": { "millis": 0 } })).unwrap();
    let run = tokio::task::block_in_place(|| project.run(&["sync", "accounts", "--output", "json"]));
    assert_eq!(run.exit, 0, "{}{}", run.out, run.err);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(report["syncs"][0]["counts"]["delivered"], 0, "{report}");
    assert_eq!(jobs().len(), made, "{:?}", jobs());
    assert_eq!(org.held()["records"]["account"].as_array().map(Vec::len), Some(ROWS));
}

fn project(url: &str) -> Project {
    let project = Project::empty();
    project.write("outflow.yaml", "version: 1\nname: crm\n");
    project.write("sources/shop.yaml", "type: sqlite\npath: shop.db\n");
    project.write("models/accounts.sql", "-- source: shop\n-- key: id\nselect id, name from accounts\n");
    project.write(
        "destinations/salesforce.yaml",
        &format!(
            "type: salesforce\ninstanceUrl: https://acme.my.salesforce.com\noauth: {{access_token: token-of-the-org}}\n\
             connection: {{endpoint: \"{url}\"}}\n"
        ),
    );
    project.write(
        "mappings/accounts.yaml",
        r#"model: accounts
destination: salesforce
action: account2
mode: upsert
fields:
  enable_batching: true
  bulkUpsertExternalId:
    externalIdName: Key__c
    externalIdValue: { "@template": "{{properties.id}}" }
  name: { "@path": "$.properties.name" }
"#,
    );
    let rows: Vec<String> = (1..=ROWS).map(|id| format!("({id}, 'Account {id}')")).collect();
    let table = format!(
        "create table accounts (id integer primary key, name text); insert into accounts values {};",
        rows.join(", ")
    );
    tokio::task::block_in_place(|| {
        // The statements run on a runtime of their own.
        std::thread::scope(|scope| scope.spawn(|| project.sql(&table)).join().unwrap());
    });
    project
}
