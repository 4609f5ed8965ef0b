//! Braze served from memory: users with their events and purchases, aliases, catalogs, and what was sent to whom.

mod catalogs;
mod users;

use kit::simulator::{Received, Refusals, Reply, Simulator};
use serde_json::{Value, json};

use catalogs::Catalogs;
use users::Users;

/// Makes the tool. Settings: `api_key`, which every request must then bring; `campaigns` and `canvases`, how many
/// there are; `catalogs`, their names with the names and types of their fields.
pub(crate) fn simulator(settings: &Value) -> Box<dyn Simulator> {
    let count = |key: &str| settings.get(key).and_then(Value::as_u64).unwrap_or_default();
    Box::new(Tool {
        api_key: settings.get("api_key").and_then(Value::as_str).map(str::to_owned),
        campaigns: count("campaigns"),
        canvases: count("canvases"),
        catalogs: Catalogs::new(settings.get("catalogs").unwrap_or(&Value::Null)),
        ..Tool::default()
    })
}

#[derive(Debug, Default)]
struct Tool {
    api_key: Option<String>,
    users: Users,
    catalogs: Catalogs,
    campaigns: u64,
    canvases: u64,
    sends: Vec<Value>,
}

/// So many campaigns or Canvases come with one page.
const PAGE: u64 = 100;
/// The most recipients of one send.
const RECIPIENTS_MAX: usize = 50;

impl Simulator for Tool {
    fn answer(&mut self, request: &Received, refusals: &Refusals) -> Reply {
        if self.api_key.as_deref().is_some_and(|key| request.bearer() != Some(key)) {
            return self.unauthorized();
        }
        let segments = request.segments();
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        let body = request.json();
        match (request.method.as_str(), &parts[..]) {
            ("POST", ["users", "track"]) => self.users.track(&body, refusals),
            ("POST", ["users", "alias", "new"]) => self.users.add_aliases(&body, refusals),
            ("POST", ["users", "identify"]) => self.users.identify(&body, refusals),
            ("POST", [kind @ ("campaigns" | "canvas"), "trigger", "send"]) => self.send(kind, body, refusals),
            ("GET", ["campaigns", "list"]) => listed("campaigns", "Campaign", self.campaigns, request),
            ("GET", ["canvas", "list"]) => listed("canvases", "Canvas", self.canvases, request),
            (method, ["catalogs", rest @ ..]) => self.catalogs.answer(method, rest, &body, refusals),
            _ => said(404, "Not Found"),
        }
    }

    fn held(&self) -> Value {
        let mut held = self.users.held();
        held["catalogs"] = self.catalogs.held();
        held["sends"] = json!(self.sends);
        held
    }

    fn unauthorized(&self) -> Reply {
        said(401, "Invalid API key")
    }
}

impl Tool {
    fn send(&mut self, kind: &str, body: Value, refusals: &Refusals) -> Reply {
        let id = if kind == "campaigns" { "campaign_id" } else { "canvas_id" };
        let recipients = body["recipients"].as_array().map_or(0, Vec::len);
        if !body[id].is_string() {
            return said(400, if kind == "campaigns" { "Invalid Campaign ID" } else { "Invalid Canvas ID" });
        }
        if recipients == 0 && body["broadcast"] != true {
            return said(400, "No Recipients");
        }
        if recipients > RECIPIENTS_MAX {
            return said(400, "The max number of external_ids and aliases per request was exceeded");
        }
        if let Some(reason) = refusals.reason_for(&body) {
            return said(400, &reason);
        }
        self.sends.push(body);
        Reply::json(201, &json!({ "message": "success", "dispatch_id": format!("{:032x}", self.sends.len()) }))
    }
}

fn listed(key: &str, name: &str, count: u64, request: &Received) -> Reply {
    let page: u64 = request.parameter("page").and_then(|page| page.parse().ok()).unwrap_or_default();
    let from = page.saturating_mul(PAGE).min(count);
    let items: Vec<Value> = (from..count.min(from + PAGE))
        .map(|number| json!({ "id": format!("{key}-{number}"), "name": format!("{name} {number}"), "tags": [] }))
        .collect();
    Reply::json(200, &json!({ "message": "success", key: items }))
}

fn said(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({ "message": message }))
}
