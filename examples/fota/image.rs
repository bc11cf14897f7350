//! The files of an image and of its manifest, on the side of those who make and publish them.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    sync::{Arc, Mutex, PoisonError},
};

use ed25519_dalek::SigningKey;
use mqtt_fota::{
    Version,
    manifest::{Manifest, Product},
};
use sha2::{Digest, Sha256};

use crate::error::Error;

/// Bytes that are read at once.
const PART: usize = 4_096;

/// Signs the image in a file, and writes its manifest into another one.
pub(crate) fn sign(
    (image, manifest): (&str, &str),
    key: &SigningKey,
    (product, version, chunk_size): (Product, Version, u32),
) -> Result<Manifest, Error> {
    let mut file = ImageFile::open(image)?;
    let (size, hash) = (file.size, file.hash(0, file.size)?);
    let signed = Manifest { product, version, chunk_size, size, hash };
    fs::write(manifest, signed.sign(key)).map_err(|error| Error::file(manifest, error))?;
    Ok(signed)
}

/// Reads a manifest, and opens the image that it is of.
pub(crate) fn open(manifest: &str, image: &str) -> Result<(Vec<u8>, Manifest, ImageFile), Error> {
    let signed = fs::read(manifest).map_err(|error| Error::file(manifest, error))?;
    let read = Manifest::unverified(&signed);
    let read = read.map_err(|error| Error::Manifest { path: manifest.into(), error })?;
    let mut file = ImageFile::open(image)?;
    if file.size != read.size || file.hash(0, read.size)? != read.hash {
        return Err(Error::NotTheImage { path: image.into(), manifest: manifest.into() });
    }
    Ok((signed, read, file))
}

/// An image in a file. Clones share the file.
#[derive(Clone, Debug)]
pub(crate) struct ImageFile {
    path: Arc<str>,
    file: Arc<Mutex<File>>,
    pub(crate) size: u32,
    /// The place of a byte that is read wrong.
    pub(crate) corrupt: Option<u64>,
}

impl ImageFile {
    fn open(path: &str) -> Result<Self, Error> {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        let (kind, file) = opened.map_err(|error| Error::file(path, error))?;
        if !kind.is_file() || kind.len() == 0 {
            let what = "it is not a file with an image in it";
            return Err(Error::file(path, io::Error::new(io::ErrorKind::InvalidInput, what)));
        }
        let size = u32::try_from(kind.len()).map_err(|_| Error::TooLarge {
            path: path.into(),
            size: kind.len(),
            most: u32::MAX,
        })?;
        Ok(Self { path: path.into(), file: Arc::new(Mutex::new(file)), size, corrupt: None })
    }

    /// Reads some bytes from `at` on.
    pub(crate) fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))?;
        let count = file.read(bytes)?;
        if let Some(place) = self.corrupt.and_then(|place| place.checked_sub(at)) {
            let place = usize::try_from(place).unwrap_or(usize::MAX);
            bytes.iter_mut().take(count).skip(place).take(1).for_each(|byte| *byte ^= 1);
        }
        Ok(count)
    }

    /// SHA-256 of `len` bytes from `at` on.
    pub(crate) fn hash(&mut self, at: u64, len: u32) -> Result<[u8; 32], Error> {
        let (mut hash, mut part) = (Sha256::new(), [0; PART]);
        let (mut at, end) = (at, at + u64::from(len));
        while at < end {
            let left = usize::try_from(end - at).unwrap_or(PART).min(PART);
            let part = part.get_mut(..left).unwrap_or_default();
            let count = match self.read(at, part) {
                Ok(0) => return Err(Error::ImageFailed),
                Ok(count) => count,
                Err(error) => return Err(Error::file(&self.path, error)),
            };
            hash.update(part.get(..count).unwrap_or_default());
            at += count as u64;
        }
        Ok(hash.finalize().into())
    }
}
