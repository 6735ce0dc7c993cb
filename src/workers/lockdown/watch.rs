//! The parent's record of what its workers report.

use tokio::sync::watch;

use super::{Lockdown, LockdownReport};
use crate::workers::error::WorkersError;

/// What the workers of a pool last reported. Logs it when it changes: once for a pool, because the
/// same kernel locks all of its workers.
#[derive(Debug)]
pub(crate) struct LockdownWatch {
    mode: Lockdown,
    reports: watch::Sender<Reports>,
}

/// The reports so far.
#[derive(Debug, Default)]
struct Reports {
    last: Option<LockdownReport>,
    count: usize,
}

impl LockdownWatch {
    pub(crate) fn new(mode: Lockdown) -> Self {
        Self { mode, reports: watch::Sender::default() }
    }

    /// Records the report of a worker.
    ///
    /// # Errors
    /// A required part is missing.
    pub(crate) fn record(&self, report: LockdownReport) -> Result<(), WorkersError> {
        let mut changed = false;
        self.reports.send_modify(|reports| {
            changed = reports.last.replace(report) != Some(report);
            reports.count += 1;
        });
        match (self.mode, report.missing()) {
            (Lockdown::Required, Some(missing)) => return Err(WorkersError::Lockdown(missing)),
            _ if !changed => {}
            (Lockdown::Off, _) => tracing::warn!("Workers are not locked in: the lockdown is off"),
            (_, None) => tracing::info!("Workers are locked in: {}", report.held()),
            (_, Some(missing)) => tracing::warn!(
                "Workers are locked in only in part; missing: {missing}; in force: {}",
                report.held()
            ),
        }
        Ok(())
    }

    /// Returns the number of reports so far.
    pub(crate) fn ready(&self) -> usize {
        self.reports.borrow().count
    }

    /// Waits until this number of workers has reported.
    ///
    /// # Errors
    /// A required part is missing.
    pub(crate) async fn all(&self, workers: usize) -> Result<(), WorkersError> {
        let missing = |reports: &Reports| match self.mode {
            Lockdown::Required => reports.last.and_then(|report| report.missing()),
            _ => None,
        };
        let is_decided = |reports: &Reports| reports.count >= workers || missing(reports).is_some();
        let mut reports = self.reports.subscribe();
        // The sender is `self`, so the channel is open.
        match reports.wait_for(is_decided).await.ok().and_then(|reports| missing(&reports)) {
            Some(missing) => Err(WorkersError::Lockdown(missing)),
            None => Ok(()),
        }
    }
}
