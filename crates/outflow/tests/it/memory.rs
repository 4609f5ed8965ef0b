//! The memory of the real program, as the kernel counts it, on a table far larger than its limit.

use std::time::Duration;

use postgres_server::{Options, PostgresServer};

use super::{support::Sink, warehouse};

const MEBIBYTE: u64 = 1 << 20;
const LIMIT: u64 = 256 * MEBIBYTE;
const ROWS: u64 = 400_000;

/// The most memory a running process has held so far, in bytes. None when it has ended.
fn most_held(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[test]
fn a_sync_stays_within_its_memory_however_large_the_table_is() {
    let server = PostgresServer::start(&Options::default());
    server.sql(&format!(
        "CREATE TABLE people AS SELECT n AS id, repeat(md5(n::text), 24) AS name FROM generate_series(1, {ROWS}) AS n"
    ));
    let size: u64 = server.sql("SELECT sum(length(name) + 8) FROM people").parse().unwrap();
    assert!(size > LIMIT + LIMIT / 10, "{size} bytes would fit");
    let sink = Sink::start();
    let project = warehouse::project(&server, &sink, 1000, 2);
    project.write("outflow.yaml", "version: 1\nsettings: {memory: 256MiB}\n");
    let sync = |expected: &str| {
        let began = tokio::time::Instant::now();
        let mut child = project.spawn(&["sync", "people"]);
        let mut most = 0;
        while child.try_wait().unwrap().is_none() {
            most = most.max(most_held(child.id()).unwrap_or(0));
            std::thread::sleep(Duration::from_millis(5));
        }
        sink.requests();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        println!("{expected}: {} MiB at most, {:?}", most / MEBIBYTE, began.elapsed());
        assert!(text.contains(expected), "{text}");
        assert!(most > 0 && most <= LIMIT, "{} MiB, more than {} MiB", most / MEBIBYTE, LIMIT / MEBIBYTE);
    };
    sync("400,000 delivered");
    sync("nothing changed");
    server.sql("UPDATE people SET name = repeat(md5(name), 24) WHERE id % 8 = 0");
    sync("50,000 updated");
}
