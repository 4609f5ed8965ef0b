//! The settings of the HTTP destination, read from JSON.

use ::http::HeaderName;
use kit::{Auth, Facts, Grant, OAuth, SettingsError, Signature, SignatureAlgorithm, SignatureEncoding, WireSettings};
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

pub(super) fn wire(facts: &Facts, settings: &Value, target: &Target) -> Result<WireSettings, SettingsError> {
    let mut wire = kit::wire_settings(facts, settings)?;
    let telling =
        |name: &str| ["key", "token", "secret", "password", "auth", "cookie"].iter().any(|word| name.contains(word));
    wire.secrets.extend(target.headers.iter().filter(|(name, _)| telling(name)).map(|(_, value)| value.clone()));
    Ok(WireSettings { auth: auth(settings)?, signature: signature(settings)?, ..wire })
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
        Some("oauth2") => Auth::OAuth(Box::new(oauth(settings)?)),
        _ => Auth::None,
    })
}

fn oauth(settings: &Value) -> Result<OAuth, SettingsError> {
    let optional = |key: &str| text(settings, &["auth", key]).map(str::to_owned);
    let grant = match (optional("refresh_token"), optional("authorize_url")) {
        (Some(token), _) => Grant::RefreshToken(token),
        (None, Some(authorize_url)) => Grant::AuthorizationCode { authorize_url, parameters: Vec::new() },
        (None, None) => Grant::ClientCredentials,
    };
    let client_secret = match grant {
        Grant::ClientCredentials => Some(needed(settings, &["auth", "client_secret"])?),
        _ => optional("client_secret"),
    };
    Ok(OAuth {
        token_url: needed(settings, &["auth", "token_url"])?,
        client_id: needed(settings, &["auth", "client_id"])?,
        client_secret,
        client_in_body: optional("credentials_in").as_deref() == Some("body"),
        scopes: optional("scope").into_iter().collect(),
        parameters: optional("audience").map(|audience| ("audience".to_owned(), audience)).into_iter().collect(),
        grant,
        store: None,
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
