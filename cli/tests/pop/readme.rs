//! The examples of README.md run as they are printed.

use crate::bench::Bench;

const README: &str = include_str!("../../../README.md");

/// The code blocks of a language, in order.
fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    README.split(begin.as_str()).skip(1).map(|rest| rest.split("```\n").next().unwrap()).collect()
}

/// The commands of a console block, without their comments.
fn commands(block: &str) -> Vec<&str> {
    let commands = block.lines().filter_map(|line| line.strip_prefix("$ pop "));
    commands.map(|line| line.split(" #").next().unwrap().trim()).collect()
}

#[test]
fn fr_g4_examples_run_in_one_folder_in_their_order() {
    let bench = Bench::new();
    let agendas: Vec<_> = blocks("yaml")
        .into_iter()
        .map(|text| (text.lines().next().unwrap().strip_prefix("# ").unwrap(), text))
        .collect();
    assert_eq!(agendas.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["thumbs.yaml", "renditions.yaml"]);
    for (name, text) in &agendas {
        bench.write(name, text);
        bench.pop(0, &format!("check --strict {name}"));
    }
    let consoles: Vec<&str> = blocks("console").into_iter().flat_map(commands).collect();
    assert_eq!(consoles.len(), 7, "{consoles:?}");
    for line in consoles {
        bench.pop(0, line);
    }
    for made in ["two.mp4", "one.mp4.jpg", "small/one.mp4"] {
        assert!(bench.has(made), "{made}");
    }
}
