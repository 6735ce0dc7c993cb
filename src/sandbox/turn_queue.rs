//! Chooses which guest of a sandbox may run: start-time fair queueing (Goyal, Vin and Cheng, 1996)
//! by the time that each step of a guest took.
//!
//! Each guest has a tag: the time that it has run, from the virtual time at which it became ready. A
//! guest whose tag is more than one [`SLICE`] above that of another ready guest passes its turn. So
//! a step of k slices costs k turns while others are ready, and nothing while none is.

use std::{collections::BTreeMap, time::Duration};

/// One turn. A step of a computing guest takes less, by
/// [`YIELD_INTERVAL`](super::state::YIELD_INTERVAL).
pub(crate) const SLICE: Duration = Duration::from_millis(1);

/// The longest step that counts in full: more than any operation within 4 GiB of memory takes. The
/// machine may have been suspended during a longer one.
const LONGEST: Duration = Duration::from_secs(10);

/// Turns that a guest passes for another one that is not polled meanwhile. Its owner keeps it
/// without polling it, or the runtime's queue of remote wake-ups holds it: tokio looks there every
/// 31 polls.
const PATIENCE: u32 = 64;

/// The guests of one sandbox. Times are nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct TurnQueue {
    members: BTreeMap<u64, Member>,
    /// Tag and id of each member that is [`State::Ready`], in order.
    ready: Vec<(u64, u64)>,
    /// The tag at which a guest begins when it becomes ready.
    now: u64,
    /// Polls of all members so far.
    polls: u64,
    next: u64,
}

#[derive(Debug)]
struct Member {
    tag: u64,
    state: State,
    /// True if the member was woken while it ran.
    woken: bool,
    /// Value of `polls` when the member became ready or was polled last.
    seen: u64,
    /// Turns passed in a row, and the value of `polls` before the first of them.
    passed: u32,
    passing_since: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Waits for something else than its turn. A ready member that no one polls counts as waiting.
    Waiting,
    Ready,
    Running,
}

impl TurnQueue {
    /// Adds a guest, without debt; returns its id.
    pub(crate) fn join(&mut self) -> u64 {
        self.next += 1;
        let member = Member {
            tag: self.now,
            state: State::Waiting,
            woken: false,
            seen: self.polls,
            passed: 0,
            passing_since: 0,
        };
        self.members.insert(self.next, member);
        self.next
    }

    /// Removes a guest, whatever it does.
    pub(crate) fn leave(&mut self, id: u64) {
        if let Some(member) = self.members.remove(&id) {
            remove(&mut self.ready, (member.tag, id));
        }
    }

    /// Notes that a guest has something to do.
    pub(crate) fn wake(&mut self, id: u64) {
        match self.members.get_mut(&id) {
            Some(member) if member.state == State::Running => member.woken = true,
            Some(member) if member.state == State::Waiting => {
                member.state = State::Ready;
                member.tag = member.tag.max(self.now);
                member.seen = self.polls;
                insert(&mut self.ready, (member.tag, id));
            }
            _ => {}
        }
    }

    /// Returns whether a polled guest may run now. If not, it must be polled again soon.
    pub(crate) fn begin(&mut self, id: u64) -> bool {
        self.wake(id);
        self.polls += 1;
        let Some(member) = self.members.get_mut(&id) else { return true };
        member.seen = self.polls;
        let tag = member.tag;
        if self.is_behind_another(id, tag) {
            return false;
        }
        remove(&mut self.ready, (tag, id));
        let first = self.ready.first().map_or(tag, |(first, _)| tag.min(*first));
        self.now = self.now.max(first);
        if let Some(member) = self.members.get_mut(&id) {
            (member.state, member.woken, member.passed) = (State::Running, false, 0);
        }
        true
    }

    /// Notes that a guest's step took this long.
    pub(crate) fn end(&mut self, id: u64, took: Duration) {
        let took = u64::try_from(took.min(LONGEST).as_nanos()).unwrap_or(u64::MAX);
        // Short tasks that arrive all the time begin at `now`. It advances with them, or a guest
        // with a debt would wait for ever.
        let sharing = self.ready.len() as u64 + 1;
        self.now = self.now.saturating_add(took.min(SLICE.as_nanos() as u64) / sharing);
        let Some(member) = self.members.get_mut(&id) else { return };
        member.tag = member.tag.saturating_add(took);
        member.state = State::Waiting;
        if member.woken {
            member.state = State::Ready;
            insert(&mut self.ready, (member.tag, id));
        }
    }

    /// Returns whether a guest must let another one run first.
    fn is_behind_another(&mut self, id: u64, tag: u64) -> bool {
        let limit = tag.saturating_sub(SLICE.as_nanos() as u64);
        let is_behind =
            |ready: &[(u64, u64)]| ready.first().is_some_and(|(first, _)| *first < limit);
        if !is_behind(&self.ready) {
            return false;
        }
        let polls = self.polls;
        let Some(member) = self.members.get_mut(&id) else { return false };
        if member.passed == 0 {
            member.passing_since = polls;
        }
        member.passed += 1;
        if member.passed > PATIENCE {
            member.passed = 0;
            let since = member.passing_since;
            self.forget_unpolled(limit, since);
        }
        is_behind(&self.ready)
    }

    /// Counts the ready members below `limit` that no one has polled `since` as waiting.
    fn forget_unpolled(&mut self, limit: u64, since: u64) {
        let members = &mut self.members;
        self.ready.retain(|(tag, id)| match members.get_mut(id) {
            Some(member) if *tag < limit && member.seen < since => {
                member.state = State::Waiting;
                false
            }
            _ => true,
        });
    }
}

fn insert(ready: &mut Vec<(u64, u64)>, entry: (u64, u64)) {
    ready.insert(ready.partition_point(|other| *other < entry), entry);
}

fn remove(ready: &mut Vec<(u64, u64)>, entry: (u64, u64)) {
    if let Ok(index) = ready.binary_search(&entry) {
        ready.remove(index);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, VecDeque};

    use super::*;

    const fn slices(count: u32) -> Duration {
        SLICE.saturating_mul(count)
    }

    /// A runtime with one thread and a fake clock: polls the ready guests in the order in which
    /// they were woken.
    #[derive(Default)]
    struct Runtime {
        queue: TurnQueue,
        woken: VecDeque<u64>,
        /// Duration of each guest's steps, and its time so far.
        guests: HashMap<u64, (Duration, Duration)>,
        /// The longest row of polls in which no guest ran.
        idle: u32,
    }

    impl Runtime {
        fn spawn(&mut self, step: Duration) -> u64 {
            let id = self.queue.join();
            self.guests.insert(id, (step, Duration::ZERO));
            self.woken.push_back(id);
            id
        }

        /// Polls until this much time has passed.
        fn run(&mut self, time: Duration) {
            let (mut elapsed, mut passes) = (Duration::ZERO, 0);
            while elapsed < time {
                let id = self.woken.pop_front().expect("a guest is ready");
                let (step, ran) = self.guests.get_mut(&id).expect("the guest exists");
                if self.queue.begin(id) {
                    *ran += *step;
                    elapsed += *step;
                    passes = 0;
                    // It yields: it wakes itself while it runs.
                    self.queue.wake(id);
                    self.queue.end(id, *step);
                } else {
                    passes += 1;
                    self.idle = self.idle.max(passes);
                }
                self.woken.push_back(id);
            }
        }

        fn ran(&self, id: u64) -> Duration {
            self.guests[&id].1
        }
    }

    #[test]
    fn a_step_of_many_slices_costs_as_many_turns() {
        let mut runtime = Runtime::default();
        let large = runtime.spawn(slices(80));
        runtime.run(slices(80));
        let small = runtime.spawn(SLICE);
        runtime.run(slices(80));
        // The runtime polls the large guest first: nothing is known yet of the other one.
        assert_eq!((runtime.ran(large), runtime.ran(small)), (slices(160), Duration::ZERO));
        runtime.run(slices(78));
        assert_eq!((runtime.ran(large), runtime.ran(small)), (slices(160), slices(78)));
        runtime.run(slices(10));
        assert_eq!(runtime.ran(large), slices(240), "its debt is paid");
    }

    #[test]
    fn guests_of_any_step_get_equal_time() {
        let mut runtime = Runtime::default();
        let guests = [1, 3, 40, 250].map(|step| runtime.spawn(slices(step)));
        runtime.run(slices(4 * 10_000));
        for guest in guests {
            let ran = runtime.ran(guest);
            assert!(ran.abs_diff(slices(10_000)) <= slices(252), "{ran:?}");
        }
        assert!(runtime.idle <= 4, "{} polls in a row without a step", runtime.idle);
    }

    #[test]
    fn steps_of_about_a_slice_get_equal_time() {
        let mut runtime = Runtime::default();
        let guests = [3, 15, 10].map(|tenths| runtime.spawn(SLICE * tenths / 10));
        runtime.run(slices(3 * 1_000));
        for guest in guests {
            let ran = runtime.ran(guest);
            assert!(ran.abs_diff(slices(1_000)) <= slices(3), "{ran:?}");
        }
    }

    #[test]
    fn a_guest_alone_goes_on_at_once() {
        let mut runtime = Runtime::default();
        runtime.spawn(slices(250));
        runtime.run(slices(10_000));
        assert_eq!(runtime.idle, 0);
    }

    #[test]
    fn time_alone_is_no_debt_for_a_guest() {
        let mut runtime = Runtime::default();
        let first = runtime.spawn(SLICE);
        runtime.run(slices(10_000));
        let second = runtime.spawn(SLICE);
        runtime.run(slices(1_000));
        let ran = runtime.ran(first) - slices(10_000);
        assert!(ran.abs_diff(runtime.ran(second)) <= slices(3), "{ran:?}");
    }

    #[test]
    fn a_guest_that_waits_is_not_waited_for() {
        let mut queue = TurnQueue::default();
        let (large, waiting) = (queue.join(), queue.join());
        assert!(queue.begin(waiting));
        queue.end(waiting, Duration::ZERO);
        for _ in 0..10 {
            assert!(queue.begin(large), "the other guest waits");
            queue.wake(large);
            queue.end(large, slices(80));
        }
        queue.wake(waiting);
        assert!(!queue.begin(large), "the other guest is ready");
        assert!(queue.begin(waiting));
        assert!(queue.begin(large), "the other guest runs on another thread");
    }

    #[test]
    fn a_guest_that_waited_gets_no_credit() {
        let mut runtime = Runtime::default();
        let busy = runtime.spawn(SLICE);
        let waiting = runtime.queue.join();
        assert!(runtime.queue.begin(waiting));
        runtime.queue.end(waiting, SLICE);
        runtime.run(slices(5_000));
        runtime.guests.insert(waiting, (SLICE, Duration::ZERO));
        runtime.queue.wake(waiting);
        runtime.woken.push_back(waiting);
        runtime.run(slices(1_000));
        let ran = runtime.ran(busy) - slices(5_000);
        assert!(ran.abs_diff(slices(500)) <= slices(3), "{ran:?}");
    }

    #[test]
    fn a_guest_that_no_one_polls_delays_others_once() {
        let mut runtime = Runtime::default();
        let abandoned = runtime.queue.join();
        runtime.queue.wake(abandoned);
        runtime.spawn(slices(80));
        runtime.run(slices(800));
        assert_eq!(runtime.idle, PATIENCE);
        runtime.idle = 0;
        runtime.run(slices(8_000));
        assert_eq!(runtime.idle, 0);
        // It counts again as soon as someone polls it.
        assert!(runtime.queue.begin(abandoned));
    }

    #[test]
    fn a_debt_ends_while_short_tasks_arrive_all_the_time() {
        let mut queue = TurnQueue::default();
        let large = queue.join();
        assert!(queue.begin(large));
        queue.wake(large);
        queue.end(large, slices(100));
        let mut others = Duration::ZERO;
        loop {
            let short = queue.join();
            queue.wake(short);
            if queue.begin(large) {
                break;
            }
            assert!(queue.begin(short));
            queue.end(short, SLICE / 10);
            queue.leave(short);
            others += SLICE / 10;
        }
        // Half of that time counts: the large guest and one short task share it.
        assert!(others.abs_diff(slices(200)) <= slices(5), "{others:?}");
    }

    #[test]
    fn a_guest_that_left_is_not_waited_for() {
        let mut queue = TurnQueue::default();
        let (large, other) = (queue.join(), queue.join());
        assert!(queue.begin(large));
        queue.end(large, slices(80));
        queue.wake(other);
        assert!(!queue.begin(large));
        queue.leave(other);
        assert!(queue.begin(large));
        // A waker may outlive its guest.
        queue.wake(other);
        queue.leave(other);
    }
}
