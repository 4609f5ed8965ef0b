//! Takes secrets out of text before it is recorded, shown or logged.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// What stands where a secret stood.
pub const REDACTED: &str = "[secret]";

/// Shorter secrets are only removed from headers: by value they would blot out ordinary text.
const LENGTH_MIN: usize = 4;

/// The secrets of one destination in all the forms in which they may turn up.
#[derive(Clone, Default)]
pub struct Redaction {
    /// Longest first, so that a form within a form does not leave a rest behind.
    forms: Vec<String>,
}

impl std::fmt::Debug for Redaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redaction({} forms)", self.forms.len())
    }
}

impl Redaction {
    pub fn new(secrets: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut redaction = Self::default();
        for secret in secrets {
            redaction.add(secret.as_ref());
        }
        redaction
    }

    /// Adds a secret: as it is, in base64, URL-encoded and as JSON text.
    pub fn add(&mut self, secret: &str) {
        if secret.len() < LENGTH_MIN {
            return;
        }
        self.push(secret.to_owned());
        for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
            self.push(engine.encode(secret));
        }
        let form = form_encoded([("", secret)]);
        let form = form.trim_start_matches('=');
        self.push(form.replace('+', "%20"));
        self.push(form.to_owned());
        if let Ok(mut url) = reqwest::Url::parse("http://host/") {
            url.set_path(secret);
            self.push(url.path().trim_start_matches('/').to_owned());
            url.set_query(Some(secret));
            self.push(url.query().unwrap_or_default().to_owned());
        }
        let mut json = String::new();
        records::write_text(secret, &mut json);
        self.push(json[1..json.len() - 1].to_owned());
        for line in secret.lines().map(str::trim).filter(|line| line.len() >= 16 && line.len() < secret.len()) {
            self.push(line.to_owned());
        }
        self.forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    }

    fn push(&mut self, form: String) {
        if form.len() >= LENGTH_MIN && !self.forms.contains(&form) {
            self.forms.push(form);
        }
    }

    /// The text without the secrets.
    pub fn text(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for form in &self.forms {
            if out.contains(form.as_str()) {
                out = out.replace(form.as_str(), REDACTED);
            }
        }
        out
    }

    /// The first `bytes_max` bytes or so, without the secrets, not even the beginning of one that the cut divides.
    pub fn head(&self, bytes: &[u8], bytes_max: usize) -> String {
        let longest = self.forms.first().map_or(0, String::len);
        let window = bytes_max.saturating_add(longest);
        if bytes.len() <= window {
            let text = self.text(&String::from_utf8_lossy(bytes));
            return if text.len() <= bytes_max { text } else { cut(text, bytes_max) };
        }
        let text = self.text(&String::from_utf8_lossy(&bytes[..window]));
        // A character cut in the middle has become one of three bytes.
        let keep = bytes_max.min(text.len().saturating_sub(longest + 3));
        cut(text, keep)
    }
}

/// Pairs in the form `application/x-www-form-urlencoded`.
pub fn form_encoded<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let Ok(mut url) = reqwest::Url::parse("http://host/") else { return String::new() };
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

fn cut(mut text: String, bytes_max: usize) -> String {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push_str("… (cut)");
    text
}
