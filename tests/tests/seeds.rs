//! scratch
use strowger_tests::Scenario;
#[test]
fn scratch() {
    let phones = std::env::var("PHONES").ok().and_then(|p| p.parse().ok()).unwrap_or(20);
    let from: u64 = std::env::var("FROM").ok().and_then(|p| p.parse().ok()).unwrap_or(1);
    let to: u64 = std::env::var("TO").ok().and_then(|p| p.parse().ok()).unwrap_or(1);
    for seed in from..=to {
        let begin = std::time::Instant::now();
        let verdict = Scenario::new(seed, phones).run();
        println!("{seed} {:?} {verdict:#?}", begin.elapsed());
    }
}
