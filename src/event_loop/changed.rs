//! What was prepared is carried out, and who asked for it is told what came of it.

use std::time::{Instant, SystemTime};

use log::{error, info, log, warn};
use serde_json::json;

use crate::admin::change::{self, Done, Ends};
use crate::admin::problem::{Kind, Problem};
use crate::admin::view::Reloaded;
use crate::config::counted;
use crate::control::{Layers, Prepared, Receipt};

use super::EventLoop;
use super::changing::{Asker, Job, Mode};
use super::editing::Ending;

impl EventLoop {
    /// `since` is when it would have begun in one go.
    pub(super) fn carry_out(
        &mut self,
        prepared: Prepared,
        layers: Layers,
        job: &mut Job,
        since: Instant,
    ) {
        match job.mode {
            Mode::Check => self.tell_done(job.asker, Done::Checked),
            Mode::DryRun => {
                let old = &self.directory.desired;
                let would = Receipt::of(old, &prepared.desired, &prepared.diff);
                let notes = std::mem::take(&mut job.notes);
                let generation = self.directory.generation + 1;
                let receipt = Receipt { generation, notes, took: since.elapsed(), ..would };
                self.tell_done(job.asker, Done::Would(receipt));
            }
            Mode::Run => self.run_prepared(prepared, layers, job, since),
        }
    }

    fn run_prepared(
        &mut self,
        mut prepared: Prepared,
        layers: Layers,
        job: &mut Job,
        since: Instant,
    ) {
        job.notes.append(&mut prepared.notes);
        match self.apply_layers(prepared, layers) {
            Ok(mut receipt) => {
                self.end_connections(std::mem::take(&mut job.ending));
                self.forget_deadlines();
                let identities = self.directory.store.show_identities();
                receipt.notes.append(&mut job.notes);
                if job.is_reload {
                    receipt.notes.append(&mut self.restore_sockets());
                }
                let receipt = Receipt { took: since.elapsed(), turns: job.turns, ..receipt };
                self.say_changed(&receipt, identities, job.asker);
                self.warn_of_forgotten();
                if job.is_reload {
                    self.resolver.look_again(&mut self.cx);
                }
                self.note_reload(job, Ok(()));
                if let Some(committed) = job.showing.take() {
                    self.note_shown(&committed);
                }
                self.tell_done(job.asker, Done::Changed(receipt));
            }
            Err(error) => {
                error!("cannot register a listener, all stays as it was: {error}");
                let detail = format!("cannot register a listener: {error}");
                self.note_reload(job, Err(&detail));
                self.tell_refused(job.asker, Problem::new(Kind::INTERNAL, detail));
            }
        }
    }

    /// How it went, for those who ask.
    pub(super) fn note_reload(&mut self, job: &Job, outcome: Result<(), &str>) {
        if !job.is_reload {
            if outcome.is_ok() {
                self.tell_changed();
            }
            return;
        }
        let ok = outcome.is_ok();
        let at = SystemTime::now();
        let before = self.admin.reloaded.and_then(|it| it.succeeded);
        let succeeded = if ok { Some(at) } else { before };
        self.admin.reloaded = Some(Reloaded { ok, at, succeeded });
        match outcome {
            Ok(()) => self.tell_reloaded(),
            Err(why) => self.tell_not_reloaded(why),
        }
    }

    /// Connections of backends that are gone, or drain, end as it was told.
    fn end_connections(&mut self, ending: Vec<Ending>) {
        for Ending { place, server, ends, leaves } in ending {
            let pool = self.directory.pool(&place.pool).map(|it| it.id);
            match ends {
                Ends::Themselves => {}
                Ends::Now => {
                    self.close_backend(server, pool);
                }
                Ends::Within(time) => self.note_deadline(place.clone(), server, time),
            }
            if leaves {
                self.note_leaving(place, server);
            }
        }
    }

    fn say_changed(&mut self, receipt: &Receipt, identities: usize, asker: Asker) {
        let store = &self.directory.store;
        let certificates = store.certificates();
        let is_reload = asker == Asker::Operator;
        if certificates > 0 && is_reload {
            info!("read {} again", counted(certificates, "certificate"));
        }
        if is_reload {
            for unused in store.advice(&self.directory.desired) {
                warn!("{}", unused.spelled(self.cx.spelling));
            }
        }
        if identities > 0 && is_reload {
            info!("read the certificate for backends again");
        }
        let level = self.level_of_notes(asker, !receipt.notes.is_empty());
        receipt.notes.iter().flat_map(|it| it.lines()).for_each(|note| log!(level, "{note}"));
        if asker == Asker::Names {
            self.say_renamed(receipt);
        } else if self.reread.is_some() || !is_reload {
            info!("{receipt}");
        }
        let data = json!({"receipt": change::receipt(receipt)});
        self.admin.events.push("change", data, SystemTime::now());
    }
}
