//! What several routes ask of the store and of the service that runs syncs.

use serde_json::Value;
use store::{ResourceKind, ResourceRef};
use workers::ServiceError;

use crate::{ApiError, AppState, caller::Caller};

impl AppState {
    /// The name of a mapping that is called by its name or id.
    pub(crate) async fn mapping_name(&self, name_or_id: &str) -> Result<String, ApiError> {
        Ok(self.store.resource(ResourceKind::Mapping, name_or_id).await?.name)
    }

    /// Writes into the audit log what a caller did that no change of a definition tells.
    pub(crate) async fn audit(
        &self,
        caller: &Caller,
        action: &str,
        kind: &str,
        name: &str,
        details: Value,
    ) -> Result<(), ApiError> {
        let entry = caller.author.entry(self.clock.now(), action, kind, name, details);
        Ok(self.store.write_audit(&entry).await?)
    }

    /// The personal columns of a mapping's model.
    pub(crate) async fn personal_columns(&self, mapping: &str) -> Result<Vec<String>, ServiceError> {
        let wired = self.workers.wired(&[ResourceRef::new(ResourceKind::Mapping, mapping)], &[]).await?;
        let model = wired.project.mapping(mapping).and_then(|mapping| wired.project.model(&mapping.form.model));
        Ok(model.map(|model| model.personal.clone()).unwrap_or_default())
    }
}
