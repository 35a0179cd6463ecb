//! A scanner for bodies of the usual shape: it does less than the reader of all JSON.
//!
//! The usual shape: objects whose members are known and given once; texts without escapes; a quantity that is a text or
//! a number; nothing nested but `data` and `dimensions`. Of anything else it says nothing at all, and the other reader
//! reads the body from its start, and words what is wrong with it.
//!
//! Invariant: what it reads, the other reader reads the same. It never decides that a body is no JSON.

use std::borrow::Cow;

use super::MOST_DIMENSIONS;
use super::members::{DimensionMembers, EventMember, Payload, UsageData, UsageEvent};

/// Hands on the events of a list; `None` if it is not of the usual shape, or if one of them is not taken.
pub(super) fn list<'a>(text: &'a str, mut each: impl FnMut(&UsageEvent<'a>) -> Option<()>) -> Option<()> {
    let mut scanner = EventScanner { text, at: 0 };
    scanner.expect(b'[')?;
    if scanner.peek()? == b']' {
        scanner.at += 1;
        return scanner.end();
    }
    loop {
        each(&scanner.event()?)?;
        if !scanner.goes_on(b']')? {
            return scanner.end();
        }
    }
}

/// The event that a text is, if it is one of the usual shape.
pub(super) fn one(text: &str) -> Option<UsageEvent<'_>> {
    let mut scanner = EventScanner { text, at: 0 };
    let event = scanner.event()?;
    scanner.end().map(|()| event)
}

struct EventScanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> EventScanner<'a> {
    /// The next byte that is no white space; it is not taken.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.text.as_bytes().get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Whether another item follows, or the end of them.
    fn goes_on(&mut self, end: u8) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Some(true),
            byte if byte == end => Some(false),
            _ => None,
        }
    }

    /// Whether nothing but white space is left.
    fn end(mut self) -> Option<()> {
        match self.peek() {
            None => Some(()),
            Some(_) => None,
        }
    }

    /// A text without escapes.
    fn string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let rest = &self.text.as_bytes()[self.at..];
        let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
        if rest[length] != b'"' {
            return None;
        }
        // Both ends are beside an ASCII character.
        let text = self.text.get(self.at..self.at + length)?;
        self.at += length + 1;
        Some(text)
    }

    /// A number as it is written.
    fn number(&mut self) -> Option<&'a str> {
        self.peek()?;
        let begin = self.at;
        self.skip_if(b"-");
        match *self.text.as_bytes().get(self.at)? {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits()?,
            _ => return None,
        }
        if self.skip_if(b".") {
            self.digits()?;
        }
        if self.skip_if(b"eE") {
            self.skip_if(b"+-");
            self.digits()?;
        }
        self.text.get(begin..self.at)
    }

    fn skip_if(&mut self, any_of: &[u8]) -> bool {
        let is_there = self.text.as_bytes().get(self.at).is_some_and(|byte| any_of.contains(byte));
        self.at += usize::from(is_there);
        is_there
    }

    /// At least one digit.
    fn digits(&mut self) -> Option<()> {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
    }

    /// The members of an object, each handed on with its name when its value begins.
    fn members(&mut self, mut each: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let name = self.string()?;
            self.expect(b':')?;
            each(self, name)?;
            if !self.goes_on(b'}')? {
                return Some(());
            }
        }
    }

    fn event(&mut self) -> Option<UsageEvent<'a>> {
        let mut event = UsageEvent::default();
        self.members(|scanner, name| {
            let slot = match name {
                "data" if matches!(event.data, Payload::Missing) => {
                    event.data = Payload::Data(scanner.data()?);
                    return Some(());
                }
                _ => event.slot(name)?,
            };
            scanner.text_into(slot)
        })?;
        Some(event)
    }

    fn data(&mut self) -> Option<UsageData<'a>> {
        let mut data = UsageData::default();
        self.members(|scanner, name| {
            let slot = match name {
                "quantity" if data.quantity.is_none() => {
                    data.quantity = Some(scanner.quantity()?);
                    return Some(());
                }
                "node_sequence" if data.node_sequence.is_missing() => {
                    // What is longer, or no whole number, is for the other reader.
                    let number = scanner.number()?.parse().ok()?;
                    data.node_sequence = EventMember::Natural(number);
                    return Some(());
                }
                "dimensions" if matches!(data.dimensions, DimensionMembers::Missing) => {
                    data.dimensions = scanner.dimensions()?;
                    return Some(());
                }
                _ => data.slot(name)?,
            };
            scanner.text_into(slot)
        })?;
        Some(data)
    }

    fn text_into(&mut self, slot: &mut EventMember<'a>) -> Option<()> {
        if !slot.is_missing() {
            return None;
        }
        *slot = EventMember::Text(Cow::Borrowed(self.string()?));
        Some(())
    }

    /// A quantity with its quotes, if it has some.
    fn quantity(&mut self) -> Option<&'a str> {
        if self.peek()? != b'"' {
            return self.number();
        }
        let begin = self.at;
        self.string()?;
        self.text.get(begin..self.at)
    }

    fn dimensions(&mut self) -> Option<DimensionMembers<'a>> {
        let mut pairs = Vec::new();
        self.members(|scanner, name| {
            if pairs.len() == MOST_DIMENSIONS {
                return None;
            }
            let value = EventMember::Text(Cow::Borrowed(scanner.string()?));
            pairs.push((Cow::Borrowed(name), value));
            Some(())
        })?;
        Some(DimensionMembers::Pairs(pairs))
    }
}

#[cfg(test)]
mod tests;
