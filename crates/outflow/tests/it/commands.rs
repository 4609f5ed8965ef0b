//! The command line itself: help, wrong words, JSON, what is hidden.

mod connect;
mod simulate;

use super::support::{Project, Sink};

const COMMANDS: [&str; 19] = [
    "init",
    "demo",
    "check",
    "preview",
    "plan",
    "sync",
    "status",
    "history",
    "trace",
    "reset",
    "baseline",
    "replay",
    "map",
    "schema",
    "destinations",
    "test",
    "hook",
    "simulate",
    "connect",
];

#[test]
fn every_command_has_help_with_an_example() {
    let project = Project::empty();
    let help = project.run(&["--help"]);
    assert_eq!(help.exit, 0);
    assert!(help.out.contains("4  held by a guard"), "{}", help.out);
    for command in COMMANDS {
        assert!(help.out.contains(&format!("  {command} ")), "{command} is listed");
        let run = project.run(&[command, "--help"]);
        assert_eq!(run.exit, 0, "{command}");
        assert!(run.out.contains("Example"), "{command}: {}", run.out);
        assert!(run.out.contains(&format!("outflow {command}")), "{command}: {}", run.out);
    }
}

/// A page of the documentation.
fn page(name: &str) -> String {
    std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)).unwrap()
}

#[test]
fn the_documentation_has_every_command_and_option() {
    let text = page("command-line.md");
    let project = Project::empty();
    for command in COMMANDS {
        assert!(text.contains(&format!("`outflow {command}")), "{command}");
        let help = project.run(&[command, "--help"]).out;
        let options = help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2);
        for option in options.map(|word| word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric())) {
            let listed = text.contains(&format!("--{option}")) || ["help", "customers"].contains(&option);
            assert!(listed, "`{command} --{option}` is not in docs/command-line.md");
        }
    }
}

#[test]
fn the_documentation_has_every_key_of_project_files() {
    let text = page("project-files.md");
    let schema = Project::empty().json(&["schema"]);
    let parts =
        ["model", "mapping", "guards", "batch", "retry", "settings", "history"].map(|part| &schema["$defs"][part]);
    for part in parts.into_iter().chain([&schema]) {
        for key in part["properties"].as_object().unwrap().keys() {
            let listed = ["`", "."].iter().any(|before| text.contains(&format!("{before}{key}`")));
            assert!(listed, "`{key}` is not in docs/project-files.md");
        }
    }
}

#[test]
fn wrong_words_are_told_and_end_with_2() {
    let sink = Sink::start();
    let project = Project::new(&sink);
    let cases: [(&[&str], &str); 5] = [
        (&["sinc"], "unrecognized subcommand 'sinc'"),
        (&["sync"], "required"),
        (&["sync", "customer"], "error: there is no mapping `customer` in the project; did you mean `customers`?"),
        (&["preview", "orders"], "error: there is no model `orders` in the project; there is only `customers`"),
        (&["plan", "--samples", "few"], "invalid value 'few'"),
    ];
    for (words, expected) in cases {
        let run = project.run(words);
        assert_eq!(run.exit, 2, "{words:?}: {}{}", run.out, run.err);
        assert!(run.err.contains(expected), "{words:?}: {}", run.err);
    }
}

#[test]
fn every_result_can_be_had_as_json() {
    let sink = Sink::start();
    let project = Project::new(&sink);
    assert_eq!(project.json(&["check"])["ok"], true);
    let preview = project.json(&["preview", "customers", "--rows", "1"]);
    assert_eq!(preview["rows"][0]["email"], "ada@example.com");
    assert_eq!(preview["columns"][0]["kind"], "int");
    let plan = project.json(&["plan"]);
    assert_eq!(plan["plans"][0]["counts"]["added"], 3);
    assert_eq!(plan["plans"][0]["requests"][0]["method"], "POST");
    assert_eq!(project.json(&["sync", "--all"])["syncs"][0]["ending"], "done");
    assert_eq!(project.json(&["status"])["mappings"][0]["records"], 3);
    assert_eq!(project.json(&["history"])["syncs"][0]["state"], "done");
    let trace = project.json(&["trace", "customers", "1"]);
    assert_eq!(trace["trace"]["entries"][0]["operation"], "added");
    assert_eq!(trace["trace"]["entries"][0]["request"]["status"], 200);
    assert_eq!(project.json(&["reset", "customers"])["forgotten"], 3);
    assert_eq!(project.json(&["baseline", "customers"])["records"], 3);
    assert!(project.json(&["schema"])["$defs"]["mapping"].is_object());
    let failure = project.json(&["trace", "customers", "99"]);
    assert_eq!(failure["error"]["message"], "the history of `customers` knows no record with the key `99`");
}

#[test]
fn the_files_problems_are_listed_in_json_too() {
    let sink = Sink::start();
    let project = Project::new(&sink);
    project.write("sources/shop.yaml", "type: sqlite\npath: 1\n");
    let failure = project.json(&["check"]);
    let problem = &failure["error"]["problems"][0];
    assert_eq!(problem["file"], "sources/shop.yaml");
    assert_eq!((problem["line"].as_u64(), problem["field"].as_str()), (Some(2), Some("path")));
}

#[test]
fn commands_that_look_leave_no_trace() {
    let sink = Sink::start();
    let project = Project::new(&sink);
    for words in [&["check"][..], &["preview", "customers"], &["status"], &["history"], &["schema"]] {
        assert_eq!(project.run(words).exit, 0, "{words:?}");
    }
    assert!(!project.path().join(".outflow").exists());
}

#[test]
fn secrets_are_in_no_output() {
    let sink = Sink::start();
    let mut project = Project::new(&sink);
    let token = "tok-5ecret-value";
    project.variable("TOKEN", token);
    let destination = project.read("destinations/crm.yaml");
    let auth = "auth: {type: bearer, token: \"${env:TOKEN}\"}\nheaders: {X-Extra: \"${env:TOKEN}\"}\n";
    project.write("destinations/crm.yaml", &format!("{destination}{auth}"));
    let mapping = project.read("mappings/customers.yaml");
    project.write("mappings/customers.yaml", &mapping.replace("  body:\n", "  body:\n    echo: \"${env:TOKEN}\"\n"));
    let runs: [&[&str]; 8] = [
        &["check"],
        &["plan"],
        &["plan", "--output", "json"],
        &["sync", "--all", "--log", "trace"],
        &["trace", "customers", "1", "--full"],
        &["trace", "customers", "1", "--output", "json"],
        &["history", "--output", "json"],
        &["status"],
    ];
    for words in runs {
        let run = project.run(words);
        assert_eq!(run.exit, 0, "{words:?}: {}{}", run.out, run.err);
        assert!(!run.out.contains(token) && !run.err.contains(token), "{words:?}: {}{}", run.out, run.err);
    }
    let request = &sink.requests()[0];
    let sent = request.headers.iter().find(|(name, _)| name == "authorization").unwrap();
    assert_eq!(sent.1, format!("Bearer {token}"), "but it is sent");
    assert_eq!(request.records()[0]["echo"], token);
}

#[test]
fn what_is_switched_off_gets_nothing() {
    let sink = Sink::start();
    let project = Project::new(&sink);
    let destination = project.read("destinations/crm.yaml");
    project.write("destinations/crm.yaml", &format!("{destination}enabled: false\n"));
    let named = project.run(&["sync", "customers"]);
    assert_eq!(named.exit, 1);
    assert!(named.err.starts_with("error: the destination `crm` of `customers` is switched off\n"), "{}", named.err);
    let all = project.run(&["sync", "--all"]);
    assert!(all.err.starts_with("error: the project has no mapping that is switched on\n"), "{}", all.err);
    assert!(sink.requests().is_empty());
}

#[test]
fn fields_that_are_left_out_get_the_actions_defaults() {
    let sink = Sink::start();
    let project = Project::new(&sink);
    project.write("mappings/customers.yaml", "model: customers\ndestination: crm\nmode: mirror\nfields: {}\n");
    assert_eq!(project.run(&["sync", "customers"]).exit, 0);
    assert_eq!(sink.records()[0], serde_json::json!({ "id": 1, "email": "ada@example.com", "plan": "pro" }));
}

#[test]
fn a_secret_that_is_a_number_leaves_json_readable() {
    let sink = Sink::start();
    let mut project = Project::new(&sink);
    project.variable("PIN", "10001");
    project.sql("insert into customers values (10001, 'pin 10001', 'pro')");
    let destination = project.read("destinations/crm.yaml");
    project.write("destinations/crm.yaml", &format!("{destination}auth: {{type: bearer, token: '${{env:PIN}}'}}\n"));
    let preview = project.json(&["preview", "customers"]);
    assert_eq!(preview["rows"][3]["id"], 10001);
    assert_eq!(preview["rows"][3]["email"], "pin [secret]");
}
