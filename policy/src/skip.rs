//! skipPattern: skips an operation if its payload matches.

use crate::Pattern;
use crate::policy::{Policy, optional};
use crate::read;

pub(crate) const SKIP: Policy<Option<Pattern>> = Policy::new("skipPattern", read::pattern, optional);
