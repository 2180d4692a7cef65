//! `cargo xtask fuzz`: every fuzz target over its corpus and for a while longer, and the ledger of how long
//! each has run since its code last changed.
//!
//! The corpus of a target is `fuzz/corpus/TARGET`, its words `fuzz/dictionaries/TARGET.dict`, the ledger
//! `fuzz/ledger.txt`: a target, the hash of its code, seconds of CPU time, and the commit of the last run in a line. All
//! belong to the repository. The targets are built with plain cargo: coverage is a flag of the stable compiler.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::run::{cargo, root, step};

/// A target, the folders of the code that it runs, and folders of inputs to begin with.
type Target = (&'static str, &'static [&'static str], &'static [&'static str]);

const TARGETS: [Target; 13] = [
    (
        "sip",
        &["protocols/sip/src"],
        &["protocols/sip/corpus/rfc4475", "protocols/sip/corpus/rfc5118"],
    ),
    ("sdp", &["protocols/sdp/src"], &[]),
    ("diameter", &["protocols/diameter"], &[]),
    ("ng", &["protocols/ng/src"], &[]),
    ("hep", &["protocols/hep/src"], &[]),
    ("sms", &["protocols/sms/src"], &[]),
    ("resp", &["protocols/resp/src"], &[]),
    ("rtp", &["protocols/rtp/src", "protocols/srtp/src"], &[]),
    ("ice", &["protocols/ice/src"], &[]),
    ("dtls", &["protocols/dtls/src"], &[]),
    ("codec", &["protocols/codec/src"], &[]),
    ("relay", &["functions/media/src/path", "functions/media/src/recording"], &[]),
    ("config", &["strowger/src/config"], &[]),
];

/// What the compiler adds for libFuzzer to see which way an input takes.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                        -Cllvm-args=-sanitizer-coverage-pc-table \
                        -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// How long, and which.
pub(crate) struct Plan {
    /// Seconds for each target.
    pub(crate) seconds: u64,
    /// These targets alone, if there are any.
    pub(crate) only: Vec<String>,
    /// Whether corpus and ledger take what was found and done.
    pub(crate) keep: bool,
}

/// What CI runs: all targets but the one that needs the whole program, which takes too long to build.
pub(crate) fn briefly() -> Result<(), String> {
    let quick: Vec<&Target> = TARGETS.iter().filter(|(name, ..)| *name != "config").collect();
    build(&quick)?;
    in_pairs(&Plan { seconds: 30, only: Vec::new(), keep: false }, &quick)
}

/// Runs the targets.
pub(crate) fn run(plan: &Plan) -> Result<(), String> {
    let names = TARGETS.map(|(name, ..)| name);
    if let Some(unknown) = plan.only.iter().find(|only| !names.contains(&only.as_str())) {
        return Err(format!("there is no fuzz target {unknown}: {}", names.join(", ")));
    }
    let wanted = |name: &str| plan.only.is_empty() || plan.only.iter().any(|only| only == name);
    let chosen: Vec<&Target> = TARGETS.iter().filter(|(name, ..)| wanted(name)).collect();
    build(&chosen)?;
    in_pairs(plan, &chosen)?;
    if plan.keep {
        println!("\nsince its code last changed, in minutes of CPU time:");
        for (name, entry) in read_ledger() {
            let fresh = TARGETS.iter().find(|(known, ..)| *known == name);
            let counts = fresh.is_some_and(|target| code(target) == entry.code);
            let minutes = if counts { entry.seconds / 60 } else { 0 };
            println!("  {name:<10} {minutes:>4}");
        }
    }
    Ok(())
}

/// Two at a time: a target keeps one processor busy.
fn in_pairs(plan: &Plan, targets: &[&'static Target]) -> Result<(), String> {
    targets.chunks(2).try_for_each(|pair| {
        let ended: Vec<_> = std::thread::scope(|scope| {
            let start = |target: &&'static Target| {
                scope.spawn({
                    let target = *target;
                    move || one(plan, target)
                })
            };
            let running: Vec<_> = pair.iter().map(start).collect();
            running.into_iter().map(|run| run.join()).collect()
        });
        pair.iter().zip(ended).try_for_each(|(target, ended)| {
            let seconds = ended.unwrap_or(Err("a thread panicked".to_owned()))?;
            if plan.keep { note(target, seconds) } else { Ok(()) }
        })
    })
}

fn build(targets: &[&Target]) -> Result<(), String> {
    let mut build = cargo(&["build", "--release", "--quiet", "--manifest-path", "fuzz/Cargo.toml"]);
    // With a target named, build scripts and macros stay as they are.
    build.args(["--target", HOST]).env("RUSTFLAGS", COVERAGE);
    for (name, ..) in targets {
        build.args(["--bin", name]);
    }
    if targets.iter().any(|(name, ..)| *name == "config") {
        build.args(["--features", "config"]);
    }
    step("fuzz targets", &mut build)
}

const HOST: &str = "x86_64-unknown-linux-gnu";

/// Runs a target; seconds of CPU time that it took.
fn one(plan: &Plan, target: &Target) -> Result<u64, String> {
    let (name, _, seeds) = target;
    let program = root().join("fuzz/target").join(HOST).join("release").join(name);
    let kept = root().join("fuzz/corpus").join(name);
    let found = root().join("fuzz/target/corpus").join(name);
    for folder in [&kept, &found] {
        fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    let limit = format!("-max_total_time={}", plan.seconds);
    let artifacts = format!("-artifact_prefix={}/", found.with_extension("crashes").display());
    fs::create_dir_all(found.with_extension("crashes")).map_err(|e| e.to_string())?;
    let common = ["-max_len=4096", "-timeout=10", "-rss_limit_mb=2048", "-verbosity=0"];
    let mut run = Command::new(&program);
    run.args(common).args([&limit, &artifacts]);
    let words = root().join(format!("fuzz/dictionaries/{name}.dict"));
    if words.exists() {
        run.arg(format!("-dict={}", words.display()));
    }
    run.args([&found, &kept]).args(seeds.iter().map(|seeds| root().join(seeds)));
    let seconds = quietly(&format!("fuzz {name}"), &mut run)?;
    if plan.keep {
        // As few inputs as reach all that these do.
        let fewest = found.with_extension("fewest");
        let _ = fs::remove_dir_all(&fewest);
        fs::create_dir_all(&fewest).map_err(|e| format!("{}: {e}", fewest.display()))?;
        let mut merge = Command::new(&program);
        merge.args(common).arg("-set_cover_merge=1").args([&fewest, &kept, &found]);
        quietly(&format!("corpus of {name}"), &mut merge)?;
        let moved = fs::remove_dir_all(&kept).and_then(|()| fs::rename(&fewest, &kept));
        moved.map_err(|e| format!("{}: {e}", kept.display()))?;
    }
    Ok(seconds)
}

/// Puts it into the ledger.
fn note(target: &Target, seconds: u64) -> Result<(), String> {
    let mut ledger = read_ledger();
    let code = code(target);
    let entry = ledger.entry(target.0.to_owned()).or_default();
    if entry.code != code {
        *entry = Entry { code, ..Entry::default() };
    }
    entry.seconds += seconds;
    entry.commit = git(&["rev-parse", "--short", "HEAD"]);
    write_ledger(&ledger)
}

/// A step whose words matter only if it fails: the last of them say what was found, and where it is.
/// Seconds of CPU time that it took.
fn quietly(title: &str, command: &mut Command) -> Result<u64, String> {
    let failed = |error: io::Error| format!("{title}: {error}");
    let begin = Instant::now();
    command.current_dir(root()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        let mut bytes = Vec::new();
        stderr.read_to_end(&mut bytes).map_err(failed)?;
        said = String::from_utf8_lossy(&bytes).into_owned();
    }
    // It has closed what it says, and its figures are there until we take note of its end.
    let seconds = cpu_seconds(child.id());
    let status = child.wait().map_err(failed)?;
    println!("    {title}: {:.1} s, {seconds} of CPU time", begin.elapsed().as_secs_f32());
    if status.success() {
        return Ok(seconds);
    }
    let skip = said.lines().count().saturating_sub(60);
    let last: Vec<&str> = said.lines().skip(skip).collect();
    Err(format!("{title} ended with {status}:\n{}", last.join("\n")))
}

/// What a process has used of the CPU: utime and stime of proc_pid_stat(5), in hundredths.
fn cpu_seconds(process: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    ticks / 100
}

#[derive(Default)]
struct Entry {
    code: String,
    seconds: u64,
    commit: String,
}

fn ledger() -> PathBuf {
    root().join("fuzz/ledger.txt")
}

fn read_ledger() -> BTreeMap<String, Entry> {
    let text = fs::read_to_string(ledger()).unwrap_or_default();
    let entry = |line: &str| {
        let [name, code, seconds, commit] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            return None;
        };
        let seconds = seconds.parse().ok()?;
        let entry = Entry { code: code.to_owned(), seconds, commit: commit.to_owned() };
        Some((name.to_owned(), entry))
    };
    text.lines().filter_map(entry).collect()
}

fn write_ledger(entries: &BTreeMap<String, Entry>) -> Result<(), String> {
    let line = |(name, entry): (&String, &Entry)| {
        format!("{name} {} {} {}\n", entry.code, entry.seconds, entry.commit)
    };
    let text: String = entries.iter().map(line).collect();
    fs::write(ledger(), text).map_err(|e| format!("{}: {e}", ledger().display()))
}

/// A hash of the code of a target, as it stands in the folders, tests left out.
fn code((name, folders, _): &Target) -> String {
    let mut files = vec![root().join(format!("fuzz/fuzz_targets/{name}.rs"))];
    folders.iter().for_each(|folder| collect(&root().join(folder), &mut files));
    files.retain(|file| !file.ends_with("tests.rs"));
    files.sort();
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for file in files {
        for byte in fs::read(file).unwrap_or_default() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                collect(&path, files);
            }
        } else {
            files.push(path);
        }
    }
}

fn git(args: &[&str]) -> String {
    let out = Command::new("git").args(args).current_dir(root()).output();
    out.map_or("unknown".to_owned(), |out| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}
