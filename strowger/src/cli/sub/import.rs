//! `strowger sub import`: CSV rows or Open5GS documents.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;

use base::identity::IdentityError;
use hss::SubscriberError;
use hss::import::{ImportError, Imported, csv_header, csv_row, open5gs};

use super::Subscribers;
use crate::cli::{Failure, print};
use crate::config::Config;
use crate::provision::{Ask, PAGE};

/// So many errors are told; one who has more wants to mend the first ones.
const ERRORS: usize = 20;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The file, - for standard input
    file: PathBuf,
    /// The home domain [default: `domain` of the configuration]
    #[arg(long)]
    domain: Option<String>,
    /// Write over subscribers of the same private identities
    #[arg(long)]
    replace: bool,
}

/// What is wrong, and where: line and column from 1.
#[derive(Debug, PartialEq)]
struct Wrong {
    line: usize,
    column: usize,
    text: String,
}

impl Args {
    pub(super) fn run(
        &self,
        config: &Config,
        open: impl FnOnce() -> Result<Subscribers, Failure>,
    ) -> Result<(), Failure> {
        let file = self.file.display();
        let mut text = String::new();
        let read = if self.file.as_os_str() == "-" {
            std::io::stdin().lock().read_to_string(&mut text).map(drop)
        } else {
            std::fs::read_to_string(&self.file).map(|read| text = read)
        };
        read.map_err(|error| Failure::new(format!("{file}: {error}")))?;
        let domain = self.domain.as_deref().unwrap_or(config.domain());
        let subscribers = parse(&text, domain).map_err(|wrong| {
            let mut shown = String::new();
            for Wrong { line, column, text } in wrong.iter().take(ERRORS) {
                let _ = writeln!(shown, "{file}:{line}:{column}: {text}");
            }
            let count = wrong.len();
            Failure(format!("{shown}error: {count} wrong in {file}; nothing was written\n"))
        })?;
        twice(&subscribers).map_err(|text| {
            Failure(format!("error: {text} twice in {file}; nothing was written\n"))
        })?;
        let mut to = open()?;
        let put = |batch: &[Imported], check| Ask::Put {
            subscribers: batch.to_vec(),
            replace: self.replace,
            check,
        };
        for batch in subscribers.chunks(PAGE) {
            let nothing = |Failure(text)| Failure(format!("{text}  nothing was written\n"));
            to.ask(put(batch, true)).map_err(nothing)?;
        }
        let bar = std::io::stderr().is_terminal();
        let mut done = 0;
        for batch in subscribers.chunks(PAGE) {
            to.ask(put(batch, false)).map_err(|Failure(text)| {
                Failure(format!("{text}  {done} of {} were written\n", subscribers.len()))
            })?;
            done += batch.len();
            if bar {
                progress(done, subscribers.len());
            }
        }
        print(&format!("{done} subscribers are there now\n"))
    }
}

/// The first identity that stands in more than one place.
fn twice(subscribers: &[Imported]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for Imported { subscriber, .. } in subscribers {
        let public = subscriber.identities().map(|identity| identity.uri.to_string());
        let all: BTreeSet<String> = public.chain([subscriber.impi.clone()]).collect();
        if let Some(identity) = all.into_iter().find(|identity| !seen.insert(identity.clone())) {
            return Err(identity);
        }
    }
    Ok(())
}

fn progress(done: usize, all: usize) {
    const WIDTH: usize = 40;
    let full = done * WIDTH / all.max(1);
    let end = if done == all { "\n" } else { "" };
    let bar = format!("\r[{:<WIDTH$}] {done}/{all}{end}", "#".repeat(full));
    let _ = std::io::stderr().lock().write_all(bar.as_bytes());
}

/// All subscribers, or all that is wrong.
fn parse(text: &str, domain: &str) -> Result<Vec<Imported>, Vec<Wrong>> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with(['{', '[']) { json(text, domain) } else { csv(text, domain) }
}

fn csv(text: &str, domain: &str) -> Result<Vec<Imported>, Vec<Wrong>> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let wrong = |line: usize, column, error: &ImportError| Wrong {
        line: line + 1,
        column,
        text: error.to_string(),
    };
    let Some((first, names)) = lines.next() else {
        let text = "the file is empty; CSV begins with a header such as imsi,msisdn,k,opc";
        return Err(vec![Wrong { line: 1, column: 1, text: text.to_owned() }]);
    };
    let header = csv_header(names).map_err(|error| {
        let at = match &error {
            ImportError::Column(name) => names.find(name.as_str()).unwrap_or(0),
            _ => 0,
        };
        vec![wrong(first, names[..at].chars().count() + 1, &error)]
    })?;
    let (mut subscribers, mut errors) = (Vec::new(), Vec::new());
    for (number, line) in lines {
        match csv_row(&header, line, domain) {
            Ok(subscriber) => subscribers.push(Imported { subscriber, seq: None }),
            Err(error) => errors.push(wrong(number, column(names, line, &error), &error)),
        }
    }
    if errors.is_empty() { Ok(subscribers) } else { Err(errors) }
}

/// Where the field stands that an error is about; 1 if it is about the whole row.
fn column(header: &str, row: &str, error: &ImportError) -> usize {
    let name = match error {
        ImportError::Criteria(_) => "ifc",
        ImportError::Subscriber(error) => match error {
            SubscriberError::Identity(IdentityError::Imsi) => "imsi",
            SubscriberError::Identity(IdentityError::Msisdn) | SubscriberError::Twice(_) => {
                "msisdn"
            }
            SubscriberError::Key("K") => "k",
            SubscriberError::Key("OP") => "op",
            SubscriberError::Key(_) => "opc",
            SubscriberError::Amf => "amf",
            SubscriberError::Ha1 => "ha1",
            SubscriberError::Domain(_) => "domain",
            SubscriberError::Impi(_) => "name",
            SubscriberError::Criteria(..) => "ifc",
            _ => return 1,
        },
        _ => return 1,
    };
    let is = |field: &str| field.trim().trim_matches('"').eq_ignore_ascii_case(name);
    let Some(at) = header.split(',').position(is) else { return 1 };
    let (mut field, mut quoted) = (0, false);
    for (column, c) in row.chars().enumerate() {
        if field == at {
            return column + 1;
        }
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => field += 1,
            _ => {}
        }
    }
    1
}

fn json(text: &str, domain: &str) -> Result<Vec<Imported>, Vec<Wrong>> {
    let (mut subscribers, mut errors) = (Vec::new(), Vec::new());
    for (start, document) in documents(text) {
        let (line, column) = position(text, start);
        // For its place; what it says is read afterwards.
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(document) {
            let down = error.line().saturating_sub(1);
            let right = if down == 0 { column - 1 } else { 0 };
            let text = format!("not a JSON document: {error}");
            errors.push(Wrong { line: line + down, column: error.column().max(1) + right, text });
            continue;
        }
        match open5gs(document, domain) {
            Ok(imported) => subscribers.push(imported),
            Err(error) => errors.push(Wrong { line, column, text: error.to_string() }),
        }
    }
    if errors.is_empty() { Ok(subscribers) } else { Err(errors) }
}

/// The outermost objects of a text, alone or in a list, and where they begin. What stands between
/// them and is no separator is a document too, so that it is refused.
fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut documents = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(skip) =
        bytes[at..].iter().position(|b| !b.is_ascii_whitespace() && !b",[]".contains(b))
    {
        let start = at + skip;
        let (mut depth, mut string, mut escaped) = (0usize, false, false);
        let mut end = bytes.len();
        for (offset, byte) in bytes[start..].iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if string => escaped = true,
                b'"' => string = !string,
                b'{' if !string => depth += 1,
                b'}' if !string => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && !string {
                // Anything but an object ends with its line.
                let closed = *byte == b'}';
                if closed || *byte == b'\n' {
                    end = start + offset + usize::from(closed);
                    break;
                }
            }
        }
        documents.push((start, &text[start..end]));
        at = end;
    }
    documents
}

fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    const K: &str = "465b5ce8b199b49faa5f0a2ee238a6bc";

    fn places(text: &str) -> Vec<(usize, usize)> {
        parse(text, "ex.org").unwrap_err().iter().map(|w| (w.line, w.column)).collect()
    }

    #[test]
    fn csv_errors_name_line_and_column() {
        let good = format!("imsi,msisdn,k,opc\n001010000000001,491701,{K},{K}\n\n");
        assert_eq!(parse(&good, "ex.org").unwrap().len(), 1);
        let bad = format!("{good}001010000000002,12x,{K},{K}\r\n00101,\"1 2\",{K},{K}\n");
        assert_eq!(places(&bad), [(4, 17), (5, 1)]);
        assert_eq!(places(&format!("{good}001010000000002,491,{K},ff\n")), [(4, 54)]);
        assert_eq!(places("ifc,name,password\nsip:as,a,x\nas,b,x\n"), [(3, 1)]);
        let twice = "name,password,ifc\na,x,sip:a ; sip:b priority=0\n";
        assert_eq!(places(twice), [(2, 5)]);
        assert_eq!(places("imsi,colour\n"), [(1, 6)]);
        assert_eq!(places("\n"), [(1, 1)]);
    }

    #[test]
    fn json_errors_name_line_and_column() {
        let one = format!(r#"{{"imsi":"001010000000001","security":{{"k":"{K}","opc":"{K}"}}}}"#);
        let two = one.replace("0001", "0002");
        for text in [format!("{one}\n{two}\n"), format!("[\n {one},\n {two}\n]\n")] {
            assert_eq!(parse(&text, "ex.org").unwrap().len(), 2, "{text}");
        }
        assert_eq!(places(&format!("[{one},\n  {}]", two.replace("465b", "46"))), [(2, 3)]);
        assert_eq!(places(&format!("{one}\n  {{\"imsi\": }}\n{two}")), [(2, 12)]);
        assert_eq!(places(&format!("{one}\nwhat\n{two}")), [(2, 1)]);
        assert_eq!(places(&format!("{one}\n{}", &two[..20])).len(), 1);
    }
}
