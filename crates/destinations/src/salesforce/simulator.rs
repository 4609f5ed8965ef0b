//! Salesforce in memory: records by object, queries for them, and jobs of the Bulk API that end at once.

use std::collections::BTreeMap;

use kit::simulator::{Received, Refusals, Reply, Simulator};
use serde_json::{Map, Value, json};

use super::API_VERSION;
use super::table::parse;

/// The API's own limits.
const SUBREQUESTS_MAX: usize = 25;
const DELETED_MAX: usize = 200;
const UPLOAD_BYTES_MAX: usize = 100_000_000;

#[derive(Debug, Default)]
struct Org {
    /// By the object's name in lower case, then by id.
    objects: BTreeMap<String, BTreeMap<String, Map<String, Value>>>,
    jobs: BTreeMap<String, Job>,
    ids: u64,
}

#[derive(Debug)]
struct Job {
    object: String,
    operation: String,
    id_field: String,
    state: &'static str,
    csv: String,
    /// The columns of the upload, and what became of each row: the new record's id, or why there is none.
    columns: Vec<String>,
    rows: Vec<(Vec<String>, Result<String, String>)>,
}

/// What the tool says no with: status, code, message.
type No = (u16, &'static str, String);

/// An empty org.
pub(crate) fn simulator(_settings: &Value) -> Box<dyn Simulator> {
    Box::new(Org::default())
}

impl Simulator for Org {
    fn answer(&mut self, request: &Received, refusals: &Refusals) -> Reply {
        if request.path() == "/services/oauth2/token" {
            return Reply::json(200, &json!({ "access_token": "simulated-token", "token_type": "Bearer" }));
        }
        if request.bearer().is_none_or(str::is_empty) {
            return self.unauthorized();
        }
        let segments = request.segments();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let ["services", "data", version, rest @ ..] = segments.as_slice() else { return not_found() };
        if *version != API_VERSION {
            return not_found();
        }
        let reply = match (request.method.as_str(), rest) {
            ("GET", []) => Ok(Reply::json(
                200,
                &json!({ "sobjects": "/sobjects", "identity": "https://login.salesforce.com/id/00Dsimulated/005simulated" }),
            )),
            ("GET", ["sobjects"]) => Ok(Reply::json(200, &self.described())),
            ("GET", ["query"]) => {
                self.query(&request.parameter("q").unwrap_or_default()).map(|found| Reply::json(200, &found))
            }
            ("POST", ["sobjects", object]) => self
                .create(object, request.json(), refusals)
                .map(|id| Reply::json(201, &json!({ "id": id, "success": true, "errors": [] }))),
            ("PATCH", ["sobjects", object, id]) => {
                self.update(object, id, request.json(), refusals).map(|()| Reply::status(204))
            }
            ("DELETE", ["sobjects", object, id]) => self.delete(object, id).map(|()| Reply::status(204)),
            ("DELETE", ["composite", "sobjects"]) => self.delete_many(&request.parameter("ids").unwrap_or_default()),
            ("POST", ["composite", "batch"]) => self.batch(&request.json()),
            (method, ["jobs", "ingest", job @ ..]) => self.jobs(method, job, request, refusals),
            _ => return not_found(),
        };
        reply.unwrap_or_else(|(status, code, message)| no(status, code, &message))
    }

    fn held(&self) -> Value {
        let records = |records: &BTreeMap<String, Map<String, Value>>| {
            records
                .iter()
                .map(|(id, fields)| {
                    let mut record = Map::from_iter([("Id".to_owned(), json!(id))]);
                    record.extend(fields.clone());
                    Value::Object(record)
                })
                .collect::<Vec<_>>()
        };
        let jobs = self.jobs.iter().map(|(id, job)| json!({ "id": id, "object": job.object, "operation": job.operation, "state": job.state, "records": job.rows.len() }));
        json!({
            "records": self.objects.iter().map(|(name, held)| (name.clone(), json!(records(held)))).collect::<Map<_, _>>(),
            "jobs": jobs.collect::<Vec<_>>(),
        })
    }

    fn rate_limited(&self, _after: Option<std::time::Duration>) -> Reply {
        no(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
    }

    fn unauthorized(&self) -> Reply {
        no(401, "INVALID_SESSION_ID", "Session expired or invalid")
    }

    fn failed(&self, status: u16) -> Reply {
        no(status, "SERVER_UNAVAILABLE", "a fault of the simulator's settings")
    }
}

impl Org {
    fn id(&mut self, prefix: &str) -> String {
        self.ids += 1;
        format!("{prefix}{:015}", self.ids)
    }

    fn described(&self) -> Value {
        let standard = ["Account", "Case", "Contact", "Lead", "Opportunity"];
        let named = |name: &str| json!({ "name": name, "label": name, "createable": true });
        let own = self.objects.keys().filter(|name| !standard.iter().any(|of| of.eq_ignore_ascii_case(name)));
        let mut all: Vec<_> = standard.iter().map(|name| named(name)).chain(own.map(|name| named(name))).collect();
        all.push(json!({ "name": "ApexLog", "label": "Debug Log", "createable": false }));
        json!({ "sobjects": all })
    }

    fn held_of(&mut self, object: &str) -> &mut BTreeMap<String, Map<String, Value>> {
        self.objects.entry(object.to_lowercase()).or_default()
    }

    fn create(&mut self, object: &str, body: Value, refusals: &Refusals) -> Result<String, No> {
        let fields = accepted(body, refusals)?;
        let needed: &[&str] = match object.to_lowercase().as_str() {
            "lead" => &["LastName", "Company"],
            "contact" => &["LastName"],
            "account" => &["Name"],
            "opportunity" => &["Name", "StageName", "CloseDate"],
            _ => &[],
        };
        let missing: Vec<_> =
            needed.iter().filter(|name| fields.get(**name).is_none_or(Value::is_null)).copied().collect();
        if !missing.is_empty() {
            let message = format!("Required fields are missing: [{}]", missing.join(", "));
            return Err((400, "REQUIRED_FIELD_MISSING", message));
        }
        let id = self.id("00S");
        self.held_of(object).insert(id.clone(), fields);
        Ok(id)
    }

    fn update(&mut self, object: &str, id: &str, body: Value, refusals: &Refusals) -> Result<(), No> {
        let fields = accepted(body, refusals)?;
        match self.held_of(object).get_mut(id) {
            Some(held) => {
                held.extend(fields);
                Ok(())
            }
            None => Err((404, "NOT_FOUND", "The requested resource does not exist".to_owned())),
        }
    }

    fn delete(&mut self, object: &str, id: &str) -> Result<(), No> {
        let gone = || (404, "ENTITY_IS_DELETED", "entity is deleted".to_owned());
        self.held_of(object).remove(id).map(|_| ()).ok_or_else(gone)
    }

    fn delete_many(&mut self, ids: &str) -> Result<Reply, No> {
        let ids: Vec<_> = ids.split(',').filter(|id| !id.is_empty()).collect();
        if ids.is_empty() || ids.len() > DELETED_MAX {
            let message = format!("{} ids; between 1 and {DELETED_MAX} are deleted at once", ids.len());
            return Err((400, "EXCEEDED_ID_LIMIT", message));
        }
        let mut results = Vec::new();
        for id in ids {
            let removed = self.objects.values_mut().any(|held| held.remove(id).is_some());
            results.push(if removed {
                json!({ "id": id, "success": true, "errors": [] })
            } else {
                json!({ "success": false, "errors": [{ "statusCode": "ENTITY_IS_DELETED", "message": "entity is deleted", "fields": [] }] })
            });
        }
        Ok(Reply::json(200, &Value::Array(results)))
    }

    fn batch(&mut self, body: &Value) -> Result<Reply, No> {
        let requests = body["batchRequests"].as_array().map(Vec::as_slice).unwrap_or_default();
        if requests.is_empty() || requests.len() > SUBREQUESTS_MAX {
            let message = format!("{} subrequests; between 1 and {SUBREQUESTS_MAX} come at once", requests.len());
            return Err((400, "LIMIT_EXCEEDED", message));
        }
        let mut results = Vec::new();
        for request in requests {
            let url = request["url"].as_str().unwrap_or_default();
            let asked = Received {
                number: 0,
                method: "GET".to_owned(),
                target: format!("/{url}"),
                headers: Vec::new(),
                body: Vec::new(),
                packed: None,
                at: std::time::Duration::ZERO,
            };
            results.push(match self.query(&asked.parameter("q").unwrap_or_default()) {
                Ok(found) => json!({ "statusCode": 200, "result": found }),
                Err((status, code, message)) => {
                    json!({ "statusCode": status, "result": [{ "errorCode": code, "message": message }] })
                }
            });
        }
        let errors = results.iter().any(|result| result["statusCode"] != 200);
        Ok(Reply::json(200, &json!({ "hasErrors": errors, "results": results })))
    }

    /// `SELECT Id, a FROM B WHERE a = 'x' OR b = 1`, or `… WHERE a IN ('x', 'y')`.
    fn query(&mut self, soql: &str) -> Result<Value, No> {
        let wrong = || (400, "MALFORMED_QUERY", format!("unexpected token in `{soql}`"));
        let rest = soql.strip_prefix("SELECT ").ok_or_else(wrong)?;
        let (fields, rest) = rest.split_once(" FROM ").ok_or_else(wrong)?;
        let (object, condition) = rest.split_once(" WHERE ").ok_or_else(wrong)?;
        let fields: Vec<&str> = fields.split(", ").collect();
        let tests = tests(condition).ok_or_else(wrong)?;
        let records: Vec<Value> = self
            .held_of(object)
            .iter()
            .filter(|(id, held)| holds(&tests, id, held))
            .map(|(id, held)| {
                let value = |name: &str| if name == "Id" { json!(id) } else { value_of(held, name).clone() };
                let fields = fields.iter().map(|name| ((*name).to_owned(), value(name)));
                Value::Object(fields.collect())
            })
            .collect();
        Ok(json!({ "totalSize": records.len(), "done": true, "records": records }))
    }

    fn jobs(&mut self, method: &str, path: &[&str], request: &Received, refusals: &Refusals) -> Result<Reply, No> {
        if (method, path) == ("POST", &[][..]) {
            return self.new_job(&request.json());
        }
        let (Some(id), below) = (path.first().copied().map(str::to_owned), path.get(1).copied()) else {
            return Ok(not_found());
        };
        let Some(job) = self.jobs.get_mut(&id) else { return Ok(not_found()) };
        match (method, below) {
            ("PUT", Some("batches")) if job.state == "Open" && request.body.len() > UPLOAD_BYTES_MAX => {
                Err((413, "INVALIDBATCH", "the upload is too large".to_owned()))
            }
            ("PUT", Some("batches")) if job.state == "Open" && job.csv.is_empty() => {
                job.csv = request.text();
                Ok(Reply::status(201))
            }
            ("PATCH", None) => match (request.json()["state"].as_str(), job.state) {
                (Some("UploadComplete"), "Open") => {
                    self.process(&id, refusals);
                    Ok(Reply::json(200, &json!({ "id": id, "state": "UploadComplete" })))
                }
                (Some("Aborted"), "Open") => {
                    job.state = "Aborted";
                    Ok(Reply::json(200, &json!({ "id": id, "state": "Aborted" })))
                }
                _ => Err((400, "INVALIDJOBSTATE", format!("the job is in the state {}", job.state))),
            },
            ("GET", None) => {
                let failed = job.rows.iter().filter(|(_, end)| end.is_err()).count();
                let (processed, state) = (job.rows.len(), job.state);
                let info = json!({ "id": id, "object": job.object, "operation": job.operation, "state": state, "numberRecordsProcessed": processed, "numberRecordsFailed": failed });
                Ok(Reply::json(200, &info))
            }
            ("GET", Some(file @ ("successfulResults" | "failedResults" | "unprocessedrecords"))) => {
                Ok(Reply::typed(200, "text/csv", job.results(file)))
            }
            _ => Err((400, "INVALIDJOBSTATE", "not in this state of the job".to_owned())),
        }
    }

    fn new_job(&mut self, body: &Value) -> Result<Reply, No> {
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let (operation, object) = (text("operation"), text("object"));
        if !matches!(operation.as_str(), "insert" | "update" | "upsert") || object.is_empty() {
            return Err((400, "INVALIDJOB", format!("no job `{operation}` for the object `{object}`")));
        }
        let id_field = text("externalIdFieldName");
        if operation == "upsert" && id_field.is_empty() {
            return Err((400, "INVALIDJOB", "externalIdFieldName is missing".to_owned()));
        }
        let id = self.id("750");
        let job = Job {
            object,
            operation,
            id_field,
            state: "Open",
            csv: String::new(),
            columns: Vec::new(),
            rows: Vec::new(),
        };
        self.jobs.insert(id.clone(), job);
        Ok(Reply::json(200, &json!({ "id": id, "state": "Open", "contentType": "CSV" })))
    }

    /// Does what the job says, row by row.
    fn process(&mut self, id: &str, refusals: &Refusals) {
        let Some(mut job) = self.jobs.remove(id) else { return };
        let mut rows = parse(&job.csv).unwrap_or_default().into_iter();
        job.columns = rows.next().unwrap_or_default();
        for row in rows {
            let end = if row.len() == job.columns.len() {
                self.process_row(&job, &row, refusals).map_err(|(_, code, message)| format!("{code}:{message}:--"))
            } else {
                Err("INVALID_FIELD:the row has another number of values than the header:--".to_owned())
            };
            job.rows.push((row, end));
        }
        job.state = "JobComplete";
        job.csv = "done".to_owned();
        self.jobs.insert(id.to_owned(), job);
    }

    fn process_row(&mut self, job: &Job, row: &[String], refusals: &Refusals) -> Result<String, No> {
        let mut fields = Map::new();
        for (name, text) in job.columns.iter().zip(row).filter(|(_, text)| !text.is_empty()) {
            fields.insert(name.clone(), if text == "#N/A" { Value::Null } else { json!(text) });
        }
        if job.operation == "insert" {
            fields.retain(|_, value| !value.is_null());
            return self.create(&job.object, Value::Object(fields), refusals);
        }
        let key = fields.get(&job.id_field).and_then(Value::as_str).map(str::to_owned);
        let key = key.ok_or_else(|| (400, "MISSING_ARGUMENT", format!("{} not specified", job.id_field)))?;
        if job.id_field == "Id" {
            fields.remove("Id");
            self.update(&job.object, &key, Value::Object(fields), refusals)?;
            return Ok(key);
        }
        let wanted = json!(key);
        let held = self.held_of(&job.object).iter();
        let known =
            held.filter(|(_, held)| same(value_of(held, &job.id_field), &wanted)).map(|(id, _)| id.clone()).next();
        match known {
            Some(id) => self.update(&job.object, &id, Value::Object(fields), refusals).map(|()| id),
            None => self.create(&job.object, Value::Object(fields), refusals),
        }
    }
}

impl Job {
    /// A file of results: the columns of the upload behind those of the tool.
    fn results(&self, file: &str) -> String {
        let own = match file {
            "successfulResults" => "\"sf__Id\",\"sf__Created\",",
            "failedResults" => "\"sf__Id\",\"sf__Error\",",
            _ => "",
        };
        let mut csv = format!("{own}{}\n", self.columns.join(","));
        for (row, end) in &self.rows {
            match (file, end) {
                ("successfulResults", Ok(id)) => csv.push_str(&format!("\"{id}\",\"true\",")),
                ("failedResults", Err(error)) => csv.push_str(&format!("\"\",\"{}\",", error.replace('"', "\"\""))),
                _ => continue,
            }
            let cells: Vec<_> = row.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
            csv.push_str(&cells.join(","));
            csv.push('\n');
        }
        csv
    }
}

fn accepted(body: Value, refusals: &Refusals) -> Result<Map<String, Value>, No> {
    match refusals.reason_for(&body) {
        Some(reason) => Err((400, "FIELD_CUSTOM_VALIDATION_EXCEPTION", reason)),
        None => match body {
            Value::Object(fields) => Ok(fields),
            _ => Err((400, "JSON_PARSER_ERROR", "an object was expected".to_owned())),
        },
    }
}

/// A field and the values that it may have.
type Test = (String, Vec<Value>);

/// The tests of a condition, and whether all must hold.
fn tests(condition: &str) -> Option<(Vec<Test>, bool)> {
    let mut tests = Vec::new();
    let mut all = false;
    let mut rest = condition;
    loop {
        let (field, after) = rest.split_once(' ')?;
        let values;
        if let Some(mut list) = after.strip_prefix("IN (") {
            let mut found = Vec::new();
            loop {
                let (value, after) = literal(list)?;
                found.push(value);
                match after.strip_prefix(", ") {
                    Some(more) => list = more,
                    None => {
                        rest = after.strip_prefix(')')?;
                        break;
                    }
                }
            }
            values = found;
        } else {
            let (value, after) = literal(after.strip_prefix("= ")?)?;
            (values, rest) = (vec![value], after);
        }
        tests.push((field.to_owned(), values));
        if rest.is_empty() {
            return Some((tests, all));
        }
        if let Some(after) = rest.strip_prefix(" AND ") {
            (all, rest) = (true, after);
        } else {
            rest = rest.strip_prefix(" OR ")?;
        }
    }
}

/// A literal and what follows it.
fn literal(text: &str) -> Option<(Value, &str)> {
    let Some(inner) = text.strip_prefix('\'') else {
        let end = text.find([' ', ',', ')']).unwrap_or(text.len());
        return Some((serde_json::from_str(&text[..end]).ok()?, &text[end..]));
    };
    let mut value = String::new();
    let mut chars = inner.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' => value.push(chars.next()?.1),
            '\'' => return Some((json!(value), &inner[at + 1..])),
            other => value.push(other),
        }
    }
    None
}

fn holds((tests, all): &(Vec<Test>, bool), id: &str, held: &Map<String, Value>) -> bool {
    let holds = |(field, values): &Test| {
        let id = json!(id);
        let value = if field == "Id" { &id } else { value_of(held, field) };
        values.iter().any(|wanted| same(value, wanted))
    };
    if *all { tests.iter().all(holds) } else { tests.iter().any(holds) }
}

fn value_of<'h>(held: &'h Map<String, Value>, name: &str) -> &'h Value {
    let found = held.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map_or(&Value::Null, |(_, value)| value)
}

/// Equal as the tool compares: text whatever its case, numbers that came as text too.
fn same(held: &Value, wanted: &Value) -> bool {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_lowercase);
    !held.is_null() && text(held) == text(wanted)
}

fn no(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!([{ "message": message, "errorCode": code, "fields": [] }]))
}

fn not_found() -> Reply {
    no(404, "NOT_FOUND", "The requested resource does not exist")
}
