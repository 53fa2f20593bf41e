//! Warm handlers: programs that start once and serve many operations.
//!
//! [`Pool`] decides when an instance of such a program starts, which operation it gets, and when it stops. [`frame`]
//! is what the executor and an instance say to each other over a socket that the instance inherits. This crate is
//! pure: the launcher starts the processes, moves the bytes and reads the clock (docs/warm.md).

pub mod frame;
mod pool;
mod protocol;

pub use pool::{
    Action, Answer, Input, InstanceId, InstanceView, Phase, Pool, PoolSettings, Recycle, RequestId,
};
pub use protocol::{
    Attempt, Hello, ProtocolError, SOCKET_VARIABLE, VERSION, attempt_body, end_body, parse_attempt, parse_end,
};
