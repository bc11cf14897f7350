//! Files with keys: 64 hexadecimal digits and a line end. The secret one is for its owner alone.

use std::{fs, io::Write, path::Path};

use ed25519_dalek::{SigningKey, VerifyingKey};

use crate::error::Error;

/// Makes a key, and writes its two halves: `NAME.key` and `NAME.pub`.
pub(crate) fn generate(name: &str) -> Result<(), Error> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(Error::Random)?;
    let key = SigningKey::from_bytes(&secret);
    write_new(&format!("{name}.key"), &hex(&secret), true)?;
    write_new(&format!("{name}.pub"), &hex(key.verifying_key().as_bytes()), false)
}

/// The key that signs.
pub(crate) fn signing(path: &str) -> Result<SigningKey, Error> {
    Ok(SigningKey::from_bytes(&read(path)?))
}

/// The key that images are checked with.
pub(crate) fn verifying(path: &str) -> Result<VerifyingKey, Error> {
    let key = VerifyingKey::from_bytes(&read(path)?).ok().filter(|key| !key.is_weak());
    key.ok_or_else(|| Error::Key { path: path.into() })
}

fn read(path: &str) -> Result<[u8; 32], Error> {
    let text = fs::read(path).map_err(|error| Error::file(path, error))?;
    bytes(text.trim_ascii()).ok_or_else(|| Error::Key { path: path.into() })
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits + "\n"
}

fn bytes(text: &[u8]) -> Option<[u8; 32]> {
    let digit =
        |digit: &u8| char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (mut key, pairs) = ([0; 32], text.chunks_exact(2));
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(pairs) {
        let (high, low) = (digit(pair.first()?)?, digit(pair.last()?)?);
        *byte = high << 4 | low;
    }
    Some(key)
}

/// No key is overwritten.
fn write_new(path: &str, text: &str, is_secret: bool) -> Result<(), Error> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if is_secret {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _the_folder_decides = is_secret;
    let written =
        options.open(Path::new(path)).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Error::file(path, error))
}
