//! Custom resources: definitions of kinds, their schemas, and the controller that establishes and removes kinds.

pub(crate) mod controller;
pub(crate) mod definition;
pub(crate) mod schema;
pub(crate) mod schema_check;
pub(crate) mod table;
pub(crate) mod validation;
