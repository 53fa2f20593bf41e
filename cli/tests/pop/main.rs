//! The `pop` program as its users meet it: real files, the real binary, its exit codes, its words.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod cache;
mod chaos;
mod conf_d;
mod conformance;
mod crash;
mod described;
mod developer_log;
mod disk;
mod dlq;
mod docker;
mod elsewhere;
mod engine;
mod faults;
mod forwarder;
mod handlers;
mod help;
mod hostile;
mod inputs;
mod kubernetes;
mod kubernetes_faults;
mod languages;
mod new;
mod outcomes;
mod owner;
mod params;
mod policies;
mod registries;
mod run_id;
mod running;
mod screens;
mod steady;
mod tellings;
mod unusual_files;
mod verify;
