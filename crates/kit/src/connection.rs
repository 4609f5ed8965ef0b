//! The settings that every destination has beside its own: how it is reached, and how OAuth 2 signs in.

use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::facts::{AuthScheme, Setting};
use crate::{Auth, Facts, Limits, OAuth, SettingsError, WireSettings};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    connection: Setting,
    oauth: Setting,
}

/// None if the file is wrong, which a test rules out.
static SETTINGS: LazyLock<Option<Settings>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("connection.yaml")).ok());

/// The settings that these facts get beside their own.
pub(crate) fn settings_of(facts: &Facts) -> Vec<Setting> {
    let Some(settings) = SETTINGS.as_ref() else { return Vec::new() };
    let oauth = (facts.auth.scheme == AuthScheme::Oauth2).then(|| settings.oauth.clone());
    let connection = facts.network.then(|| settings.connection.clone());
    oauth.into_iter().chain(connection).collect()
}

/// What the connection of a destination needs to know, from the settings below `connection` and `oauth`; other ways
/// of signing in are added by the destination.
///
/// # Errors
/// A setting is out of its range, or OAuth 2 has neither a token nor what is needed to fetch one.
pub fn wire_settings(facts: &Facts, settings: &Value) -> Result<WireSettings, SettingsError> {
    let connection = settings.get("connection").unwrap_or(&Value::Null);
    let text = |key: &str| connection.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let default = WireSettings::default();
    Ok(WireSettings {
        auth: if facts.auth.scheme == AuthScheme::Oauth2 { oauth(facts, settings)? } else { Auth::None },
        signature: None,
        secrets: facts.secrets(settings),
        connect_timeout: seconds(connection, "connect_seconds", default.connect_timeout)?,
        read_timeout: seconds(connection, "read_seconds", default.read_timeout)?,
        total_timeout: seconds(connection, "total_seconds", default.total_timeout)?,
        proxy: text("proxy").map(str::to_owned),
        no_proxy: text("no_proxy").map(str::to_owned),
        ca_certificate: text("ca_certificate").map(str::to_owned),
        limits: limits(connection, facts.limits)?,
        answer_bytes_max: default.answer_bytes_max,
        endpoint: text("endpoint").map(str::to_owned),
        traffic: None,
        reach: default.reach,
    })
}

fn oauth(facts: &Facts, settings: &Value) -> Result<Auth, SettingsError> {
    let oauth = settings.get("oauth").unwrap_or(&Value::Null);
    let text = |key: &str| oauth.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    match (text("access_token"), text("client_id"), text("refresh_token")) {
        // A token that can be renewed goes before one that cannot.
        (Some(token), None, _) | (Some(token), _, None) => Ok(Auth::Bearer { token: token.to_owned() }),
        _ => Ok(Auth::OAuth(Box::new(OAuth::of_settings(&facts.auth, oauth)?))),
    }
}

fn seconds(connection: &Value, key: &str, default: Duration) -> Result<Duration, SettingsError> {
    let Some(value) = connection.get("timeouts").and_then(|timeouts| timeouts.get(key)).and_then(Value::as_f64) else {
        return Ok(default);
    };
    if (0.001..=3600.0).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(SettingsError::one(
            format!("connection.timeouts.{key}"),
            format!("must be between 0.001 and 3600 seconds, not {value}"),
        ))
    }
}

fn limits(connection: &Value, facts: Limits) -> Result<Limits, SettingsError> {
    let Some(own) = connection.get("limits") else { return Ok(facts) };
    let whole = |key: &str, most: u64| match own.get(key).and_then(Value::as_u64) {
        None if own.get(key).is_none_or(Value::is_null) => Ok(None),
        Some(number) if (1..=most).contains(&number) => Ok(Some(number)),
        _ => Err(SettingsError::one(format!("connection.limits.{key}"), format!("must be between 1 and {most}"))),
    };
    let rate = own.get("requests_per_second").and_then(Value::as_f64);
    if rate.is_some_and(|rate| rate <= 0.0) {
        return Err(SettingsError::one("connection.limits.requests_per_second", "must be more than 0"));
    }
    Ok(Limits {
        requests_per_second: rate.or(facts.requests_per_second),
        burst: whole("burst", 10_000)?.and_then(|number| u32::try_from(number).ok()).unwrap_or(facts.burst),
        concurrency: whole("concurrency", 256)?
            .and_then(|number| usize::try_from(number).ok())
            .unwrap_or(facts.concurrency),
    })
}
