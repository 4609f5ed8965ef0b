//! `outflow init`: a small project to begin with.

use std::path::{Path, PathBuf};

use clap::Args;
use project::PROJECT_FILE;
use serde_json::json;

use super::Context;
use crate::failure::{Exit, Failure};

/// Write a small commented project that works as it stands.
///
/// It comes with a SQLite file as source and a folder of files as destination, so nothing needs to be set up.
/// No file that exists is touched.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  outflow init crm-sync
  cd crm-sync
  outflow check
  outflow sync --all")]
pub(crate) struct Init {
    /// The folder to write into; it is made if it is missing.
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

/// The files of the project, `example.db` apart.
const FILES: [(&str, &str); 5] = [
    (PROJECT_FILE, include_str!("init/outflow.yaml")),
    ("sources/shop.yaml", include_str!("init/source.yaml")),
    ("models/customers.sql", include_str!("init/model.sql")),
    ("destinations/files.yaml", include_str!("init/destination.yaml")),
    ("mappings/customers.yaml", include_str!("init/mapping.yaml")),
];

/// Kept out of version control: state, and what the example writes.
const IGNORED: &str = ".outflow/\nout/\n";

impl Init {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let taken: Vec<&str> = FILES
            .iter()
            .map(|(path, _)| *path)
            .chain(["shop.db"])
            .filter(|path| self.folder.join(path).exists())
            .collect();
        if !taken.is_empty() {
            let message =
                format!("`{}` holds {} already; nothing was written", self.folder.display(), taken.join(", "));
            return Err(Failure::new(message).hint("give another folder: `outflow init DIR`"));
        }
        for (path, text) in FILES {
            write(&self.folder.join(path), text)?;
        }
        let ignore = self.folder.join(".gitignore");
        if !ignore.exists() {
            write(&ignore, IGNORED)?;
        }
        crate::demo::shop::create_example(&self.folder.join("shop.db")).await?;
        let mut files: Vec<&str> = FILES.iter().map(|(path, _)| *path).collect();
        files.push("shop.db");
        context.output.result(&json!({ "folder": self.folder, "files": files }), |paint| {
            let folder = self.folder.display();
            let here = self.folder == Path::new(".");
            let enter = if here { String::new() } else { format!("  cd {folder}\n") };
            format!(
                "{}\n\n  {}\n\nNext:\n{enter}  outflow check\n  outflow plan\n  outflow sync --all\n",
                paint.bold(&format!("A project is in {folder}")),
                files.join("\n  "),
            )
        });
        Ok(Exit::Done)
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(path, text))
        .map_err(|error| Failure::new(format!("cannot write `{}`", path.display())).because(error))
}
