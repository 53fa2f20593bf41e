//! The variables of a container, and strings that refer to them.

use crate::port::Program;
use crate::setting::Setting;
use pop_registry::PodConfig;
use std::collections::BTreeMap;

/// `NAME=value` strings.
pub(super) fn environment(variables: &BTreeMap<String, String>) -> Vec<String> {
    variables.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// The variables of a container by name; the last value of a repeated name counts.
pub(super) fn variables(
    program: &Program,
    pod: &PodConfig,
    setting: &Setting,
    secrets: &[(String, String)],
) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = setting.variables.iter().cloned().collect();
    for (name, value) in &pod.env_vars {
        let value = expanded(value, &all);
        all.insert(name.clone(), value);
    }
    all.extend(program.env.iter().chain(secrets).cloned());
    all
}

/// Expands a string of a podConfig as the kubelet does: `$(NAME)` is a variable, `$$` is `$`.
pub(super) fn expanded(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = behind;
        } else if let Some((name, behind)) = rest.strip_prefix('(').and_then(|name| name.split_once(')')) {
            match variables.get(name) {
                Some(value) => expanded.push_str(value),
                // an unknown variable is not replaced
                None => expanded.extend(["$(", name, ")"]),
            }
            rest = behind;
        } else {
            expanded.push('$');
        }
    }
    expanded + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_references_expand_like_in_the_kubelet() {
        let variables = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        for (text, wanted) in
            [("x$(A)y", "x1y"), ("$(B)", "$(B)"), ("$$(A)", "$(A)"), ("$A $", "$A $"), ("$(A", "$(A")]
        {
            assert_eq!(expanded(text, &variables), wanted);
        }
    }
}
