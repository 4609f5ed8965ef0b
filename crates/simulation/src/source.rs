//! A source that reads the fake warehouse.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kit::{Query, Source, SourceError};
use records::Schema;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Dice,
    faults::{Fate, lock},
    warehouse::Warehouse,
};

#[derive(Debug)]
pub(crate) struct FakeSource {
    pub warehouse: Arc<Mutex<Warehouse>>,
    pub fate: Arc<Fate>,
    pub dice: Arc<Dice>,
}

#[async_trait]
impl Source for FakeSource {
    async fn check(&self) -> Result<String, SourceError> {
        Ok("the fake warehouse".to_owned())
    }

    async fn describe(&self, _: &Query) -> Result<Schema, SourceError> {
        Ok(Warehouse::schema())
    }

    async fn extract(
        &self,
        _: &Query,
        batches: mpsc::Sender<arrow_array::RecordBatch>,
        cancel: CancellationToken,
    ) -> Result<(), SourceError> {
        let result = lock(&self.warehouse).result(self.dice.range(1, 40) as usize, &self.dice);
        for (index, batch) in result.into_iter().enumerate() {
            if self.fate.lost_after_batches() == Some(index as u64) {
                self.fate.tell(format!("  warehouse lost after {index} batches"));
                return Err(SourceError::Lost { message: "the server went away".to_owned() });
            }
            if cancel.is_cancelled() || batches.send(batch).await.is_err() {
                return Err(SourceError::Cancelled);
            }
        }
        Ok(())
    }
}
