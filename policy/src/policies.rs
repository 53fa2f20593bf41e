//! Policies in layers: operation over agenda over handler over built-in, each value with its scope.

use crate::{IgnoredCodes, Limits, Lock, OnFail, Pattern, PolicyLayer, Retry, Scope};
use serde_json::Value;

/// A value and the scope that gave it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layered<T> {
    /// The value in force.
    pub value: T,
    /// Who gave it.
    pub scope: Scope,
}

/// The policies of one operation, each value with its scope.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policies {
    /// How often, and after which wait.
    pub retry: Layered<Retry>,
    /// One attempt's run, in milliseconds.
    pub run_ms: Layered<Option<u64>>,
    /// Silence, in milliseconds.
    pub silence_ms: Layered<Option<u64>>,
    /// Waiting to be scheduled, in milliseconds.
    pub pending_ms: Layered<Option<u64>>,
    /// After the last attempt.
    pub on_fail: Layered<OnFail>,
    /// Codes that count as success.
    pub ignore_errors: Layered<IgnoredCodes>,
    /// Detailed log of this operation whatever the level.
    pub log_detail: Layered<bool>,
    /// For which payloads it is skipped.
    pub skip: Layered<Option<Pattern>>,
    /// The least time between starts, in milliseconds.
    pub delay_ms: Layered<Option<u64>>,
    /// Whose starts keep that time from one another; none: those of the operation itself.
    pub delay_id: Layered<Option<Box<str>>>,
    /// What holds between operations that share a key.
    pub lock: Layered<Lock>,
    /// The keys, a text or a list of texts with references; none: the operation's type.
    pub lock_key: Layered<Option<Value>>,
    /// Whether the result may be taken from the cache.
    pub use_cache: Layered<bool>,
    /// The name of the cache.
    pub cache_state: Layered<Option<Box<str>>>,
    /// What of the payload makes the key; none: all of it.
    pub cache_key: Layered<Option<Pattern>>,
    /// For how long an entry is good, in milliseconds; none: for ever.
    pub cache_ttl_ms: Layered<Option<u64>>,
    /// Whether the handler allows that its results are taken from a cache; none: it does not say.
    pub cache_use: Layered<Option<bool>>,
    /// Whether the handler allows that its results are kept in a cache; none: it does not say.
    pub cache_write: Layered<Option<bool>>,
}

impl Policies {
    /// Lays layers over one another, the highest scope winning for each value; of layers of one scope, the last.
    pub fn resolve(layers: &[(Scope, &PolicyLayer)]) -> Self {
        let mut ordered = layers.to_vec();
        ordered.sort_by_key(|(scope, _)| *scope);
        let mut policies = Self::default();
        for (scope, layer) in ordered {
            policies.lay(layer, scope);
        }
        policies
    }

    fn lay(&mut self, layer: &PolicyLayer, scope: Scope) {
        lay(&mut self.retry, layer.retry.clone(), scope);
        lay(&mut self.run_ms, layer.run_ms.map(Some), scope);
        lay(&mut self.silence_ms, layer.silence_ms.map(Some), scope);
        lay(&mut self.pending_ms, layer.pending_ms.map(Some), scope);
        lay(&mut self.on_fail, layer.on_fail, scope);
        lay(&mut self.ignore_errors, layer.ignore_errors.clone(), scope);
        lay(&mut self.log_detail, layer.log_detail, scope);
        lay(&mut self.skip, layer.skip.clone().map(Some), scope);
        lay(&mut self.delay_ms, layer.delay_ms.map(Some), scope);
        lay(&mut self.delay_id, layer.delay_id.clone().map(Some), scope);
        lay(&mut self.lock, layer.lock, scope);
        lay(&mut self.lock_key, layer.lock_key.clone().map(Some), scope);
        lay(&mut self.use_cache, layer.use_cache, scope);
        lay(&mut self.cache_state, layer.cache_state.clone().map(Some), scope);
        lay(&mut self.cache_key, layer.cache_key.clone().map(Some), scope);
        lay(&mut self.cache_ttl_ms, layer.cache_ttl_ms.map(Some), scope);
        lay(&mut self.cache_use, layer.cache_use.map(Some), scope);
        lay(&mut self.cache_write, layer.cache_write.map(Some), scope);
    }

    /// The time limits of an attempt; 0 means no limit.
    pub fn limits(&self) -> Limits {
        let some = |limit: &Layered<Option<u64>>| limit.value.filter(|ms| *ms > 0);
        Limits {
            run_ms: some(&self.run_ms),
            silence_ms: some(&self.silence_ms),
            pending_ms: some(&self.pending_ms),
        }
    }

    /// The least time between starts, if there is one.
    pub fn delay(&self) -> Option<u64> {
        self.delay_ms.value.filter(|ms| *ms > 0)
    }

    /// The keys that the operation itself gives to no effect, each with the key that it would take.
    pub fn idle(&self) -> Vec<(&'static str, &'static str)> {
        let is_own = |scope: Scope| scope == Scope::Operation;
        let (lock, cache) = (self.lock.value != Lock::None, self.use_cache.value);
        let all = [
            ("lockKey", "lock", is_own(self.lock_key.scope) && !lock),
            ("delayId", "delayMs", is_own(self.delay_id.scope) && self.delay().is_none()),
            ("cacheState", "useCache", is_own(self.cache_state.scope) && !cache),
            ("cacheKeyPattern", "useCache", is_own(self.cache_key.scope) && !cache),
            ("cacheTtlMs", "useCache", is_own(self.cache_ttl_ms.scope) && !cache),
        ];
        all.into_iter().filter(|(.., is_idle)| *is_idle).map(|(key, partner, _)| (key, partner)).collect()
    }

    /// Whether something outside the operation is asked before an attempt of it starts.
    pub fn is_gated(&self) -> bool {
        self.delay().is_some() || self.lock.value != Lock::None || self.use_cache.value
    }

    /// Whether a settled operation may leave null behind instead of a result.
    pub fn may_skip(&self) -> bool {
        self.on_fail.value == OnFail::Skip || self.skip.value.is_some()
    }
}

fn lay<T>(slot: &mut Layered<T>, value: Option<T>, scope: Scope) {
    if let Some(value) = value {
        *slot = Layered { value, scope };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_document::Pointer;
    use serde_json::json;

    fn layer(params: &Value) -> PolicyLayer {
        PolicyLayer::parse(params, Pointer::root(), &mut Vec::new())
    }

    #[test]
    fn r1_the_nearest_scope_wins_value_by_value() {
        let handler = layer(&json!({"timeoutMs": 1, "onFail": "SKIP", "retry": {"maxAttempts": 5}}));
        let agenda = layer(&json!({"timeoutMs": 2, "onFail": "FATAL", "lock": "SAFE"}));
        let operation = layer(&json!({"timeoutMs": 3, "lock": "NONE"}));
        let policies = Policies::resolve(&[
            (Scope::Operation, &operation),
            (Scope::Handler, &handler),
            (Scope::Agenda, &agenda),
        ]);
        assert_eq!(policies.run_ms, Layered { value: Some(3), scope: Scope::Operation });
        assert_eq!(policies.on_fail, Layered { value: OnFail::Fatal, scope: Scope::Agenda });
        assert_eq!(policies.lock, Layered { value: Lock::None, scope: Scope::Operation });
        assert_eq!((policies.retry.value.max_attempts, policies.retry.scope), (5, Scope::Handler));
        assert_eq!(policies.silence_ms.scope, Scope::BuiltIn);
    }

    #[test]
    fn keys_without_their_partner_are_told() {
        let idle = |params| Policies::resolve(&[(Scope::Operation, &layer(&params))]).idle();
        assert_eq!(
            idle(json!({"lockKey": "k", "delayId": "d"})),
            [("lockKey", "lock"), ("delayId", "delayMs")]
        );
        assert_eq!(idle(json!({"lockKey": "k", "lock": "SAFE", "useCache": true, "cacheState": "s"})), []);
    }

    #[test]
    fn zero_means_no_limit_and_no_wait() {
        let policies =
            Policies::resolve(&[(Scope::Operation, &layer(&json!({"timeoutMs": 0, "delayMs": 0})))]);
        assert_eq!((policies.limits(), policies.is_gated()), (Limits::default(), false));
    }
}
