//! [`Manifest`]: what an image is. It is signed, so a device believes it whoever sends it, and the hash in it makes the
//! device believe the image.
//!
//! | bytes | |
//! |---|---|
//! | 0..4 | `FOTA` |
//! | 4..6 | 1, the format |
//! | 6..12 | the version, three numbers of 16 bits |
//! | 12..28 | the product, filled up with zeros |
//! | 28..32 | bytes of a chunk; the last one may be shorter |
//! | 32..36 | bytes of the image |
//! | 36..68 | SHA-256 of the image |
//! | 68..132 | ed25519 signature of all bytes before it |
//!
//! Numbers are little-endian.

use core::{fmt, ops::Range, str::FromStr};

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::{
    Version,
    fields::{Fields, joined},
};

const MAGIC: [u8; 4] = *b"FOTA";
const FORMAT: u16 = 1;
const BODY: usize = 68;
const SIGNATURE: usize = 64;

/// The largest chunk. Larger ones would make a device write for long between two signs of progress.
pub const LARGEST_CHUNK: u32 = 1 << 20;

/// A manifest with its signature, as it is sent and stored.
pub type Signed = [u8; Manifest::LEN];

/// What an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The devices that it is for.
    pub product: Product,
    /// Its version.
    pub version: Version,
    /// Bytes of a chunk; the last one may be shorter.
    pub chunk_size: u32,
    /// Bytes of the image.
    pub size: u32,
    /// SHA-256 of the image.
    pub hash: [u8; 32],
}

impl Manifest {
    /// Bytes of a manifest with its signature.
    pub const LEN: usize = BODY + SIGNATURE;

    /// Of an image that is in memory.
    #[must_use]
    pub fn of_image(product: Product, version: Version, chunk_size: u32, image: &[u8]) -> Self {
        let size = u32::try_from(image.len()).unwrap_or(u32::MAX);
        Self { product, version, chunk_size, size, hash: Sha256::digest(image).into() }
    }

    /// The number of chunks.
    #[must_use]
    pub const fn chunks(&self) -> u32 {
        if self.chunk_size == 0 { 0 } else { self.size.div_ceil(self.chunk_size) }
    }

    /// The bytes of the image that are in the chunk `number`; `None` if the image has fewer chunks.
    #[must_use]
    pub fn range(&self, number: u32) -> Option<Range<usize>> {
        let begin = number.checked_mul(self.chunk_size).filter(|begin| *begin < self.size)?;
        let end = begin.saturating_add(self.chunk_size).min(self.size);
        Some(begin as usize..end as usize)
    }

    /// The short name of the image in messages.
    #[must_use]
    pub fn image(&self) -> ImageId {
        ImageId(self.hash.first_chunk().copied().unwrap_or_default())
    }

    /// As it is sent and stored.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> Signed {
        let body = self.body();
        joined(&[&body, &key.sign(&body).to_bytes()])
    }

    fn body(&self) -> [u8; BODY] {
        let Version { major, minor, patch } = self.version;
        joined(&[
            &MAGIC,
            &FORMAT.to_le_bytes(),
            &major.to_le_bytes(),
            &minor.to_le_bytes(),
            &patch.to_le_bytes(),
            &self.product.0,
            &self.chunk_size.to_le_bytes(),
            &self.size.to_le_bytes(),
            &self.hash,
        ])
    }

    /// Checks the signature, and only then reads the manifest.
    ///
    /// # Errors
    ///
    /// [`ManifestError`].
    pub fn verified(bytes: &[u8], key: &VerifyingKey) -> Result<Self, ManifestError> {
        let Some((body, signature)) = bytes.split_first_chunk::<BODY>() else {
            return Err(ManifestError::Length(bytes.len()));
        };
        let signature = signature.try_into().map_err(|_| ManifestError::Length(bytes.len()))?;
        key.verify_strict(body, &Signature::from_bytes(signature))
            .map_err(|_| ManifestError::Signature)?;
        Self::read(body)
    }

    /// Reads a manifest without a look at its signature, to show it. A device never does.
    ///
    /// # Errors
    ///
    /// [`ManifestError`].
    pub fn unverified(bytes: &[u8]) -> Result<Self, ManifestError> {
        let signed: &Signed = bytes.try_into().map_err(|_| ManifestError::Length(bytes.len()))?;
        Self::read(signed)
    }

    fn read(body: &[u8]) -> Result<Self, ManifestError> {
        let mut fields = Fields(body);
        if fields.array() != Some(MAGIC) {
            return Err(ManifestError::Magic);
        }
        match fields.u16() {
            Some(FORMAT) => {}
            other => return Err(ManifestError::Format(other.unwrap_or(0))),
        }
        let mut rest = || {
            let (major, minor) = (fields.u16()?, fields.u16()?);
            let version = Version { major, minor, patch: fields.u16()? };
            let product = Product(fields.array()?);
            let (chunk_size, size) = (fields.u32()?, fields.u32()?);
            Some(Self { product, version, chunk_size, size, hash: fields.array()? })
        };
        let manifest = rest().ok_or(ManifestError::Length(body.len()))?;
        if manifest.size == 0 {
            return Err(ManifestError::Empty);
        }
        if !(1..=LARGEST_CHUNK).contains(&manifest.chunk_size) {
            return Err(ManifestError::ChunkSize(manifest.chunk_size));
        }
        manifest.product.text().ok_or(ManifestError::Product)?;
        Ok(manifest)
    }
}

/// Why a manifest is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It has not the length of a manifest.
    #[error("{0} bytes are not a manifest, which has {len}", len = Manifest::LEN)]
    Length(usize),
    /// The signature is not one of this key.
    #[error("its signature is not by the key of this device")]
    Signature,
    /// It does not begin as a manifest does.
    #[error("it is not a manifest")]
    Magic,
    /// A format that this program does not know.
    #[error("its format {0} is unknown")]
    Format(u16),
    /// An image without a byte.
    #[error("its image is empty")]
    Empty,
    /// No chunk, or one of more than [`LARGEST_CHUNK`] bytes.
    #[error("its chunks have {0} bytes, which is not 1 to {LARGEST_CHUNK}")]
    ChunkSize(u32),
    /// The name of the product has other characters than [`Product`] allows.
    #[error("the name of its product is none")]
    Product,
}

/// The name of a product: 1 to 16 of `a` to `z`, digits, `-` and `_`, so that it can be a level of a topic.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Product([u8; 16]);

impl Product {
    fn text(&self) -> Option<&str> {
        let len = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let (text, rest) = self.0.split_at_checked(len)?;
        let good = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        let is_name = len > 0 && text.iter().all(good) && rest.iter().all(|byte| *byte == 0);
        core::str::from_utf8(text).ok().filter(|_| is_name)
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text().unwrap_or("?"))
    }
}

impl fmt::Debug for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Product({self})")
    }
}

/// A text is not the name of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it is not 1 to 16 of a to z, digits, - and _")]
pub struct ProductError;

impl FromStr for Product {
    type Err = ProductError;

    fn from_str(text: &str) -> Result<Self, ProductError> {
        if text.len() > 16 {
            return Err(ProductError);
        }
        let product = Self(joined(&[text.as_bytes()]));
        // A zero in the text is no end of it.
        if product.text() == Some(text) { Ok(product) } else { Err(ProductError) }
    }
}

/// The short name of an image in messages: the first bytes of its hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImageId(pub [u8; 8]);

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImageId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[1; 32])
    }

    fn manifest() -> Manifest {
        let (product, version) = ("meter-4".parse(), "1.4.2".parse());
        Manifest::of_image(product.expect("a name"), version.expect("one"), 1_024, &[9; 2_500])
    }

    #[test]
    fn a_signed_manifest_is_read_as_it_was_written() {
        let signed = manifest().sign(&key());
        assert_eq!(Manifest::verified(&signed, &key().verifying_key()), Ok(manifest()));
        assert_eq!(Manifest::unverified(&signed), Ok(manifest()));
    }

    #[test]
    fn a_change_of_any_bit_is_refused() {
        let signed = manifest().sign(&key());
        for place in 0..signed.len() * 8 {
            let mut bytes = signed;
            bytes.iter_mut().skip(place / 8).take(1).for_each(|byte| *byte ^= 1 << (place % 8));
            let refused = Manifest::verified(&bytes, &key().verifying_key());
            assert_eq!(refused, Err(ManifestError::Signature), "bit {place}");
        }
    }

    #[test]
    fn another_key_and_another_length_are_refused() {
        let other = SigningKey::from_bytes(&[2; 32]);
        let signed = manifest().sign(&other);
        let verified = |bytes: &[u8]| Manifest::verified(bytes, &key().verifying_key());
        assert_eq!(verified(&signed), Err(ManifestError::Signature));
        for len in 0..signed.len() {
            assert_eq!(verified(signed.split_at(len).0), Err(ManifestError::Length(len)));
        }
        let longer = [&signed[..], &[0]].concat();
        assert_eq!(verified(&longer), Err(ManifestError::Length(Manifest::LEN + 1)));
    }

    #[test]
    fn fields_that_make_no_sense_are_refused_although_they_are_signed() {
        let refused =
            |manifest: Manifest| Manifest::verified(&manifest.sign(&key()), &key().verifying_key());
        let good = manifest();
        assert_eq!(refused(Manifest { size: 0, ..good }), Err(ManifestError::Empty));
        let none = refused(Manifest { chunk_size: 0, ..good });
        assert_eq!(none, Err(ManifestError::ChunkSize(0)));
        let large = refused(Manifest { chunk_size: LARGEST_CHUNK + 1, ..good });
        assert_eq!(large, Err(ManifestError::ChunkSize(LARGEST_CHUNK + 1)));
        let product = Product(*b"a\0b\0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(refused(Manifest { product, ..good }), Err(ManifestError::Product));
    }

    #[test]
    fn another_magic_and_format_are_named() {
        let mut bytes = manifest().sign(&key());
        bytes.iter_mut().skip(4).take(1).for_each(|byte| *byte = 2);
        assert_eq!(Manifest::unverified(&bytes), Err(ManifestError::Format(2)));
        bytes.iter_mut().take(1).for_each(|byte| *byte = b'f');
        assert_eq!(Manifest::unverified(&bytes), Err(ManifestError::Magic));
    }

    #[test]
    fn names_of_products_are_levels_of_a_topic() {
        for name in ["a", "meter-4_b", "0123456789abcdef"] {
            let product: Product = name.parse().expect(name);
            assert_eq!(product.to_string(), name);
        }
        for name in ["", "A", "a/b", "a+", "#", "a b", "a\0", "0123456789abcdefg", "ä"] {
            assert_eq!(name.parse::<Product>(), Err(ProductError), "{name:?}");
        }
    }

    #[test]
    fn the_chunks_cover_the_image() {
        let manifest = manifest();
        assert_eq!(manifest.chunks(), 3);
        let ranges: Vec<_> = (0..4).map(|number| manifest.range(number)).collect();
        assert_eq!(ranges, [Some(0..1_024), Some(1_024..2_048), Some(2_048..2_500), None]);
        assert_eq!(manifest.range(u32::MAX), None);
    }
}
