//! The host's addition to a task's settings: import policy, environment, time zone.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::sandbox::TaskFiles;

/// Built-ins that n8n's own runner denies by default (`N8N_RUNNERS_BUILTINS_DENY`).
const DENIED_BY_N8N: &str = "eval,exec,compile,open,input,breakpoint,getattr,object,type,vars,\
                             setattr,delattr,hasattr,dir,memoryview,__build_class__,globals,locals,\
                             license,help,credits,copyright";

/// Imports and built-ins available to user code: the lists of n8n's runner. A list that is `None`
/// allows everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// Importable modules of the standard library. `*` alone: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdlib_allow: Option<BTreeSet<String>>,
    /// Importable other packages. `*` alone: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_allow: Option<BTreeSet<String>>,
    /// Removed built-ins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtins_deny: Option<BTreeSet<String>>,
    /// Whether an allowed package may import modules that no list allows. The standard library
    /// always may.
    #[serde(default)]
    pub allow_transitive_imports: bool,
}

impl Policy {
    /// Returns the default of n8n's own runner: no imports, 22 built-ins removed.
    pub fn n8n() -> Self {
        Self {
            stdlib_allow: Some(BTreeSet::new()),
            external_allow: Some(BTreeSet::new()),
            builtins_deny: Some(DENIED_BY_N8N.split(',').map(str::to_owned).collect()),
            allow_transitive_imports: false,
        }
    }

    /// Returns the policy, or `None` if it allows everything.
    pub fn limiting(self) -> Option<Self> {
        let allows_all = |list: &Option<BTreeSet<String>>| {
            list.as_ref().is_none_or(|names| names.len() == 1 && names.contains("*"))
        };
        let denies = self.builtins_deny.as_ref().is_some_and(|names| !names.is_empty());
        let limits = denies || !allows_all(&self.stdlib_allow) || !allows_all(&self.external_allow);
        limits.then_some(self)
    }
}

/// The reserved field `serpentarium` of a task's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HostSettings {
    /// Imports and built-ins. `None`: everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Contents of `os.environ`. `None`: empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// IANA name of the time zone of workflows without one. `None`: n8n's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Zone of local time: an IANA name or a POSIX rule (`TZ`). `None`: UTC.
    #[serde(rename = "localTimezone", skip_serializing_if = "Option::is_none")]
    pub local_timezone: Option<String>,
    /// Limit of concurrent host calls. `None`: the guest's default, 1,000.
    #[serde(rename = "callsInFlight", skip_serializing_if = "Option::is_none")]
    pub calls_in_flight: Option<u32>,
    /// Whether the value of a last expression is returned, as in a notebook. Code that has a
    /// `return` outside functions runs unchanged.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub last: bool,
    /// Limit of the bytes of files ([`Limits::file_bytes`](field@crate::sandbox::Limits::file_bytes)).
    /// `None`: the task's memory.
    #[serde(rename = "fileBytes", skip_serializing_if = "Option::is_none")]
    pub file_bytes: Option<u64>,
    /// Files that the task gets, and directories whose files it hands back. The job must accept
    /// those ([`Job::out`](crate::sandbox::Job::out)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<TaskFiles>,
}

/// Serialised [`HostSettings`]: made once, appended to the settings of every task.
#[derive(Debug, Clone, Default)]
pub struct Addition(Option<String>);

impl Addition {
    /// Serialises the settings.
    ///
    /// # Errors
    /// Never in practice: every field serialises.
    pub fn new(host: &HostSettings) -> Result<Self, serde_json::Error> {
        if *host == HostSettings::default() {
            return Ok(Self(None));
        }
        let text = serde_json::to_string(host)?;
        Ok(Self(Some(format!("\"serpentarium\":{text}}}"))))
    }

    /// Appends the field to `settings`, a JSON object.
    ///
    /// The last member of a name counts in Python's `json`, so a task cannot override the field.
    pub fn apply(&self, settings: Bytes) -> Bytes {
        let Some(addition) = &self.0 else {
            return settings;
        };
        let Some(open) = settings.trim_ascii_end().strip_suffix(b"}") else {
            // Not an object. `ReceivedSettings::checked` refuses it before, the guest after.
            return settings;
        };
        let comma: &[u8] = if open.trim_ascii_end().len() > 1 { b"," } else { b"" };
        Bytes::from([open, comma, addition.as_bytes()].concat())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn added(settings: &str) -> Value {
        let policy = Policy { stdlib_allow: Some(["json".into()].into()), ..Policy::default() };
        let addition =
            Addition::new(&HostSettings { policy: Some(policy), ..HostSettings::default() })
                .unwrap();
        serde_json::from_slice(&addition.apply(Bytes::copy_from_slice(settings.as_bytes())))
            .unwrap()
    }

    #[test]
    fn the_hosts_settings_are_appended_to_any_object() {
        let policy =
            json!({ "policy": { "stdlibAllow": ["json"], "allowTransitiveImports": false } });
        assert_eq!(added("{}"), json!({ "serpentarium": policy }));
        assert_eq!(added("{ }\n"), json!({ "serpentarium": policy }));
        assert_eq!(added(r#"{"code":"}"} "#), json!({ "code": "}", "serpentarium": policy }));
    }

    #[test]
    fn a_field_of_the_same_name_is_overridden() {
        assert!(added(r#"{"serpentarium":{"policy":null}}"#)["serpentarium"]["policy"].is_object());
    }

    #[test]
    fn default_settings_append_nothing() {
        let addition = Addition::new(&HostSettings::default()).unwrap();
        assert_eq!(addition.apply("{}".into()), "{}");
        assert_eq!(Policy::default().limiting(), None);
        assert!(Policy::n8n().limiting().is_some());
        let all = Some(BTreeSet::from(["*".to_owned()]));
        let open = Policy { stdlib_allow: all.clone(), external_allow: all, ..Policy::default() };
        assert_eq!(open.clone().limiting(), None);
        let denies_nothing =
            Policy { external_allow: None, builtins_deny: Some(BTreeSet::new()), ..open.clone() };
        assert_eq!(denies_nothing.limiting(), None);
        assert!(
            Policy { external_allow: Some(BTreeSet::new()), ..open.clone() }.limiting().is_some()
        );
        assert!(
            Policy { builtins_deny: Some(["eval".into()].into()), ..open }.limiting().is_some()
        );
    }

    #[test]
    fn n8ns_defaults_allow_no_import_and_deny_its_list() {
        let policy = Policy::n8n();
        assert_eq!(policy.stdlib_allow, Some(BTreeSet::new()));
        let denied = policy.builtins_deny.unwrap();
        assert_eq!(denied.len(), 22);
        assert!(["eval", "__build_class__", "copyright"].iter().all(|name| denied.contains(*name)));
    }
}
