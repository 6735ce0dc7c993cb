//! Reads a frame of any type in one pass, into a struct with the fields of all messages.
//!
//! Serde's internally tagged enums buffer a message to find its tag, and do not support `RawValue`:
//! see [serde-rs/json#545](https://github.com/serde-rs/json/issues/545). The struct borrows raw
//! values from the frame instead, so a large message is scanned once.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{error::ProtocolError, received::Fields};

/// The fields of all messages; null counts as absent. `settings` and `data` (as `D`) may be large,
/// so the same pass reads their parts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "D: Deserialize<'de>"))]
pub(crate) struct Envelope<'a, D> {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(borrow)]
    pub(crate) task_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) offer_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) call_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) request_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) reason: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) name: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) types: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) task_type: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) valid_for: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) status: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) error: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) settings: Option<Fields<'a>>,
    pub(crate) data: Option<D>,
    #[serde(borrow)]
    pub(crate) params: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) node_types: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) request_params: Option<&'a RawValue>,
}

impl<'a, D: Deserialize<'a>> Envelope<'a, D> {
    pub(crate) fn parse(frame: &'a str) -> Result<Self, ProtocolError> {
        Ok(serde_json::from_str(frame)?)
    }

    /// Returns the raw text of a required field.
    pub(crate) fn raw(
        &self,
        field: &'static str,
        value: Option<&RawValue>,
    ) -> Result<Box<RawValue>, ProtocolError> {
        Ok(self.need(field, value)?.to_owned())
    }

    /// Returns the value of a required field.
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

    /// Returns the `reason`. It is a text for people, so a bad one reads as empty and drops no
    /// message.
    pub(crate) fn reason(&self) -> String {
        self.reason.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }

    /// Returns a required field.
    pub(crate) fn need<'b>(
        &self,
        field: &'static str,
        value: Option<&'b RawValue>,
    ) -> Result<&'b RawValue, ProtocolError> {
        value.ok_or_else(|| self.missing(field))
    }

    /// Returns the error for an absent required field.
    pub(crate) fn missing(&self, field: &'static str) -> ProtocolError {
        ProtocolError::MissingField { message: self.kind.clone(), field }
    }
}

/// The type and the task of a frame, read up to its first syntax error.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) kind: Option<String>,
    pub(crate) task_id: Option<String>,
}

impl Head {
    pub(crate) fn salvage(frame: &str) -> Self {
        let mut head = Self::default();
        // The error is reported already: `parse` refused the frame.
        let _ = serde_json::Deserializer::from_str(frame).deserialize_map(HeadVisitor(&mut head));
        head
    }
}

/// Fills a [`Head`] that stays available after a syntax error.
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
