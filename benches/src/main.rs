//! Measures whole syncs of the real program against a real PostgreSQL, and prints ratios: what a sync costs beside
//! reading the same rows in the fastest way there is. `make bench SCALE=2M` runs it.

mod project;
mod run;
mod sink;
mod table;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use postgres_server::{Options, PostgresServer};
use project::Project;
use run::{Measured, median, timed};
use sink::Sink;

const ROUNDS: usize = 5;
const MAPPINGS: usize = 10;

/// One line of the printed table.
struct Line {
    what: &'static str,
    against: &'static str,
    measured: Duration,
    reference: Duration,
    peak_bytes: u64,
    goal: f64,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(program), Some(scale)) = (arguments.next(), arguments.next().and_then(|text| rows(&text))) else {
        complain("usage: benches PATH-OF-OUTFLOW SCALE (2M, 500k, 10M, …)");
        return ExitCode::from(2);
    };
    let program = PathBuf::from(program);
    let server = PostgresServer::start(&Options {
        settings: [("shared_buffers", "1GB"), ("max_wal_size", "8GB"), ("jit", "off"), ("fsync", "off")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..Options::default()
    });
    let sink = Sink::start();
    let folder = tempfile::tempdir().expect("a temporary folder");

    say(&format!("table of {scale} rows, {ROUNDS} rounds, median"));
    table::create(&server, "shop", scale);
    let one = Project::create(&program, &folder.path().join("one"), &server, "shop", &sink, 1);
    let many = Project::create(&program, &folder.path().join("many"), &server, "shop", &sink, MAPPINGS);
    one.outflow(&["baseline", "shop_0"]);
    for index in 0..MAPPINGS {
        many.outflow(&["baseline", &format!("shop_{index}")]);
    }
    table::snapshot(&server, "shop");

    let mut lines = Vec::new();
    unchanged(&server, &one, &many, &mut lines);
    changed(&server, &one, &sink, scale, &mut lines);
    first(&server, &one, &sink, &mut lines);
    growth(&program, &server, &sink, folder.path(), &one, scale, &mut lines);
    print(&lines);
    ExitCode::SUCCESS
}

/// No record changed: against psql's binary COPY to nowhere, and against comparing in SQL.
fn unchanged(server: &PostgresServer, one: &Project, many: &Project, lines: &mut Vec<Line>) {
    let (mut binary, mut sql, mut sync, mut ten) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        say(&format!("no change, round {}", round + 1));
        binary.push(timed(|| table::copy_to_nowhere(server, "shop", "binary")));
        sync.push(one.sync());
        sql.push(timed(|| table::compare_in_sql(server, "shop")));
        ten.push(many.sync());
    }
    let peak = peak(&sync);
    lines.push(Line {
        what: "no-change sync",
        against: "binary COPY to nowhere",
        measured: median(&times(&sync)),
        reference: median(&binary),
        peak_bytes: peak,
        goal: 1.10,
    });
    lines.push(Line {
        what: "no-change sync",
        against: "the comparison in SQL",
        measured: median(&times(&sync)),
        reference: median(&sql),
        peak_bytes: peak,
        goal: 0.35,
    });
    lines.push(Line {
        what: "no-change sync of ten mappings",
        against: "of one",
        measured: median(&times(&ten)),
        reference: median(&times(&sync)),
        peak_bytes: self::peak(&ten),
        goal: 1.3,
    });
}

/// One record in a hundred changed: against psql's text COPY to nowhere.
fn changed(server: &PostgresServer, one: &Project, sink: &Sink, scale: u64, lines: &mut Vec<Line>) {
    let (mut text, mut sync) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        say(&format!("one in a hundred changed, round {}", round + 1));
        let changed = table::change_one_in_a_hundred(server, "shop", round);
        text.push(timed(|| table::copy_to_nowhere(server, "shop", "text")));
        let before = sink.records();
        sync.push(one.sync());
        assert_eq!(sink.records() - before, changed, "the sink got every changed record of {scale}");
    }
    lines.push(Line {
        what: "sync, 1 % changed",
        against: "text COPY to nowhere",
        measured: median(&times(&sync)),
        reference: median(&text),
        peak_bytes: peak(&sync),
        goal: 1.5,
    });
}

/// Every record is new.
fn first(server: &PostgresServer, one: &Project, sink: &Sink, lines: &mut Vec<Line>) {
    let (mut text, mut sync) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        say(&format!("first sync, round {}", round + 1));
        one.outflow(&["reset", "shop_0"]);
        text.push(timed(|| table::copy_to_nowhere(server, "shop", "text")));
        let before = sink.records();
        sync.push(one.sync());
        assert_eq!(sink.records() - before, table::count(server, "shop"), "the sink got every record");
    }
    lines.push(Line {
        what: "first sync",
        against: "text COPY to nowhere",
        measured: median(&times(&sync)),
        reference: median(&text),
        peak_bytes: peak(&sync),
        goal: 1.5,
    });
}

/// The same no-change sync of a tenth of the rows: ten times the rows should cost ten times the time.
fn growth(
    program: &std::path::Path,
    server: &PostgresServer,
    sink: &Sink,
    folder: &std::path::Path,
    one: &Project,
    scale: u64,
    lines: &mut Vec<Line>,
) {
    table::create(server, "small", scale / 10);
    let small = Project::create(program, &folder.join("small"), server, "small", sink, 1);
    small.outflow(&["baseline", "small_0"]);
    let (mut small_times, mut large) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        say(&format!("growth, round {}", round + 1));
        small_times.push(small.sync());
        large.push(one.sync());
    }
    lines.push(Line {
        what: "no-change sync",
        against: "of a tenth of the rows",
        measured: median(&times(&large)),
        reference: median(&times(&small_times)),
        peak_bytes: peak(&large),
        goal: 10.5,
    });
}

fn times(measured: &[Measured]) -> Vec<Duration> {
    measured.iter().map(|one| one.time).collect()
}

fn peak(measured: &[Measured]) -> u64 {
    measured.iter().map(|one| one.peak_bytes).max().unwrap_or(0)
}

/// `2M`, `500k` or plain digits.
fn rows(text: &str) -> Option<u64> {
    let (digits, factor) = match text.strip_suffix(['M', 'm']) {
        Some(millions) => (millions, 1_000_000),
        None => match text.strip_suffix(['K', 'k']) {
            Some(thousands) => (thousands, 1000),
            None => (text, 1),
        },
    };
    digits.parse::<u64>().ok()?.checked_mul(factor).filter(|rows| *rows >= 1000)
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn print(lines: &[Line]) {
    println!("\n{:<32} {:<26} {:>8} {:>8} {:>10}", "measured", "÷", "ratio", "goal", "peak MB");
    for line in lines {
        let ratio = line.measured.as_secs_f64() / line.reference.as_secs_f64().max(1e-9);
        println!(
            "{:<32} {:<26} {ratio:>8.2} {:>8.2} {:>10.0}",
            line.what,
            line.against,
            line.goal,
            line.peak_bytes as f64 / 1e6
        );
    }
}

#[expect(clippy::print_stderr, reason = "says how far it is, beside the table")]
fn say(text: &str) {
    eprintln!("{text}");
}

fn complain(text: &str) {
    say(text);
}
