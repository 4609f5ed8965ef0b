//! Updates of user profiles (`/engage`) and group profiles (`/groups`).

use kit::{DeliveryError, Payload, Request, Wire, form_encoded};
use records::{Object, Outcome, Value};

use super::answers;
use super::{Account, Mixpanel, is_truthy};

/// How many properties may be added to at once.
const INCREMENTS_MAX: usize = 20;

/// An update, or why the record cannot be made into one.
pub(super) type Update = Result<Object, Outcome>;

/// What to set on the profile of a user; none if there is nothing.
pub(super) fn user_update(account: &Account, record: &Payload) -> Option<Object> {
    let traits = record.fields.get("traits").and_then(Value::as_object).filter(|traits| !traits.is_empty())?;
    let mut set = without(
        traits,
        &["created", "createdAt", "created_at", "email", "firstName", "lastName", "name", "username", "phone"],
    );
    put(&mut set, "$created", created(traits));
    put(&mut set, "$email", traits.get("email").cloned());
    put(&mut set, "$first_name", traits.get("firstName").cloned());
    put(&mut set, "$last_name", traits.get("lastName").cloned());
    put(&mut set, "$name", name(traits));
    put(&mut set, "$username", traits.get("username").cloned());
    put(&mut set, "$phone", traits.get("phone").cloned());
    let mut update = of_user(account, record);
    update.insert("$set", set.into());
    Some(update)
}

/// What to set on the profile of a group.
pub(super) fn group_update(account: &Account, record: &Payload) -> Update {
    let Some(traits) = record.fields.get("traits").and_then(Value::as_object) else {
        let message = "`traits` is empty: there is nothing to set on the group; map the group's properties to it";
        return Err(Outcome::rejected("MISSING_TRAITS", message));
    };
    let key =
        record.fields.get("group_key").filter(|key| is_truthy(key)).and_then(Value::as_str).unwrap_or("$group_id");
    let id = traits.get(key).filter(|id| is_truthy(id)).or_else(|| record.fields.get("group_id"));
    let mut set = without(traits, &["created", "createdAt", "created_at", "name"]);
    put(&mut set, "$name", traits.get("name").cloned());
    put(&mut set, "$created", created(traits));
    let mut update = Object::with_capacity(4);
    update.insert("$token", account.token.as_str().into());
    update.insert("$group_key", key.into());
    put(&mut update, "$group_id", id.cloned());
    update.insert("$set", set.into());
    Ok(update)
}

/// What to add to the numbers of a user.
pub(super) fn increments(account: &Account, record: &Payload) -> Update {
    let Some(wanted) = record.fields.get("increment").and_then(Value::as_object).filter(|wanted| !wanted.is_empty())
    else {
        return Err(Outcome::rejected("NOTHING_TO_SEND", "`increment` is empty: there is nothing to add"));
    };
    if wanted.len() > INCREMENTS_MAX {
        let message =
            format!("`increment` has {} properties; at most {INCREMENTS_MAX} can be added to at once", wanted.len());
        return Err(Outcome::rejected("TOO_MANY_PROPERTIES", message));
    }
    let mut add = Object::with_capacity(wanted.len());
    for (key, value) in wanted.iter() {
        let number = match value {
            Value::Text(text) => number(mapping::number_of_text(text)),
            Value::Int(_) | Value::Float(_) | Value::Decimal(_) => Some(value.clone()),
            // Nulls and all else are passed over.
            _ => continue,
        };
        let Some(number) = number else {
            let message =
                format!("`increment.{key}` is `{}`, which is not a number", value.as_str().unwrap_or_default());
            return Err(Outcome::rejected("NOT_A_NUMBER", message));
        };
        add.insert(key, number);
    }
    let mut update = of_user(account, record);
    update.insert("$add", add.into());
    Ok(update)
}

fn number(number: f64) -> Option<Value> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    match number {
        number if number.is_nan() => None,
        number if number.fract() == 0.0 && number.abs() < EXACT_MAX => Some(Value::Int(number as i64)),
        number => Some(Value::Float(number)),
    }
}

/// The beginning of an update: whose profile it is.
fn of_user(account: &Account, record: &Payload) -> Object {
    let field = |key: &str| record.fields.get(key);
    let mut update = Object::with_capacity(4);
    update.insert("$token", account.token.as_str().into());
    let id = field("user_id").filter(|id| !id.is_null()).or_else(|| field("anonymous_id"));
    put(&mut update, "$distinct_id", id.cloned());
    put(&mut update, "$ip", field("ip").cloned());
    update
}

fn without(traits: &Object, keys: &[&str]) -> Object {
    let kept = traits.iter().filter(|(key, _)| !keys.contains(key));
    kept.map(|(key, value)| (key.to_owned(), value.clone())).collect()
}

fn put(object: &mut Object, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        object.insert(key, value);
    }
}

/// The first of these that says something; the last as it is.
fn created(traits: &Object) -> Option<Value> {
    let said = |key: &str| traits.get(key).filter(|value| !value.is_null());
    said("created").or_else(|| said("createdAt")).or_else(|| traits.get("created_at")).cloned()
}

/// The name, or first and last name together.
fn name(traits: &Object) -> Option<Value> {
    let word = |key: &str| traits.get(key).filter(|value| is_truthy(value)).map(plain);
    match traits.get("name") {
        Some(name) if !name.is_null() => Some(name.clone()),
        _ => Some(format!("{} {}", word("firstName")?, word("lastName")?).into()),
    }
}

/// The value as JavaScript writes it into a text.
fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Object(_) => "[object Object]".to_owned(),
        Value::Array(items) => {
            let items = items.iter().map(|item| if item.is_null() { String::new() } else { plain(item) });
            items.collect::<Vec<_>>().join(",")
        }
        scalar => scalar.to_json(),
    }
}

impl Mixpanel {
    /// Sends updates: each by itself as a form, or as one list whose entries are checked one by one.
    pub(super) async fn update(
        &self,
        path: &str,
        batching: bool,
        updates: Vec<Update>,
        wire: &Wire,
    ) -> Result<Vec<Outcome>, DeliveryError> {
        let mut outcomes = Vec::with_capacity(updates.len());
        if !batching {
            for update in updates {
                outcomes.push(match update {
                    Ok(update) => self.post_form(path, update.into(), wire).await?,
                    Err(outcome) => outcome,
                });
            }
            return Ok(outcomes);
        }
        let mut list = Vec::with_capacity(updates.len());
        let mut places = Vec::with_capacity(updates.len());
        for (place, update) in updates.into_iter().enumerate() {
            outcomes.push(match update.and_then(with_owner) {
                Ok(update) => {
                    list.push(Value::Object(update));
                    places.push(place);
                    Outcome::Delivered
                }
                Err(outcome) => outcome,
            });
        }
        if list.is_empty() {
            return Ok(outcomes);
        }
        let count = list.len();
        // The place of a profile is that of its own address, never that of this machine.
        let url = format!("{}{path}?strict=1&verbose=1&ip=0", self.account.origin);
        let request = Request::post(url).without_credentials().text("application/json", Value::Array(list).to_json());
        let answer = wire.send(request).await?;
        for (entry, why) in answers::of_list(&answer, count, &self.facts.statuses)? {
            if let Some(outcome) = places.get(entry).and_then(|place| outcomes.get_mut(*place)) {
                *outcome = Outcome::rejected("INVALID_UPDATE", why);
            }
        }
        Ok(outcomes)
    }

    /// Sends one event or update by itself.
    pub(super) async fn post_form(&self, path: &str, data: Value, wire: &Wire) -> Result<Outcome, DeliveryError> {
        let body = form_encoded([("data", data.to_json().as_str())]);
        let request = Request::post(format!("{}{path}", self.account.origin)).without_credentials();
        let answer = wire.send(request.text("application/x-www-form-urlencoded;charset=UTF-8", body)).await?;
        match answers::of_one(&answer, &self.facts.statuses) {
            Ok(()) => Ok(Outcome::Delivered),
            Err(DeliveryError::Refused { code, message }) => Ok(Outcome::rejected(code, message)),
            Err(error) => Err(error),
        }
    }
}

/// In a list an update without its owner may be passed over in silence.
fn with_owner(update: Object) -> Update {
    let id = if update.contains_key("$group_key") { "$group_id" } else { "$distinct_id" };
    match update.get(id) {
        Some(owner) if is_truthy(owner) => Ok(update),
        _ => Err(Outcome::rejected("MISSING_ID", "the record has no id that says whose profile it is")),
    }
}
