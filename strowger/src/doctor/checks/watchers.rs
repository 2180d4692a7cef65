//! Other programs that watch and change the network: can they, and who else can?

use crate::doctor::facts::Page;
use crate::doctor::identifiers::{API_IN_CLEAR, COLLECTOR_AWAY, PAGE_REFUSED};
use crate::doctor::{Facts, Finding};

/// The key of the API's listener.
pub(in crate::doctor) const API: &str = "api.listen";
/// The key of the metrics' listener.
pub(in crate::doctor) const METRICS: &str = "observe.metrics";

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let pages = facts.pages.iter().filter_map(|page| refused(facts, page));
    let clear = facts.pages.iter().filter_map(|page| in_clear(facts, page));
    pages.chain(clear).chain(collector(facts)).collect()
}

/// The line to write for another address.
fn line(key: &str, addr: &str) -> String {
    let (section, key) = key.split_once('.').unwrap_or_default();
    format!("[{section}]\n{key} = [\"{addr}\"]")
}

fn refused(facts: &Facts, page: &Page) -> Option<Finding> {
    let refused = page.refused.as_ref().filter(|refused| !facts.is_held_by_us(refused))?;
    let by = refused.holder.as_ref().map_or(String::new(), |holder| {
        format!("; {} (process {}) holds it", holder.command, holder.pid)
    });
    let evidence = format!("{} cannot be listened on: {}{by}", page.addr, refused.text);
    let port = page.addr.port().checked_add(10).unwrap_or(9474);
    let fix = format!("set another address:\n{}", line(page.key, &format!("127.0.0.1:{port}")));
    Some(PAGE_REFUSED.found(evidence, fix).at(facts.place(page.key)))
}

fn in_clear(facts: &Facts, page: &Page) -> Option<Finding> {
    let outside = page.key == API && !page.addr.ip().is_loopback();
    let found = outside.then(|| {
        let evidence = format!("the API listens on {}: plain HTTP", page.addr);
        let fix = format!(
            "let it listen on loopback, behind a proxy that speaks TLS:\n{}",
            line(API, &format!("127.0.0.1:{}", page.addr.port()))
        );
        API_IN_CLEAR.found(evidence, fix)
    });
    found.map(|found| found.at(facts.place(API)))
}

fn collector(facts: &Facts) -> Option<Finding> {
    let (addr, _) = facts.collector.filter(|(_, away)| *away)?;
    let evidence = format!("{addr}: its host answers that no program has this UDP port");
    let fix = format!(
        "start the collector (`sngrep -L udp:{addr}`), or correct its address:\n[observe]\n\
         hep = \"…\""
    );
    Some(COLLECTOR_AWAY.found(evidence, fix).at(facts.place("observe.hep")))
}
