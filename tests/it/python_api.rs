//! What n8n offers to Python code: in the real image, with an n8n of the test's own behind it. The
//! cases are few where `wasm/guest/tests` has them; here is what only the image shows.

mod binary;
mod cost;
mod document;
mod http;
mod names;

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

/// What n8n knows of the workflow in which the examples of docs/python-api.md stand.
const DATA: &str = include_str!("../fixtures/n8n_data.json");

/// Bytes of the large file.
const LARGE: usize = 10 << 20;

/// An n8n that answers what the names need, and keeps what it was asked.
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
    /// What went by this name, in order.
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
            // In the order in which n8n writes it.
            let text = format!(r#"{{"type":"Buffer","data":{}}}"#, json!(large()));
            return Ok(RawValue::from_string(text).expect("an answer is JSON"));
        }
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

/// An HTTP server that says what it was sent, and of everything missing that it is.
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

/// Bytes as JSON, with the keys in another order than n8n's.
fn buffer(bytes: &[u8]) -> Value {
    json!({ "type": "Buffer", "data": bytes })
}

/// A file in which every byte occurs.
fn large() -> Vec<u8> {
    (0..LARGE).map(|i| (i % 251) as u8).collect()
}

/// The input items of the examples.
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

/// Runs code once, for the items of the examples.
async fn run(code: &str) -> Ran {
    run_job(job_with(code, NodeMode::AllItems, &items().to_string())).await
}

/// Runs code once for each item of the examples.
async fn run_each(code: &str) -> Ran {
    run_job(job_with(code, NodeMode::EachItem, &items().to_string())).await
}
