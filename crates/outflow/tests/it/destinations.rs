//! `outflow destinations`: what is said of destinations, their pages, recorded cases, what an account has to choose from.

use std::path::{Path, PathBuf};

use kit::simulator::{SimulatorServer, SimulatorSettings};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::support::Project;

/// Those whose page is made from their facts.
fn generated() -> impl Iterator<Item = &'static str> {
    destinations::SLUGS.into_iter().filter(|slug| destinations::texts(slug).is_some())
}

/// The model that the pages speak of.
const CUSTOMERS: &str = "
create table customers (id integer primary key, email text, first_name text, last_name text, phone text, company text,
    plan text, signed_up_at text);
insert into customers values
    (1, 'ada@example.com', 'Ada', 'Lovelace', '+442071838750', 'Engines', 'pro', '2024-02-29T13:14:15Z'),
    (2, 'alan@example.com', 'Alan', 'Turing', '+442071838751', 'Bletchley', 'free', '2024-03-01T08:00:00Z');
";

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// A simulated tool, and the threads it answers on.
struct Tool {
    server: SimulatorServer,
    _runtime: Runtime,
}

fn tool(slug: &'static str, own: Value) -> Tool {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let make = move || destinations::simulator(slug, &own).unwrap();
    let server = runtime.block_on(SimulatorServer::start(0, SimulatorSettings::default(), make)).unwrap();
    Tool { server, _runtime: runtime }
}

#[test]
fn every_destination_is_listed_with_its_actions() {
    let project = Project::empty();
    let listed = project.json(&["destinations", "list"]);
    let listed = listed["destinations"].as_array().unwrap();
    for slug in generated().chain(["http", "file"]) {
        let row = listed.iter().find(|row| row["slug"] == slug).unwrap_or_else(|| panic!("{slug} is missing"));
        assert!(row["actions"].as_u64() > Some(0) && row["description"].as_str() > Some(""), "{row}");
    }
    let braze = listed.iter().find(|row| row["slug"] == "braze").unwrap();
    let facts = destinations::facts("braze").unwrap().unwrap();
    let current = facts.actions.iter().filter(|action| !action.deprecated).count();
    assert!(current < facts.actions.len() && braze["actions"] == current, "old actions are not counted: {braze}");
    assert_eq!(braze["sign_in"], "`api_key`");
    let run = project.run(&["destinations", "list"]);
    assert_eq!(run.exit, 0);
    assert!(run.out.contains("HubSpot") && run.out.contains("sign-in: OAuth 2"), "{}", run.out);
}

#[test]
fn a_destination_is_shown_with_all_that_its_facts_say() {
    let project = Project::empty();
    for slug in destinations::SLUGS {
        let facts = destinations::facts(slug).unwrap().unwrap();
        let run = project.run(&["destinations", "show", slug]);
        assert_eq!((run.exit, run.err.as_str()), (0, ""), "{slug}");
        for setting in &facts.settings {
            assert!(run.out.contains(&format!("\n  {}  ", setting.key)), "{slug}: {}\n{}", setting.key, run.out);
        }
        for action in &facts.actions {
            assert!(run.out.contains(&action.slug), "{slug}: {}\n{}", action.slug, run.out);
            let run = project.run(&["destinations", "show", slug, "--action", &action.slug]);
            for field in &action.fields {
                assert!(run.out.contains(&format!("\n  {}  ", field.key)), "{slug}: {}\n{}", field.key, run.out);
            }
        }
        assert!(run.out.lines().all(|line| !line.ends_with(' ')), "{}", run.out);
    }
    let shown = project.json(&["destinations", "show", "klaviyo"]);
    assert_eq!(shown["destination"]["sign_in"], "`api_key`");
    let action = project.json(&["destinations", "show", "klaviyo", "--action", "upsertProfile"]);
    assert_eq!(action["action"]["hooks"][0]["slug"], "retlOnMappingSave");
    let text = project.run(&["destinations", "show", "klaviyo", "--action", "upsertProfile"]).out;
    for part in ["Hook retlOnMappingSave", "values from the tool", "One of 247 values", "default `$.traits.email`"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn unknown_words_are_answered_with_the_known_ones() {
    let project = Project::empty();
    project.write("outflow.yaml", "version: 1\nname: shop\n");
    project.write("destinations/crm.yaml", "type: braze\napi_key: rest-key-0123\n");
    let cases: [(&[&str], &str); 10] = [
        (&["show", "hubspt"], "there is no destination `hubspt`; did you mean `hubspot`?"),
        (&["show", "hubspot", "--action", "upsertContacts"], "did you mean `upsertContact`?"),
        (&["test", "salesforc", "--cases", "x.json"], "did you mean `salesforce`?"),
        (
            &["choices", "cmr", "triggerCampaign", "campaign_id"],
            "no destination `cmr` in the project; did you mean `crm`?",
        ),
        (&["choices", "crm", "triggerCampain", "campaign_id"], "did you mean `triggerCampaign`?"),
        (
            &["choices", "crm", "triggerCampaign", "campaign"],
            "the action `triggerCampaign` has no field `campaign` whose values the tool knows; there is only `campaign_id`",
        ),
        (
            &["choices", "crm", "trackEvent2", "name"],
            "the action `trackEvent2` has no field whose values the tool knows",
        ),
        (
            &["choices", "crm", "upsertCatalogItem", "selected_catalog_name"],
            "it is an input of a hook: add `--hook onMappingSave`",
        ),
        (&["choices", "crm", "triggerCampaign", "campaign_id", "--hook", "x"], "has no hook `x`; there is none"),
        (&["choices", "crm", "triggerCampaign", "campaign_id", "--fields", "[]"], "`--fields` must be a JSON object"),
    ];
    for (words, expected) in cases {
        let run = project.run(&[&["destinations"], words].concat());
        assert_eq!((run.exit, run.out.as_str()), (2, ""), "{words:?}: {}", run.err);
        assert!(run.err.contains(expected), "{words:?}: {}", run.err);
    }
    let run = project.run(&["destinations", "show", "http", "--markdown"]);
    assert_eq!(run.exit, 1);
    assert!(run.err.contains("docs/destinations/http.md"), "{}", run.err);
}

/// Cases of Slack: one that is right, and one whose recording says something else.
fn slack_cases() -> Value {
    let case = |id: &str, text: &str| {
        let payload = json!({ "url": "https://hooks.slack.com/services/T0/B0/x", "text": text });
        json!({
            "id": id,
            "input": {
                "action": "postToChannel",
                "mapping": { "url": payload["url"], "text": { "@template": "Row {{__segment_id}}" } },
                "records": [{ "__segment_id": "7", "properties": {} }],
            },
            "expected": {
                "mapped": [{ "ok": payload }],
                "performed": [{ "kind": "perform", "payload": payload }],
                "results": [{ "ok": true }],
                "requests": [{
                    "method": "POST",
                    "url": payload["url"],
                    "headers": { "content-type": "application/json" },
                    "body": { "kind": "json", "value": { "text": text } },
                    "response": { "status": 200, "body": "ok" },
                }],
            },
        })
    };
    let cases = [case("slack/right", "Row 7"), case("slack/wrong", "Row 8")];
    json!({ "destination": "slack", "frozenTime": "2024-06-15T12:34:56.789Z", "cases": cases })
}

#[test]
fn recorded_cases_are_run_and_counted() {
    let project = Project::empty();
    project.write("slack.json", &slack_cases().to_string());
    let run = project.run(&["destinations", "test", "slack", "--cases", "slack.json"]);
    assert_eq!((run.exit, run.err.as_str()), (1, ""), "{}", run.out);
    assert!(run.out.starts_with("slack/wrong failed\n  "), "{}", run.out);
    assert!(run.out.contains("Row 8"), "{}", run.out);
    assert!(run.out.ends_with("\n1 passed, 1 failed\n"), "{}", run.out);

    let right = ["destinations", "test", "slack", "--cases", "slack.json", "--case", "slack/right"];
    let run = project.run(&right);
    assert_eq!((run.exit, run.out.as_str()), (0, "1 passed, 0 failed\n"), "{}", run.err);
    let shown = project.json(&right);
    assert_eq!(shown["passed"], 1);
    assert_eq!(shown["cases"], json!([{ "id": "slack/right", "passed": true, "differences": [] }]));
    let run = project.run_with(&["destinations", "test", "slack", "--cases", "-"], &slack_cases().to_string());
    assert!(run.out.ends_with("\n1 passed, 1 failed\n"), "{}", run.out);
}

#[test]
fn what_differs_on_purpose_passes_with_its_reason() {
    let known = destinations::SLUGS.into_iter().find_map(|slug| {
        let facts = destinations::facts(slug)?.ok()?;
        facts.differences.first().map(|difference| (slug, facts.actions[0].slug.clone(), difference.clone()))
    });
    let (slug, action, difference) = known.expect("a destination that does better than a recorded case");
    let case = json!({
        "id": difference.case,
        "input": { "action": action, "auth": { "accessToken": "t" }, "mapping": {}, "records": [] },
        "expected": { "requests": [{
            "method": "GET", "url": "https://example.com/", "body": { "kind": "none" }, "response": { "status": 200 },
        }] },
    });
    let file = json!({ "destination": slug, "frozenTime": "2024-06-15T12:34:56.789Z", "cases": [case] });
    let project = Project::empty();
    project.write("cases.json", &file.to_string());
    let run = project.run(&["destinations", "test", slug, "--cases", "cases.json"]);
    assert_eq!((run.exit, run.err.as_str()), (0, ""), "{}", run.out);
    assert!(run.out.starts_with(&format!("{} differs on purpose\n  note: ", difference.case)), "{}", run.out);
    assert!(run.out.ends_with("\n1 passed, 0 failed\n"), "{}", run.out);
    let shown = project.json(&["destinations", "test", slug, "--cases", "cases.json"]);
    assert_eq!(shown["cases"][0]["on_purpose"], json!(difference.reason));
}

#[test]
fn files_that_are_no_cases_are_told() {
    let project = Project::empty();
    project.write("slack.json", &slack_cases().to_string());
    project.write("broken.json", "{oops");
    project.write("other.json", "{\"cases\": []}");
    let cases: [(&[&str], i32, &str); 5] = [
        (&["slack", "--cases", "gone.json"], 1, "cannot read `gone.json`"),
        (&["slack", "--cases", "broken.json"], 1, "the cases in `broken.json` cannot be run\n"),
        (&["slack", "--cases", "other.json"], 1, "missing field `destination`"),
        (
            &["braze", "--cases", "slack.json"],
            1,
            "the cases are of `slack`, not of `braze`\nhint: outflow destinations test slack --cases slack.json",
        ),
        (&["slack", "--cases", "slack.json", "--case", "slack/rihgt"], 2, "did you mean `slack/right`?"),
    ];
    for (words, exit, expected) in cases {
        let run = project.run(&[&["destinations", "test"], words].concat());
        assert_eq!((run.exit, run.out.as_str()), (exit, ""), "{words:?}: {}", run.err);
        assert!(run.err.contains(expected), "{words:?}: {}", run.err);
    }
}

/// The cases that come with the project's surroundings, where they are.
#[test]
fn all_recorded_cases_pass_on_the_command_line() {
    let project = Project::empty();
    for slug in generated() {
        let file = root(&format!("../shared/conformance/destinations/{slug}.public.json"));
        if !file.exists() {
            continue;
        }
        let run = project.run(&["destinations", "test", slug, "--cases", file.to_str().unwrap()]);
        assert_eq!((run.exit, run.err.as_str()), (0, ""), "{slug}: {}", run.out);
        let last = run.out.lines().last().unwrap();
        assert!(last.ends_with(" passed, 0 failed") && !last.starts_with("0 "), "{slug}: {last}");
    }
}

#[test]
fn what_an_account_has_is_listed_page_by_page() {
    let tool = tool("braze", json!({ "campaigns": 250 }));
    let project = Project::empty();
    project.write("outflow.yaml", "version: 1\nname: shop\n");
    project.write(
        "destinations/messages.yaml",
        &format!("type: braze\napi_key: rest-key-0123\nconnection: {{ endpoint: '{}' }}\n", tool.server.url()),
    );
    let words = ["destinations", "choices", "messages", "triggerCampaign", "campaign_id"];
    let some = project.json(&words);
    assert_eq!((some["choices"].as_array().unwrap().len(), &some["more"]), (200, &json!(true)));
    let all = project.json(&[&words[..], &["--limit", "1000"]].concat());
    assert_eq!((all["choices"].as_array().unwrap().len(), &all["more"]), (250, &json!(false)));
    let last = all["choices"][249].clone();
    let one = project.json(&[&words[..], &["--search", last["label"].as_str().unwrap()]].concat());
    assert_eq!(one["choices"], json!([last]));
    let run = project.run(&[&words[..], &["--limit", "3"]].concat());
    assert_eq!(run.exit, 0, "{}", run.err);
    assert_eq!(run.out.lines().count(), 4, "{}", run.out);
    assert!(run.out.ends_with("… the first 3 values; `--limit` shows more, `--search` fewer\n"), "{}", run.out);

    tool.server.change(&json!({ "faults": [{ "fault": 500 }] })).unwrap();
    let run = project.run(&words);
    assert_eq!((run.exit, run.out.as_str()), (1, ""));
    assert!(run.err.starts_with("error: the values of `campaign_id` cannot be listed\n"), "{}", run.err);
}

#[test]
fn choices_may_depend_on_fields_and_belong_to_hooks() {
    let hubspot = tool("hubspot", json!({}));
    let braze = tool("braze", json!({ "catalogs": { "shoes": { "size": "number" } } }));
    let project = Project::empty();
    project.write("outflow.yaml", "version: 1\nname: shop\n");
    let connection = |tool: &Tool| format!("connection: {{ endpoint: '{}' }}\n", tool.server.url());
    project.write(
        "destinations/crm.yaml",
        &format!("type: hubspot\noauth: {{ access_token: pat-0123456789 }}\n{}", connection(&hubspot)),
    );
    project
        .write("destinations/messages.yaml", &format!("type: braze\napi_key: rest-key-0123\n{}", connection(&braze)));

    let fields = r#"{"object_details": {"object_type": "contact"}}"#;
    let words = ["destinations", "choices", "crm", "upsertObject", "properties"];
    let keys = project.json(&[&words[..], &["--fields", fields]].concat());
    assert_eq!(keys["field"], "properties.__keys__");
    assert!(keys["choices"].as_array().unwrap().iter().any(|choice| choice["value"] == "email"), "{keys}");
    let run = project.run(&words);
    assert_eq!(run.exit, 1);
    assert!(run.err.contains("fill `object_details.object_type` first"), "{}", run.err);
    let place = ["destinations", "choices", "crm", "upsertObject", "associations.0.object_type"];
    assert!(!project.json(&place)["choices"].as_array().unwrap().is_empty());

    let words = ["destinations", "choices", "messages", "upsertCatalogItem", "selected_catalog_name"];
    let catalogs = project.json(&[&words[..], &["--hook", "onMappingSave"]].concat());
    assert_eq!(catalogs["choices"][0]["value"], "shoes", "{catalogs}");
}

#[test]
fn the_pages_of_destinations_are_up_to_date() {
    let printed = |words: &[&str]| {
        let command = std::process::Command::new(env!("CARGO_BIN_EXE_outflow")).args(words).output().unwrap();
        String::from_utf8(command.stdout).unwrap()
    };
    let page = |path: &str| std::fs::read_to_string(root("docs/destinations").join(path)).unwrap_or_default();
    let mut old = Vec::new();
    for slug in generated() {
        if printed(&["destinations", "show", slug, "--markdown"]) != page(&format!("{slug}.md")) {
            old.push(slug);
        }
    }
    if printed(&["destinations", "list", "--markdown"]) != page("README.md") {
        old.push("README");
    }
    assert!(old.is_empty(), "write them anew with `make docs`: {old:?}");
}

#[test]
fn pages_explain_every_action_and_field() {
    for slug in generated() {
        let page = std::fs::read_to_string(root(&format!("docs/destinations/{slug}.md"))).unwrap();
        let facts = destinations::facts(slug).unwrap().unwrap();
        for action in &facts.actions {
            let section = page.split(&format!("\n#### `{}`:", action.slug)).nth(1).unwrap_or_default();
            let section = section.split("\n#### ").next().unwrap_or_default();
            for field in &action.fields {
                assert!(section.contains(&format!("\n| `{}` |", field.key)), "{slug} {} {}", action.slug, field.key);
            }
            for hook in &action.hooks {
                assert!(section.contains(&format!("`{}`", hook.slug)), "{slug} {} {}", action.slug, hook.slug);
            }
        }
    }
}

/// The project of a page's example, its destination at the simulated tool.
fn example(slug: &str, tool: &Tool) -> Project {
    let page = std::fs::read_to_string(root(&format!("docs/destinations/{slug}.md"))).unwrap();
    let mut project = Project::empty();
    project.write("outflow.yaml", "version: 1\nname: shop\n");
    project.write("sources/shop.yaml", "type: sqlite\npath: shop.db\n");
    project.write("models/customers.sql", "-- source: shop\n-- key: id\nselect * from customers\n");
    project.sql(CUSTOMERS);
    let mut files = 0;
    for block in page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        let Some(path) = block.lines().next().and_then(|line| line.strip_prefix("# ")) else { continue };
        let mut text = block.to_owned();
        if path.starts_with("destinations/") {
            text.push_str(&format!("connection: {{ endpoint: '{}' }}\n", tool.server.url()));
        } else if !path.starts_with("mappings/") {
            continue;
        }
        project.write(path, &text);
        files += 1;
        for name in block.split("${env:").skip(1).filter_map(|rest| rest.split('}').next()) {
            let value = if name.contains("URL") {
                "https://hooks.slack.com/services/T000/B000/XXXX".to_owned()
            } else {
                format!("{name}-0123456789")
            };
            project.variable(name, &value);
        }
    }
    assert_eq!(files, 2, "{slug}: a destination and a mapping");
    project
}

#[test]
fn the_examples_of_the_pages_are_right_and_deliver() {
    for slug in generated() {
        let tool = tool(slug, json!({}));
        let project = example(slug, &tool);
        let offline = project.run(&["check", "--offline"]);
        assert_eq!((offline.exit, offline.err.as_str()), (0, ""), "{slug}: {}", offline.out);
        let check = project.run(&["check"]);
        assert_eq!((check.exit, check.err.as_str()), (0, ""), "{slug}: {}", check.out);
        let sync = project.json(&["sync", "--all"]);
        assert_eq!(sync["syncs"][0]["counts"]["delivered"], 2, "{slug}: {sync:#}");
    }
}

#[test]
fn each_command_has_help_and_is_in_the_documentation() {
    let project = Project::empty();
    let text = std::fs::read_to_string(root("docs/command-line.md")).unwrap();
    for command in ["list", "show", "test", "choices"] {
        let help = project.run(&["destinations", command, "--help"]);
        assert_eq!(help.exit, 0, "{command}");
        assert!(help.out.contains("Example"), "{command}: {}", help.out);
        assert!(text.contains(&format!("outflow destinations {command}")), "{command}");
        let options = help.out.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2);
        for option in options.map(|word| word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric())) {
            assert!(option == "help" || text.contains(&format!("--{option}")), "`{command} --{option}` is missing");
        }
    }
}
