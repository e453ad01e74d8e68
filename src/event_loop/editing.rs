//! The edits of a change, laid over what is configured: a few in each turn, for a batch has
//! thousands, and each looks for its backend among thousands.
//!
//! ```text
//!   Change --edit by edit--> overlay with all of them --over the base--> what is to run
//!              \-- the first that cannot be: nothing was changed yet
//! ```

use std::sync::Arc;

use crate::admin::change::{self, Change, Edit, Ends, What};
use crate::admin::place::Place;
use crate::admin::problem::{Kind, Problem};
use crate::config::{Desired, Laid, Mark, Untold, quoted};
use crate::control::{Directory, Layers};
use crate::event::ServerId;

/// A change on its way.
pub(super) struct Editing {
    change: Change,
    layers: Layers,
    mark: Mark,
    /// So many are done.
    at: usize,
    ending: Vec<Ending>,
    /// Backends that were to go and are not there: they may have connections yet.
    absent: Vec<(Place, Ends)>,
}

/// A backend whose connections are to end.
pub(super) struct Ending {
    pub place: Place,
    pub server: ServerId,
    pub ends: Ends,
    /// It is not there any more.
    pub leaves: bool,
}

/// What all the edits come to.
pub(super) struct Edited {
    pub written: Arc<Desired>,
    pub base: Desired,
    pub laid: Laid,
    pub ending: Vec<Ending>,
    pub absent: Vec<(Place, Ends)>,
    pub dry_run: bool,
}

impl Editing {
    /// Nothing is done yet but to look whether it was meant for what is there.
    pub fn begin(change: Change, directory: &Directory) -> Result<Editing, Problem> {
        change.check_generation(directory)?;
        let layers = directory.layers();
        let mark = Mark::now(&change.by);
        let ending = Vec::new();
        let absent = Vec::new();
        Ok(Editing { change, layers, mark, at: 0, ending, absent })
    }

    /// How many edits are to be done yet.
    pub fn left(&self) -> usize {
        self.change.edits.len() - self.at
    }

    /// The next edit. Says whether there was one.
    pub fn step(&mut self, directory: &Directory) -> Result<bool, Problem> {
        let Some(edit) = self.change.edits.get(self.at) else { return Ok(false) };
        edit.check(directory)
            .and_then(|()| lay(&mut self.layers, edit, &self.mark, directory))
            .map_err(|problem| match self.change.pointers.get(self.at) {
                Some(pointer) if !pointer.is_empty() => problem.at(pointer),
                _ => problem,
            })?;
        match (ending(edit, directory), &edit.what) {
            (Some(ending), _) => self.ending.push(ending),
            (None, What::Remove(ends)) if *ends != Ends::Themselves => {
                self.absent.push((edit.place.clone(), *ends));
            }
            _ => {}
        }
        self.at += 1;
        Ok(true)
    }

    /// All are done.
    pub fn finish(self) -> Edited {
        let Layers { written, base, overlay } = self.layers;
        let laid = overlay.over(&base);
        let Editing { change, ending, absent, .. } = self;
        Edited { written, base, laid, ending, absent, dry_run: change.dry_run }
    }
}

fn lay(
    layers: &mut Layers,
    edit: &Edit,
    mark: &Mark,
    directory: &Directory,
) -> Result<(), Problem> {
    let Layers { base, overlay, .. } = layers;
    let Place { pool, name } = &edit.place;
    let mark = mark.clone();
    let done = match &edit.what {
        What::Put(spec, source) => overlay.put(base, pool, spec.clone(), *source, mark),
        What::Patch(patch) => overlay.patch(base, pool, name, patch, mark),
        What::Remove(_) => overlay.remove(base, pool, name, mark).map(|_| ()),
        What::Clear => {
            overlay.clear(pool, name);
            Ok(())
        }
    };
    done.map_err(|why| untold(&why, &edit.place, directory))
}

fn untold(why: &Untold, place: &Place, directory: &Directory) -> Problem {
    let Place { pool, name } = place;
    match why {
        Untold::NoPool => change::no_pool(pool, directory),
        Untold::NoBackend => change::no_backend(pool, name, directory),
        Untold::TooMany => {
            let detail = format!("the pool {} has as many backends as it may", quoted(pool));
            Problem::new(Kind::INVALID, detail)
        }
    }
}

/// What an edit ends, if it does.
fn ending(edit: &Edit, directory: &Directory) -> Option<Ending> {
    let (ends, leaves) = match &edit.what {
        What::Remove(ends) => (*ends, true),
        What::Patch(patch) => (Ends::Within(patch.deadline?), false),
        What::Put(..) | What::Clear => return None,
    };
    let Place { pool, name } = &edit.place;
    let found = directory.backend(directory.pool(pool)?, name)?;
    Some(Ending { place: edit.place.clone(), server: found.server, ends, leaves })
}
