//! What the names cost.

use super::run;

/// A name that is not mentioned must cost nothing: the look for names is all that every task pays.
#[tokio::test]
async fn code_pays_only_for_names_that_it_mentions() {
    let trivial = run("return []").await.outcome.usage.fuel;
    let helpers = run("_helpers\nreturn []").await.outcome.usage.fuel;
    let asked = run("_run_index\nreturn []").await.outcome.usage.fuel;
    println!("fuel: trivial {trivial}, an object {helpers}, data of n8n {asked}");
    assert!(trivial < helpers && helpers < asked, "{trivial} {helpers} {asked}");
    assert!(helpers - trivial < trivial / 2, "{trivial} {helpers}");
}
