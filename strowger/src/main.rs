//! `strowger`: a whole telephone network in one program.

use std::process::ExitCode;

fn main() -> ExitCode {
    strowger::cli::main()
}
