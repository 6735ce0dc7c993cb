//! n8n's API for Python code, in the image and with a stand-in for n8n. `wasm/guest/tests` has the
//! details; these tests need the image.

mod binary;
mod cost;
mod document;
mod http;
mod names;
mod objects;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::support::{job_with, sandbox};
use serde_json::{Value, json, value::RawValue};
use serpentarium::{
    protocol::NodeMode,
    sandbox::{Answer, HostCalls, Job, Outcome, PendingAnswer},
};

/// Data of the workflow that contains the examples of docs/python-api.md.
const DATA: &str = include_str!("../fixtures/n8n_data.json");

/// Size of the large file in bytes.
const LARGE: usize = 10 << 20;

/// A stand-in for n8n that answers requests and records them.
#[derive(Default)]
struct N8n {
    asked: Mutex<Vec<(String, Value)>>,
}

impl HostCalls for N8n {
    fn call(&self, name: &str, params: Box<RawValue>) -> PendingAnswer {
        let params: Value = serde_json::from_str(params.get()).expect("parameters are JSON");
        let answer = answer(name, &params);
        let millis = params[0]["qs"]["wait"].as_u64().unwrap_or(0);
        self.asked.lock().expect("no test panics here").push((name.into(), params));
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            answer
        })
    }

    fn notify(&self, _name: &str, _params: Box<RawValue>) {}
}

impl N8n {
    /// Returns the parameters of requests with this name, in order.
    fn asked(&self, name: &str) -> Vec<Value> {
        let asked = self.asked.lock().expect("no test panics here");
        asked.iter().filter(|(asked, _)| asked == name).map(|(_, params)| params.clone()).collect()
    }
}

fn answer(name: &str, params: &Value) -> Answer {
    let value = match name {
        "taskData" => serde_json::from_str(DATA).expect("the fixture is JSON"),
        "helpers.httpRequest" => http_answer(&params[0]),
        "helpers.getBinaryDataBuffer" if params[1] == "large" => {
            // The order of n8n's own keys.
            let text = format!(r#"{{"type":"Buffer","data":{}}}"#, json!(large()));
            return Ok(RawValue::from_string(text).expect("an answer is JSON"));
        }
        "helpers.getBinaryDataBuffer" if params[1] == "broken" => return Err("no such file".into()),
        "helpers.getBinaryDataBuffer" => buffer(b"hello"),
        "helpers.prepareBinaryData" => {
            let size = params[0]["data"].as_array().map(Vec::len);
            json!({ "fileName": params[1], "mimeType": params[2], "fileSize": size })
        }
        "helpers.assertBinaryData" => {
            return Err(json!({ "message": "no file", "name": "NodeOperationError" }).to_string());
        }
        _ => return Err("Method not allowed".into()),
    };
    Ok(RawValue::from_string(value.to_string()).expect("an answer is JSON"))
}

/// Starts an HTTP server that echoes requests, and answers 404 to URLs that end in `missing`.
fn http_answer(options: &Value) -> Value {
    let url = options["url"].as_str().unwrap_or_default();
    let (status, body) = if url.ends_with("missing") {
        (404, json!({ "why": "no such order" }))
    } else if url.contains("pages") {
        (200, json!({ "url": url }))
    } else if options["encoding"] == "arraybuffer" {
        (200, buffer(&[0, 255, 10]))
    } else {
        (200, json!({ "method": options["method"], "qs": options["qs"], "body": options["body"] }))
    };
    json!({ "body": body, "headers": { "server": "test" }, "statusCode": status, "statusMessage": "" })
}

/// Returns bytes as JSON, with keys in another order than n8n's.
fn buffer(bytes: &[u8]) -> Value {
    json!({ "type": "Buffer", "data": bytes })
}

/// Returns a file that contains every byte.
fn large() -> Vec<u8> {
    (0..LARGE).map(|i| (i % 251) as u8).collect()
}

/// Returns the input items of the examples.
fn items() -> Value {
    json!([
        { "json": { "name": "Ada", "total": 12 }, "pairedItem": { "item": 0 } },
        { "json": { "name": "Grace", "total": 30 }, "pairedItem": { "item": 1 } },
    ])
}

struct Ran {
    outcome: Outcome,
    n8n: Arc<N8n>,
}

impl Ran {
    fn value(&self) -> Value {
        crate::support::returned(&self.outcome)
    }
}

async fn run_job(mut job: Job) -> Ran {
    let mut settings: Value = serde_json::from_slice(&job.input).expect("settings are JSON");
    settings["workflowName"] = json!("Orders");
    job.input = settings.to_string().into();
    let n8n = Arc::new(N8n::default());
    let outcome = sandbox().run(job, n8n.clone()).await;
    Ran { outcome, n8n }
}

/// Runs code once for all items of the examples.
async fn run(code: &str) -> Ran {
    run_job(job_with(code, NodeMode::AllItems, &items().to_string())).await
}

/// Runs code once for each item of the examples.
async fn run_each(code: &str) -> Ran {
    run_job(job_with(code, NodeMode::EachItem, &items().to_string())).await
}
