//! No mapping and no record make it panic or run long.

use mapping::{Condition, Event, Field, Fields, Options, Program, directives};
use proptest::prelude::*;
use records::{Object, Value};

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-1000i64..1000).prop_map(Value::Int),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::Float),
        "-?(0|[1-9][0-9]{0,25})\\.[0-9]{1,5}".prop_map(|digits| Value::Decimal(digits.into())),
        "\\PC{0,12}".prop_map(Value::Text),
        prop::sample::select(vec![
            "$.",
            "$.a",
            "a.b[0]",
            "{{a}}",
            "{{{a}}} {{b.c}}",
            "lower",
            "upper",
            "encode",
            "decode",
            "left",
            "right",
            "{{ a | times: 2 }}",
            "{% if a %}{{ b }}{% endif %}",
            "{% assign a = 1 %}{{ a | date: '%Y' }}",
            "sha256",
            "email",
            "phone",
            "add",
            "divide",
            "(a|b)+c",
            "%Y-%m-%d",
            "Europe/Berlin",
            "dns",
            "a = 1",
            "a > 1 or b = null",
            "2024-02-29",
            "12:34:56Z",
            "1e308",
            "-0",
            "\u{1f600}\u{300}",
            "__undefined__",
        ])
        .prop_map(|text| Value::Text(text.to_owned())),
    ]
}

fn key() -> impl Strategy<Value = String> {
    let words = [
        "a",
        "b",
        "c",
        "0",
        "1",
        "value",
        "exists",
        "blank",
        "then",
        "else",
        "operator",
        "pattern",
        "replacement",
        "pattern2",
        "replacement2",
        "mode",
        "separator",
        "objects",
        "direction",
        "apply",
        "mapping",
        "algorithm",
        "normalize",
        "as",
        "country",
        "from",
        "to",
        "timezone",
        "values",
        "table",
        "default",
        "each",
        "where",
        "by",
        "condition",
        "length",
        "with",
        "namespace",
        "decimals",
        "group",
        "all",
        "any",
        "not",
        "path",
        "_metadata",
        "__segment_internal_directive",
        "properties",
        "limit",
        "global",
        "ignorecase",
    ];
    let directives: Vec<&'static str> = directives().collect();
    prop_oneof![
        3 => prop::sample::select(words.to_vec()).prop_map(str::to_owned),
        2 => prop::sample::select(directives).prop_map(str::to_owned),
        1 => "\\PC{0,4}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(6, 48, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((key(), inner.clone()), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            (key(), inner).prop_map(|(key, value)| Value::Object([(key, value)].into_iter().collect())),
        ]
    })
}

fn run(mapping: &Value, record: &Value) {
    let Ok(program) = Program::compile(mapping) else { return };
    let event = Event::of_value(record);
    let mut out = String::from("before");
    match (program.evaluate(&event), program.write_json(&event, &mut out)) {
        (Ok(None), Ok(false)) => assert_eq!(out, "before"),
        (Ok(Some(value)), Ok(true)) => {
            let written = Value::parse(&out["before".len()..]).unwrap();
            assert!(mapping::cases::same(&written, &Value::parse(&value.to_json()).unwrap()));
        }
        (Err(_), Err(_)) => assert_eq!(out, "before"),
        (evaluated, written) => panic!("{evaluated:?} but {written:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_mapping_and_no_record_make_it_panic(mapping in value(), record in value()) {
        run(&mapping, &record);
    }

    #[test]
    fn no_argument_of_a_directive_makes_it_panic(
        name in prop::sample::select(directives().collect::<Vec<_>>()),
        argument in value(),
        record in value(),
    ) {
        let directive: Object = [(name.to_owned(), argument)].into_iter().collect();
        let mapping: Object = [("a".to_owned(), Value::Object(directive))].into_iter().collect();
        run(&Value::Object(mapping), &record);
    }

    #[test]
    fn no_liquid_template_makes_it_panic(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "{{", "}}", "{%", "%}", "-", " a", " | ", "append: ", "'x'", "\"", "if ", "endif", "else", "elsif ", "raw",
            "endraw", "assign x = ", "x", "1", ".", "..", "(", ")", "[", "]", "date: '%^10Y%%'", "slice: -1, 2", ",",
            "times: ", "divided_by: 0", "round: 400", "capture y", "endcapture", "==", "contains ", "not ", "liquid\n",
            "increment z", "cycle ", "\u{e9}", "\\", "split: ''", "truncate: -1", "size", "first", "json", "unless ",
        ]), 0..14),
        record in value(),
    ) {
        let liquid: Object = [("@liquid".to_owned(), Value::Text(pieces.concat()))].into_iter().collect();
        let mapping: Object = [("a".to_owned(), Value::Object(liquid))].into_iter().collect();
        run(&Value::Object(mapping), &record);
    }

    #[test]
    fn no_condition_makes_it_panic(text in "[a-z.()!=<>\"'0-9 \\[\\],*-]{0,40}", tree in value(), record in value()) {
        for condition in [Condition::parse(&text), Condition::compile(&tree)].into_iter().flatten() {
            let _ = condition.holds(&Event::of_value(&record));
        }
    }

    #[test]
    fn no_payload_makes_the_validation_panic(payload in value(), format in "[a-z-]{0,10}", batch in any::<bool>()) {
        let kinds = ["string", "number", "integer", "boolean", "datetime", "object", "text", "password"];
        let formats = ["date", "time", "date-time", "email", "uri", "uri-reference", "regex", "uuid", "hostname", "ipv4"];
        let mut fields = Vec::new();
        for (index, kind) in kinds.iter().enumerate() {
            let format = if index == 0 { format.as_str() } else { formats[index] };
            let text = format!(r#"{{"key":"{}","label":"F","type":"{kind}","format":"{format}","multiple":{},
                "required":{{"conditions":[{{"fieldKey":"b","operator":"is","value":"__undefined__"}}]}}}}"#,
                ["a", "b", "c", "0", "1", "value", "all", "to"][index], index % 3 == 0);
            fields.push(serde_json::from_str::<Field>(&text).unwrap());
        }
        let _ = Fields::compile(fields).validate(payload, Options { batch });
    }
}

fn compile(mapping: &str) -> Program {
    Program::compile(&Value::parse(mapping).unwrap()).unwrap()
}

#[test]
fn a_value_that_doubles_at_every_level_ends_at_a_limit() {
    let mut mapping = r#"{"@path":"$."}"#.to_owned();
    for _ in 0..40 {
        mapping = format!(
            r#"{{"@transform":{{"apply":{{"a":{{"@path":"$."}},"b":{{"@path":"$."}}}},"mapping":{mapping}}}}}"#
        );
    }
    let record = Value::parse(r#"{"x":[1,2,3]}"#).unwrap();
    let error = compile(&mapping).evaluate(&Event::of_value(&record)).unwrap_err();
    assert!(error.to_string().contains("over the limit"), "{error}");
}

#[test]
fn a_text_that_grows_at_every_replacement_ends_at_a_limit() {
    let mut mapping = r#"{"@path":"$.x"}"#.to_owned();
    for _ in 0..40 {
        mapping = format!(r#"{{"@replace":{{"pattern":"a","replacement":"aaaaaaaaaa","value":{mapping}}}}}"#);
    }
    let record = Value::parse(r#"{"x":"aaa"}"#).unwrap();
    let error = compile(&mapping).evaluate(&Event::of_value(&record)).unwrap_err();
    assert!(error.to_string().contains("over the limit"), "{error}");
}

#[test]
fn a_mapping_or_a_record_may_not_be_nested_too_deep() {
    let mut mapping = Value::Int(1);
    for _ in 0..150 {
        mapping = Value::Object([("a".to_owned(), mapping)].into_iter().collect());
    }
    let problems = Program::compile(&mapping).unwrap_err();
    assert_eq!(problems[0].message, "is nested deeper than 100 levels");
    let mut record = Value::Int(1);
    for _ in 0..1000 {
        record = Value::Array(vec![record]);
    }
    let record = Value::Object([("a".to_owned(), record)].into_iter().collect());
    for mapping in [
        r#"{"a":{"@path":"$.a"}}"#,
        r#"{"a":{"@template":"{{a}}"}}"#,
        r#"{"a":{"@json":{"mode":"encode","value":{"@path":"$.a"}}}}"#,
        r#"{"a":{"@flatten":{"separator":".","value":{"@path":"$.a"}}}}"#,
        r#"{"a":{"@liquid":"{{ a }}{{ a | json }}"}}"#,
    ] {
        let program = compile(mapping);
        assert!(program.evaluate(&Event::of_value(&record)).is_err(), "{mapping}");
        assert!(program.write_json(&Event::of_value(&record), &mut String::new()).is_err(), "{mapping}");
    }
}
