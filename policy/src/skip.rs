//! skipPattern: the payloads for which an operation is skipped.

use crate::Pattern;
use crate::policy::{Policy, optional};
use crate::read;

pub(crate) const SKIP: Policy<Option<Pattern>> = Policy::new("skipPattern", read::pattern, optional);
