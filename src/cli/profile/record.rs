//! Hears what the guest does, event by event, and adds up what each line burnt, by the calls that led there.
//!
//! The guest tells every event by a word and a number, and with each comes the fuel burnt so far. What lies between two
//! events belongs to the line that was running, less the cost of the event itself. None of it is trusted: user code can tell
//! the host whatever it likes, and only spoils its own profile.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    cli::ruler::refuse,
    sandbox::{HostCalls, PendingAnswer},
    sync::lock,
};

/// Places, each with the calls that led there, that are told apart; what comes beyond counts for its caller.
const MAX_NODES: usize = 1 << 19;
/// Frames that are told apart.
const MAX_DEPTH: usize = 1 << 16;
/// Code objects that are told apart.
const MAX_CODES: usize = 1 << 16;
/// What the guest adds to every number, so that all are told with the same effort.
const FIRST: u32 = 1_000_000;
/// The node of everything outside of the watched code.
pub(crate) const ROOT: usize = 0;

/// What the guest can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Line,
    Start,
    Resume,
    Return,
    Yield,
    Unwind,
    /// An exception went through code that is not watched.
    Aside,
}

/// Something for each event.
pub(crate) type PerEvent<T> = [T; 7];

/// What measuring costs, in units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Costs {
    /// Each event.
    pub events: PerEvent<i64>,
    /// Of that, what comes after the message, and so upon the code that goes on. A line's mark has no such part.
    pub tail: i64,
    /// All around one run of the program's code, its marks included.
    pub span: i64,
    /// Once, beside the events.
    pub watching: i64,
}

/// A function, or the program's own body.
#[derive(Debug, Deserialize)]
pub(crate) struct Code {
    /// As Python qualifies it.
    pub name: String,
    /// Its first line.
    pub line: u32,
    /// It has no other line, and none is told.
    #[serde(default)]
    single: bool,
    /// The line that ran last.
    #[serde(skip)]
    last_line: u32,
}

/// A line, in a function, called by the line of the parent node.
#[derive(Debug)]
pub(crate) struct Node {
    pub parent: usize,
    /// The function's index.
    pub code: usize,
    pub line: u32,
    /// Units burnt here, without what the calls burnt that it made. Below zero where an event cost less than most.
    pub own: i64,
    /// Events whose cost was taken off here.
    pub events: u64,
    /// How often the line began.
    pub hits: u64,
    /// How often the function was called.
    pub calls: u64,
}

/// A stretch between two marks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stretch {
    /// The mark that began it: a word and a parameter.
    pub name: (String, String),
    pub fuel: u64,
    pub events: PerEvent<u64>,
    /// Units between the event before and each event of a kind, with the event's cost, in all.
    pub laps: PerEvent<u64>,
    /// Units from each event of a kind to the event after.
    pub after: PerEvent<u64>,
}

/// All that was heard.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    pub costs: Costs,
    pub codes: Vec<Code>,
    pub nodes: Vec<Node>,
    children: HashMap<(usize, usize, u32), usize>,
    /// The node of each frame, the root first; empty outside of a stretch.
    stack: Vec<usize>,
    /// Frames beyond those on the stack.
    deeper: usize,
    /// Fuel at the last event, and what that was.
    last: u64,
    before: Option<Event>,
    begun: u64,
    stretch: Stretch,
    /// The stretches that have a name.
    pub named: Vec<Stretch>,
    /// Stretches in all.
    pub stretches: u64,
    pub events: PerEvent<u64>,
}

impl Recording {
    fn new(costs: Costs) -> Self {
        let root =
            Node { parent: ROOT, code: usize::MAX, line: 0, own: 0, events: 0, hits: 0, calls: 0 };
        Self { costs, nodes: vec![root], ..Self::default() }
    }

    fn hear(&mut self, name: &str, params: &str, fuel: u64) {
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
        self.stretch =
            Stretch { name: (name.into(), params.trim_matches('"').into()), ..Stretch::default() };
    }

    fn end(&mut self, fuel: u64) {
        let Some(top) = self.stack.pop() else { return };
        self.stack.clear();
        // To free what its variables held is the program's, too. All around it is the same every time.
        let before = std::mem::take(&mut self.nodes[ROOT].own) - self.tail();
        self.nodes[top].own +=
            i64::try_from(fuel - self.last).unwrap_or(i64::MAX) + before - self.costs.span;
        self.stretches += 1;
        let mut stretch = std::mem::take(&mut self.stretch);
        stretch.fuel = fuel - self.begun;
        if stretch.name.0 != "begin" {
            self.named.push(stretch);
        }
    }

    /// What the last event still costs after its message.
    fn tail(&self) -> i64 {
        self.before.map_or(0, |event| if event == Event::Line { 0 } else { self.costs.tail })
    }

    /// Gives what was burnt since the last event to the line that was running.
    fn lap(&mut self, event: Event, fuel: u64) -> Option<usize> {
        let top = *self.stack.last()?;
        let (kind, burnt, tail) = (event as usize, fuel - self.last, self.tail());
        if let Some(before) = self.before.replace(event) {
            self.stretch.after[before as usize] += burnt;
        }
        let cost = tail + self.costs.events[kind] - self.tail();
        self.nodes[top].own += i64::try_from(burnt).unwrap_or(i64::MAX) - cost;
        self.nodes[top].events += 1;
        self.stretch.events[kind] += 1;
        self.stretch.laps[kind] += burnt;
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
        // A generator goes on in the line where it stopped.
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
            // The outermost stays, for what comes after it.
            self.stack.pop();
        }
    }

    /// The node of a line below another; the other itself where there are too many.
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

/// A host that records what the guest does.
#[derive(Debug)]
pub(crate) struct Recorder(Mutex<Recording>);

impl Recorder {
    /// Takes these costs off, one for each event.
    pub(crate) fn new(costs: Costs) -> Self {
        Self(Mutex::new(Recording::new(costs)))
    }

    fn recording(&self) -> MutexGuard<'_, Recording> {
        lock(&self.0)
    }

    /// What was recorded so far; nothing is kept.
    pub(crate) fn take(&self) -> Recording {
        std::mem::replace(&mut *self.recording(), Recording::new(Costs::default()))
    }
}

impl HostCalls for Recorder {
    fn call(&self, _name: &str, _params: Box<RawValue>) -> PendingAnswer {
        refuse()
    }

    fn tell(&self, _name: &str, _params: Box<RawValue>) {}

    fn tell_at(&self, name: &str, params: Box<RawValue>, fuel: u64) {
        self.recording().hear(name, params.get(), fuel);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heard(costs: Costs, events: &[(&str, &str, u64)]) -> Recording {
        let mut recording = Recording::new(costs);
        for (name, params, fuel) in events {
            recording.hear(name, params, *fuel);
        }
        recording
    }

    #[test]
    fn what_an_event_costs_after_its_message_is_taken_off_the_code_that_goes_on() {
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
            heard(costs, &events).nodes.iter().map(|node| (node.line, node.own)).collect();
        assert_eq!(own, [(0, 0), (1, 0), (2, 0)]);
    }

    #[test]
    fn what_lies_between_two_events_belongs_to_the_line_that_ran_less_the_events_cost() {
        let code = |name: &str, line: u32| format!(r#"{{"name":"{name}","line":{line}}}"#);
        let (main, f) = (code("<module>", 1), code("f", 5));
        let recording = heard(
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
        // The last line has all that is around the program, too: nothing before, 7 units after, less 4.
        assert_eq!(own[1..], [(0, 1, 0), (0, 2, 22), (1, 5, 5), (1, 6, 25), (0, 3, 4)]);
        assert_eq!(recording.nodes[4].parent, 2, "line 6 was called by line 2");
    }

    proptest! {
        #[test]
        fn nothing_that_a_guest_tells_makes_it_panic(
            events in prop::collection::vec((0..10usize, "[0-9]{1,3}|100000[0-9]|\\PC{0,5}", 0..1000u64), 0..200)
        ) {
            const NAMES: [&str; 10] =
                ["line", "start", "resume", "return", "yield", "unwind", "code", "begin", "end", "other"];
            let mut recording = Recording::new(Costs { events: [3; 7], span: 9, ..Costs::default() });
            let mut fuel = 0;
            for (name, params, more) in events {
                fuel += more;
                recording.hear(NAMES[name], &params, fuel);
            }
        }
    }
}
