//! stub
use crate::build::Builder;
use crate::check::Place;
use crate::evaluate::Context;
use crate::node::Node;
use crate::program::EvaluationError;
use crate::val::Val;
use records::Value;
pub(crate) mod hash;
#[derive(Debug, Clone)]
pub(crate) struct Beyond {}
impl Beyond {
    pub(crate) fn resolve<'s>(&'s self, _scope: &Val<'s>, _context: &Context) -> Result<Val<'s>, EvaluationError> {
        Ok(Val::Missing)
    }
    pub(crate) fn reads(&self, reads: &mut crate::reads::Reads) {
        reads.anything()
    }
}
pub(crate) fn is_known(_name: &str) -> bool {
    false
}
pub(crate) fn build(_builder: &mut Builder, _name: &str, _argument: &Value, _place: &Place) -> Option<Node> {
    None
}
