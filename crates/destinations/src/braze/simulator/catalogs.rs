//! The simulated catalogs and their items.

use std::collections::BTreeMap;

use kit::simulator::{Refusals, Reply};
use serde_json::{Map, Value, json};

/// The most items of one request.
const ITEMS_MAX: usize = 50;

#[derive(Debug, Default)]
pub(super) struct Catalogs(BTreeMap<String, Catalog>);

#[derive(Debug, Default)]
struct Catalog {
    description: String,
    /// Names and types, the id among them.
    fields: Vec<(String, String)>,
    items: BTreeMap<String, Map<String, Value>>,
}

/// An error in Braze's form.
fn error(id: &str, message: &str, parameter: &str, value: &str) -> Value {
    json!({ "id": id, "message": message, "parameters": [parameter], "parameter_values": [value] })
}

fn refused(status: u16, errors: Vec<Value>) -> Reply {
    Reply::json(status, &json!({ "message": "Invalid Request", "errors": errors }))
}

fn is_id(text: &str) -> bool {
    (1..=250).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

impl Catalogs {
    /// From names, each with the names and types of its fields.
    pub(super) fn new(settings: &Value) -> Self {
        let id = || ("id".to_owned(), "string".to_owned());
        let catalog = |fields: &Value| {
            let own = fields.as_object().into_iter().flatten();
            let own = own.map(|(name, kind)| (name.clone(), kind.as_str().unwrap_or("string").to_owned()));
            Catalog { fields: std::iter::once(id()).chain(own).collect(), ..Catalog::default() }
        };
        Self(settings.as_object().into_iter().flatten().map(|(name, fields)| (name.clone(), catalog(fields))).collect())
    }

    pub(super) fn held(&self) -> Value {
        self.0.iter().map(|(name, catalog)| (name.clone(), json!(catalog.items))).collect::<Map<_, _>>().into()
    }

    /// The answer to a request below `/catalogs`.
    pub(super) fn answer(&mut self, method: &str, path: &[&str], body: &Value, refusals: &Refusals) -> Reply {
        match (method, path) {
            ("GET", []) => {
                let all: Vec<_> = self.0.iter().map(|(name, catalog)| catalog.shown(name)).collect();
                Reply::json(200, &json!({ "message": "success", "catalogs": all }))
            }
            ("POST", []) => self.create(body),
            ("PUT" | "DELETE", [name, "items", id @ ..]) if id.len() <= 1 => {
                let Some(catalog) = self.0.get_mut(*name) else {
                    return refused(
                        404,
                        vec![error("catalog-not-found", "Could not find catalog", "catalog_name", name)],
                    );
                };
                let mut items = body["items"].as_array().cloned().unwrap_or_default();
                match id {
                    [id] if method == "DELETE" => catalog.delete_one(id, refusals),
                    [id] => {
                        items.truncate(1);
                        for item in items.iter_mut().filter_map(Value::as_object_mut) {
                            item.insert("id".to_owned(), (*id).into());
                        }
                        catalog.put(items, 200, refusals)
                    }
                    _ if items.len() > ITEMS_MAX => refused(
                        400,
                        vec![error("request-includes-too-many-items", "There are too many items", "items", "")],
                    ),
                    _ if method == "DELETE" => catalog.delete(&items, refusals),
                    _ => catalog.put(items, 202, refusals),
                }
            }
            _ => super::said(404, "Not Found"),
        }
    }

    fn create(&mut self, body: &Value) -> Reply {
        let [given] = body["catalogs"].as_array().map(Vec::as_slice).unwrap_or_default() else {
            return refused(400, vec![error("catalog-array-invalid", "There must be one catalog", "catalogs", "")]);
        };
        let name = given["name"].as_str().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let fields: Vec<(String, String)> = given["fields"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|field| (text(&field["name"]), text(&field["type"])))
            .collect();
        let kinds = ["string", "number", "time", "boolean", "object", "array"];
        let wrong = if !is_id(name) {
            Some(("invalid_catalog_name", "The name of the catalog is invalid"))
        } else if self.0.contains_key(name) {
            Some(("catalog-name-already-exists", "A catalog with that name already exists"))
        } else if fields.first().is_none_or(|(name, kind)| name != "id" || kind != "string") {
            Some(("id-not-first-column", "The first field must be the id"))
        } else if !fields.iter().all(|(name, _)| is_id(name)) {
            Some(("invalid-field-names", "The name of a field is invalid"))
        } else if !fields.iter().all(|(_, kind)| kinds.contains(&kind.as_str())) {
            Some(("invalid-field-types", "The type of a field is invalid"))
        } else {
            None
        };
        if let Some((id, message)) = wrong {
            return refused(400, vec![error(id, message, "name", name)]);
        }
        let catalog = Catalog { description: text(&given["description"]), fields, ..Catalog::default() };
        let shown = catalog.shown(name);
        self.0.insert(name.to_owned(), catalog);
        Reply::json(201, &json!({ "message": "success", "catalogs": [shown] }))
    }
}

impl Catalog {
    fn shown(&self, name: &str) -> Value {
        let fields: Vec<_> = self.fields.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect();
        json!({ "name": name, "description": self.description, "fields": fields, "num_items": self.items.len() })
    }

    /// Takes all items or none.
    fn put(&mut self, items: Vec<Value>, status: u16, refusals: &Refusals) -> Reply {
        let mut errors = Vec::new();
        let mut taken = BTreeMap::new();
        for item in items {
            let id = item["id"].as_str().unwrap_or_default().to_owned();
            let foreign = |name: &String| !self.fields.iter().any(|(known, _)| known == name);
            if !is_id(&id) {
                errors.push(error("invalid-ids", "The id of an item is invalid", "id", &id));
            } else if item.as_object().into_iter().flatten().any(|(name, _)| foreign(name)) {
                errors.push(error("invalid-fields", "Some of the fields given do not exist in the catalog", "id", &id));
            } else if let Some(why) = refusals.reason_for(&item) {
                errors.push(error("unable-to-coerce-value", &why, "id", &id));
            } else if let Value::Object(item) = item
                && taken.insert(id.clone(), item).is_some()
            {
                errors.push(error("ids-not-unique", "The ids of the items are not unique", "id", &id));
            }
        }
        if !errors.is_empty() {
            return refused(400, errors);
        }
        self.items.extend(taken);
        Reply::json(status, &json!({ "message": "success" }))
    }

    fn delete(&mut self, items: &[Value], refusals: &Refusals) -> Reply {
        let errors: Vec<_> = items
            .iter()
            .filter_map(|item| Some(error("invalid-ids", &refusals.reason_for(item)?, "id", item["id"].as_str()?)))
            .collect();
        if !errors.is_empty() {
            return refused(400, errors);
        }
        for id in items.iter().filter_map(|item| item["id"].as_str()) {
            self.items.remove(id);
        }
        Reply::json(202, &json!({ "message": "success" }))
    }

    fn delete_one(&mut self, id: &str, refusals: &Refusals) -> Reply {
        if let Some(why) = refusals.reason_for(&json!({ "id": id })) {
            return refused(400, vec![error("invalid-ids", &why, "item_id", id)]);
        }
        match self.items.remove(id) {
            Some(_) => Reply::json(202, &json!({ "message": "success" })),
            None => refused(404, vec![error("item-not-found", "Could not find item", "item_id", id)]),
        }
    }
}
