//! Braze: what cases cannot say, and whole syncs into its simulator.

use std::sync::Arc;
use std::time::Duration;

use kit::simulator::{SimulatorServer, SimulatorSettings};
use kit::testing::conformance::{self, Subject};
use kit::testing::{Received, Reply, Server, TestClock, batch, load_all, load_plan, payload};
use kit::{ChoiceQuery, DeliveryError, Destination, Fate, LoadPlan, MappingSettings, Wire};
use mapping::SyncMode;
use records::{Outcome, OutcomeKind};
use serde_json::{Value, json};

fn connect(url: &str) -> Arc<dyn Destination> {
    let settings = json!({ "api_key": "rest-key-0123", "app_id": "app-1", "connection": { "endpoint": url } });
    destinations::connect("braze", &settings, &Value::Null).unwrap()
}

fn wire(destination: &Arc<dyn Destination>) -> Wire {
    Wire::open(destination.wire_settings(), TestClock::new()).unwrap()
}

async fn tool(own: Value, settings: Value) -> SimulatorServer {
    let settings = SimulatorSettings::read(&settings).unwrap();
    SimulatorServer::start(0, settings, move || destinations::simulator("braze", &own).unwrap()).await.unwrap()
}

fn order(index: u64, products: usize) -> records::Value {
    let products: Vec<_> =
        (0..products).map(|number| json!({ "product_id": format!("p{number}"), "price": 1 })).collect();
    json!({ "external_id": format!("u{index}"), "time": "2024-06-10T08:30:00Z", "products": products }).into()
}

fn carried(request: &Received) -> usize {
    ["attributes", "events", "purchases"].iter().filter_map(|kind| request.json()[kind].as_array().map(Vec::len)).sum()
}

#[tokio::test]
async fn braze_conforms() {
    let subject = Subject {
        connect: Box::new(connect),
        action: "trackEvent2".to_owned(),
        mode: SyncMode::Add,
        fields: Box::new(|index| {
            json!({ "external_id": format!("u{index}"), "name": "seen", "time": "2024-06-10T08:30:00Z" }).into()
        }),
        accept: Arc::new(|request| {
            Reply::json(201, &json!({ "message": "success", "events_processed": carried(request) }))
        }),
        count: Box::new(carried),
        secrets: vec!["rest-key-0123".to_owned()],
        empty_is_fine: false,
    };
    assert_eq!(conformance::check(&subject).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_time_when_a_limit_ends_is_waited_for() {
    // 42 seconds after the test's clock begins.
    let server = Server::start(|_| Reply::status(429).with_header("x-ratelimit-reset", "1767225642")).await.unwrap();
    let braze = connect(&server.url());
    let call = batch("trackPurchase2", SyncMode::Add, vec![payload(0, order(0, 1))]);
    let error = braze.deliver(&call, &wire(&braze)).await.unwrap_err();
    assert_eq!(error, DeliveryError::RateLimited { after: Some(Duration::from_secs(42)) });
}

fn kinds(outcomes: &[Outcome]) -> Vec<OutcomeKind> {
    outcomes.iter().map(Outcome::kind).collect()
}

#[tokio::test]
async fn orders_of_many_products_are_spread_over_requests() {
    use OutcomeKind::{Delivered, InDoubt, Rejected, Retry};
    let accept = |request: &Received| {
        Reply::json(201, &json!({ "message": "success", "purchases_processed": carried(request) }))
    };
    let orders = || [40, 35, 76, 30, 45, 1].iter().zip(0..).map(|(count, index)| payload(index, order(index, *count)));
    let call = batch("trackPurchase2", SyncMode::Add, orders().collect());

    let server = Server::start(move |request| accept(request)).await.unwrap();
    let braze = connect(&server.url());
    let outcomes = braze.deliver(&call, &wire(&braze)).await.unwrap();
    assert_eq!(kinds(&outcomes), [Delivered, Delivered, Rejected, Delivered, Delivered, Delivered]);
    assert_eq!(server.received().iter().map(carried).collect::<Vec<_>>(), [75, 75, 1]);

    for (reply, second) in [(Reply::status(429), Retry), (Reply::Drop, InDoubt), (Reply::status(401), Retry)] {
        let server = Server::start(move |request| if request.number == 1 { reply.clone() } else { accept(request) })
            .await
            .unwrap();
        let braze = connect(&server.url());
        let outcomes = braze.deliver(&call, &wire(&braze)).await.unwrap();
        // What comes after a failure is not sent.
        assert_eq!(kinds(&outcomes), [Delivered, Delivered, Rejected, second, second, Retry]);
        assert_eq!(server.received().len(), 2);
    }
    let server = Server::start(|_| Reply::status(429)).await.unwrap();
    let braze = connect(&server.url());
    assert!(matches!(braze.deliver(&call, &wire(&braze)).await, Err(DeliveryError::RateLimited { .. })));
    assert_eq!(kit::preview_requests(braze.as_ref(), &wire(&braze), &call).await.unwrap().len(), 3);
}

async fn all_choices(braze: &Arc<dyn Destination>, mut query: ChoiceQuery) -> Vec<String> {
    let mut values = Vec::new();
    loop {
        let page = braze.choices(&query, &wire(braze)).await.unwrap();
        values.extend(page.choices.into_iter().map(|choice| choice.value));
        query.page = page.next;
        if query.page.is_none() {
            return values;
        }
    }
}

fn query(action: &str, field: &str) -> ChoiceQuery {
    ChoiceQuery { action: action.to_owned(), field: field.to_owned(), ..ChoiceQuery::default() }
}

#[tokio::test]
async fn campaigns_canvases_and_catalogs_are_offered_whole() {
    let own =
        json!({ "campaigns": 230, "canvases": 100, "catalogs": { "shop": { "name": "string", "price": "number" } } });
    let tool = tool(own, Value::Null).await;
    let braze = connect(&tool.url());
    let campaigns = all_choices(&braze, query("triggerCampaign", "campaign_id")).await;
    assert_eq!((campaigns.len(), campaigns[229].as_str()), (230, "campaigns-229"));
    assert_eq!(all_choices(&braze, query("triggerCanvas", "canvas_id")).await.len(), 100);
    let searched = ChoiceQuery {
        search: Some("N 22".to_owned()),
        page: Some("2".to_owned()),
        ..query("triggerCampaign", "campaign_id")
    };
    assert_eq!(all_choices(&braze, searched).await.len(), 10);
    let catalogs =
        ChoiceQuery { hook: Some("onMappingSave".to_owned()), ..query("upsertCatalogItem", "selected_catalog_name") };
    assert_eq!(all_choices(&braze, catalogs).await, ["shop"]);
    let keys = |catalog: &str| ChoiceQuery {
        fields: json!({ "onMappingSave": { "outputs": { "catalog_name": catalog } } }).into(),
        ..query("upsertCatalogItem", "item.__keys__")
    };
    assert_eq!(all_choices(&braze, keys("shop")).await, ["name", "price"]);
    let error = braze.choices(&keys("gone"), &wire(&braze)).await.unwrap_err();
    assert_eq!(error.to_string(), "Braze has no catalog `gone`");
    assert_eq!(all_choices(&braze, query("trackEvent2", "name")).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_hook_takes_or_makes_a_catalog_that_is_then_filled() {
    let tool = tool(Value::Null, Value::Null).await;
    let braze = connect(&tool.url());
    let save = async |inputs: Value| {
        let outputs = braze.save_mapping("upsertCatalogItem", "onMappingSave", &inputs.into(), &wire(&braze)).await;
        outputs.map(|outputs| Value::from(&outputs))
    };
    let making = json!({
        "operation": "create", "created_catalog_name": "shop", "description": "What we sell",
        "columns": [{ "name": "id", "type": "string" }, { "name": "name", "type": "string", "more": 1 }],
    });
    assert_eq!(save(making.clone()).await, Ok(json!({ "catalog_name": "shop" })));
    let taken = DeliveryError::Refused {
        code: "catalog-name-already-exists".to_owned(),
        message: "A catalog with that name already exists".to_owned(),
    };
    assert_eq!(save(making).await, Err(taken));
    let chosen = save(json!({ "operation": "select", "selected_catalog_name": "shop" })).await.unwrap();

    let settings = Arc::new(MappingSettings {
        hook_outputs: [("onMappingSave".to_owned(), chosen.into())].into_iter().collect(),
        ..MappingSettings::default()
    });
    let plan = |mode, batching| LoadPlan {
        settings: Arc::clone(&settings),
        batching,
        ..load_plan(Arc::clone(&braze), wire(&braze), "upsertCatalogItem", mode)
    };
    let item =
        |index: u64| payload(index, json!({ "item_id": format!("sku-{index}"), "item": { "name": "Lamp" } }).into());
    let (fates, _) = load_all(&plan(SyncMode::Upsert, true), (0..120).map(item).collect()).await;
    assert!(fates.iter().all(|fate| fate.outcome.is_delivered()));
    assert_eq!(tool.held()["catalogs"]["shop"].as_object().unwrap().len(), 120);
    assert_eq!(tool.held()["catalogs"]["shop"]["sku-7"], json!({ "id": "sku-7", "name": "Lamp" }));

    // A deletion may come twice; the second finds nothing, and that is as it should be.
    for batching in [true, false, false] {
        let (fates, _) = load_all(&plan(SyncMode::Delete, batching), (0..3).map(item).collect()).await;
        assert!(fates.iter().all(|fate| fate.outcome.is_delivered()), "{fates:?}");
    }
    assert_eq!(tool.held()["catalogs"]["shop"].as_object().unwrap().len(), 117);

    // Where some are refused, those alone are.
    tool.change(&json!({ "refuse": [{ "field": "id", "equals": "sku-50" }] })).unwrap();
    let (fates, _) = load_all(&plan(SyncMode::Upsert, true), (40..60).map(item).collect()).await;
    let rejected: Vec<_> = fates.iter().filter(|fate| !fate.outcome.is_delivered()).map(|fate| fate.index).collect();
    assert_eq!(rejected, [50]);
}

/// Loads as many records as fit seven requests.
async fn load_profiles(tool: &SimulatorServer) -> Vec<Fate> {
    let braze = connect(&tool.url());
    let plan = load_plan(Arc::clone(&braze), wire(&braze), "updateUserProfile", SyncMode::Upsert);
    let profile = |index: u64| {
        let fields =
            json!({ "external_id": format!("u{index}"), "first_name": "Ada", "custom_attributes": { "rank": index } });
        payload(index, fields.into())
    };
    let (fates, result) = load_all(&plan, (0..500).map(profile).collect()).await;
    assert_eq!(result, Ok(()));
    fates
}

#[tokio::test]
async fn five_hundred_profiles_arrive_with_seven_requests() {
    let tool = tool(json!({ "api_key": "rest-key-0123" }), Value::Null).await;
    let fates = load_profiles(&tool).await;
    assert!(fates.iter().all(|fate| fate.outcome.is_delivered()));
    let held = tool.held();
    assert_eq!(held["users"].as_object().unwrap().len(), 500);
    assert_eq!(held["users"]["external_id u499"], json!({ "external_id": "u499", "first_name": "Ada", "rank": 499 }));
    assert_eq!(tool.counts().0, 7);
}

#[tokio::test]
async fn exactly_the_refused_profiles_are_rejected() {
    let tool = tool(Value::Null, json!({ "refuse_percent": 5, "refuse_message": "'rank' is not valid" })).await;
    let fates = load_profiles(&tool).await;
    let users = tool.held()["users"].as_object().unwrap().clone();
    let refused = fates.iter().filter(|fate| !fate.outcome.is_delivered()).count();
    assert!((5..60).contains(&refused), "{refused}");
    for fate in fates {
        let held = users.contains_key(&format!("external_id u{}", fate.index));
        let due = if held { Outcome::Delivered } else { Outcome::rejected("BAD_REQUEST", "'rank' is not valid") };
        assert_eq!(fate.outcome, due);
    }
}

#[tokio::test]
async fn aliases_and_identified_users_are_told_one_by_one() {
    let tool = tool(Value::Null, json!({ "refuse": [{ "field": "alias_name", "equals": "a7" }] })).await;
    let braze = connect(&tool.url());
    let load = async |action: &str, fields: fn(u64) -> Value| {
        let plan = load_plan(Arc::clone(&braze), wire(&braze), action, SyncMode::Add);
        let (fates, _) = load_all(&plan, (0..60).map(|index| payload(index, fields(index).into())).collect()).await;
        fates.iter().filter(|fate| !fate.outcome.is_delivered()).map(|fate| fate.index).collect::<Vec<_>>()
    };
    let made = load("createAlias2", |index| json!({ "alias_name": format!("a{index}"), "alias_label": "crm" })).await;
    assert_eq!(made, [7]);
    let identified = load("identifyUser2", |index| {
        let alias = json!({ "alias_name": format!("a{index}"), "alias_label": "crm" });
        json!({ "external_id": format!("u{index}"), "user_alias": alias, "merge_behavior": "merge" })
    });
    assert_eq!(identified.await, [7]);
    let held = tool.held();
    assert_eq!(held["users"].as_object().unwrap().len(), 59);
    assert_eq!(held["aliases"]["alias crm a3"], "external_id u3");
}

#[tokio::test]
async fn a_key_is_checked_without_changing_anything() {
    let tool = tool(json!({ "api_key": "rest-key-0123" }), Value::Null).await;
    let braze = connect(&tool.url());
    assert_eq!(braze.check(&wire(&braze)).await.unwrap(), "https://rest.iad-01.braze.com accepts the key");
    tool.change(&json!({ "credentials": { "bearer": "another" } })).unwrap();
    assert!(matches!(braze.check(&wire(&braze)).await, Err(DeliveryError::CredentialsRefused { .. })));

    // A key that may only read catalogs is a good key too.
    let server = Server::start(|request| match request.target.as_str() {
        "/catalogs" => Reply::json(200, &json!({ "catalogs": [], "message": "success" })),
        _ => Reply::json(401, &json!({ "message": "Invalid API key" })),
    });
    let server = server.await.unwrap();
    let braze = connect(&server.url());
    assert!(braze.check(&wire(&braze)).await.is_ok());
}
