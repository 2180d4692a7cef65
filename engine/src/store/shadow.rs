//! A file that cannot be written, made readable: redb opens only what it may repair, and refuses to
//! read after a write has failed. What it wants to write goes to memory and is thrown away.

use std::collections::BTreeMap;
use std::io::Result;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

const BLOCK: u64 = 4096;

/// A file and the blocks of it that were written since it was opened.
#[derive(Debug)]
pub(super) struct Shadow<B> {
    file: B,
    /// The trait reads and writes through a shared reference; only one thread ever does.
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    /// The length that the file is said to have.
    length: u64,
    /// So much of the file itself still counts.
    original: u64,
    blocks: BTreeMap<u64, Box<[u8; BLOCK as usize]>>,
}

impl<B: StorageBackend> Shadow<B> {
    pub(super) fn new(file: B) -> Result<Shadow<B>> {
        let length = file.len()?;
        let written = Written { length, original: length, blocks: BTreeMap::new() };
        Ok(Shadow { file, written: Mutex::new(written) })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The block that begins at `number * BLOCK`, as the file has it.
    fn original(&self, number: u64, original: u64) -> Result<Box<[u8; BLOCK as usize]>> {
        let mut block = Box::new([0; BLOCK as usize]);
        let start = number * BLOCK;
        let there = original.saturating_sub(start).min(BLOCK) as usize;
        if there > 0 {
            self.file.read(start, &mut block[..there])?;
        }
        Ok(block)
    }
}

/// The parts of `offset..offset + length` by block: the block, where in it, and how many bytes.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset + length as u64;
    let mut at = offset;
    std::iter::from_fn(move || {
        let within = at % BLOCK;
        let count = (BLOCK - within).min(end - at);
        let part = (at / BLOCK, within as usize, count as usize);
        at += count;
        (count > 0).then_some(part)
    })
}

impl<B: StorageBackend> StorageBackend for Shadow<B> {
    fn len(&self) -> Result<u64> {
        Ok(self.written().length)
    }

    fn read(&self, offset: u64, mut out: &mut [u8]) -> Result<()> {
        let written = self.written();
        for (number, within, count) in parts(offset, out.len()) {
            let (part, rest) = out.split_at_mut(count);
            match written.blocks.get(&number) {
                Some(block) => part.copy_from_slice(&block[within..within + count]),
                None => {
                    let block = self.original(number, written.original)?;
                    part.copy_from_slice(&block[within..within + count]);
                }
            }
            out = rest;
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> Result<()> {
        let mut written = self.written();
        written.length = length;
        // What was cut off comes back as zeroes.
        written.original = written.original.min(length);
        written.blocks.retain(|number, _| number * BLOCK < length);
        if let Some(block) = written.blocks.get_mut(&(length / BLOCK)) {
            block[(length % BLOCK) as usize..].fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, mut data: &[u8]) -> Result<()> {
        let mut written = self.written();
        for (number, within, count) in parts(offset, data.len()) {
            let (part, rest) = data.split_at(count);
            if !written.blocks.contains_key(&number) {
                let block = self.original(number, written.original)?;
                written.blocks.insert(number, block);
            }
            if let Some(block) = written.blocks.get_mut(&number) {
                block[within..within + count].copy_from_slice(part);
            }
            data = rest;
        }
        Ok(())
    }

    fn close(&self) -> Result<()> {
        self.file.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u64, Vec<u8>),
        Length(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let bytes = proptest::collection::vec(any::<u8>(), 1..9000);
        let write = (0u64..20_000, bytes).prop_map(|(offset, bytes)| Step::Write(offset, bytes));
        prop_oneof![3 => write, 1 => (0u64..30_000).prop_map(Step::Length)]
    }

    proptest! {
        /// It behaves as the file would, and leaves the file alone.
        #[test]
        fn it_reads_like_the_file_that_it_stands_for(
            original in proptest::collection::vec(any::<u8>(), 0..20_000),
            steps in proptest::collection::vec(step(), 0..12),
        ) {
            let file = InMemoryBackend::new();
            file.set_len(original.len() as u64).unwrap();
            if !original.is_empty() {
                file.write(0, &original).unwrap();
            }
            let mut model = original.clone();
            let shadow = Shadow::new(file).unwrap();
            for step in steps {
                match step {
                    Step::Write(offset, bytes) => {
                        let end = offset as usize + bytes.len();
                        model.resize(model.len().max(end), 0);
                        model[offset as usize..end].copy_from_slice(&bytes);
                        // redb sets the length before it writes beyond it.
                        shadow.set_len(model.len() as u64).unwrap();
                        shadow.write(offset, &bytes).unwrap();
                    }
                    Step::Length(length) => {
                        model.resize(length as usize, 0);
                        shadow.set_len(length).unwrap();
                    }
                }
                prop_assert_eq!(shadow.len().unwrap(), model.len() as u64);
                let mut read = vec![0; model.len()];
                shadow.read(0, &mut read).unwrap();
                prop_assert!(read == model);
            }
            let mut kept = vec![0; original.len()];
            shadow.file.read(0, &mut kept).unwrap();
            prop_assert!(kept == original);
        }
    }
}
