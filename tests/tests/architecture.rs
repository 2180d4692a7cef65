//! The invariants of absence in ARCHITECTURE.md: who may know whom.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Crates of the workspace with their folder and their dependencies within the workspace, dev ones
/// left out.
fn workspace() -> BTreeMap<String, (String, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root folder");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let out = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root)
        .output()
        .expect("cargo metadata runs");
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let packages = json["packages"].as_array().expect("packages");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let names: Vec<String> = packages.iter().map(|p| text(&p["name"])).collect();
    let of = |package: &serde_json::Value| {
        let manifest = text(&package["manifest_path"]);
        let folder = Path::new(&manifest).parent().expect("a folder");
        let folder = folder.strip_prefix(root).expect("within the root").display().to_string();
        let dependencies = package["dependencies"].as_array().expect("dependencies");
        let own = dependencies.iter().filter(|d| d["kind"].is_null()).map(|d| text(&d["name"]));
        (text(&package["name"]), (folder, own.filter(|d| names.contains(d)).collect()))
    };
    packages.iter().map(of).collect()
}

fn floor(folder: &str) -> u8 {
    match folder.split('/').next().unwrap_or_default() {
        "base" => 0,
        "protocols" => 1,
        "functions" => 2,
        "engine" => 3,
        "strowger" => 4,
        _ => 5,
    }
}

#[test]
fn arrows_only_point_down_and_never_sideways() {
    let crates = workspace();
    assert!(crates.len() >= 12, "the workspace was read");
    for (name, (folder, dependencies)) in &crates {
        for dependency in dependencies {
            let (other, _) = &crates[dependency];
            let (from, to) = (floor(folder), floor(other));
            let allowed = match from {
                // Tests and tools may know everything.
                5 => true,
                // The engine runs functions through `base` and knows neither them nor a protocol.
                3 => to == 0,
                _ => to < from,
            };
            assert!(allowed, "{name} ({folder}) must not depend on {dependency} ({other})");
        }
    }
}

#[test]
fn protocols_and_functions_have_no_unsafe_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root folder");
    for (_, (folder, _)) in workspace() {
        if matches!(floor(&folder), 0..=2) {
            let source = root.join(&folder).join("src");
            let lib = std::fs::read_to_string(source.join("lib.rs")).expect("lib.rs");
            if folder != "protocols/codec" {
                assert!(lib.contains("#![forbid(unsafe_code)]"), "{folder}/src/lib.rs");
                continue;
            }
            // A library with the interface of C is wrapped in one file.
            assert!(lib.contains("#![deny(unsafe_code)]"), "{folder}/src/lib.rs");
            for file in std::fs::read_dir(source).expect("the folder").flatten() {
                let text = std::fs::read_to_string(file.path()).unwrap_or_default();
                let allowed = file.file_name() == "opus.rs" || file.file_name() == "lib.rs";
                assert!(allowed || !text.contains("unsafe_code"), "{}", file.path().display());
            }
        }
    }
}

#[test]
fn no_file_outgrows_a_head() {
    fn visit(folder: &Path, out: &mut Vec<(usize, String)>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("target") {
                visit(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let lines = std::fs::read_to_string(&path).expect("a text").lines().count();
                out.push((lines, path.display().to_string()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root folder");
    let mut files = Vec::new();
    for (_, (folder, _)) in workspace() {
        visit(&root.join(folder), &mut files);
    }
    let long: Vec<_> = files.iter().filter(|(lines, _)| *lines > 900).collect();
    assert!(long.is_empty(), "longer than 900 lines: {long:?}");
}
