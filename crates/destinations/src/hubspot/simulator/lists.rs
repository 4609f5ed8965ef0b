//! The static lists of a simulated account.

use std::collections::BTreeSet;

use kit::simulator::Reply;
use serde_json::{Value, json};

use super::objects::Objects;
use super::{collection, not_found, refused, text};

#[derive(Default)]
pub(super) struct Lists(Vec<List>);

struct List {
    name: String,
    object_type: String,
    members: BTreeSet<String>,
}

const PAGE: usize = 20;

pub(super) fn type_id(kind: &str) -> String {
    let kind = collection(kind);
    let known = [("contacts", "0-1"), ("companies", "0-2"), ("deals", "0-3"), ("tickets", "0-5")];
    known.iter().find(|(name, _)| *name == kind).map_or(kind, |(_, id)| (*id).to_owned())
}

impl Lists {
    pub(super) fn held(&self) -> Value {
        let lists = self.0.iter().map(|list| json!({ "name": list.name, "members": list.members }));
        Value::from(lists.collect::<Vec<_>>())
    }

    fn shown(&self, place: usize) -> Value {
        let list = &self.0[place];
        json!({
            "listId": (place + 1).to_string(),
            "name": list.name,
            "objectTypeId": type_id(&list.object_type),
            "processingType": "MANUAL",
        })
    }

    fn place(&self, kind: &str, name: &str) -> Option<usize> {
        self.0.iter().position(|list| list.name == name && list.object_type == collection(kind))
    }

    pub(super) fn named(&self, kind: &str, name: &str) -> Reply {
        match self.place(kind, name) {
            Some(place) => Reply::json(200, &json!({ "list": self.shown(place) })),
            None => not_found(),
        }
    }

    pub(super) fn create(&mut self, body: &Value) -> Reply {
        let (kind, name) = (text(body, "objectTypeId"), text(body, "name"));
        if name.is_empty() || kind.is_empty() {
            return refused(400, "VALIDATION_ERROR", "name and objectTypeId are required");
        }
        if self.place(kind, name).is_some() {
            let message = format!("there is a list named {name} already");
            let body = json!({ "status": "error", "message": message, "category": "VALIDATION_ERROR", "subCategory": "ILS.DUPLICATE_LIST_NAMES" });
            return Reply::json(400, &body);
        }
        self.0.push(List { name: name.to_owned(), object_type: collection(kind), members: BTreeSet::new() });
        Reply::json(200, &json!({ "list": self.shown(self.0.len() - 1) }))
    }

    pub(super) fn search(&self, body: &Value) -> Reply {
        let offset = body["offset"].as_u64().and_then(|offset| usize::try_from(offset).ok()).unwrap_or(0);
        let wanted = text(body, "query").to_lowercase();
        let fitting = (0..self.0.len()).filter(|place| self.0[*place].name.to_lowercase().contains(&wanted));
        let all: Vec<_> = fitting.collect();
        let page: Vec<_> = all.iter().skip(offset).take(PAGE).map(|place| self.shown(*place)).collect();
        let next = offset + page.len();
        Reply::json(200, &json!({ "lists": page, "hasMore": next < all.len(), "offset": next, "total": all.len() }))
    }

    pub(super) fn change(&mut self, id: &str, body: &Value, objects: &Objects) -> Reply {
        let place = id.parse::<usize>().ok().and_then(|id| id.checked_sub(1));
        let Some(list) = place.and_then(|place| self.0.get_mut(place)) else { return not_found() };
        let ids = |key: &str| {
            let ids = body[key].as_array().cloned().unwrap_or_default();
            ids.iter().map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned)).collect::<Vec<_>>()
        };
        let (mut added, mut removed, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for id in ids("recordIdsToAdd") {
            if !objects.has(&list.object_type, &id) {
                missing.push(id);
            } else if list.members.insert(id.clone()) {
                added.push(id);
            }
        }
        removed.extend(ids("recordIdsToRemove").into_iter().filter(|id| list.members.remove(id)));
        let body = json!({ "recordsIdsAdded": added, "recordIdsRemoved": removed, "recordIdsMissing": missing });
        Reply::json(200, &body)
    }
}
