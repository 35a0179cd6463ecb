//! Values that copies of a view share until one of them changes.
//!
//! The rating takes a copy of a view, which costs as little as there are such values, and works on it for as long
//! as it takes. The fold goes on meanwhile: the first change of a value that a copy still holds makes one copy of it,
//! and the changes after that are made in place. The encoding is that of the value itself.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use bincode::de::{BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{BorrowDecode, Decode, Encode};

/// A value that is shared until it changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CopyOnWrite<T>(Arc<T>);

impl<T> CopyOnWrite<T> {
    /// Shares a value.
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> From<T> for CopyOnWrite<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

// Not derived: what is shared need not be copied.
impl<T> Clone for CopyOnWrite<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for CopyOnWrite<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for CopyOnWrite<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

impl<T: Encode> Encode for CopyOnWrite<T> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.0.encode(encoder)
    }
}

impl<Context, T: Decode<Context>> Decode<Context> for CopyOnWrite<T> {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        T::decode(decoder).map(Self::new)
    }
}

impl<'de, Context, T: Decode<Context>> BorrowDecode<'de, Context> for CopyOnWrite<T> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        T::decode(decoder).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_what_it_was_and_nothing_is_copied_twice() {
        let mut live = CopyOnWrite::new(vec![1]);
        let before = std::ptr::from_ref::<Vec<i32>>(&live);
        live.push(2);
        assert_eq!(std::ptr::from_ref::<Vec<i32>>(&live), before, "nobody shares it: it changes in place");
        let taken = live.clone();
        live.push(3);
        let copied = std::ptr::from_ref::<Vec<i32>>(&live);
        live.push(4);
        assert_eq!(std::ptr::from_ref::<Vec<i32>>(&live), copied);
        assert_eq!((&*taken, &*live), (&vec![1, 2], &vec![1, 2, 3, 4]));
    }

    #[test]
    fn it_is_encoded_as_its_value() {
        let config = bincode::config::standard();
        let value = vec![(1_u32, "one".to_owned())];
        let bytes = bincode::encode_to_vec(CopyOnWrite::new(value.clone()), config).expect("a list encodes");
        assert_eq!(bytes, bincode::encode_to_vec(&value, config).expect("a list encodes"));
        let (read, _) = bincode::decode_from_slice::<CopyOnWrite<Vec<(u32, String)>>, _>(&bytes, config)
            .expect("what was encoded decodes");
        assert_eq!(*read, value);
    }
}
