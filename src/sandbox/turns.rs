//! Lets the guests of a sandbox take turns by the time that their steps take.
//!
//! A guest's future runs inside [`Turns::take`]. A poll of it is one step, and ends when the guest
//! yields or waits. All that happens on the guest's thread meanwhile counts as its time: wasm code,
//! page faults, copies for host calls.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
    time::Instant,
};

use super::turn_queue::TurnQueue;
use crate::sync::lock;

/// The turns of one sandbox.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns(Arc<Mutex<TurnQueue>>);

/// One guest in the queue; also the waker of its future. Only the waker tells the queue whether a
/// guest that is not running is ready.
struct Guest {
    id: u64,
    turns: Turns,
    /// The waker of the last poll.
    task: Mutex<Option<Waker>>,
}

/// Removes a guest from the queue, however its future ends.
struct Joined(Arc<Guest>);

impl Turns {
    /// Runs a guest's future. At each poll it first waits for its turn. Cancel-safe.
    pub(crate) async fn take<F: Future>(&self, guest: F) -> F::Output {
        let id = lock(&self.0).join();
        let joined = Joined(Arc::new(Guest { id, turns: self.clone(), task: Mutex::new(None) }));
        let waker = Waker::from(joined.0.clone());
        let mut guest = pin!(guest);
        poll_fn(|context| {
            joined.0.remember(context.waker());
            if !lock(&self.0).begin(id) {
                // Waiting for a wake-up instead would depend on others' being polled to their end.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let started = Instant::now();
            let polled = guest.as_mut().poll(&mut Context::from_waker(&waker));
            lock(&self.0).end(id, started.elapsed());
            polled
        })
        .await
    }
}

/// Ends a guest's step. The guest stays ready: tokio's `yield_now` would make it wait until the
/// runtime has nothing else to do.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

impl Guest {
    fn remember(&self, waker: &Waker) {
        let mut task = lock(&self.task);
        if !task.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }
}

impl Wake for Guest {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        lock(&self.turns.0).wake(self.id);
        // Woken outside the lock: a runtime may poll or drop a task right here.
        let task = lock(&self.task).clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        lock(&self.0.turns.0).leave(self.0.id);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::Duration,
    };

    use super::*;

    /// Blocks the thread for `time` in each step, until the time is over.
    async fn steps(time: Duration, until: Duration) -> u32 {
        let (started, mut count) = (Instant::now(), 0);
        while started.elapsed() < until {
            std::thread::sleep(time);
            count += 1;
            yield_now().await;
        }
        count
    }

    #[tokio::test]
    async fn a_guest_with_long_steps_gets_no_more_time() {
        let (turns, until) = (Turns::default(), Duration::from_secs(1));
        let [long, short] = [40, 2].map(|milliseconds| {
            let (turns, time) = (turns.clone(), Duration::from_millis(milliseconds));
            tokio::spawn(async move { turns.take(steps(time, until)).await })
        });
        let (long, short) = (long.await.unwrap(), short.await.unwrap());
        // Without turns they would take as many steps as each other.
        assert!(short > 5 * long, "{long} long steps, {short} short ones");
    }

    #[tokio::test]
    async fn a_guest_that_waits_is_woken_once_for_each_event() {
        let (turns, polls) = (Turns::default(), Arc::new(AtomicU32::new(0)));
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let counted = {
            let (turns, polls) = (turns.clone(), polls.clone());
            tokio::spawn(async move {
                let mut receiver = pin!(receiver);
                let guest = poll_fn(|context| {
                    polls.fetch_add(1, Ordering::Relaxed);
                    receiver.as_mut().poll(context)
                });
                turns.take(guest).await
            })
        };
        turns.take(steps(Duration::from_millis(1), Duration::from_millis(50))).await;
        sender.send(7).unwrap();
        assert_eq!(counted.await.unwrap(), Ok(7));
        assert_eq!(polls.load(Ordering::Relaxed), 2);
    }
}
