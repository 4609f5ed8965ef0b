//! A simulated tool that syncs deliver to.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command},
};

use serde_json::{Value, json};

use crate::support::{Project, Sink};

/// A running `outflow simulate`.
struct Simulated {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    url: String,
    /// The destination's file that it printed.
    destination: String,
}

impl Drop for Simulated {
    fn drop(&mut self) {
        // It has ended already if all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Simulated {
    fn start(project: &Project, words: &[&str]) -> Self {
        let mut child = project.spawn(&[&["simulate"], words].concat());
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut simulated = Self { child, out, url: String::new(), destination: String::new() };
        loop {
            let mut line = String::new();
            assert_ne!(simulated.out.read_line(&mut line).unwrap(), 0, "it ended");
            if let Some((_, address)) = line.split_once(" is simulated at ") {
                simulated.url = address.trim().to_owned();
            } else if let Some(line) = line.strip_prefix("  ") {
                simulated.destination.push_str(line);
            } else if line.starts_with("Ctrl-C") {
                return simulated;
            }
        }
    }

    fn asked(&self, request: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.url.trim_start_matches("http://")).unwrap();
        let length = body.len();
        let head = format!(
            "{request} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    fn report(&self) -> Value {
        serde_json::from_str(&self.asked("GET /_simulator", "")).unwrap()
    }

    /// What it still says when it is interrupted.
    fn ended(mut self) -> String {
        let killed = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success());
        rest
    }
}

#[test]
fn a_sync_delivers_to_a_simulated_tool_and_is_told_what_it_refuses() {
    let project = Project::new(&Sink::start());
    project.write("simulator.yaml", "refuse_message: not this one\ndestination:\n  options: { results: { path: results, error_path: error }, batch: { records_max: 2 } }\n");
    let simulated =
        Simulated::start(&project, &["http", "--refuse", "email=alan@example.com", "--settings", "simulator.yaml"]);
    assert!(
        simulated.destination.starts_with(&format!("type: http\nbase_url: \"{}\"\n", simulated.url)),
        "{}",
        simulated.destination
    );
    project.write("destinations/crm.yaml", &simulated.destination);

    let report = project.json(&["sync", "--all"]);
    let sync = &report["syncs"][0];
    assert_eq!(
        (&sync["ending"], &sync["counts"]["delivered"], &sync["counts"]["rejected"]),
        (&"partly".into(), &2.into(), &1.into()),
        "{sync}"
    );
    let held = simulated.report();
    assert_eq!(held["held"]["POST /contacts"]["records"], 2);
    let emails = held["held"]["POST /contacts"]["last"].as_array().unwrap();
    let mut emails: Vec<_> = emails.iter().map(|record| record["email"].as_str().unwrap()).collect();
    emails.sort_unstable();
    assert_eq!(emails, ["ada@example.com", "grace@example.com"]);

    simulated.asked("POST /_simulator/settings", r#"{"refuse": null}"#);
    assert_eq!(project.json(&["sync", "--all"])["syncs"][0]["ending"], "done");
    assert_eq!(simulated.report()["held"]["POST /contacts"]["records"], 3);
    simulated.asked("POST /_simulator/reset", "");
    assert_eq!(simulated.report()["requests"], 0);
    simulated.asked("POST /contacts", r#"{"id": 9}"#);
    let end = simulated.ended();
    assert!(end.ends_with("1 request came.\n  POST /contacts  200: 1\nIt held of `POST /contacts`: 1\n"), "{end}");
}

#[test]
fn an_option_leaves_the_rest_of_the_latency_in_the_file() {
    let project = Project::new(&Sink::start());
    project.write("simulator.yaml", "latency: { millis: 1, jitter_millis: 2 }\n");
    let cases: [(&[&str], [u64; 2]); 3] =
        [(&["--latency", "3"], [3, 2]), (&["--jitter", "3"], [1, 3]), (&["--latency", "4", "--jitter", "5"], [4, 5])];
    for (words, [millis, jitter_millis]) in cases {
        let simulated = Simulated::start(&project, &[&["http", "--settings", "simulator.yaml"], words].concat());
        let latency = simulated.report()["settings"]["latency"].clone();
        assert_eq!(latency, json!({ "millis": millis, "jitter_millis": jitter_millis }), "{words:?}");
        simulated.ended();
    }
}

#[test]
fn wrong_words_to_a_simulator_are_told() {
    let project = Project::empty();
    project.write("wrong.yaml", "faults: [{ fault: explode }]\n");
    let cases: [(&[&str], &str); 4] = [
        (&["simulate", "htpp"], "there is no simulator for `htpp`; did you mean `http`?"),
        (&["simulate", "http", "--refuse", "email"], "`--refuse email` is not FIELD=VALUE"),
        (&["simulate", "http", "--refuse-percent", "120"], "must be between 0 and 100"),
        (&["simulate", "http", "--settings", "wrong.yaml"], "the settings in `wrong.yaml` are wrong"),
    ];
    for (words, expected) in cases {
        let run = project.run(words);
        assert_eq!(run.exit, 2, "{words:?}: {}{}", run.out, run.err);
        assert!(run.err.contains(expected), "{words:?}: {}", run.err);
    }
    let run = project.run(&["simulate", "http", "--settings", "none.yaml"]);
    assert!(run.exit == 1 && run.err.contains("`none.yaml` cannot be read"), "{}", run.err);
}
