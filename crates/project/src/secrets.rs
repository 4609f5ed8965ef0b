//! What is a secret, by the look of it, and must not be shown.

/// Parts of a field's name that tell a secret, though it stands in the file.
const TELLING: [&str; 8] = ["password", "secret", "token", "api_key", "apikey", "private", "authorization", "cookie"];
/// The same for the name of a header.
const TELLING_OF_HEADERS: [&str; 6] = ["key", "token", "secret", "password", "auth", "cookie"];
/// Ends of names that tell of a secret's place, not of the secret: `token_url`.
const PLACES: [&str; 3] = ["_url", "_header", "_path"];
/// The key below which headers stand, each under its name.
const HEADERS: &str = "headers";

/// Words that stand everywhere and are no one's secret.
const COMMON: [&str; 6] = ["true", "false", "null", "none", "localhost", "https"];

/// Shorter values are not hidden: they would be found everywhere.
const LENGTH_MIN: usize = 4;

/// What a secret is shown as.
pub const HIDDEN: &str = "[secret]";

/// Texts that are replaced in whatever is shown.
#[derive(Clone, Default)]
pub struct Secrets {
    /// The longest first, so that a secret within another does not leave the rest readable.
    texts: Vec<String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").field("count", &self.texts.len()).finish()
    }
}

impl Secrets {
    pub fn add(&mut self, text: &str) {
        if text.len() < LENGTH_MIN || COMMON.contains(&text) || self.texts.iter().any(|known| known == text) {
            return;
        }
        self.texts.push(text.to_owned());
        // Inside JSON the text may stand escaped.
        let escaped = serde_json::Value::from(text).to_string();
        let escaped = escaped.trim_matches('"');
        if escaped != text {
            self.texts.push(escaped.to_owned());
        }
        if let Some(password) = password_of_url(text) {
            self.add(password);
        }
        self.texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
    }

    /// The text with every secret replaced.
    pub fn hide(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in &self.texts {
            if out.contains(secret.as_str()) {
                out = out.replace(secret.as_str(), HIDDEN);
            }
        }
        out
    }

    /// All of them, for whoever hides them elsewhere.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }
}

/// Whether the name of a field tells that its text is a secret. `above` is the name of the field it stands in.
pub(crate) fn is_telling(name: &str, above: &str) -> bool {
    let name = name.to_lowercase().replace('-', "_");
    if above.eq_ignore_ascii_case(HEADERS) && TELLING_OF_HEADERS.iter().any(|part| name.contains(part)) {
        return true;
    }
    let is_place = PLACES.iter().any(|end| name.ends_with(end));
    !is_place && TELLING.iter().any(|part| name.contains(part))
}

/// The password in `scheme://user:password@host`.
pub(crate) fn password_of_url(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let (signed_in, _) = rest.split_once('@')?;
    let (user, password) = signed_in.split_once(':')?;
    // What is no user's name is no beginning of an address: the colon and the `@` belong to something else.
    let is_user = !user.contains(|letter: char| letter.is_whitespace() || "/?#'\"`{}()<>".contains(letter));
    (is_user && !password.is_empty()).then_some(password)
}
