//! The metrics' names and what they count, held against the rules that Prometheus has for them.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn metrics() -> Metrics {
    Metrics::new("1.2.3", Timestamp::from_second(1_700_000_000).unwrap())
}

/// Metrics of which each has a value.
fn filled() -> Metrics {
    let metrics = metrics();
    metrics.was_due(Duration::from_millis(1500));
    metrics.queued(3);
    drop(metrics.sync_started(Duration::from_secs(2)));
    for phase in Phase::ALL {
        metrics.phase_ended(phase, Duration::from_secs(20));
    }
    let counts = Counts { extracted: 10, delivered: 3, rejected: 2, skipped: 1, null_key: 4, ..Counts::default() };
    let took = Duration::from_millis(2500);
    let ended =
        EndedSync { ending: "partly", source_type: "postgres", destination_type: "hubspot", counts: &counts, took };
    metrics.sync_ended(&ended);
    metrics.request_answered("listSyncs", 200, Duration::from_millis(4));
    metrics.request_answered("listSyncs", 404, Duration::from_millis(1));
    metrics.tool_answered("hubspot", Some(429));
    metrics.tool_answered("hubspot", None);
    metrics.spans_sent(5);
    metrics.spans_dropped(2);
    metrics
}

/// The lines of samples with this beginning.
fn samples(metrics: &Metrics, start: &str) -> Vec<String> {
    let text = metrics.text();
    text.lines().filter(|line| line.starts_with(start)).map(str::to_owned).collect()
}

#[test]
fn every_metric_follows_the_rules_and_has_its_name_and_type() {
    let text = filled().text();
    assert_eq!(lint(&text), Vec::<String>::new(), "{text}");
    let types: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter(|line| line.starts_with("outflow"))
        .collect();
    assert_eq!(
        types,
        [
            "outflow_build_info gauge",
            "outflow_syncs_total counter",
            "outflow_records_extracted_total counter",
            "outflow_records_total counter",
            "outflow_sync_seconds histogram",
            "outflow_sync_phase_seconds histogram",
            "outflow_syncs_running gauge",
            "outflow_syncs_queued gauge",
            "outflow_queue_wait_seconds histogram",
            "outflow_schedule_lag_seconds histogram",
            "outflow_http_requests_total counter",
            "outflow_http_request_seconds histogram",
            "outflow_requests_to_tools_total counter",
            "outflow_trace_spans_total counter",
        ]
    );
    // What nothing was counted for yet is in order too.
    assert_eq!(lint(&metrics().text()), Vec::<String>::new());
}

#[test]
fn the_documentation_lists_each_metric_with_its_type_and_its_labels() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/observability.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut told: Vec<String> = Vec::new();
    for row in page.lines().filter(|line| line.starts_with("| `outflow_") || line.starts_with("| `process_")) {
        let cells: Vec<String> = row.split('|').map(|cell| cell.trim().replace(['`', ' '], "")).collect();
        told.push(format!("{} {} {}", cells[1], cells[2], cells[3].replace('–', "")));
    }
    let text = filled().text();
    let mut there = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let sample = text.lines().find(|line| line.starts_with(name)).unwrap_or(name);
        let labels = sample.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(labels, _)| labels);
        let labels: Vec<&str> = labels
            .split(',')
            .filter_map(|label| Some(label.split_once('=')?.0))
            .filter(|label| *label != "le")
            .collect();
        there.push(format!("{name} {kind} {}", labels.join(",")));
    }
    told.sort();
    there.sort();
    if cfg!(target_os = "linux") {
        assert_eq!(told, there);
    }
}

#[test]
fn the_lint_finds_what_promtool_would() {
    for (text, problem) in [
        ("a_total 1\n", "a_total: has no TYPE"),
        ("# HELP a_b A.\na_b 1\n", "a_b: has no TYPE"),
        ("# TYPE a_b gauge\na_b 1\n", "a_b: has no HELP"),
        ("# HELP a A.\n# TYPE a counter\na 1\n", "a: a counter's name ends in _total"),
        ("# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n", "a_total: only a counter's name ends in _total"),
        ("# HELP a_count A.\n# TYPE a_count gauge\na_count 1\n", "a_count: only a histogram's samples end in _count"),
        ("# HELP aB A.\n# TYPE aB gauge\naB 1\n", "aB: is not in small letters, digits and underscores"),
        ("# HELP a_ms A.\n# TYPE a_ms gauge\na_ms 1\n", "a_ms: has a unit that is not a base unit"),
        ("# HELP a_seconds_b A.\n# TYPE a_seconds_b gauge\na_seconds_b 1\n", "a_seconds_b: the unit is not at the end"),
        ("# HELP a_gauge A.\n# TYPE a_gauge gauge\na_gauge 1\n", "a_gauge: names its type"),
        ("# HELP a A.\n# TYPE a gauge\na{b=\"1\"} 1\na{b=\"1\"} 2\n", "a{b=\"1\"}: stands there twice"),
        ("# HELP a A.\n# TYPE a gauge\na one\n", "a: `one` is not a number"),
        ("# HELP a A.\n# TYPE a gauge\n# HELP a A.\n# TYPE a gauge\n", "a: has two TYPEs"),
        ("# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1.0\"} 1\na_sum 1\na_count 1\n", "a: has no bucket +Inf"),
        (
            "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1.0\"} 3\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
            "a: its buckets do not rise",
        ),
        (
            "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 2\n",
            "a: its count is not that of its last bucket",
        ),
    ] {
        assert!(lint(text).contains(&problem.to_owned()), "{text}: {:?}", lint(text));
    }
}

#[test]
fn a_sync_is_counted_by_its_ending_and_its_records_by_what_became_of_them() {
    let metrics = filled();
    assert_eq!(
        samples(&metrics, "outflow_syncs_total"),
        ["outflow_syncs_total{ending=\"partly\",destination_type=\"hubspot\"} 1"]
    );
    assert_eq!(
        samples(&metrics, "outflow_records_extracted_total"),
        ["outflow_records_extracted_total{source_type=\"postgres\"} 10"]
    );
    let mut records = samples(&metrics, "outflow_records_total");
    records.sort();
    let line = |outcome: &str, count: u64| {
        format!("outflow_records_total{{outcome=\"{outcome}\",destination_type=\"hubspot\"}} {count}")
    };
    assert_eq!(
        records,
        [
            line("delivered", 3),
            line("in_doubt", 0),
            line("rejected", 2),
            line("retry", 0),
            line("skipped", 1),
            line("unusable_key", 4),
        ]
    );
    assert_eq!(samples(&metrics, "outflow_sync_seconds_sum"), ["outflow_sync_seconds_sum 2.5"]);
    assert!(samples(&metrics, "outflow_sync_seconds_bucket{le=\"1\"}")[0].ends_with(" 0"));
    assert!(samples(&metrics, "outflow_sync_seconds_bucket{le=\"5\"}")[0].ends_with(" 1"));
    assert_eq!(samples(&metrics, "outflow_sync_phase_seconds_count").len(), 4);
}

#[test]
fn a_sync_runs_for_as_long_as_its_guard_lives() {
    let metrics = metrics();
    let running = || samples(&metrics, "outflow_syncs_running").join("");
    let (one, two) = (metrics.sync_started(Duration::ZERO), metrics.sync_started(Duration::ZERO));
    assert_eq!(running(), "outflow_syncs_running 2");
    drop(one);
    assert_eq!(running(), "outflow_syncs_running 1");
    drop(two);
    assert_eq!(running(), "outflow_syncs_running 0");
}

#[test]
fn requests_are_counted_by_the_class_of_their_answer() {
    let metrics = filled();
    let mut answered = samples(&metrics, "outflow_http_requests_total");
    answered.sort();
    assert_eq!(
        answered,
        [
            "outflow_http_requests_total{operation=\"listSyncs\",status_class=\"2xx\"} 1",
            "outflow_http_requests_total{operation=\"listSyncs\",status_class=\"4xx\"} 1",
        ]
    );
    let mut tools = samples(&metrics, "outflow_requests_to_tools_total");
    tools.sort();
    assert_eq!(
        tools,
        [
            "outflow_requests_to_tools_total{destination_type=\"hubspot\",class=\"4xx\"} 1",
            "outflow_requests_to_tools_total{destination_type=\"hubspot\",class=\"no_answer\"} 1",
        ]
    );
}

#[test]
fn labels_take_a_bounded_number_of_values() {
    let metrics = metrics();
    for number in 0..10_000 {
        metrics.request_answered(&format!("operation{number}"), 200, Duration::ZERO);
        metrics.tool_answered(&format!("tool{number}"), Some(200));
    }
    assert_eq!(samples(&metrics, "outflow_http_requests_total").len(), VALUES_MAX + 1);
    let other = samples(&metrics, "outflow_requests_to_tools_total{destination_type=\"other\"");
    assert_eq!(
        other,
        [format!(
            "outflow_requests_to_tools_total{{destination_type=\"other\",class=\"2xx\"}} {}",
            10_000 - VALUES_MAX
        )]
    );
}

#[test]
fn the_process_tells_of_itself() {
    let metrics = metrics();
    assert_eq!(samples(&metrics, "process_start_time_seconds"), ["process_start_time_seconds 1700000000.0"]);
    assert_eq!(samples(&metrics, "outflow_build_info"), ["outflow_build_info{version=\"1.2.3\"} 1"]);
    if cfg!(target_os = "linux") {
        let value = |name: &str| samples(&metrics, name)[0].rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        assert!(value("process_resident_memory_bytes") > 1e5);
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert!(value("process_open_fds") >= 3.0);
    }
}

/// What is against Prometheus' rules for names, types, units and samples, as `promtool check metrics` would find it.
fn lint(text: &str) -> Vec<String> {
    let (mut helps, mut types) = (BTreeSet::new(), BTreeMap::new());
    let (mut problems, mut seen) = (Vec::new(), BTreeSet::new());
    let mut histograms: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, _)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            helps.insert(name);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            if types.insert(name, kind).is_some() {
                problems.push(format!("{name}: has two TYPEs"));
            }
            if !helps.contains(name) {
                problems.push(format!("{name}: has no HELP"));
            }
            lint_name(name, kind, &mut problems);
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            if !seen.insert(series) {
                problems.push(format!("{series}: stands there twice"));
            }
            let Ok(number) = value.parse::<f64>() else {
                problems.push(format!("{name}: `{value}` is not a number"));
                continue;
            };
            let parts = ["_bucket", "_sum", "_count"];
            let base = parts.iter().find_map(|part| name.strip_suffix(part));
            match base.filter(|base| types.get(base) == Some(&"histogram")) {
                Some(base) => histograms.entry(base.to_owned()).or_default().push((series.to_owned(), number)),
                None if !types.contains_key(name) => problems.push(format!("{name}: has no TYPE")),
                None => {}
            }
        }
    }
    for (name, samples) in histograms {
        lint_histogram(&name, &samples, &mut problems);
    }
    problems
}

fn lint_name(name: &str, kind: &str, problems: &mut Vec<String>) {
    let mut problem = |text: &str| problems.push(format!("{name}: {text}"));
    if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        problem("is not in small letters, digits and underscores");
    }
    match (kind, name.ends_with("_total")) {
        ("counter", false) => problem("a counter's name ends in _total"),
        ("gauge" | "histogram", true) => problem("only a counter's name ends in _total"),
        _ => {}
    }
    for part in ["_count", "_sum", "_bucket"] {
        if name.ends_with(part) {
            problem(&format!("only a histogram's samples end in {part}"));
        }
    }
    let words: Vec<&str> = name.split('_').collect();
    let others = ["ms", "milliseconds", "minutes", "hours", "days", "kilobytes", "kb", "mb", "megabytes", "percent"];
    if words.iter().any(|word| others.contains(word)) {
        problem("has a unit that is not a base unit");
    }
    let place = words.iter().position(|word| ["seconds", "bytes"].contains(word));
    if place.is_some_and(|place| words[place + 1..].iter().any(|word| *word != "total")) {
        problem("the unit is not at the end");
    }
    if words.iter().any(|word| ["gauge", "counter", "histogram", "summary"].contains(word)) {
        problem("names its type");
    }
}

fn lint_histogram(name: &str, samples: &[(String, f64)], problems: &mut Vec<String>) {
    let mut last = f64::NEG_INFINITY;
    let mut whole = None;
    for (series, value) in samples {
        if series.starts_with(&format!("{name}_bucket")) {
            if *value < last {
                problems.push(format!("{name}: its buckets do not rise"));
            }
            last = *value;
            if series.contains("le=\"+Inf\"") {
                whole = Some(*value);
                last = f64::NEG_INFINITY;
            }
        }
    }
    match whole {
        None => problems.push(format!("{name}: has no bucket +Inf")),
        Some(_) => {
            let sum = |part: &str| -> f64 {
                samples.iter().filter(|(series, _)| series.contains(part)).map(|(_, value)| value).sum()
            };
            if (sum("le=\"+Inf\"") - sum(&format!("{name}_count"))).abs() > f64::EPSILON {
                problems.push(format!("{name}: its count is not that of its last bucket"));
            }
        }
    }
}
