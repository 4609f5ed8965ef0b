//! What `JSON.stringify` and `String` give for the same values.

use records::Value;

use super::{json, text};

#[test]
fn json_is_as_javascript_writes_it() {
    for (given, written) in [
        (r#"{"b":1,"a":2}"#, r#"{"b":1,"a":2}"#),
        (
            r#"{"b":1,"10":2,"2":3,"01":4,"-1":5,"4294967295":6}"#,
            r#"{"2":3,"10":2,"b":1,"01":4,"-1":5,"4294967295":6}"#,
        ),
        (r#"[1.0,1e21,0.1,-0.0,"é\u0007"]"#, r#"[1,1e+21,0.1,0,"é\u0007"]"#),
        (r#"{"x":{"1":[{"b":0,"0":null}]}}"#, r#"{"x":{"1":[{"0":null,"b":0}]}}"#),
    ] {
        assert_eq!(json(&Value::parse(given).expect("JSON")), written);
    }
    for (digits, written) in [
        ("12.50", "12.5"),
        ("12.00", "12"),
        ("0.1", "0.1"),
        ("10", "10"),
        ("12345678901234567890.12", "12345678901234567890.12"),
        ("-3.140", "-3.14"),
    ] {
        assert_eq!(json(&Value::Decimal(digits.into())), written);
    }
}

#[test]
fn text_is_as_javascript_writes_it() {
    for (given, written) in [
        ("null", "null"),
        ("true", "true"),
        ("1.50", "1.5"),
        (r#"["a",null,[1,2]]"#, "a,,1,2"),
        ("{}", "[object Object]"),
    ] {
        assert_eq!(text(&Value::parse(given).expect("JSON")), written);
    }
}
