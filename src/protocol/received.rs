//! A task's settings within a broker's frame. The pass that reads the frame finds, checks and
//! labels them.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::settings::{NodeMode, SettingsError, unknown};

/// A task's settings, borrowed from their frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedSettings<'a> {
    /// Their text within the frame, which the guest reads unchanged: a JSON object with members, or
    /// an empty text.
    pub text: &'a str,
    /// The fields that the host uses. Present even if `checked` is an error: the report of a
    /// failure names the node, and `continueOnFail` may turn it into a result.
    pub label: TaskLabel,
    /// Whether the settings are usable: an object with all required fields, each of its type, and a
    /// known mode.
    pub checked: Result<(), SettingsError>,
}

/// The fields of a task's settings that the host uses. It forwards the rest unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskLabel {
    /// Whether a failure becomes a result that carries its message.
    pub continue_on_fail: bool,
    /// The workflow's name.
    pub workflow_name: String,
    /// The workflow's id.
    pub workflow_id: String,
    /// The node's name.
    pub node_name: String,
    /// The node's id.
    pub node_id: String,
}

impl Default for TaskLabel {
    /// Returns the label of an unknown task: all names are `Unknown`.
    fn default() -> Self {
        Self {
            continue_on_fail: false,
            workflow_name: unknown(),
            workflow_id: unknown(),
            node_name: unknown(),
            node_id: unknown(),
        }
    }
}

/// Reads a name for the log. A value that is no text reads as `Unknown` and fails no task.
fn name(value: Option<&str>) -> String {
    value.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(unknown)
}

/// The raw values of the fields that the host uses, and the bounds of the object.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    is_object: bool,
    first_key: Option<&'a str>,
    last_value: Option<&'a str>,
    code: Option<&'a str>,
    node_mode: Option<&'a str>,
    items: Option<&'a str>,
    continue_on_fail: Option<&'a str>,
    workflow_name: Option<&'a str>,
    workflow_id: Option<&'a str>,
    node_name: Option<&'a str>,
    node_id: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// Records a member, given as the raw key and value. The last member of a name counts, as in
    /// Python's `json`. Null counts as absent.
    fn put(&mut self, key: &'a str, value: &'a str) -> Result<(), serde_json::Error> {
        self.first_key.get_or_insert(key);
        self.last_value = Some(value);
        let name: Cow<str> = serde_json::from_str(key)?;
        if let Some(slot) = self.slot(&name) {
            *slot = Some(value).filter(|value| *value != "null");
        }
        Ok(())
    }

    /// Returns the settings. `frame` is the text that the fields were read from.
    pub(crate) fn within(&self, frame: &'a str) -> ReceivedSettings<'a> {
        ReceivedSettings { text: self.text(frame), label: self.label(), checked: self.check() }
    }

    /// Returns the text of the object. Only white space lies between its braces and its first key
    /// and last value.
    fn text(&self, frame: &'a str) -> &'a str {
        let (Some(first), Some(last)) = (self.first_key, self.last_value) else {
            return "";
        };
        let offset = |part: &str| (part.as_ptr() as usize).wrapping_sub(frame.as_ptr() as usize);
        let begin = frame.get(..offset(first)).and_then(|before| before.rfind('{'));
        let behind = offset(last).saturating_add(last.len());
        let end =
            frame.get(behind..).and_then(|after| after.find('}')).map(|more| behind + more + 1);
        begin.zip(end).and_then(|(begin, end)| frame.get(begin..end)).unwrap_or_default()
    }

    fn label(&self) -> TaskLabel {
        TaskLabel {
            continue_on_fail: self.continue_on_fail == Some("true"),
            workflow_name: name(self.workflow_name),
            workflow_id: name(self.workflow_id),
            node_name: name(self.node_name),
            node_id: name(self.node_id),
        }
    }

    fn check(&self) -> Result<(), SettingsError> {
        if !self.is_object {
            return Err(SettingsError::Invalid("they must be an object".into()));
        }
        let code = self.code.ok_or(SettingsError::MissingField("code"))?;
        if !code.starts_with('"') {
            return Err(SettingsError::Invalid("'code' must be a string".into()));
        }
        let mode = self.node_mode.ok_or(SettingsError::MissingField("nodeMode"))?;
        if serde_json::from_str::<NodeMode>(mode).is_err() {
            return Err(SettingsError::UnknownMode(mode.trim_matches('"').into()));
        }
        if !self.items.ok_or(SettingsError::MissingField("items"))?.starts_with('[') {
            return Err(SettingsError::Invalid("'items' must be a list".into()));
        }
        Ok(())
    }

    /// Returns the slot of a field that the host uses.
    fn slot(&mut self, key: &str) -> Option<&mut Option<&'a str>> {
        Some(match key {
            "code" => &mut self.code,
            "nodeMode" => &mut self.node_mode,
            "items" => &mut self.items,
            "continueOnFail" => &mut self.continue_on_fail,
            "workflowName" => &mut self.workflow_name,
            "workflowId" => &mut self.workflow_id,
            "nodeName" => &mut self.node_name,
            "nodeId" => &mut self.node_id,
            _ => return None,
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldsVisitor)
    }
}

/// Accepts any value: settings that are no object fail the task, not the frame.
struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("task settings")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut fields = Fields { is_object: true, ..Fields::default() };
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            fields.put(key.get(), value.get()).map_err(serde::de::Error::custom)?;
        }
        Ok(fields)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Self::Value, S::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Fields::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Fields::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Fields::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Fields::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Fields::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Fields::default())
    }
}
