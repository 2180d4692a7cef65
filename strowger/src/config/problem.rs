//! What is wrong with a configuration, shown as rustc shows errors.

use std::fmt::Write;
use std::ops::Range;

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where, in bytes of the text.
    pub span: Range<usize>,
    /// What.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl Problem {
    /// The problem with its line and a pointer to the spot.
    pub fn show(&self, file: &str, text: &str) -> String {
        let start = floor(text, self.span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let number = text[..start].matches('\n').count() + 1;
        let line = text[line_start..].lines().next().unwrap_or_default();
        let column = text[line_start..start].chars().count();
        let end = floor(text, self.span.end.max(start)).min(line_start + line.len());
        let marks = text.get(start..end).map_or(0, |spot| spot.chars().count()).max(1);
        let margin = " ".repeat(number.to_string().len());
        // A tab stays a tab, so that the pointer stands below the spot.
        let indent: String =
            line.chars().take(column).map(|c| if c == '\t' { c } else { ' ' }).collect();
        let mut out = format!("error: {}\n", self.message);
        let _ = writeln!(out, "{margin}--> {file}:{number}:{}", column + 1);
        let _ = writeln!(out, "{margin} |");
        let _ = writeln!(out, "{number} | {}", line.trim_end());
        let _ = writeln!(out, "{margin} | {indent}{}", "^".repeat(marks));
        if !self.help.is_empty() {
            let _ = writeln!(out, "{margin} = help: {}", self.help);
        }
        out
    }
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The word of `known` that is nearest to `word`, if it is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let near = known.into_iter().map(|known| (distance(&word, known), known));
    let (distance, known) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= known.len().max(word.len()).div_ceil(3)).then_some(known)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word() {
        assert_eq!(nearest("lisen", ["listen", "at"]), Some("listen"));
        assert_eq!(nearest("PCSCF", ["icscf", "pcscf"]), Some("pcscf"));
        assert_eq!(nearest("colour", ["listen", "at"]), None);
    }

    #[test]
    fn a_pointer_below_the_spot() {
        let text = "a = 1\n\té = \"x\" # y\n";
        let at = text.find('"').unwrap();
        let problem = Problem { span: at..at + 3, message: "no".into(), help: "do".into() };
        let expected =
            "error: no\n --> f:2:6\n  |\n2 | \té = \"x\" # y\n  | \t    ^^^\n  = help: do\n";
        assert_eq!(problem.show("f", text), expected);
        // Spans beyond the text do no harm.
        let problem = Problem { span: 900..901, message: "no".into(), help: String::new() };
        assert!(problem.show("f", text).contains("f:3:1"));
    }
}
