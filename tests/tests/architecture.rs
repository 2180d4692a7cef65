//! The invariants of absence in ARCHITECTURE.md: who may know whom.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
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
            let lib = root.join(&folder).join("src/lib.rs");
            let text = std::fs::read_to_string(&lib).expect("lib.rs");
            if folder != "protocols/codec" {
                assert!(text.contains("#![forbid(unsafe_code)]"), "{folder}/src/lib.rs");
                continue;
            }
            // A library with the interface of C is wrapped in one file.
            assert!(text.contains("#![deny(unsafe_code)]"), "{folder}/src/lib.rs");
            for path in sources(&root.join(&folder)) {
                let allowed = path == lib || path.ends_with("src/opus.rs");
                let text = std::fs::read_to_string(&path).expect("a text");
                assert!(allowed || !text.contains("unsafe_code"), "{}", path.display());
            }
        }
    }
}

/// The Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            out.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            out.push(path);
        }
    }
    out
}

#[test]
fn no_file_outgrows_a_head() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root folder");
    let files = workspace().into_iter().flat_map(|(_, (folder, _))| sources(&root.join(folder)));
    let files: Vec<_> = files
        .map(|path| {
            let lines = std::fs::read_to_string(&path).expect("a text").lines().count();
            (lines, path.display().to_string())
        })
        .collect();
    let long: Vec<_> = files.iter().filter(|(lines, _)| *lines > 900).collect();
    assert!(long.is_empty(), "longer than 900 lines: {long:?}");
}
