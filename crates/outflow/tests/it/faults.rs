//! Faults around the program: a warehouse that refuses, a destination that refuses, a full disk, damaged files, two
//! processes at once. Each is told with what, where and what to do, and costs no record.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::{Mutex, mpsc},
};

use postgres_server::{Options, PASSWORD, PostgresServer};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use serde_json::json;

use super::{
    support::{Project, Reply, Run, Sink},
    warehouse,
};

#[track_caller]
fn expect(run: &Run, exit: i32, expected: &[&str]) {
    let all = format!("{}{}", run.out, run.err);
    for text in expected {
        assert!(all.contains(text), "`{text}` is not in:\n{all}");
    }
    assert_eq!(run.exit, exit, "{all}");
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

fn contains(path: &Path, word: &str) -> bool {
    std::fs::read(path).unwrap().windows(word.len()).any(|part| part == word.as_bytes())
}

/// A server that offers TLS with a certificate that has expired, and its authority.
fn server_with_an_expired_certificate() -> (PostgresServer, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &root).unwrap();
    let setting = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let options = Options {
        settings: vec![
            setting("ssl", "on"),
            setting("ssl_cert_file", "server.crt"),
            setting("ssl_key_file", "server.key"),
        ],
        files: vec![("server.crt".to_owned(), certificate.pem()), ("server.key".to_owned(), key.serialize_pem())],
        ..Options::default()
    };
    (PostgresServer::start(&options), root.pem())
}

#[test]
fn a_warehouse_that_refuses_is_told_with_the_place_and_no_secret() {
    let (server, root) = server_with_an_expired_certificate();
    server.sql("CREATE TABLE people (id bigint, name text); INSERT INTO people VALUES (1, 'Ada')");
    let sink = Sink::start();
    let project = warehouse::project(&server, &sink, 100, 1);
    let source = |more: &str| {
        let port = server.port();
        let text = format!("type: postgres\nhost: 127.0.0.1\nport: {port}\ndatabase: postgres\nuser: outflow\n{more}");
        project.write("sources/warehouse.yaml", &text);
    };
    let check_and_sync = |expected: &[&str], place: &str| {
        let check = project.run(&["check"]);
        expect(&check, 1, expected);
        expect(&check, 1, &[place]);
        expect(&project.run(&["sync", "people"]), 1, expected);
    };

    source("password: mistyped-word\n");
    check_and_sync(&["password authentication failed for user \"outflow\""], "sources/warehouse.yaml:1:1");
    let run = project.run(&["sync", "people", "--log", "trace"]);
    assert!(!format!("{}{}", run.out, run.err).contains("mistyped-word"), "{}{}", run.out, run.err);

    project.write("root.crt", &root);
    source(&format!("password: {PASSWORD}\ntls: verify-full\ntls_root_certificate: ${{file:root.crt}}\n"));
    check_and_sync(&["the server's certificate has expired"], "sources/warehouse.yaml:1:1");

    project.write("sources/warehouse.yaml", "type: postgres\nurl: postgresql://u:hidden-word@no-such-host.invalid/d\n");
    check_and_sync(&["no-such-host.invalid"], "sources/warehouse.yaml:1:1");
    let run = project.run(&["check", "--log", "trace"]);
    assert!(!format!("{}{}", run.out, run.err).contains("hidden-word"), "{}{}", run.out, run.err);

    source(&format!("password: {PASSWORD}\n"));
    project.write("models/people.sql", "-- source: warehouse\n-- key: id\nselect id,\n  nmae as name\nfrom people\n");
    check_and_sync(&["column \"nmae\" does not exist"], "models/people.sql:4:3");
    expect(&project.run(&["sync", "people"]), 1, &["(model `people`, line 4, column 3)", "hint: Perhaps you meant"]);
    project.write(
        "models/people.sql",
        "-- source: warehouse\n-- key: id\nselect id, 1 / (id - 1) || '' as name from people\n",
    );
    expect(&project.run(&["sync", "people"]), 1, &["division by zero"]);

    assert!(sink.requests().is_empty());
    project.write("models/people.sql", "-- source: warehouse\n-- key: id\nselect id, name from people\n");
    expect(&project.run(&["sync", "people"]), 0, &["1 delivered"]);
}

#[test]
fn rows_that_cannot_be_sent_are_listed_and_the_others_arrive() {
    let server = PostgresServer::start(&Options::default());
    server.sql(
        "CREATE TABLE people (id bigint, name text, score double precision); \
         INSERT INTO people SELECT n, 'name ' || n, n FROM generate_series(1, 6) AS n; \
         INSERT INTO people VALUES (3, 'twin', 3), (null, 'nobody', 0)",
    );
    let sink = Sink::start();
    let project = warehouse::project(&server, &sink, 100, 1);
    project.write("models/people.sql", "-- source: warehouse\n-- key: id\nselect id, name, score from people\n");
    let mapping = project.read("mappings/people.yaml");
    project.write(
        "mappings/people.yaml",
        &mapping.replace("    event:", "    score: { \"@path\": \"$.properties.score\" }\n    event:"),
    );
    server
        .sql("UPDATE people SET score = 'NaN' WHERE id = 5; UPDATE people SET name = repeat('long', 300) WHERE id = 6");
    let destination = project.read("destinations/crm.yaml");
    project.write(
        "destinations/crm.yaml",
        &destination.replace("{records_max: 100}", "{records_max: 100, bytes_max: 1000}"),
    );
    let run = project.run(&["sync", "people"]);
    expect(
        &run,
        3,
        &[
            "the key 3 stands more than once",
            "twin",
            "name 3",
            "a part of the key is null",
            "nobody",
            "column `score`",
            "JSON has no such number",
            "example key 5",
            "(too_large): the payload is",
            "one call of this action takes 1000",
            "example key 6",
            "3 delivered",
        ],
    );
    let ids: Vec<_> = sink.records().iter().map(|record| record["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, [1, 2, 4]);

    // They are pending, not lost: put right, they arrive.
    server.sql(
        "UPDATE people SET score = 5 WHERE id = 5; UPDATE people SET name = 'short' WHERE id = 6; \
         DELETE FROM people WHERE name IN ('twin', 'nobody')",
    );
    expect(&project.run(&["sync", "people"]), 0, &["3 delivered"]);
    let ids: Vec<_> = sink.records().iter().map(|record| record["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, [3, 5, 6]);
}

#[test]
fn text_in_an_unknown_encoding_is_told_with_its_row_and_the_way_out() {
    let server = PostgresServer::start(&Options { encoding: Some("SQL_ASCII".to_owned()), ..Options::default() });
    server.sql("CREATE TABLE people AS SELECT 1 AS id, E'gr\\xf6\\xdfer'::text AS name");
    let sink = Sink::start();
    let project = warehouse::project(&server, &sink, 100, 1);
    let expected = ["column `name`", "row 1 of the result holds bytes that are not UTF-8", "convert_from"];
    expect(&project.run(&["sync", "people"]), 1, &expected);
    assert!(sink.requests().is_empty());
}

#[test]
fn a_destination_that_takes_no_record_ends_the_sync_early() {
    let sink = Sink::answering(|_| Reply::json(404, &json!({ "message": "no such page" })));
    let project = Project::new(&sink);
    project.sql(
        "with recursive n(i) as (select 10 union all select i + 1 from n where i < 3000) \
         insert into customers select i, 'a@example.com', 'pro' from n",
    );
    let run = project.run(&["sync", "customers"]);
    expect(&run, 1, &["the destination takes no record", "(http_404)", "no such page", "see that the URL", "pending"]);
    let requests = sink.requests().len();
    assert!(requests < 300, "{requests} requests for what nobody takes");
    assert_eq!(project.json(&["status"])["mappings"][0]["records"].as_u64().unwrap_or(0), 0);
}

#[test]
fn a_second_process_is_told_who_runs_the_mapping() {
    let (arrived, first_arrived) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(Some(released));
    let sink = Sink::answering(move |request| {
        if let Some(released) = released.lock().unwrap().take() {
            arrived.send(()).unwrap();
            released.recv().ok();
        }
        Reply::taken(request)
    });
    let project = Project::new(&sink);
    let mut first = project.spawn(&["sync", "customers"]);
    first_arrived.recv().unwrap();
    let holder = format!("(process {} on ", first.id());
    for words in [&["sync", "customers"][..], &["baseline", "customers"], &["reset", "customers"]] {
        let run = project.run(words);
        expect(&run, 1, &["mapping `customers` is being run by ", &holder, "wait for it to end, or stop it"]);
    }
    // To look is allowed.
    expect(&project.run(&["status"]), 0, &["customers"]);
    expect(&project.run(&["plan"]), 0, &["3 added"]);
    release.send(()).unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(0));
    let report = project.json(&["sync", "customers"]);
    assert_eq!(report["syncs"][0]["counts"]["unchanged"], 3);
}

#[test]
fn a_checkpoints_file_that_is_cut_short_or_changed_stops_the_sync_with_its_name() {
    for (ending, change) in [(".parquet", "cut"), (".parquet", "gone"), (".keys", "cut"), (".keys", "gone")] {
        let sink = Sink::start();
        let project = Project::new(&sink);
        expect(&project.run(&["sync", "customers"]), 0, &["3 delivered"]);
        sink.requests();
        let folder = project.path().join(".outflow/mappings/customers/checkpoint");
        let file = files(&folder).into_iter().find(|path| path.to_string_lossy().ends_with(ending)).unwrap();
        let bytes = std::fs::read(&file).unwrap();
        match change {
            "gone" => std::fs::remove_file(&file).unwrap(),
            _ => std::fs::write(&file, &bytes[..bytes.len() - 7]).unwrap(),
        }
        let run = project.run(&["sync", "customers"]);
        if run.exit == 0 {
            // The file of keys can be made again from the data.
            assert!(ending == ".keys" && run.out.contains("nothing changed"), "{ending} {change}: {}", run.out);
        } else {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            expect(&run, 1, &["the checkpoint is damaged: ", &name, "restore the file from a backup, or reset"]);
            // What the message says to do.
            expect(&project.run(&["reset", "customers"]), 0, &[]);
            expect(&project.run(&["baseline", "customers"]), 0, &[]);
            expect(&project.run(&["sync", "customers"]), 0, &["nothing changed"]);
        }
        assert!(sink.requests().is_empty(), "nothing is sent on a guess");
    }
}

#[test]
fn too_many_deletions_and_a_vanished_column_are_held_until_a_person_says_yes() {
    let sink = Sink::start();
    let project = Project::new(&sink);
    project.sql(
        "with recursive n(i) as (select 10 union all select i + 1 from n where i < 408) \
         insert into customers select i, 'a@example.com', 'pro' from n",
    );
    expect(&project.run(&["sync", "customers"]), 0, &["402 delivered"]);
    sink.requests();
    // Many, yet not a fifth; a fifth, yet not many; both.
    project.sql("delete from customers where id > 328");
    expect(&project.run(&["sync", "customers"]), 0, &["80 deleted"]);
    project.sql("delete from customers where id > 208");
    sink.requests();
    expect(
        &project.run(&["sync", "customers"]),
        4,
        &["120 of 322 records would be deleted", "37", "release it with `outflow sync customers --yes`"],
    );
    assert!(sink.requests().is_empty());
    assert_eq!(project.json(&["status"])["mappings"][0]["last"]["state"], "held");
    expect(&project.run(&["sync", "customers", "--yes"]), 0, &["120 deleted", "120 delivered"]);
    sink.requests();

    project.write("models/customers.sql", "-- source: shop\n-- key: id\nselect id, email from customers\n");
    expect(
        &project.run(&["sync", "customers"]),
        4,
        &["the mapping uses columns that the model's result does not have: `plan`", "--yes"],
    );
    assert!(sink.requests().is_empty());
    expect(&project.run(&["sync", "customers", "--yes"]), 0, &["customers"]);

    project.write(
        "models/customers.sql",
        "-- source: shop\n-- key: email\nselect max(id) as id, email from customers group by 2\n",
    );
    let run = project.run(&["sync", "customers", "--yes"]);
    expect(&run, 4, &["the model's key was `id (int)` and is now `email (text)`", "outflow baseline customers"]);
}

#[test]
fn an_edited_mapping_sends_what_it_touches_when_a_person_says_yes() {
    let sink = Sink::start();
    let project = Project::new(&sink);
    let mapping = project.read("mappings/customers.yaml");
    project.write("mappings/customers.yaml", &mapping.replace("$.properties.plan", "$.properties.id"));
    expect(&project.run(&["sync", "customers"]), 0, &["3 delivered"]);
    sink.requests();
    project.write("mappings/customers.yaml", &mapping);
    project.sql("update customers set plan = 'basic' where id = 2");
    expect(&project.run(&["sync", "customers"]), 4, &["columns now used: `plan`", "touches 3 records", "--yes"]);
    assert!(sink.requests().is_empty());
    expect(&project.run(&["sync", "customers", "--yes"]), 0, &["3 delivered"]);
    let plans: Vec<_> = sink.records().iter().map(|record| record["plan"].clone()).collect();
    assert_eq!(plans, ["pro", "basic", "pro"]);
    // A guard that is switched off asks nobody.
    let allowed =
        mapping.replace("$.properties.plan", "$.properties.id") + "guards: {on_edit: allow, on_empty: allow}\n";
    project.write("mappings/customers.yaml", &allowed);
    expect(&project.run(&["sync", "customers"]), 0, &["customers"]);
    project.sql("delete from customers");
    expect(&project.run(&["sync", "customers"]), 0, &["3 deleted"]);
}

#[test]
fn secrets_are_in_no_output_and_in_no_file_of_the_data_folder() {
    const TOKEN: &str = "tok-5ecret-value";
    let server = PostgresServer::start(&Options::default());
    server.sql("CREATE TABLE people AS SELECT n AS id, 'name ' || n AS name FROM generate_series(1, 9) AS n");
    // An endpoint that says back what it was given, as some do.
    let sink = Sink::answering(|request| {
        let header = request.headers.iter().find(|(name, _)| name == "authorization");
        let echo = header.map(|(_, value)| value.clone()).unwrap_or_default();
        let results = request.records().into_iter().map(|record| match record["id"].as_i64() {
            Some(5) => json!({ "error": format!("{echo} may not do that") }),
            _ => json!({ "status": 200, "by": echo }),
        });
        Reply::json(200, &json!({ "results": results.collect::<Vec<_>>() }))
    });
    let mut project = warehouse::project(&server, &sink, 3, 2);
    project.variable("TOKEN", TOKEN);
    let destination = project.read("destinations/crm.yaml");
    project
        .write("destinations/crm.yaml", &format!("{destination}auth: {{type: bearer, token: \"${{env:TOKEN}}\"}}\n"));
    let encoded = PASSWORD.replace(' ', "%20");
    let mut outputs = Vec::new();
    for words in [
        &["check", "--log", "trace"][..],
        &["plan", "--save", "saved.plan", "--log", "trace"],
        &["sync", "people", "--log", "trace"],
        &["sync", "people", "--output", "json"],
        &["trace", "people", "5", "--full", "--output", "json"],
        &["trace", "people", "1", "--full"],
        &["history", "people", "--output", "json"],
        &["status", "--output", "json"],
    ] {
        let run = project.run(words);
        assert!(matches!(run.exit, 0 | 3), "{words:?}: {}{}", run.out, run.err);
        outputs.push((words.join(" "), format!("{}{}", run.out, run.err)));
    }
    assert!(outputs[4].1.contains("may not do that"), "{}", outputs[4].1);
    server.stop();
    let run = project.run(&["sync", "people", "--log", "trace"]);
    assert_eq!(run.exit, 1, "{}{}", run.out, run.err);
    outputs.push(("without a server".to_owned(), format!("{}{}", run.out, run.err)));
    for secret in [TOKEN, PASSWORD, &encoded] {
        for (words, output) in &outputs {
            assert!(!output.contains(secret), "`{secret}` in the output of {words}:\n{output}");
        }
        let all = files(&project.path().join(".outflow"));
        assert!(all.len() > 5);
        let found: Vec<_> = all.iter().filter(|path| contains(path, secret)).collect();
        assert!(found.is_empty(), "`{secret}` in {found:?}");
        assert!(!contains(&project.path().join("saved.plan"), secret));
    }
}

/// A project of many records, whose sink keeps what it was given.
fn many() -> (Project, Sink) {
    let sink = Sink::start();
    let project = Project::new(&sink);
    project.sql(
        "with recursive n(i) as (select 10 union all select i + 1 from n where i < 20000) \
         insert into customers select i, 'address-' || i || '@example.com', hex(randomblob(20)) from n",
    );
    (project, sink)
}

/// Four requests of a hundred records: what is under way when the disk takes no more comes again.
const IN_FLIGHT: usize = 400;

/// A sync after the fault brings what is left of these records, and what was in flight when it came.
#[track_caller]
fn recovers(project: &Project, sink: &Sink, records: usize) {
    let report = project.json(&["sync", "customers"]);
    assert_eq!(report["syncs"][0]["ending"], "done", "{report}");
    let mut ids: Vec<_> = sink.records().iter().map(|record| record["id"].as_i64().unwrap()).collect();
    let came = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), records);
    assert!(came - records <= IN_FLIGHT, "{} records came again", came - records);
    assert_eq!(project.json(&["status"])["mappings"][0]["records"], records);
}

#[test]
fn a_file_that_may_not_grow_is_told_and_the_next_sync_goes_on() {
    for kilobytes in [100, 1100, 1300] {
        let (project, sink) = many();
        // Without the shell's limit the first sync would work; `trap` turns the signal into an error.
        let mut command = Command::new("bash");
        command.args(["-c", &format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$0\" sync customers")]);
        command.arg(env!("CARGO_BIN_EXE_outflow")).current_dir(project.path()).env_clear();
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        println!("{kilobytes} kB: {text}");
        let failed = output.status.code() == Some(1) && text.contains("ile too large");
        assert!(failed || (kilobytes > 700 && output.status.success()), "{kilobytes}: {text}");
        recovers(&project, &sink, 19994);
    }
}

/// A file system of so many kilobytes, gone when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// None where file systems cannot be mounted.
    fn mount(kilobytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "none"]).arg(folder.path());
        let mounted = command.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        mounted.then_some(Self(folder))
    }

    fn grow(&self, kilobytes: u64) {
        let options = format!("remount,size={kilobytes}k");
        let status = Command::new("mount").args(["-o", &options]).arg(self.0.path()).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_told_and_the_next_sync_goes_on() {
    for kilobytes in [40, 300, 1200, 2400, 3600, 5200] {
        let Some(disk) = SmallDisk::mount(kilobytes) else {
            println!("no file system can be mounted here: a full disk is not tried");
            return;
        };
        let (project, sink) = many();
        project.write("outflow.yaml", &format!("version: 1\nsettings: {{data: {}}}\n", disk.0.path().display()));
        let run = project.run(&["sync", "customers"]);
        println!("{kilobytes} kB: {}{}", run.out, run.err);
        if run.exit != 0 {
            let all = format!("{}{}", run.out, run.err);
            expect(&run, 1, &[]);
            assert!(all.contains("No space left on device") || all.contains("disk is full"), "{kilobytes}: {all}");
        }
        disk.grow(100_000);
        recovers(&project, &sink, 19994);
    }
}
