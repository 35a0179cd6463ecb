//! Addresses of documents: a module and the names of what is in it, each percent-encoded, between slashes.

use std::fmt::Write as _;

/// The longest address, in bytes.
const MOST_BYTES: usize = 8 * 1024;

/// The address of these parts.
pub(super) fn write(parts: &[&str]) -> String {
    let encoded = parts.iter().map(|part| {
        part.bytes().fold(String::new(), |mut text, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                let _ = write!(text, "%{byte:02X}");
            }
            text
        })
    });
    encoded.collect::<Vec<_>>().join("/")
}

/// The parts of an address; `None` if it is none.
pub(super) fn read(address: &str) -> Option<Vec<String>> {
    if address.len() > MOST_BYTES {
        return None;
    }
    address.split('/').map(decode).collect()
}

fn decode(part: &str) -> Option<String> {
    let mut bytes = part.bytes();
    let mut decoded = Vec::with_capacity(part.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            decoded.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_return_whatever_is_in_them() {
        let parts = ["module", "http://example.com/a b?c=%41&é", "\"COMP/1"];
        let address = write(&parts);
        assert_eq!(address, "module/http%3A%2F%2Fexample.com%2Fa%20b%3Fc%3D%2541%26%C3%A9/%22COMP%2F1");
        assert_eq!(read(&address).unwrap(), parts);
    }

    #[test]
    fn what_is_no_address_is_none() {
        for wrong in ["a/%", "a/%4", "a/%zz", "a/%FF", &"x".repeat(MOST_BYTES + 1)] {
            assert_eq!(read(wrong), None, "{wrong:.20}");
        }
    }
}
