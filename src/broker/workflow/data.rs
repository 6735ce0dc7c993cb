//! The workflow data of a task, and the part of it that answers a request.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use crate::protocol::{DataOfNodes, DataRequest};

/// The fields of a task's settings that describe its workflow.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct WorkflowContext {
    items: Option<Box<RawValue>>,
    workflow_id: Value,
    workflow_name: Value,
    workflow_mode: Value,
    node_id: Value,
    node_name: Value,
    data: Map<String, Value>,
}

/// The second parameter of n8n's functions for binary data.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Property {
    Named(String),
    /// The entry itself, such as one of another node's item.
    Entry(Map<String, Value>),
}

/// The binary entries of an item.
#[derive(Deserialize)]
struct ItemBinary {
    #[serde(default)]
    binary: Map<String, Value>,
}

impl WorkflowContext {
    /// Reads settings and removes the field `data`. Returns invalid settings unchanged, for the
    /// runner to refuse.
    pub(crate) fn take(settings: Box<RawValue>) -> (Self, Box<RawValue>) {
        let Ok(context) = serde_json::from_str::<Self>(settings.get()) else {
            return (Self::default(), settings);
        };
        if context.data.is_empty() {
            return (context, settings);
        }
        let rest = serde_json::from_str::<BTreeMap<String, &RawValue>>(settings.get()).and_then(
            |mut fields| {
                fields.remove("data");
                serde_json::value::to_raw_value(&fields)
            },
        );
        let rest = rest.unwrap_or(settings);
        (context, rest)
    }

    /// Returns the binary entry of an input item. An entry in the property's place is the result.
    ///
    /// # Errors
    /// The item has none; the error equals n8n's.
    pub(crate) fn binary(&self, item: usize, property: Property) -> Result<Value, Value> {
        let property = match property {
            Property::Named(name) => name,
            Property::Entry(entry) => return Ok(entry.into()),
        };
        let none = || {
            json!({
                "name": "NodeOperationError",
                "message": format!(
                    "This operation expects the node's input data to contain a binary file \
                     '{property}', but none was found [item {item}]"
                ),
                "description": "Make sure that the previous node outputs a binary file",
                "context": { "itemIndex": item },
            })
        };
        let items = self
            .items
            .as_ref()
            .and_then(|items| serde_json::from_str::<Vec<ItemBinary>>(items.get()).ok());
        let entry = items.and_then(|mut items| items.get_mut(item)?.binary.remove(&property));
        entry.ok_or_else(none)
    }

    /// Answers a request for data: the field `data` over the defaults, reduced to the requested
    /// parts.
    pub(crate) fn answer(&self, request: &DataRequest) -> Value {
        let mut data = self.defaults();
        data.extend(self.data.clone());
        if !request.input.include {
            data.insert("inputData".into(), json!({}));
        } else if let (Some(chunk), Some(items)) = (&request.input.chunk, input(&mut data)) {
            let part = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
            let (skip, take) = (part(chunk.start_index), part(chunk.count));
            *items = std::mem::take(items).into_iter().skip(skip).take(take).collect();
        }
        if !request.env
            && let Some(env) =
                data.get_mut("envProviderState").and_then(|state| state.get_mut("env"))
        {
            *env = json!({});
        }
        if let DataOfNodes::Named(named) = &request.data_of_nodes {
            let previous = data["connectionInputSource"]["main"][0]["previousNode"].clone();
            let wanted = |node: &str| {
                named.iter().any(|name| name == node) || (request.prev_node && previous == node)
            };
            let results =
                data.get_mut("runExecutionData").and_then(|data| data.get_mut("resultData"));
            if let Some(Value::Object(results)) = results {
                for part in ["runData", "pinData"] {
                    if let Some(Value::Object(nodes)) = results.get_mut(part) {
                        nodes.retain(|node, _| wanted(node));
                    }
                }
            }
        }
        Value::Object(data)
    }

    /// Returns the data of a workflow that consists of this node only.
    fn defaults(&self) -> Map<String, Value> {
        let items = self.items.as_ref().and_then(|items| serde_json::from_str(items.get()).ok());
        let node = json!({
            "id": self.node_id,
            "name": self.node_name,
            "type": "n8n-nodes-base.code",
            "parameters": {},
        });
        let workflow = json!({
            "id": self.workflow_id,
            "name": self.workflow_name,
            "active": false,
            "nodes": [node.clone()],
            "connections": {},
            "settings": {},
            "staticData": {},
        });
        let mode = match &self.workflow_mode {
            mode @ Value::String(_) => mode.clone(),
            _ => "manual".into(),
        };
        let whole = json!({
            "workflow": workflow,
            "node": node,
            "inputData": { "main": [items.unwrap_or_else(|| json!([]))] },
            "connectionInputSource": null,
            "itemIndex": 0,
            "runIndex": 0,
            "activeNodeName": self.node_name,
            "contextNodeName": self.node_name,
            "defaultReturnRunIndex": -1,
            "mode": mode,
            "envProviderState": {
                "isProcessAvailable": true,
                "isEnvAccessBlocked": true,
                "env": {},
            },
            "selfData": {},
            "siblingParameters": {},
            "runExecutionData": {
                "version": 1,
                "startData": {},
                "resultData": { "runData": {} },
            },
            "additionalData": { "variables": {} },
        });
        match whole {
            Value::Object(whole) => whole,
            _ => Map::new(),
        }
    }
}

/// Returns the items of the first input.
fn input(data: &mut Map<String, Value>) -> Option<&mut Vec<Value>> {
    data.get_mut("inputData")?.get_mut("main")?.get_mut(0)?.as_array_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(settings: Value) -> (WorkflowContext, Value) {
        let (context, rest) =
            WorkflowContext::take(serde_json::value::to_raw_value(&settings).unwrap());
        (context, serde_json::from_str(rest.get()).unwrap())
    }

    fn request(request: Value) -> DataRequest {
        serde_json::from_value(request).unwrap()
    }

    #[test]
    fn an_answer_has_the_requested_parts_and_the_runner_no_data() {
        let items = json!([{ "json": { "n": 1 } }, { "json": { "n": 2 } }]);
        let data = json!({
            "connectionInputSource": { "main": [{ "previousNode": "B" }] },
            "envProviderState": { "isEnvAccessBlocked": false, "env": { "A": "1" } },
            "runExecutionData": { "resultData": { "runData": { "A": [1], "B": [2], "C": [3] } } },
        });
        let (task, rest) =
            context(json!({ "code": "", "nodeName": "Code", "items": items, "data": data }));
        assert_eq!(rest, json!({ "code": "", "nodeName": "Code", "items": items }));
        let nothing = json!({
            "dataOfNodes": [], "prevNode": false, "env": false, "input": { "include": false },
        });
        let answer = task.answer(&request(nothing));
        assert_eq!(answer["runExecutionData"]["resultData"]["runData"], json!({}));
        assert_eq!(
            (&answer["inputData"], &answer["envProviderState"]["env"]),
            (&json!({}), &json!({}))
        );
        assert_eq!(
            (&answer["activeNodeName"], &answer["mode"]),
            (&json!("Code"), &json!("manual"))
        );
        let chunk = json!({ "startIndex": 1, "count": 5 });
        let some = json!({
            "dataOfNodes": ["A"],
            "prevNode": true,
            "env": true,
            "input": { "include": true, "chunk": chunk },
        });
        let answer = task.answer(&request(some));
        assert_eq!(
            answer["runExecutionData"]["resultData"]["runData"],
            json!({ "A": [1], "B": [2] })
        );
        assert_eq!(answer["inputData"]["main"], json!([[items[1]]]));
        assert_eq!(answer["envProviderState"]["env"], json!({ "A": "1" }));
        let all = json!({
            "dataOfNodes": "all", "prevNode": false, "env": false, "input": { "include": true },
        });
        let answer = task.answer(&request(all));
        assert_eq!(
            answer["runExecutionData"]["resultData"]["runData"].as_object().unwrap().len(),
            3
        );
        assert_eq!(answer["inputData"]["main"], json!([items]));
    }

    #[test]
    fn invalid_settings_are_passed_on() {
        let (_, rest) = context(json!({ "data": 7 }));
        assert_eq!(rest, json!({ "data": 7 }));
    }

    #[test]
    fn a_missing_binary_property_is_an_error_that_names_it() {
        let (task, _) =
            context(json!({ "items": [{ "json": {}, "binary": { "a": { "mimeType": "x" } } }] }));
        let named = |name: &str| Property::Named(name.into());
        assert_eq!(task.binary(0, named("a")).unwrap(), json!({ "mimeType": "x" }));
        let entry = serde_json::from_value(json!({ "id": "memory:1" })).unwrap();
        assert_eq!(task.binary(9, Property::Entry(entry)).unwrap(), json!({ "id": "memory:1" }));
        for (item, property) in [(0, "b"), (1, "a")] {
            let message = task.binary(item, named(property)).unwrap_err()["message"].take();
            let message = message.as_str().unwrap();
            assert!(
                message.contains(property) && message.contains(&format!("[item {item}]")),
                "{message}"
            );
        }
    }
}
