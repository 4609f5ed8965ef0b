//! What the original sends, and what its catalogue says, where those recordings are there.

use std::path::PathBuf;

use mapping::{Field, Required};
use serde_json::{Value, json};

/// The folder of the recordings, if it is there.
#[expect(clippy::print_stdout, reason = "who runs the tests is told that there is nothing to run")]
fn folder() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "a test finds its optional cases through the environment")]
    let named = std::env::var("OUTFLOW_CONFORMANCE").ok().map(PathBuf::from);
    let folder = named.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"));
    if folder.is_dir() {
        return Some(folder);
    }
    println!("no conformance cases at {}; set OUTFLOW_CONFORMANCE to run them", folder.display());
    None
}

/// Destinations of our own, which the original does not have.
const OWN: [&str; 2] = ["file", "http"];

/// The destinations that the original has too; one alone if `RECORDED` names it.
fn slugs() -> Vec<&'static str> {
    #[expect(clippy::disallowed_methods, reason = "a person may run the cases of one destination alone")]
    let only = std::env::var("RECORDED").ok();
    let wanted = |slug: &&str| !OWN.contains(slug) && only.as_deref().is_none_or(|only| only == *slug);
    destinations::SLUGS.into_iter().filter(wanted).collect()
}

#[tokio::test]
async fn every_recorded_case_of_the_original_agrees() {
    let Some(folder) = folder() else { return };
    let mut failures = Vec::new();
    for slug in slugs() {
        let path = folder.join("destinations").join(format!("{slug}.public.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let connect = |settings: &Value| destinations::connect(slug, settings, &Value::Null);
        let reports = kit::recorded::run(&text, slug, connect).await.unwrap();
        let failed: Vec<_> = reports.iter().filter(|report| !report.passed()).collect();
        println!("{slug}: {} of {} agree", reports.len() - failed.len(), reports.len());
        for report in failed {
            failures.push(format!("{}\n    {}", report.id, report.differences.join("\n    ")));
        }
        for known in destinations::facts(slug).unwrap().unwrap().differences {
            let differs = reports.iter().any(|report| report.id == known.case && !report.differences.is_empty());
            let elsewhere = !reports.iter().any(|report| report.id == known.case);
            assert!(differs || elsewhere, "{slug}: `{}` is listed as a difference and agrees", known.case);
        }
    }
    assert!(failures.is_empty(), "{} cases differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn facts_are_those_of_the_catalogue() {
    let Some(folder) = folder() else { return };
    let text = std::fs::read_to_string(folder.join("catalog.jsonl")).unwrap();
    let catalogue: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut failures = Vec::new();
    for slug in slugs() {
        let listed = catalogue.iter().find(|listed| listed["slug"] == slug);
        let listed = listed.unwrap_or_else(|| panic!("`{slug}` is not in the catalogue"));
        let facts = match destinations::facts(slug).unwrap() {
            Ok(facts) => facts,
            Err(error) => {
                failures.push(format!("{slug}: {error}"));
                continue;
            }
        };
        for setting in listed["settings"].as_array().unwrap() {
            match facts.settings.iter().find(|own| setting["key"] == own.key.as_str()) {
                None => failures.push(format!("{slug}: the setting {} is missing", setting["key"])),
                Some(own) if own.required != (setting["required"] == true) => {
                    failures.push(format!("{slug}: the setting `{}` is required or not", own.key));
                }
                Some(own) if (setting["type"] == "password") && !own.secret => {
                    failures.push(format!("{slug}: the setting `{}` is a secret", own.key));
                }
                Some(_) => {}
            }
        }
        for action in listed["actions"].as_array().unwrap() {
            let Some(own) = facts.action(action["slug"].as_str().unwrap()) else {
                failures.push(format!("{slug}: the action {} is missing", action["slug"]));
                continue;
            };
            let place = format!("{slug}.{}", own.slug);
            compare_fields(&place, action["fields"].as_array().unwrap(), &own.fields, &mut failures);
            if let Some(choices) = action["syncMode"]["choices"].as_array() {
                let modes: Vec<_> = own.modes.iter().map(|mode| mode.name()).collect();
                let value = |choice: &Value| choice.get("value").unwrap_or(choice).as_str().map(str::to_owned);
                let mut due: Vec<_> = choices.iter().filter_map(value).collect();
                let mut has: Vec<_> = modes.iter().map(|&mode| mode.to_owned()).collect();
                due.sort();
                has.sort();
                if due != has {
                    failures.push(format!("{place}: the modes are {has:?}, not {due:?}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn compare_fields(place: &str, listed: &[Value], own: &[Field], failures: &mut Vec<String>) {
    for field in own {
        if !listed.iter().any(|listed| listed["key"] == field.key.as_str()) {
            failures.push(format!("{place}: there is no field `{}`", field.key));
        }
    }
    for listed in listed {
        let key = listed["key"].as_str().unwrap();
        let Some(own) = own.iter().find(|own| own.key == key) else {
            failures.push(format!("{place}: the field `{key}` is missing"));
            continue;
        };
        let place = format!("{place}.{key}");
        let mut check = |what: &str, due: Value, has: Value| {
            if due != has {
                failures.push(format!("{place}: {what} is {has}, not {due}"));
            }
        };
        let flag = |name: &str| json!(listed[name] == true);
        check("type", listed["type"].clone(), json!(own.kind));
        check("multiple", flag("multiple"), json!(own.multiple));
        check("allow_null", flag("allowNull"), json!(own.allow_null));
        check("additional_properties", flag("additionalProperties"), json!(own.additional_properties));
        check("format", listed["format"].clone(), json!(own.format));
        check("minimum", number(&listed["minimum"]), json!(own.minimum));
        check("maximum", number(&listed["maximum"]), json!(own.maximum));
        check("default", listed["default"].clone(), own.default.as_ref().map_or(Value::Null, Value::from));
        let conditional = listed["required"].is_object();
        check("required with conditions", json!(conditional), json!(matches!(own.required, Required::When(_))));
        if !conditional {
            check("required", flag("required"), json!(own.required == Required::Always(true)));
        }
        let value = |choice: &Value| choice.get("value").unwrap_or(choice).clone();
        let due = listed["choices"].as_array().map(|choices| choices.iter().map(value).collect::<Vec<_>>());
        let has = own.choices.as_ref().map(|choices| choices.iter().map(|choice| Value::from(&choice.value)).collect());
        check("choices", json!(due.unwrap_or_default()), json!(has.unwrap_or_else(Vec::<Value>::new)));
        if let Some(properties) = listed["properties"].as_array() {
            compare_fields(&place, properties, own.properties.as_deref().unwrap_or_default(), failures);
        }
    }
}

fn number(value: &Value) -> Value {
    json!(value.as_f64())
}
