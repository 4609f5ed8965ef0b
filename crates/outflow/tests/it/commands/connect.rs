//! Access that a person grants in a browser, from `connect` to a sync and the end of the grant.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use kit::simulator::{Received, Refusals, Reply, Simulator, SimulatorServer, SimulatorSettings};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{Project, Sink};

/// A tool that grants access to whoever asks, and takes records from whoever has its token.
#[derive(Default)]
struct Tool {
    tokens_made: u32,
    records: u64,
}

impl Simulator for Tool {
    fn answer(&mut self, request: &Received, _: &Refusals) -> Reply {
        match request.path() {
            "/authorize" => {
                let of = |name: &str| request.parameter(name).unwrap_or_default();
                let back = format!("{}?code=the-code&state={}", of("redirect_uri"), of("state"));
                Reply::status(302).with_header("location", &back)
            }
            "/token" => {
                let form: std::collections::BTreeMap<_, _> = request.form().into_iter().collect();
                let good = match form["grant_type"].as_str() {
                    "authorization_code" => form["code"] == "the-code" && form["code_verifier"].len() > 40,
                    _ => form.get("refresh_token") == Some(&format!("refresh-{}", self.tokens_made)),
                };
                if !good {
                    return Reply::json(400, &json!({ "error": "invalid_grant" }));
                }
                self.tokens_made += 1;
                let (access, refresh) =
                    (format!("access-{}", self.tokens_made), format!("refresh-{}", self.tokens_made));
                Reply::json(200, &json!({ "access_token": access, "refresh_token": refresh, "expires_in": 3600 }))
            }
            "/withdraw" => {
                // Without a new refresh token there is no way back.
                self.tokens_made += 1;
                Reply::status(204)
            }
            _ if request.bearer() != Some(&format!("access-{}", self.tokens_made)) => Reply::status(401),
            _ => {
                self.records += request.json().as_array().map_or(0, |records| records.len() as u64);
                Reply::json(200, &json!({ "results": vec![json!({}); request.json().as_array().map_or(0, Vec::len)] }))
            }
        }
    }

    fn held(&self) -> Value {
        json!({ "tokens_made": self.tokens_made, "records": self.records })
    }
}

/// The answer to a GET, head and all.
fn got(url: &str) -> String {
    let rest = url.strip_prefix("http://").unwrap().replace("localhost", "127.0.0.1");
    let (address, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET /{path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

/// `outflow connect crm` until it shows the page where access is granted.
fn connecting(project: &Project) -> (Child, BufReader<std::process::ChildStderr>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outflow"));
    command.args(["connect", "crm", "--no-browser", "--port", "0"]).current_dir(project.path()).env_clear();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("  http") {
        line.clear();
        assert_ne!(err.read_line(&mut line).unwrap(), 0, "it ended");
    }
    (child, err, line.trim().to_owned())
}

/// What it says on both streams when it ends.
fn ended(child: Child, mut err: BufReader<std::process::ChildStderr>) -> (bool, String) {
    let output = child.wait_with_output().unwrap();
    let mut said = String::from_utf8(output.stdout).unwrap();
    err.read_to_string(&mut said).unwrap();
    (output.status.success(), said)
}

fn location(answer: &str) -> String {
    answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().to_owned()
}

#[test]
fn access_is_granted_in_a_browser_and_used_by_syncs() {
    let runtime = Runtime::new().unwrap();
    let make = || -> Box<dyn Simulator> { Box::<Tool>::default() };
    let tool = runtime.block_on(SimulatorServer::start(0, SimulatorSettings::default(), make)).unwrap();
    let url = tool.url();
    let project = Project::new(&Sink::start());
    let auth = format!(
        "auth: {{ type: oauth2, authorize_url: {url}/authorize, token_url: {url}/token, client_id: app, client_secret: very-s3cret }}"
    );
    project.write("destinations/crm.yaml", &format!("type: http\nbase_url: {url}\n{auth}\noptions: {{ batch: {{ records_max: 100 }}, results: {{ path: results, error_path: error }} }}\n"));

    for words in [&["check"][..], &["check", "--offline"]] {
        let run = project.run(words);
        assert_eq!(run.exit, 1, "{}", run.out);
        assert!(run.out.contains("nobody has granted access yet; run `outflow connect crm`"), "{}", run.out);
    }
    let sync = project.run(&["sync", "--all"]);
    assert!(
        sync.exit == 1 && format!("{}{}", sync.out, sync.err).contains("not connected yet"),
        "{}{}",
        sync.out,
        sync.err
    );

    // In a browser on this computer; a stray request before it changes nothing.
    let (child, err, page) = connecting(&project);
    let back = location(&got(&page));
    let stray = got(&format!("{}?code=stolen&state=guessed", back.split('?').next().unwrap()));
    assert!(stray.starts_with("HTTP/1.1 400") && stray.contains("belongs to another attempt"), "{stray}");
    let shown = got(&back);
    assert!(shown.starts_with("HTTP/1.1 200") && shown.contains("Outflow may now use HTTP."), "{shown}");
    let (well, said) = ended(child, err);
    assert!(well && said.contains("Connected `crm`. It is renewed by itself."), "{said}");
    for secret in ["access-1", "refresh-1", "very-s3cret", "the-code"] {
        assert!(!said.contains(secret), "{said}");
    }
    let kept = project.path().join(".outflow/credentials/crm.json");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let text = std::fs::read_to_string(&kept).unwrap();
    assert!(!text.contains("access-1") && !text.contains("refresh-1"), "{text}");
    assert_eq!(project.run(&["sync", "--all"]).exit, 0);
    assert_eq!(tool.held()["records"], 3);

    // In a browser elsewhere, whose address is pasted.
    let (child, err, page) = connecting(&project);
    let back = location(&got(&page));
    writeln!(child.stdin.as_ref().unwrap(), "nonsense\n{back}").unwrap();
    let (well, said) = ended(child, err);
    assert!(well && said.contains("still waiting") && said.contains("Connected `crm`"), "{said}");

    // Withdrawn: the sync stops and says what to do.
    got(&format!("{url}/withdraw"));
    project.sql("update customers set plan = 'basic' where id = 1");
    let run = project.run(&["sync", "--all"]);
    assert!(run.exit == 1 && format!("{}{}", run.out, run.err).contains("invalid_grant"), "{}{}", run.out, run.err);

    // What came back may also be a no.
    let (child, err, page) = connecting(&project);
    let back = location(&got(&page));
    let state = back.split("state=").nth(1).unwrap();
    let shown = got(&format!("{}?error=access_denied&state={state}", back.split('?').next().unwrap()));
    assert!(shown.contains("access was not granted: access_denied"), "{shown}");
    let (well, said) = ended(child, err);
    assert!(!well && said.contains("access was not granted: access_denied"), "{said}");
}

#[test]
fn what_has_nothing_to_connect_is_told() {
    let project = Project::new(&Sink::start());
    let run = project.run(&["connect", "crm"]);
    assert!(run.exit == 1 && run.err.contains("`crm` is signed in to by its settings"), "{}", run.err);
    let run = project.run(&["connect", "cmr"]);
    assert!(run.exit == 2 && run.err.contains("did you mean `crm`?"), "{}", run.err);
}
