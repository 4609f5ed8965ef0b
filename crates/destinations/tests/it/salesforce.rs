//! Salesforce against its simulator: whole loads, jobs that outlive the program, choices.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kit::simulator::{SimulatorServer, SimulatorSettings};
use kit::testing::conformance::{self, Subject};
use kit::testing::{Reply, TestClock, batch, load_all, load_plan, payload};
use kit::{Batch, ChoiceQuery, DeliveryError, Destination, Facts, Job, JobLog, LoadPlan, Payload, Wire, WireSettings};
use mapping::SyncMode;
use records::{Operation, Outcome};
use serde_json::{Value, json};
use tokio::sync::Notify;

fn connect(url: &str) -> Arc<dyn Destination> {
    let settings = json!({
        "instanceUrl": "https://acme.my.salesforce.com",
        "oauth": { "access_token": "token-of-the-org" },
        "connection": { "endpoint": url },
    });
    destinations::connect("salesforce", &settings, &Value::Null).unwrap()
}

async fn org(settings: Value) -> SimulatorServer {
    let make = || destinations::simulator("salesforce", &Value::Null).unwrap();
    SimulatorServer::start(0, SimulatorSettings::read(&settings).unwrap(), make).await.unwrap()
}

fn wire(destination: &dyn Destination) -> Wire {
    Wire::open(destination.wire_settings(), TestClock::new()).unwrap()
}

fn plan(server: &SimulatorServer, action: &str, mode: SyncMode) -> LoadPlan {
    let destination = connect(&server.url());
    let wire = wire(destination.as_ref());
    load_plan(destination, wire, action, mode)
}

fn account(index: u64) -> Payload {
    let key = format!("key-{index}");
    let id = json!({ "externalIdName": "Key__c", "externalIdValue": key });
    payload(index, json!({ "name": format!("Account \"{index}\""), "bulkUpsertExternalId": id }).into())
}

fn count(server: &SimulatorServer, object: &str) -> usize {
    server.held()["records"][object].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn five_hundred_records_arrive_once_however_often_they_are_sent() {
    let server = org(Value::Null).await;
    let plan = plan(&server, "account2", SyncMode::Upsert);
    for _ in 0..2 {
        let (fates, result) = load_all(&plan, (0..500).map(account).collect()).await;
        assert_eq!(result, Ok(()));
        assert!(fates.len() == 500 && fates.iter().all(|fate| fate.outcome.is_delivered()));
    }
    assert_eq!(count(&server, "account"), 500);
    assert!(server.counts().0 < 20, "{} requests", server.counts().0);
}

#[tokio::test]
async fn exactly_the_refused_records_are_rejected() {
    let server = org(json!({ "refuse_percent": 5, "refuse_message": "no \"such\" owner" })).await;
    let plan = plan(&server, "account2", SyncMode::Upsert);
    let (fates, result) = load_all(&plan, (0..500).map(account).collect()).await;
    assert_eq!(result, Ok(()));
    let held = server.held();
    let taken: Vec<_> = held["records"]["account"].as_array().unwrap().iter().map(|record| &record["Key__c"]).collect();
    assert!((450..500).contains(&taken.len()), "{}", taken.len());
    for (index, fate) in fates.iter().enumerate() {
        let there = taken.iter().any(|key| **key == json!(format!("key-{index}")));
        let expected = Outcome::rejected("FIELD_CUSTOM_VALIDATION_EXCEPTION", "no \"such\" owner");
        assert_eq!(fate.outcome, if there { Outcome::Delivered } else { expected }, "{index}");
    }
}

#[tokio::test]
async fn a_mirror_deletes_what_it_wrote_with_few_requests() {
    let server = org(Value::Null).await;
    let plan = plan(&server, "account", SyncMode::Mirror);
    let change = |index: u64, operation: &str| {
        let mut payload = account(index);
        let fields = std::mem::take(&mut payload.fields);
        let mut fields = Value::from(&fields);
        fields["operation"] = operation.into();
        payload.operation = if operation == "delete" { Operation::Deleted } else { Operation::Added };
        payload.fields = fields.into();
        payload
    };
    let (fates, _) = load_all(&plan, (0..500).map(|index| change(index, "upsert")).collect()).await;
    assert!(fates.iter().all(|fate| fate.outcome.is_delivered()));
    let before = server.counts().0;
    let mixed = (0..600).map(|index| change(index, if index < 450 { "delete" } else { "upsert" })).collect();
    let (fates, result) = load_all(&plan, mixed).await;
    assert_eq!(result, Ok(()));
    assert!(fates.iter().all(|fate| fate.outcome.is_delivered()));
    assert_eq!(count(&server, "account"), 150);
    assert!(server.counts().0 - before < 25, "{} requests", server.counts().0 - before);
}

#[tokio::test]
async fn single_records_are_found_and_changed() {
    let server = org(json!({ "refuse": [{ "field": "Company", "equals": "Bad" }] })).await;
    let send = async |mode: SyncMode, fields: Value| {
        let plan = LoadPlan { batching: false, ..plan(&server, "lead2", mode) };
        let (fates, _) = load_all(&plan, vec![payload(0, fields.into())]).await;
        fates[0].outcome.clone()
    };
    let lead =
        |company: &str| json!({ "last_name": "O'Neil \\", "company": company, "traits": { "LastName": "O'Neil \\" } });
    assert_eq!(send(SyncMode::Upsert, lead("A")).await, Outcome::Delivered);
    assert_eq!(send(SyncMode::Upsert, lead("B")).await, Outcome::Delivered);
    assert_eq!(server.held()["records"]["lead"][0]["Company"], "B");
    assert_eq!(send(SyncMode::Update, lead("Bad")).await.code(), Some("FIELD_CUSTOM_VALIDATION_EXCEPTION"));
    assert_eq!(send(SyncMode::Add, json!({ "last_name": "X" })).await.code(), Some("REQUIRED_FIELD_MISSING"));
    assert_eq!(send(SyncMode::Delete, lead("B")).await, Outcome::Delivered);
    assert_eq!(send(SyncMode::Delete, lead("B")).await.code(), Some("RECORD_NOT_FOUND"));
    assert_eq!(count(&server, "lead"), 0);
}

/// Keeps the note of a job. What comes after that may fail, or never come, as if the program had ended.
#[derive(Debug, Default)]
struct Notes {
    then: Then,
    noted: Mutex<Option<(Vec<u64>, String)>>,
    told: Notify,
}

#[derive(Debug, Default, PartialEq)]
enum Then {
    #[default]
    GoOn,
    Fail,
    End,
}

#[async_trait]
impl JobLog for Notes {
    async fn started(&self, records: &[u64], token: &str) -> Result<(), String> {
        *self.noted.lock().unwrap() = Some((records.to_vec(), token.to_owned()));
        self.told.notify_one();
        match self.then {
            Then::GoOn => Ok(()),
            Then::Fail => Err("the disk is full".to_owned()),
            Then::End => std::future::pending().await,
        }
    }
}

impl Notes {
    fn job(&self) -> Job {
        let (records, token) = self.noted.lock().unwrap().clone().unwrap();
        Job { action: "account2".to_owned(), token: records::Value::parse(&token).unwrap(), records }
    }
}

/// Ten accounts, of which one cannot be in a job.
fn ten(notes: &Arc<Notes>) -> Batch {
    let mut records: Vec<_> = (0..10).map(account).collect();
    records[3].fields = json!({ "name": "without an id" }).into();
    Batch { jobs: Some(Arc::clone(notes) as Arc<dyn JobLog>), ..batch("account2", SyncMode::Upsert, records) }
}

#[tokio::test]
async fn the_results_of_a_job_are_read_after_the_program_ended() {
    let server = org(json!({ "refuse": [{ "field": "Key__c", "equals": "key-7" }] })).await;
    let destination = connect(&server.url());
    let wire = wire(destination.as_ref());
    let notes = Arc::new(Notes::default());
    let outcomes = destination.deliver(&ten(&notes), &wire).await.unwrap();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_delivered()).count(), 8);
    assert_eq!(
        (outcomes[3].code(), outcomes[7].code()),
        (Some("MISSING_EXTERNAL_ID"), Some("FIELD_CUSTOM_VALIDATION_EXCEPTION"))
    );
    assert_eq!(destination.resume(&notes.job(), &wire).await.unwrap(), outcomes);
    assert_eq!(count(&server, "account"), 8);
}

#[tokio::test]
async fn a_job_that_was_not_closed_is_stopped_after_the_program_ended() {
    let server = org(Value::Null).await;
    let destination = connect(&server.url());
    let wire = wire(destination.as_ref());
    let notes = Arc::new(Notes { then: Then::End, ..Notes::default() });
    let batch = ten(&notes);
    tokio::select! {
        outcomes = destination.deliver(&batch, &wire) => panic!("{outcomes:?}"),
        () = notes.told.notified() => {}
    }
    assert_eq!(server.held()["jobs"][0]["state"], "Open");
    let outcomes = destination.resume(&notes.job(), &wire).await.unwrap();
    assert_eq!(outcomes[3].code(), Some("MISSING_EXTERNAL_ID"));
    assert!(outcomes.iter().enumerate().all(|(place, outcome)| place == 3 || outcome.code() == Some("not_sent")));
    assert_eq!((count(&server, "account"), &server.held()["jobs"][0]["state"]), (0, &json!("Aborted")));
}

#[tokio::test]
async fn a_job_that_could_not_be_noted_never_begins() {
    let server = org(Value::Null).await;
    let destination = connect(&server.url());
    let wire = wire(destination.as_ref());
    let notes = Arc::new(Notes { then: Then::Fail, ..Notes::default() });
    let error = destination.deliver(&ten(&notes), &wire).await.unwrap_err();
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert_eq!((count(&server, "account"), &server.held()["jobs"][0]["state"]), (0, &json!("Aborted")));
}

#[tokio::test]
async fn objects_to_choose_from_are_those_that_can_be_created() {
    let server = org(Value::Null).await;
    let destination = connect(&server.url());
    let wire = wire(destination.as_ref());
    let query = |search: Option<&str>| ChoiceQuery {
        action: "customObject2".to_owned(),
        field: "customObjectName".to_owned(),
        search: search.map(str::to_owned),
        ..ChoiceQuery::default()
    };
    let page = destination.choices(&query(None), &wire).await.unwrap();
    assert_eq!((page.choices.len(), page.next), (5, None));
    let page = destination.choices(&query(Some("opp")), &wire).await.unwrap();
    assert_eq!(page.choices[0].value, "Opportunity");
    assert!(destination.check(&wire).await.unwrap().contains("org 00Dsimulated"));
}

#[test]
fn credentials_go_to_salesforce_only() {
    for wrong in
        ["", "http://acme.my.salesforce.com", "https://salesforce.com.example.com", "https://a.example/.salesforce.com"]
    {
        let settings = json!({ "instanceUrl": wrong, "oauth": { "access_token": "x" } });
        let error = destinations::connect("salesforce", &settings, &Value::Null).unwrap_err();
        assert!(error.to_string().starts_with("`instanceUrl`"), "{wrong}: {error}");
    }
}

/// The destination as it is with batching off.
#[derive(Debug)]
struct OneByOne(Arc<dyn Destination>, Facts);

#[async_trait]
impl Destination for OneByOne {
    fn facts(&self) -> &Facts {
        &self.1
    }

    fn wire_settings(&self) -> WireSettings {
        self.0.wire_settings()
    }

    async fn check(&self, wire: &Wire) -> Result<String, DeliveryError> {
        self.0.check(wire).await
    }

    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let single = Batch { batching: false, records: batch.records.clone(), ..batch.head() };
        self.0.deliver(&single, wire).await
    }
}

#[tokio::test]
async fn single_requests_conform() {
    let subject = Subject {
        connect: Box::new(|url| {
            let destination = connect(url);
            let mut facts = destination.facts().clone();
            facts.actions.iter_mut().for_each(|action| action.batch.records_max = 1);
            Arc::new(OneByOne(destination, facts))
        }),
        action: "cases2".to_owned(),
        mode: SyncMode::Add,
        fields: Box::new(|index| json!({ "description": format!("case {index}") }).into()),
        accept: Arc::new(|_| Reply::json(201, &json!({ "id": "500A", "success": true, "errors": [] }))),
        count: Box::new(|_| 1),
        secrets: vec!["token-of-the-org".to_owned()],
        empty_is_fine: false,
    };
    assert_eq!(conformance::check(&subject).await, Vec::<String>::new());
}
