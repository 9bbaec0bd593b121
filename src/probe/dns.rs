//! Placeholder until the DNS room is merged.

use crate::model::attempt::Attempt;
use crate::model::dependency::DnsProbe;
use crate::model::order::AttemptOrder;

use super::resolve::Resolver;

pub(crate) async fn attempt(_: &DnsProbe, _: &AttemptOrder, _: &Resolver) -> Attempt {
    unimplemented!("placeholder")
}
