//! Host and port: a name, an IPv4 address, or an IPv6 address in brackets, with or without a zone (RFC 3986, section
//! 3.2.2; RFC 6874).

use core::net::Ipv6Addr;
use std::{borrow::ToOwned, format, string::String};

use super::{AddressError, Part, Place, percent::string};

/// The most bytes of a host name: a limit of DNS.
const LONGEST_HOST: usize = 253;

/// Whether the text is a URL, in which `%` stands for a byte, or a plain place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Url,
    Plain,
}

/// `host`, `host:port`, `[::1]` or `[::1]:port`.
pub(super) fn host(place: &str, form: Form, default_port: u16) -> Result<Place, AddressError> {
    if is_bare_ipv6(place) {
        return Err(AddressError::NoBrackets);
    }
    let (host, port) = match place.strip_prefix('[') {
        Some(bracketed) => {
            let (address, behind) = bracketed.split_once(']').ok_or(AddressError::Ipv6)?;
            let port = behind.strip_prefix(':');
            if port.is_none() && !behind.is_empty() {
                return Err(AddressError::NoColon);
            }
            (ipv6(address, form)?, port)
        }
        None => match place.split_once(':') {
            Some((host, port)) => (name(host, form)?, Some(port)),
            None => (name(place, form)?, None),
        },
    };
    Ok(Place::Host { host, port: port.map_or(Ok(default_port), port_number)? })
}

/// Whether it can only be meant as an IPv6 address, with or without a port.
fn is_bare_ipv6(place: &str) -> bool {
    let address = place.split('%').next().unwrap_or(place);
    address.matches(':').count() > 1
        && address.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.'))
}

/// A host name or an IPv4 address. Names with `_` are not valid in DNS, but container networks have them.
fn name(text: &str, form: Form) -> Result<String, AddressError> {
    let name = match form {
        Form::Url => string(text, Part::Host)?,
        Form::Plain => text.to_owned(),
    };
    if name.is_empty() {
        return Err(AddressError::NoHost);
    }
    if !name.is_ascii() {
        return Err(AddressError::HostNotAscii);
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
        return Err(AddressError::HostCharacter);
    }
    short(name)
}

/// The address and its zone, if it has one, with a `%` between them.
fn ipv6(text: &str, form: Form) -> Result<String, AddressError> {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    if address.parse::<Ipv6Addr>().is_err() {
        return Err(AddressError::Ipv6);
    }
    let Some(zone) = zone else { return Ok(address.to_owned()) };
    let zone = match form {
        Form::Url => zone.strip_prefix("25").unwrap_or(zone),
        Form::Plain => zone,
    };
    // The unreserved characters of RFC 3986, which RFC 6874 gives to zones.
    let is_valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~');
    if zone.is_empty() || !zone.chars().all(is_valid) {
        return Err(AddressError::Zone);
    }
    short(format!("{address}%{zone}"))
}

fn short(host: String) -> Result<String, AddressError> {
    if host.len() > LONGEST_HOST { Err(AddressError::HostTooLong) } else { Ok(host) }
}

fn port_number(text: &str) -> Result<u16, AddressError> {
    if text.is_empty() {
        return Err(AddressError::NoPort);
    }
    // `u16::from_str` takes a + as well.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AddressError::PortNotNumber);
    }
    match text.parse() {
        Ok(port) if port != 0 => Ok(port),
        Ok(_) | Err(_) => Err(AddressError::PortRange),
    }
}
