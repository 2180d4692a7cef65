//! The allocator of a process whose loop allocates and frees small blocks all the time: those that the
//! loop's thread frees, it keeps and uses again, without asking the system's allocator.
//!
//! A message that crosses five functions takes and gives back some hundred blocks; to the system's
//! allocator each costs several times what it costs to take the last one off a list. Only a thread that
//! says so keeps blocks, a bounded number of them, and gives them back at its end. All else goes to the
//! system's allocator as ever.
//!
//! `unsafe` because an allocator hands out raw memory. What makes it sound: every block of at most `MOST`
//! bytes is asked of the system with the size of its class, on every thread, so that any block of a
//! class serves any request of it; a block on a list belongs to nobody else, and its first bytes hold
//! the next one; lists belong to one thread.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::null_mut;

/// The largest block that is kept, in bytes: a SIP message with its SDP.
const MOST: usize = 2048 - 8;
/// The alignment of all small blocks.
const ALIGN: usize = 16;
/// Sizes of blocks: 24 bytes, 40, 56 …, which is what the system's allocator has between its own marks.
const CLASSES: usize = (MOST + 7) / 16 + 1;
/// The most bytes that are kept of one size.
const KEPT: usize = 64 << 10;

/// The allocator: `#[global_allocator] static HEAP: Heap = Heap;`.
#[derive(Debug)]
pub struct Heap;

/// While it lives, its thread keeps the small blocks that it frees.
#[derive(Debug)]
pub struct Keeping(());

struct Lists {
    keeps: Cell<bool>,
    first: [Cell<*mut u8>; CLASSES],
    count: [Cell<u32>; CLASSES],
}

thread_local! {
    static LISTS: Lists = const {
        Lists {
            keeps: Cell::new(false),
            first: [const { Cell::new(null_mut()) }; CLASSES],
            count: [const { Cell::new(0) }; CLASSES],
        }
    };
}

/// The class of a small block; `None` if it is none.
fn class(layout: Layout) -> Option<usize> {
    (layout.size() <= MOST && layout.align() <= ALIGN).then(|| (layout.size() + 7) / 16)
}

/// What the system is asked for.
fn whole(class: usize) -> Layout {
    // SAFETY: the alignment is a power of two, and the size is small.
    unsafe { Layout::from_size_align_unchecked((class * 16 + 8).max(ALIGN), ALIGN) }
}

impl Keeping {
    /// This thread keeps what it frees from now on.
    pub fn begin() -> Keeping {
        LISTS.with(|lists| lists.keeps.set(true));
        Keeping(())
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        LISTS.with(|lists| {
            lists.keeps.set(false);
            for (class, first) in lists.first.iter().enumerate() {
                let mut block = first.replace(null_mut());
                lists.count[class].set(0);
                while !block.is_null() {
                    // SAFETY: a block on a list is ours, holds the next one, and came from the system
                    // with the layout of its class.
                    unsafe {
                        let next = block.cast::<*mut u8>().read();
                        System.dealloc(block, whole(class));
                        block = next;
                    }
                }
            }
        });
    }
}

// SAFETY: blocks are those of the system's allocator, see the module for which are handed out again.
// Nothing here panics, and the lists have no destructor, so that they are there as long as the thread.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class(layout) else {
            // SAFETY: the caller's layout.
            return unsafe { System.alloc(layout) };
        };
        LISTS.with(|lists| {
            let block = lists.first[class].get();
            if block.is_null() {
                // SAFETY: the layout has a size.
                return unsafe { System.alloc(whole(class)) };
            }
            // SAFETY: a block on a list is ours and holds the next one.
            lists.first[class].set(unsafe { block.cast::<*mut u8>().read() });
            lists.count[class].set(lists.count[class].get() - 1);
            block
        })
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(class) = class(layout) else {
            // SAFETY: it came from the system with this layout.
            return unsafe { System.dealloc(block, layout) };
        };
        LISTS.with(|lists| {
            let count = lists.count[class].get();
            if !lists.keeps.get() || count as usize * (class * 16 + 8) >= KEPT {
                // SAFETY: it came from the system with the layout of its class.
                return unsafe { System.dealloc(block, whole(class)) };
            }
            // SAFETY: the block is nobody's any more, has room for a pointer, and is aligned for one.
            unsafe { block.cast::<*mut u8>().write(lists.first[class].get()) };
            lists.first[class].set(block);
            lists.count[class].set(count + 1);
        });
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if class(layout).is_none() {
            // SAFETY: the caller's layout; the system has zeroed pages.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: the caller's layout; the block is as long as that at least.
        unsafe {
            let block = self.alloc(layout);
            if !block.is_null() {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the size, rounded up, does not overflow.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class(layout), class(new)) {
            (None, None) => {
                // SAFETY: it came from the system with this layout.
                unsafe { System.realloc(block, layout, size) }
            }
            (from, to) if from == to => block,
            // SAFETY: both blocks are as long as what is copied, and are different ones.
            _ => unsafe {
                let other = self.alloc(new);
                if !other.is_null() {
                    other.copy_from_nonoverlapping(block, layout.size().min(size));
                    self.dealloc(block, layout);
                }
                other
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Random;

    /// Blocks of all sizes, filled, moved and given back in any order, never overlap.
    fn churn(seed: u64) {
        let mut random = Random::from_u64(seed);
        let mut held: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let holds = |(block, layout, fill): &(*mut u8, Layout, u8)| {
            // SAFETY: it was allocated with this layout and filled.
            unsafe { std::slice::from_raw_parts(*block, layout.size()) }.iter().all(|b| b == fill)
        };
        for step in 0..20_000u32 {
            let size = 1 + random.below(3000) as usize;
            let fill = step as u8;
            let align = 1 << random.below(6);
            let layout = Layout::from_size_align(size, align).unwrap();
            match random.below(4) {
                0 | 1 => {
                    // SAFETY: the layout has a size; what is written is as long as that.
                    let block = unsafe { Heap.alloc(layout) };
                    assert!(!block.is_null() && block.addr().is_multiple_of(align));
                    // SAFETY: as above.
                    unsafe { block.write_bytes(fill, size) };
                    held.push((block, layout, fill));
                }
                2 if !held.is_empty() => {
                    let at = random.below(held.len() as u64) as usize;
                    let (block, old, was) = held[at];
                    assert!(holds(&held[at]));
                    // SAFETY: it was allocated with this layout.
                    let block = unsafe { Heap.realloc(block, old, size) };
                    let new = Layout::from_size_align(size, old.align()).unwrap();
                    let kept = Layout::from_size_align(size.min(old.size()), 1).unwrap();
                    assert!(holds(&(block, kept, was)));
                    // SAFETY: it is as long as that now.
                    unsafe { block.write_bytes(fill, size) };
                    held[at] = (block, new, fill);
                }
                _ if !held.is_empty() => {
                    let at = random.below(held.len() as u64) as usize;
                    assert!(holds(&held[at]));
                    let (block, layout, _) = held.swap_remove(at);
                    // SAFETY: it was allocated with this layout.
                    unsafe { Heap.dealloc(block, layout) };
                }
                _ => {}
            }
        }
        for (block, layout, _) in held {
            // SAFETY: it was allocated with this layout.
            unsafe { Heap.dealloc(block, layout) };
        }
    }

    #[test]
    fn blocks_never_overlap_whether_they_are_kept_or_not() {
        churn(1);
        let keeping = Keeping::begin();
        churn(2);
        drop(keeping);
        churn(3);
    }

    #[test]
    fn a_block_is_used_again_and_given_back_at_the_end() {
        let layout = Layout::from_size_align(100, 8).unwrap();
        let kept = || LISTS.with(|lists| lists.count.iter().map(Cell::get).sum::<u32>());
        let keeping = Keeping::begin();
        // SAFETY: the layout has a size, and what is freed was allocated with it.
        unsafe {
            let first = Heap.alloc(layout);
            Heap.dealloc(first, layout);
            assert_eq!(kept(), 1);
            let second = Heap.alloc_zeroed(layout);
            assert_eq!((first, second.read(), kept()), (second, 0, 0));
            Heap.dealloc(second, layout);
        }
        drop(keeping);
        assert_eq!(kept(), 0);
    }

    #[test]
    fn no_more_is_kept_than_the_bound_allows() {
        let layout = Layout::from_size_align(1000, 8).unwrap();
        let _keeping = Keeping::begin();
        // SAFETY: the layout has a size, and what is freed was allocated with it.
        let blocks: Vec<_> = (0..200).map(|_| unsafe { Heap.alloc(layout) }).collect();
        for block in blocks {
            // SAFETY: as above.
            unsafe { Heap.dealloc(block, layout) };
        }
        let kept = LISTS.with(|lists| lists.count.iter().map(Cell::get).sum::<u32>());
        assert!((60..=66).contains(&kept), "{kept}");
    }
}
