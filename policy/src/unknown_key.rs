//! Warnings of keys that pop does not know, with the key that has the wanted effect.

use crate::foreign_keys::{FOREIGN_KEYS, ForeignKeys, Place};
use crate::keys::{
    AGENDA_FIELDS, AROUND, EXEC_FIELDS, Level, OPERATION_FIELDS, OPERATION_ONLY, OWN_KEY_PREFIX,
    RETRY_FIELDS, WITHOUT_EFFECT,
};
use crate::table::POLICIES;
use pop_document::{Fault, Fields, Pointer, nearest};

/// A suggested key, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// Suggested key with its place: "`dependsOn` in its `params`".
    pub suggestion: Option<String>,
    /// Further help.
    pub note: Option<String>,
}

impl Level {
    /// Warns of each key that is not `known`.
    pub fn warn_unknown(self, fields: &mut Fields<'_, '_>, known: impl Fn(&str) -> bool) {
        for (key, _) in fields.iter().filter(|(key, _)| !known(key)) {
            let at = fields.at(key);
            fields.faults().extend(self.unknown_key(key, at));
        }
    }

    /// The warning of an unknown key; none if the key has the prefix of own keys.
    pub fn unknown_key(self, key: &str, at: Pointer) -> Option<Fault> {
        if key.starts_with(OWN_KEY_PREFIX) && self.has_own_keys() {
            return None;
        }
        let (code, message) = match self {
            Self::Agenda => ("unknown-field", format!("unknown field `{key}` is ignored")),
            Self::Operation => ("unknown-field", format!("an operation has no field `{key}`; it is ignored")),
            Self::SharedParams | Self::Params => {
                ("unknown-param", format!("unknown param `{key}` is ignored"))
            }
            Self::Retry => ("unknown-field", format!("`retry` has no field `{key}`; it is ignored")),
            Self::Exec => {
                ("unknown-field", format!("the payload of type `exec` has no field `{key}`; it is ignored"))
            }
        };
        let advice = self.advice(key);
        let mut fault = Fault::key(code, at, message).warning();
        if let Some(suggestion) = &advice.suggestion {
            fault = fault.label(format!("did you mean {suggestion}?"));
        }
        Some(match advice.note {
            Some(note) => fault.hint(note),
            None if advice.suggestion.is_none() && self.has_own_keys() => {
                fault.hint(format!("begin keys of your own with `{OWN_KEY_PREFIX}`"))
            }
            None => fault,
        })
    }

    /// Advice on an unknown key.
    pub fn advice(self, key: &str) -> Advice {
        let plain = plain(key);
        let suggest = |place, words: &str| Advice {
            suggestion: Some(format!("{words}{}", self.way_to(place, words))),
            note: None,
        };
        if let Some(own) = self.keys().find(|own| self::plain(own) == plain) {
            return Advice { suggestion: Some(format!("`{own}`")), note: None };
        }
        if let Some(row) = FOREIGN_KEYS.iter().find(|row| row.has(self, &plain)) {
            let note = Some(row.note.to_owned()).filter(|note| !note.is_empty());
            return match row.suggestion {
                Some((place, words)) => Advice { note, ..suggest(place, words) },
                None => Advice { suggestion: None, note },
            };
        }
        let elsewhere = [
            (Self::Params, Place::Params),
            (Self::Exec, Place::Exec),
            (Self::Operation, Place::Operation),
            (Self::Agenda, Place::Agenda),
        ];
        for (level, place) in elsewhere {
            if let Some(other) = level.keys().find(|other| self::plain(other) == plain) {
                return suggest(place, &format!("`{other}`"));
            }
        }
        Advice { suggestion: nearest(key, self.keys()).map(|near| format!("`{near}`")), note: None }
    }

    /// Whether users may add keys of their own.
    fn has_own_keys(self) -> bool {
        !matches!(self, Self::Retry | Self::Exec)
    }

    /// The keys with an effect at this level.
    fn keys(self) -> Box<dyn Iterator<Item = &'static str>> {
        let policies = POLICIES.into_iter();
        match self {
            Self::Agenda => Box::new(AGENDA_FIELDS.into_iter()),
            Self::Operation => Box::new(OPERATION_FIELDS.into_iter()),
            Self::SharedParams => Box::new(policies),
            Self::Params => {
                let own = OPERATION_ONLY.into_iter().filter(|key| !WITHOUT_EFFECT.contains(key));
                Box::new(policies.chain(own))
            }
            Self::Retry => Box::new(RETRY_FIELDS.into_iter()),
            Self::Exec => Box::new(EXEC_FIELDS.into_iter()),
        }
    }

    /// Text after a suggested key that says where it stands; empty if it stands at this level.
    fn way_to(self, place: Place, words: &str) -> &'static str {
        let is_policy = || POLICIES.iter().any(|key| words.trim_matches('`').split('.').next() == Some(*key));
        match (place, self) {
            (Place::Agenda, Self::Agenda)
            | (Place::Operation, Self::Operation)
            | (Place::Params, Self::Params)
            | (Place::Retry, Self::Retry)
            | (Place::Exec, Self::Exec) => "",
            (Place::Params, Self::SharedParams) if is_policy() => "",
            (Place::Params, Self::Agenda) if is_policy() => " in `params`",
            (Place::Params, Self::Operation) => " in its `params`",
            (Place::Params, Self::Exec) => " in the `params` of the operation",
            (Place::Params, _) => " in the `params` of an operation",
            (Place::Exec, Self::Operation | Self::Params) => " in its `payload` (type `exec`)",
            (Place::Exec, _) => " in the `payload` of an operation of type `exec`",
            (Place::Operation, Self::Params | Self::Exec) => " of the operation",
            (Place::Operation, _) => " of an operation",
            (Place::Agenda, _) => " at the top of the agenda",
            (Place::Retry, _) => " in `retry`",
            (Place::RegistryEntry, _) => " in the registry entry of its type",
            (Place::CommandLine, _) => " of `pop run`",
        }
    }
}

impl ForeignKeys {
    fn has(&self, level: Level, plain: &str) -> bool {
        (self.levels.is_empty() || self.levels.contains(&level))
            && (level != Level::Retry || self.levels.contains(&level))
            && self.keys.split(' ').any(|key| key == plain)
    }
}

/// A key in lower case without separators, to compare spellings.
fn plain(key: &str) -> String {
    key.chars().filter(|letter| !"-_. ".contains(*letter)).flat_map(char::to_lowercase).collect()
}

/// Whether `params` of any level accept the key.
pub(crate) fn is_param(key: &str) -> bool {
    POLICIES.iter().chain(&OPERATION_ONLY).chain(&AROUND).any(|known| *known == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(level: Level, key: &str) -> String {
        let Some(fault) = level.unknown_key(key, Pointer::root()) else { return "own".to_owned() };
        assert!(!fault.is_error());
        [fault.label, fault.hint].into_iter().flatten().collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn fr_c4_c5_keys_of_other_tools_are_answered_with_the_key_that_has_an_effect() {
        for (level, key, words) in [
            (Level::Params, "needs", "did you mean `dependsOn`?"),
            (Level::Params, "depends_on", "did you mean `dependsOn`?"),
            (Level::Operation, "dependsOn", "did you mean `dependsOn` in its `params`?"),
            (Level::SharedParams, "needs", "did you mean `dependsOn` in the `params` of an operation?"),
            (Level::Params, "if", "did you mean `when`?"),
            (Level::Params, "timeout-minutes", "did you mean `timeoutMs`?; times are in milliseconds"),
            (Level::Agenda, "timeoutMs", "did you mean `timeoutMs` in `params`?"),
            (Level::Params, "timoutMs", "did you mean `timeoutMs`?"),
            (
                Level::SharedParams,
                "maxAttempts",
                "did you mean `retry.maxAttempts`?; `retry: {maxAttempts: 3}` is three attempts in all",
            ),
            (Level::Params, "cwd", "did you mean `workingDirectory` in its `payload` (type `exec`)?"),
            (Level::Exec, "cwd", "did you mean `workingDirectory`?"),
            (Level::Operation, "run", "did you mean `command` or `shell` in its `payload` (type `exec`)?"),
            (Level::Exec, "script", "did you mean `shell`?"),
            (Level::Params, "with_items", "did you mean `forEach`?"),
            (Level::Params, "cache-key", "did you mean `cacheKeyPattern`?"),
            (Level::Params, "cpu", "did you mean `resources.cpu`?"),
            (Level::Operation, "memory", "did you mean `resources.memory` in its `params`?"),
            (Level::Exec, "mem", "did you mean `memory`?"),
            (
                Level::Exec,
                "resources",
                "did you mean `resources` in the `params` of the operation?; `resources: {cpu: 2, memory: 2Gi, gpu: 1}`",
            ),
            (
                Level::Params,
                "semaphore",
                "did you mean `resources`?; `resources: {NAME: 1}`, and the total with `pop run --resources NAME=N`",
            ),
            (Level::Operation, "secrets", "did you mean `secrets` in the registry entry of its type?"),
            (Level::Agenda, "steps", "did you mean `operations`?"),
            (Level::Agenda, "parallelism", "did you mean `--parallel` of `pop run`?"),
            (
                Level::Agenda,
                "concurrency",
                "did you mean `lock` in `params`?; `lock: SAFE` runs operations with the same `lockKey` one after another",
            ),
            (Level::Agenda, "variables", "did you mean `inputs`?"),
            (Level::Operation, "uses", "did you mean `type`?"),
            (Level::Exec, "timeoutMs", "did you mean `timeoutMs` in the `params` of the operation?"),
            (Level::Retry, "attempts", "did you mean `maxAttempts`?; `maxAttempts` counts the first attempt"),
            (
                Level::Params,
                "priority_weight",
                "did you mean `priority`?; a whole number; a larger one starts first",
            ),
            (
                Level::Params,
                "inputs",
                "did you mean `reads`?; `reads` are files or patterns, relative to the working directory",
            ),
            (
                Level::Operation,
                "outputs",
                "did you mean `writes` in its `params`?; `writes` are files or patterns, relative to the working directory",
            ),
            (
                Level::Params,
                "targets",
                "did you mean `writes`?; `writes` are files or patterns, relative to the working directory",
            ),
            (
                Level::Agenda,
                "artifacts",
                "did you mean `writes` in the `params` of an operation?; `writes` are files or patterns, relative to the working directory",
            ),
            (
                Level::Exec,
                "generates",
                "did you mean `writes` in the `params` of the operation?; `writes` are files or patterns, relative to the working directory",
            ),
            (Level::Params, "deps", "did you mean `dependsOn`?"),
            (Level::Exec, "output", "did you mean `capture`?"),
            (Level::Params, "owner", "begin keys of your own with `x-`"),
            (Level::Exec, "x-owner", ""),
            (Level::Params, "x-owner", "own"),
            (Level::Agenda, "x-anchors", "own"),
        ] {
            assert_eq!(said(level, key), words, "{key}");
        }
    }

    #[test]
    fn fr_c4_only_keys_with_an_effect_are_suggested() {
        for row in FOREIGN_KEYS {
            let Some((place, words)) = row.suggestion else { continue };
            for word in words.split('`').skip(1).step_by(2) {
                let known = match place {
                    Place::Agenda => AGENDA_FIELDS.contains(&word),
                    Place::Operation => OPERATION_FIELDS.contains(&word),
                    Place::Params => Level::Params.keys().any(|key| word.split('.').next() == Some(key)),
                    Place::Retry => RETRY_FIELDS.contains(&word),
                    Place::Exec => EXEC_FIELDS.contains(&word),
                    Place::RegistryEntry => word == "secrets",
                    Place::CommandLine => ["--parallel", "--time-limit", "--keep-going"].contains(&word),
                };
                assert!(known, "{word}");
            }
            assert!(row.keys.split(' ').all(|key| plain(key) == key && !key.is_empty()), "{}", row.keys);
        }
        for level in [Level::Agenda, Level::SharedParams, Level::Operation, Level::Params] {
            for idle in AROUND.into_iter().chain(["generatedOperationParent", "jobId", "isGlobal"]) {
                let near = format!("{idle}s");
                let suggestion = level.advice(&near).suggestion.unwrap_or_default();
                let has_effect = level == Level::Agenda && AGENDA_FIELDS.contains(&idle);
                assert!(has_effect || !suggestion.contains(idle), "{near}: {suggestion}");
            }
        }
    }
}
