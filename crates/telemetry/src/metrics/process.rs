//! What the operating system says of this process: memory, processor time, open files. Only Linux says it in files.

use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

/// Linux tells processor time in hundredths of a second on every machine it runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Asked each time that metrics are read.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) started: Timestamp,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let started = ConstGauge::new(self.started.as_duration().as_secs_f64());
        let help = "When the process started, in seconds since 1970";
        started.encode(encoder.encode_descriptor(
            "process_start_time",
            help,
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?)?;
        if let Some(bytes) = resident_bytes() {
            let help = "The memory that the process holds";
            let metric =
                encoder.encode_descriptor("process_resident_memory", help, Some(&Unit::Bytes), MetricType::Gauge)?;
            ConstGauge::new(bytes).encode(metric)?;
        }
        if let Some(seconds) = processor_seconds() {
            let help = "Processor time that the process used";
            let metric = encoder.encode_descriptor("process_cpu", help, Some(&Unit::Seconds), MetricType::Counter)?;
            ConstCounter::new(seconds).encode(metric)?;
        }
        if let Some(files) = open_files() {
            let help = "Files and connections that the process holds open";
            let metric = encoder.encode_descriptor("process_open_fds", help, None, MetricType::Gauge)?;
            ConstGauge::new(files).encode(metric)?;
        }
        Ok(())
    }
}

fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in brackets may hold anything; after it, user and system time are the 12th and 13th field.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: Vec<f64> = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    match ticks[..] {
        [user, system] => Some((user + system) / TICKS_PER_SECOND),
        _ => None,
    }
}

fn open_files() -> Option<i64> {
    i64::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}
