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
