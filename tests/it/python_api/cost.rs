//! The fuel of n8n's names.

use super::run;

/// A name that the code does not mention must cost nothing. Every task pays only for the search.
#[tokio::test]
async fn code_pays_only_for_names_that_it_mentions() {
    let trivial = run("return []").await.outcome.usage.fuel;
    let helpers = run("_helpers\nreturn []").await.outcome.usage.fuel;
    let asked = run("_run_index\nreturn []").await.outcome.usage.fuel;
    println!("fuel: trivial {trivial}, an object {helpers}, data of n8n {asked}");
    assert!(trivial < helpers && helpers < asked, "{trivial} {helpers} {asked}");
    assert!(helpers - trivial < trivial / 2, "{trivial} {helpers}");
}

/// Members that are items, and the answer of a request, cost about as much as the plain forms.
#[tokio::test]
async fn other_spellings_cost_about_the_same() {
    for (plain, other) in [
        ("return _input.all()[0]", "return _input[0]"),
        ("return _workflow.name", "return _workflow['name']"),
        ("return _input.item['json']", "return _input['item']['json']"),
    ] {
        let [plain_fuel, other_fuel] =
            [run(plain).await.outcome.usage.fuel, run(other).await.outcome.usage.fuel];
        println!("fuel: {plain} {plain_fuel}, {other} {other_fuel}");
        assert!(other_fuel < plain_fuel + plain_fuel / 8, "{plain_fuel} {other_fuel}");
    }
}
