//! Which numbered messages have arrived, in a few bytes for each sender: the highest number, and which of the 64 up to
//! it were there.

/// The numbers that have arrived from one sender, which counts from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// One more than the highest number that has arrived.
    next: u64,
    /// Bit 0 is for the highest number, bit 1 for the one before it.
    arrived: u64,
}

/// How a number arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is higher than all before. So many numbers were left out before it.
    Next {
        /// They may still come.
        left_out: u64,
    },
    /// It was left out before.
    Late,
    /// It has arrived before.
    Again,
    /// It is too low to be known: 64 or more below the highest.
    TooLow,
}

impl Sequence {
    /// Before the first message.
    #[must_use]
    pub const fn new() -> Self {
        Self { next: 0, arrived: 0 }
    }

    /// `number` has arrived.
    pub fn note(&mut self, number: u32) -> Arrival {
        let number = u64::from(number);
        if let Some(left_out) = number.checked_sub(self.next) {
            let shift = u32::try_from(left_out + 1).unwrap_or(u32::MAX);
            self.arrived = self.arrived.checked_shl(shift).unwrap_or(0) | 1;
            self.next = number + 1;
            return Arrival::Next { left_out };
        }
        let age = u32::try_from(self.next - 1 - number).unwrap_or(u32::MAX);
        let Some(bit) = 1_u64.checked_shl(age) else { return Arrival::TooLow };
        let is_new = self.arrived & bit == 0;
        self.arrived |= bit;
        if is_new { Arrival::Late } else { Arrival::Again }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(numbers: &[u32]) -> Vec<Arrival> {
        let mut sequence = Sequence::new();
        numbers.iter().map(|number| sequence.note(*number)).collect()
    }

    const NEXT: Arrival = Arrival::Next { left_out: 0 };

    #[test]
    fn a_number_is_new_once() {
        assert_eq!(arrivals(&[0, 0, 1, 0]), [NEXT, Arrival::Again, NEXT, Arrival::Again]);
    }

    #[test]
    fn a_number_that_was_left_out_may_come_late() {
        let gap = Arrival::Next { left_out: 2 };
        assert_eq!(arrivals(&[2, 1, 1, 0]), [gap, Arrival::Late, Arrival::Again, Arrival::Late]);
    }

    #[test]
    fn the_last_64_numbers_are_known() {
        let gap = Arrival::Next { left_out: 63 };
        assert_eq!(arrivals(&[0, 64, 1, 0]), [NEXT, gap, Arrival::Late, Arrival::TooLow]);
        assert_eq!(arrivals(&[63, 0]), [gap, Arrival::Late]);
        let all = Arrival::Next { left_out: u32::MAX.into() };
        assert_eq!(arrivals(&[u32::MAX, u32::MAX - 1]), [all, Arrival::Late]);
    }
}
