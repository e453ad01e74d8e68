//! What signals ask for, and the page of the status that one of them shows.

use log::{debug, info};

use crate::config::counted;
use crate::event::signals::SignalRequest;
use crate::limits::{STATS_ROWS_PER_TURN, STATS_TIME};
use crate::relay::Reason;
use crate::status;

use super::{EventLoop, RunState};

impl EventLoop {
    fn reopen_access_log(&mut self) {
        match &mut self.cx.access_log {
            Some(log) => log.reopen(),
            None => debug!("SIGHUP: there is no access log to open anew"),
        }
    }

    pub(super) fn on_signals(&mut self) {
        let requests: Vec<SignalRequest> = self.signals.pending().collect();
        for request in requests {
            match (request, self.state) {
                (SignalRequest::Status, _) => self.log_status(),
                (SignalRequest::Reopen, _) => {
                    self.reopen_access_log();
                    self.reload();
                }
                (SignalRequest::Stop | SignalRequest::Hangup, RunState::Serving) => {
                    self.begin_to_stop();
                }
                // A shell and the kernel both say it.
                (SignalRequest::Hangup, _) => {}
                (SignalRequest::Stop, _) if self.excuses_stop() => {
                    info!("another process serves: connections may finish as before");
                }
                (SignalRequest::Stop, _) => {
                    let open = counted(self.pairs.len(), "connection");
                    info!("stopping at once, {open} cut off");
                    self.cut_off(Reason::Stopped);
                }
            }
        }
    }

    /// Begin to write the status page, unless one is being written.
    pub(super) fn log_status(&mut self) {
        if self.page.is_none() {
            self.page = Some(status::StatusPage::begin(&self.cx));
            self.log_page();
        }
    }

    /// Go on with it, as far as the turn's time goes.
    pub(super) fn log_page(&mut self) {
        let Some(page) = &mut self.page else { return };
        let mut share = self.pace.share(STATS_TIME, STATS_ROWS_PER_TURN);
        while share.allows(&mut self.pace) {
            match page.step(&mut self.cx) {
                status::PageStep::Line(line) => info!("status: {line}"),
                status::PageStep::Going => {}
                status::PageStep::Over => {
                    self.page = None;
                    return;
                }
            }
        }
    }
}
