//! The policies of an operation, each with where it comes from.

use pop_agenda::Planned;
use pop_policy::{Layered, Pattern, Retry, Scope};

/// Name, value and scope of each.
pub(super) fn policies(planned: &Planned) -> Vec<(&'static str, String, String)> {
    fn limit(name: &'static str, limit: &Layered<Option<u64>>) -> (&'static str, String, String) {
        let value = limit.value.filter(|ms| *ms > 0).map_or("none".to_owned(), |ms| ms.to_string());
        (name, value, limit.scope.to_string())
    }
    let policies = &planned.policies;
    let retry = &policies.retry.value;
    let on = if retry.on.is_empty() { "any failure".to_owned() } else { retry.on.join(", ") };
    let mut words = vec![
        ("retry", tries(retry, &on), policies.retry.scope.to_string()),
        limit("timeoutMs", &policies.run_ms),
        limit("noOutputTimeoutMs", &policies.silence_ms),
        limit("pendingTimeoutMs", &policies.pending_ms),
        ("onFail", policies.on_fail.value.to_string(), policies.on_fail.scope.to_string()),
        (
            "ignoreErrors",
            if policies.ignore_errors.value.codes().is_empty() {
                "none".to_owned()
            } else {
                policies.ignore_errors.value.codes().join(", ")
            },
            policies.ignore_errors.scope.to_string(),
        ),
    ];
    words.extend(used(planned));
    words
}

/// The policies that are only told where somebody gives them.
fn used(planned: &Planned) -> Vec<(&'static str, String, String)> {
    fn given<T>(
        name: &'static str,
        layered: &Layered<T>,
        say: impl Fn(&T) -> String,
    ) -> Option<(&'static str, String, String)> {
        (layered.scope != Scope::BuiltIn).then(|| (name, say(&layered.value), layered.scope.to_string()))
    }
    #[expect(clippy::ref_option, reason = "it is what the layers hold")]
    fn text<T: ToString>(value: &Option<T>) -> String {
        value.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)
    }
    let policies = &planned.policies;
    let pattern = |pattern: &Option<Pattern>| {
        pattern.as_ref().map_or_else(|| "none".to_owned(), |pattern| pattern.text().to_owned())
    };
    let cache = given("useCache", &policies.use_cache, |_| cache_words(planned));
    let all = [
        given("logDetail", &policies.log_detail, ToString::to_string),
        given("skipPattern", &policies.skip, pattern),
        given("delayMs", &policies.delay_ms, text),
        given("delayId", &policies.delay_id, text),
        given("lock", &policies.lock, ToString::to_string),
        given("lockKey", &policies.lock_key, text),
        cache,
        given("cacheState", &policies.cache_state, text),
        given("cacheKeyPattern", &policies.cache_key, pattern),
        given("cacheTtlMs", &policies.cache_ttl_ms, text),
        given("cache.use", &policies.cache_use, text),
        given("cache.write", &policies.cache_write, text),
    ];
    all.into_iter().flatten().collect()
}

/// Whether a cache is used, and if not, what is in the way.
fn cache_words(planned: &Planned) -> String {
    let policies = &planned.policies;
    if policies.use_cache.value && !planned.may_use_cache() {
        return format!("true, and not used: cache.use is false ({})", policies.cache_use.scope);
    }
    policies.use_cache.value.to_string()
}

fn tries(retry: &Retry, on: &str) -> String {
    match retry.max_attempts {
        1 => "1 attempt".to_owned(),
        most => format!("{most} attempts, {} ms apart times {}, on {on}", retry.delay_ms, retry.factor),
    }
}
