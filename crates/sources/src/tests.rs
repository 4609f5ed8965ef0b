//! Settings as the engine hands them in.

use super::*;

fn refused(kind: &str, settings: &Value) -> String {
    match connect(kind, settings) {
        Err(error @ SourceError::Settings { .. }) => error.to_string(),
        other => panic!("{settings}: {other:?}"),
    }
}

#[test]
fn a_wrong_setting_is_named_with_what_would_be_right() {
    let json = serde_json::json!({ "hots": "a", "user": "b" });
    assert!(refused("postgres", &json).contains("unknown field `hots`, expected one of `url`, `host`"));
    let json = serde_json::json!({ "port": "x", "user": "b" });
    let message = refused("postgres", &json);
    assert!(message.contains("`port`: invalid value: string \"x\", expected a whole number"), "{message}");
    let json = serde_json::json!({ "tls": "maybe", "user": "b" });
    assert!(refused("postgres", &json).contains("`tls`: unknown variant `maybe`, expected one of `disable`"));
    assert!(refused("sqlite", &serde_json::json!({})).contains("missing field `path`"));
    assert!(refused("sqlite", &serde_json::json!({ "path": 1 })).contains("`path`: invalid type"));
    assert!(refused("oracle", &serde_json::json!({})).contains("there are postgres, sqlite"));
}

#[test]
fn certificates_that_are_none_are_refused_before_anything_is_connected() {
    let json = serde_json::json!({ "user": "a", "tls": "verify-ca", "tls_root_certificate": "nonsense" });
    assert!(refused("postgres", &json).contains("`tls_root_certificate` holds no certificate in PEM form"));
}

#[test]
fn each_kind_has_a_schema_that_describes_its_settings() {
    for kind in SLUGS {
        let schema = settings_schema(kind).unwrap();
        let properties = schema["properties"].as_object().unwrap();
        for (name, property) in properties {
            let described = property["description"].is_string();
            assert!(described, "{kind}: `{name}` has no description");
        }
        for secret in secrets(kind) {
            assert!(properties.contains_key(*secret), "{kind}: the secret `{secret}` is no setting");
        }
        assert_eq!(schema["additionalProperties"], false);
    }
    assert!(settings_schema("oracle").is_none());
}
