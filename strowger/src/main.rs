//! `strowger`: a whole telephone network in one program.

fn main() {}
