//! Units become values.

use base::Bytes;

use crate::unit::{length, number};
use crate::{Malformed, Value};

/// Arrays within arrays.
const DEPTH: usize = 8;

/// Puts the units of one stream together.
#[derive(Debug)]
pub struct Reader {
    /// The arrays that are not whole yet, the outermost first: how many elements are missing, and those
    /// that came.
    open: Vec<(usize, Vec<Value>)>,
    /// Elements and bytes of the value that is not whole yet, and how many there may be.
    so_far: [usize; 2],
    most: [usize; 2],
}

impl Default for Reader {
    /// A reader of what a server that is believed says.
    fn default() -> Reader {
        Reader::bounded(1 << 20, 64 << 20)
    }
}

impl Reader {
    /// A reader of values with so many elements and bytes at most.
    pub fn bounded(elements: usize, bytes: usize) -> Reader {
        Reader { open: Vec::new(), so_far: [0, 0], most: [elements, bytes] }
    }

    /// Takes one unit; the value that is whole with it.
    ///
    /// # Errors
    /// If the unit is none. The stream cannot be read any further then.
    pub fn push(&mut self, unit: &Bytes) -> Result<Option<Value>, Malformed> {
        self.count([0, unit.len()])?;
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
        self.so_far = [0, 0];
        Ok(Some(value))
    }

    fn count(&mut self, [elements, bytes]: [usize; 2]) -> Result<(), Malformed> {
        let sum = [self.so_far[0].saturating_add(elements), self.so_far[1].saturating_add(bytes)];
        self.so_far = sum;
        let [most_elements, most_bytes] = self.most;
        if sum[0] > most_elements || sum[1] > most_bytes {
            return Err(Malformed::TooMuch);
        }
        Ok(())
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
                    self.count([length, 0])?;
                    if self.open.len() >= DEPTH {
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
