//! Settings of the server, on both databases.

use std::sync::Arc;

use super::*;
use crate::{
    AuditFilter,
    testing::{HandClock, author, on_both_databases},
};

on_both_databases!(a_setting_is_set_changed_and_cleared, a_setting_at_another_version_is_left);

async fn a_setting_is_set_changed_and_cleared(store: Store, _: Arc<HandClock>) {
    let author = author("user_1");
    assert_eq!(store.server_setting("smtp").await.unwrap(), None);
    let (first, second) = (json!({ "host": "a" }), json!({ "host": "b" }));
    assert_eq!(store.set_server_setting("smtp", Some(&first), Some(0), &author).await.unwrap(), 1);
    assert_eq!(store.set_server_setting("smtp", Some(&second), Some(1), &author).await.unwrap(), 2);
    assert_eq!(store.set_server_setting("smtp", Some(&second), Some(2), &author).await.unwrap(), 2);
    store.set_server_setting("public_url", Some(&json!("https://x")), None, &author).await.unwrap();
    let all = store.server_settings().await.unwrap();
    let told: Vec<_> = all.iter().map(|row| (row.key.as_str(), row.version, &row.value)).collect();
    assert_eq!(told, [("public_url", 1, &json!("https://x")), ("smtp", 2, &second)]);
    assert_eq!(all[1].updated_by, author.actor);
    assert_eq!(store.set_server_setting("smtp", None, Some(2), &author).await.unwrap(), 0);
    assert_eq!(store.server_setting("smtp").await.unwrap(), None);
    let audit = store.audit(&AuditFilter::default(), None, 10).await.unwrap();
    assert_eq!(audit.len(), 4);
    assert!(audit.iter().all(|entry| !entry.details.to_string().contains("host")), "{audit:?}");
}

async fn a_setting_at_another_version_is_left(store: Store, _: Arc<HandClock>) {
    let author = author("user_1");
    store.set_server_setting("oidc", Some(&json!(1)), None, &author).await.unwrap();
    for expected in [0, 2] {
        let error = store.set_server_setting("oidc", Some(&json!(2)), Some(expected), &author).await.unwrap_err();
        assert!(matches!(error, SettingError::Outdated { found: 1, .. }), "{error}");
    }
    assert_eq!(store.server_setting("oidc").await.unwrap().unwrap().value, json!(1));
}
