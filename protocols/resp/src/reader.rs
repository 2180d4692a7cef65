//! Units become values.

use base::Bytes;

use crate::unit::{length, number};
use crate::{Malformed, Value};

/// Arrays within arrays.
const DEPTH: usize = 8;
/// Elements of all arrays of one value.
const ELEMENTS: usize = 1 << 20;

/// Puts the units of one stream together.
#[derive(Debug, Default)]
pub struct Reader {
    /// The arrays that are not whole yet, the outermost first: how many elements are missing, and those
    /// that came.
    open: Vec<(usize, Vec<Value>)>,
    elements: usize,
}

impl Reader {
    /// Takes one unit; the value that is whole with it.
    ///
    /// # Errors
    /// If the unit is none. The stream cannot be read any further then.
    pub fn push(&mut self, unit: &Bytes) -> Result<Option<Value>, Malformed> {
        let mut value = match self.read(unit)? {
            Some(value) => value,
            None => return Ok(None),
        };
        while let Some((missing, values)) = self.open.last_mut() {
            values.push(value);
            *missing -= 1;
            if *missing > 0 {
                return Ok(None);
            }
            let whole = self.open.pop().map(|(_, values)| values);
            value = Value::Array(whole);
        }
        self.elements = 0;
        Ok(Some(value))
    }

    /// The value of a unit, unless it is the head of an array with elements.
    fn read(&mut self, unit: &Bytes) -> Result<Option<Value>, Malformed> {
        let end = unit.iter().position(|byte| *byte == b'\r').ok_or(Malformed::End)?;
        let line = 1..end.max(1);
        Ok(Some(match unit[0] {
            b'+' => Value::Simple(unit.slice(line)),
            b'-' => Value::Error(unit.slice(line)),
            b':' => Value::Integer(number(&unit[line])?),
            b'$' => match length(&unit[line])? {
                None => Value::Bulk(None),
                Some(length) => {
                    let start = end + 2;
                    let whole = start.checked_add(length).filter(|stop| *stop <= unit.len());
                    Value::Bulk(Some(unit.slice(start..whole.ok_or(Malformed::End)?)))
                }
            },
            b'*' => match length(&unit[line])? {
                None => Value::Array(None),
                Some(0) => Value::Array(Some(Vec::new())),
                Some(length) => {
                    self.elements = self.elements.saturating_add(length);
                    if self.open.len() >= DEPTH || self.elements > ELEMENTS {
                        return Err(Malformed::TooMuch);
                    }
                    self.open.push((length, Vec::new()));
                    return Ok(None);
                }
            },
            _ => return Err(Malformed::Type),
        }))
    }
}
