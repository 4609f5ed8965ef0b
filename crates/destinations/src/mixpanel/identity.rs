//! `identifyUser` and `alias`: events that join ids, and the profile of the user.

use kit::{DeliveryError, Payload, Wire};
use records::{Object, Outcome, Value};

use super::profiles::user_update;
use super::{Mixpanel, is_truthy};

impl Mixpanel {
    /// Joins the ids of a user, then sets the properties of the profile, each in a request of its own.
    pub(super) async fn identify(&self, record: &Payload, wire: &Wire) -> Result<Outcome, DeliveryError> {
        let mut outcome = None;
        if record.fields.get("anonymous_id").is_some_and(is_truthy) {
            let event = self.event("$identify", self.joined(record));
            outcome = Some(self.post_form("/track", event, wire).await?);
        }
        if let Some(update) = user_update(&self.account, record) {
            let of_profile = self.post_form("/engage", update.into(), wire).await?;
            outcome = outcome.filter(|earlier| !earlier.is_delivered()).or(Some(of_profile));
        }
        Ok(outcome.unwrap_or_else(nothing_to_send))
    }

    /// The same for many users: the joins as a list of events, the profiles as a list of updates.
    pub(super) async fn identify_many(&self, records: &[Payload], wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let joins = |record: &Payload| {
            ["user_id", "anonymous_id"].iter().all(|key| record.fields.get(key).is_some_and(is_truthy))
        };
        let joining: Vec<usize> = (0..records.len()).filter(|place| records.get(*place).is_some_and(joins)).collect();
        let events = joining.iter().filter_map(|place| {
            let record = records.get(*place)?;
            let mut properties = self.joined(record);
            properties.insert("distinct_id", record.fields.get("user_id").cloned().unwrap_or_default());
            Some(self.dated_event("$identify", properties, record, wire))
        });
        let refused = self.import_all("1", events, wire).await?;
        let updates: Vec<_> =
            records.iter().map(|record| user_update(&self.account, record).ok_or_else(nothing_to_send)).collect();
        let has_update: Vec<bool> = updates.iter().map(Result::is_ok).collect();
        let mut outcomes = self.update("/engage", true, updates, wire).await?;
        for (entry, place) in joining.into_iter().enumerate() {
            let (Some(outcome), Some(has_update)) = (outcomes.get_mut(place), has_update.get(place)) else { continue };
            match refused.get(&entry) {
                Some(why) => *outcome = Outcome::rejected("INVALID_EVENT", why.as_str()),
                None if !has_update => *outcome = Outcome::Delivered,
                None => {}
            }
        }
        Ok(outcomes)
    }

    /// Lets another id stand for a user.
    pub(super) async fn alias(&self, record: &Payload, wire: &Wire) -> Result<Outcome, DeliveryError> {
        self.post_form("/track", self.event("$create_alias", self.aliased(record)), wire).await
    }

    /// The same for many users, as a list of events.
    pub(super) async fn alias_many(&self, records: &[Payload], wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let is_whole =
            |record: &Payload| ["alias", "distinct_id"].iter().all(|key| record.fields.get(key).is_some_and(is_truthy));
        let whole = records.iter().filter(|record| is_whole(record));
        let events = whole.map(|record| self.dated_event("$create_alias", self.aliased(record), record, wire));
        let refused = self.import_all("1", events, wire).await?;
        let mut entry = 0;
        let outcomes = records.iter().map(|record| {
            if !is_whole(record) {
                return Outcome::rejected("MISSING_ID", "an alias needs both `alias` and `distinct_id`");
            }
            entry += 1;
            match refused.get(&(entry - 1)) {
                Some(why) => Outcome::rejected("INVALID_EVENT", why.as_str()),
                None => Outcome::Delivered,
            }
        });
        Ok(outcomes.collect())
    }

    fn joined(&self, record: &Payload) -> Object {
        self.named(record, &[("user_id", "$identified_id"), ("anonymous_id", "$anon_id")])
    }

    fn aliased(&self, record: &Payload) -> Object {
        self.named(record, &[("distinct_id", "distinct_id"), ("alias", "alias")])
    }

    /// Ids of the record, and which project they are of.
    fn named(&self, record: &Payload, ids: &[(&str, &str)]) -> Object {
        let mut properties = Object::with_capacity(8);
        for (field, property) in ids {
            if let Some(id) = record.fields.get(field) {
                properties.insert(*property, id.clone());
            }
        }
        properties.insert("token", self.account.token.as_str().into());
        if let Some(source) = &self.account.source_name {
            properties.insert("segment_source_name", source.as_str().into());
        }
        properties
    }

    fn event(&self, name: &str, properties: Object) -> Value {
        records::object! { "event" => name, "properties" => properties }
    }

    /// An event as `/import` wants it, with a time and an id of its own.
    fn dated_event(&self, name: &str, mut properties: Object, record: &Payload, wire: &Wire) -> Value {
        properties.insert("time", wire.now().as_millisecond().into());
        properties.insert("$insert_id", wire.uuid(&record.message_id).into());
        self.event(name, properties)
    }
}

fn nothing_to_send() -> Outcome {
    Outcome::rejected("NOTHING_TO_SEND", "the record has neither properties in `traits` nor an `anonymous_id` to join")
}
