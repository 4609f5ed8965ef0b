//! The Unify spaces a mapping may send to: those named in the settings, and those that Segment lists.

use std::collections::BTreeMap;

use kit::{ChoicePage, ChoiceQuery, DeliveryError, DynamicChoice, Request, SettingsError, Statuses, Wire};
use records::Value;

use crate::tracking::Region;

/// Names of spaces, and the write keys of their sources.
pub(super) struct Spaces(BTreeMap<String, String>);

/// Without the keys.
impl std::fmt::Debug for Spaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The way to Segment's list of sources.
pub(super) struct PublicApi {
    region: Region,
    token: String,
}

/// Without the token.
impl std::fmt::Debug for PublicApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicApi").field("region", &self.region).finish_non_exhaustive()
    }
}

impl Spaces {
    /// Reads the setting `spaces`.
    ///
    /// # Errors
    /// A space has no key.
    pub(super) fn of(settings: &serde_json::Value) -> Result<Self, SettingsError> {
        let mut spaces = BTreeMap::new();
        for (name, key) in settings.get("spaces").and_then(serde_json::Value::as_object).into_iter().flatten() {
            let wrong = || SettingsError::one(format!("spaces.{name}"), "must be the write key of the space's source");
            let key = key.as_str().filter(|key| !key.is_empty()).ok_or_else(wrong)?;
            spaces.insert(name.clone(), key.to_owned());
        }
        Ok(Self(spaces))
    }

    /// Names and write keys.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, key)| (name.as_str(), key.as_str()))
    }

    /// The write key that a mapping means.
    ///
    /// # Errors
    /// Spaces are named, and this is none of them. Segment would take the records and drop them.
    pub(super) fn write_key<'a>(&'a self, space: &'a str) -> Result<&'a str, String> {
        match self.0.get(space) {
            Some(key) => Ok(key),
            None if self.0.is_empty() || self.0.values().any(|key| key == space) => Ok(space),
            None => {
                let names: Vec<_> = self.0.keys().map(|name| format!("`{name}`")).collect();
                Err(format!("`engage_space` names none of the spaces in the settings ({})", names.join(", ")))
            }
        }
    }

    /// The named spaces as values to choose from.
    pub(super) fn choices(&self) -> ChoicePage {
        let choices = self.0.keys().map(|name| DynamicChoice::new(name.as_str(), name.as_str())).collect();
        ChoicePage { choices, next: None }
    }
}

impl PublicApi {
    /// Reads the setting `public_api_token`; none if it is not set.
    pub(super) fn of(settings: &serde_json::Value) -> Option<Self> {
        let token = settings.get("public_api_token")?.as_str().filter(|token| !token.is_empty())?;
        Some(Self { region: Region::of(settings), token: token.to_owned() })
    }

    /// One page of the spaces, each as the write key of the source that Segment keeps for it.
    ///
    /// # Errors
    /// As [`kit::Destination::choices`].
    pub(super) async fn choices(
        &self,
        query: &ChoiceQuery,
        statuses: &Statuses,
        wire: &Wire,
    ) -> Result<ChoicePage, DeliveryError> {
        let unexpected =
            |what: &str| DeliveryError::UnexpectedAnswer { message: format!("the list of sources {what}") };
        let mut parameters = vec![("pagination[count]", "100")];
        parameters.extend(query.page.as_deref().map(|page| ("pagination[cursor]", page)));
        let request = Request::get(format!("{}/sources", self.region.public_api()))
            .query(parameters)
            .without_credentials()
            .header("authorization", format!("Bearer {}", self.token));
        let answer = wire.send(request).await?;
        if let Some(failure) = answer.failure(statuses) {
            return Err(failure);
        }
        let answer = answer.json()?;
        let sources = answer.at(&["data", "sources"]).and_then(Value::as_array);
        let sources = sources.ok_or_else(|| unexpected("is not where it should be"))?;
        let searched = query.search.as_deref().unwrap_or_default().to_lowercase();
        let choices = sources.iter().filter_map(space).filter(|choice| choice.label.to_lowercase().contains(&searched));
        let next = answer.at(&["data", "pagination", "next"]).and_then(Value::as_str);
        Ok(ChoicePage { choices: choices.collect(), next: next.filter(|next| !next.is_empty()).map(str::to_owned) })
    }
}

/// The space that a source is of, if it is of one.
fn space(source: &Value) -> Option<DynamicChoice> {
    let kind = source.at(&["metadata", "slug"]).and_then(Value::as_str);
    let key = source.get("writeKeys").and_then(Value::as_array).and_then(<[Value]>::first).and_then(Value::as_str)?;
    let name = source.get("name").and_then(Value::as_str).unwrap_or(key);
    (kind == Some("personas-compute")).then(|| DynamicChoice::new(key, name))
}
