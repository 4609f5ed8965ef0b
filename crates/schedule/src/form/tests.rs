//! Schedules as they are written and as they are written back.

use super::*;

fn read(yaml: &str) -> Result<ScheduleForm, String> {
    serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
}

fn read_json(json: &str) -> Result<ScheduleForm, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn a_schedule_is_written_back_as_it_was_read() {
    for (yaml, json) in [
        ("manual", r#""manual""#),
        ("{ every: 15m }", r#"{"every":"15m"}"#),
        ("{ at: 09:30 }", r#"{"at":"09:30"}"#),
        (
            r#"{ at: ["09:30", "17:00"], days: [mon, fri], time_zone: Europe/Berlin }"#,
            r#"{"at":["09:30","17:00"],"days":["mon","fri"],"time_zone":"Europe/Berlin"}"#,
        ),
        (
            r#"{ cron: "*/10 8-18 * * mon-fri", time_zone: America/New_York }"#,
            r#"{"cron":"*/10 8-18 * * mon-fri","time_zone":"America/New_York"}"#,
        ),
        ("{ after: orders }", r#"{"after":"orders"}"#),
        (
            "{ after: [orders, customers], when: all_finished }",
            r#"{"after":["orders","customers"],"when":"all_finished"}"#,
        ),
        ("{ hook: { secret: abc } }", r#"{"hook":{"secret":"abc"}}"#),
        (
            "{ hook: { kind: dbt_cloud, secret: abc, jobs: [123, 124] } }",
            r#"{"hook":{"kind":"dbt_cloud","secret":"abc","jobs":[123,124]}}"#,
        ),
        (
            "{ hook: { kind: dbt_cloud, secret: abc, jobs: 123 } }",
            r#"{"hook":{"kind":"dbt_cloud","secret":"abc","jobs":123}}"#,
        ),
    ] {
        let form = read(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
        assert_eq!(serde_json::to_string(&form).unwrap(), json, "{yaml}");
        assert_eq!(read_json(json).as_ref(), Ok(&form), "{yaml}");
    }
}

#[test]
fn what_is_no_schedule_is_refused_with_what_would_be() {
    for (json, message) in [
        (r#""hourly""#, "`hourly` is not a schedule; write `manual`, or a map such as `every: 15m`"),
        ("15", "expected `manual`, or a map such as `every: 15m`"),
        (r#"{"evry": "15m"}"#, "unknown field `evry`, expected one of `every`, `at`, `days`, `cron`"),
        (r#"{"every": 15}"#, "invalid type: integer `15`, expected a string"),
        (r#"{"at": {}}"#, "expected one value, or a list of them"),
        (r#"{"at": 9}"#, "invalid type: integer `9`, expected a string"),
        (r#"{"after": "a", "when": "always"}"#, "unknown variant `always`, expected `all_succeeded` or `all_finished`"),
        (r#"{"hook": {}}"#, "missing field `secret`"),
        (r#"{"hook": {"secret": "a", "job": 1}}"#, "unknown field `job`"),
        (
            r#"{"hook": {"secret": "a", "kind": "github"}}"#,
            "unknown variant `github`, expected `signed` or `dbt_cloud`",
        ),
    ] {
        let error = read_json(json).unwrap_err();
        assert!(error.contains(message), "{json}: {error}");
    }
}

#[test]
fn the_schema_names_every_field_and_marks_the_secret() {
    let schema = schemars::SchemaGenerator::default().into_root_schema_for::<ScheduleForm>().to_value();
    assert_eq!(schema["anyOf"][0]["enum"], serde_json::json!(["manual"]));
    let parts = &schema["$defs"]["schedule_parts"];
    assert_eq!(parts["additionalProperties"], false);
    let fields: Vec<&str> = parts["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["every", "at", "days", "cron", "time_zone", "after", "when", "hook"]);
    for (field, schema) in parts["properties"].as_object().unwrap() {
        assert!(schema["description"].is_string(), "{field} has no description");
    }
    assert_eq!(schema["$defs"]["schedule_hook"]["properties"]["secret"]["writeOnly"], true);
    assert_eq!(SECRETS, ["hook.secret"]);
}
