//! What one evaluation may use, so that no mapping and no record make it run long or fill the memory.

use std::cell::Cell;

use crate::program::EvaluationError;
use crate::val::DEPTH_MAX;

/// Values and pieces of text that one evaluation may make or visit.
const STEPS_MAX: usize = 4_000_000;

/// Bytes of text that one evaluation may make.
pub(crate) const TEXT_MAX: usize = 16 << 20;

/// Counts down during one evaluation.
#[derive(Debug)]
pub(crate) struct Budget {
    steps: Cell<usize>,
    text: Cell<usize>,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self { steps: Cell::new(STEPS_MAX), text: Cell::new(TEXT_MAX) }
    }

    /// Takes a number of steps.
    pub(crate) fn spend(&self, steps: usize) -> Result<(), EvaluationError> {
        match self.steps.get().checked_sub(steps) {
            Some(left) => {
                self.steps.set(left);
                Ok(())
            }
            None => Err(EvaluationError::Limit { what: "the work on one record", limit: STEPS_MAX }),
        }
    }

    /// Takes a number of bytes of text.
    pub(crate) fn text(&self, bytes: usize) -> Result<(), EvaluationError> {
        match self.text.get().checked_sub(bytes) {
            Some(left) => {
                self.text.set(left);
                Ok(())
            }
            None => Err(EvaluationError::Limit { what: "the text made of one record", limit: TEXT_MAX }),
        }
    }

    /// Refuses structures that are too deep.
    pub(crate) fn depth(&self, depth: usize) -> Result<(), EvaluationError> {
        if depth > DEPTH_MAX {
            return Err(EvaluationError::Limit { what: "the nesting of a value", limit: DEPTH_MAX });
        }
        Ok(())
    }
}
