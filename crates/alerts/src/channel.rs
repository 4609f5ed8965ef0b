//! The form of a channel: how people or a program are told.

mod secrets;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use lettre::message::Mailbox;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Problem;
pub use secrets::{KEPT, hide_channel, open_channel, open_document, seal_channel};

const RECIPIENTS_MAX: usize = 50;
const HEADERS_MAX: usize = 20;
/// A shorter secret can be guessed.
const SECRET_LENGTH_MIN: usize = 16;

/// A channel: how people or a program are told of alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(rename = "channel")]
pub enum ChannelForm {
    /// E-mail over SMTP.
    Email(EmailForm),
    /// An incoming webhook of Slack.
    Slack(SlackForm),
    /// A signed request to a program.
    Webhook(WebhookForm),
}

/// E-mail over SMTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "email_channel")]
pub struct EmailForm {
    /// Who it goes to: `ops@example.com`, or `Operations <ops@example.com>`.
    #[schemars(length(min = 1, max = 50))]
    pub to: Vec<String>,
    /// Who it comes from.
    pub from: String,
    /// The server that takes it.
    pub smtp: SmtpForm,
}

/// A server that takes e-mail.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "smtp")]
pub struct SmtpForm {
    /// Its name, which its certificate must have too.
    pub host: String,
    /// Default: 587 with `starttls`, 465 with `tls`, 25 with `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How the connection is encrypted. Default: `starttls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Security>,
    /// The user to sign in as. Default: without signing in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password of that user.
    #[schemars(extend("writeOnly" = true))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Certificates (PEM) that are trusted beside those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<String>,
}

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "smtp_security")]
pub enum Security {
    /// It begins in the clear and is encrypted before anything is said; a server that cannot do that is not used.
    #[default]
    Starttls,
    /// It is encrypted from the beginning.
    Tls,
    /// It is not, for a server on this machine or in a network that is trusted. A password does not go with it.
    None,
}

/// An incoming webhook of Slack.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "slack_channel")]
pub struct SlackForm {
    /// The address that Slack shows when the webhook is made. Whoever knows it can post, so it is a secret.
    #[schemars(extend("writeOnly" = true))]
    pub url: String,
}

/// A signed request to a program.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "webhook_channel")]
pub struct WebhookForm {
    /// Where the request goes.
    pub url: String,
    /// What the request is signed with; at least 16 characters.
    #[schemars(extend("writeOnly" = true))]
    pub secret: String,
    /// Headers that go with it, such as `authorization`. Their values are secrets.
    #[schemars(extend("writeOnly" = true))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Certificates (PEM) that are trusted beside those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<String>,
}

impl fmt::Debug for SmtpForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SmtpForm");
        shown.field("host", &self.host).field("port", &self.port).field("security", &self.security);
        shown.field("username", &self.username).finish_non_exhaustive()
    }
}

impl fmt::Debug for SlackForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlackForm").finish_non_exhaustive()
    }
}

impl fmt::Debug for WebhookForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookForm").field("url", &self.url).finish_non_exhaustive()
    }
}

impl ChannelForm {
    /// Whether it can be used.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn check(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        match self {
            Self::Email(form) => form.check(&mut problems),
            Self::Slack(form) => check_url(&form.url, "url", &mut problems),
            Self::Webhook(form) => form.check(&mut problems),
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

impl EmailForm {
    fn check(&self, problems: &mut Vec<Problem>) {
        match self.to.len() {
            0 => problems.push(Problem::new("to", "it needs at least 1 address")),
            count if count > RECIPIENTS_MAX => {
                let message = format!("it has {count} addresses; it may have at most {RECIPIENTS_MAX}");
                problems.push(Problem::new("to", message));
            }
            _ => {}
        }
        let to = self.to.iter().enumerate().map(|(index, text)| (format!("to[{index}]"), text));
        for (field, text) in to.chain([("from".to_owned(), &self.from)]) {
            if text.parse::<Mailbox>().is_err() {
                let message = format!(
                    "`{text}` is not an address; write it as `ops@example.com` or `Operations <ops@example.com>`"
                );
                problems.push(Problem::new(field, message));
            }
        }
        let SmtpForm { host, port, security, username, password, .. } = &self.smtp;
        if host.is_empty()
            || host.contains(|letter: char| letter.is_whitespace() || "/:@".contains(letter)) && !host.contains("::")
        {
            let message = format!("`{host}` is not the name of a server; write it as `smtp.example.com`");
            problems.push(Problem::new("smtp.host", message));
        }
        if *port == Some(0) {
            problems.push(Problem::new("smtp.port", "it must be from 1 to 65535"));
        }
        if username.is_some() != password.is_some() {
            problems.push(Problem::new("smtp", "`username` and `password` go together; give both or neither"));
        }
        if *security == Some(Security::None) && password.is_some() {
            let message =
                "a password would be sent for all to read; choose `starttls` or `tls`, or sign in without one";
            problems.push(Problem::new("smtp.security", message));
        }
    }
}

impl WebhookForm {
    fn check(&self, problems: &mut Vec<Problem>) {
        check_url(&self.url, "url", problems);
        if self.secret.chars().count() < SECRET_LENGTH_MIN {
            let message = format!(
                "it is too short; write at least {SECRET_LENGTH_MIN} characters that nobody can guess, and give them to \
                 the program that is called"
            );
            problems.push(Problem::new("secret", message));
        }
        if self.headers.len() > HEADERS_MAX {
            let message = format!("it has {}; it may have at most {HEADERS_MAX}", self.headers.len());
            problems.push(Problem::new("headers", message));
        }
        for (name, value) in &self.headers {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let lower = name.to_ascii_lowercase();
            if name.is_empty() || !name.bytes().all(is_letter) {
                problems.push(Problem::new(format!("headers.{name}"), "it is not the name of a header"));
            } else if OWN_HEADERS.contains(&lower.as_str()) {
                problems.push(Problem::new(format!("headers.{name}"), "Outflow sets it itself; take it out"));
            }
            if value.chars().any(char::is_control) {
                problems.push(Problem::new(format!("headers.{name}"), "a header cannot hold a line break"));
            }
        }
    }
}

/// Headers that a webhook cannot set for itself.
const OWN_HEADERS: [&str; 8] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "outflow-signature",
    "outflow-dispatch",
    "user-agent",
];

/// The URL itself may be a secret, so it is not repeated.
fn check_url(url: &str, field: &str, problems: &mut Vec<Problem>) {
    let is_http = kit::url_origin(url).is_some_and(|(scheme, ..)| scheme == "https" || scheme == "http");
    if !is_http {
        problems.push(Problem::new(field, "it is not a URL; write it from `https://` on"));
    }
}
