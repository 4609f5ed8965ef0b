//! Previews of actions that look something up before they write: they show the request that writes, as it would be,
//! and change nothing.

use kit::testing::{TestClock, batch, payload};
use kit::{Batch, DeliveryError, Exchange, Wire, preview_requests};
use mapping::SyncMode;
use serde_json::{Value, json};

use crate::round_trip::Simulated;

async fn simulated(slug: &'static str) -> Simulated {
    let mut settings = json!({ "oauth": { "access_token": "token-word-1" } });
    match slug {
        "salesforce" => settings["instanceUrl"] = json!("https://acme.my.salesforce.com"),
        "klaviyo" => settings = json!({ "api_key": "pk_word1234" }),
        _ => {}
    }
    Simulated::start(slug, settings.clone(), settings, Value::Null).await
}

/// What writes, in the order in which it would be sent. Whatever comes before it is looked up for real.
struct Shown {
    looked_up: usize,
    written: Vec<Exchange>,
}

impl Shown {
    fn of(exchanges: Vec<Exchange>) -> Self {
        let (looked_up, written): (Vec<_>, Vec<_>) = exchanges.into_iter().partition(|one| one.status.is_some());
        Self { looked_up: looked_up.len(), written }
    }

    /// The method and path of each.
    fn written(&self) -> Vec<String> {
        let path = |url: &str| url.splitn(4, '/').nth(3).unwrap_or_default().to_owned();
        self.written.iter().map(|one| format!("{} /{}", one.method, path(&one.url))).collect()
    }

    fn body(&self) -> Value {
        let last = self.written.last().map(|one| one.request_body.as_str()).unwrap_or_default();
        serde_json::from_str(last).unwrap_or_default()
    }
}

/// Without lists of nothing, which a simulator may begin when it is asked.
fn filled(mut held: Value) -> Value {
    if let Value::Object(map) = &mut held {
        map.values_mut().for_each(|below| *below = filled(below.take()));
        map.retain(|_, below| *below != json!([]));
    }
    held
}

impl Simulated {
    async fn preview(&self, action: &str, mode: SyncMode, batching: bool, fields: Value) -> Shown {
        let batch = Batch { batching, ..batch(action, mode, vec![payload(0, fields.into())]) };
        let (held, requests) = (filled(self.server.held()), self.server.counts().0);
        let shown = preview_requests(self.destination.as_ref(), &self.wire, &batch).await.unwrap();
        let shown = Shown::of(shown);
        assert_eq!(filled(self.server.held()), held, "{action}: a preview changes nothing");
        let sent = self.server.counts().0 - requests;
        assert_eq!(usize::try_from(sent).unwrap(), shown.looked_up, "{action}: what is sent is shown as such");
        shown
    }

    async fn delivered(&self, action: &str, batching: bool, fields: Value) {
        let fates = self.load(action, batching, [fields]).await;
        assert!(fates[0].outcome.is_delivered(), "{action}: {:?}", fates[0].outcome);
    }
}

#[tokio::test]
async fn hubspot_companies_are_created_or_updated_as_they_are_there_or_not() {
    let hubspot = simulated("hubspot").await;
    let company = json!({ "groupid": "g1", "associateContact": false, "createNewCompany": true, "name": "Acme" });
    let shown = hubspot.preview("upsertCompany", SyncMode::Upsert, true, company.clone()).await;
    assert_eq!(shown.written(), ["POST /crm/v3/objects/companies/batch/create"]);
    hubspot.delivered("upsertCompany", true, company.clone()).await;
    let shown = hubspot.preview("upsertCompany", SyncMode::Upsert, true, company.clone()).await;
    assert_eq!(shown.written(), ["POST /crm/v3/objects/companies/batch/update"]);
    let id = shown.body()["inputs"][0]["id"].clone();
    assert_eq!(id, hubspot.server.held()["objects"]["records"]["companies"][0]["id"]);

    let searched = json!({ "groupid": "g2", "associateContact": false, "createNewCompany": true, "companysearchfields": { "name": "Acme" } });
    let shown = hubspot.preview("upsertCompany", SyncMode::Upsert, true, searched).await;
    let path = format!("PATCH /crm/v3/objects/companies/{}", id.as_str().unwrap());
    assert_eq!((shown.looked_up, shown.written()), (2, vec![path]));
    // With batching off the first request writes.
    let shown = hubspot.preview("upsertCompany", SyncMode::Upsert, false, company).await;
    let path = "PATCH /crm/v3/objects/companies/g1?idProperty=segment_group_id";
    assert_eq!((shown.looked_up, shown.written()), (0, vec![path.to_owned()]));
}

#[tokio::test]
async fn hubspot_contacts_and_records_of_other_objects_are_looked_up() {
    let hubspot = simulated("hubspot").await;
    let contact = json!({ "email": "ada@example.com", "firstname": "Ada" });
    let deal = json!({ "objectType": "deals", "customObjectSearchFields": { "dealname": "d1" }, "properties": { "dealname": "d1" } });
    for (batching, endings) in [(true, ["batch/create", "batch/update"]), (false, ["deals", "deals/"])] {
        let shown = hubspot.preview("upsertCustomObjectRecord", SyncMode::Upsert, batching, deal.clone()).await;
        assert!(shown.looked_up > 0 && shown.written().len() == 1);
        if batching {
            assert!(shown.written()[0].ends_with(endings[0]), "{:?}", shown.written());
            hubspot.delivered("upsertCustomObjectRecord", true, deal.clone()).await;
        }
        let shown = hubspot.preview("upsertCustomObjectRecord", SyncMode::Upsert, batching, deal.clone()).await;
        assert!(shown.written()[0].contains(endings[1]), "{:?}", shown.written());
    }
    let shown = hubspot.preview("upsertContact", SyncMode::Upsert, true, contact.clone()).await;
    assert_eq!((shown.looked_up, shown.written()), (1, vec!["POST /crm/v3/objects/contacts/batch/create".to_owned()]));
    hubspot.delivered("upsertContact", true, contact.clone()).await;
    let shown = hubspot.preview("upsertContact", SyncMode::Upsert, true, contact).await;
    assert_eq!((shown.looked_up, shown.written()), (1, vec!["POST /crm/v3/objects/contacts/batch/update".to_owned()]));
}

#[tokio::test]
async fn hubspot_objects_are_shown_with_what_would_be_created_for_them() {
    let hubspot = simulated("hubspot").await;
    let mut object = json!({
        "object_details": { "object_type": "contact", "id_field_name": "email", "id_field_value": "ada@example.com" },
        "association_sync_mode": "upsert",
        "properties": { "firstname": "Ada" },
    });
    let upserted = "POST /crm/v3/objects/contact/batch/upsert".to_owned();
    let shown = hubspot.preview("upsertObject", SyncMode::Upsert, true, object.clone()).await;
    assert_eq!((shown.looked_up, shown.written()), (1, vec![upserted.clone()]));
    let shown = hubspot.preview("upsertObject", SyncMode::Add, true, object.clone()).await;
    assert_eq!(shown.written(), ["POST /crm/v3/objects/contact/batch/create"]);
    // There is no such record to update.
    let shown = hubspot.preview("upsertObject", SyncMode::Update, true, object.clone()).await;
    assert_eq!(shown.written(), Vec::<String>::new());
    hubspot.delivered("upsertObject", true, object.clone()).await;
    let shown = hubspot.preview("upsertObject", SyncMode::Update, true, object.clone()).await;
    assert_eq!(shown.written(), ["POST /crm/v3/objects/contact/batch/update"]);

    // What HubSpot lacks would be created first; that it is not, is not remembered as if it were.
    object["object_details"]["property_group"] = json!("contactinformation");
    object["properties"]["score_of_ours"] = json!(5);
    object["list_details"] = json!({ "connected_to_engage_audience": false, "list_name": "Best", "list_action": true, "should_create_list": true });
    for _ in 0..2 {
        let shown = hubspot.preview("upsertObject", SyncMode::Upsert, true, object.clone()).await;
        let created = ["POST /crm/v3/properties/contact/batch/create", "POST /crm/v3/lists"].map(str::to_owned);
        assert_eq!(shown.written(), [&created[..], std::slice::from_ref(&upserted)].concat());
    }
    hubspot.delivered("upsertObject", true, object.clone()).await;
    let shown = hubspot.preview("upsertObject", SyncMode::Upsert, true, object).await;
    assert_eq!(shown.written(), [upserted]);
}

#[tokio::test]
async fn hubspot_events_are_shown_with_their_definition() {
    let hubspot = simulated("hubspot").await;
    let event = json!({ "event_name": "Paid", "record_details": { "object_type": "contact", "utk": "u1" }, "properties": { "amount": 5 } });
    let shown = hubspot.preview("customEvent", SyncMode::Upsert, true, event.clone()).await;
    assert_eq!(shown.written(), ["POST /events/v3/event-definitions", "POST /events/v3/send/batch"]);
    hubspot.delivered("customEvent", true, event.clone()).await;
    let shown = hubspot.preview("customEvent", SyncMode::Update, true, event).await;
    assert_eq!(shown.written(), ["POST /events/v3/send/batch"]);
}

#[tokio::test]
async fn intercom_contacts_are_searched_for() {
    let intercom = simulated("intercom").await;
    let contact = json!({ "role": "user", "external_id": "u1", "email": "ada@example.com", "name": "Ada" });
    let shown = intercom.preview("identifyContact", SyncMode::Upsert, false, contact.clone()).await;
    assert_eq!((shown.looked_up, shown.written()), (1, vec!["POST /contacts".to_owned()]));
    intercom.delivered("identifyContact", false, contact.clone()).await;
    let shown = intercom.preview("identifyContact", SyncMode::Upsert, false, contact).await;
    let id = intercom.server.held()["contacts"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!((shown.looked_up, shown.written()), (1, vec![format!("PUT /contacts/{id}")]));
    let company = json!({ "company_id": "g1", "external_id": "u1", "name": "Acme" });
    let shown = intercom.preview("groupIdentifyContact", SyncMode::Upsert, false, company).await;
    assert_eq!((shown.looked_up, shown.written()), (1, vec!["POST /companies".to_owned()]));
}

#[tokio::test]
async fn salesforce_records_are_found_by_their_traits() {
    let salesforce = simulated("salesforce").await;
    let lead = json!({ "last_name": "Lovelace", "company": "Analytical", "traits": { "LastName": "Lovelace" } });
    let shown = salesforce.preview("lead2", SyncMode::Upsert, false, lead.clone()).await;
    assert_eq!((shown.looked_up, shown.written().len()), (1, 1));
    assert!(shown.written()[0].starts_with("POST ") && shown.written()[0].ends_with("/sobjects/Lead"));
    // There is no such lead to update.
    let shown = salesforce.preview("lead2", SyncMode::Update, false, lead.clone()).await;
    assert_eq!((shown.looked_up, shown.written().len()), (1, 0));
    salesforce.delivered("lead2", false, lead.clone()).await;
    let id = salesforce.server.held()["records"]["lead"][0]["Id"].as_str().unwrap().to_owned();
    for (mode, method) in [(SyncMode::Update, "PATCH "), (SyncMode::Delete, "DELETE ")] {
        let shown = salesforce.preview("lead2", mode, false, lead.clone()).await;
        let written = &shown.written()[0];
        assert!(written.starts_with(method) && written.ends_with(&format!("/sobjects/Lead/{id}")), "{written}");
    }
    let deleted = json!({ "operation": "delete", "last_name": "Lovelace", "traits": { "LastName": "Lovelace" } });
    let shown = salesforce.preview("lead", SyncMode::Mirror, true, deleted).await;
    let written = &shown.written()[0];
    assert!(written.starts_with("DELETE ") && written.contains(&id), "{written}");
}

#[tokio::test]
async fn klaviyo_profiles_are_searched_for_before_they_are_taken_off_a_list() {
    let klaviyo = simulated("klaviyo").await;
    let inputs = json!({ "list_name": "VIPs" }).into();
    let list = klaviyo.destination.save_mapping("upsertProfile", "retlOnMappingSave", &inputs, &klaviyo.wire);
    let list = list.await.unwrap().get("id").and_then(records::Value::as_str).unwrap_or_default().to_owned();
    let profile = json!({ "email": "ada@example.com", "list_id": list });
    let shown = klaviyo.preview("removeProfile", SyncMode::Delete, true, profile.clone()).await;
    assert!(shown.looked_up > 0 && shown.written.is_empty(), "nobody is there to be taken off");
    for batching in [true, false] {
        // The first request of these writes.
        let shown = klaviyo.preview("addProfileToList", SyncMode::Upsert, batching, profile.clone()).await;
        assert_eq!((shown.looked_up, shown.written.len()), (0, 1), "{batching}");
    }
    klaviyo.delivered("addProfileToList", false, profile.clone()).await;
    let shown = klaviyo.preview("removeProfile", SyncMode::Delete, true, profile).await;
    assert!(shown.looked_up > 0);
    assert_eq!(shown.written(), [format!("DELETE /api/lists/{list}/relationships/profiles/")]);
    assert_eq!(shown.body()["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_lookup_that_fails_is_told() {
    let intercom = simulated("intercom").await;
    intercom.server.change(&json!({ "credentials": { "bearer": "another" } })).unwrap();
    let contact = json!({ "role": "user", "external_id": "u1" });
    let batch = batch("identifyContact", SyncMode::Upsert, vec![payload(0, contact.into())]);
    let error = preview_requests(intercom.destination.as_ref(), &intercom.wire, &batch).await.unwrap_err();
    assert!(matches!(error, DeliveryError::CredentialsRefused { .. }), "{error}");
}

#[tokio::test]
async fn a_preview_is_divided_as_a_load_by_the_mappings_own_limits_and_keys() {
    let settings = json!({});
    let destination = destinations::connect("webhook", &settings, &Value::Null).unwrap();
    let wire = Wire::open(destination.wire_settings(), TestClock::new()).unwrap();
    let record = |index: u64, list: &str| {
        payload(
            index,
            json!({ "url": "https://receiver.example/", "method": "POST", "headers": { "list": list }, "data": {} })
                .into(),
        )
    };
    let batch = batch("send", SyncMode::Upsert, vec![record(0, "a"), record(1, "a"), record(2, "b")]);
    let by_headers = ["headers".to_owned()];
    let two = Some(kit::BatchLimits { records_max: 2, bytes_max: usize::MAX });
    let one = Some(kit::BatchLimits { records_max: 1, bytes_max: usize::MAX });
    for (own, keys, requests) in
        [(None, &[][..], 1), (None, &by_headers[..], 2), (two, &[][..], 2), (one, &by_headers[..], 3)]
    {
        let shown = kit::preview_divided(destination.as_ref(), &wire, &batch, (own, keys)).await.unwrap();
        assert_eq!(shown.len(), requests);
    }
}
