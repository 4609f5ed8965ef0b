//! The settings of a PostgreSQL source, by fields or as a URL.

use std::{fmt, marker::PhantomData, time::Duration};

use kit::SourceError;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

/// How to reach a PostgreSQL database, from version 12 on. A login that may only read is enough.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The connection as a URL, `postgresql://user:password@host:5432/database?sslmode=verify-full`.
    /// Settings given beside it win.
    url: Option<String>,
    /// The server's name or address, or the folder of its Unix socket. Default: `localhost`.
    host: Option<String>,
    /// The server's port. Default: 5432.
    #[serde(default, deserialize_with = "whole_number")]
    port: Option<u16>,
    /// The database. Default: the one named like the user.
    database: Option<String>,
    /// The user to sign in as.
    user: Option<String>,
    /// The user's password, as plain, MD5 or SCRAM asks for it.
    password: Option<String>,
    /// Whether the connection is encrypted and the server's certificate checked. Default: `prefer`.
    tls: Option<TlsMode>,
    /// The certificate authority that the server's certificate must come from, as PEM text.
    /// Default: those that this machine trusts.
    tls_root_certificate: Option<String>,
    /// Our own certificate, if the server asks for one, as PEM text with any intermediate ones.
    tls_client_certificate: Option<String>,
    /// The private key of our own certificate, as PEM text without a pass phrase.
    tls_client_key: Option<String>,
    /// The name the server shows for our connections. Default: `outflow`.
    application_name: Option<String>,
    /// How long connecting and signing in may take. Default: 15.
    #[schemars(range(min = 1))]
    #[serde(default, deserialize_with = "whole_number")]
    connect_timeout_seconds: Option<u64>,
    /// How long one query may run, reading its result included. Default: as long as the server allows.
    #[schemars(range(min = 1))]
    #[serde(default, deserialize_with = "whole_number")]
    statement_timeout_seconds: Option<u64>,
}

/// How far the connection is trusted, as `sslmode` means it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TlsMode {
    /// Never encrypted.
    Disable,
    /// Encrypted if the server can, its certificate not checked.
    Prefer,
    /// Encrypted; the certificate is checked only if a root certificate is given, then as `verify-ca` does.
    Require,
    /// Encrypted, and the certificate comes from a trusted authority.
    VerifyCa,
    /// Encrypted, and the certificate comes from a trusted authority and names the host.
    VerifyFull,
}

/// Where and how to connect, everything decided.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: String,
    pub(super) user: String,
    pub(super) password: Option<String>,
    pub(super) tls: TlsMode,
    pub(super) tls_root_certificate: Option<String>,
    pub(super) tls_client_certificate: Option<String>,
    pub(super) tls_client_key: Option<String>,
    pub(super) application_name: String,
    pub(super) connect_timeout: Duration,
    pub(super) statement_timeout_seconds: Option<u64>,
}

impl Target {
    /// What messages call it.
    pub(super) fn address(&self) -> String {
        if self.is_unix_socket() { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    pub(super) fn is_unix_socket(&self) -> bool {
        self.host.starts_with('/')
    }
}

impl Settings {
    /// Fills in what the URL says and the defaults.
    ///
    /// # Errors
    /// A URL that is none, no user, a client certificate without its key, a time-out of zero.
    pub(super) fn target(self) -> Result<Target, SourceError> {
        let url = self.url.as_deref().map(from_url).transpose()?.unwrap_or_default();
        let user = self.user.or(url.user).filter(|user| !user.is_empty());
        let user = user.ok_or_else(|| wrong("`user` is missing; say whom to sign in as"))?;
        if self.tls_client_certificate.is_some() != self.tls_client_key.is_some() {
            return Err(wrong("`tls_client_certificate` and `tls_client_key` go together; give both or none"));
        }
        let seconds = self.connect_timeout_seconds.or(url.connect_timeout_seconds).unwrap_or(15);
        if seconds == 0 || self.statement_timeout_seconds == Some(0) {
            return Err(wrong("a time-out of 0 seconds leaves no time; leave it out or say 1 or more"));
        }
        let texts = [Some(&user), self.database.as_ref(), self.password.as_ref(), self.application_name.as_ref()];
        if texts.into_iter().flatten().any(|text| text.contains('\0')) {
            return Err(wrong("a setting holds a NUL character, which PostgreSQL cannot take"));
        }
        Ok(Target {
            host: self.host.or(url.host).unwrap_or_else(|| "localhost".to_owned()),
            port: self.port.or(url.port).unwrap_or(5432),
            database: self.database.or(url.database).unwrap_or_else(|| user.clone()),
            user,
            password: self.password.or(url.password),
            tls: self.tls.or(url.tls).unwrap_or(TlsMode::Prefer),
            tls_root_certificate: self.tls_root_certificate,
            tls_client_certificate: self.tls_client_certificate,
            tls_client_key: self.tls_client_key,
            application_name: self.application_name.or(url.application_name).unwrap_or_else(|| "outflow".to_owned()),
            connect_timeout: Duration::from_secs(seconds),
            statement_timeout_seconds: self.statement_timeout_seconds,
        })
    }
}

/// A whole number, or text that is one: what comes from the environment is text.
fn whole_number<'de, D: Deserializer<'de>, T: TryFrom<u64>>(deserializer: D) -> Result<Option<T>, D::Error> {
    struct Whole<T>(PhantomData<T>);

    impl<T: TryFrom<u64>> de::Visitor<'_> for Whole<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a whole number below 2 to the power of {}", size_of::<T>() * 8)
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
            let wrong = |_| E::invalid_value(de::Unexpected::Unsigned(number), &self);
            T::try_from(number).map(Some).map_err(wrong)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            let number = text.trim().parse().ok().and_then(|number: u64| T::try_from(number).ok());
            number.map(Some).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }

    deserializer.deserialize_any(Whole(PhantomData))
}

/// Reads `postgresql://user:password@host:port/database?key=value&…`. No message repeats the URL: it may hold a password.
fn from_url(url: &str) -> Result<Settings, SourceError> {
    let rest = url.strip_prefix("postgresql://").or_else(|| url.strip_prefix("postgres://"));
    let rest = rest.ok_or_else(|| wrong("`url` must begin with `postgresql://` or `postgres://`"))?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, server) = authority.rsplit_once('@').map_or((None, authority), |(login, server)| (Some(login), server));
    let mut settings = Settings::default();
    if let Some(login) = login {
        let (user, password) = login.split_once(':').map_or((login, None), |(user, password)| (user, Some(password)));
        settings.user = Some(decoded(user)?);
        settings.password = password.map(decoded).transpose()?;
    }
    let (host, port) = match server.strip_prefix('[').and_then(|server| server.split_once(']')) {
        Some((address, port)) => (address, port.strip_prefix(':')),
        None => server.split_once(':').map_or((server, None), |(host, port)| (host, Some(port))),
    };
    if host.contains(',') || port.is_some_and(|port| port.contains(',')) {
        return Err(wrong("`url` names several hosts; name one"));
    }
    settings.host = Some(decoded(host)?).filter(|host| !host.is_empty());
    settings.port = port.filter(|port| !port.is_empty()).map(port_number).transpose()?;
    settings.database = Some(decoded(path)?).filter(|database| !database.is_empty());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value)?;
        match key {
            "sslmode" => settings.tls = Some(mode(&value)?),
            "application_name" => settings.application_name = Some(value),
            "host" => settings.host = Some(value),
            "port" => settings.port = Some(port_number(&value)?),
            "user" => settings.user = Some(value),
            "password" => settings.password = Some(value),
            "dbname" => settings.database = Some(value),
            "connect_timeout" => {
                let seconds = value.parse().map_err(|_| wrong("`connect_timeout` of `url` must be whole seconds"))?;
                settings.connect_timeout_seconds = Some(seconds);
            }
            _ => {
                let message = format!(
                    "`url` has a parameter `{key}` that is not known here; known are sslmode, application_name, \
                     connect_timeout, host, port, user, password, dbname"
                );
                return Err(wrong(&message));
            }
        }
    }
    Ok(settings)
}

fn port_number(text: &str) -> Result<u16, SourceError> {
    text.parse().map_err(|_| wrong("the port of `url` must be a number from 1 to 65535"))
}

fn mode(text: &str) -> Result<TlsMode, SourceError> {
    Ok(match text {
        "disable" => TlsMode::Disable,
        "prefer" | "allow" => TlsMode::Prefer,
        "require" => TlsMode::Require,
        "verify-ca" => TlsMode::VerifyCa,
        "verify-full" => TlsMode::VerifyFull,
        _ => return Err(wrong("`sslmode` of `url` must be disable, prefer, require, verify-ca or verify-full")),
    })
}

/// Text with its `%` escapes undone.
fn decoded(text: &str) -> Result<String, SourceError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or_else(|| wrong("`url` has a `%` without two hexadecimal digits; write `%25` for it"))?);
        rest = &behind[2..];
    }
    String::from_utf8(bytes).map_err(|_| wrong("`url` does not decode to UTF-8"))
}

fn wrong(message: &str) -> SourceError {
    SourceError::Settings { message: message.to_owned() }
}

#[cfg(test)]
mod tests;
