//! Layered policies: operation over agenda over handler over built-in default, each value with its scope.

use crate::scope::{Scope, ScopedValue};
use crate::table::{Policies, PolicyLayer};
use crate::{CPU, Cpu, Limits, Lock, MEMORY, Memory, OnFail};

impl Policies {
    /// Merges layers. For each value the highest scope wins; within one scope, the last layer.
    pub fn resolve(layers: &[(Scope, &PolicyLayer)]) -> Self {
        let mut ordered = layers.to_vec();
        ordered.sort_by_key(|(scope, _)| *scope);
        let mut policies = Self::default();
        for (scope, layer) in ordered {
            policies.lay(layer, scope);
        }
        policies
    }

    /// The time limits of an attempt; a value of 0 becomes none.
    pub fn limits(&self) -> Limits {
        let some = |limit: &ScopedValue<Option<u64>>| limit.value.filter(|ms| *ms > 0);
        Limits {
            run_ms: some(&self.run_ms),
            silence_ms: some(&self.silence_ms),
            pending_ms: some(&self.pending_ms),
            total_ms: some(&self.total_ms),
            locks_ms: some(&self.locks_ms),
        }
    }

    /// The minimum interval between starts in milliseconds; none if it is 0 or unset.
    pub fn delay(&self) -> Option<u64> {
        self.delay_ms.value.filter(|ms| *ms > 0)
    }

    /// The amount of `cpu` or `memory`, if the payload asks for `in_payload`. The operation's own `resources` win over its
    /// payload, and the payload over `resources` of the agenda and the registry.
    pub fn amount(&self, name: &str, in_payload: Option<u64>) -> Option<u64> {
        let needed = &self.resources.value;
        let set = needed.get(name);
        if needed.scope(name) == Some(Scope::Operation) { set.or(in_payload) } else { in_payload.or(set) }
    }

    /// The CPU of a container or pod, if the payload asks for `in_payload`; none if neither sets it.
    pub fn cpu(&self, in_payload: Option<Cpu>) -> Option<Cpu> {
        let amount = self.amount(CPU, in_payload.map(Cpu::millis));
        amount.filter(|millis| *millis > 0).map(Cpu::from_millis)
    }

    /// The memory of a container or pod, if the payload asks for `in_payload`; none if neither sets it.
    pub fn memory(&self, in_payload: Option<Memory>) -> Option<Memory> {
        let amount = self.amount(MEMORY, in_payload.map(Memory::bytes));
        amount.filter(|bytes| *bytes > 0).map(Memory::from_bytes)
    }

    /// Whether an attempt must pass a gate (delay, lock or cache) before it starts.
    pub fn is_gated(&self) -> bool {
        self.delay().is_some() || self.lock.value != Lock::None || self.use_cache.value
    }

    /// Whether the operation may be skipped, so that its result is null.
    pub fn may_skip(&self) -> bool {
        self.on_fail.value == OnFail::Skip || self.skip.value.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_document::Pointer;
    use serde_json::{Value, json};

    fn layer(params: &Value) -> PolicyLayer {
        PolicyLayer::parse(params, Pointer::root(), &mut Vec::new())
    }

    #[test]
    fn r1_nearest_scope_wins_for_each_value() {
        let handler = layer(&json!({"timeoutMs": 1, "onFail": "SKIP", "retry": {"maxAttempts": 5}}));
        let agenda = layer(&json!({"timeoutMs": 2, "onFail": "FATAL", "lock": "SAFE"}));
        let operation = layer(&json!({"timeoutMs": 3, "lock": "NONE"}));
        let policies = Policies::resolve(&[
            (Scope::Operation, &operation),
            (Scope::Handler, &handler),
            (Scope::Agenda, &agenda),
        ]);
        assert_eq!(policies.run_ms, ScopedValue { value: Some(3), scope: Scope::Operation });
        assert_eq!(policies.on_fail, ScopedValue { value: OnFail::Fatal, scope: Scope::Agenda });
        assert_eq!(policies.lock, ScopedValue { value: Lock::None, scope: Scope::Operation });
        assert_eq!((policies.retry.value.max_attempts, policies.retry.scope), (5, Scope::Handler));
        assert_eq!(policies.silence_ms.scope, Scope::BuiltIn);
    }

    #[test]
    fn keys_without_their_partner_are_reported() {
        let idle = |params| Policies::resolve(&[(Scope::Operation, &layer(&params))]).idle();
        assert_eq!(
            idle(json!({"lockKey": "k", "delayId": "d"})),
            [("delayId", "delayMs"), ("lockKey", "lock")]
        );
        assert_eq!(idle(json!({"lockKey": "k", "lock": "SAFE", "useCache": true, "cacheState": "s"})), []);
    }

    #[test]
    fn lines_contain_set_policies_and_those_always_shown() {
        let params =
            json!({"delayMs": 5, "lock": "safe", "lockKey": ["a"], "skipPattern": "n", "timeoutMs": 0});
        let policies = Policies::resolve(&[(Scope::Operation, &layer(&params))]);
        let lines = policies.lines();
        let lines: Vec<String> =
            lines.iter().map(|line| format!("{} = {} ({})", line.key, line.value, line.scope)).collect();
        assert_eq!(
            lines,
            [
                "retry = 1 attempt (built-in default)",
                "timeoutMs = none (operation)",
                "noOutputTimeoutMs = none (built-in default)",
                "pendingTimeoutMs = none (built-in default)",
                "onFail = REPLY (built-in default)",
                "ignoreErrors = none (built-in default)",
                "skipPattern = n (operation)",
                "delayMs = 5 (operation)",
                "lock = SAFE (operation)",
                "lockKey = [\"a\"] (operation)",
            ]
        );
    }

    #[test]
    fn every_key_is_unique_and_has_a_reader() {
        let keys: std::collections::BTreeSet<&str> = crate::POLICIES.into_iter().collect();
        assert_eq!(keys.len(), crate::POLICIES.len());
        for key in crate::POLICIES.into_iter().filter(|key| *key != "handler") {
            // no policy accepts this value, so a key without a fault has no reader
            let mut faults = Vec::new();
            PolicyLayer::parse(&json!({key: {"x": []}}), Pointer::root(), &mut faults);
            assert!(faults.iter().any(|fault| fault.pointer().starts_with(&format!("/{key}"))), "{key}");
        }
    }

    #[test]
    fn resources_of_several_scopes_are_combined_by_name() {
        let agenda = layer(&json!({"resources": {"cpu": 1, "gpu": 2}}));
        let operation = layer(&json!({"resources": {"gpu": 0, "license": 1}}));
        let policies = Policies::resolve(&[(Scope::Operation, &operation), (Scope::Agenda, &agenda)]);
        let needed = &policies.resources.value;
        assert_eq!(needed.amounts().to_string(), "cpu 1, gpu 0, license 1");
        assert_eq!((needed.scope("cpu"), needed.scope("gpu")), (Some(Scope::Agenda), Some(Scope::Operation)));
        assert_eq!(needed.to_string(), "cpu 1 of the agenda, gpu 0, license 1");
    }

    #[test]
    fn own_resources_win_over_the_payload_and_the_payload_over_defaults() {
        let resources = layer(&json!({"resources": {"cpu": 2, "memory": 0}}));
        let in_payload = Some(Cpu::from_millis(500));
        for (scope, cpu, memory) in
            [(Scope::Operation, 2_000, None), (Scope::Agenda, 500, Some(Memory::from_bytes(7)))]
        {
            let policies = Policies::resolve(&[(scope, &resources)]);
            assert_eq!(policies.cpu(in_payload), Some(Cpu::from_millis(cpu)));
            assert_eq!(policies.memory(Some(Memory::from_bytes(7))), memory);
            assert_eq!((policies.cpu(None), policies.memory(None)), (Some(Cpu::from_millis(2_000)), None));
        }
    }

    #[test]
    fn zero_means_no_limit_and_no_wait() {
        let policies =
            Policies::resolve(&[(Scope::Operation, &layer(&json!({"timeoutMs": 0, "delayMs": 0})))]);
        assert_eq!((policies.limits(), policies.is_gated()), (Limits::default(), false));
    }
}
