//! Numbers and byte arrays at the beginning of a slice, little-endian, for all that goes over the wire or into flash.

/// Reads fields one after the other. Each read gives `None` if too few bytes are left.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }
}

/// The fields one after the other, in `N` bytes. What is left stays 0.
pub(crate) fn joined<const N: usize>(fields: &[&[u8]]) -> [u8; N] {
    debug_assert!(fields.iter().map(|field| field.len()).sum::<usize>() <= N, "they have room");
    let mut bytes = [0; N];
    let all = fields.iter().flat_map(|field| field.iter());
    bytes.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
    bytes
}
