//! Runs a program and measures it: its time, and the most memory it held.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::Instant;

/// One run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub time: Duration,
    pub peak_bytes: u64,
}

pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

/// Runs a command to its end, which must be a success.
pub(crate) fn measured(command: &mut Command) -> Measured {
    let began = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let peak_bytes = watch(&mut child);
    let time = began.elapsed();
    let output = child.wait_with_output().expect("the program ends");
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Measured { time, peak_bytes }
}

/// Waits for the end, reading the kernel's own high-water mark as it goes: it only rises, so little is missed.
fn watch(child: &mut Child) -> u64 {
    let path = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while let Ok(None) = child.try_wait() {
        let status = fs::read_to_string(&path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(kilobytes.unwrap_or(0) * 1024);
        std::thread::sleep(Duration::from_millis(2));
    }
    peak
}

pub(crate) fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
