//! Answers the calls of tasks without n8n: the methods of n8n's helpers, and requests for workflow
//! data.

mod binary;
mod body;
mod data;
mod failures;
mod http;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::hooks::{HookFuture, Hooks};
use crate::{protocol::DataRequest, sync::lock};
use binary::BinaryStore;
use data::WorkflowContext;
use http::HttpClient;

/// Answers calls in n8n's place: makes HTTP requests, stores binary data in memory, returns
/// workflow data.
///
/// A task's settings may have a field `data`, which the runner does not get. It has the form of
/// n8n's answer to `runner:taskdatarequest`; defaults from the settings complete it. Binary data
/// lives until the task's handle is dropped.
///
/// Security: tasks can reach every address that this process can reach.
#[derive(Clone)]
pub struct Workflow {
    http: HttpClient,
    tasks: Arc<Mutex<HashMap<String, Arc<WorkflowTask>>>>,
}

/// The context of one task, and its binary data.
#[derive(Default)]
struct WorkflowTask {
    context: WorkflowContext,
    binary: Mutex<BinaryStore>,
}

/// The answer to a call. An error has n8n's form.
type CallAnswer = Result<Option<Box<RawValue>>, Value>;

/// The HTTP client of a [`Workflow`] cannot be created.
#[derive(Debug, thiserror::Error)]
#[error("cannot create the HTTP client: {0}")]
pub struct WorkflowError(#[source] reqwest::Error);

impl Workflow {
    /// Creates a workflow without tasks.
    ///
    /// # Errors
    /// The HTTP client cannot be created.
    pub fn new() -> Result<Self, WorkflowError> {
        Ok(Self { http: HttpClient::new().map_err(WorkflowError)?, tasks: Arc::default() })
    }

    fn task(&self, task_id: &str) -> Arc<WorkflowTask> {
        lock(&self.tasks).get(task_id).cloned().unwrap_or_default()
    }

    async fn answer(self, task_id: String, name: String, params: Box<RawValue>) -> CallAnswer {
        let params: Vec<&RawValue> =
            serde_json::from_str(params.get()).map_err(|error| json!(error.to_string()))?;
        let task = self.task(&task_id);
        let binary = |item, property| task.context.binary(item, property);
        match name.as_str() {
            "helpers.httpRequest" | "helpers.request" => {
                self.http.request(&param(&params, 0)?).await.map(Some)
            }
            "helpers.assertBinaryData" => answer(binary(param(&params, 0)?, param(&params, 1)?)?),
            "helpers.getBinaryDataBuffer" => {
                let entry = binary(param(&params, 0)?, param(&params, 1)?)?;
                answer(lock(&task.binary).read(&entry)?)
            }
            "helpers.prepareBinaryData" => {
                let (data, name, kind) =
                    (param(&params, 0)?, param(&params, 1)?, param(&params, 2)?);
                answer(lock(&task.binary).prepare(data, name, kind)?)
            }
            "helpers.setBinaryDataBuffer" => {
                answer(lock(&task.binary).replace(param(&params, 0)?, param(&params, 1)?)?)
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
        let (context, settings) = WorkflowContext::take(settings);
        let task = WorkflowTask { context, ..WorkflowTask::default() };
        lock(&self.tasks).insert(task_id.into(), Arc::new(task));
        settings
    }

    fn gone(&self, task_id: &str) {
        lock(&self.tasks).remove(task_id);
    }

    fn rpc(&self, task_id: &str, name: &str, params: Box<RawValue>) -> HookFuture<CallAnswer> {
        Box::pin(self.clone().answer(task_id.into(), name.into(), params))
    }

    fn task_data(&self, task_id: &str, request: DataRequest) -> HookFuture<Box<RawValue>> {
        let data = self.task(task_id).context.answer(&request);
        let data =
            serde_json::value::to_raw_value(&data).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Box::pin(std::future::ready(data))
    }
}

/// Reads the parameter at `at`; a missing one is null.
fn param<'a, T: Deserialize<'a>>(params: &[&'a RawValue], at: usize) -> Result<T, Value> {
    let text = params.get(at).map_or("null", |value| value.get());
    serde_json::from_str(text).map_err(|error| json!(format!("parameter {at} is wrong: {error}")))
}

fn answer(value: impl Serialize) -> CallAnswer {
    serde_json::value::to_raw_value(&value).map(Some).map_err(|error| json!(error.to_string()))
}
