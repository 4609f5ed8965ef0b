//! How a server is set up. The binary reads it from its environment and settings file.

use std::{fmt, str::FromStr, time::Duration};

use http::Uri;
use store::SessionLimits;

use crate::oidc::OidcSettings;

/// The largest body that is taken where a route says nothing else.
const BODY_BYTES_MAX: usize = 1 << 20;
/// A session ends when it rests for half a day, and after thirty days however much it is used.
const SESSIONS: SessionLimits =
    SessionLimits { idle: Duration::from_secs(12 * 3_600), absolute: Duration::from_secs(30 * 86_400) };

#[derive(Debug, Clone)]
pub struct Settings {
    /// Where people reach this server.
    pub public_url: PublicUrl,
    /// The largest body of a request.
    pub body_bytes_max: usize,
    /// How many trusted proxies stand in front, each of which adds to `x-forwarded-for` where it was called from.
    pub proxies: usize,
    /// How long people stay signed in.
    pub sessions: SessionLimits,
    /// Where people may sign in besides.
    pub oidc: Option<OidcSettings>,
    /// Which addresses the webhooks of alerts may call.
    pub webhook_reach: kit::Reach,
}

impl Settings {
    /// The defaults for a server that is reached at `public_url`.
    pub fn new(public_url: PublicUrl) -> Self {
        Self {
            public_url,
            body_bytes_max: BODY_BYTES_MAX,
            proxies: 0,
            sessions: SESSIONS,
            oidc: None,
            webhook_reach: kit::Reach::Private,
        }
    }
}

/// The address people and tools reach the server at: `https://outflow.example.com`, without a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    is_https: bool,
    /// Scheme, host and port if it is not the scheme's own, in small letters: as browsers write an origin.
    origin: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the address of a server; write `https://HOST` or `http://HOST:PORT`, without a path")]
pub struct PublicUrlError(String);

impl PublicUrl {
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// What browsers send as `Origin`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The address of a path of this server, which begins with `/`.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        let refused = || PublicUrlError(text.to_owned());
        let uri: Uri = text.trim().parse().map_err(|_| refused())?;
        let scheme = uri.scheme_str().unwrap_or_default().to_ascii_lowercase();
        let authority = uri.authority().ok_or_else(refused)?;
        let is_https = scheme == "https";
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none() && !authority.as_str().contains('@');
        if !bare || !(is_https || scheme == "http") {
            return Err(refused());
        }
        let host = authority.host().to_ascii_lowercase();
        let own = if is_https { 443 } else { 80 };
        let origin = match authority.port_u16().filter(|port| *port != own) {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        };
        Ok(Self { is_https, origin })
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

#[cfg(test)]
mod tests;
