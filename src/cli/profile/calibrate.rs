//! What an event costs: from small programs of known events, run without and with being watched.

use std::sync::Arc;

use super::record::{Costs, Event, PerEvent, Recorder, Recording, Stretch};
use crate::{
    cli::ruler::{Measure, Ruler, Span},
    protocol::{NodeMode, TaskSettings},
};

/// Why the costs are not known.
#[derive(Debug, thiserror::Error)]
#[error("the cost of measuring could not be found out: the guest did not run its program '{0}'")]
pub(crate) struct CalibrateError(&'static str);

/// Finds out what measuring costs in this image: the same every time.
pub(crate) fn calibrate(ruler: &Ruler) -> anyhow::Result<Costs> {
    let items = serde_json::value::to_raw_value(&[(); 0])?;
    let settings = TaskSettings::new("pass", NodeMode::AllItems, items);
    let span = Arc::new(Span::default());
    ruler.run("calibration", &settings, Some(Measure::Span), span.clone())?;
    let known = costs(&record(ruler, &settings, Measure::Calibrate, Costs::default())?.named)?;
    let span = i64::try_from(span.fuel()).unwrap_or(i64::MAX);
    let known = Costs { span, ..known };
    // What is left of nothing is what watching costs by itself.
    let nothing = record(ruler, &settings, Measure::Profile, known)?;
    let watching = nothing.nodes.iter().map(|node| node.own).sum();
    Ok(Costs { watching, ..known })
}

fn record(
    ruler: &Ruler,
    settings: &TaskSettings,
    measure: Measure,
    costs: Costs,
) -> anyhow::Result<Recording> {
    let recorder = Arc::new(Recorder::new(costs));
    ruler.run("calibration", settings, Some(measure), recorder.clone())?;
    Ok(recorder.take())
}

/// What one program says of so many rounds.
struct Program {
    /// Units that watching added.
    added: i64,
    events: PerEvent<i64>,
    laps: PerEvent<i64>,
    after: PerEvent<i64>,
}

impl Program {
    fn find(stretches: &[Stretch], name: &'static str) -> Result<Self, CalibrateError> {
        let find = |kind: &str| {
            let mut found =
                stretches.iter().filter(|stretch| stretch.name.0 == kind && stretch.name.1 == name);
            found.next().zip(found.next())
        };
        let (Some(plain), Some(watched)) = (find("plain"), find("watched")) else {
            return Err(CalibrateError(name));
        };
        // What happens once for all rounds is in both, and not in the difference.
        let more = |one: u64, two: u64| two as i64 - one as i64;
        let each = |one: &PerEvent<u64>, two: &PerEvent<u64>| {
            std::array::from_fn(|at| more(one[at], two[at]))
        };
        Ok(Self {
            added: more(watched.0.fuel, watched.1.fuel) - more(plain.0.fuel, plain.1.fuel),
            events: each(&watched.0.events, &watched.1.events),
            laps: each(&watched.0.laps, &watched.1.laps),
            after: each(&watched.0.after, &watched.1.after),
        })
    }

    /// What is left for events whose cost is not known yet.
    fn rest(&self, costs: &PerEvent<i64>) -> i64 {
        self.added - self.events.iter().zip(costs).map(|(count, cost)| count * cost).sum::<i64>()
    }

    fn count(&self, event: Event) -> i64 {
        self.events[event as usize].max(1)
    }

    /// Units from the event before to this one, on average: where next to nothing lies between them, that is its cost.
    fn lap(&self, event: Event) -> i64 {
        self.laps[event as usize] / self.count(event)
    }
}

fn costs(stretches: &[Stretch]) -> Result<Costs, CalibrateError> {
    let find = |name| Program::find(stretches, name);
    let (lines, calls, yields) = (find("lines")?, find("calls")?, find("yields")?);
    let (raises, asides) = (find("raises")?, find("asides")?);
    let mut costs = PerEvent::default();
    costs[Event::Line as usize] = lines.added / lines.count(Event::Line);
    // Nothing lies between a function's start and its first line. All events but lines end in the same way.
    let tail = calls.after[Event::Start as usize] / calls.count(Event::Start)
        - costs[Event::Line as usize];
    // What comes in pairs is shared out by what lies before the second.
    costs[Event::Return as usize] = calls.lap(Event::Return) + tail;
    costs[Event::Start as usize] = calls.rest(&costs) / calls.count(Event::Start);
    costs[Event::Yield as usize] = yields.lap(Event::Yield) + tail;
    costs[Event::Resume as usize] = yields.rest(&costs) / yields.count(Event::Resume);
    costs[Event::Unwind as usize] = raises.rest(&costs) / raises.count(Event::Unwind);
    costs[Event::Aside as usize] = asides.rest(&costs) / asides.count(Event::Aside);
    Ok(Costs { events: costs, tail, ..Costs::default() })
}
