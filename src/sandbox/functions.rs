//! Host calls as named async functions.

use std::{collections::HashMap, fmt, future::Future};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::{RawValue, to_raw_value};

use super::{
    abi::STDOUT,
    host::{HostCalls, METHOD_NOT_ALLOWED, PendingAnswer},
};

type Function = Box<dyn Fn(Box<RawValue>) -> PendingAnswer + Send + Sync>;
type PrintHandler = Box<dyn Fn(&str) + Send + Sync>;
type Notified = Box<dyn Fn(&str, &RawValue) + Send + Sync>;
type ErrorHandler = Box<dyn Fn(&[u8]) + Send + Sync>;

/// Host calls as named async functions, and a function for notifications.
///
/// The guest calls them with `_host.call(name, params)`, where `params` is JSON. A name that is not
/// defined here fails with [`METHOD_NOT_ALLOWED`].
///
/// ```
/// use std::convert::Infallible;
/// use serpentarium::sandbox::HostFunctions;
///
/// let host = HostFunctions::new()
///     .function("add", async |(a, b): (i64, i64)| Ok::<_, Infallible>(a + b))
///     .on_print(|text| print!("{text}"));
/// # let _ = host;
/// ```
#[derive(Default)]
#[must_use = "the functions do nothing until a job runs with them"]
pub struct HostFunctions {
    functions: HashMap<String, Function>,
    on_print: Option<PrintHandler>,
    on_notify: Option<Notified>,
    on_stderr: Option<ErrorHandler>,
}

impl HostFunctions {
    /// Creates a host without functions. It drops notifications.
    pub fn new() -> Self {
        Self::default()
    }

    /// Defines a function. It takes the call's parameters as one value that deserialises from their
    /// JSON: a tuple for a list, a struct for an object. The guest raises its error's text as
    /// `_host.CallError`. A second definition of a name replaces the first.
    ///
    /// The sandbox drops the returned future if the task ends first.
    pub fn function<P, F, R, T, E>(mut self, name: impl Into<String>, function: F) -> Self
    where
        P: DeserializeOwned,
        F: Fn(P) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T, E>> + Send + 'static,
        T: Serialize,
        E: fmt::Display,
    {
        let call = move |params: Box<RawValue>| -> PendingAnswer {
            match serde_json::from_str(params.get()) {
                Ok(params) => {
                    let answer = function(params);
                    Box::pin(async move {
                        let value = answer.await.map_err(|error| error.to_string())?;
                        to_raw_value(&value).map_err(|error| format!("not JSON: {error}"))
                    })
                }
                Err(error) => {
                    let text = format!("the parameters do not fit: {error}");
                    Box::pin(std::future::ready(Err(text)))
                }
            }
        };
        self.functions.insert(name.into(), Box::new(call));
        self
    }

    /// Sets the function that gets the text that a [`Program`](super::Program) prints, in order, in
    /// pieces of any size. It runs on the thread of the guest, so it must not block.
    pub fn on_print(mut self, function: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.on_print = Some(Box::new(function));
        self
    }

    /// Sets the function that gets the name and parameters of all other notifications. It runs on
    /// the thread of the guest, so it must not block.
    pub fn on_notify(mut self, function: impl Fn(&str, &RawValue) + Send + Sync + 'static) -> Self {
        self.on_notify = Some(Box::new(function));
        self
    }

    /// Sets the function that gets standard error while the task writes it, in order with what it
    /// prints; see [`HostCalls::stderr`]. It runs on the thread of the guest, so it must not block.
    pub fn on_stderr(mut self, function: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        self.on_stderr = Some(Box::new(function));
        self
    }
}

impl HostCalls for HostFunctions {
    fn call(&self, name: &str, params: Box<RawValue>) -> PendingAnswer {
        match self.functions.get(name) {
            Some(function) => function(params),
            None => Box::pin(std::future::ready(Err(METHOD_NOT_ALLOWED.into()))),
        }
    }

    fn notify(&self, name: &str, params: Box<RawValue>) {
        if let (STDOUT, Some(on_print)) = (name, &self.on_print) {
            // The guest is not trusted: drop parameters that are no text.
            if let Ok(text) = serde_json::from_str::<String>(params.get()) {
                on_print(&text);
            }
        } else if let Some(on_notify) = &self.on_notify {
            on_notify(name, &params);
        }
    }

    fn stderr(&self, bytes: &[u8]) {
        if let Some(on_stderr) = &self.on_stderr {
            on_stderr(bytes);
        }
    }
}

impl fmt::Debug for HostFunctions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostFunctions")
            .field("functions", &self.functions.keys())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    async fn answer(host: &HostFunctions, name: &str, params: &str) -> Result<String, String> {
        let params = RawValue::from_string(params.into()).unwrap();
        host.call(name, params).await.map(|value| value.get().to_owned())
    }

    #[tokio::test]
    async fn functions_are_called_by_name_and_answer_with_json() {
        let host = HostFunctions::new()
            .function("add", async |(a, b): (i64, i64)| Ok::<_, String>(a + b))
            .function("fail", async |(): ()| Err::<(), _>("no"));
        assert_eq!(answer(&host, "add", "[1, 2]").await.unwrap(), "3");
        assert_eq!(answer(&host, "fail", "null").await.unwrap_err(), "no");
        let error = answer(&host, "add", "[1]").await.unwrap_err();
        assert!(error.starts_with("the parameters do not fit: "), "{error}");
        assert_eq!(answer(&host, "sub", "[1, 2]").await.unwrap_err(), METHOD_NOT_ALLOWED);
    }

    #[test]
    fn prints_and_other_notifications_are_kept_apart() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (prints, others) = (seen.clone(), seen.clone());
        let host = HostFunctions::new()
            .on_print(move |text| prints.lock().unwrap().push(format!("print {text}")))
            .on_notify(move |name, params| others.lock().unwrap().push(format!("{name} {params}")));
        for (name, params) in [(STDOUT, r#""a\n""#), (STDOUT, "1"), ("x", "[1]")] {
            host.notify(name, RawValue::from_string(params.into()).unwrap());
        }
        assert_eq!(*seen.lock().unwrap(), ["print a\n", "x [1]"]);
    }
}
