//! Amounts of resources: reading, printing, comparing.

use super::*;
use serde_json::json;

fn read(value: &Value) -> Result<String, Vec<(String, String, Option<String>)>> {
    let mut faults = Vec::new();
    let read = Resources::parse(value, &Pointer::root(), &mut faults);
    let said = |fault: Fault| (fault.pointer().to_owned(), fault.message, fault.hint);
    read.map(|resources| resources.to_string()).ok_or_else(|| faults.into_iter().map(said).collect())
}

#[test]
fn amounts_have_the_units_of_their_resource() {
    for (written, printed) in [
        (json!({"cpu": 2, "memory": "2Gi", "gpu": 1}), "cpu 2, gpu 1, memory 2Gi"),
        (json!({"cpu": 0.5, "memory": 1024}), "cpu 500m, memory 1Ki"),
        (
            json!({"cpu": "250m", "license": "3", "nvidia.com/gpu": 1}),
            "cpu 250m, license 3, nvidia.com/gpu 1",
        ),
        (json!({"cpu": 0, "gpu": null}), "cpu 0"),
        (json!({}), "none"),
    ] {
        assert_eq!(read(&written).as_deref(), Ok(printed));
    }
}

#[test]
fn bad_amounts_say_where_what_and_how_to_mend_it() {
    let whole = "only `cpu` and `memory` have units and fractions";
    for (written, at, message, hint) in [
        (json!({"cpu": -1}), "/cpu", "`cpu` must be an amount of CPU such as `250m` or `2`, not `-1`", None),
        (
            json!({"memory": "2 GB"}),
            "/memory",
            "`memory` must be an amount of memory such as `256Mi` or `2Gi`, not `2 GB`",
            Some("did you mean `2G`?"),
        ),
        (json!({"gpu": 1.5}), "/gpu", "`gpu` must be a whole number from 0, not `1.5`", Some(whole)),
        (
            json!({"mem": "2Gi"}),
            "/mem",
            "`mem` must be a whole number from 0, not `2Gi`",
            Some("did you mean `memory`?"),
        ),
        (json!({"gpu": -1}), "/gpu", "`gpu` must be a whole number from 0, not `-1`", Some(whole)),
        (json!({"gpu": true}), "/gpu", "`gpu` in `resources` must be an amount, not a boolean", None),
        (
            json!({"limits": {"cpu": 1}}),
            "/limits",
            "`limits` in `resources` must be an amount, not a map",
            Some("write `resources: {cpu: 1, memory: 2Gi}`: pop uses one amount as request and limit"),
        ),
        (
            json!({"a b": 1}),
            "/a b",
            "`a b` cannot be the name of a resource: use letters, digits, `-`, `_`, `.` and `/`, with a letter first",
            None,
        ),
        (
            json!({"cpu": "@<pop.inputs::/n>"}),
            "/cpu",
            "`cpu` in `resources` must be an amount, not a reference",
            Some("write `cpu` and `memory` that depend on a reference into the payload of type `exec`"),
        ),
        (
            json!(2),
            "",
            "`resources` must be a map, not a number",
            Some("write, for example, `resources: {cpu: 2, memory: 2Gi, gpu: 1}`"),
        ),
    ] {
        let wanted = vec![(at.to_owned(), message.to_owned(), hint.map(str::to_owned))];
        assert_eq!(read(&written), Err(wanted), "{written}");
    }
}

#[test]
fn arguments_are_read_like_the_map() {
    let read = |text: &str| text.parse::<Resources>().map(|read| read.to_string());
    assert_eq!(read("gpu=2,license=3, memory=8Gi").as_deref(), Ok("gpu 2, license 3, memory 8Gi"));
    assert_eq!(read("gpu=2,gpu=3").as_deref(), Ok("gpu 3"));
    let totals: Resources = "memory=8Gi,cpu=1500m".parse().unwrap();
    assert_eq!(totals.argument(), "cpu=1500m,memory=8Gi");
    let error = read("gpu").unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.hint()),
        ("`gpu` has no amount", Some("write it as NAME=N, such as gpu=2"))
    );
    assert!(read("gpu=two").is_err() && read("=2").is_err());
}

#[test]
fn a_journal_has_amounts_as_text() {
    let totals: Resources = "cpu=1500m,memory=2Gi,gpu=1".parse().unwrap();
    let text = serde_json::to_string(&totals).unwrap();
    assert_eq!(text, r#"{"cpu":"1500m","gpu":"1","memory":"2Gi"}"#);
    assert_eq!(serde_json::from_str::<Resources>(&text).unwrap(), totals);
    assert!(serde_json::from_str::<Resources>(r#"{"cpu":"x"}"#).is_err());
    assert_eq!(Value::from(totals.to_json()), json!({"cpu": "1500m", "gpu": 1, "memory": "2Gi"}));
}

#[test]
fn needs_are_compared_with_totals() {
    let of = |text: &str| text.parse::<Resources>().unwrap();
    let totals = of("cpu=2,gpu=1");
    assert_eq!(of("cpu=2,gpu=1,memory=1Gi").beyond(&totals), None);
    assert_eq!(of("cpu=2001m").beyond(&totals), Some(("cpu", 2_001, 2_000)));
    assert_eq!(of("gpu=1,memory=1").without_total(&totals), None);
    assert_eq!(of("license=1").without_total(&totals), Some("license"));
    let mut used = of("cpu=1");
    used.add(&of("cpu=1,gpu=1"));
    assert_eq!(used.to_string(), "cpu 2, gpu 1");
    used.subtract(&of("cpu=1,gpu=1"));
    assert_eq!(used, of("cpu=1"));
    assert_eq!(of("gpu=2").or(&of("gpu=9,cpu=1")).to_string(), "cpu 1, gpu 2");
}

#[test]
fn names_of_other_tools_have_a_usual_name() {
    assert_eq!(Resources::usual_name("cores"), Some("cpu"));
    assert_eq!(Resources::usual_name("GPU"), Some("gpu"));
    assert_eq!((Resources::usual_name("gpu"), Resources::usual_name("license")), (None, None));
}
