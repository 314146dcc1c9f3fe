//! How colour networks share the card's memory. Pure: what the card has free is told, and nobody is asked.

use super::options::MemoryUse;

/// Bytes that a session takes on the card, as far as they can be reckoned beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Need {
    /// Of weights.
    pub(super) weights: u64,
    /// Of everything else in the fast form.
    pub(super) fast: u64,
    /// The same in the small form.
    pub(super) small: u64,
}

/// Bytes that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// What all sessions together may take; `None`: what the card has.
    pub(super) budget: Option<u64>,
    /// What those that are kept take.
    pub(super) kept: u64,
    /// What nobody takes, if the card says so: others may use it too.
    pub(super) free: Option<u64>,
}

/// How a session is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    /// The form.
    pub(super) memory: MemoryUse,
    /// Bound on what it takes, weights included, bytes, where there is a budget.
    pub(super) limit: Option<u64>,
}

impl Need {
    /// With the weights.
    pub(super) const fn of(&self, memory: MemoryUse) -> u64 {
        self.weights.saturating_add(match memory {
            MemoryUse::Fast => self.fast,
            MemoryUse::Small => self.small,
        })
    }
}

impl Room {
    /// Most that there is for one session when everything that is kept goes.
    pub(super) fn most(&self) -> u64 {
        self.free.map_or(u64::MAX, |free| free.saturating_add(self.kept)).min(self.budget.unwrap_or(u64::MAX))
    }

    /// The form in which a session can be made when everything that is kept may go: the small one only where the fast one does not
    /// fit.
    pub(super) fn form(&self, need: &Need) -> MemoryUse {
        if need.of(MemoryUse::Fast) <= self.most() { MemoryUse::Fast } else { MemoryUse::Small }
    }

    /// Whether so many bytes fit beside what is kept.
    pub(super) fn fits(&self, bytes: u64) -> bool {
        self.budget.is_none_or(|budget| self.kept.saturating_add(bytes) <= budget) && self.free.is_none_or(|free| bytes <= free)
    }

    /// The bound of a session under the budget: what was reckoned, so that others may be made beside it, and at `last`, when that was
    /// not enough, all that the others leave.
    pub(super) fn grant(&self, need: &Need, memory: MemoryUse, last: bool) -> Grant {
        let limit = self.budget.map(|budget| {
            let left = budget.saturating_sub(self.kept);
            if last { left } else { need.of(memory).min(left) }
        });
        Grant { memory, limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEED: Need = Need { weights: 100, fast: 500, small: 300 };

    #[test]
    fn the_fast_form_is_taken_wherever_it_fits_and_the_small_one_otherwise() {
        let room = |budget, kept, free| Room { budget, kept, free };
        assert_eq!(room(None, 0, None).form(&NEED), MemoryUse::Fast, "nobody says anything");
        assert_eq!(room(None, 0, Some(600)).form(&NEED), MemoryUse::Fast);
        assert_eq!(room(None, 0, Some(599)).form(&NEED), MemoryUse::Small);
        assert_eq!(room(None, 400, Some(200)).form(&NEED), MemoryUse::Fast, "what is kept can go");
        assert_eq!(room(Some(599), 0, Some(9000)).form(&NEED), MemoryUse::Small, "the budget holds whatever is free");
        assert_eq!(room(Some(600), 600, Some(0)).form(&NEED), MemoryUse::Fast);
    }

    #[test]
    fn budget_and_card_must_both_have_room() {
        let room = Room { budget: Some(1000), kept: 400, free: Some(500) };
        assert!(room.fits(500));
        assert!(!room.fits(501), "not free");
        assert!(!Room { free: Some(5000), ..room }.fits(601), "not in the budget");
        assert!(Room { budget: None, ..room }.fits(500));
    }

    #[test]
    fn a_session_is_bounded_by_what_was_reckoned_and_in_the_end_by_what_is_left() {
        let room = Room { budget: Some(1000), kept: 200, free: None };
        assert_eq!(room.grant(&NEED, MemoryUse::Fast, false), Grant { memory: MemoryUse::Fast, limit: Some(600) });
        assert_eq!(room.grant(&NEED, MemoryUse::Small, true).limit, Some(800));
        assert_eq!(Room { budget: Some(450), ..room }.grant(&NEED, MemoryUse::Small, false).limit, Some(250));
        assert_eq!(Room { budget: Some(50), ..room }.grant(&NEED, MemoryUse::Small, true).limit, Some(0));
        assert_eq!(Room { budget: None, ..room }.grant(&NEED, MemoryUse::Fast, true).limit, None);
    }
}
