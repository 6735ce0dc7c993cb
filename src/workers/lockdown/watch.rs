//! The parent's record of what its workers report.

use tokio::sync::watch;

use super::{Lockdown, LockdownReport};
use crate::workers::error::WorkersError;

/// What the workers of a pool last reported. Logs it when it changes: once for a pool, because the
/// same kernel locks all of its workers.
#[derive(Debug)]
pub(crate) struct LockdownWatch {
    mode: Lockdown,
    last: watch::Sender<Option<LockdownReport>>,
}

impl LockdownWatch {
    pub(crate) fn new(mode: Lockdown) -> Self {
        Self { mode, last: watch::Sender::new(None) }
    }

    /// Records the report of a worker.
    ///
    /// # Errors
    /// A required part is missing.
    pub(crate) fn record(&self, report: LockdownReport) -> Result<(), WorkersError> {
        let changed = self.last.send_replace(Some(report)) != Some(report);
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

    /// Waits for the first report.
    ///
    /// # Errors
    /// A required part is missing.
    pub(crate) async fn first(&self) -> Result<(), WorkersError> {
        let mut reports = self.last.subscribe();
        // The sender is `self`, so the channel is open.
        let report = reports.wait_for(Option::is_some).await.ok().and_then(|report| *report);
        match (self.mode, report.and_then(|report| report.missing())) {
            (Lockdown::Required, Some(missing)) => Err(WorkersError::Lockdown(missing)),
            _ => Ok(()),
        }
    }
}
