//! placeholder until the probes are merged
use crate::model::attempt::*;
use crate::model::order::*;
pub struct Prober;
impl Prober {
    pub fn new() -> Self {
        Prober
    }
    pub async fn attempt(&self, _: &AttemptOrder) -> Attempt {
        unimplemented!()
    }
    pub async fn confirm(&self, _: &ConfirmationOrder) -> Confirmation {
        unimplemented!()
    }
    pub fn forget(&self, _: &str) {}
}
