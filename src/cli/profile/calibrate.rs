//! Measures the cost of each trace event, with small programs whose events are known, run with and
//! without tracing.

use std::sync::Arc;

use super::record::{Costs, Event, PerEvent, Recorder, Recording, Section};
use crate::{
    cli::harness::{Harness, Measure, SpanHost},
    protocol::{NodeMode, TaskSettings},
};

/// The costs could not be measured.
#[derive(Debug, thiserror::Error)]
#[error("the cost of tracing could not be measured: the guest did not run its program '{0}'")]
pub(crate) struct CalibrateError(&'static str);

/// Measures the costs of tracing in this image. They are the same in every run.
pub(crate) fn calibrate(harness: &Harness) -> anyhow::Result<Costs> {
    let items = serde_json::value::to_raw_value(&[(); 0])?;
    let settings = TaskSettings::new("pass", NodeMode::AllItems, items);
    let span = Arc::new(SpanHost::default());
    harness.run("calibration", &settings, Some(Measure::Span), span.clone())?;
    let known = costs(&record(harness, &settings, Measure::Calibrate, Costs::default())?.named)?;
    let span = i64::try_from(span.fuel()).unwrap_or(i64::MAX);
    let known = Costs { span, ..known };
    // The fuel that remains for an empty program is the fixed cost of tracing.
    let nothing = record(harness, &settings, Measure::Profile, known)?;
    let fixed = nothing.nodes.iter().map(|node| node.own).sum();
    Ok(Costs { fixed, ..known })
}

fn record(
    harness: &Harness,
    settings: &TaskSettings,
    measure: Measure,
    costs: Costs,
) -> anyhow::Result<Recording> {
    let recorder = Arc::new(Recorder::new(costs));
    harness.run("calibration", settings, Some(measure), recorder.clone())?;
    Ok(recorder.take())
}

/// The difference between a few rounds and many rounds of one calibration program.
struct RoundDifference {
    /// Units that tracing added.
    added: i64,
    events: PerEvent<i64>,
    laps: PerEvent<i64>,
    after: PerEvent<i64>,
}

impl RoundDifference {
    fn find(sections: &[Section], name: &'static str) -> Result<Self, CalibrateError> {
        let find = |kind: &str| {
            let mut found =
                sections.iter().filter(|section| section.name.0 == kind && section.name.1 == name);
            found.next().zip(found.next())
        };
        let (Some(plain), Some(watched)) = (find("plain"), find("watched")) else {
            return Err(CalibrateError(name));
        };
        // Fixed costs are in both, and cancel out in the difference.
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

    /// Returns the units left for the events whose cost is still unknown (0 in `costs`).
    fn rest(&self, costs: &PerEvent<i64>) -> i64 {
        self.added - self.events.iter().zip(costs).map(|(count, cost)| count * cost).sum::<i64>()
    }

    fn count(&self, event: Event) -> i64 {
        self.events[event as usize].max(1)
    }

    /// Returns the mean units from the previous event to this one. It is the cost of the event if
    /// almost no code runs between them.
    fn lap(&self, event: Event) -> i64 {
        self.laps[event as usize] / self.count(event)
    }
}

fn costs(sections: &[Section]) -> Result<Costs, CalibrateError> {
    let find = |name| RoundDifference::find(sections, name);
    let (lines, calls, yields) = (find("lines")?, find("calls")?, find("yields")?);
    let (raises, asides) = (find("raises")?, find("asides")?);
    let mut costs = PerEvent::default();
    costs[Event::Line as usize] = lines.added / lines.count(Event::Line);
    // No code runs between the start of a function and its first line. All events but lines have
    // the same tail.
    let tail = calls.after[Event::Start as usize] / calls.count(Event::Start)
        - costs[Event::Line as usize];
    // Events that come in pairs have only a known sum. The lap before the second one splits it.
    costs[Event::Return as usize] = calls.lap(Event::Return) + tail;
    costs[Event::Start as usize] = calls.rest(&costs) / calls.count(Event::Start);
    costs[Event::Yield as usize] = yields.lap(Event::Yield) + tail;
    costs[Event::Resume as usize] = yields.rest(&costs) / yields.count(Event::Resume);
    costs[Event::Unwind as usize] = raises.rest(&costs) / raises.count(Event::Unwind);
    costs[Event::Aside as usize] = asides.rest(&costs) / asides.count(Event::Aside);
    Ok(Costs { events: costs, tail, ..Costs::default() })
}
