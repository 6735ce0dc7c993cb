//! The jobs of one worker process: those that run, and those that ended a moment ago.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::oneshot,
    task::{AbortHandle, JoinSet},
    time::Instant,
};

use super::{account::Account, fault::Violation, pipe::WorkerEvent};
use crate::sandbox::{Exceeded, HostCalls, Limits, Outcome, TaskPath, Usage};

/// Time beyond its limit after which the worker of a job is killed. The worker enforces the limit;
/// the difference covers the way to the worker and back, and one bulk memory instruction.
const OVERTIME: Duration = Duration::from_secs(5);

/// Answered pings for which the parent remembers a job that ended. A cancelled job goes on until the
/// worker knows of the cancel: after the second answer. A job that made calls ends those that are
/// pending a moment later, also if their answers are on the way. The third answer gives the dropped tasks of the worker their turn.
const REMEMBERED_PINGS: usize = 3;

/// A job on a worker. Dropping it drops its pending host calls.
pub(crate) struct RunningJob {
    pub outcome: oneshot::Sender<Outcome>,
    pub host: Arc<dyn HostCalls>,
    pub account: Account,
    /// The directories whose files it hands back.
    pub out: Vec<TaskPath>,
    /// The calls in progress. Each returns its number, or nothing at the end of the runtime.
    pub calls: JoinSet<Option<u64>>,
    /// Handles of the calls that the worker still waits for, by number.
    pub abort_handles: HashMap<u64, AbortHandle>,
    /// Whether its time has begun. It waits for the process or for a slot in it before.
    is_timed: bool,
    /// The end of its overtime. `None` before its time, and for a limit that no clock reaches.
    deadline: Option<Instant>,
}

impl RunningJob {
    pub(crate) fn new(
        limits: Limits,
        host: Arc<dyn HostCalls>,
        outcome: oneshot::Sender<Outcome>,
    ) -> Self {
        Self {
            outcome,
            host,
            account: Account::new(limits),
            out: Vec::new(),
            calls: JoinSet::new(),
            abort_handles: HashMap::new(),
            is_timed: false,
            deadline: None,
        }
    }

    /// Accepts the files below these directories.
    pub(crate) fn out(self, out: Vec<TaskPath>) -> Self {
        Self { out, ..self }
    }

    /// Ends the job as one that exceeded its time. Returns its time limit.
    fn time_out(self) -> Duration {
        let time = self.account.limits().time;
        let usage = Usage { duration: self.account.elapsed(), ..Usage::default() };
        // Fails if the caller dropped the job's future.
        let _ = self.outcome.send(Outcome { usage, ..Outcome::failed(Exceeded::Time(time)) });
        time
    }
}

/// The jobs of one worker process.
///
/// A worker runs as many jobs as it has slots. The time of the others has not begun.
pub(crate) struct JobTable {
    running: HashMap<u64, RunningJob>,
    /// Accounts of ended jobs of which events may still arrive, by the number of pings answered
    /// since, the latest first.
    ended: VecDeque<HashMap<u64, Account>>,
    /// Jobs whose time has not begun, in order. Some may have ended.
    waiting: VecDeque<u64>,
    /// Running jobs whose time has begun.
    timed: usize,
    slots: usize,
    /// Whether the process is set up. Its start takes no time of its jobs.
    started: bool,
}

impl JobTable {
    /// Creates an empty table of a process that runs `slots` jobs at once.
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            running: HashMap::new(),
            ended: VecDeque::new(),
            waiting: VecDeque::new(),
            timed: 0,
            slots,
            started: false,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    pub(crate) fn insert(&mut self, id: u64, job: RunningJob) {
        self.running.insert(id, job);
        self.waiting.push_back(id);
        self.begin_times();
    }

    /// Begins the times of jobs that have a slot of the process.
    fn begin_times(&mut self) {
        while self.started && self.timed < self.slots {
            let Some(id) = self.waiting.pop_front() else { return };
            // It may have been cancelled while it waited.
            if let Some(job) = self.running.get_mut(&id) {
                let time = job.account.limits().time;
                job.deadline =
                    time.checked_add(OVERTIME).and_then(|time| Instant::now().checked_add(time));
                job.is_timed = true;
                self.timed += 1;
            }
        }
    }

    /// Records that the process is set up.
    pub(crate) fn start(&mut self) {
        self.started = true;
        self.begin_times();
    }

    /// Forgets the jobs that ended long ago.
    pub(crate) fn pong(&mut self) {
        if !self.ended.is_empty() {
            self.ended.push_front(HashMap::new());
            self.ended.truncate(REMEMBERED_PINGS);
            if self.ended.iter().all(HashMap::is_empty) {
                self.ended.clear();
            }
        }
    }

    fn remember(&mut self, id: u64, account: Account) {
        if self.ended.is_empty() {
            self.ended.push_front(HashMap::new());
        }
        self.ended[0].insert(id, account);
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut RunningJob> {
        self.running.get_mut(&id)
    }

    /// Counts an event. Returns whether its job still runs: the payload then matters.
    ///
    /// # Errors
    /// No such job runs or ran a moment ago, or the event is over a limit of the job.
    pub(crate) fn admit(
        &mut self,
        id: u64,
        event: &WorkerEvent,
        size: u64,
    ) -> Result<bool, Violation> {
        if let Some(job) = self.running.get_mut(&id) {
            job.account.admit(event, size)?;
            return Ok(true);
        }
        let mut ended = self.ended.iter_mut();
        let account = ended.find_map(|jobs| jobs.get_mut(&id)).ok_or(Violation::UnknownJob)?;
        account.admit(event, size)?;
        if let WorkerEvent::Done { .. } = event {
            self.ended.iter_mut().for_each(|jobs| drop(jobs.remove(&id)));
        }
        Ok(false)
    }

    fn remove(&mut self, id: u64) -> Option<RunningJob> {
        let job = self.running.remove(&id)?;
        self.timed -= usize::from(job.is_timed);
        self.begin_times();
        Some(job)
    }

    /// Removes a job whose end the worker reports.
    pub(crate) fn end(&mut self, id: u64) -> Option<RunningJob> {
        let job = self.remove(id)?;
        if job.account.has_called() {
            self.remember(id, job.account.clone());
        }
        Some(job)
    }

    /// Removes a job that the parent cancels. Returns whether it was there.
    pub(crate) fn cancel(&mut self, id: u64) -> bool {
        let Some(job) = self.remove(id) else { return false };
        self.remember(id, job.account);
        true
    }

    /// Gives all jobs more time: the parent did not read for this long.
    pub(crate) fn extend(&mut self, by: Duration) {
        for deadline in self.running.values_mut().filter_map(|job| job.deadline.as_mut()) {
            *deadline += by;
        }
    }

    /// Ends the jobs that outlived their overtime. Returns the time limit of one of them.
    pub(crate) fn time_out(&mut self, now: Instant) -> Option<Duration> {
        let is_over = |(id, job): (&u64, &RunningJob)| {
            job.deadline.is_some_and(|deadline| deadline < now).then_some(*id)
        };
        let overdue: Vec<u64> = self.running.iter().filter_map(is_over).collect();
        overdue.into_iter().filter_map(|id| self.remove(id)).map(RunningJob::time_out).last()
    }

    /// Removes all jobs and forgets the process.
    pub(crate) fn reset(&mut self) -> impl Iterator<Item = RunningJob> + use<> {
        let slots = self.slots;
        std::mem::replace(self, Self::new(slots)).running.into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::NoHost;

    fn job(time: Duration) -> (RunningJob, oneshot::Receiver<Outcome>) {
        let (sender, outcome) = oneshot::channel();
        (RunningJob::new(Limits::default().time(time), Arc::new(NoHost), sender), outcome)
    }

    fn insert(table: &mut JobTable, id: u64, time: Duration) -> oneshot::Receiver<Outcome> {
        let (job, outcome) = job(time);
        table.insert(id, job);
        outcome
    }

    const LIMIT: Duration = Duration::from_secs(3);

    fn after(overtime: Duration) -> Instant {
        Instant::now() + LIMIT + overtime
    }

    #[tokio::test]
    async fn a_job_times_out_after_its_overtime() {
        let mut table = JobTable::new(2);
        let outcome = insert(&mut table, 1, LIMIT);
        let _endless = insert(&mut table, 2, Duration::MAX);
        table.start();
        assert_eq!(table.time_out(after(OVERTIME - Duration::from_secs(1))), None);
        assert_eq!(table.time_out(after(OVERTIME + Duration::from_secs(1))), Some(LIMIT));
        let outcome = outcome.await.unwrap().result.unwrap_err();
        assert_eq!(outcome.to_string(), "Task execution timed out after 3 seconds");
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn time_begins_with_the_process_and_with_a_slot() {
        let mut table = JobTable::new(1);
        let late = after(2 * OVERTIME);
        let _outcomes = [1, 2, 3].map(|id| insert(&mut table, id, LIMIT));
        assert_eq!(table.time_out(late), None, "the process has not started");
        table.start();
        assert!(table.cancel(2), "one that waits");
        assert_eq!(table.time_out(late), Some(LIMIT));
        // Removing the first one gave its slot to the third.
        assert_eq!((table.len(), table.time_out(late)), (1, Some(LIMIT)));
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn time_in_which_the_parent_did_not_read_does_not_count() {
        let mut table = JobTable::new(1);
        let _outcome = insert(&mut table, 1, LIMIT);
        table.start();
        table.extend(Duration::from_secs(10));
        assert_eq!(table.time_out(after(OVERTIME + Duration::from_secs(9))), None);
        assert!(table.time_out(after(OVERTIME + Duration::from_secs(11))).is_some());
    }

    #[test]
    fn events_of_a_cancelled_job_are_none_of_a_foreign_one() {
        let mut table = JobTable::new(1);
        let _outcome = insert(&mut table, 1, LIMIT);
        let event = |job| WorkerEvent::Notify { job, name: "log".into() };
        assert_eq!(table.admit(1, &event(1), 5), Ok(true));
        assert_eq!(table.admit(2, &event(2), 5), Err(Violation::UnknownJob));
        assert!(table.cancel(1) && !table.cancel(1));
        for _ in 0..REMEMBERED_PINGS {
            assert_eq!(table.admit(1, &event(1), 5), Ok(false));
            table.pong();
        }
        assert_eq!(table.admit(1, &event(1), 5), Err(Violation::UnknownJob));
    }

    #[tokio::test]
    async fn calls_of_a_job_may_end_after_it() {
        let mut table = JobTable::new(1);
        let _outcomes = [1, 2].map(|id| insert(&mut table, id, LIMIT));
        let call = WorkerEvent::Call { job: 1, call: 7, name: "log".into() };
        let dropped = |job| WorkerEvent::DropCall { job, call: 7 };
        assert_eq!(table.admit(1, &call, 2), Ok(true));
        assert!(table.end(1).is_some() && table.end(2).is_some());
        assert_eq!(table.admit(1, &dropped(1), 0), Ok(false));
        // It had no calls.
        assert_eq!(table.admit(2, &dropped(2), 0), Err(Violation::UnknownJob));
    }

    #[test]
    fn a_cancelled_job_keeps_its_limits_and_ends_once() {
        let mut table = JobTable::new(1);
        let _outcome = insert(&mut table, 1, LIMIT);
        assert!(table.cancel(1));
        let event = WorkerEvent::Notify { job: 1, name: "log".into() };
        assert!(table.admit(1, &event, 17 << 20).is_err());
        let (exit, usage) = (crate::sandbox::Exit::Output, Usage::default());
        let done = WorkerEvent::Done { job: 1, exit, usage, stderr: String::new() };
        assert_eq!(table.admit(1, &done, 10), Ok(false));
        assert_eq!(table.admit(1, &done, 10), Err(Violation::UnknownJob));
    }
}
