//! Reads a frame of the broker into what the session does. Large frames are read on another thread.
//!
//! Frames take effect in the order of their arrival, so the frames behind a large one wait for it.
//! The connection reads one frame ahead meanwhile, and answers pings.

use std::str;

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::task::JoinHandle;

use super::calls::is_notification;
use crate::{
    protocol::{Addition, BrokerMessage, ReceivedSettings, RpcStatus, SettingsError, TaskLabel},
    sandbox::{Answer, LARGE, MAX_DEPTH, check_answer_size, is_deeper_than},
};

/// What the session does with a frame.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// Sends `runner:info`.
    InfoRequest,
    /// Begins to offer.
    Registered,
    /// Accepts or rejects a task.
    Accept { task_id: String, offer_id: String },
    /// Starts or fails a task.
    Settings { task_id: String, settings: TaskInput },
    /// Cancels a task.
    Cancel { task_id: String, reason: String },
    /// Answers a call of a task.
    Answer { task_id: String, call_id: String, answer: Answer },
    /// Drops data that no task requested.
    Unrequested { task_id: String },
    /// Stops offering.
    Drain,
    /// Drops a frame that is no message, and fails the task whose settings it holds, if any.
    Refused { error: String, task_id: Option<String> },
}

/// The settings of a task, ready for its job.
#[derive(Debug)]
pub(crate) struct TaskInput {
    /// The input of the job: the broker's text with the host's addition.
    pub(crate) text: Bytes,
    /// See [`ReceivedSettings::label`].
    pub(crate) label: TaskLabel,
    /// See [`ReceivedSettings::checked`]. Deep settings are not usable.
    pub(crate) checked: Result<(), SettingsError>,
}

/// Reads frames into [`Incoming`]s. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct IncomingReader {
    addition: Addition,
    /// Bytes of the largest answer. Larger ones are dropped with their frame, not copied.
    call_bytes: u64,
}

impl IncomingReader {
    /// Creates a reader that appends `addition` to settings and refuses answers of more than
    /// `call_bytes` bytes.
    pub(crate) fn new(addition: Addition, call_bytes: u64) -> Self {
        Self { addition, call_bytes }
    }

    /// Reads a frame.
    fn read(&self, frame: &Bytes) -> Incoming {
        let refused = |error: String, task_id| Incoming::Refused { error, task_id };
        let text = match str::from_utf8(frame) {
            Ok(text) => text,
            Err(error) => return refused(format!("not UTF-8: {error}"), None),
        };
        match BrokerMessage::parse(text) {
            Ok(message) => self.incoming(message, frame),
            Err(error) => refused(error.to_string(), BrokerMessage::task_of_bad_settings(text)),
        }
    }

    fn incoming(
        &self,
        message: BrokerMessage<ReceivedSettings, &RawValue>,
        frame: &Bytes,
    ) -> Incoming {
        match message {
            BrokerMessage::InfoRequest => Incoming::InfoRequest,
            BrokerMessage::RunnerRegistered => Incoming::Registered,
            BrokerMessage::TaskOfferAccept { task_id, offer_id } => {
                Incoming::Accept { task_id, offer_id }
            }
            BrokerMessage::TaskSettings { task_id, settings } => {
                Incoming::Settings { task_id, settings: self.input(settings, frame) }
            }
            BrokerMessage::TaskCancel { task_id, reason } => Incoming::Cancel { task_id, reason },
            BrokerMessage::RpcResponse { call_id, task_id, status, data } => {
                let answer = if is_notification(&call_id) {
                    Ok(RawValue::NULL.to_owned())
                } else {
                    self.answer(status, data)
                };
                Incoming::Answer { task_id, call_id, answer }
            }
            BrokerMessage::TaskDataResponse { task_id, request_id, data } => {
                let answer = self.answer(RpcStatus::Success, Some(data));
                Incoming::Answer { task_id, call_id: request_id, answer }
            }
            BrokerMessage::NodeTypes { task_id, .. } => Incoming::Unrequested { task_id },
            BrokerMessage::Drain => Incoming::Drain,
        }
    }

    /// Returns the input of a job. `settings` borrows from `frame`.
    fn input(&self, settings: ReceivedSettings, frame: &Bytes) -> TaskInput {
        let ReceivedSettings { text, label, checked } = settings;
        // The settings themselves are one level more than the values in them.
        let checked = checked.and_then(|()| match is_deeper_than(text.as_bytes(), MAX_DEPTH + 1) {
            true => Err(SettingsError::Invalid(format!("nested deeper than {MAX_DEPTH} levels"))),
            false => Ok(()),
        });
        let text = match checked {
            Ok(()) => self.addition.apply(frame.slice_ref(text.as_bytes())),
            Err(_) => Bytes::new(),
        };
        TaskInput { text, label, checked }
    }

    fn answer(&self, status: RpcStatus, data: Option<&RawValue>) -> Answer {
        let data = data.unwrap_or(RawValue::NULL);
        check_answer_size(data.get().len(), self.call_bytes)?;
        if is_deeper_than(data.get().as_bytes(), MAX_DEPTH) {
            return Err(format!(
                "The answer of a host call is nested deeper than {MAX_DEPTH} levels"
            ));
        }
        match status {
            RpcStatus::Success => Ok(data.to_owned()),
            RpcStatus::Error => Err(error_text(data)),
        }
    }
}

/// Returns the text of an error, or its JSON if it is no text. The guest raises it as an exception.
fn error_text(data: &RawValue) -> String {
    match data.get() {
        "null" => "the call failed without a reason".into(),
        json => serde_json::from_str(json).unwrap_or_else(|_| json.into()),
    }
}

/// The frames that arrived and did not take effect yet: at most one that is being read, and one
/// behind it.
#[derive(Debug)]
pub(crate) struct IncomingQueue {
    reader: IncomingReader,
    reading: Option<JoinHandle<Incoming>>,
    next: Option<Bytes>,
}

impl IncomingQueue {
    pub(crate) fn new(reader: IncomingReader) -> Self {
        Self { reader, reading: None, next: None }
    }

    /// Returns whether the queue takes a frame.
    pub(crate) fn has_room(&self) -> bool {
        self.next.is_none()
    }

    /// Takes a frame. Needs room.
    pub(crate) fn push(&mut self, frame: Bytes) {
        self.next = Some(frame);
    }

    /// Returns what the first frame does, once it is read. Pends while there is none. Cancel-safe.
    pub(crate) async fn pop(&mut self) -> Incoming {
        if self.reading.is_none() {
            match self.next.take() {
                None => std::future::pending().await,
                Some(frame) if frame.len() <= LARGE => return self.reader.read(&frame),
                Some(frame) => {
                    let reader = self.reader.clone();
                    // Frees the frame there as well.
                    let read = move || reader.read(&frame);
                    self.reading = Some(tokio::task::spawn_blocking(read));
                }
            }
        }
        let incoming = match &mut self.reading {
            Some(reading) => reading.await,
            None => std::future::pending().await,
        };
        self.reading = None;
        incoming
            .unwrap_or_else(|error| Incoming::Refused { error: error.to_string(), task_id: None })
    }
}

impl Drop for IncomingQueue {
    fn drop(&mut self) {
        // Removes it if it has not begun.
        self.reading.iter().for_each(JoinHandle::abort);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use serde_json::json;

    use super::*;

    const CALL_BYTES: u64 = 1 << 20;

    fn reader() -> IncomingReader {
        IncomingReader::new(Addition::default(), CALL_BYTES)
    }

    fn answer_frame(data: &str) -> Bytes {
        let head = r#"{"type":"broker:rpcresponse","callId":"c1","taskId":"t1","status":"success""#;
        format!("{head},\"data\":{data}}}").into()
    }

    fn answer_of(frame: &Bytes) -> Answer {
        match reader().read(frame) {
            Incoming::Answer { answer, .. } => answer,
            other => panic!("not an answer: {other:?}"),
        }
    }

    fn settings_frame(items: &str) -> Bytes {
        let code = r#""code":"","nodeMode":"runOnceForAllItems""#;
        let settings = format!("{{{code},\"items\":{items}}}");
        let head = r#"{"type":"broker:tasksettings","taskId":"t1""#;
        format!("{head},\"settings\":{settings}}}").into()
    }

    fn settings_of(items: &str) -> TaskInput {
        match reader().read(&settings_frame(items)) {
            Incoming::Settings { settings, .. } => settings,
            other => panic!("not settings: {other:?}"),
        }
    }

    fn nested(depth: usize) -> String {
        "[".repeat(depth) + &"]".repeat(depth)
    }

    fn error_of(data: serde_json::Value) -> String {
        let mut frame = json!({
            "type": "broker:rpcresponse", "callId": "c1", "taskId": "t1", "status": "error"
        });
        if !data.is_null() {
            frame["data"] = data;
        }
        answer_of(&frame.to_string().into()).unwrap_err()
    }

    #[test]
    fn an_error_is_its_text_or_its_json() {
        assert_eq!(error_of(json!("no")), "no");
        assert_eq!(error_of(json!({ "status": 404 })), r#"{"status":404}"#);
        assert_eq!(error_of(json!([1])), "[1]");
        assert_eq!(error_of(json!(null)), "the call failed without a reason");
    }

    #[test]
    fn call_bytes_of_an_answer_obeyed() {
        let text = format!("\"{}\"", "x".repeat(CALL_BYTES as usize - 2));
        assert_eq!(answer_of(&answer_frame(&text)).unwrap().get(), text);
        assert_eq!(answer_of(&answer_frame("null")).unwrap().get(), "null");
    }

    #[test]
    fn call_bytes_of_an_answer_violated() {
        let text = format!("\"{}\"", "x".repeat(CALL_BYTES as usize - 1));
        let error = answer_of(&answer_frame(&text)).unwrap_err();
        assert_eq!(error, "The answer of a host call is too large: the limit is 1.0 MiB");
    }

    #[test]
    fn depth_of_answers_and_settings_obeyed() {
        let deep = nested(MAX_DEPTH);
        assert_eq!(answer_of(&answer_frame(&deep)).unwrap().get(), deep);
        let settings = settings_of(&deep);
        assert_eq!(settings.checked, Ok(()));
        assert!(settings.text.ends_with(format!("\"items\":{deep}}}").as_bytes()));
    }

    #[test]
    fn depth_of_answers_and_settings_violated() {
        let deep = nested(MAX_DEPTH + 1);
        let error = answer_of(&answer_frame(&deep)).unwrap_err();
        assert_eq!(error, "The answer of a host call is nested deeper than 1000 levels");
        let error = settings_of(&deep).checked.unwrap_err();
        assert_eq!(error.to_string(), "Invalid task settings: nested deeper than 1000 levels");
    }

    #[test]
    fn a_frame_that_is_no_text_is_refused() {
        let refused = reader().read(&Bytes::from_static(b"{\"type\":\"\xff\"}"));
        assert!(matches!(refused, Incoming::Refused { task_id: None, .. }), "{refused:?}");
        let cut = settings_frame("[").slice(..100);
        let refused = reader().read(&cut);
        assert!(matches!(refused, Incoming::Refused { task_id: Some(_), .. }), "{refused:?}");
    }

    #[tokio::test]
    async fn a_frame_behind_a_large_one_waits_for_it() {
        let mut queue = IncomingQueue::new(reader());
        assert!(queue.pop().now_or_never().is_none() && queue.has_room());
        queue.push(settings_frame(&format!("[\"{}\"]", "x".repeat(4 << 20))));
        assert!(!queue.has_room());
        // Reading it has begun, so the next one may arrive.
        assert!(queue.pop().now_or_never().is_none() && queue.has_room());
        let cancel = r#"{"type":"broker:taskcancel","taskId":"t1","reason":"test"}"#;
        queue.push(Bytes::from_static(cancel.as_bytes()));
        assert!(!queue.has_room());
        assert!(matches!(queue.pop().await, Incoming::Settings { .. }));
        assert!(matches!(queue.pop().now_or_never(), Some(Incoming::Cancel { .. })));
    }
}
