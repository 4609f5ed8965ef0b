//! How a sync gets on, while it does: bars on a terminal, lines in a log, nothing beside JSON.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use sync::{News, Observer, Progress};

use crate::{
    output::Output,
    render::{counted, number},
};

/// An observer that shows what it is told.
pub(crate) struct Shown<'a> {
    output: &'a Output,
    bars: Option<MultiProgress>,
    by_mapping: Mutex<HashMap<String, ProgressBar>>,
    /// How many tenths of a mapping's changes were told in lines.
    tenths: Mutex<HashMap<String, u64>>,
}

/// Loads of fewer changes are told at their end only.
const LINES_FROM: u64 = 10_000;

impl<'a> Shown<'a> {
    pub(crate) fn new(output: &'a Output) -> Self {
        let bars = (output.is_terminal() && !output.is_json()).then(MultiProgress::new);
        Self { output, bars, by_mapping: Mutex::default(), tenths: Mutex::default() }
    }

    fn bar(&self, bars: &MultiProgress, mapping: &str) -> ProgressBar {
        let mut by_mapping = self.by_mapping.lock().unwrap_or_else(PoisonError::into_inner);
        by_mapping
            .entry(mapping.to_owned())
            .or_insert_with(|| {
                let bar = bars.add(ProgressBar::new_spinner());
                bar.set_style(spinner());
                bar.set_prefix(mapping.to_owned());
                bar.enable_steady_tick(Duration::from_millis(120));
                bar
            })
            .clone()
    }

    fn on_terminal(&self, bars: &MultiProgress, progress: Progress<'_>) {
        let mapping = progress.mapping;
        match progress.news {
            News::Started => self.bar(bars, mapping).set_message("connecting"),
            News::Collecting { job, jobs } => {
                let text =
                    format!("waiting for job {job} of {jobs} that a sync that was cut off left at the destination");
                self.bar(bars, mapping).set_message(text);
            }
            News::Recovered { delivered, .. } => {
                let text = format!("took over {} of a sync that was cut off", counted(delivered, "delivered record"));
                self.bar(bars, mapping).set_message(text);
            }
            News::Extracting { records } => {
                self.bar(bars, mapping).set_message(format!("reading  {}", counted(records, "record")));
            }
            News::Compared { counts } => {
                let bar = self.bar(bars, mapping);
                bar.set_message(format!(
                    "{} read, {} changed",
                    counted(counts.extracted, "record"),
                    number(counts.changed())
                ));
            }
            News::Loading { done, total, failed, .. } => {
                let bar = self.bar(bars, mapping);
                if bar.length() != Some(total) {
                    bar.set_length(total);
                    bar.set_style(loading());
                }
                bar.set_position(done);
                bar.set_message(if failed > 0 { format!("{} not taken", number(failed)) } else { String::new() });
            }
            News::Phase(_) => {}
            News::Held { .. } | News::Finished { .. } => {
                let bar = self.bar(bars, mapping);
                bar.finish_and_clear();
                self.by_mapping.lock().unwrap_or_else(PoisonError::into_inner).remove(mapping);
            }
        }
    }

    fn in_lines(&self, progress: Progress<'_>) {
        let mapping = progress.mapping;
        match progress.news {
            News::Collecting { job, jobs } => self.output.note(&format!(
                "{mapping}: waiting for job {job} of {jobs} that a sync that was cut off left at the destination"
            )),
            News::Recovered { sync, delivered } => self.output.note(&format!(
                "{mapping}: took over {} of {sync}, which was cut off",
                counted(delivered, "delivered record")
            )),
            News::Compared { counts } => self.output.note(&format!(
                "{mapping}: {} read, {} changed",
                counted(counts.extracted, "record"),
                number(counts.changed())
            )),
            News::Loading { done, total, failed, .. } if total >= LINES_FROM => {
                let tenth = done * 10 / total;
                let mut tenths = self.tenths.lock().unwrap_or_else(PoisonError::into_inner);
                if tenths.insert(mapping.to_owned(), tenth).unwrap_or(0) < tenth {
                    let failed = if failed > 0 { format!(", {} not taken", number(failed)) } else { String::new() };
                    self.output.note(&format!("{mapping}: {} of {} sent{failed}", number(done), number(total)));
                }
            }
            News::Started
            | News::Phase(_)
            | News::Extracting { .. }
            | News::Loading { .. }
            | News::Held { .. }
            | News::Finished { .. } => {}
        }
    }
}

impl Observer for Shown<'_> {
    fn progress(&self, progress: Progress<'_>) {
        match &self.bars {
            Some(bars) => self.on_terminal(bars, progress),
            None => self.in_lines(progress),
        }
    }
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner:.cyan} {prefix:.bold}  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn loading() -> ProgressStyle {
    ProgressStyle::with_template(
        "{spinner:.cyan} {prefix:.bold}  sending  {wide_bar:.cyan/dim} {human_pos}/{human_len}  {rate}/s  {eta} left  {msg:.yellow}",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar())
    .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
        // A number that cannot be written leaves its place empty.
        let _ = write!(out, "{:.0}", state.per_sec());
    })
}
