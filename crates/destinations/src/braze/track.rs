//! `users/track`: attributes of users, events and purchases, up to 75 objects a request.

use kit::{Batch, DeliveryError, Payload, Request, Wire};
use mapping::SyncMode;
use records::{Object, Outcome, Value};

use super::answers::{self, Carried};
use super::{Braze, INVALID, ecommerce, field, filled, profiles, put, user_alias};

/// The most objects that Braze takes in one request.
const OBJECTS_MAX: usize = 75;

/// Which array of the request an action fills.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Attributes,
    Events,
    Purchases,
}

impl Kind {
    fn array(self) -> &'static str {
        match self {
            Kind::Attributes => "attributes",
            Kind::Events => "events",
            Kind::Purchases => "purchases",
        }
    }

    fn counted(self) -> &'static str {
        match self {
            Kind::Attributes => "attributes_processed",
            Kind::Events => "events_processed",
            Kind::Purchases => "purchases_processed",
        }
    }
}

pub(super) async fn deliver(braze: &Braze, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
    let kind = match batch.action.as_str() {
        "updateUserProfile" | "updateUserProfile2" => Kind::Attributes,
        "trackPurchase" | "trackPurchase2" => Kind::Purchases,
        _ => Kind::Events,
    };
    let mut outcomes = vec![None; batch.records.len()];
    // Requests, each with its objects and the place of each object's record in the batch.
    let mut requests: Vec<(Vec<Value>, Vec<usize>)> = Vec::new();
    for (place, payload) in batch.records.iter().enumerate() {
        match objects(braze, batch, payload) {
            Ok(own) => {
                let owners = std::iter::repeat_n(place, own.len());
                match requests.last_mut().filter(|(objects, _)| objects.len() + own.len() <= OBJECTS_MAX) {
                    Some((objects, all)) => {
                        all.extend(owners);
                        objects.extend(own);
                    }
                    None => requests.push((own, owners.collect())),
                }
            }
            Err(refusal) => outcomes[place] = Some(refusal),
        }
    }
    // A call is one request, but that orders of many products may need more.
    let alone = requests.len() == 1;
    let (mut sent_before, mut is_preview, mut halted) = (false, false, false);
    for (objects, owners) in requests {
        let mut places = owners.clone();
        places.dedup();
        let result = if halted {
            Err(DeliveryError::Unreachable { message: "not sent after an earlier failure".to_owned() })
        } else {
            send(braze, batch, kind, objects, &owners, &places, wire).await
        };
        match result {
            Ok(own) => {
                for (place, outcome) in places.iter().zip(own) {
                    outcomes[*place] = Some(outcome);
                }
            }
            Err(DeliveryError::Preview) => is_preview = true,
            Err(error) => {
                let is_refused = matches!(error, DeliveryError::Refused { .. });
                if alone || (!is_refused && !sent_before) {
                    return Err(error);
                }
                halted |= !is_refused;
                let outcome = answers::outcome_of(error);
                places.iter().for_each(|place| outcomes[*place] = Some(outcome.clone()));
            }
        }
        sent_before = true;
    }
    if is_preview {
        return Err(DeliveryError::Preview);
    }
    let unknown = || Outcome::InDoubt { message: "the record was in no request".to_owned() };
    Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(unknown)).collect())
}

/// Sends one request. `places` are those of its records in the batch; the outcomes are in their order.
async fn send(
    braze: &Braze,
    batch: &Batch,
    kind: Kind,
    objects: Vec<Value>,
    owners: &[usize],
    places: &[usize],
    wire: &Wire,
) -> Result<Vec<Outcome>, DeliveryError> {
    let is_ecommerce = matches!(batch.action.as_str(), "ecommerce" | "ecommerceSingleProduct");
    let carried = Carried {
        records: places.len(),
        owners: owners.iter().filter_map(|owner| places.iter().position(|place| place == owner)).collect(),
        users: if kind == Kind::Attributes { objects.iter().map(user).collect() } else { Vec::new() },
        counted: Some(kind.counted()),
        of_users: true,
        existing_only: objects.iter().all(|object| object.get("_update_existing_only") == Some(&Value::Bool(true))),
    };
    let many = if is_ecommerce { batch.batching } else { objects.len() > 1 };
    let mut request = Request::post(braze.url("/users/track"));
    if many {
        request = request.header("x-braze-batch", "true");
    }
    let mut body = Object::new();
    body.insert(kind.array(), Value::Array(objects));
    let answer = wire.send(request.json(&Value::Object(body))).await?;
    answers::outcomes(braze, &answer, &carried)
}

/// What tells the users of objects apart.
fn user(object: &Value) -> String {
    let mut text = String::new();
    for key in ["external_id", "braze_id", "user_alias", "email", "phone"] {
        object.get(key).unwrap_or(&Value::Null).write_json(&mut text);
        text.push('\n');
    }
    text
}

/// The objects of one record.
fn objects(braze: &Braze, batch: &Batch, payload: &Payload) -> Result<Vec<Value>, Outcome> {
    match batch.action.as_str() {
        "updateUserProfile" | "updateUserProfile2" => {
            identified(payload)?;
            Ok(vec![profiles::attributes(payload, existing_only(batch, payload))])
        }
        "trackEvent" | "trackEvent2" => Ok(vec![event(braze, batch, payload)?]),
        "trackPurchase" | "trackPurchase2" => purchases(braze, batch, payload),
        _ => Ok(vec![ecommerce::event(braze, batch, payload)?]),
    }
}

/// Whether only known users are touched: as the sync mode says, or a field in the first versions of the actions.
fn existing_only(batch: &Batch, payload: &Payload) -> Option<Value> {
    if batch.action.ends_with('2') {
        Some(Value::Bool(batch.mode == SyncMode::Update))
    } else {
        field(payload, "_update_existing_only").cloned()
    }
}

/// Nothing is sent of a record that names no user.
fn identified(payload: &Payload) -> Result<(), Outcome> {
    let named = ["braze_id", "external_id", "email"].iter().any(|key| filled(payload, key).is_some());
    if named || user_alias(payload).is_some() {
        return Ok(());
    }
    let message =
        "the record names no user: map `external_id`, `user_alias`, `braze_id` or `email` to a column that has a value";
    Err(Outcome::rejected(INVALID, message))
}

/// What an event and a purchase begin with.
fn head(braze: &Braze, batch: &Batch, payload: &Payload) -> Result<Object, Outcome> {
    identified(payload)?;
    let mut object = Object::new();
    for key in ["braze_id", "external_id", "email"] {
        put(&mut object, key, field(payload, key).cloned());
    }
    put(&mut object, "user_alias", user_alias(payload));
    put(&mut object, "app_id", braze.app_id.as_deref().map(Value::from));
    put(&mut object, "time", profiles::moment(field(payload, "time")));
    put(&mut object, "_update_existing_only", existing_only(batch, payload));
    Ok(object)
}

fn event(braze: &Braze, batch: &Batch, payload: &Payload) -> Result<Value, Outcome> {
    let mut object = head(braze, batch, payload)?;
    put(&mut object, "name", field(payload, "name").cloned());
    put(&mut object, "properties", field(payload, "properties").cloned());
    Ok(Value::Object(object))
}

fn purchases(braze: &Braze, batch: &Batch, payload: &Payload) -> Result<Vec<Value>, Outcome> {
    /// What a purchase says of itself; further keys are properties.
    const OWN: [&str; 4] = ["product_id", "currency", "price", "quantity"];
    let products = field(payload, "products").and_then(Value::as_array).unwrap_or_default();
    if batch.batching && products.len() > OBJECTS_MAX {
        let message =
            format!("{} products are more than the {OBJECTS_MAX} that Braze takes in a request", products.len());
        return Err(Outcome::rejected("PAYLOAD_TOO_LARGE", message));
    }
    let head = head(braze, batch, payload)?;
    if products.is_empty() {
        return Err(Outcome::rejected(INVALID, "nothing was sent: `products` is empty"));
    }
    let mut common = field(payload, "properties").and_then(Value::as_object).cloned().unwrap_or_default();
    common.remove("products");
    let purchase = |product: &Value| {
        let mut object = head.clone();
        put(&mut object, "product_id", product.get("product_id").cloned());
        let currency = product.get("currency").filter(|currency| !currency.is_null());
        object.insert("currency", currency.map_or_else(|| Value::from("USD"), Value::clone));
        put(&mut object, "price", product.get("price").cloned());
        put(&mut object, "quantity", product.get("quantity").cloned());
        let own = product.as_object().into_iter().flat_map(Object::iter).filter(|(key, _)| !OWN.contains(key));
        let properties = own.chain(common.iter()).map(|(key, value)| (key.to_owned(), value.clone()));
        object.insert("properties", Value::Object(properties.collect()));
        Value::Object(object)
    };
    Ok(products.iter().map(purchase).collect())
}
