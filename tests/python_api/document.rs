//! docs/python-api.md keeps its word.

use serde_json::Value;

use super::run;

const DOCUMENT: &str = include_str!("../../docs/python-api.md");

/// Each example with what it says that it returns.
fn examples() -> Vec<(&'static str, Value)> {
    let blocks = DOCUMENT.split("```python\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    blocks
        .map(|block| {
            let (code, returns) = block.rsplit_once("# returns ").unwrap_or_else(|| panic!("no `# returns`:\n{block}"));
            (code, serde_json::from_str(returns).unwrap_or_else(|error| panic!("{error}: {returns}")))
        })
        .collect()
}

#[tokio::test]
async fn every_example_returns_what_it_says() {
    let examples = examples();
    assert!(examples.len() >= 10, "the examples were not found");
    for (code, expected) in examples {
        assert_eq!(run(code).await.value(), expected, "{code}");
    }
}

#[tokio::test]
async fn every_name_of_the_tables_is_there() {
    let mut names: Vec<&str> = DOCUMENT
        .lines()
        .filter(|line| line.starts_with('|'))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|text| text.starts_with('_') && text.contains('.') && !text.contains('…'))
        .map(|text| text.split('(').next().unwrap_or_default())
        .collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let name = name.replace("[\"Name\"]", "[\"Customers\"]");
        assert_eq!(run(&format!("{name}\nreturn 1")).await.value(), 1, "{name}");
    }
}
