//! A project in a temporary folder, the program run on it, and an endpoint whose answers a test decides.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use sqlx::Connection as _;
use tempfile::TempDir;

/// The files of a small project; its destination is [`Sink`]'s.
const FILES: [(&str, &str); 4] = [
    ("outflow.yaml", "version: 1\nname: shop\n"),
    ("sources/shop.yaml", "type: sqlite\npath: shop.db\n"),
    ("models/customers.sql", "-- source: shop\n-- key: id\nselect id, email, plan from customers\n"),
    (
        "mappings/customers.yaml",
        r#"model: customers
destination: crm
mode: mirror
fields:
  url: /contacts
  body:
    id: { "@path": "$.properties.id" }
    event: { "@path": "$.event" }
    email: { "@path": "$.properties.email" }
    plan: { "@path": "$.properties.plan" }
retry: { attempts_max: 1 }
"#,
    ),
];

const TABLE: &str = "
create table customers (id integer primary key, email text, plan text);
insert into customers values (1, 'ada@example.com', 'pro'), (2, 'alan@example.com', 'free'), (3, 'grace@example.com', 'pro');
";

pub(crate) struct Project {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// What a run of the program gave.
pub(crate) struct Run {
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Project {
    /// Three customers, and a mapping that mirrors them to the sink.
    pub(crate) fn new(sink: &Sink) -> Self {
        let project = Self::empty();
        for (path, text) in FILES {
            project.write(path, text);
        }
        project.write(
            "destinations/crm.yaml",
            &format!(
                "type: http\nbase_url: {}\noptions:\n  batch: {{records_max: 100}}\n  results: {{path: results, error_path: error}}\n",
                sink.url
            ),
        );
        project.sql(TABLE);
        project
    }

    /// A folder with nothing in it.
    pub(crate) fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path().join(path)).unwrap()
    }

    pub(crate) fn variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Runs statements on the project's `shop.db`.
    pub(crate) fn sql(&self, sql: &str) {
        let options =
            sqlx::sqlite::SqliteConnectOptions::new().filename(self.path().join("shop.db")).create_if_missing(true);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut database = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut database).await.unwrap();
            database.close().await.unwrap();
        });
    }

    /// Runs `outflow` with these words in the project's folder.
    pub(crate) fn run(&self, words: &[&str]) -> Run {
        self.run_with(words, "")
    }

    /// Starts `outflow` and leaves it running.
    pub(crate) fn spawn(&self, words: &[&str]) -> std::process::Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outflow"));
        command.args(words).current_dir(self.path()).env_clear().envs(self.variables.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn run_with(&self, words: &[&str], input: &str) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outflow"));
        command.args(words).current_dir(self.path()).env_clear().envs(self.variables.iter().cloned());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| self.normal(&String::from_utf8(bytes).unwrap());
        Run { exit: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// One command as a transcript shows it.
    pub(crate) fn transcript(&self, words: &[&str]) -> String {
        let Run { exit, out, err } = self.run(words);
        let mut text = format!("$ outflow {}\n{out}", words.join(" "));
        if !err.is_empty() {
            text.push_str(&format!("--- stderr\n{err}"));
        }
        if exit != 0 {
            text.push_str(&format!("--- exit {exit}\n"));
        }
        text.push('\n');
        text
    }

    /// The result of a command with `--output json`.
    #[track_caller]
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let mut all = words.to_vec();
        all.extend(["--output", "json"]);
        let run = self.run(&all);
        assert_eq!(run.err, "", "nothing stands beside JSON");
        serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("not JSON ({error}): {}", run.out))
    }

    /// Text without what differs from run to run: ids, times, ports, the folder.
    fn normal(&self, text: &str) -> String {
        let folder = self.path().canonicalize().unwrap();
        let text =
            text.replace(&*folder.to_string_lossy(), "FOLDER").replace(&*self.path().to_string_lossy(), "FOLDER");
        let text = replaced(&text, "sync_", |rest| rest.bytes().take_while(u8::is_ascii_hexdigit).count(), "ID");
        let text = replaced(&text, "127.0.0.1:", |rest| rest.bytes().take_while(u8::is_ascii_digit).count(), "PORT");
        without_times(&text)
    }
}

/// Puts `with` in the place of what follows each `after`.
fn replaced(text: &str, after: &str, length: impl Fn(&str) -> usize, with: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(after) {
        let (before, from) = rest.split_at(start + after.len());
        out.push_str(before);
        let length = length(from);
        if length > 0 {
            out.push_str(with);
        }
        rest = &from[length..];
    }
    out + rest
}

/// Dates, times of day and durations become words of the same width, so that tables stay tables.
fn without_times(text: &str) -> String {
    let shape = |pattern: &str, at: &[u8]| {
        at.len() >= pattern.len()
            && pattern
                .bytes()
                .zip(at)
                .all(|(want, have)| if want == b'0' { have.is_ascii_digit() } else { want == *have })
    };
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut index = 0;
    while index < bytes.len() {
        let found = [
            ("2000-00-00 00:00:00", "DATE       AND TIME"),
            ("0.0 s", "0.0 s"),
            ("000 ms", "N ms"),
            ("00 ms", "N ms"),
            ("0 ms", "N ms"),
        ]
        .into_iter()
        .find(|(pattern, _)| shape(pattern, &bytes[index..]));
        match found {
            Some((pattern, word)) => {
                out.extend_from_slice(word.as_bytes());
                index += pattern.len();
            }
            None => {
                out.push(bytes[index]);
                index += 1;
            }
        }
    }
    String::from_utf8(out).unwrap()
}

/// A request as the sink got it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// The body as it came, where it is no text.
    pub(crate) bytes: Vec<u8>,
}

impl Request {
    pub(crate) fn records(&self) -> Vec<Value> {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// What the sink answers: the bytes after the status line are the test's own if it wants.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) body: String,
    /// Bytes the header promises beyond those that come.
    pub(crate) missing: usize,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self { status, kind: "application/json", body: body.to_string(), missing: 0 }
    }

    /// Every record was taken.
    pub(crate) fn taken(request: &Request) -> Self {
        let results: Vec<Value> = request.records().iter().map(|_| json!({ "status": 200 })).collect();
        Self::json(200, &json!({ "results": results }))
    }
}

/// A local endpoint. It listens until the test ends.
pub(crate) struct Sink {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Sink {
    /// Takes everything.
    pub(crate) fn start() -> Self {
        Self::answering(Reply::taken)
    }

    pub(crate) fn answering(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&requests), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                // A caller that goes away in the middle is no concern of the sink's.
                std::thread::spawn(move || serve(stream, &kept, &*answer).ok());
            }
        });
        Self { url, requests }
    }

    /// The requests since the last call, checks of the connection apart.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let mut all = std::mem::take(&mut *self.requests.lock().unwrap());
        all.retain(|request| request.method != "HEAD");
        all
    }

    /// The records of all requests since the last call.
    pub(crate) fn records(&self) -> Vec<Value> {
        let mut records: Vec<Value> = self.requests().iter().flat_map(Request::records).collect();
        records.sort_by_key(|record| record["id"].as_i64());
        records
    }
}

fn serve(
    mut stream: TcpStream,
    kept: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request) -> Reply + Send + Sync),
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let text = String::from_utf8_lossy(&body).into_owned();
    let request = Request { method, target, headers, body: text, bytes: body };
    let reply = answer(&request);
    kept.lock().unwrap().push(request);
    let Reply { status, kind, body, missing } = reply;
    let length = body.len() + missing;
    write!(
        stream,
        "HTTP/1.1 {status} Answer\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}
