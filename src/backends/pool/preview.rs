//! Who would be picked, without picking: for whoever asks why.

use crate::balance::Ask;

use super::Pool;

/// A member as the algorithm sees it.
#[derive(Debug, Clone, Copy)]
pub struct Candidacy<'a> {
    /// What logs call it.
    pub name: &'a str,
    /// It can be picked now.
    pub eligible: bool,
    /// Connections open or being opened.
    pub connections: u32,
    /// Its weight now, in units of 1 / [`WEIGHT_ONE`](crate::limits::WEIGHT_ONE).
    pub weight: u32,
}

impl Pool {
    /// Its members.
    pub fn candidacies(&self) -> impl Iterator<Item = Candidacy<'_>> {
        self.taken().map(|(index, _)| {
            let it = &self.candidates[index];
            Candidacy {
                name: &it.name,
                eligible: it.eligible,
                connections: it.connections,
                weight: self.weight_in_force(index),
            }
        })
    }

    /// The name of the member that the next pick like this would choose. A copy of the algorithm is
    /// asked, which takes as long as it is large: not for picks.
    pub fn preview(&self, ask: &Ask) -> Option<&str> {
        let index = self.balance.copy().pick(&self.candidates, ask)?;
        Some(&self.candidates[index].name)
    }
}
