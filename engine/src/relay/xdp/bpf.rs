//! bpf(2): maps, programs, and links to interfaces.
//!
//! `unsafe` because the call takes a union whose members are addresses: each is of a slice that outlives the call, and
//! as long as the map or the program says; each answer that is a descriptor is a new one of ours.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// Commands of `enum bpf_cmd`.
const MAP_CREATE: i32 = 0;
const MAP_LOOKUP_ELEM: i32 = 1;
const MAP_UPDATE_ELEM: i32 = 2;
const MAP_DELETE_ELEM: i32 = 3;
const PROG_LOAD: i32 = 5;
const PROG_TEST_RUN: i32 = 10;
const BTF_LOAD: i32 = 18;
const LINK_CREATE: i32 = 28;

/// `BPF_PROG_TYPE_XDP`, and `BPF_XDP` as an attach type.
const PROG_TYPE_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;
/// `BPF_F_LOCK`: under the spin lock of the value.
const F_LOCK: u64 = 4;

/// The kinds of map that we have.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// `BPF_MAP_TYPE_HASH`, whose room is taken when it is used (`BPF_F_NO_PREALLOC`).
    Hash,
    /// `BPF_MAP_TYPE_ARRAY`.
    Array,
}

/// What a map is made of.
pub(super) struct Shape<'a> {
    pub(super) kind: Kind,
    pub(super) key: usize,
    pub(super) value: usize,
    pub(super) entries: u32,
    /// Types of key and value, if the kernel must know that there is a lock.
    pub(super) types: Option<(&'a OwnedFd, u32, u32)>,
}

/// A map and the lengths of what is in it.
pub(super) struct Map {
    fd: OwnedFd,
    key: usize,
    value: usize,
    locked: bool,
}

/// The union of bpf(2), by the offsets of its members.
struct Attributes([u64; 16]);

impl Attributes {
    fn new() -> Attributes {
        Attributes([0; 16])
    }

    fn word(mut self, at: usize, value: u32) -> Attributes {
        let shift = if at.is_multiple_of(8) == cfg!(target_endian = "little") { 0 } else { 32 };
        self.0[at / 8] |= u64::from(value) << shift;
        self
    }

    fn long(mut self, at: usize, value: u64) -> Attributes {
        self.0[at / 8] = value;
        self
    }

    fn fd(self, at: usize, fd: &impl AsFd) -> Attributes {
        self.word(at, fd.as_fd().as_raw_fd() as u32)
    }

    fn bytes(self, at: usize, bytes: &[u8]) -> Attributes {
        self.long(at, bytes.as_ptr() as u64)
    }

    /// Calls the system. Whatever `self` points to lives longer than this: the callers below borrow it.
    fn call(mut self, command: i32) -> io::Result<i32> {
        // SAFETY: the union is as long as we say, and its addresses are of slices that our callers hold.
        let result = unsafe {
            libc::syscall(libc::SYS_bpf, command, self.0.as_mut_ptr(), size_of_val(&self.0))
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
    }

    fn open(self, command: i32) -> io::Result<OwnedFd> {
        let fd = self.call(command)?;
        // SAFETY: these commands answer with a descriptor that nobody else has.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

/// Types (BTF) for [`Shape::types`].
pub(super) fn load_types(btf: &[u8]) -> io::Result<OwnedFd> {
    Attributes::new().bytes(0, btf).word(16, btf.len() as u32).open(BTF_LOAD)
}

/// An XDP program; what its license says must be compatible with the GPL, since it uses `bpf_fib_lookup`.
pub(super) fn load_program(instructions: &[u8], license: &std::ffi::CStr) -> io::Result<OwnedFd> {
    Attributes::new()
        .word(0, PROG_TYPE_XDP)
        .word(4, (instructions.len() / 8) as u32)
        .bytes(8, instructions)
        .bytes(16, license.to_bytes_with_nul())
        .word(68, ATTACH_XDP)
        .open(PROG_LOAD)
}

/// Attaches a program to an interface for as long as the link is open; in the driver, or in the stack.
pub(super) fn attach(program: &OwnedFd, interface: u32, native: bool) -> io::Result<OwnedFd> {
    // XDP_FLAGS_DRV_MODE and XDP_FLAGS_SKB_MODE.
    let flags = if native { 4 } else { 2 };
    Attributes::new()
        .fd(0, program)
        .word(4, interface)
        .word(8, ATTACH_XDP)
        .word(12, flags)
        .open(LINK_CREATE)
}

/// The monotonic clock, ns, as `bpf_ktime_get_ns` tells it to programs.
pub(super) fn monotonic() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure outlives the call, and this clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Runs a program once, with this as its packet.
pub(super) fn run(program: &OwnedFd, packet: &[u8]) -> io::Result<()> {
    Attributes::new()
        .fd(0, program)
        .word(8, packet.len() as u32)
        .bytes(16, packet)
        .call(PROG_TEST_RUN)
        .map(drop)
}

impl Map {
    /// Makes an empty map.
    pub(super) fn new(shape: &Shape<'_>) -> io::Result<Map> {
        let (kind, flags) = match shape.kind {
            Kind::Hash => (1, 1),
            Kind::Array => (2, 0),
        };
        let mut attributes = Attributes::new()
            .word(0, kind)
            .word(4, shape.key as u32)
            .word(8, shape.value as u32)
            .word(12, shape.entries)
            .word(16, flags);
        if let Some((types, key, value)) = shape.types {
            attributes = attributes.fd(48, types).word(52, key).word(56, value);
        }
        let fd = attributes.open(MAP_CREATE)?;
        Ok(Map { fd, key: shape.key, value: shape.value, locked: shape.types.is_some() })
    }

    /// For a program's relocations.
    pub(super) fn number(&self) -> u32 {
        self.fd.as_raw_fd() as u32
    }

    /// Sets an entry, whole.
    pub(super) fn set(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        assert_eq!(value.len(), self.value, "the length of the map's values");
        self.entry(key).bytes(16, value).call(MAP_UPDATE_ELEM).map(drop)
    }

    /// Reads an entry, whole: under its lock, if it has one.
    pub(super) fn get(&self, key: &[u8]) -> io::Result<Vec<u8>> {
        let mut value = vec![0; self.value];
        let at = value.as_mut_ptr() as u64;
        let flags = if self.locked { F_LOCK } else { 0 };
        self.entry(key).long(16, at).long(24, flags).call(MAP_LOOKUP_ELEM)?;
        Ok(value)
    }

    /// Removes an entry.
    pub(super) fn remove(&self, key: &[u8]) -> io::Result<()> {
        self.entry(key).call(MAP_DELETE_ELEM).map(drop)
    }

    fn entry(&self, key: &[u8]) -> Attributes {
        assert_eq!(key.len(), self.key, "the length of the map's keys");
        Attributes::new().fd(0, &self.fd).bytes(8, key)
    }

    /// Sets an entry that there is already, under its lock.
    pub(super) fn change(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        assert_eq!(value.len(), self.value, "the length of the map's values");
        // BPF_EXIST
        self.entry(key).bytes(16, value).long(24, F_LOCK | 2).call(MAP_UPDATE_ELEM).map(drop)
    }
}
