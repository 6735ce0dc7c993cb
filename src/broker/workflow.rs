//! What stands in for the workflow around a task where there is no n8n: answers to the calls of n8n's helpers and to
//! requests for data.

mod binary;
mod data;
mod http;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::{Hooks, Reply};
use crate::{protocol::DataRequest, sync::lock};
use binary::Files;
use data::Surroundings;
use http::Http;

/// Makes HTTP requests, keeps binary data in memory until its task is gone, and knows of a task what its settings say. They may have a field
/// `data`, which the runner does not get: the answer to requests for data in the shape of n8n's, of which whatever is
/// missing is made up from the settings.
///
/// It makes every request that a task asks for, to whatever address.
#[derive(Clone)]
pub struct Workflow {
    http: Http,
    tasks: Arc<Mutex<HashMap<String, Arc<Task>>>>,
}

/// What is known of one task, and the binary data that it made.
#[derive(Default)]
struct Task {
    surroundings: Surroundings,
    files: Mutex<Files>,
}

/// What a call comes to: an error is what n8n would answer.
type Answered = Result<Option<Box<RawValue>>, Value>;

impl Workflow {
    /// Nothing is known yet.
    ///
    /// # Errors
    /// There is no way to make HTTP requests; the text says why.
    pub fn new() -> Result<Self, String> {
        Ok(Self { http: Http::new()?, tasks: Arc::default() })
    }

    fn task(&self, task_id: &str) -> Arc<Task> {
        lock(&self.tasks).get(task_id).cloned().unwrap_or_default()
    }

    async fn answer(self, task_id: String, name: String, params: Box<RawValue>) -> Answered {
        let params: Vec<&RawValue> =
            serde_json::from_str(params.get()).map_err(|error| json!(error.to_string()))?;
        let task = self.task(&task_id);
        let binary = |item, property| task.surroundings.binary(item, property);
        match name.as_str() {
            "helpers.httpRequest" | "helpers.request" => {
                answer(self.http.request(&param(&params, 0)?).await?)
            }
            "helpers.assertBinaryData" => answer(binary(param(&params, 0)?, param(&params, 1)?)?),
            "helpers.getBinaryDataBuffer" => {
                let entry = binary(param(&params, 0)?, param(&params, 1)?)?;
                answer(lock(&task.files).read(&entry)?)
            }
            "helpers.prepareBinaryData" => {
                let (data, name, kind) =
                    (param(&params, 0)?, param(&params, 1)?, param(&params, 2)?);
                answer(lock(&task.files).prepare(data, name, kind)?)
            }
            "helpers.setBinaryDataBuffer" => {
                answer(lock(&task.files).replace(param(&params, 0)?, param(&params, 1)?)?)
            }
            "helpers.binaryToString" => {
                answer(binary::text(param(&params, 0)?, param(&params, 1)?)?)
            }
            _ => Err("Method not allowed".into()),
        }
    }
}

impl Hooks for Workflow {
    fn submitted(&self, task_id: &str, settings: Box<RawValue>) -> Box<RawValue> {
        let (surroundings, settings) = Surroundings::take(settings);
        let task = Task { surroundings, ..Task::default() };
        lock(&self.tasks).insert(task_id.into(), Arc::new(task));
        settings
    }

    fn gone(&self, task_id: &str) {
        lock(&self.tasks).remove(task_id);
    }

    fn rpc(&self, task_id: &str, name: &str, params: Box<RawValue>) -> Reply<Answered> {
        Box::pin(self.clone().answer(task_id.into(), name.into(), params))
    }

    fn task_data(&self, task_id: &str, request: DataRequest) -> Reply<Box<RawValue>> {
        let data = self.task(task_id).surroundings.answer(&request);
        let data =
            serde_json::value::to_raw_value(&data).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Box::pin(std::future::ready(data))
    }
}

/// A parameter; one that is not there is read as null.
fn param<'a, T: Deserialize<'a>>(params: &[&'a RawValue], at: usize) -> Result<T, Value> {
    let text = params.get(at).map_or("null", |value| value.get());
    serde_json::from_str(text).map_err(|error| json!(format!("parameter {at} is wrong: {error}")))
}

fn answer(value: impl Serialize) -> Answered {
    serde_json::value::to_raw_value(&value).map(Some).map_err(|error| json!(error.to_string()))
}
