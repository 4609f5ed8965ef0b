//! A saved plan: one file with the change sets of its mappings, to be approved and then sent as it is.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use changes::{ChangeSet, Checkpoint, Steps, Unusable};
use serde::{Deserialize, Serialize};

use crate::{
    Guards, Held, Problem,
    compare::Extracted,
    guard::{self, Findings},
    held::{Reads, comparing, edited},
    places,
    problem::chain,
};

const VERSION: u32 = 1;
/// The longest first line.
const HEAD_BYTES_MAX: u64 = 16 << 20;

/// The first line of the file, JSON. The change sets follow, one after another.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    outflow_plan: u32,
    mappings: Vec<Part>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Part {
    mapping: String,
    /// Of the checkpoint the plan was made against.
    generation: u64,
    bytes: u64,
    findings: Findings,
    /// None in a plan of an earlier version.
    #[serde(default)]
    reads: Option<Reads>,
}

/// A change set to be saved.
pub(crate) struct Saved {
    pub mapping: String,
    pub generation: u64,
    pub findings: Findings,
    pub change_set: PathBuf,
    pub reads: Reads,
}

/// Writes a plan, whole or not at all.
pub(crate) fn save(path: &Path, parts: &[Saved]) -> Result<(), Problem> {
    let failed =
        |error: io::Error| Problem::new("plan_file", format!("cannot write the plan `{}`: {error}", path.display()));
    let mut head = Head { outflow_plan: VERSION, mappings: Vec::new() };
    for part in parts {
        head.mappings.push(Part {
            mapping: part.mapping.clone(),
            generation: part.generation,
            bytes: fs::metadata(&part.change_set).map_err(failed)?.len(),
            findings: part.findings.clone(),
            reads: Some(part.reads.clone()),
        });
    }
    let temporary = path.with_extension("unfinished");
    let write = || {
        let mut file = File::create(&temporary)?;
        serde_json::to_writer(&mut file, &head)?;
        file.write_all(b"\n")?;
        for part in parts {
            io::copy(&mut File::open(&part.change_set)?, &mut file)?;
        }
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&temporary);
        failed(error)
    })
}

/// Where a plan has the changes of a mapping.
struct Found {
    part: Part,
    offset: u64,
}

fn failed(path: &Path, message: impl std::fmt::Display) -> Problem {
    Problem::new("plan_file", format!("the plan `{}` {message}", path.display()))
}

fn find(path: &Path, mapping: &str) -> Result<Found, Problem> {
    let unreadable = |error: io::Error| failed(path, format_args!("cannot be read: {error}"));
    let mut line = String::new();
    let file = File::open(path).map_err(unreadable)?;
    BufReader::new(file).take(HEAD_BYTES_MAX).read_line(&mut line).map_err(unreadable)?;
    let head: Head = serde_json::from_str(&line)
        .map_err(|_| failed(path, "is not a plan; make one with `outflow plan --save FILE`"))?;
    if head.outflow_plan > VERSION {
        return Err(failed(path, format!("has format {}, this program knows up to {VERSION}", head.outflow_plan)));
    }
    let mut offset = line.len() as u64;
    for part in head.mappings {
        let bytes = part.bytes;
        if part.mapping == mapping {
            return Ok(Found { part, offset });
        }
        offset += bytes;
    }
    Err(failed(path, format_args!("has no mapping `{mapping}`")))
}

/// Opens one mapping's change set where it stands in a plan.
pub(crate) fn open(path: &Path, mapping: &str) -> Result<ChangeSet, Problem> {
    let Found { part, offset } = find(path, mapping)?;
    let change_set = ChangeSet::open_within(path, offset, part.bytes).map_err(|error| failed(path, chain(&error)))?;
    of_mapping(path, change_set, mapping)
}

fn of_mapping(path: &Path, change_set: ChangeSet, mapping: &str) -> Result<ChangeSet, Problem> {
    match change_set.mapping() {
        found if found == mapping => Ok(change_set),
        found => Err(failed(path, format_args!("holds the changes of `{found}` as those of `{mapping}`"))),
    }
}

/// Takes one mapping's change set out of a plan into a sync's folder, if its checkpoint has not moved on.
pub(crate) fn take(
    path: &Path,
    mapping: &str,
    sync_folder: &Path,
    checkpoint: &Path,
    steps: Arc<dyn Steps>,
    (guards, reads): (&Guards, &Reads),
) -> Result<Extracted, Problem> {
    let unreadable = |error: io::Error| failed(path, format_args!("cannot be read: {error}"));
    let Found { part, offset } = find(path, mapping)?;
    if part.reads.as_ref().is_some_and(|then| then != reads) {
        return Err(edited(&format!("the plan `{}`", path.display())));
    }
    let checkpoint = Checkpoint::open(checkpoint, steps).map_err(|error| Problem::of_checkpoint(&error))?;
    if checkpoint.generation() != part.generation {
        return Err(failed(path, format_args!("is out of date: `{mapping}` has been synced or changed since"))
            .with_hint("make a new plan"));
    }
    let mut file = File::open(path).map_err(unreadable)?;
    file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
    let target = places::change_set(sync_folder);
    let copied = io::copy(&mut file.take(part.bytes), &mut File::create(&target).map_err(unreadable)?);
    if copied.map_err(unreadable)? != part.bytes {
        return Err(failed(path, "is cut short; make a new plan"));
    }
    let change_set = ChangeSet::open(&target).map_err(|error| failed(path, chain(&error)))?;
    let change_set = of_mapping(path, change_set, mapping)?;
    let held: Option<Held> = guard::held(guards, &part.findings);
    let comparing = comparing(checkpoint, change_set, Unusable::default(), part.findings, held);
    Ok(Extracted::Compared(Box::new(comparing)))
}
