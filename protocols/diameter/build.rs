//! Turns `dictionary/*.txt` into constants and tables, so that each AVP is written down once.

use std::fmt::Write as _;
use std::{env, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-changed=dictionary");
    let mut files: Vec<_> = fs::read_dir("dictionary")
        .expect("the dictionary stands beside the manifest")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    files.sort();
    let (mut consts, mut avps, mut commands, mut values) =
        (String::new(), Vec::new(), Vec::new(), Vec::new());
    for file in files {
        let text = fs::read_to_string(&file).expect("a readable dictionary");
        for (number, line) in text.lines().enumerate() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            match fields[..] {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["avp", code, vendor, name, kind, m] => {
                    let key = format!(
                        "Key {{ code: {code}, vendor: {vendor}, mandatory: {} }}",
                        m == "M"
                    );
                    let constant = name.to_uppercase().replace('-', "_");
                    writeln!(consts, "/// {name}, {kind}.\npub const {constant}: Key = {key};")
                        .expect("writing to a string");
                    let entry =
                        format!("AvpEntry {{ key: {key}, name: {name:?}, kind: Kind::{kind} }}");
                    avps.push(((num(vendor), num(code)), entry));
                }
                ["command", code, app, name, request, answer] => {
                    let constant = name.to_uppercase().replace('-', "_");
                    writeln!(
                        consts,
                        "/// {name}: {request} and {answer}.\npub const CMD_{constant}: u32 = {code};"
                    )
                    .expect("writing to a string");
                    commands.push((
                        (num(app), num(code)),
                        format!(
                            "CommandEntry {{ code: {code}, application: {app}, name: {name:?}, \
                         request: {request:?}, answer: {answer:?} }}"
                        ),
                    ));
                }
                ["value", avp, value, name] => {
                    values.push((
                        (avp.to_owned(), num(value)),
                        format!("({avp:?}, {value}, {name:?})"),
                    ));
                }
                _ => panic!("{}:{}: not a definition: {line}", file.display(), number + 1),
            }
        }
    }
    let mut out = consts;
    for (name, kind, rows) in [
        ("AVPS", "AvpEntry", sorted(avps)),
        ("COMMANDS", "CommandEntry", sorted(commands)),
        ("VALUES", "(&str, u32, &str)", sorted(values)),
    ] {
        writeln!(out, "static {name}: &[{kind}] = &[{}];", rows.join(",\n"))
            .expect("writing to a string");
    }
    let target = env::var("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&target).join("dictionary.rs"), out).expect("a writable target");
}

fn num(text: &str) -> u32 {
    text.parse().unwrap_or_else(|_| panic!("not a number in the dictionary: {text}"))
}

fn sorted<K: Ord>(mut rows: Vec<(K, String)>) -> Vec<String> {
    rows.sort();
    assert!(rows.windows(2).all(|w| w[0].0 != w[1].0), "a definition stands twice");
    rows.into_iter().map(|(_, row)| row).collect()
}
