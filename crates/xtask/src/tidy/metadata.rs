//! The workspace's crates and what each depends on, as cargo sees them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use super::TidyError;

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    /// Its `Cargo.toml`, relative to the workspace.
    pub(super) manifest_path: PathBuf,
    pub(super) dependencies: Vec<Dependency>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// None for a normal one, `dev`, `build`.
    pub(super) kind: Option<String>,
    /// Set for the workspace's own crates.
    pub(super) path: Option<String>,
}

impl Dependency {
    pub(super) fn is_for_tests(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

pub(super) fn packages(root: &Path) -> Result<Vec<Package>, TidyError> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root)
        .output()
        .map_err(|error| TidyError::Metadata(error.to_string()))?;
    if !output.status.success() {
        return Err(TidyError::Metadata(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let mut metadata: Metadata =
        serde_json::from_slice(&output.stdout).map_err(|error| TidyError::Metadata(error.to_string()))?;
    for package in &mut metadata.packages {
        if let Ok(path) = package.manifest_path.strip_prefix(root) {
            package.manifest_path = path.to_owned();
        }
    }
    Ok(metadata.packages)
}
