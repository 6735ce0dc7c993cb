//! Events of the console that ask the program to end.

use std::io;

use tokio::signal::windows::{
    CtrlBreak, CtrlC, CtrlClose, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown,
};

/// The numbers of SIGTERM and SIGINT, whose meaning the events have.
const TERMINATE: i32 = 15;
const INTERRUPT: i32 = 2;

/// The events that end the program.
pub(crate) struct EndSignals {
    interrupt: CtrlC,
    stop: CtrlBreak,
    close: CtrlClose,
    shutdown: CtrlShutdown,
}

impl EndSignals {
    /// Catches the events from now on.
    ///
    /// # Errors
    /// The handler cannot be installed.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: ctrl_c()?,
            stop: ctrl_break()?,
            close: ctrl_close()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    /// Waits for the next one. Returns its name and the number of the like signal.
    pub(crate) async fn next(&mut self) -> (&'static str, i32) {
        tokio::select! {
            _ = self.interrupt.recv() => ("Ctrl-C", INTERRUPT),
            _ = self.stop.recv() => ("Ctrl-Break", TERMINATE),
            _ = self.close.recv() => ("the console closes", TERMINATE),
            _ = self.shutdown.recv() => ("the system shuts down", TERMINATE),
        }
    }
}
