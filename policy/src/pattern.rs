//! JMESPath expressions over a payload, compiled before the run and evaluated during it.

use jpx_core::ast::Ast;
use jpx_core::{Expression, ValueExt as _, compile};
use pop_document::{Fault, Pointer, kind_of};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// Maximum number of values that an expression may create from one value, without the elements of lists.
const MOST_GROWTH: u64 = 10_000;

/// A JMESPath expression.
#[derive(Clone)]
pub struct Pattern(Arc<Expression<'static>>);

/// An expression that cannot be evaluated for a payload: an argument of a function has the wrong type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` cannot be evaluated: {problem}")]
pub struct PatternError {
    /// The expression.
    pub pattern: String,
    /// Reason, as JMESPath reports it.
    pub problem: String,
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Pattern {
    /// Compiles the expression in params under `name`.
    pub fn parse(value: &Value, name: &str, at: &Pointer, faults: &mut Vec<Fault>) -> Option<Self> {
        let Some(text) = value.as_str() else {
            let message = format!("`{name}` must be a JMESPath expression, not {}", kind_of(value));
            faults.push(Fault::value("wrong-type", at.clone(), message));
            return None;
        };
        match compile(text) {
            Ok(expression) if growth(expression.as_ast()) > MOST_GROWTH => {
                let message = format!("`{name}` can create more than {MOST_GROWTH} values from one");
                let hint = "avoid repeated lists of whole values such as `[@, @] | [@, @]`: they multiply";
                faults.push(Fault::value("bad-expression", at.clone(), message).hint(hint));
                None
            }
            Ok(expression) => {
                if let Some(path) = path_of_negation(expression.as_ast()) {
                    let message = format!(
                        "`{name}` has a path after `!`, which JMESPath applies first: it is always null"
                    );
                    let hint = format!("write !({path}) to negate the whole path");
                    faults.push(Fault::value("bad-expression", at.clone(), message).hint(hint));
                    return None;
                }
                Some(Self(Arc::new(expression)))
            }
            Err(error) => {
                let problem = error.reason.to_string();
                let problem = problem.trim_start_matches("Parse error: ");
                let message = format!(
                    "`{name}` is not a valid JMESPath expression: {problem}, at character {}",
                    error.offset + 1
                );
                let hint = if problem.contains("Number") {
                    "write numbers in backquotes: size > `3`"
                } else {
                    "write text in single quotes: data.status=='A'"
                };
                faults.push(Fault::value("bad-expression", at.clone(), message).hint(hint));
                None
            }
        }
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        self.0.as_str()
    }

    /// Evaluates the expression for a payload.
    pub fn evaluate(&self, payload: &Value) -> Result<Value, PatternError> {
        self.0.search(payload).map_err(|error| PatternError {
            pattern: self.text().to_owned(),
            problem: error.reason.to_string(),
        })
    }

    /// The names with which paths of the expression begin, and the second name of each path that has one: `a.b.c` gives
    /// `("a", Some("b"))`.
    pub fn roots(&self) -> Vec<(String, Option<String>)> {
        let mut roots = Vec::new();
        roots_of(self.0.as_ast(), &mut roots);
        roots
    }

    /// Whether the expression, a `when`, holds for a value, and the values that decided.
    pub fn decide(&self, value: &Value) -> Result<(bool, PatternMatch), PatternError> {
        let holds = self.evaluate(value)?.is_truthy();
        Ok((holds, PatternMatch { is_condition: true, ..self.matched(value) }))
    }

    fn matched(&self, value: &Value) -> PatternMatch {
        let mut paths = Vec::new();
        paths_of(self.0.as_ast(), &mut paths);
        let values = paths.into_iter().filter_map(|path| {
            let value = compile(&path).ok()?.search(value).ok()?;
            Some((path, short(value)))
        });
        PatternMatch { pattern: self.text().into(), values: values.collect(), is_condition: false }
    }

    /// The values that decided, if the expression holds for a payload. As in JMESPath, every value holds except `false`,
    /// `null` and empty ones.
    pub fn holds(&self, payload: &Value) -> Result<Option<PatternMatch>, PatternError> {
        if !self.evaluate(payload)?.is_truthy() {
            return Ok(None);
        }
        Ok(Some(self.matched(payload)))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text()).finish()
    }
}

/// An expression that held for a payload, with the values that it read.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PatternMatch {
    /// The expression.
    pub pattern: Box<str>,
    /// Paths in the expression with their values in the payload.
    pub values: Vec<(String, Value)>,
    /// Whether it is a `when`, which did not hold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_condition: bool,
}

impl fmt::Display for PatternMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_condition {
            f.write_str("`when` does not hold: ")?;
        }
        write!(f, "{}", self.pattern)?;
        for (index, (path, value)) in self.values.iter().enumerate() {
            write!(f, "{} {path} is {value}", if index == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

/// Upper bound for the number of values that an expression creates from one.
fn growth(ast: &Ast) -> u64 {
    match ast {
        Ast::MultiList { elements, .. } => elements.iter().map(growth).fold(0, u64::saturating_add).max(1),
        Ast::MultiHash { elements, .. } => {
            elements.iter().map(|pair| growth(&pair.value)).fold(0, u64::saturating_add).max(1)
        }
        Ast::Function { args, .. } => args.iter().map(growth).fold(0, u64::saturating_add).max(1),
        Ast::Subexpr { lhs, rhs, .. }
        | Ast::Projection { lhs, rhs, .. }
        | Ast::Condition { predicate: lhs, then: rhs, .. } => growth(lhs).saturating_mul(growth(rhs)),
        Ast::Comparison { lhs, rhs, .. } | Ast::And { lhs, rhs, .. } | Ast::Or { lhs, rhs, .. } => {
            growth(lhs).saturating_add(growth(rhs))
        }
        Ast::Not { node, .. } | Ast::Flatten { node, .. } | Ast::ObjectValues { node, .. } => growth(node),
        Ast::Expref { ast, .. } => growth(ast),
        Ast::Let { bindings, expr, .. } => {
            bindings.iter().map(|(_, bound)| growth(bound)).fold(growth(expr), u64::saturating_mul)
        }
        _ => 1,
    }
}

/// A value for messages: long text is cut.
fn short(value: Value) -> Value {
    const LONGEST: usize = 200;
    if value.is_number() || value.is_boolean() || value.is_null() {
        return value;
    }
    let text = value.to_string();
    if text.len() <= LONGEST {
        return value;
    }
    let end = text.floor_char_boundary(LONGEST);
    Value::String(format!("{}… ({} bytes)", &text[..end], text.len()))
}

/// The plain paths (`data.status`, `units[0].id`) in an expression, each once.
fn paths_of(ast: &Ast, paths: &mut Vec<String>) {
    if let Some(path) = path_of(ast) {
        if !paths.contains(&path) {
            paths.push(path);
        }
        return;
    }
    match ast {
        Ast::Comparison { lhs, rhs, .. } | Ast::And { lhs, rhs, .. } | Ast::Or { lhs, rhs, .. } => {
            paths_of(lhs, paths);
            paths_of(rhs, paths);
        }
        Ast::Not { node, .. } | Ast::Flatten { node, .. } | Ast::ObjectValues { node, .. } => {
            paths_of(node, paths);
        }
        Ast::Function { args, .. } => args.iter().for_each(|arg| paths_of(arg, paths)),
        Ast::MultiList { elements, .. } => elements.iter().for_each(|element| paths_of(element, paths)),
        // the right side applies to each element and has no single value
        Ast::Projection { lhs, .. } | Ast::Subexpr { lhs, .. } => paths_of(lhs, paths),
        _ => {}
    }
}

fn roots_of(ast: &Ast, roots: &mut Vec<(String, Option<String>)>) {
    if let Some(root) = root_of(ast) {
        if !roots.contains(&root) {
            roots.push(root);
        }
        return;
    }
    match ast {
        Ast::Comparison { lhs, rhs, .. } | Ast::And { lhs, rhs, .. } | Ast::Or { lhs, rhs, .. } => {
            roots_of(lhs, roots);
            roots_of(rhs, roots);
        }
        Ast::Not { node, .. } | Ast::Flatten { node, .. } | Ast::ObjectValues { node, .. } => {
            roots_of(node, roots);
        }
        Ast::Function { args, .. } => args.iter().for_each(|arg| roots_of(arg, roots)),
        Ast::MultiList { elements, .. } => elements.iter().for_each(|element| roots_of(element, roots)),
        Ast::MultiHash { elements, .. } => elements.iter().for_each(|pair| roots_of(&pair.value, roots)),
        // the right side applies to the value of the left
        Ast::Projection { lhs, .. } | Ast::Subexpr { lhs, .. } => roots_of(lhs, roots),
        Ast::Let { bindings, expr, .. } => {
            for (_, bound) in bindings {
                roots_of(bound, roots);
            }
            roots_of(expr, roots);
        }
        _ => {}
    }
}

/// The first two names of a plain path.
fn root_of(ast: &Ast) -> Option<(String, Option<String>)> {
    match ast {
        Ast::Field { name, .. } => Some((name.clone(), None)),
        Ast::Subexpr { lhs, rhs, .. } => {
            let (first, second) = root_of(lhs)?;
            let next = || root_of(rhs).map(|(name, _)| name);
            Some((first, second.or_else(next)))
        }
        _ => None,
    }
}

/// A path that is applied to a negation, `!a.b`: it always gives null, because a negation is true or false.
fn path_of_negation(ast: &Ast) -> Option<String> {
    let either = |one: &Ast, other: &Ast| path_of_negation(one).or_else(|| path_of_negation(other));
    match ast {
        Ast::Subexpr { lhs, rhs, .. } => match &**lhs {
            Ast::Not { node, .. } => match (path_of(node), path_of(rhs)) {
                (Some(left), Some(right)) => Some(format!("{left}.{right}")),
                _ => Some("…".to_owned()),
            },
            _ => either(lhs, rhs),
        },
        Ast::Comparison { lhs, rhs, .. }
        | Ast::And { lhs, rhs, .. }
        | Ast::Or { lhs, rhs, .. }
        | Ast::Projection { lhs, rhs, .. }
        | Ast::Condition { predicate: lhs, then: rhs, .. } => either(lhs, rhs),
        Ast::Not { node, .. } | Ast::Flatten { node, .. } | Ast::ObjectValues { node, .. } => {
            path_of_negation(node)
        }
        Ast::Function { args, .. } => args.iter().find_map(path_of_negation),
        Ast::MultiList { elements, .. } => elements.iter().find_map(path_of_negation),
        Ast::MultiHash { elements, .. } => elements.iter().find_map(|pair| path_of_negation(&pair.value)),
        Ast::Expref { ast, .. } => path_of_negation(ast),
        _ => None,
    }
}

fn path_of(ast: &Ast) -> Option<String> {
    match ast {
        Ast::Field { name, .. } => {
            let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                && !name.starts_with(|first: char| first.is_ascii_digit());
            Some(if is_plain { name.clone() } else { Value::from(name.as_str()).to_string() })
        }
        Ast::Subexpr { lhs, rhs, .. } => {
            let (left, right) = (path_of(lhs)?, path_of(rhs)?);
            Some(if right.starts_with('[') { left + &right } else { format!("{left}.{right}") })
        }
        Ast::Index { idx, .. } => Some(format!("[{idx}]")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pattern(text: &str) -> Result<Pattern, Vec<Fault>> {
        let mut faults = Vec::new();
        Pattern::parse(&json!(text), "skipPattern", &Pointer::root(), &mut faults).ok_or(faults)
    }

    #[test]
    fn r4_match_reports_the_values_that_decided() {
        let payload = json!({"data": {"status": "A", "n": 3}, "list": [{"id": 7}], "odd-name": null});
        for (text, wanted) in [
            ("data.status=='A'", Some("data.status=='A': data.status is \"A\"")),
            (
                "data.n > `2` && !\"odd-name\"",
                Some("data.n > `2` && !\"odd-name\": data.n is 3, \"odd-name\" is null"),
            ),
            ("list[0].id == `7`", Some("list[0].id == `7`: list[0].id is 7")),
            ("contains(data.status, 'A')", Some("contains(data.status, 'A'): data.status is \"A\"")),
            ("list[?id==`7`]", Some("list[?id==`7`]: list is [{\"id\":7}]")),
            ("data.status=='B'", None),
            ("missing", None),
            ("list[?id==`8`]", None),
        ] {
            let decided = pattern(text).unwrap().holds(&payload).unwrap();
            assert_eq!(decided.map(|decided| decided.to_string()).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn r4_invalid_pattern_is_a_fault_unevaluable_an_error() {
        let faults = pattern("data.status==").unwrap_err();
        assert_eq!((faults[0].code, faults[0].is_error()), ("bad-expression", true));
        assert!(
            faults[0].message.starts_with("`skipPattern` is not a valid JMESPath expression: "),
            "{}",
            faults[0].message
        );
        let negated = pattern("a && !data.status").unwrap_err();
        assert_eq!(negated[0].hint.as_deref(), Some("write !(data.status) to negate the whole path"));
        assert!(pattern("!(data.status) && !data && data[?!status]").is_ok());
        let doubling = vec!["[@,@]"; 22].join("|");
        assert!(pattern(&doubling).unwrap_err()[0].message.contains("more than 10000 values from one"));
        assert!(pattern(&vec!["a"; 50].join("||")).is_ok());
        let error = pattern("length(n)").unwrap().holds(&json!({"n": 3})).unwrap_err();
        assert!(error.to_string().starts_with("`length(n)` cannot be evaluated: "), "{error}");
    }
}
