//! The pool: assigns each job to a worker process.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::oneshot, task::JoinHandle};

use super::{
    config::PoolConfig,
    error::WorkersError,
    lockdown::LockdownWatch,
    pipe::frame_queue,
    process::{WorkerProcess, supervise},
    slot::{WorkerSlot, worker_lost},
};
use crate::sandbox::{HostCalls, Job, Outcome};

/// Time in which [`Pool::ready`] expects the workers: a hundred times as long as they take on a busy
/// machine. A worker that cannot be set up is started again each second.
const SET_UP_TIME: Duration = Duration::from_secs(30);

/// A pool of worker processes. Cheap to clone. Dropping the last clone kills the workers.
#[derive(Debug, Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    slots: Vec<Arc<WorkerSlot>>,
    supervisors: Vec<JoinHandle<()>>,
    lockdown: Arc<LockdownWatch>,
    next_job: AtomicU64,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A supervisor owns its process, which is killed on drop.
        self.supervisors.iter().for_each(JoinHandle::abort);
    }
}

impl Pool {
    /// Starts the workers. Returns before they are ready; jobs wait for them.
    ///
    /// Call it within a tokio runtime, and poll the futures of [`Pool::run`] on the same runtime.
    ///
    /// # Errors
    /// A worker process cannot be started.
    pub fn start(config: &PoolConfig) -> Result<Self, WorkersError> {
        let mut slots = Vec::new();
        let mut supervisors = Vec::new();
        let lockdown = Arc::new(LockdownWatch::new(config.lockdown));
        for index in 0..config.workers.max(1) {
            let (sender, queue) = frame_queue();
            let slot = Arc::new(WorkerSlot::new(config.slots, sender));
            let process = WorkerProcess::start(index, config, &slot, queue)?;
            let supervisor =
                supervise(index, config.clone(), slot.clone(), process, lockdown.clone());
            supervisors.push(tokio::spawn(supervisor));
            slots.push(slot);
        }
        let next_job = AtomicU64::new(0);
        Ok(Self { inner: Arc::new(Inner { slots, supervisors, lockdown, next_job }) })
    }

    /// Waits until all workers are set up and locked in, for at most 30 s.
    ///
    /// # Errors
    /// - [`WorkersError::Lockdown`]: the lockdown is
    ///   [`Lockdown::Required`](super::Lockdown::Required), and the operating system does not grant
    ///   a part of it. No worker then runs a job.
    /// - [`WorkersError::NotReady`]: workers are missing after 30 s. The pool goes on trying to
    ///   start them.
    pub async fn ready(&self) -> Result<(), WorkersError> {
        self.ready_within(SET_UP_TIME).await
    }

    async fn ready_within(&self, within: Duration) -> Result<(), WorkersError> {
        let (lockdown, workers) = (&self.inner.lockdown, self.inner.slots.len());
        let late = |_| {
            let ready = lockdown.ready().min(workers);
            Err(WorkersError::NotReady { ready, workers, within })
        };
        tokio::time::timeout(within, lockdown.all(workers)).await.unwrap_or_else(late)
    }

    /// Creates a pool of this one slot, which has no process.
    #[cfg(fuzzing)]
    pub(crate) fn of_slot(slot: Arc<WorkerSlot>) -> Self {
        let (slots, supervisors, next_job) = (vec![slot], Vec::new(), AtomicU64::new(0));
        let lockdown = Arc::new(LockdownWatch::new(super::Lockdown::Off));
        Self { inner: Arc::new(Inner { slots, supervisors, lockdown, next_job }) }
    }

    /// Runs a job on the worker with the fewest jobs. Dropping the future cancels the job.
    ///
    /// A worker that owes an answer to a ping comes after all others. If each of them owes one, the
    /// job goes to the one with the fewest jobs: it may answer in a moment, and waits no longer
    /// there than here.
    ///
    /// `host` answers the job's host calls on the runtime of the pool. The end of the job drops its
    /// pending calls.
    pub fn run(
        &self,
        job: Job,
        host: Arc<dyn HostCalls>,
    ) -> impl Future<Output = Outcome> + Send + 'static {
        let id = self.inner.next_job.fetch_add(1, Ordering::Relaxed);
        let pool = self.inner.clone();
        async move {
            let Some(slot) = pool.slots.iter().min_by_key(|slot| slot.rank()) else {
                return worker_lost("the pool has no workers".into());
            };
            let (sender, receiver) = oneshot::channel();
            let mut reservation = slot.begin(id, job, host, sender);
            let outcome =
                receiver.await.unwrap_or_else(|_| worker_lost("the worker process is gone".into()));
            reservation.complete();
            outcome
        }
    }

    /// Returns the process ids of the running workers, for operators and tests.
    pub fn process_ids(&self) -> Vec<u32> {
        self.inner.slots.iter().filter_map(|slot| slot.process_id()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn workers_that_cannot_be_set_up_are_an_error_in_the_end() {
        let config = PoolConfig { workers: 2, program: "/bin/false".into(), ..Default::default() };
        let pool = Pool::start(&config).unwrap();
        let error = pool.ready_within(Duration::from_secs(2)).await.unwrap_err();
        assert_eq!(error.to_string(), "0 of 2 workers were set up within 2 s");
    }
}
