//! placeholder
use crate::export::process::ProcessFigures;
use crate::model::failure::OperationRecord;
use crate::model::plan::Otlp;
use std::sync::Arc;
#[derive(Clone, Debug)]
pub struct TraceSender;
impl TraceSender {
    pub fn start(_: &Otlp, _: Arc<ProcessFigures>) -> Result<Option<Self>, std::io::Error> {
        Ok(None)
    }
    pub fn send(&self, _: &Arc<OperationRecord>) {}
    pub async fn flush(self) {}
}
