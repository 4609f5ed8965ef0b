//! Connections by fields and by URL.

use super::*;

fn target(json: serde_json::Value) -> Result<Target, String> {
    let settings: Settings = serde_json::from_value(json).map_err(|error| error.to_string())?;
    settings.target().map_err(|error| error.to_string())
}

#[test]
fn a_url_says_everything() {
    let url = "postgres://us%40er:p%2Fw%3A@db.example.com:6543/my%20db?sslmode=verify-full&application_name=x&connect_timeout=3";
    let target = target(serde_json::json!({ "url": url })).unwrap();
    assert_eq!(target.address(), "db.example.com:6543");
    assert_eq!((target.user.as_str(), target.password.as_deref()), ("us@er", Some("p/w:")));
    assert_eq!((target.database.as_str(), target.tls), ("my db", TlsMode::VerifyFull));
    assert_eq!((target.application_name.as_str(), target.connect_timeout.as_secs()), ("x", 3));
}

#[test]
fn fields_win_over_the_url_and_the_rest_has_defaults() {
    let json = serde_json::json!({ "url": "postgresql://[::1]/a", "user": "me", "database": "b", "port": null });
    let target = target(json).unwrap();
    assert_eq!((target.host.as_str(), target.port, target.database.as_str()), ("::1", 5432, "b"));
    assert_eq!((target.tls, target.password), (TlsMode::Prefer, None));
}

#[test]
fn numbers_may_be_text_because_the_environment_is() {
    let target = target(serde_json::json!({ "user": "me", "port": "6543", "connect_timeout_seconds": "7" })).unwrap();
    assert_eq!((target.port, target.connect_timeout.as_secs()), (6543, 7));
}

#[test]
fn wrong_settings_say_what_would_be_right() {
    for (json, message) in [
        (serde_json::json!({}), "`user` is missing"),
        (serde_json::json!({ "url": "mysql://a" }), "`url` must begin with"),
        (serde_json::json!({ "url": "postgres://a:hunter2@b:x/c" }), "the port of `url` must be a number"),
        (serde_json::json!({ "url": "postgres://a@b,c/d" }), "several hosts"),
        (serde_json::json!({ "url": "postgres://a@b/c?colour=red" }), "a parameter `colour`"),
        (serde_json::json!({ "url": "postgres://a@b/c?sslmode=maybe" }), "`sslmode` of `url` must be"),
        (serde_json::json!({ "url": "postgres://a%4@b/c" }), "two hexadecimal digits"),
        (serde_json::json!({ "user": "a", "tls_client_key": "b" }), "go together"),
        (serde_json::json!({ "user": "a", "statement_timeout_seconds": 0 }), "0 seconds"),
        (serde_json::json!({ "user": "a\0b" }), "NUL"),
    ] {
        let Err(error) = target(json.clone()) else { panic!("{json} was accepted") };
        assert!(error.contains(message), "{json}: {error}");
        assert!(!error.contains("hunter2"), "a password in {error}");
    }
}
