//! What is made for Prometheus and Grafana: the rules and dashboards of the chart. Most of it is held against the sources
//! alone; `live` runs every query against a real Prometheus that scrapes a whyd at work.

mod catalogue;
mod dashboards;
#[path = "../harness/mod.rs"]
mod harness;
mod live;
mod promql;
mod rules;
