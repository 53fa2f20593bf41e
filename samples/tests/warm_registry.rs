//! The registry of the warm rendition: the other one, with `warm` for every handler.

use pop_document::Source;
use pop_registry::Catalog;
use serde_json::Value;

const REGISTRY: &[u8] = include_bytes!("../registry.json");
const WARM: &[u8] = include_bytes!("../warm.json");

#[test]
fn warm_registry_differs_by_warm_alone() {
    let mut faults = Vec::new();
    Catalog::build(Some(&Source::new("warm.json", WARM).unwrap()), &mut faults);
    assert_eq!(faults, []);
    let read = |text| serde_json::from_slice::<Value>(text).unwrap();
    let mut warm = read(WARM);
    for (name, entry) in warm.as_object_mut().unwrap() {
        let is_handler = entry.get("command").is_some();
        assert_eq!(entry.as_object_mut().unwrap().remove("warm").is_some(), is_handler, "{name}");
    }
    assert_eq!(warm, read(REGISTRY));
}
