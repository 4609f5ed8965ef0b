//! `outflow test` and `outflow hook` against simulated tools.

use kit::simulator::{SimulatorServer, SimulatorSettings};
use serde_json::{Value, json};

use super::support::{Project, Sink};

/// A simulated tool that listens beside the program.
struct Tool {
    server: SimulatorServer,
    _runtime: tokio::runtime::Runtime,
}

impl Tool {
    fn start(slug: &'static str, own: Value, settings: &Value) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let settings = SimulatorSettings::read(settings).unwrap();
        let make = move || destinations::simulator(slug, &own).unwrap();
        let server = runtime.block_on(SimulatorServer::start(0, settings, make)).unwrap();
        Self { server, _runtime: runtime }
    }
}

/// Three customers who are contacts of Intercom; a contact needs an email.
fn intercom(settings: &Value) -> (Tool, Project) {
    let tool = Tool::start("intercom", Value::Null, settings);
    let project = Project::new(&Sink::start());
    let destination = format!(
        "type: intercom\noauth: {{access_token: token-word-1}}\nconnection: {{endpoint: \"{}\"}}\n",
        tool.server.url()
    );
    project.write("destinations/crm.yaml", &destination);
    project.write(
        "mappings/customers.yaml",
        "model: customers
destination: crm
action: identifyContact
mode: upsert
where: properties.plan = \"pro\"
fields:
  role: user
  external_id: { \"@path\": \"$.properties.id\" }
  email: { \"@path\": \"$.properties.email\" }
",
    );
    project
        .sql("insert into customers values (4, 'no address', 'pro'); update customers set plan = 'free' where id = 1;");
    (tool, project)
}

#[test]
fn a_record_is_shown_from_its_event_to_the_request_and_nothing_changes() {
    let (tool, project) = intercom(&json!({}));
    let held = tool.server.held();
    let run = project.run(&["test", "customers"]);
    assert_eq!(run.exit, 0, "{}{}", run.out, run.err);
    // The condition leaves 1 and 2 out.
    for part in ["customers 3", "as added", "\"event\": \"new\"", "payload", "looked up", "/contacts/search"] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    let (_, sent) = run.out.split_once("would be sent").unwrap();
    assert!(sent.contains("POST http://127.0.0.1:PORT/contacts\n"), "{sent}");
    assert!(sent.contains("\"email\": \"grace@example.com\"") && sent.contains("[secret]"), "{sent}");
    assert!(!run.out.contains("token-word-1"));

    let shown = project.json(&["test", "customers", "--key", "3", "--as", "updated"]);
    assert_eq!((&shown["key"], &shown["operation"]), (&json!("3"), &json!("updated")));
    assert_eq!(shown["event"]["properties"]["email"], "grace@example.com");
    assert_eq!((&shown["payload"]["is"], &shown["payload"]["fields"]["role"]), (&json!("mapped"), &json!("user")));
    assert_eq!(shown["requests"][1]["method"], "POST");
    assert_eq!((&shown["requests"][1]["status"], &shown["sent"]), (&Value::Null, &Value::Null));
    assert_eq!(tool.server.held(), held);
    assert!(!project.path().join(".outflow").exists());
}

#[test]
fn a_record_that_is_sent_is_delivered_and_the_next_sync_sends_it_again() {
    let (tool, project) = intercom(&json!({}));
    let run = project.run(&["test", "customers", "--send"]);
    assert_eq!(run.exit, 0, "{}{}", run.out, run.err);
    assert!(run.out.contains("\ndelivered\n") && run.out.contains("the next sync sees the record"), "{}", run.out);
    let contacts = tool.server.held()["contacts"].clone();
    assert_eq!((contacts.as_array().unwrap().len(), &contacts[0]["external_id"]), (1, &json!("3")));
    assert!(!project.path().join(".outflow").exists());
    assert_eq!(project.json(&["plan"])["plans"][0]["counts"]["added"], 4);
    // What would be sent now is another request.
    let shown = project.json(&["test", "customers"]);
    assert_eq!(shown["requests"][1]["method"], "PUT");
    let sent = project.json(&["test", "customers", "--send"]);
    assert_eq!((&sent["sent"]["outcome"], &sent["requests"]), (&json!("delivered"), &json!([])));
    assert_eq!(sent["sent"]["exchanges"][1]["status"], 200);
    assert_eq!(tool.server.held()["contacts"].as_array().unwrap().len(), 1);
}

#[test]
fn what_the_tool_refuses_is_told_with_its_answer() {
    let refuse = json!([{ "field": "external_id", "equals": "3", "message": "not this one" }]);
    let (_tool, project) = intercom(&json!({ "refuse": refuse }));
    let run = project.run(&["test", "customers", "--send"]);
    assert_eq!(run.exit, 1, "{}{}", run.out, run.err);
    assert!(run.out.contains("\nrejected") && run.out.contains("not this one"), "{}", run.out);
    let (_tool, project) = intercom(&json!({ "faults": [{ "fault": 503, "every": 1 }] }));
    let run = project.run(&["test", "customers"]);
    assert_eq!(run.exit, 1, "{}", run.out);
    assert!(run.out.contains("No whole request: "), "{}", run.out);
    let sent = project.json(&["test", "customers", "--send"]);
    assert_ne!(sent["sent"]["outcome"], "delivered", "{sent}");
    // A plan is worth having without them.
    let plan = project.json(&["plan"])["plans"][0].clone();
    assert_eq!((&plan["counts"]["added"], &plan["requests"]), (&json!(4), &json!([])));
    assert!(plan["requests_problem"].as_str().unwrap().contains("the destination failed"), "{plan}");
    let run = project.run(&["plan"]);
    assert!(run.exit == 0 && run.out.contains("The requests cannot be shown: "), "{}", run.out);
}

#[test]
fn why_a_record_is_not_sent_is_told() {
    let (tool, project) = intercom(&json!({}));
    let refused = project.run(&["test", "customers", "--key", "4"]);
    assert_eq!(refused.exit, 1);
    assert!(refused.out.contains("    `email`: "), "{}", refused.out);
    let refused = project.json(&["test", "customers", "--key", "4", "--send"]);
    assert_eq!((&refused["payload"]["is"], &refused["payload"]["code"]), (&json!("refused"), &json!("invalid")));
    assert_eq!(refused["payload"]["problems"][0]["field"], "email");
    let left_out = project.run(&["test", "customers", "--key", "1"]);
    assert_eq!(left_out.exit, 0);
    assert!(left_out.out.contains("leaves this record out"), "{}", left_out.out);
    let left_out = project.run(&["test", "customers", "--key", "1", "--send"]);
    assert!(left_out.exit == 1 && left_out.out.contains("Nothing was sent."), "{}", left_out.out);
    assert_eq!(tool.server.counts().0, 0);

    let cases: [(&[&str], &str); 3] = [
        (&["--key", "99"], "the model `customers` has no record with the key `99` (4 rows were read)"),
        (&["--as", "deleted"], "the mapping `customers` does not act on deleted records"),
        (&["--as", "lost"], "invalid value 'lost'"),
    ];
    for (words, expected) in cases {
        let run = project.run(&[&["test", "customers"], words].concat());
        assert_ne!(run.exit, 0, "{words:?}");
        assert!(run.err.contains(expected), "{words:?}: {}", run.err);
    }
    project.sql("update customers set plan = 'free'");
    let run = project.run(&["test", "customers"]);
    assert!(run.err.contains("lets no record through (4 rows were read)"), "{}", run.err);
}

#[test]
fn a_deleted_record_has_its_own_values() {
    let sink = Sink::start();
    let project = Project::new(&sink);
    let shown = project.json(&["test", "customers", "--key", "2", "--as", "deleted"]);
    assert_eq!(shown["payload"]["fields"]["body"]["event"], "deleted");
    assert_eq!(shown["payload"]["fields"]["body"]["email"], "alan@example.com");
    assert_eq!(sink.requests().len(), 0);
    let run = project.run(&["test", "customers", "--key", "2", "--as", "deleted", "--send"]);
    assert_eq!(run.exit, 0, "{}{}", run.out, run.err);
    assert_eq!(sink.records()[0]["event"], "deleted");
}

#[test]
fn reading_ends_when_the_record_is_found() {
    let sink = Sink::start();
    let project = Project::new(&sink);
    // Read to its end this takes many minutes.
    let endless = "with recursive n(id) as (select 1 union all select id + 1 from n limit 4000000000)";
    let query = format!("-- source: shop\n-- key: id\n{endless}\nselect id, 'x' as email, 'pro' as plan from n\n");
    project.write("models/customers.sql", &query);
    assert_eq!(project.json(&["test", "customers"])["key"], "1");
    assert_eq!(project.json(&["test", "customers", "--key", "70000"])["key"], "70000");
}

/// Items of a catalog in Braze that a hook makes.
fn catalog(tool: &Tool) -> Project {
    let project = Project::new(&Sink::start());
    let destination = format!(
        "type: braze\napi_key: rest-key-0123\nendpoint: https://rest.iad-01.braze.com\nconnection: {{endpoint: \"{}\"}}\n",
        tool.server.url()
    );
    project.write("destinations/crm.yaml", &destination);
    project.write(
        "mappings/customers.yaml",
        "# Customers as items of a catalog.
model: customers
destination: crm
action: upsertCatalogItem
mode: upsert
fields:
  item_id:   { '@template': \"c{{properties.id}}\" }  # must be text

  # Made by `outflow hook customers --write`.
  onMappingSave:
    inputs:
      operation: create
      created_catalog_name: customers
      columns:
        - { name: email, type: string }

  item:
    email: { '@path': \"$.properties.email\" }
",
    );
    project
}

#[test]
fn a_hook_makes_a_catalog_and_writes_its_outputs_into_the_mapping() {
    let tool = Tool::start("braze", json!({}), &json!({}));
    let project = catalog(&tool);
    let before = project.read("mappings/customers.yaml");
    let check = project.run(&["check", "--offline"]);
    assert_eq!(check.exit, 1, "{}", check.out);
    assert!(check.out.contains("`fields.onMappingSave`: it has inputs and no outputs yet"), "{}", check.out);
    assert!(check.out.contains("`outflow hook customers --write`"), "{}", check.out);

    let run = project.run(&["hook", "customers", "--write"]);
    assert_eq!(run.exit, 0, "{}{}", run.out, run.err);
    assert!(run.out.contains("outputs:\n  catalog_name: \"customers\"\n"), "{}", run.out);
    let added = "    outputs:\n      catalog_name: \"customers\"\n";
    let last = "        - { name: email, type: string }\n";
    assert_eq!(project.read("mappings/customers.yaml"), before.replace(last, &format!("{last}{added}")));
    let check = project.run(&["check", "--offline"]);
    assert_eq!(check.exit, 0, "{}", check.out);
    let run = project.run(&["test", "customers", "--send"]);
    assert_eq!(run.exit, 0, "{}{}", run.out, run.err);
    assert_eq!(tool.server.held()["catalogs"]["customers"]["c1"]["email"], "ada@example.com");

    // Braze takes a name once; what was written stays.
    let run = project.run(&["hook", "customers", "--write"]);
    assert_eq!(run.exit, 1, "{}", run.out);
    assert!(run.err.contains("the hook `onMappingSave` of `customers` failed"), "{}", run.err);
    let written = project.read("mappings/customers.yaml");
    assert!(written.contains(added));
    let taken =
        written.replace("      operation: create\n", "      operation: select\n      selected_catalog_name: others\n");
    project.write("mappings/customers.yaml", &taken);
    let result = project.json(&["hook", "customers", "onMappingSave", "--write"]);
    assert_eq!((&result["outputs"], &result["written"]), (&json!({ "catalog_name": "others" }), &json!(true)));
    assert_eq!(
        project.read("mappings/customers.yaml"),
        taken.replace("catalog_name: \"customers\"", "catalog_name: \"others\"")
    );
}

#[test]
fn a_list_that_a_hook_made_is_where_the_profiles_go() {
    let tool = Tool::start("klaviyo", json!({ "api_key": "pk_word1234" }), &json!({}));
    let project = Project::new(&Sink::start());
    let url = tool.server.url();
    project.write(
        "destinations/crm.yaml",
        &format!("type: klaviyo\napi_key: pk_word1234\nconnection: {{endpoint: \"{url}\"}}\n"),
    );
    let mapping = "model: customers
destination: crm
action: upsertProfile
mode: upsert
fields:
  retlOnMappingSave:
    inputs: { list_name: VIPs }
  email: { \"@path\": \"$.properties.email\" }
";
    project.write("mappings/customers.yaml", mapping);
    let made = project.json(&["hook", "customers", "--write"]);
    let id = made["outputs"]["id"].as_str().unwrap();
    assert_eq!((&made["outputs"]["name"], &made["hook"]), (&json!("VIPs"), &json!("retlOnMappingSave")));
    let outputs = format!("    outputs:\n      id: \"{id}\"\n      name: \"VIPs\"\n");
    let inputs = "    inputs: { list_name: VIPs }\n";
    assert_eq!(project.read("mappings/customers.yaml"), mapping.replace(inputs, &format!("{inputs}{outputs}")));
    let shown = project.json(&["test", "customers"]);
    assert!(shown["requests"].to_string().contains(id), "{shown}");
}

#[test]
fn without_a_safe_place_for_its_outputs_a_hook_is_not_run() {
    let tool = Tool::start("braze", json!({}), &json!({}));
    let project = catalog(&tool);
    let flow = "model: customers\ndestination: crm\naction: upsertCatalogItem\nmode: upsert\nfields: {item_id: x, onMappingSave: {inputs: {operation: select, selected_catalog_name: a}}}\n";
    project.write("mappings/customers.yaml", flow);
    let run = project.run(&["hook", "customers", "--write"]);
    assert_eq!(run.exit, 1);
    assert_eq!(run.out, "");
    assert!(run.err.contains("not written line by line"), "{}", run.err);
    assert!(run.err.contains("below `fields.onMappingSave` in `mappings/customers.yaml`"), "{}", run.err);
    let told = project.json(&["hook", "customers", "--write"])["error"].to_string();
    assert!(told.contains("not written line by line"), "{told}");
    assert_eq!(project.read("mappings/customers.yaml"), flow);
    let create = flow.replace(
        "operation: select, selected_catalog_name: a",
        "operation: create, created_catalog_name: a, columns: [{name: email, type: string}]",
    );
    project.write("mappings/customers.yaml", &create);
    assert_eq!(project.run(&["hook", "customers", "--write"]).exit, 1);
    assert_eq!(tool.server.counts().0, 0, "nothing was made in the tool");
    // Without --write no place is needed.
    assert_eq!(project.json(&["hook", "customers"])["written"], false);

    // A mapping in the project's own file is written like any other.
    std::fs::remove_file(project.path().join("mappings/customers.yaml")).unwrap();
    let head = "version: 1\nname: shop\nmappings:\n  customers:\n    model: customers\n    destination: crm\n    action: upsertCatalogItem\n    mode: upsert\n    fields:\n      item_id: x\n      onMappingSave:\n        inputs: {operation: select, selected_catalog_name: a}\n";
    project.write("outflow.yaml", head);
    let run = project.run(&["hook", "customers", "--write"]);
    assert_eq!(run.exit, 0, "{}{}", run.out, run.err);
    let expected = format!("{head}        outputs:\n          catalog_name: \"a\"\n");
    assert_eq!(project.read("outflow.yaml"), expected);
}

#[test]
fn wrong_inputs_of_a_hook_are_told_with_their_places() {
    let tool = Tool::start("braze", json!({}), &json!({}));
    let project = catalog(&tool);
    let right = project.read("mappings/customers.yaml");
    let cases = [
        (
            "operation: create",
            "operation: replace",
            "mappings/customers.yaml:12:7\n  fields.onMappingSave.inputs.operation: ",
        ),
        ("created_catalog_name", "created_name", "the hook has no input `created_name`; it must be one of"),
        (
            "created_catalog_name: customers",
            "created_catalog_name: { '@path': \"$.properties.id\" }",
            "cannot read a record",
        ),
        ("    inputs:\n", "    others:\n", "fields.onMappingSave.inputs: it is missing"),
    ];
    for (from, to, expected) in cases {
        project.write("mappings/customers.yaml", &right.replace(from, to));
        let run = project.run(&["hook", "customers"]);
        assert_ne!(run.exit, 0, "{to}: {}", run.out);
        assert!(run.err.contains(expected), "{to}: {}", run.err);
    }
    project.write("mappings/customers.yaml", &right.replace("      created_catalog_name: customers\n", ""));
    let problems = project.json(&["hook", "customers"])["error"]["problems"].clone();
    let fields: Vec<_> = problems.as_array().unwrap().iter().map(|problem| &problem["field"]).collect();
    assert_eq!(fields, ["fields.onMappingSave.inputs.created_catalog_name"]);
    project.write("mappings/customers.yaml", &right);
    let run = project.run(&["hook", "customers", "onSave"]);
    assert_eq!(run.exit, 2);
    assert!(run.err.contains("has no hook `onSave`"), "{}", run.err);
    assert_eq!(tool.server.counts().0, 0);
    let run = Project::new(&Sink::start()).run(&["hook", "customers"]);
    assert!(run.exit == 2 && run.err.contains("has no hooks"), "{}", run.err);
}
