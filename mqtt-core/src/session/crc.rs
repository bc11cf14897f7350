//! CRC-32 as in IEEE 802.3, four bits at a time: the table takes 64 bytes.

pub(super) struct Crc(u32);

impl Crc {
    const TABLE: [u32; 16] = {
        let mut table = [0; 16];
        let mut nibble = 0;
        while nibble < 16 {
            let mut crc = nibble;
            let mut bit = 0;
            while bit < 4 {
                crc = (crc >> 1) ^ if crc & 1 != 0 { 0xEDB8_8320 } else { 0 };
                bit += 1;
            }
            #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
            {
                table[nibble as usize] = crc;
            }
            nibble += 1;
        }
        table
    };

    pub(super) const fn new() -> Self {
        Self(u32::MAX)
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.nibble(*byte);
            self.nibble(*byte >> 4);
        }
    }

    fn nibble(&mut self, bits: u8) {
        let index = (self.0 as u8 ^ bits) & 15;
        self.0 = (self.0 >> 4) ^ Self::TABLE.get(usize::from(index)).copied().unwrap_or(0);
    }

    pub(super) const fn finish(&self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Crc;

    #[test]
    fn the_check_value_of_crc_32_comes_out() {
        let mut crc = Crc::new();
        crc.add(b"123456789");
        assert_eq!(crc.finish(), 0xCBF4_3926);
    }
}
