//! The examples and tables of docs/python-api.md are true.

use std::collections::BTreeSet;

use serde_json::Value;

use super::run;

const DOCUMENT: &str = include_str!("../../../docs/python-api.md");

/// Each example with its documented result.
fn examples() -> Vec<(&'static str, Value)> {
    let blocks = DOCUMENT
        .split("```python\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default());
    blocks
        .map(|block| {
            let (code, returns) = block
                .rsplit_once("# returns ")
                .unwrap_or_else(|| panic!("no `# returns`:\n{block}"));
            (
                code,
                serde_json::from_str(returns).unwrap_or_else(|error| panic!("{error}: {returns}")),
            )
        })
        .collect()
}

#[tokio::test]
async fn every_example_returns_its_documented_result() {
    let examples = examples();
    assert!(examples.len() >= 10, "the examples were not found");
    for (code, expected) in examples {
        assert_eq!(run(code).await.value(), expected, "{code}");
    }
}

/// Returns the names in the first columns of the tables. `.first` completes the name before it:
/// after `_input.all` it is `_input.first`.
fn names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut owner = "";
    for row in DOCUMENT.lines().filter(|line| line.starts_with("| `")) {
        let column = row.split(" | ").next().unwrap_or_default();
        for name in column
            .split('`')
            .skip(1)
            .step_by(2)
            .map(|text| text.split('(').next().unwrap_or_default())
        {
            if name.starts_with('_') {
                owner = name.rsplit_once('.').map_or(owner, |(owner, _)| owner);
                names.insert(name.to_owned());
            } else if name.starts_with('.') {
                names.insert(format!("{owner}{name}"));
            }
        }
    }
    names
}

#[tokio::test]
async fn every_name_of_the_tables_is_there() {
    let names = names();
    for name in [
        "_node[\"Name\"].item_matching",
        "_execution.custom_data.set_all",
        "_workflow.active",
        "_json",
    ] {
        assert!(names.contains(name), "{name} is not in {names:?}");
    }
    for name in names {
        let name = name.replace("Name", "Customers");
        assert_eq!(run(&format!("{name}\nreturn 1")).await.value(), 1, "{name}");
    }
}
