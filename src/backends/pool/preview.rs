//! Who would be picked, without picking: for whoever asks why.

use crate::balance::Ask;

use super::Pool;

impl Pool {
    /// The name of the member that the next pick like this would choose. A copy of the algorithm is
    /// asked, which takes as long as it is large: not for picks.
    pub fn preview(&self, ask: &Ask) -> Option<&str> {
        let index = self.balance.copy().pick(&self.candidates, ask)?;
        Some(&self.candidates[index].name)
    }
}
