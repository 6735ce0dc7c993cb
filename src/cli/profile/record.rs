//! Records the guest's trace events, and adds up the fuel of each line by call path.
//!
//! The guest notifies the host of each event by a name and a number. The sandbox adds the fuel
//! consumed so far. The fuel between two events belongs to the line that ran, less the cost of the
//! event itself. The events are not trusted: user code can forge them, and thereby only falsify its
//! own profile.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    cli::harness::refuse,
    sandbox::{HostCalls, PendingAnswer},
    sync::lock,
};

/// Most call paths that are kept apart. The fuel of further ones counts for their callers. This
/// bounds memory.
const MAX_NODES: usize = 1 << 19;
/// Deepest frame that is kept apart.
const MAX_DEPTH: usize = 1 << 16;
/// Most code objects that are kept apart.
const MAX_CODES: usize = 1 << 16;
/// Offset that the guest adds to every number, so that all have seven digits and cost the same to
/// write.
const FIRST: u32 = 1_000_000;
/// The node of everything outside the traced code.
pub(crate) const ROOT: usize = 0;

/// The kinds of trace events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Line,
    Start,
    Resume,
    Return,
    Yield,
    Unwind,
    /// An exception passed through code that is not traced.
    Aside,
}

/// One value per kind of event.
pub(crate) type PerEvent<T> = [T; 7];

/// Costs of tracing, in units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Costs {
    /// Of each kind of event.
    pub events: PerEvent<i64>,
    /// The part of an event's cost after its notification, which falls on the code that continues.
    /// Lines have none.
    pub tail: i64,
    /// Of one run of the program's code, marks included.
    pub span: i64,
    /// Fixed cost of tracing.
    pub fixed: i64,
}

/// A function, or the program's own body.
#[derive(Debug, Deserialize)]
pub(crate) struct Code {
    /// Its qualified name.
    pub name: String,
    /// Its first line.
    pub line: u32,
    /// It has only one line, and the guest sends no line events for it.
    #[serde(default)]
    single: bool,
    /// The line that ran last.
    #[serde(skip)]
    last_line: u32,
}

/// A line of a function, called by the line of the parent node.
#[derive(Debug)]
pub(crate) struct Node {
    pub parent: usize,
    /// The function's index.
    pub code: usize,
    pub line: u32,
    /// Units without callees. Negative if events cost less than their average.
    pub own: i64,
    /// Events whose cost was subtracted here.
    pub events: u64,
    /// Executions of the line.
    pub hits: u64,
    /// Calls of the function.
    pub calls: u64,
}

/// The trace between two marks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Section {
    /// Name and parameter of the mark that began it.
    pub name: (String, String),
    pub fuel: u64,
    pub events: PerEvent<u64>,
    /// Total units from the previous event to each event of a kind, the event's cost included.
    pub laps: PerEvent<u64>,
    /// Total units from each event of a kind to the next event.
    pub after: PerEvent<u64>,
}

/// The recorded events, aggregated.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    pub costs: Costs,
    pub codes: Vec<Code>,
    pub nodes: Vec<Node>,
    children: HashMap<(usize, usize, u32), usize>,
    /// The node of each frame, the root first. Empty outside a section.
    stack: Vec<usize>,
    /// Number of frames above the recorded stack.
    deeper: usize,
    /// Fuel at the last event.
    last: u64,
    /// The kind of the last event.
    before: Option<Event>,
    /// Fuel at the begin of the section.
    begun: u64,
    section: Section,
    /// The sections of calibration programs.
    pub named: Vec<Section>,
    /// The number of all sections.
    pub sections: u64,
    pub events: PerEvent<u64>,
}

impl Recording {
    fn new(costs: Costs) -> Self {
        let root =
            Node { parent: ROOT, code: usize::MAX, line: 0, own: 0, events: 0, hits: 0, calls: 0 };
        Self { costs, nodes: vec![root], ..Self::default() }
    }

    fn handle(&mut self, name: &str, params: &str, fuel: u64) {
        let number = || params.parse::<u32>().unwrap_or_default().saturating_sub(FIRST);
        match name {
            "line" => self.line(number(), fuel),
            "start" => self.push(number(), Event::Start, fuel),
            "resume" => self.push(number(), Event::Resume, fuel),
            "return" => self.pop(Event::Return, fuel),
            "yield" => self.pop(Event::Yield, fuel),
            "unwind" => self.pop(Event::Unwind, fuel),
            "aside" => {
                self.lap(Event::Aside, fuel);
            }
            "code" => self.define(params),
            "begin" | "plain" | "watched" => self.begin(name, params, fuel),
            "end" => self.end(fuel),
            _ => {}
        }
    }

    fn define(&mut self, text: &str) {
        if self.codes.len() < MAX_CODES
            && let Ok(code) = serde_json::from_str::<Code>(text)
        {
            self.codes.push(Code { last_line: code.line, ..code });
        }
    }

    fn begin(&mut self, name: &str, params: &str, fuel: u64) {
        self.stack = vec![ROOT];
        self.deeper = 0;
        (self.begun, self.last, self.before) = (fuel, fuel, None);
        self.section =
            Section { name: (name.into(), params.trim_matches('"').into()), ..Section::default() };
    }

    fn end(&mut self, fuel: u64) {
        let Some(top) = self.stack.pop() else { return };
        self.stack.clear();
        // Freeing the program's variables counts as the program's. The cost around it is the same
        // in every run.
        let before = std::mem::take(&mut self.nodes[ROOT].own) - self.tail();
        self.nodes[top].own +=
            i64::try_from(fuel - self.last).unwrap_or(i64::MAX) + before - self.costs.span;
        self.sections += 1;
        let mut section = std::mem::take(&mut self.section);
        section.fuel = fuel - self.begun;
        if section.name.0 != "begin" {
            self.named.push(section);
        }
    }

    /// Returns the units of the last event that come after its notification.
    fn tail(&self) -> i64 {
        self.before.map_or(0, |event| if event == Event::Line { 0 } else { self.costs.tail })
    }

    /// Attributes the fuel since the last event to the line that ran.
    fn lap(&mut self, event: Event, fuel: u64) -> Option<usize> {
        let top = *self.stack.last()?;
        let (kind, consumed, tail) = (event as usize, fuel - self.last, self.tail());
        if let Some(before) = self.before.replace(event) {
            self.section.after[before as usize] += consumed;
        }
        let cost = tail + self.costs.events[kind] - self.tail();
        self.nodes[top].own += i64::try_from(consumed).unwrap_or(i64::MAX) - cost;
        self.nodes[top].events += 1;
        self.section.events[kind] += 1;
        self.section.laps[kind] += consumed;
        self.events[kind] += 1;
        self.last = fuel;
        Some(top)
    }

    fn line(&mut self, line: u32, fuel: u64) {
        let Some(&top) = self.stack.last().filter(|_| self.deeper == 0) else {
            self.lap(Event::Line, fuel);
            return;
        };
        let (parent, code) = (self.nodes[top].parent, self.nodes[top].code);
        let Some(about) = self.codes.get_mut(code) else { return };
        about.last_line = line;
        self.lap(Event::Line, fuel);
        let node = self.child(parent, code, line);
        self.nodes[node].hits += 1;
        if let Some(top) = self.stack.last_mut() {
            *top = node;
        }
    }

    fn push(&mut self, code: u32, event: Event, fuel: u64) {
        let Some(top) = self.lap(event, fuel) else { return };
        let code = code as usize;
        let Some(about) =
            self.codes.get(code).filter(|_| self.stack.len() < MAX_DEPTH && self.deeper == 0)
        else {
            self.deeper += 1;
            return;
        };
        // A generator resumes in the line where it yielded.
        let line = if event == Event::Start { about.line } else { about.last_line };
        let (call, single) = (u64::from(event == Event::Start), u64::from(about.single));
        let node = self.child(top, code, line);
        self.nodes[node].calls += call;
        self.nodes[node].hits += call * single;
        self.stack.push(node);
    }

    fn pop(&mut self, event: Event, fuel: u64) {
        self.lap(event, fuel);
        if self.deeper > 0 {
            self.deeper -= 1;
        } else if self.stack.len() > 2 {
            // The outermost frame stays, for the code after it.
            self.stack.pop();
        }
    }

    /// Returns the node of a line called by `parent`, or `parent` if there are too many nodes.
    fn child(&mut self, parent: usize, code: usize, line: u32) -> usize {
        if let Some(&node) = self.children.get(&(parent, code, line)) {
            return node;
        }
        if self.nodes.len() >= MAX_NODES {
            return parent;
        }
        self.nodes.push(Node { parent, code, line, own: 0, events: 0, hits: 0, calls: 0 });
        self.children.insert((parent, code, line), self.nodes.len() - 1);
        self.nodes.len() - 1
    }
}

/// A host that records the guest's trace events.
#[derive(Debug)]
pub(crate) struct Recorder(Mutex<Recording>);

impl Recorder {
    /// Creates a recorder that subtracts these costs.
    pub(crate) fn new(costs: Costs) -> Self {
        Self(Mutex::new(Recording::new(costs)))
    }

    fn recording(&self) -> MutexGuard<'_, Recording> {
        lock(&self.0)
    }

    /// Takes the recording, and leaves an empty one.
    pub(crate) fn take(&self) -> Recording {
        std::mem::replace(&mut *self.recording(), Recording::new(Costs::default()))
    }
}

impl HostCalls for Recorder {
    fn call(&self, _name: &str, _params: Box<RawValue>) -> PendingAnswer {
        refuse()
    }

    fn notify_at(&self, name: &str, params: Box<RawValue>, fuel: u64) {
        self.recording().handle(name, params.get(), fuel);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn recorded(costs: Costs, events: &[(&str, &str, u64)]) -> Recording {
        let mut recording = Recording::new(costs);
        for (name, params, fuel) in events {
            recording.handle(name, params, *fuel);
        }
        recording
    }

    #[test]
    fn the_tail_of_an_event_is_subtracted_from_the_next_line() {
        let code = r#"{"name":"f","line":1}"#;
        let costs = Costs { events: [10; 7], tail: 4, ..Costs::default() };
        let events = [
            ("code", code, 0),
            ("begin", "0", 100),
            ("start", "1000000", 106),
            ("line", "1000002", 120),
            ("return", "0", 126),
            ("end", "0", 130),
        ];
        let own: Vec<_> =
            recorded(costs, &events).nodes.iter().map(|node| (node.line, node.own)).collect();
        assert_eq!(own, [(0, 0), (1, 0), (2, 0)]);
    }

    #[test]
    fn fuel_between_events_belongs_to_the_line_that_ran() {
        let code = |name: &str, line: u32| format!(r#"{{"name":"{name}","line":{line}}}"#);
        let (main, f) = (code("<module>", 1), code("f", 5));
        let recording = recorded(
            Costs { events: [10; 7], span: 4, ..Costs::default() },
            &[
                ("code", &main, 0),
                ("code", &f, 0),
                ("begin", "0", 100),
                ("start", "1000000", 110),
                ("line", "1000002", 120),
                ("start", "1000001", 150),
                ("line", "1000006", 165),
                ("return", "0", 200),
                ("line", "1000003", 212),
                ("return", "0", 223),
                ("end", "0", 230),
            ],
        );
        let own: Vec<_> =
            recording.nodes.iter().map(|node| (node.code, node.line, node.own)).collect();
        // The last line also gets the fuel around the program: 0 units before, 7 after, less the
        // cost of 4.
        assert_eq!(own[1..], [(0, 1, 0), (0, 2, 22), (1, 5, 5), (1, 6, 25), (0, 3, 4)]);
        assert_eq!(recording.nodes[4].parent, 2, "line 6 was called by line 2");
    }

    proptest! {
        #[test]
        fn no_event_of_a_guest_causes_a_panic(
            events in prop::collection::vec((0..10usize, "[0-9]{1,3}|100000[0-9]|\\PC{0,5}", 0..1000u64), 0..200)
        ) {
            const NAMES: [&str; 10] =
                ["line", "start", "resume", "return", "yield", "unwind", "code", "begin", "end", "other"];
            let mut recording = Recording::new(Costs { events: [3; 7], span: 9, ..Costs::default() });
            let mut fuel = 0;
            for (name, params, more) in events {
                fuel += more;
                recording.handle(NAMES[name], &params, fuel);
            }
        }
    }
}
