//! Descriptions of planned operations, shared by `pop plan`, `pop explain` and `pop handlers`.

use pop_agenda::{ItemFailures, OpIx, OpRef, Plan, PlannedOperation, Serves};

/// Describes the handler of an operation.
pub(super) fn served_by(planned: &PlannedOperation) -> String {
    match &planned.serves {
        Serves::Dispatch => "the handlers of the types in its payload".to_owned(),
        Serves::Agenda(_) => "the operations in its payload".to_owned(),
        Serves::Exec => "the command in its payload".to_owned(),
        Serves::Resident(_) => "a handler built into pop".to_owned(),
        Serves::Program(entry) => {
            let argv = entry.command.as_deref().unwrap_or_default();
            format!("program {}", quoted(argv))
        }
    }
}

/// The name of an operation that `from` names.
pub(super) fn name_from(plan: &Plan, from: OpIx) -> impl Fn(OpRef) -> String {
    move |named| plan.operation(plan.resolve(from, named)).name.to_string()
}

/// Quotes an argv for a shell. Only for display.
pub(super) fn quoted(argv: &[String]) -> String {
    shlex::try_join(argv.iter().map(String::as_str)).unwrap_or_else(|_| format!("{argv:?}"))
}

/// Describes the fields that few operations have, one line each. `name` gives the name of an operation that this one
/// names.
pub(super) fn rare_properties(planned: &PlannedOperation, name: &dyn Fn(OpRef) -> String) -> Vec<String> {
    let mut words = Vec::new();
    let groups = planned.rare.iter().flat_map(|rare| &rare.groups);
    words.extend(groups.map(|group| format!("requires {}", group.words(name))));
    if let Some(needs) = planned.rare.as_ref().and_then(|rare| rare.needs.as_ref()) {
        if !needs.known.is_empty() {
            words.push(format!("needs {}", needs.known));
        }
        if needs.is_open {
            words.push("needs the amounts that `cpu` and `memory` of its payload refer to".to_owned());
        }
    }
    let priority = planned.policies.priority.value;
    if priority != 0 {
        words.push(format!("has priority {priority}"));
    }
    for by in planned.rare.iter().flat_map(|rare| &rare.awaits) {
        words.push(format!("waits for everything that `{}` generates", name(*by)));
    }
    if planned.is_last() {
        words.push("runs last: after every operation without `finally`".to_owned());
    }
    if let Some(for_each) = planned.for_each() {
        let most = for_each.max_parallel.map(|most| format!(", at most {most} at once")).unwrap_or_default();
        words.push(format!("runs once for each item of {}{most}", for_each.items.template()));
        match for_each.failures {
            ItemFailures::Fail => {}
            ItemFailures::Drop => words.push("leaves out the items that fail".to_owned()),
            ItemFailures::Keep => {
                words.push("succeeds although items fail: its result tells which".to_owned());
            }
        }
    }
    if let Some(files) = planned.files() {
        let lists = [("reads the files", &files.reads), ("writes the files", &files.writes)];
        words.extend(lists.into_iter().filter_map(|(does, list)| {
            let template = list.as_ref()?.template();
            Some(format!("{does} {}", template.as_str().map_or_else(|| template.to_string(), str::to_owned)))
        }));
    }
    if let Some(generator) = planned.generator() {
        words.push(format!("generates operations from `{}` of its result", generator.operations));
    }
    if let Some(when) = planned.rare.as_ref().and_then(|rare| rare.when.as_ref()) {
        words.push(format!("runs only when {}", when.pattern.text()));
    }
    if let Some(pattern) = &planned.policies.skip.value {
        words.push(format!("is skipped if {}", pattern.text()));
    }
    words
}
