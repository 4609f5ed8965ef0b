//! Klaviyo in memory: profiles, lists and their members, events, consent, and imports that end at once.

mod profiles;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use kit::simulator::{Received, Refusals, Reply, Simulator, whole_seconds};
use serde_json::{Value, json};

use profiles::{Profiles, fault};

/// The API's own limits.
const IMPORT_MAX: usize = 10_000;
const EVENTS_MAX: usize = 1000;
const MEMBERS_MAX: usize = 1000;
const SUBSCRIBE_MAX: usize = 1000;
const UNSUBSCRIBE_MAX: usize = 100;
const LISTS_PAGE: usize = 10;
const PAGE_DEFAULT: usize = 20;
const PAGE_MAX: usize = 100;

/// An account with the key of the settings, or with any key if they have none, and with some empty lists: those of the
/// settings (`lists`, names by id), or `LIST01` to `LIST12`.
pub(crate) fn simulator(settings: &Value) -> Box<dyn Simulator> {
    let key = settings.get("api_key").and_then(Value::as_str).map(str::to_owned);
    let lists = match settings.get("lists").and_then(Value::as_object) {
        Some(lists) => lists.iter().map(|(id, name)| (id.clone(), List::named(name.as_str().unwrap_or(id)))).collect(),
        None => (1..=12).map(|number| (format!("LIST{number:02}"), List::named(&format!("List {number}")))).collect(),
    };
    Box::new(Account { key, lists, ..Account::default() })
}

#[derive(Debug, Default)]
struct Account {
    key: Option<String>,
    profiles: Profiles,
    lists: BTreeMap<String, List>,
    events: Vec<Value>,
    /// Profile, metric and unique id of the events: a second one is dropped.
    seen: HashSet<[String; 3]>,
    imports: Vec<Import>,
}

#[derive(Debug)]
struct List {
    name: String,
    members: BTreeSet<String>,
}

impl List {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), members: BTreeSet::new() }
    }
}

#[derive(Debug)]
struct Import {
    total: usize,
    errors: Vec<Value>,
}

/// What is wrong, and where in the request.
struct Fault {
    status: u16,
    code: &'static str,
    detail: String,
    pointer: String,
}

impl Fault {
    fn new(status: u16, code: &'static str, detail: impl Into<String>, pointer: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), pointer: pointer.into() }
    }

    fn invalid(detail: impl Into<String>, pointer: impl Into<String>) -> Self {
        Self::new(400, "invalid", detail, pointer)
    }

    fn list(id: &str) -> Self {
        Self::new(404, "not_found", format!("A list with id {id} does not exist."), "/data/relationships/lists")
    }
}

impl From<Fault> for Reply {
    fn from(fault: Fault) -> Self {
        refused(&[fault])
    }
}

fn refused(faults: &[Fault]) -> Reply {
    let errors = faults.iter().map(|fault| {
        json!({
            "id": "e0000000-0000-4000-8000-000000000000",
            "status": fault.status,
            "code": fault.code,
            "title": "Invalid input.",
            "detail": fault.detail,
            "source": { "pointer": fault.pointer },
            "links": {},
            "meta": {},
        })
    });
    let status = faults.first().map_or(400, |fault| fault.status);
    Reply::json(status, &json!({ "errors": errors.collect::<Vec<_>>() }))
}

fn array<'a>(body: &'a Value, pointer: &str) -> &'a [Value] {
    body.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn too_many(what: &str, count: usize, most: usize) -> Option<Reply> {
    (count == 0 || count > most)
        .then(|| Fault::invalid(format!("Between 1 and {most} {what} are allowed, not {count}."), "/data").into())
}

/// One page of entries, with a link to the next.
fn page(request: &Received, all: &[Value], size: usize) -> Reply {
    let size = request.parameter("page[size]").and_then(|size| size.parse().ok()).unwrap_or(size).clamp(1, PAGE_MAX);
    let from: usize = request.parameter("page[cursor]").and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let shown: Vec<_> = all.iter().skip(from).take(size).collect();
    let next = (from + size < all.len()).then(|| {
        let path = request.path();
        format!("https://a.klaviyo.com{path}?page%5Bcursor%5D={}", from + size)
    });
    Reply::json(200, &json!({ "data": shown, "links": { "self": "https://a.klaviyo.com", "next": next } }))
}

impl Simulator for Account {
    fn answer(&mut self, request: &Received, refusals: &Refusals) -> Reply {
        let key = request.header("authorization").and_then(|header| header.strip_prefix("Klaviyo-API-Key "));
        if !key.is_some_and(|key| !key.is_empty() && self.key.as_deref().is_none_or(|own| own == key)) {
            return self.unauthorized();
        }
        if request.header("revision").is_none_or(str::is_empty) {
            return Fault::invalid("A `revision` header is required.", "/").into();
        }
        let (segments, body) = (request.segments(), request.json());
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match (request.method.as_str(), segments.as_slice()) {
            ("GET", ["api", "accounts"]) => {
                let contact = json!({ "organization_name": "Simulated account" });
                let account =
                    json!({ "type": "account", "id": "SIM001", "attributes": { "contact_information": contact } });
                Reply::json(200, &json!({ "data": [account] }))
            }
            ("GET", ["api", "profiles"]) => self.search(request),
            ("POST", ["api", "profiles"]) => self.make(&body, refusals),
            ("PATCH", ["api", "profiles", id]) => self.change(id, &body, refusals),
            ("GET", ["api", "lists"]) => {
                let lists: Vec<_> = self.lists.keys().map(|id| self.list(id)).collect();
                page(request, &lists, LISTS_PAGE)
            }
            ("POST", ["api", "lists"]) => self.make_list(&body),
            ("GET", ["api", "lists", id]) if self.lists.contains_key(*id) => {
                Reply::json(200, &json!({ "data": self.list(id) }))
            }
            (method, ["api", "lists", id, "relationships", "profiles"]) => self.members(method, id, &body),
            ("POST", ["api", "profile-bulk-import-jobs"]) => self.import(&body, refusals),
            ("GET", ["api", "profile-bulk-import-jobs", job, rest @ ..]) => self.imported(request, job, rest),
            ("POST", ["api", "events"]) => self.event(&body, refusals),
            ("POST", ["api", "event-bulk-create-jobs"]) => self.events(&body, refusals),
            ("POST", ["api", "profile-subscription-bulk-create-jobs"]) => self.consent(&body, SUBSCRIBE_MAX, refusals),
            ("POST", ["api", "profile-subscription-bulk-delete-jobs"]) => {
                self.consent(&body, UNSUBSCRIBE_MAX, refusals)
            }
            _ => Fault::new(404, "not_found", "There is nothing at this path.", "/").into(),
        }
    }

    fn held(&self) -> Value {
        let lists: Vec<_> = self
            .lists
            .iter()
            .map(|(id, list)| json!({ "id": id, "name": list.name, "members": list.members }))
            .collect();
        json!({ "profiles": self.profiles.held(), "lists": lists, "events": self.events })
    }

    fn rate_limited(&self, after: Option<Duration>) -> Reply {
        let reply = Reply::from(Fault::new(429, "throttled", "Request was throttled.", "/data/"));
        match after {
            Some(after) => reply.with_header("retry-after", &whole_seconds(after).to_string()),
            None => reply,
        }
    }

    fn unauthorized(&self) -> Reply {
        Fault::new(401, "not_authenticated", "Authentication credentials were not provided or are wrong.", "/data/")
            .into()
    }

    fn failed(&self, status: u16) -> Reply {
        Fault::new(status, "error", "A server error occurred.", "/data/").into()
    }
}

impl Account {
    fn list(&self, id: &str) -> Value {
        json!({ "type": "list", "id": id, "attributes": { "name": self.lists.get(id).map(|list| &list.name) } })
    }

    fn make_list(&mut self, body: &Value) -> Reply {
        let name = body.pointer("/data/attributes/name").and_then(Value::as_str).unwrap_or_default();
        if name.is_empty() {
            return Fault::invalid("A list needs a name.", "/data/attributes/name").into();
        }
        let id = format!("NEW{:03}", self.lists.len() + 1);
        self.lists.insert(id.clone(), List::named(name));
        Reply::json(201, &json!({ "data": self.list(&id) }))
    }

    fn members(&mut self, method: &str, id: &str, body: &Value) -> Reply {
        let ids: Vec<_> = array(body, "/data").iter().filter_map(|member| member["id"].as_str()).collect();
        if let Some(reply) = too_many("profiles", ids.len(), MEMBERS_MAX) {
            return reply;
        }
        let Some(list) = self.lists.get_mut(id) else { return Fault::list(id).into() };
        if let Some(unknown) = ids.iter().find(|id| !self.profiles.has(id)) {
            return Fault::new(404, "not_found", format!("A profile with id {unknown} does not exist."), "/data")
                .into();
        }
        match method {
            "POST" => list.members.extend(ids.into_iter().map(str::to_owned)),
            "DELETE" => list.members.retain(|member| !ids.contains(&member.as_str())),
            _ => return Fault::new(405, "method_not_allowed", "The method is not allowed.", "/").into(),
        }
        Reply::status(204)
    }

    /// `any(email,["a@example.com","b@example.com"])`.
    fn search(&self, request: &Received) -> Reply {
        let filter = request.parameter("filter").unwrap_or_default();
        let parts = filter.strip_prefix("any(").and_then(|rest| rest.strip_suffix(')')?.split_once(','));
        let Some((field, values)) = parts else { return Fault::invalid("Invalid filter.", "/filter").into() };
        let Ok(values) = serde_json::from_str::<Vec<String>>(values) else {
            return Fault::invalid("Invalid filter.", "/filter").into();
        };
        let ids: BTreeSet<_> = values.iter().filter_map(|value| self.profiles.with(field, value)).collect();
        let found: Vec<_> = ids.iter().map(|id| self.profiles.shown(id)).collect();
        page(request, &found, PAGE_DEFAULT)
    }

    fn make(&mut self, body: &Value, refusals: &Refusals) -> Reply {
        let attributes = &body["data"]["attributes"];
        if let Some(detail) = fault(attributes).or_else(|| refusals.reason_for(attributes)) {
            return Fault::invalid(detail, "/data/attributes").into();
        }
        if let Some(id) = self.profiles.id_of(attributes) {
            let detail = "A profile already exists with one of these identifiers.";
            let meta = json!({ "duplicate_profile_id": id });
            let error = json!({ "status": 409, "code": "duplicate_profile", "detail": detail, "meta": meta });
            return Reply::json(409, &json!({ "errors": [error] }));
        }
        let id = self.profiles.upsert(attributes);
        Reply::json(201, &json!({ "data": self.profiles.shown(&id) }))
    }

    fn change(&mut self, id: &str, body: &Value, refusals: &Refusals) -> Reply {
        let attributes = &body["data"]["attributes"];
        if body["data"]["id"] != id || !self.profiles.has(id) {
            return Fault::new(404, "not_found", format!("A profile with id {id} does not exist."), "/data/id").into();
        }
        if let Some(detail) = refusals.reason_for(attributes) {
            return Fault::invalid(detail, "/data/attributes").into();
        }
        self.profiles.change(id, attributes);
        Reply::json(200, &json!({ "data": self.profiles.shown(id) }))
    }

    fn import(&mut self, body: &Value, refusals: &Refusals) -> Reply {
        let profiles = array(body, "/data/attributes/profiles/data");
        if let Some(reply) = too_many("profiles", profiles.len(), IMPORT_MAX) {
            return reply;
        }
        let lists: Vec<_> =
            array(body, "/data/relationships/lists/data").iter().map(|list| list["id"].as_str()).collect();
        for list in &lists {
            let id = list.unwrap_or_default();
            if !self.lists.contains_key(id) {
                return Fault::list(id).into();
            }
        }
        let mut errors = Vec::new();
        for profile in profiles {
            let attributes = &profile["attributes"];
            if let Some(detail) = fault(attributes).or_else(|| refusals.reason_for(attributes)) {
                let source = json!({ "pointer": "/data" });
                let error = json!({ "code": "invalid", "title": "Invalid input.", "detail": detail, "source": source, "original_payload": attributes });
                errors.push(json!({ "type": "import-error", "id": errors.len().to_string(), "attributes": error }));
                continue;
            }
            let id = self.profiles.upsert(attributes);
            for list in lists.iter().flatten() {
                self.lists.entry((*list).to_owned()).or_insert_with(|| List::named(list)).members.insert(id.clone());
            }
        }
        self.imports.push(Import { total: profiles.len(), errors });
        let id = format!("import-{}", self.imports.len());
        let attributes =
            json!({ "status": "queued", "total_count": profiles.len(), "completed_count": 0, "failed_count": 0 });
        let data = json!({ "type": "profile-bulk-import-job", "id": id, "attributes": attributes });
        Reply::json(202, &json!({ "data": data }))
    }

    fn imported(&self, request: &Received, job: &str, rest: &[&str]) -> Reply {
        let number = job.strip_prefix("import-").and_then(|number| number.parse::<usize>().ok());
        let import = number.and_then(|number| self.imports.get(number.checked_sub(1)?));
        let Some(Import { total, errors }) = import else {
            return Fault::new(404, "not_found", format!("A job with id {job} does not exist."), "/").into();
        };
        if rest == ["import-errors"] {
            return page(request, errors, PAGE_DEFAULT);
        }
        let counts = json!({
            "status": "complete",
            "total_count": total,
            "completed_count": total - errors.len(),
            "failed_count": errors.len(),
        });
        let data = json!({ "type": "profile-bulk-import-job", "id": job, "attributes": counts });
        Reply::json(200, &json!({ "data": data }))
    }

    fn event(&mut self, body: &Value, refusals: &Refusals) -> Reply {
        let attributes = &body["data"]["attributes"];
        let profile = attributes.pointer("/profile/data/attributes").unwrap_or(&Value::Null);
        if let Some(detail) = event_fault(profile, attributes).or_else(|| refusals.reason_for(attributes)) {
            return Fault::invalid(detail, "/data/attributes").into();
        }
        let id = self.profiles.upsert(profile);
        self.happened(&id, attributes);
        Reply::status(202)
    }

    fn events(&mut self, body: &Value, refusals: &Refusals) -> Reply {
        let items = array(body, "/data/attributes/events-bulk-create/data");
        let events = |item: &Value| -> Vec<Value> {
            array(item, "/attributes/events/data").iter().map(|event| event["attributes"].clone()).collect()
        };
        if let Some(reply) = too_many("events", items.iter().map(|item| events(item).len()).sum(), EVENTS_MAX) {
            return reply;
        }
        let mut faults = Vec::new();
        for (place, item) in items.iter().enumerate() {
            let profile = &item["attributes"]["profile"]["data"]["attributes"];
            let wrong = events(item).iter().find_map(|event| event_fault(profile, event));
            if let Some(detail) = wrong.or_else(|| refusals.reason_for(&item["attributes"])) {
                let pointer = format!("/data/attributes/events-bulk-create/data/{place}/attributes");
                faults.push(Fault::invalid(detail, pointer));
            }
        }
        if !faults.is_empty() {
            return refused(&faults);
        }
        for item in items {
            let id = self.profiles.upsert(&item["attributes"]["profile"]["data"]["attributes"]);
            for event in events(item) {
                self.happened(&id, &event);
            }
        }
        Reply::status(202)
    }

    fn happened(&mut self, profile: &str, event: &Value) {
        let metric = &event["metric"]["data"]["attributes"]["name"];
        if let Some(unique) = event["unique_id"].as_str() {
            let seen = [profile.to_owned(), metric.to_string(), unique.to_owned()];
            if !self.seen.insert(seen) {
                return;
            }
        }
        let mut held = json!({ "profile": profile, "metric": metric });
        for key in ["properties", "time", "value", "unique_id"] {
            if !event[key].is_null() {
                held[key] = event[key].clone();
            }
        }
        self.events.push(held);
    }

    fn consent(&mut self, body: &Value, most: usize, refusals: &Refusals) -> Reply {
        let profiles = array(body, "/data/attributes/profiles/data");
        if let Some(reply) = too_many("profiles", profiles.len(), most) {
            return reply;
        }
        let list = body.pointer("/data/relationships/list/data/id").and_then(Value::as_str);
        if let Some(list) = list.filter(|list| !self.lists.contains_key(*list)) {
            return Fault::list(list).into();
        }
        let mut faults = Vec::new();
        for (place, profile) in profiles.iter().enumerate() {
            let attributes = &profile["attributes"];
            if let Some(detail) = fault(attributes).or_else(|| refusals.reason_for(attributes)) {
                let pointer = format!("/data/attributes/profiles/data/{place}/attributes");
                faults.push(Fault::invalid(detail, pointer));
            }
        }
        if !faults.is_empty() {
            return refused(&faults);
        }
        for profile in profiles {
            let attributes = &profile["attributes"];
            let id = self.profiles.upsert(attributes);
            let Some(list) = list.and_then(|list| self.lists.get_mut(list)) else { continue };
            if attributes["subscriptions"].to_string().contains("UNSUBSCRIBED") {
                list.members.remove(&id);
            } else {
                list.members.insert(id);
            }
        }
        Reply::status(202)
    }
}

fn event_fault(profile: &Value, event: &Value) -> Option<String> {
    let metric = event.pointer("/metric/data/attributes/name").and_then(Value::as_str).unwrap_or_default();
    if metric.is_empty() || metric.chars().count() >= 128 {
        return Some("A metric needs a name of fewer than 128 characters.".to_owned());
    }
    if !event["properties"].is_object() {
        return Some("An event needs properties.".to_owned());
    }
    fault(profile)
}
