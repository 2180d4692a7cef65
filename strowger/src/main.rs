//! `strowger`: a whole telephone network in one program.

use std::process::ExitCode;

use engine::heap::Heap;

#[global_allocator]
static HEAP: Heap = Heap;

fn main() -> ExitCode {
    strowger::cli::main()
}
