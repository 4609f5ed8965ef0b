//! stub
use crate::evaluate::Context;
use crate::program::EvaluationError;
use crate::val::Val;
#[derive(Debug, Clone)]
pub(crate) struct Template {}
impl Template {
    pub(crate) fn parse(_text: &str) -> Result<Self, String> {
        Ok(Self {})
    }
    pub(crate) fn render(&self, _scope: &Val<'_>, _context: &Context) -> Result<String, EvaluationError> {
        Ok(String::new())
    }
    pub(crate) fn reads(&self, reads: &mut crate::reads::Reads) {
        reads.anything()
    }
}
