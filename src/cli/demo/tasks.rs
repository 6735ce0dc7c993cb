//! The tasks of the demo, with the code, the input and the expected result of each.

use serde_json::value::RawValue;

use crate::protocol::{NodeMode, TaskSettings};

/// One task of the demo.
pub(crate) struct DemoTask {
    pub(crate) name: &'static str,
    /// The description that the table shows.
    pub(crate) shows: &'static str,
    code: &'static str,
    mode: NodeMode,
    /// The input items, a JSON list.
    items: &'static str,
    /// The expected prints, in order.
    pub(crate) prints: &'static [&'static str],
    pub(crate) expect: Expect,
}

/// How a task must end.
pub(crate) enum Expect {
    /// With this result, JSON text.
    Result(&'static str),
    /// With an error whose message contains `text`, at this line of the code. `None`: the error has
    /// no line.
    Error { text: &'static str, line: Option<u64> },
}

impl DemoTask {
    /// Returns the settings, as n8n sends them.
    pub(crate) fn settings(&self) -> Result<Box<RawValue>, serde_json::Error> {
        let settings = TaskSettings {
            workflow_name: "Demo".into(),
            node_name: self.name.into(),
            ..TaskSettings::new(self.code, self.mode, serde_json::from_str(self.items)?)
        };
        serde_json::value::to_raw_value(&settings)
    }
}

/// The tasks, in order.
pub(crate) const TASKS: &[DemoTask] = &[
    DemoTask {
        name: "sales",
        shows: "All items at once: totals by region, in exact decimals",
        code: include_str!("sales.py"),
        mode: NodeMode::AllItems,
        items: r#"[
            {"json": {"region": "North", "amount": "19.90"}},
            {"json": {"region": "South", "amount": "5.25"}},
            {"json": {"region": "North", "amount": "0.20"}},
            {"json": {"region": "South", "amount": "100.00"}}
        ]"#,
        prints: &[],
        expect: Expect::Result(
            r#"[{"json": {"region": "North", "total": "20.10"}}, {"json": {"region": "South", "total": "105.25"}},
                {"json": {"median": "12.575"}}]"#,
        ),
    },
    DemoTask {
        name: "contacts",
        shows: "Each item by itself: cleaned, paired with its input, dropped by returning None",
        code: include_str!("contacts.py"),
        mode: NodeMode::EachItem,
        items: r#"[
            {"json": {"email": " Ada@Example.COM ", "signed_up": "10.12.2025"}},
            {"json": {"email": "not an address", "signed_up": "11.12.2025"}},
            {"json": {"email": "grace@example.com", "signed_up": "09.01.2026"}}
        ]"#,
        prints: &[],
        expect: Expect::Result(
            r#"[{"json": {"email": "ada@example.com", "signed_up": "2025-12-10"}, "pairedItem": {"item": 0}},
                {"json": {"email": "grace@example.com", "signed_up": "2026-01-09"}, "pairedItem": {"item": 2}}]"#,
        ),
    },
    DemoTask {
        name: "printing",
        shows: "print(), as it happens",
        code: include_str!("printing.py"),
        mode: NodeMode::AllItems,
        items: r#"[{"json": {"city": "Bern"}}, {"json": {"city": "Zürich"}}]"#,
        prints: &["rows: 2", r#"{"city": "Bern"}"#, r#"{"city": "Zürich"}"#],
        expect: Expect::Result("[]"),
    },
    DemoTask {
        name: "time zones",
        shows: "Unicode, and the time zones of the world",
        code: include_str!("time_zones.py"),
        mode: NodeMode::AllItems,
        items: "[]",
        prints: &[],
        expect: Expect::Result(
            r#"[{"json": {"city": "Zürich", "time": "2026-03-29T03:30:00+02:00"}},
                {"json": {"city": "東京", "time": "2026-03-29T10:30:00+09:00"}},
                {"json": {"city": "São Paulo 🐍", "time": "2026-03-28T22:30:00-03:00"}}]"#,
        ),
    },
    DemoTask {
        name: "exception",
        shows: "An exception, with the line of the code that raised it",
        code: include_str!("exception.py"),
        mode: NodeMode::AllItems,
        items: r#"[{"json": {"price": "9.90", "pieces": 3}}, {"json": {"price": "4.00", "pieces": 0}}]"#,
        prints: &[],
        expect: Expect::Error { text: "division by zero", line: Some(2) },
    },
    DemoTask {
        name: "syntax error",
        shows: "Code that does not compile",
        code: include_str!("syntax_error.py"),
        mode: NodeMode::AllItems,
        items: "[]",
        prints: &[],
        expect: Expect::Error { text: "expected ':'", line: Some(2) },
    },
    DemoTask {
        name: "endless loop",
        shows: "A loop without an end, stopped at its fuel limit",
        code: include_str!("endless_loop.py"),
        mode: NodeMode::AllItems,
        items: "[]",
        prints: &[],
        expect: Expect::Error { text: "ran out of fuel", line: None },
    },
    DemoTask {
        name: "memory bomb",
        shows: "A list that grows without end, stopped at its memory limit",
        code: include_str!("memory_bomb.py"),
        mode: NodeMode::AllItems,
        items: "[]",
        prints: &[],
        expect: Expect::Error { text: "MemoryError", line: Some(3) },
    },
    DemoTask {
        name: "secrets",
        shows: "A search of the machine: none of its files, no environment, no shell",
        code: include_str!("secrets.py"),
        mode: NodeMode::AllItems,
        items: "[]",
        prints: &[],
        expect: Expect::Result(
            r#"{"/etc/passwd": "FileNotFoundError", "files in /home": ["task"], "environment": {},
                "a shell": "OSError"}"#,
        ),
    },
    DemoTask {
        name: "network",
        shows: "An attempt to connect: there are no sockets",
        code: include_str!("network.py"),
        mode: NodeMode::AllItems,
        items: "[]",
        prints: &[],
        expect: Expect::Error { text: "this sandbox has no sockets", line: Some(3) },
    },
    DemoTask {
        name: "native code",
        shows: "A module that the sandbox does not have",
        code: include_str!("native_code.py"),
        mode: NodeMode::AllItems,
        items: "[]",
        prints: &[],
        expect: Expect::Error { text: "No module named 'ctypes'", line: Some(1) },
    },
    DemoTask {
        name: "leave a trace",
        shows: "A task that leaves something in the interpreter …",
        code: include_str!("left_over.py"),
        mode: NodeMode::AllItems,
        items: "[]",
        prints: &[],
        expect: Expect::Result(r#""nothing""#),
    },
    DemoTask {
        name: "find the trace",
        shows: "… which the next task does not find: its Python is a fresh one",
        code: include_str!("left_over.py"),
        mode: NodeMode::AllItems,
        items: "[]",
        prints: &[],
        expect: Expect::Result(r#""nothing""#),
    },
];
