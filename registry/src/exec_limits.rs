//! Checks of arguments, environment variables and working directory against the limits of the kernel: no NUL byte, no
//! `=` in names, bounded length.

use pop_document::{Fault, Fields, Pointer};

/// The longest argument or `NAME=value`, in bytes with the final NUL (Linux: `MAX_ARG_STRLEN`).
pub const ARGUMENT_LIMIT: usize = 128 * 1024;
/// The most bytes of all arguments and variables together, for any stack limit (Linux: three quarters of 8 MiB).
const TOTAL_LIMIT: usize = 6 * 1024 * 1024;
/// Bytes of each argument and variable besides its text: the final NUL and a pointer.
const OVERHEAD: usize = 1 + size_of::<usize>();
const AS_FILE: &str = "write it into a file and pass the path of that file";

/// Adds a fault for each argument in the list `field` that the kernel rejects.
pub(crate) fn check_arguments(fields: &mut Fields<'_, '_>, field: &str, argv: &[String]) {
    for (index, argument) in argv.iter().enumerate() {
        let place = || (format!("item {} of `{field}`", index + 1), fields.at(field).join(index));
        let fault = text_fault(argument, argument.len(), place, AS_FILE);
        fields.faults().extend(fault);
    }
    check_total(fields, field, argv.iter().map(String::as_str));
}

/// Adds a fault if the kernel rejects the arguments in `field` because of their total length.
pub(crate) fn check_total<'a>(fields: &mut Fields<'_, '_>, field: &str, argv: impl Iterator<Item = &'a str>) {
    let total: usize = argv.map(|argument| argument.len() + OVERHEAD).sum();
    if total > TOTAL_LIMIT {
        let message = format!("`{field}` has {total} bytes; Linux takes at most {TOTAL_LIMIT}");
        let fault = Fault::value("too-long", fields.at(field), message);
        fields.faults().push(fault.hint(AS_FILE));
    }
}

/// Adds a fault for each variable in the map `field` that the kernel rejects.
pub(crate) fn check_variables(fields: &mut Fields<'_, '_>, field: &str, variables: &[(String, String)]) {
    for (name, value) in variables {
        let fault = variable_fault((field, || fields.at(field)), name, value, AS_FILE);
        fields.faults().extend(fault);
    }
}

/// The fault of a variable that the kernel rejects, with the name and the pointer of its map; `hint` says what to do about
/// a long value.
pub(crate) fn variable_fault(
    (field, at): (&str, impl FnOnce() -> Pointer),
    name: &str,
    value: &str,
    hint: &'static str,
) -> Option<Fault> {
    let shown = || name.chars().take(40).collect::<String>();
    if name.is_empty() || name.contains(['=', '\0']) {
        let message = format!("{:?} in `{field}` is not a valid variable name", shown());
        let fault = Fault::key("wrong-value", at().join(name), message);
        return Some(fault.hint("a name must not be empty or contain `=` or a NUL byte"));
    }
    let place = || (format!("`{}` in `{field}`", shown()), at().join(name));
    text_fault(value, name.len() + 1 + value.len(), place, hint)
}

/// Adds a fault if the path in `field` is empty or contains a NUL byte.
pub(crate) fn check_path(fields: &mut Fields<'_, '_>, field: &str, path: Option<&str>) {
    let Some(path) = path.filter(|path| path.is_empty() || path.contains('\0')) else { return };
    let what = if path.is_empty() { "is empty" } else { "contains a NUL byte" };
    let fault = Fault::value("wrong-value", fields.at(field), format!("`{field}` {what}"));
    fields.faults().push(fault);
}

/// The fault of a text that the kernel rejects, with its name and place; `hint` says what to do about a long one.
pub(crate) fn text_fault(
    text: &str,
    length: usize,
    place: impl FnOnce() -> (String, Pointer),
    hint: &'static str,
) -> Option<Fault> {
    if text.contains('\0') {
        let (name, at) = place();
        return Some(Fault::value("wrong-value", at, format!("{name} contains a NUL byte")));
    }
    // a reference may be longer than its value
    if length < ARGUMENT_LIMIT || text.contains("@<") {
        return None;
    }
    let (name, at) = place();
    let message = format!("{name} has {length} bytes; Linux takes at most {}", ARGUMENT_LIMIT - 1);
    Some(Fault::value("too-long", at, message).hint(hint))
}
