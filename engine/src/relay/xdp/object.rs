//! The program that was compiled beforehand: as much of ELF as a BPF object of clang has.

/// A 64-bit little-endian object; `None` of everything that is not there.
pub(super) struct Object<'a> {
    bytes: &'a [u8],
    sections: Vec<Section>,
    names: usize,
}

#[derive(Clone, Copy)]
struct Section {
    name: usize,
    kind: u32,
    start: usize,
    length: usize,
    /// Of relocations: the section of their symbols, and the one that they change.
    link: usize,
    info: usize,
}

/// Section types.
const SYMBOLS: u32 = 2;
const RELOCATIONS: u32 = 9;
/// The relocation of an address in two instructions, `R_BPF_64_64`.
const ADDRESS: u64 = 1;
/// In the first one: that the address is a map, by its descriptor (`BPF_PSEUDO_MAP_FD`).
const MAP_DESCRIPTOR: u8 = 1;

impl<'a> Object<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Object<'a>> {
        if !bytes.starts_with(b"\x7fELF\x02\x01") {
            return None;
        }
        let start = long(bytes, 40)?;
        let count = short(bytes, 60)?;
        let sections = (0..count).map(|number| {
            let at = start.checked_add(number * 64)?;
            Some(Section {
                name: word(bytes, at)?,
                kind: word(bytes, at + 4)? as u32,
                start: long(bytes, at + 24)?,
                length: long(bytes, at + 32)?,
                link: word(bytes, at + 40)?,
                info: word(bytes, at + 44)?,
            })
        });
        let sections = sections.collect::<Option<_>>()?;
        Some(Object { bytes, sections, names: short(bytes, 62)? })
    }

    /// The instructions of a section, whose maps are found by the names of their symbols.
    pub(super) fn program(&self, name: &str, map: impl Fn(&str) -> Option<u32>) -> Option<Vec<u8>> {
        let named = |section: &Section| self.text(self.names, section.name) == Some(name);
        let number = self.sections.iter().position(named)?;
        let mut instructions = self.content(number)?.to_vec();
        for section in &self.sections {
            if section.kind != RELOCATIONS || section.info != number {
                continue;
            }
            for relocation in self.content_of(section)?.chunks_exact(16) {
                let (at, info) = (long(relocation, 0)?, long(relocation, 8)? as u64);
                if info & 0xffff_ffff != ADDRESS {
                    return None;
                }
                let symbol = self.symbol(section.link, (info >> 32) as usize)?;
                let instruction = instructions.get_mut(at..at + 16)?;
                // The source register is in the upper half of the second octet.
                instruction[1] = instruction[1] & 0x0f | MAP_DESCRIPTOR << 4;
                instruction[4..8].copy_from_slice(&map(symbol)?.to_le_bytes());
                instruction[12..16].fill(0);
            }
        }
        Some(instructions)
    }

    fn symbol(&self, table: usize, number: usize) -> Option<&'a str> {
        let section = self.sections.get(table).filter(|section| section.kind == SYMBOLS)?;
        let entry = self.content_of(section)?.get(number * 24..)?;
        self.text(section.link, word(entry, 0)?)
    }

    fn text(&self, table: usize, at: usize) -> Option<&'a str> {
        let text = self.content(table)?.get(at..)?;
        let end = text.iter().position(|octet| *octet == 0)?;
        str::from_utf8(&text[..end]).ok()
    }

    fn content(&self, number: usize) -> Option<&'a [u8]> {
        self.content_of(self.sections.get(number)?)
    }

    fn content_of(&self, section: &Section) -> Option<&'a [u8]> {
        self.bytes.get(section.start..)?.get(..section.length)
    }
}

fn short(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize)
}

fn long(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::xdp::OBJECT;

    #[test]
    fn the_object_has_both_programs_and_every_map() {
        let object = Object::parse(OBJECT).unwrap();
        let known = |name: &str| ["flows", "exits", "settings"].iter().position(|n| *n == name);
        let map = |name: &str| known(name).map(|number| number as u32 + 77);
        let relay = object.program("xdp/relay", map).unwrap();
        let loads = |number: u32| {
            let has = |i: &[u8]| i[0] == 0x18 && i[1] >> 4 == 1 && i[4..8] == number.to_le_bytes();
            relay.chunks(8).filter(|i| has(i)).count()
        };
        assert_eq!([loads(77), loads(78), loads(79)], [1, 1, 1]);
        assert!(object.program("xdp/end", map).is_some());
        assert!(object.program("xdp/relay", |_| None).is_none(), "a map that is not there");
        assert!(object.program("xdp/other", map).is_none());
    }

    #[test]
    fn no_cut_object_panics() {
        for length in 0..OBJECT.len() {
            if let Some(object) = Object::parse(&OBJECT[..length]) {
                let _ = object.program("xdp/relay", |_| Some(1));
            }
        }
    }
}
