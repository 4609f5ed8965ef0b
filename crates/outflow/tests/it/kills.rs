//! The real program ended by SIGKILL at moments drawn from a seed, between a real PostgreSQL and an endpoint that
//! keeps its own truth: nothing is lost, and no more is sent twice than was in flight.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use postgres_server::{Options, PostgresServer};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    support::{Project, Reply, Request, Sink},
    warehouse,
};

const SEED: u64 = 0x0a11_5eed;
const ROWS: i64 = 4000;
const BATCH: usize = 50;
const CONCURRENCY: usize = 2;
const KILLS: u32 = 40;
/// After so many kills a sync runs to its end.
const KILLS_IN_A_ROW: u32 = 8;
/// A kill leaves open whether these were taken: the records of the requests under way.
const IN_FLIGHT: usize = CONCURRENCY * BATCH;
/// They are among the last that came, but not the very last: one request may take longer than the others.
const LAST: usize = 3 * IN_FLIGHT;

/// What the endpoint holds, and what came to it.
#[derive(Default)]
struct Truth {
    records: BTreeMap<i64, String>,
    /// How often each message id came.
    arrivals: HashMap<String, u32>,
    /// The message id of each content that came: names are never used twice.
    contents: HashMap<(i64, String, bool), String>,
    /// The message ids of this run, in the order in which they came.
    run: Vec<String>,
    /// Those that were in flight when a run was killed, so that they may come again: how many came after them.
    in_flight: HashMap<String, usize>,
    /// The most that came after a record of the same run that came again.
    farthest: usize,
    requests: usize,
    repeated: usize,
    /// How many may have come again: what was in flight at each kill.
    in_flight_max: usize,
    faults: Vec<String>,
}

impl Truth {
    fn take(&mut self, record: &Value) {
        let (id, event) = (record["id"].as_i64().unwrap(), record["event"].as_str().unwrap());
        let (name, message) = (record["name"].as_str().unwrap().to_owned(), record["message"].as_str().unwrap());
        let is_deleted = event == "deleted";
        let times = self.arrivals.entry(message.to_owned()).or_default();
        *times += 1;
        let known = self.contents.insert((id, name.clone(), is_deleted), message.to_owned());
        if *times > 1 {
            self.repeated += 1;
            match self.in_flight.remove(message) {
                Some(after) => self.farthest = self.farthest.max(after),
                None => self.faults.push(format!("it was answered and came again: {record}")),
            }
            if known.as_deref() != Some(message) {
                self.faults.push(format!("{message} was another change's before: {record}"));
            }
        } else if let Some(known) = known {
            self.faults.push(format!("{record} came before as {known}"));
        }
        self.run.push(message.to_owned());
        if is_deleted {
            self.records.remove(&id);
        } else {
            self.records.insert(id, name);
        }
    }

    /// A run was killed: its last requests had no answer, or one that nobody had read.
    fn killed(&mut self) {
        self.in_flight_max += self.run.len().min(IN_FLIGHT);
        self.in_flight.extend(self.run.drain(..).rev().zip(1..=LAST));
    }

    /// A run came to its end, so nothing of it or of those before is open any more.
    fn ended(&mut self) {
        self.run.clear();
        self.in_flight.clear();
    }

    #[track_caller]
    fn check(&self) {
        assert!(self.faults.is_empty(), "{} faults, such as: {}", self.faults.len(), self.faults[0]);
        let (repeated, most) = (self.repeated, self.in_flight_max);
        assert!(repeated <= most, "{repeated} records came again, and at most {most} were in flight");
    }
}

/// A small generator: the same moments in every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// The table as the test knows it. Each row's name is new.
struct Table {
    rows: BTreeMap<i64, String>,
    names: u64,
    ids: i64,
}

impl Table {
    fn create(server: &PostgresServer) -> Self {
        server.sql(&format!(
            "CREATE TABLE people (id bigint PRIMARY KEY, name text NOT NULL); \
             INSERT INTO people SELECT n, 'first ' || n FROM generate_series(1, {ROWS}) AS n"
        ));
        Self { rows: (1..=ROWS).map(|id| (id, format!("first {id}"))).collect(), names: 0, ids: ROWS }
    }

    /// Some additions, updates and deletions, in one transaction.
    fn change(&mut self, server: &PostgresServer, draw: &mut Draw) {
        let mut statements = vec!["BEGIN".to_owned()];
        for _ in 0..1 + draw.below(3) {
            self.names += 1;
            let (divisor, rest, name) = (7 + draw.below(20) as i64, draw.below(7) as i64, self.names);
            statements.push(format!("UPDATE people SET name = '{name} ' || id WHERE id % {divisor} = {rest}"));
            let touched = self.rows.iter_mut().filter(|(id, _)| **id % divisor == rest);
            touched.for_each(|(id, row)| *row = format!("{name} {id}"));
        }
        let (divisor, rest) = (60 + draw.below(60) as i64, draw.below(60) as i64);
        statements.push(format!("DELETE FROM people WHERE id % {divisor} = {rest}"));
        self.rows.retain(|id, _| id % divisor != rest);
        let (from, to) = (self.ids + 1, self.ids + 1 + draw.below(100) as i64);
        self.names += 1;
        let name = self.names;
        statements.push(format!("INSERT INTO people SELECT n, '{name} ' || n FROM generate_series({from}, {to}) AS n"));
        self.rows.extend((from..=to).map(|id| (id, format!("{name} {id}"))));
        self.ids = to;
        statements.push("COMMIT;".to_owned());
        server.sql(&statements.join(";\n"));
    }
}

/// When the program is ended.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So long after it began.
    After(Duration),
    /// When the endpoint had so many requests of it.
    Requests(usize),
    /// So long after the endpoint has all there is to send.
    AllSent(Duration),
}

impl Moment {
    fn draw(draw: &mut Draw, whole: Duration) -> Self {
        let part = |draw: &mut Draw, whole: Duration| whole.mul_f64(draw.below(1000) as f64 / 1000.0);
        match draw.below(4) {
            0 | 1 => Moment::After(part(draw, whole)),
            2 => Moment::Requests(1 + draw.below(20) as usize),
            _ => Moment::AllSent(part(draw, Duration::from_millis(40))),
        }
    }
}

fn sink(truth: &Arc<Mutex<Truth>>) -> Sink {
    let truth = truth.clone();
    Sink::answering(move |request: &Request| {
        let mut held = truth.lock().unwrap();
        held.requests += 1;
        request.records().iter().for_each(|record| held.take(record));
        drop(held);
        // Taken, and not answered yet: that is when a kill hurts.
        std::thread::sleep(Duration::from_millis(3));
        Reply::taken(request)
    })
}

/// Starts a sync and ends it at that moment. False if it had ended before.
fn kill_at(moment: Moment, project: &Project, truth: &Mutex<Truth>, table: &Table) -> bool {
    let requests = truth.lock().unwrap().requests;
    let began = Instant::now();
    let mut all_sent = None;
    let mut child = project.spawn(&["sync", "people"]);
    loop {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        let is_due = match moment {
            Moment::After(time) => began.elapsed() >= time,
            Moment::Requests(count) => truth.lock().unwrap().requests >= requests + count,
            Moment::AllSent(time) => {
                if all_sent.is_none() && truth.lock().unwrap().records == table.rows {
                    all_sent = Some(Instant::now());
                }
                all_sent.is_some_and(|at| at.elapsed() >= time)
            }
        };
        if is_due {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_killed_sync_loses_nothing_and_sends_at_most_what_was_in_flight_again() {
    let server = PostgresServer::start(&Options::default());
    let mut table = Table::create(&server);
    let mut draw = Draw(SEED);

    let undisturbed = Arc::new(Mutex::new(Truth::default()));
    let began = Instant::now();
    let first = warehouse::project(&server, &sink(&undisturbed), BATCH, CONCURRENCY).json(&["sync", "people"]);
    let whole = began.elapsed();
    assert_eq!(first["syncs"][0]["ending"], "done", "{first}");
    assert_eq!(undisturbed.lock().unwrap().records, table.rows);

    let truth = Arc::new(Mutex::new(Truth::default()));
    let project = warehouse::project(&server, &sink(&truth), BATCH, CONCURRENCY);
    let (mut kills, mut in_a_row) = (0, 0);
    let mut states: BTreeMap<String, u32> = BTreeMap::new();
    while kills < KILLS {
        let moment = Moment::draw(&mut draw, whole);
        let killed = kill_at(moment, &project, &truth, &table);
        println!("{moment:?}: {} records came twice so far", truth.lock().unwrap().repeated);
        truth.lock().unwrap().check();

        // What a person would look at first works, and tells no more than is true.
        let status = project.json(&["status"]);
        let last = &status["mappings"][0]["last"];
        if killed {
            kills += 1;
            in_a_row += 1;
            *states.entry(last["state"].as_str().unwrap_or("not begun").to_owned()).or_default() += 1;
        }
        table.change(&server, &mut draw);
        // By now the endpoint has read what was on its way.
        match killed {
            true => truth.lock().unwrap().killed(),
            false => truth.lock().unwrap().ended(),
        }
        if in_a_row == KILLS_IN_A_ROW {
            in_a_row = 0;
            run_to_its_end(&project, &truth, &table);
        }
    }
    run_to_its_end(&project, &truth, &table);
    let requests = truth.lock().unwrap().requests;
    assert_eq!(project.json(&["sync", "people"])["syncs"][0]["counts"]["unchanged"], table.rows.len());
    assert_eq!(truth.lock().unwrap().requests, requests, "there is nothing left to send");
    // The moments are spread over the life of a sync.
    let of = |state: &str| states.get(state).copied().unwrap_or(0);
    let truth = truth.lock().unwrap();
    println!("{kills} kills in {states:?}, {} records twice, the last {} of a run", truth.repeated, truth.farthest);
    assert!(of("loading") >= KILLS / 5 && of("loading") < kills, "{states:?}");
}

/// A sync that nobody disturbs leaves the endpoint equal to the table.
#[track_caller]
fn run_to_its_end(project: &Project, truth: &Mutex<Truth>, table: &Table) {
    let report = project.json(&["sync", "people"]);
    assert_eq!(report["syncs"][0]["ending"], "done", "{report}");
    let mut truth = truth.lock().unwrap();
    truth.check();
    truth.ended();
    let wrong = table.rows.iter().find(|(id, name)| truth.records.get(id) != Some(name));
    assert_eq!(wrong, None, "lost");
    let extra = truth.records.iter().find(|(id, _)| !table.rows.contains_key(id));
    assert_eq!(extra, None, "not deleted");
    let status = project.json(&["status"]);
    assert_eq!(status["mappings"][0]["records"], table.rows.len());
}
