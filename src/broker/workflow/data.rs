//! What is known of the workflow around a task, and which part of it an answer has.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use crate::protocol::{DataOfNodes, DataRequest};

/// What a task's settings say of the workflow around it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Surroundings {
    items: Option<Box<RawValue>>,
    workflow_id: Value,
    workflow_name: Value,
    workflow_mode: Value,
    node_id: Value,
    node_name: Value,
    data: Map<String, Value>,
}

/// The part of an item that is looked for.
#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    binary: Map<String, Value>,
}

impl Surroundings {
    /// Reads settings, and takes out of them what the runner does not get. Settings that make no sense are left to the
    /// runner to refuse.
    pub(super) fn take(settings: Box<RawValue>) -> (Self, Box<RawValue>) {
        let Ok(surroundings) = serde_json::from_str::<Self>(settings.get()) else {
            return (Self::default(), settings);
        };
        if surroundings.data.is_empty() {
            return (surroundings, settings);
        }
        let rest = serde_json::from_str::<BTreeMap<String, &RawValue>>(settings.get()).and_then(
            |mut fields| {
                fields.remove("data");
                serde_json::value::to_raw_value(&fields)
            },
        );
        let rest = rest.unwrap_or(settings);
        (surroundings, rest)
    }

    /// The binary entry of an input item.
    ///
    /// # Errors
    /// There is none; what n8n says of that.
    pub(super) fn binary(&self, item: usize, property: String) -> Result<Value, Value> {
        let none = || {
            json!({
                "name": "NodeOperationError",
                "message": format!(
                    "This operation expects the node's input data to contain a binary file '{property}', but none was \
                     found [item {item}]"
                ),
                "description": "Make sure that the previous node outputs a binary file",
                "context": { "itemIndex": item },
            })
        };
        let items = self
            .items
            .as_ref()
            .and_then(|items| serde_json::from_str::<Vec<Item>>(items.get()).ok());
        let entry = items.and_then(|mut items| items.get_mut(item)?.binary.remove(&property));
        entry.ok_or_else(none)
    }

    /// The answer to a request for data: what was given, completed from the settings, without what was not asked for.
    pub(super) fn answer(&self, request: &DataRequest) -> Value {
        let mut data = self.made_up();
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

    /// What n8n would say of a workflow of which only this node is known.
    fn made_up(&self) -> Map<String, Value> {
        let items = self.items.as_ref().and_then(|items| serde_json::from_str(items.get()).ok());
        let node = json!({ "id": self.node_id, "name": self.node_name, "type": "n8n-nodes-base.code", "parameters": {} });
        let workflow = json!({
            "id": self.workflow_id, "name": self.workflow_name, "active": false, "nodes": [node.clone()],
            "connections": {}, "settings": {}, "staticData": {},
        });
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
            "mode": if self.workflow_mode.is_string() { self.workflow_mode.clone() } else { "manual".into() },
            "envProviderState": { "isProcessAvailable": true, "isEnvAccessBlocked": true, "env": {} },
            "selfData": {},
            "siblingParameters": {},
            "runExecutionData": { "version": 1, "startData": {}, "resultData": { "runData": {} } },
            "additionalData": { "variables": {} },
        });
        match whole {
            Value::Object(whole) => whole,
            _ => Map::new(),
        }
    }
}

/// The items of the first input.
fn input(data: &mut Map<String, Value>) -> Option<&mut Vec<Value>> {
    data.get_mut("inputData")?.get_mut("main")?.get_mut(0)?.as_array_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(settings: Value) -> (Surroundings, Value) {
        let (surroundings, rest) =
            Surroundings::take(serde_json::value::to_raw_value(&settings).unwrap());
        (surroundings, serde_json::from_str(rest.get()).unwrap())
    }

    fn request(request: Value) -> DataRequest {
        serde_json::from_value(request).unwrap()
    }

    #[test]
    fn the_runner_does_not_get_the_data_and_the_answer_has_what_was_asked_for() {
        let items = json!([{ "json": { "n": 1 } }, { "json": { "n": 2 } }]);
        let data = json!({
            "connectionInputSource": { "main": [{ "previousNode": "B" }] },
            "envProviderState": { "isEnvAccessBlocked": false, "env": { "A": "1" } },
            "runExecutionData": { "resultData": { "runData": { "A": [1], "B": [2], "C": [3] } } },
        });
        let (task, rest) =
            surroundings(json!({ "code": "", "nodeName": "Code", "items": items, "data": data }));
        assert_eq!(rest, json!({ "code": "", "nodeName": "Code", "items": items }));
        let nothing = json!({ "dataOfNodes": [], "prevNode": false, "env": false, "input": { "include": false } });
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
            "dataOfNodes": ["A"], "prevNode": true, "env": true, "input": { "include": true, "chunk": chunk }
        });
        let answer = task.answer(&request(some));
        assert_eq!(
            answer["runExecutionData"]["resultData"]["runData"],
            json!({ "A": [1], "B": [2] })
        );
        assert_eq!(answer["inputData"]["main"], json!([[items[1]]]));
        assert_eq!(answer["envProviderState"]["env"], json!({ "A": "1" }));
        let all = json!({ "dataOfNodes": "all", "prevNode": false, "env": false, "input": { "include": true } });
        let answer = task.answer(&request(all));
        assert_eq!(
            answer["runExecutionData"]["resultData"]["runData"].as_object().unwrap().len(),
            3
        );
        assert_eq!(answer["inputData"]["main"], json!([items]));
    }

    #[test]
    fn settings_that_make_no_sense_are_passed_on() {
        let (_, rest) = surroundings(json!({ "data": 7 }));
        assert_eq!(rest, json!({ "data": 7 }));
    }

    #[test]
    fn an_item_without_the_binary_property_is_an_error_that_names_both() {
        let (task, _) = surroundings(
            json!({ "items": [{ "json": {}, "binary": { "a": { "mimeType": "x" } } }] }),
        );
        assert_eq!(task.binary(0, "a".into()).unwrap(), json!({ "mimeType": "x" }));
        for (item, property) in [(0, "b"), (1, "a")] {
            let message = task.binary(item, property.into()).unwrap_err()["message"].take();
            let message = message.as_str().unwrap();
            assert!(
                message.contains(property) && message.contains(&format!("[item {item}]")),
                "{message}"
            );
        }
    }
}
