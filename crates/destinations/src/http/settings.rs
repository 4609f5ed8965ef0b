//! The settings of the HTTP destination, read from JSON.

use std::time::Duration;

use ::http::HeaderName;
use kit::{
    Auth, ClientCredentials, Limits, SettingsError, Signature, SignatureAlgorithm, SignatureEncoding, WireSettings,
};
use serde_json::Value;

/// What is not the connection's.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub base_url: Option<String>,
    pub check_url: Option<String>,
    pub headers: Vec<(String, String)>,
}

/// Text at a path of keys, if it is there and not empty.
fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(value, |value, key| value.get(key))?.as_str().filter(|text| !text.is_empty())
}

fn needed(value: &Value, path: &[&str]) -> Result<String, SettingsError> {
    let why = || {
        SettingsError::one(
            path.join("."),
            format!("is required with `auth.type: {}`", text(value, &["auth", "type"]).unwrap_or_default()),
        )
    };
    text(value, path).map(str::to_owned).ok_or_else(why)
}

fn header_name(field: &str, name: &str) -> Result<HeaderName, SettingsError> {
    HeaderName::try_from(name).map_err(|_| SettingsError::one(field, format!("`{name}` is not a header's name")))
}

pub(super) fn target(settings: &Value) -> Result<Target, SettingsError> {
    let mut headers = Vec::new();
    for (name, value) in settings.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let field = format!("headers.{name}");
        header_name(&field, name)?;
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => return Err(SettingsError::one(field, "must be text")),
        };
        headers.push((name.to_ascii_lowercase(), value));
    }
    Ok(Target {
        base_url: text(settings, &["base_url"]).map(|url| url.trim_end_matches('/').to_owned()),
        check_url: text(settings, &["check_url"]).map(str::to_owned),
        headers,
    })
}

pub(super) fn wire(
    settings: &Value,
    facts: Limits,
    target: &Target,
    mut secrets: Vec<String>,
) -> Result<WireSettings, SettingsError> {
    let telling =
        |name: &str| ["key", "token", "secret", "password", "auth", "cookie"].iter().any(|word| name.contains(word));
    secrets.extend(target.headers.iter().filter(|(name, _)| telling(name)).map(|(_, value)| value.clone()));
    let default = WireSettings::default();
    Ok(WireSettings {
        auth: auth(settings)?,
        signature: signature(settings)?,
        secrets,
        connect_timeout: seconds(settings, "connect_seconds", default.connect_timeout)?,
        read_timeout: seconds(settings, "read_seconds", default.read_timeout)?,
        total_timeout: seconds(settings, "total_seconds", default.total_timeout)?,
        proxy: text(settings, &["proxy"]).map(str::to_owned),
        no_proxy: text(settings, &["no_proxy"]).map(str::to_owned),
        ca_certificate: text(settings, &["ca_certificate"]).map(str::to_owned),
        limits: limits(settings, facts)?,
        answer_bytes_max: default.answer_bytes_max,
    })
}

fn auth(settings: &Value) -> Result<Auth, SettingsError> {
    let optional = |key: &str| text(settings, &["auth", key]).map(str::to_owned);
    Ok(match text(settings, &["auth", "type"]) {
        Some("basic") => Auth::Basic {
            username: needed(settings, &["auth", "username"])?,
            password: optional("password").unwrap_or_default(),
        },
        Some("bearer") => Auth::Bearer { token: needed(settings, &["auth", "token"])? },
        Some("api_key") => {
            let key = needed(settings, &["auth", "key"])?;
            let name = needed(settings, &["auth", "name"])?;
            if optional("in").as_deref() == Some("query") {
                Auth::ApiKeyQuery { parameter: name, key }
            } else {
                let header = header_name("auth.name", &name)?;
                Auth::ApiKeyHeader { header, prefix: optional("prefix").unwrap_or_default(), key }
            }
        }
        Some("oauth2") => Auth::ClientCredentials(ClientCredentials {
            token_url: needed(settings, &["auth", "token_url"])?,
            client_id: needed(settings, &["auth", "client_id"])?,
            client_secret: needed(settings, &["auth", "client_secret"])?,
            scope: optional("scope"),
            audience: optional("audience"),
            in_body: optional("credentials_in").as_deref() == Some("body"),
        }),
        _ => Auth::None,
    })
}

fn signature(settings: &Value) -> Result<Option<Signature>, SettingsError> {
    let optional = |key: &str| text(settings, &["signature", key]);
    let (Some(secret), Some(header)) = (optional("secret"), optional("header")) else { return Ok(None) };
    let timestamp_header =
        optional("timestamp_header").map(|name| header_name("signature.timestamp_header", name)).transpose()?;
    let content = optional("content").unwrap_or("{body}");
    if !content.contains("{body}") {
        return Err(SettingsError::one("signature.content", "must hold `{body}`, or the body would not be signed"));
    }
    Ok(Some(Signature {
        algorithm: match optional("algorithm") {
            Some("sha1") => SignatureAlgorithm::Sha1,
            Some("sha512") => SignatureAlgorithm::Sha512,
            _ => SignatureAlgorithm::Sha256,
        },
        secret: secret.to_owned(),
        header: header_name("signature.header", header)?,
        encoding: if optional("encoding") == Some("base64") {
            SignatureEncoding::Base64
        } else {
            SignatureEncoding::Hex
        },
        prefix: optional("prefix").unwrap_or_default().to_owned(),
        content: content.to_owned(),
        timestamp_header,
    }))
}

fn seconds(settings: &Value, key: &str, default: Duration) -> Result<Duration, SettingsError> {
    let Some(value) = settings.get("timeouts").and_then(|timeouts| timeouts.get(key)).and_then(Value::as_f64) else {
        return Ok(default);
    };
    if (0.001..=3600.0).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(SettingsError::one(
            format!("timeouts.{key}"),
            format!("must be between 0.001 and 3600 seconds, not {value}"),
        ))
    }
}

fn limits(settings: &Value, facts: Limits) -> Result<Limits, SettingsError> {
    let Some(own) = settings.get("limits") else { return Ok(facts) };
    let whole = |key: &str, most: u64| match own.get(key).and_then(Value::as_u64) {
        None if own.get(key).is_none_or(Value::is_null) => Ok(None),
        Some(number) if (1..=most).contains(&number) => Ok(Some(number)),
        _ => Err(SettingsError::one(format!("limits.{key}"), format!("must be between 1 and {most}"))),
    };
    let rate = own.get("requests_per_second").and_then(Value::as_f64);
    if rate.is_some_and(|rate| rate <= 0.0) {
        return Err(SettingsError::one("limits.requests_per_second", "must be more than 0"));
    }
    Ok(Limits {
        requests_per_second: rate.or(facts.requests_per_second),
        burst: whole("burst", 10_000)?.and_then(|number| u32::try_from(number).ok()).unwrap_or(facts.burst),
        concurrency: whole("concurrency", 256)?
            .and_then(|number| usize::try_from(number).ok())
            .unwrap_or(facts.concurrency),
    })
}
