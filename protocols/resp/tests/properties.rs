//! What was written is read again, however the stream is cut; nothing that is read panics.

use base::Bytes;
use proptest::prelude::*;
use resp::{Malformed, Reader, Value, command, unit};

/// All values of a stream.
fn read(mut stream: &[u8]) -> Result<Vec<Value>, Malformed> {
    let (mut reader, mut values) = (Reader::default(), Vec::new());
    while let Some(length) = unit(stream)? {
        values.extend(reader.push(&Bytes::copy_from_slice(&stream[..length]))?);
        stream = &stream[length..];
    }
    Ok(values)
}

fn value() -> impl Strategy<Value = Value> {
    let text = || "[ -~]{0,12}".prop_map(|text| Bytes::from(text.into_bytes()));
    let leaf = prop_oneof![
        text().prop_map(Value::Simple),
        text().prop_map(Value::Error),
        any::<i64>().prop_map(Value::Integer),
        proptest::option::of(any::<Vec<u8>>()).prop_map(|b| Value::Bulk(b.map(Bytes::from))),
        Just(Value::Array(None)),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        proptest::collection::vec(inner, 0..6).prop_map(|values| Value::Array(Some(values)))
    })
}

proptest! {
    #[test]
    fn a_value_is_read_as_it_was_written(values in proptest::collection::vec(value(), 0..4)) {
        let stream: Vec<u8> = values.iter().flat_map(|value| value.encode().to_vec()).collect();
        prop_assert_eq!(read(&stream), Ok(values));
    }

    #[test]
    fn a_command_is_an_array_of_strings(parts in proptest::collection::vec(any::<Vec<u8>>(), 1..5)) {
        let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let expected = parts.iter().map(|part| Value::bulk(part.clone())).collect();
        prop_assert_eq!(read(&command(&slices)), Ok(vec![Value::Array(Some(expected))]));
    }

    #[test]
    fn garbage_ends_in_an_error_or_waits(bytes in any::<Vec<u8>>()) {
        let _ = read(&bytes);
    }

    #[test]
    fn what_looks_like_resp_does_not_panic(text in "([*$:+-][-0-9]{0,3}\r\n|[a-z]{0,3}\r\n){0,12}") {
        let _ = read(text.as_bytes());
        let _ = Reader::default().push(&Bytes::from(text.into_bytes()));
    }
}

#[test]
fn an_array_has_bounds() {
    assert_eq!(read(b"*1048577\r\n"), Err(Malformed::TooMuch));
    assert_eq!(read(&b"*1\r\n".repeat(9)), Err(Malformed::TooMuch));
    let mut reader = Reader::bounded(2, 20);
    assert_eq!(reader.push(&Bytes::from_static(b"*3\r\n")), Err(Malformed::TooMuch));
    let mut reader = Reader::bounded(2, 20);
    assert_eq!(reader.push(&Bytes::from_static(b"*2\r\n")), Ok(None));
    let long = Bytes::from_static(b"$12\r\n123456789012\r\n");
    assert_eq!(reader.push(&long), Err(Malformed::TooMuch));
    let mut reader = Reader::bounded(2, 20);
    assert!((0..3).all(|_| reader.push(&Bytes::from_static(b"$9\r\n123456789\r\n")).is_ok()));
}
