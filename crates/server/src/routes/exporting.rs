//! All definitions as the files of a project, to be put under version control. Secrets are references to variables of
//! the environment, never the secrets.

use axum::extract::State;
use project::{Document, mask_document};
use serde::Serialize;
use store::{ResourceFilter, ResourceRef};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::definitions::saving::part_of;
use crate::{ApiError, AppState, extract::Json};

/// Definitions that one read brings.
const ROWS: u32 = 500;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(export_files))
}

/// The files of a project.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExportedFiles {
    files: Vec<ExportedFile>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExportedFile {
    /// `mappings/customers.yaml`
    path: String,
    text: String,
}

/// Export all definitions as files
#[utoipa::path(
    get, path = "/export", operation_id = "export_files", tag = "definitions",
    responses((status = OK, description = "The files of a project", body = ExportedFiles)),
)]
async fn export_files(State(state): State<AppState>) -> Result<Json<ExportedFiles>, ApiError> {
    let mut documents = Vec::new();
    let mut after: Option<ResourceRef> = None;
    loop {
        let rows = state.store.resources(&ResourceFilter::default(), after.as_ref(), ROWS).await?;
        let Some(last) = rows.last() else { break };
        after = Some(ResourceRef::new(last.kind, &last.name));
        documents.extend(rows.into_iter().map(|row| Document {
            part: part_of(row.kind),
            name: row.name,
            json: mask_document(&row.document),
        }));
    }
    let forms = std::sync::Arc::clone(state.workers.forms());
    let written = tokio::task::spawn_blocking(move || {
        // A folder that is not there is a project without files.
        let nowhere = std::path::Path::new("/nonexistent/outflow-export");
        forms.write_files(nowhere, &documents, false, &|_| None)
    });
    let written = written.await.map_err(ApiError::internal)?;
    let changes = written.map_err(|problems| ApiError::of_problems(&problems, ""))?;
    let file = |change: project::FileChange| {
        Some(ExportedFile { path: change.path.to_string_lossy().into_owned(), text: change.after? })
    };
    Ok(Json(ExportedFiles { files: changes.into_iter().filter_map(file).collect() }))
}

#[cfg(test)]
mod tests {
    use store::Role;

    use crate::{routes::definitions::tests::shop, testing::TestServer};

    #[tokio::test]
    async fn all_definitions_become_files_without_a_secret() {
        let server = TestServer::start().await;
        shop(&server.person(Role::Editor).await).await;
        let exported = server.person(Role::Viewer).await.get("/api/v1/export").await.json();
        let files: std::collections::BTreeMap<&str, &str> = exported["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| (file["path"].as_str().unwrap(), file["text"].as_str().unwrap()))
            .collect();
        let paths: Vec<&str> = files.keys().copied().collect();
        let expected = [
            "destinations/crm.yaml",
            "mappings/people-to-crm.yaml",
            "models/people.sql",
            "outflow.yaml",
            "sources/shop.yaml",
        ];
        assert_eq!(paths, expected);
        assert!(files["models/people.sql"].contains("-- source: shop"), "{files:?}");
        assert!(files["sources/shop.yaml"].contains("password: ${env:"), "{files:?}");
        assert!(!exported.to_string().contains("hunter22"));
    }
}
