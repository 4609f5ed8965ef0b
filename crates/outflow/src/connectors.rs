//! The connectors that this program was built with. A new one is one line of a list in `sources` or `destinations`.

use std::{path::Path, sync::Arc};

use kit::simulator::Simulator;
use kit::{Destination, Facts, SettingsError, Source, SourceError};
use project::{Connectors, Forms};
use serde_json::Value;

/// Settings that name a place on this computer; a relative one is meant from the project's folder.
const PLACES: [&str; 2] = ["path", "folder"];

/// The forms of project files, with the settings of all connectors.
pub(crate) fn forms() -> Forms {
    Forms::new(Arc::new(BuiltIn))
}

/// All of them.
#[derive(Debug)]
pub(crate) struct BuiltIn;

impl Connectors for BuiltIn {
    fn source_types(&self) -> &[&str] {
        sources::SLUGS
    }

    fn source_settings_schema(&self, kind: &str) -> Value {
        sources::settings_schema(kind).unwrap_or_default()
    }

    fn source_secret_settings(&self, kind: &str) -> &[&str] {
        sources::secrets(kind)
    }

    fn source(&self, kind: &str, settings: &Value, folder: &Path) -> Result<Arc<dyn Source>, SourceError> {
        sources::connect(kind, &placed(settings, folder))
    }

    fn destination_facts(&self) -> Vec<Facts> {
        destination_facts()
    }

    fn facts(&self, kind: &str) -> Option<Facts> {
        destinations::facts(kind)?.ok()
    }

    fn destination(
        &self,
        kind: &str,
        settings: &Value,
        options: Option<&Value>,
        folder: &Path,
    ) -> Result<Arc<dyn Destination>, SettingsError> {
        destinations::connect(kind, &placed(settings, folder), options.unwrap_or(&Value::Null))
    }
}

/// The facts of all kinds of destinations.
pub(crate) fn destination_facts() -> Vec<Facts> {
    // Facts that cannot be read are a fault of the connector, which its own tests rule out.
    destinations::SLUGS.iter().filter_map(|slug| destinations::facts(slug)?.ok()).collect()
}

/// The kinds of destinations whose tools can be simulated.
pub(crate) fn simulated() -> Vec<&'static str> {
    destinations::simulated().collect()
}

/// Makes simulators of a tool, for a destination of that kind with these settings.
pub(crate) fn simulator_maker(
    kind: &str,
    settings: Value,
) -> Option<impl Fn() -> Box<dyn Simulator> + Send + Sync + use<>> {
    destinations::simulator_maker(kind, settings)
}

fn placed(settings: &Value, folder: &Path) -> Value {
    let mut settings = settings.clone();
    for key in PLACES {
        if let Some(Value::String(path)) = settings.get_mut(key) {
            *path = folder.join(&path).to_string_lossy().into_owned();
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_published_schema_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema/outflow.schema.json");
        let printed = format!("{}\n", serde_json::to_string_pretty(forms().schema()).unwrap());
        let published = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(printed == published, "write it anew: outflow schema > schema/outflow.schema.json");
    }

    #[test]
    fn a_kind_that_is_not_there_is_told_with_all_that_are() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("destinations/fax.yaml");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(folder.path().join("outflow.yaml"), "version: 1\n").unwrap();
        std::fs::write(file, "type: fax\n").unwrap();
        let problems = project::Project::read(folder.path(), &|_| None, &forms()).unwrap_err();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let known = destinations::SLUGS.map(|slug| format!("`{slug}`")).join(", ");
        assert_eq!(told, [format!("destinations/fax.yaml:1:7: `type`: `fax` is not known; it must be one of {known}")]);
    }
}
