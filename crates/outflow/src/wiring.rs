//! A project wired with what this computer has for it: its clock, and the place where granted tokens are kept.

use std::sync::Arc;

use project::{Project, Wiring};

use crate::{credentials::CredentialsFile, surroundings::SystemClock};

/// The wiring of a project that was read from files.
pub(crate) fn wiring(project: &Project) -> Wiring<'_> {
    let data = project.settings.data.clone();
    Wiring::new(project, Arc::new(move |name| Arc::new(CredentialsFile::new(&data, name))), Arc::new(SystemClock))
}
