//! Tests that the patches of the code generator change no fuel.
//!
//! Every program of the corpus must consume the same fuel, and end the same, in an image of the
//! stock code generator (`SERPENTARIUM_CODEGEN=stock`). The golden file pins the fuel of the
//! patched one.

use std::{env, fs, path::Path};

use serde_json::json;

use super::{api::Sandbox, host::NoHost, job::Job, limits::Limits};

/// Names the stock image of the embedded image's snapshot. `scripts/test` makes it and sets this.
const STOCK_IMAGE: &str = "SERPENTARIUM_TEST_STOCK_IMAGE";

#[tokio::test]
async fn stock_code_consumes_the_same_fuel() {
    let Some(path) = env::var_os(STOCK_IMAGE) else {
        eprintln!("{STOCK_IMAGE} is not set: no stock image to compare");
        return;
    };
    let stock = Sandbox::builder().slots(1).pooled(false).image(path).build().unwrap();
    let embedded = Sandbox::builder().slots(1).pooled(false).build().unwrap();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus");
    let mut programs = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "py") {
            let code = fs::read_to_string(&file).unwrap();
            let expected = run(&embedded, &code).await;
            assert_eq!(run(&stock, &code).await, expected, "{}", file.display());
            programs += 1;
        }
    }
    assert!(programs >= 60, "{programs} programs");
}

/// Runs a program in the deterministic mode; returns how it ended and the fuel that it consumed.
async fn run(sandbox: &Sandbox, code: &str) -> (String, u64) {
    let settings = json!({
        "code": code, "nodeMode": "runOnceForAllItems", "items": [{"json": {"n": 1}}, {"json": {}}],
        "continueOnFail": false, "nodeName": "Code",
    });
    let input = serde_json::to_vec(&settings).unwrap();
    let outcome = sandbox.run(Job::new(input, Limits::default()).seed(1), NoHost).await;
    (format!("{:?}", outcome.result), outcome.usage.fuel)
}
