//! One pass over a frame, whatever its type: every field that any message has, each optional and unread.
//!
//! Serde's internally tagged enums buffer a whole message to find its tag, and cannot hand out raw JSON. This envelope
//! borrows raw values from the frame instead, so a large message is scanned once, and a field that a type does not have
//! is never looked at.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{ProtocolError, received::Fields};

/// All fields of all messages. Null counts as absent. Those that may be large and have parts are read in the same pass:
/// `settings`, and `data` as `D`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "D: Deserialize<'de>"))]
pub(crate) struct Envelope<'a, D> {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(borrow)]
    pub task_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub offer_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub call_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub request_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub reason: Option<&'a RawValue>,
    #[serde(borrow)]
    pub name: Option<&'a RawValue>,
    #[serde(borrow)]
    pub types: Option<&'a RawValue>,
    #[serde(borrow)]
    pub task_type: Option<&'a RawValue>,
    #[serde(borrow)]
    pub valid_for: Option<&'a RawValue>,
    #[serde(borrow)]
    pub status: Option<&'a RawValue>,
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
    #[serde(borrow)]
    pub settings: Option<Fields<'a>>,
    pub data: Option<D>,
    #[serde(borrow)]
    pub params: Option<&'a RawValue>,
    #[serde(borrow)]
    pub node_types: Option<&'a RawValue>,
    #[serde(borrow)]
    pub request_params: Option<&'a RawValue>,
}

impl<'a, D: Deserialize<'a>> Envelope<'a, D> {
    pub(crate) fn parse(frame: &'a str) -> Result<Self, ProtocolError> {
        Ok(serde_json::from_str(frame)?)
    }

    /// The raw text of a field that this message type needs.
    pub(crate) fn raw(
        &self,
        field: &'static str,
        value: Option<&RawValue>,
    ) -> Result<Box<RawValue>, ProtocolError> {
        Ok(self.need(field, value)?.to_owned())
    }

    /// The value of a field that this message type needs.
    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        field: &'static str,
        value: Option<&RawValue>,
    ) -> Result<T, ProtocolError> {
        serde_json::from_str(self.need(field, value)?.get())
            .map_err(|error| ProtocolError::WrongType { message: self.kind.clone(), field, error })
    }

    pub(crate) fn task_id(&self) -> Result<String, ProtocolError> {
        self.read("taskId", self.task_id)
    }

    /// Why; a text for people, so never a reason to drop a message.
    pub(crate) fn reason(&self) -> String {
        self.reason.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }

    fn need<'b>(
        &self,
        field: &'static str,
        value: Option<&'b RawValue>,
    ) -> Result<&'b RawValue, ProtocolError> {
        value.ok_or_else(|| self.missing(field))
    }

    /// A field that this message type needs is not there.
    pub(crate) fn missing(&self, field: &'static str) -> ProtocolError {
        ProtocolError::MissingField { message: self.kind.clone(), field }
    }
}

/// The type and the task of a frame, as far as it can be read: what stands before the first fault counts.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub kind: Option<String>,
    pub task_id: Option<String>,
}

impl Head {
    pub(crate) fn salvage(frame: &str) -> Self {
        let mut head = Self::default();
        // The error is known: this is the second reading of a frame that the first one refused.
        let _ = serde_json::Deserializer::from_str(frame).deserialize_map(HeadVisitor(&mut head));
        head
    }
}

/// Fills in a [`Head`] that outlives the error which ends the reading.
struct HeadVisitor<'a>(&'a mut Head);

impl<'de> Visitor<'de> for HeadVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "type" => self.0.kind = Some(map.next_value()?),
                "taskId" => self.0.task_id = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}
