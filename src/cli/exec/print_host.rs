//! The host of `exec`: shows what the code writes.

use std::{
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::{Deserialize, Deserializer, de::Visitor};
use serde_json::value::RawValue;

use crate::{
    cli::console::Console,
    fetch::{AllowedHost, HTTP_SEND, Network},
    sandbox::{Answer, HostCalls, METHOD_NOT_ALLOWED, PendingAnswer},
    sync::lock,
};

/// A host that shows the output of the code as it happens, or keeps prints for `--json`.
#[derive(Default)]
pub(crate) struct PrintHost {
    pub(crate) console: Console,
    live: bool,
    kept: Mutex<String>,
    has_output: AtomicBool,
    /// `None`: the code has no network.
    network: Option<Network>,
}

impl PrintHost {
    /// Creates a host that shows output at once (`live`), or keeps it. It makes HTTP requests to
    /// `hosts`.
    pub(crate) fn new(live: bool, hosts: &[AllowedHost]) -> Self {
        let network = (!hosts.is_empty()).then(|| Network::new(hosts.iter().cloned()));
        Self { live, network, ..Self::default() }
    }

    /// Returns the kept prints.
    pub(crate) fn text(&self) -> String {
        lock(&self.kept).clone()
    }

    /// Returns whether the code wrote anything, on either stream.
    pub(crate) fn has_output(&self) -> bool {
        self.has_output.load(Ordering::Relaxed)
    }
}

/// Printed text. Lone surrogates, which are not Unicode, are replaced.
struct Printed(String);

impl<'de> Deserialize<'de> for Printed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Printed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_bytes<E>(self, text: &[u8]) -> Result<Printed, E> {
                Ok(Printed(String::from_utf8_lossy(text).into_owned()))
            }
        }
        deserializer.deserialize_bytes(Text)
    }
}

impl HostCalls for PrintHost {
    fn call(&self, name: &str, params: Box<RawValue>) -> PendingAnswer {
        if let Some(network) = self.network.as_ref().filter(|_| name == HTTP_SEND) {
            return network.call(params);
        }
        let answer: Answer = Err(METHOD_NOT_ALLOWED.into());
        Box::pin(std::future::ready(answer))
    }

    fn notify(&self, name: &str, params: Box<RawValue>) {
        let Ok(Printed(text)) = serde_json::from_str(params.get()) else {
            return;
        };
        if name != "stdout" {
            return;
        }
        self.has_output.store(true, Ordering::Relaxed);
        if self.live {
            self.console.out(text);
        } else {
            lock(&self.kept).push_str(&text);
        }
    }

    fn stderr(&self, bytes: &[u8]) {
        self.has_output.store(true, Ordering::Relaxed);
        if self.live {
            let text = String::from_utf8_lossy(bytes);
            self.console.note(text.strip_suffix('\n').unwrap_or(&text));
        }
    }
}
