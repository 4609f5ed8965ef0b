//! A server that the command line talks to (`--server`), instead of working on files.

use std::{sync::Arc, time::Duration};

use kit::{Answer, Auth, DeliveryError, Limits, Request, Wire, WireSettings};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    arguments::Global,
    failure::Failure,
    surroundings::{SystemClock, variable},
};

/// Where the API stands below a server's address.
const API: &str = "/api/v1";
/// Requests that a command makes at once, of which `apply` makes the most.
const CONCURRENCY: usize = 8;

/// One server, with the token for it.
#[derive(Debug)]
pub(crate) struct Remote {
    wire: Wire,
    /// Without a slash at its end.
    address: String,
}

/// An answer with what tells its version.
pub(crate) struct Tagged<T> {
    pub(crate) value: T,
    pub(crate) etag: Option<String>,
}

impl Remote {
    /// The server that the command line or the environment names, if any.
    pub(crate) fn of(global: &Global) -> Result<Option<Self>, Failure> {
        let named = global.server.clone().or_else(|| variable("OUTFLOW_SERVER")).filter(|server| !server.is_empty());
        let Some(address) = named else { return Ok(None) };
        let token = variable("OUTFLOW_TOKEN").filter(|token| !token.trim().is_empty()).ok_or_else(|| {
            Failure::usage(format!("`{address}` needs a token"))
                .hint("set OUTFLOW_TOKEN to an API token of that server; a person makes one in its settings")
        })?;
        Self::open(&address, token.trim()).map(Some)
    }

    fn open(address: &str, token: &str) -> Result<Self, Failure> {
        let address = address.trim_end_matches('/').to_owned();
        if kit::url_origin(&address).is_none() {
            let message = format!("`{address}` is not the address of a server");
            return Err(Failure::usage(message).hint("write `https://HOST` or `http://HOST:PORT`"));
        }
        let settings = WireSettings {
            auth: Auth::Bearer { token: token.to_owned() },
            limits: Limits { concurrency: CONCURRENCY, ..Limits::default() },
            // A plan or a preview answers when the warehouse has.
            read_timeout: Duration::from_secs(600),
            total_timeout: Duration::from_secs(900),
            answer_bytes_max: 256 << 20,
            ..WireSettings::default()
        };
        let failed = |error: kit::SettingsError| Failure::new("the server cannot be called").because(error);
        Ok(Self { wire: Wire::open(settings, Arc::new(SystemClock)).map_err(failed)?, address })
    }

    /// The address of a path of the API.
    fn url(&self, path: &str) -> String {
        format!("{}{API}{path}", self.address)
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.read(self.answer(Request::get(self.url(path))).await?)
    }

    /// Reads what may be missing.
    pub(crate) async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<Tagged<T>>, Failure> {
        let answer = self.send(Request::get(self.url(path))).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let answer = accepted(answer)?;
        let etag = answer.header("etag").map(str::to_owned);
        Ok(Some(Tagged { value: self.read(answer)?, etag }))
    }

    /// Every item of a list, page after page. `path` may have a query.
    pub(crate) async fn all(&self, path: &str) -> Result<Vec<Value>, Failure> {
        #[derive(serde::Deserialize)]
        struct Page {
            items: Vec<Value>,
            next_cursor: Option<String>,
        }
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut request = Request::get(self.url(path));
            if let Some(cursor) = &cursor {
                request = request.query([("cursor", cursor.as_str())]);
            }
            let page: Page = self.read(self.answer(request).await?)?;
            items.extend(page.items);
            match page.next_cursor {
                Some(next) => cursor = Some(next),
                None => return Ok(items),
            }
        }
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Failure> {
        self.read(self.answer(Request::post(self.url(path)).json(body)).await?)
    }

    /// Changes what is there as of a version.
    pub(crate) async fn put(&self, path: &str, etag: &str, body: &Value) -> Result<(), Failure> {
        self.answer(Request::put(self.url(path)).header("if-match", etag).json(body)).await.map(drop)
    }

    pub(crate) async fn delete(&self, path: &str, etag: &str) -> Result<(), Failure> {
        self.answer(Request::delete(self.url(path)).header("if-match", etag)).await.map(drop)
    }

    async fn answer(&self, request: Request) -> Result<Answer, Failure> {
        accepted(self.send(request).await?)
    }

    async fn send(&self, request: Request) -> Result<Answer, Failure> {
        let failed = |error: DeliveryError| {
            let error = self.wire.redact_error(error);
            Failure::new(format!("the server `{}` did not answer", self.address)).because(error)
        };
        self.wire.for_call().send(request.header("accept", "application/json")).await.map_err(failed)
    }

    fn read<T: DeserializeOwned>(&self, answer: Answer) -> Result<T, Failure> {
        serde_json::from_slice(&answer.body).map_err(|error| {
            Failure::new(format!("the server `{}` gave an answer that this version cannot read", self.address))
                .because(error)
                .hint("is it an Outflow server of the same version?")
        })
    }
}

/// The answer, unless it is a problem: then its message, hint and faulty fields.
fn accepted(answer: Answer) -> Result<Answer, Failure> {
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |key: &str| problem.get(key).and_then(Value::as_str);
    let detail = text("detail").or_else(|| text("title"));
    let mut message = detail.map_or_else(|| format!("the server answered with status {}", answer.status), str::to_owned);
    for error in problem.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let part = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
        message.push_str(&format!("\n  `{}`: {}", part("field"), part("message")));
    }
    let failure = Failure::new(message);
    Err(match (text("hint"), answer.status) {
        (Some(hint), _) => failure.hint(hint),
        (None, 401) => failure.hint("is OUTFLOW_TOKEN still valid?"),
        _ => failure,
    })
}

/// A name or key as a part of a path.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
