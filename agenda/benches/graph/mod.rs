//! The graphs of the benchmarks, as agendas and as plans.

use pop_agenda::{Agenda, Plan};
use pop_contract::LaunchType;
use pop_registry::Catalog;
use serde_json::{Value, json};
use std::fmt;

/// Shape of a dependency graph.
#[derive(Clone, Copy)]
pub(crate) enum Graph {
    /// No dependencies.
    Wide,
    /// Each operation depends on the one before it.
    Chain,
    /// Each operation depends on the one this many before it.
    Layers,
    /// All operations depend on the first, and the last depends on all.
    Diamond,
}

pub(crate) const ALL: [Graph; 4] = [Graph::Wide, Graph::Chain, Graph::Layers, Graph::Diamond];
const LAYER: usize = 40;

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wide => "wide",
            Self::Chain => "chain",
            Self::Layers => "layers",
            Self::Diamond => "diamond",
        })
    }
}

impl Graph {
    fn needs(self, number: usize, count: usize) -> Vec<String> {
        let on = match self {
            Self::Wide => 0..0,
            Self::Chain => number.saturating_sub(1)..number,
            Self::Layers if number >= LAYER => number - LAYER..number - LAYER + 1,
            Self::Layers => 0..0,
            Self::Diamond if number + 1 == count => 0..number,
            Self::Diamond => 0..number.min(1),
        };
        on.map(|number| format!("op{number}")).collect()
    }

    /// The agenda.
    pub(crate) fn agenda(self, count: usize) -> Value {
        let operations: Vec<Value> = (0..count)
            .map(|number| {
                let mut operation = json!({
                    "name": format!("op{number}"), "type": "exec", "payload": {"command": ["/bin/true"]},
                });
                let needs = self.needs(number, count);
                if !needs.is_empty() {
                    operation["params"] = json!({"dependsOn": needs});
                }
                operation
            })
            .collect();
        json!({"operations": operations})
    }

    /// The plan.
    pub(crate) fn plan(self, count: usize) -> Plan {
        plan(self.agenda(count))
    }
}

/// The plan of an agenda that was read.
pub(crate) fn plan(root: Value) -> Plan {
    let mut faults = Vec::new();
    let agenda = Agenda::parse(root, &mut faults).unwrap();
    let plan = Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults);
    assert!(faults.is_empty(), "{:?}", faults.first());
    plan.unwrap()
}
