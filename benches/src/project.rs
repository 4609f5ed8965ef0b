//! A project of the real program over the measured table.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use postgres_server::PostgresServer;

use crate::{
    run::{Measured, measured},
    sink::Sink,
};

/// A folder with project files, and the program that runs on it.
pub(crate) struct Project {
    program: PathBuf,
    folder: PathBuf,
}

/// The columns beside the key that every mapping reads; mapping `n` leaves out one of its own.
const COLUMNS: [&str; 11] =
    ["email", "name", "plan", "city", "score", "amount", "active", "created_at", "birthday", "visits", "attributes"];

impl Project {
    /// A project with `mappings` mappings of one model over `table`: `TABLE_0`, `TABLE_1`, ….
    pub(crate) fn create(
        program: &Path,
        folder: &Path,
        server: &PostgresServer,
        table: &str,
        sink: &Sink,
        mappings: usize,
    ) -> Self {
        for part in ["sources", "models", "destinations", "mappings"] {
            fs::create_dir_all(folder.join(part)).expect("a folder");
        }
        let write = |name: &str, text: String| fs::write(folder.join(name), text).expect("a file");
        write("outflow.yaml", "version: 1\nname: bench\n".to_owned());
        write("sources/warehouse.yaml", format!("type: postgres\nurl: \"{}\"\ntls: disable\n", server.url()));
        write(&format!("models/{table}.sql"), format!("-- source: warehouse\n-- key: id\n\nselect * from {table}\n"));
        write(
            "destinations/sink.yaml",
            format!(
                "type: http\nbase_url: {}\noptions:\n  batch: {{ records_max: 1000, bytes_max: 4000000 }}\n",
                sink.url()
            ),
        );
        for index in 0..mappings {
            // One mapping alone reads everything; of ten, each reads columns of its own, so none gets by on another's.
            let columns =
                COLUMNS.iter().enumerate().filter(|(column, _)| mappings == 1 || *column == 0 || *column != index + 1);
            let fields: String =
                columns.map(|(_, name)| format!("    {name}: {{ \"@path\": \"$.properties.{name}\" }}\n")).collect();
            write(
                &format!("mappings/{table}_{index}.yaml"),
                format!(
                    "model: {table}\ndestination: sink\nmode: mirror\nfields:\n  url: /{index}\n  body:\n    id: {{ \"@path\": \"$.properties.id\" }}\n{fields}"
                ),
            );
        }
        Self { program: program.to_owned(), folder: folder.to_owned() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--project").arg(&self.folder).args(arguments);
        command
    }

    pub(crate) fn outflow(&self, arguments: &[&str]) {
        measured(&mut self.command(arguments));
    }

    /// Syncs all mappings. The run must end with 0.
    pub(crate) fn sync(&self) -> Measured {
        measured(&mut self.command(&["sync", "--all"]))
    }
}
