//! Cookies: read, set and taken back. Over https their names say that no other host has set them (`__Host-`).

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};

use crate::PublicUrl;

/// A cookie of this server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cookie {
    name: &'static str,
    secure_name: &'static str,
}

/// A session's.
pub(crate) const SESSION: Cookie = Cookie { name: "outflow_session", secure_name: "__Host-outflow_session" };
/// What has to be known again when the identity provider sends somebody back.
pub(crate) const OIDC: Cookie = Cookie { name: "outflow_oidc", secure_name: "__Host-outflow_oidc" };

impl Cookie {
    pub(crate) fn name(self, url: &PublicUrl) -> &'static str {
        if url.is_https() { self.secure_name } else { self.name }
    }

    /// Over http; the document says the rest.
    pub(crate) fn name_in_documents(self) -> &'static str {
        self.name
    }

    /// What the browser sent. A cookie that is there twice was set by two, so neither is believed.
    pub(crate) fn read<'a>(self, headers: &'a HeaderMap, url: &PublicUrl) -> Option<&'a str> {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == self.name(url)).map(|(_, value)| value);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// What sets it. Scripts cannot read it, and other sites' pages do not send it but by a link that is followed.
    pub(crate) fn set(self, value: &str, lasts: Duration, url: &PublicUrl) -> HeaderValue {
        let secure = if url.is_https() { "; Secure" } else { "" };
        let text =
            format!("{}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{secure}", self.name(url), lasts.as_secs());
        // Values are of our own making, in characters that headers take; what is not sets nothing.
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
    }

    /// What takes it back.
    pub(crate) fn clear(self, url: &PublicUrl) -> HeaderValue {
        self.set("", Duration::ZERO, url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str], url: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, line.parse().unwrap());
        }
        SESSION.read(&headers, &url.parse().unwrap()).map(ToOwned::to_owned)
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let http = "http://a.example";
        assert_eq!(read(&["a=1; outflow_session=x=y; b=2"], http).as_deref(), Some("x=y"));
        assert_eq!(read(&["a=1", "outflow_session=x"], http).as_deref(), Some("x"));
        assert_eq!(read(&["outflow_sessions=x"], http), None);
        assert_eq!(read(&["outflow_session=x; outflow_session=y"], http), None);
        assert_eq!(read(&["outflow_session=x"], "https://a.example"), None);
        assert_eq!(read(&["__Host-outflow_session=x"], "https://a.example").as_deref(), Some("x"));
    }

    #[test]
    fn a_cookie_is_kept_from_scripts_and_from_open_lines() {
        let day = Duration::from_secs(86_400);
        let set = |url: &str| SESSION.set("x", day, &url.parse().unwrap()).to_str().unwrap().to_owned();
        assert_eq!(set("http://a"), "outflow_session=x; Path=/; HttpOnly; SameSite=Lax; Max-Age=86400");
        assert_eq!(set("https://a"), "__Host-outflow_session=x; Path=/; HttpOnly; SameSite=Lax; Max-Age=86400; Secure");
        assert!(SESSION.clear(&"https://a".parse().unwrap()).to_str().unwrap().contains("Max-Age=0"));
    }
}
