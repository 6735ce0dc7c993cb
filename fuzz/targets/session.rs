//! Frames from a broker, and events from a worker, to a session with running tasks.
//!
//! The input is a list of records, separated by the byte 0xff. The first byte of a record is its
//! kind: `f` a frame, `e` an event of the worker (header, byte 0xfe, payload), `p` time passes, `t`
//! tasks run, `s` the runner stops, `l` the worker is lost. `@N` in a record stands for the id of
//! the Nth offer, `#N` for that of the Nth call.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serpentarium::fuzzing::FuzzSession;

/// Bytes of the largest message. A frame of a failure with the longest texts fits.
const MAX_PAYLOAD: usize = 1 << 20;

#[derive(Default)]
struct Ids {
    offers: Vec<String>,
    calls: Vec<String>,
}

impl Ids {
    /// Checks a frame to the broker, and keeps the ids in it.
    fn sent(&mut self, frame: &str) {
        assert!(frame.len() <= MAX_PAYLOAD);
        let Ok(frame) = serde_json::from_str::<Value>(frame) else {
            // A result passes through as it is, and may be deeper than a `Value` reads.
            serde_json::from_str::<&serde_json::value::RawValue>(frame).unwrap();
            return;
        };
        assert!(frame["type"].as_str().unwrap().starts_with("runner:"), "{frame}");
        let text = |name: &str| frame[name].as_str().map(str::to_owned);
        self.offers.extend(text("offerId"));
        self.calls.extend(text("callId").or_else(|| text("requestId")));
    }

    fn replaced(&self, record: &str) -> String {
        let mut text = record.to_owned();
        for (mark, ids) in [('@', &self.offers), ('#', &self.calls)] {
            for (index, id) in ids.iter().enumerate().take(10) {
                text = text.replace(&format!("{mark}{index}"), id);
            }
        }
        text
    }
}

async fn run(input: &[u8]) {
    let mut session = FuzzSession::new(MAX_PAYLOAD);
    let mut ids = Ids::default();
    for record in input.split(|&byte| byte == 0xff).take(64) {
        let Some((kind, rest)) = record.split_first() else { continue };
        let goes_on = match kind {
            b'f' => match std::str::from_utf8(rest) {
                Ok(frame) => session.frame(&ids.replaced(frame)),
                Err(_) => true,
            },
            b'e' => {
                let at = rest.iter().position(|&byte| byte == 0xfe).unwrap_or(rest.len());
                let (header, payload) = rest.split_at(at);
                let payload = payload.get(1..).unwrap_or_default().to_vec();
                if session.slot.event(header, payload).await.is_err() {
                    session.slot.reset();
                }
                true
            }
            b'p' => session.pass(rest.len() as u64 * 100),
            b't' => {
                session.finish_tasks().await;
                session.pass(0)
            }
            b's' => {
                session.stop();
                session.pass(0)
            }
            b'l' => {
                session.slot.reset();
                true
            }
            _ => true,
        };
        while let Some(frame) = session.next_sent() {
            ids.sent(&frame);
        }
        let (active, offers, limit) = session.load();
        // The sum may be larger: an accept still counts a moment after its offer was replaced.
        assert!(active <= limit && offers <= limit, "{active} tasks, {offers} offers, {limit}");
        if !goes_on {
            break;
        }
    }
    session.slot.reset();
    session.finish_tasks().await;
    while let Some(frame) = session.next_sent() {
        ids.sent(&frame);
    }
}

fuzz_target!(|input: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run(input));
});
