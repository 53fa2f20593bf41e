//! Which insight (queue) takes an agenda.

use crate::object::Object;
use crate::turn::Algorithm;
use serde_json::Value;

/// The insight for an agenda among the insights of the customer's resource pool, in their order.
///
/// An insight matches if one of its mappers does. Of several, `defaultInsight` of the agenda names one by id or title;
/// else the first is taken. An insight without mappers takes what no other one takes.
pub fn select<'i>(agenda: &Object, insights: &'i [Object], customer: &str) -> Option<&'i Object> {
    let visible: Vec<&Object> = insights.iter().filter(|insight| insight.is_visible_to(customer)).collect();
    let matching: Vec<&Object> = visible
        .iter()
        .copied()
        .filter(|insight| mappers(insight).any(|mapper| matches(mapper, agenda)))
        .collect();
    let of_rest: Vec<&Object> =
        visible.into_iter().filter(|insight| mappers(insight).next().is_none()).collect();
    let candidates = if matching.is_empty() { of_rest } else { matching };
    let preferred = agenda.param("defaultInsight").and_then(Value::as_str);
    let is_preferred = |insight: &&&Object| [Some(insight.id()), insight.text("title")].contains(&preferred);
    let preferred = preferred.and_then(|_| candidates.iter().find(is_preferred));
    preferred.or(candidates.first()).copied()
}

/// A mapper: its name, and the values of which one must match.
type Mapper<'i> = (&'i str, &'i [Value]);

fn mappers(insight: &Object) -> impl Iterator<Item = Mapper<'_>> {
    let map = insight.0.get("mappers").and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .map(|(name, values)| (name.as_str(), values.as_array().map_or(&[] as &[Value], Vec::as_slice)))
}

fn matches((name, values): Mapper<'_>, agenda: &Object) -> bool {
    let any = |text: &str| {
        values.iter().any(|value| value.as_str().is_some_and(|value| value.eq_ignore_ascii_case(text)))
    };
    let operations = || agenda.list("operations").iter();
    let of_operations = |field: &str| {
        operations().any(|operation| operation.get(field).and_then(Value::as_str).is_some_and(any))
    };
    match name {
        "operationName" => of_operations("name"),
        "operationType" => of_operations("type"),
        "paramMap" => {
            let params = operations().filter_map(|operation| operation.get("params"));
            let all = agenda.0.get("params").into_iter().chain(params).filter_map(Value::as_object).flatten();
            all.into_iter().any(|(key, value)| match value {
                Value::String(text) => any(&format!("{key}={text}")),
                other => any(&format!("{key}={other}")),
            })
        }
        _ => false,
    }
}

/// Problems of an insight that is stored.
pub(crate) fn check(insight: &Object) -> Vec<String> {
    let mut problems = Vec::new();
    let algorithm = insight.0.get("schedulingAlgorithm").filter(|value| !value.is_null());
    if algorithm.is_some_and(|value| value.as_str().and_then(|name| Algorithm::parse(Some(name))).is_none()) {
        problems.push("`schedulingAlgorithm` must be `FirstInFirstOut` or `RoundRobin`".to_owned());
    }
    let size = insight.0.get("queueSize").filter(|value| !value.is_null());
    if size.is_some_and(|value| value.as_u64().is_none()) {
        problems.push("`queueSize` must be a whole number from 0".to_owned());
    }
    for (name, values) in mappers(insight) {
        if !["operationName", "operationType", "paramMap"].contains(&name) {
            problems.push(format!(
                "mapper `{name}` is unknown; use `operationName`, `operationType` or `paramMap`"
            ));
        } else if values.is_empty() || !values.iter().all(Value::is_string) {
            problems.push(format!("mapper `{name}` must be a list of at least one string"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Object {
        Object::of(value).unwrap()
    }

    #[test]
    fn insight_is_selected_by_mapper_customer_and_default() {
        let insight = |id: &str, mappers: Value| {
            object(json!({"id": id, "title": format!("T {id}"), "isGlobal": true, "mappers": mappers}))
        };
        let insights = [
            object(json!({"id": "other", "customerId": "else", "mappers": {"operationType": ["sample"]}})),
            insight("names", json!({"operationName": ["Probe.1"]})),
            insight("types", json!({"operationType": ["SAMPLE", "exec"]})),
            insight("params", json!({"paramMap": ["speed=fast", "n=3"]})),
            insight("rest", json!({})),
        ];
        let operation =
            |name: &str, of: &str, params: Value| json!({"name": name, "type": of, "params": params});
        for (operations, params, wanted) in [
            (vec![operation("probe.1", "sample", json!({}))], json!({}), Some("names")),
            (vec![operation("a", "sample", json!({}))], json!({}), Some("types")),
            (vec![operation("a", "x", json!({"Speed": "Fast"}))], json!({}), Some("params")),
            (vec![operation("a", "x", json!({}))], json!({"n": 3}), Some("params")),
            (vec![operation("a", "x", json!({}))], json!({}), Some("rest")),
            (
                vec![operation("probe.1", "sample", json!({}))],
                json!({"defaultInsight": "types"}),
                Some("types"),
            ),
            (
                vec![operation("probe.1", "sample", json!({}))],
                json!({"defaultInsight": "T types"}),
                Some("types"),
            ),
            (
                vec![operation("probe.1", "sample", json!({}))],
                json!({"defaultInsight": "none"}),
                Some("names"),
            ),
            (vec![operation("probe.1", "x", json!({}))], json!({"defaultInsight": "types"}), Some("names")),
        ] {
            let agenda = object(json!({"operations": operations, "params": params}));
            let selected = select(&agenda, &insights, "acme").map(Object::id);
            assert_eq!(selected, wanted, "{agenda:?}");
        }
        assert_eq!(select(&object(json!({})), &insights[..3], "acme"), None);
    }

    #[test]
    fn customers_share_insights_in_three_ways() {
        for (insight, is_visible) in [
            (json!({"customerId": "ACME"}), true),
            (json!({"customerId": "b", "allowedCustomerIds": ["x", "acme"]}), true),
            (json!({"customerId": "b", "isGlobal": true}), true),
            (json!({"customerId": "b", "isGlobal": false}), false),
            (json!({}), false),
        ] {
            assert_eq!(object(insight.clone()).is_visible_to("acme"), is_visible, "{insight}");
        }
    }
}
