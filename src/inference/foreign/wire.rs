//! The protobuf wire format, read without a copy: fields as they come, borrowed from the file.
//!
//! Knows no message; which field means what is `model`'s to say. (prost would copy every weight of a file to look at its
//! shapes.)

/// One field's value. Fixed-width values are stepped over: no field that is looked at has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A varint.
    Number(u64),
    /// A string, message, or packed list.
    Bytes(&'a [u8]),
    /// Four or eight bytes.
    Fixed,
}

/// These bytes are no protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// The fields of a message, in the order of the file. Ends after the first mistake.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) const fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = varint(&mut self.0)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut self.0)?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = varint(&mut self.0)?;
                Value::Bytes(self.take(usize::try_from(length).ok()?)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            // Groups are older than ONNX.
            _ => return None,
        };
        // Field 0 does not exist.
        (key >> 3 != 0).then_some((key >> 3, value))
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field().ok_or(Malformed);
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// Takes a varint off the front: seven bits a byte, lowest first, at most ten bytes.
pub(super) fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for index in 0..10 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_protobuf_writes_them() {
        // The examples of the encoding guide: 150 as field 1, "testing" as field 2; then eight fixed bytes.
        let message = b"\x08\x96\x01\x12\x07testing\x19\0\0\0\0\0\0\0\0";
        let fields: Vec<_> = Fields::of(message).collect();
        assert_eq!(fields, [Ok((1, Value::Number(150))), Ok((2, Value::Bytes(b"testing"))), Ok((3, Value::Fixed))]);
    }

    #[test]
    fn a_message_cut_short_ends_with_a_mistake_and_a_group_is_one() {
        let is_whole = |message: &[u8]| Fields::of(message).all(|field| field.is_ok());
        let message = b"\x08\x96\x01\x12\x07testing";
        assert!(is_whole(message));
        // Cut between two fields it is a shorter message.
        assert!((1..message.len()).all(|end| is_whole(&message[..end]) == (end == 3)));
        for wrong in [
            &b"\x0b\x0c"[..],
            b"\x00\x01",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80",
        ] {
            assert!(!is_whole(wrong), "{wrong:?}");
        }
    }
}
