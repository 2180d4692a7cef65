#![allow(clippy::print_stdout, missing_docs)]
fn main() {
    let mut demo = strowger::demo::Demo::new("strowger-demo".into());
    demo.progress = Box::new(|line| println!("  {line}"));
    let outcome = demo.run().expect("runs");
    println!("{}", strowger::demo::screen::ladder(&outcome, 120, false));
    println!("{}", strowger::demo::screen::results(&outcome));
}
