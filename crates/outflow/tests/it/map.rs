//! `outflow map`: cases and events.

use super::support::Project;

#[test]
fn cases_are_run_in_their_order_and_counted() {
    let project = Project::empty();
    project.write(
        "cases.jsonl",
        r#"{"id":"a","mapping":{"x":{"@path":"$.y"}},"payload":{"y":1},"expected":{"output":{"x":1}}}
{"id":"b","mapping":{"x":{"@path":"$.y"}},"payload":{"y":1},"expected":{"output":{"x":1.0}}}
{"id":"c","mapping":{"@path":"$.gone"},"payload":{},"expected":{}}
{"id":"d","mapping":{"x":{"@nothing":1}},"payload":{},"expected":{"error":{"kind":"validation"}}}

{"id":"e","mapping":{"x":1},"payload":{},"expected":{"output":{"x":2}}}
{"id":"f","mapping":{"x":{"@path":{"@path":"$.n"}}},"payload":{"n":4}}
"#,
    );
    let run = project.run(&["map", "--cases", "cases.jsonl"]);
    assert_eq!(run.exit, 1, "{}{}", run.out, run.err);
    insta::assert_snapshot!(run.out);
    assert_eq!(run.err, "\"e\" failed: expected {\"output\":{\"x\":2}}\n");
}

#[test]
fn events_are_mapped_one_a_line() {
    let project = Project::empty();
    project.write("fields.yaml", "email:\n  '@case': {operator: lower, value: {'@path': $.properties.email}}\n");
    let run = project.run_with(
        &["map", "--mapping", "fields.yaml", "--events", "-"],
        "{\"properties\":{\"email\":\"ADA@EXAMPLE.COM\"}}\n{\"properties\":{}}\n",
    );
    assert_eq!((run.exit, run.out.as_str()), (0, "{\"email\":\"ada@example.com\"}\n{}\n"), "{}", run.err);
}

#[test]
fn a_wrong_mapping_is_told_with_its_line() {
    let project = Project::empty();
    project.write("fields.yaml", "a: 1\naddress:\n  city:\n    '@nothing': 1\n");
    let run = project.run_with(&["map", "--mapping", "fields.yaml", "--events", "-"], "{}\n");
    assert_eq!(run.exit, 1);
    insta::assert_snapshot!(run.err);
}

#[test]
fn a_line_that_is_not_json_is_told_with_its_number() {
    let project = Project::empty();
    project.write("cases.jsonl", "{\"id\":1,\"mapping\":{},\"payload\":{}}\n{oops\n");
    let run = project.run(&["map", "--cases", "cases.jsonl"]);
    assert_eq!(run.exit, 1);
    assert!(run.err.starts_with("error: `cases.jsonl` line 2 is not a case\n"), "{}", run.err);
}
