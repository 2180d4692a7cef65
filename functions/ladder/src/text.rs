//! A ladder for a terminal.
//!
//! Requests are drawn with solid lines and answers with dashed ones; `↻` marks a retransmission. On
//! the left stands the time since the first message in milliseconds.

use base::Service;
use base::time::Duration;

use crate::ladder::{Arrow, Ladder, utc};

/// How a ladder is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Columns of the terminal. Lines are longer only below 40, or if the participants would stand
    /// closer than three columns.
    pub width: usize,
    /// Colours by protocol, red for failures: ANSI escape sequences.
    pub colour: bool,
    /// Key fields of each message under its arrow.
    pub detail: bool,
    /// A pause of this length gets a line of its own.
    pub pause: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options { width: 120, colour: false, detail: false, pause: Duration::from_millis(500) }
    }
}

/// Columns of the time, with the space after it.
const MARGIN: usize = 11;

/// Least columns between two lifelines.
const NARROWEST: usize = 3;

/// Longest name of a participant.
const MOST_LABEL: usize = 24;

/// Least width that is drawn for.
const LEAST_WIDTH: usize = 40;

/// The ladder as lines of text.
pub fn render(ladder: &Ladder, options: &Options) -> String {
    let mut page = Page::new(ladder, options);
    page.head(ladder);
    page.arrows(&ladder.arrows, Duration::ZERO, options);
    page.foot(ladder);
    page.text
}

/// Draws a ladder while it grows: each time what is new. The boxes are drawn again when somebody
/// joins; until then the lifelines stay where they are.
#[derive(Clone, Debug)]
pub struct Growing {
    options: Options,
    labels: Vec<String>,
    lines: Vec<usize>,
    drawn: usize,
    before: Duration,
}

impl Growing {
    /// Nothing is drawn yet.
    pub fn new(options: Options) -> Growing {
        Growing { options, labels: Vec::new(), lines: Vec::new(), drawn: 0, before: Duration::ZERO }
    }

    /// The arrows of the ladder that have not been drawn. It must be the same ladder as before with
    /// arrows added at its end; participants may have joined or become known better.
    pub fn draw(&mut self, ladder: &Ladder) -> String {
        let new = ladder.arrows.get(self.drawn..).unwrap_or_default();
        let Some(last) = new.last() else { return String::new() };
        let mut page = Page::new(ladder, &self.options);
        let labels = ladder.participants.iter().map(|p| &p.label);
        if labels.clone().eq(&self.labels) {
            page.lines.clone_from(&self.lines);
        } else {
            if self.drawn == 0 {
                page.head(ladder);
            } else {
                page.boxes(ladder);
            }
            self.labels = labels.cloned().collect();
            self.lines.clone_from(&page.lines);
        }
        page.arrows(new, self.before, &self.options);
        self.drawn = ladder.arrows.len();
        self.before = last.offset;
        page.text
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Style {
    Plain,
    Dim,
    Bold,
    Sip,
    Diameter,
    Ng,
    Failure,
}

impl Style {
    fn of(arrow: &Arrow) -> Style {
        match arrow.record.service {
            _ if arrow.retransmission => Style::Dim,
            _ if arrow.summary.is_failure() => Style::Failure,
            Service::Sip => Style::Sip,
            Service::Diameter => Style::Diameter,
            Service::Ng => Style::Ng,
            Service::Rtp | Service::Resp | Service::Http | Service::Cli => Style::Plain,
        }
    }

    const fn escape(self) -> &'static str {
        match self {
            Style::Plain => "",
            Style::Dim => "\x1b[2m",
            Style::Bold => "\x1b[1m",
            Style::Sip => "\x1b[36m",
            Style::Diameter => "\x1b[35m",
            Style::Ng => "\x1b[33m",
            Style::Failure => "\x1b[31m",
        }
    }
}

type Row = Vec<(char, Style)>;

struct Page {
    width: usize,
    /// Longest label of a participant.
    label: usize,
    colour: bool,
    /// The columns of the lifelines.
    lines: Vec<usize>,
    text: String,
}

impl Page {
    fn new(ladder: &Ladder, options: &Options) -> Page {
        let number = ladder.participants.len();
        let width = options.width.max(LEAST_WIDTH);
        let label = (width / (number + 2)).clamp(1, MOST_LABEL);
        let width = width.max(MARGIN + label + 2 + NARROWEST * number);
        let lines = columns(ladder, width, label);
        Page { width, label, colour: options.colour, lines, text: String::new() }
    }

    fn head(&mut self, ladder: &Ladder) {
        let mut row = Row::new();
        put(&mut row, 0, &cut(&ladder.title, self.width), Style::Bold);
        self.write(row);
        let mut row = Row::new();
        put(&mut row, 0, &cut(&utc(ladder.started), self.width), Style::Dim);
        self.write(row);
        self.boxes(ladder);
    }

    fn boxes(&mut self, ladder: &Ladder) {
        let mut rows = [Row::new(), Row::new(), Row::new()];
        for (at, participant) in ladder.participants.iter().enumerate() {
            let label = cut(&participant.label, self.room(at, ladder));
            let inner = label.chars().count() + 2;
            let left = self.lines[at] - inner.div_ceil(2);
            let below: String = (0..inner)
                .map(|i| if left + 1 + i == self.lines[at] { '┬' } else { '─' })
                .collect();
            put(&mut rows[0], left, &format!("┌{}┐", "─".repeat(inner)), Style::Plain);
            put(&mut rows[1], left, &format!("│ {label} │"), Style::Plain);
            put(&mut rows[1], left + 2, &label, Style::Bold);
            put(&mut rows[2], left, &format!("└{below}┘"), Style::Plain);
        }
        put(&mut rows[2], MARGIN - 3, "ms", Style::Dim);
        rows.into_iter().for_each(|row| self.write(row));
    }

    fn arrows(&mut self, arrows: &[Arrow], mut before: Duration, options: &Options) {
        for arrow in arrows {
            let pause = arrow.offset.saturating_sub(before);
            if pause >= options.pause && !options.pause.is_zero() {
                self.pause(pause);
            }
            before = arrow.offset;
            self.arrow(arrow);
            if options.detail {
                self.detail(arrow);
            }
        }
    }

    /// Characters that fit into a box: all, unless it would touch its neighbour.
    fn room(&self, at: usize, ladder: &Ladder) -> usize {
        let length = |at: usize| ladder.participants[at].label.chars().count().min(self.label);
        let mut room = length(at);
        if at == 0 {
            // Left of the first box stands the time.
            room = room.min((2 * self.lines[0].saturating_sub(MARGIN)).saturating_sub(3).max(1));
        }
        for next in [at.checked_sub(1), Some(at + 1)].into_iter().flatten() {
            let Some(line) = self.lines.get(next) else { continue };
            let gap = line.abs_diff(self.lines[at]);
            if (length(at) + length(next)).div_ceil(2) + 5 > gap {
                room = room.min(gap.saturating_sub(5).max(1));
            }
        }
        room
    }

    fn pause(&mut self, pause: Duration) {
        let mut row = self.lifelines('┊');
        put(&mut row, 0, &format!("{:>9}", span(pause)), Style::Dim);
        self.write(row);
    }

    fn arrow(&mut self, arrow: &Arrow) {
        let style = Style::of(arrow);
        let (from, to) = (self.lines[arrow.from], self.lines[arrow.to]);
        let mark = if arrow.retransmission { "↻ " } else { "" };
        let full = format!("{mark}{}", arrow.summary.title);
        let time = format!("{:>9}", millis(arrow.offset));
        if from == to {
            return self.loop_back(from, &time, &full, style);
        }
        let (low, high) = (from.min(to), from.max(to));
        let room = (high - low).saturating_sub(5);
        let short = format!("{mark}{}", arrow.summary.short_title());
        let fits = [&full, &short].into_iter().find(|label| label.chars().count() <= room);
        if fits.is_none() {
            // No room on the arrow: the label stands over it.
            let mut row = self.lifelines('│');
            let start = (low + 2).min(self.width.saturating_sub(full.chars().count()));
            put(&mut row, start.max(MARGIN), &cut(&full, self.width - MARGIN), style);
            self.write(row);
        }
        let mut row = self.lifelines('│');
        put(&mut row, 0, &time, Style::Dim);
        let dash = if arrow.summary.answer.is_some() { '╌' } else { '─' };
        for (column, cell) in row.iter_mut().enumerate().take(high).skip(low + 1) {
            let crosses = self.lines.contains(&column);
            *cell = (if crosses { '┼' } else { dash }, style);
        }
        if from < to {
            row[low] = ('├', Style::Plain);
            row[high - 1] = ('▶', style);
        } else {
            row[high] = ('┤', Style::Plain);
            row[low + 1] = ('◀', style);
        }
        if let Some(label) = fits {
            let length = label.chars().count();
            // In the middle, and a lifeline that it covers is not cut beside it.
            let start = low + 1 + (high - low - 1 - length) / 2;
            put(&mut row, start - 1, &format!(" {label} "), style);
        }
        self.write(row);
    }

    /// A message of a function to itself: a small loop beside its lifeline.
    fn loop_back(&mut self, line: usize, time: &str, label: &str, style: Style) {
        let mut rows = [self.lifelines('│'), self.lifelines('│')];
        put(&mut rows[0], 0, time, Style::Dim);
        let length = label.chars().count();
        if line + 5 + length <= self.width {
            put(&mut rows[0], line, "├─╮ ", style);
            put(&mut rows[1], line, "│◀╯ ", style);
            put(&mut rows[0], line + 4, label, style);
        } else {
            let label = cut(label, line.saturating_sub(MARGIN + 3));
            put(&mut rows[0], line - 2, "╭─┤", style);
            put(&mut rows[1], line - 2, "╰▶│", style);
            put(&mut rows[0], line - 3 - label.chars().count(), &label, style);
        }
        rows.into_iter().for_each(|row| self.write(row));
    }

    fn detail(&mut self, arrow: &Arrow) {
        let start = self.lines[arrow.from.min(arrow.to)] + 2;
        let room = self.width.saturating_sub(start);
        let mut line = String::new();
        let mut lines = Vec::new();
        for (name, value) in &arrow.summary.detail {
            let field = format!("{name}={value}");
            let length = line.chars().count();
            if length > 0 && length + 2 + field.chars().count() > room {
                lines.push(std::mem::take(&mut line));
            }
            line = if line.is_empty() { field } else { format!("{line}  {field}") };
        }
        lines.push(line);
        for line in lines.iter().filter(|line| !line.is_empty()) {
            let mut row = self.lifelines('│');
            put(&mut row, start, &cut(line, room), Style::Dim);
            self.write(row);
        }
    }

    fn foot(&mut self, ladder: &Ladder) {
        self.write(self.lifelines('╵'));
        let again = ladder.arrows.iter().filter(|arrow| arrow.retransmission).count();
        let failures = ladder.arrows.iter().filter(|arrow| arrow.summary.is_failure()).count();
        let length = ladder.arrows.last().map_or(Duration::ZERO, |arrow| arrow.offset);
        let mut text = format!("{}, {}", count(ladder.arrows.len(), "message"), span(length));
        for (number, what) in [(again, "retransmission"), (failures, "failure")] {
            if number > 0 {
                text.push_str(&format!(", {}", count(number, what)));
            }
        }
        let mut row = Row::new();
        put(&mut row, 0, &cut(&text, self.width), Style::Dim);
        self.write(row);
    }

    fn lifelines(&self, shape: char) -> Row {
        let length = self.lines.last().map_or(0, |last| last + 1);
        let mut row = vec![(' ', Style::Plain); length];
        self.lines.iter().for_each(|at| row[*at] = (shape, Style::Plain));
        row
    }

    fn write(&mut self, row: Row) {
        let end = row.iter().rposition(|(c, _)| *c != ' ').map_or(0, |last| last + 1);
        let mut current = Style::Plain;
        for (c, style) in row.into_iter().take(end.min(self.width)) {
            let style = if self.colour { style } else { Style::Plain };
            if style != current && c != ' ' {
                if current != Style::Plain {
                    self.text.push_str("\x1b[0m");
                }
                self.text.push_str(style.escape());
                current = style;
            }
            self.text.push(c);
        }
        if current != Style::Plain {
            self.text.push_str("\x1b[0m");
        }
        self.text.push('\n');
    }
}

/// Puts text into a row, over what stands there.
fn put(row: &mut Row, at: usize, text: &str, style: Style) {
    for (i, c) in text.chars().enumerate() {
        if row.len() <= at + i {
            row.resize(at + i + 1, (' ', Style::Plain));
        }
        row[at + i] = (c, style);
    }
}

/// Where the lifelines stand: as far apart as their labels and arrows want, as close as the width
/// asks for.
fn columns(ladder: &Ladder, width: usize, label: usize) -> Vec<usize> {
    let labels: Vec<usize> =
        ladder.participants.iter().map(|p| p.label.chars().count().min(label)).collect();
    let Some((first, last)) = labels.first().zip(labels.last()) else { return Vec::new() };
    let least = |gap: usize| ((labels[gap] + labels[gap + 1]) / 2 + 6).max(10);
    let mut gaps: Vec<usize> = (0..labels.len() - 1).map(least).collect();
    let left = MARGIN + (first + 4) / 2;
    let room = width.saturating_sub(left + (last + 4) / 2 + 1);
    // Too many participants: all gaps shrink alike.
    while gaps.iter().sum::<usize>() > room {
        match gaps.iter().enumerate().max_by_key(|(_, gap)| **gap) {
            Some((widest, gap)) if *gap > NARROWEST => gaps[widest] -= 1,
            _ => break,
        }
    }
    // First room for the short titles of arrows between neighbours, then for the full ones.
    for full in [false, true] {
        let mut wanted = gaps.clone();
        for arrow in &ladder.arrows {
            let (low, high) = (arrow.from.min(arrow.to), arrow.from.max(arrow.to));
            let title = if full { &arrow.summary.title } else { arrow.summary.short_title() };
            let mark = if arrow.retransmission { 2 } else { 0 };
            if high == low + 1 {
                wanted[low] = wanted[low].max(title.chars().count() + mark + 5);
            }
        }
        let mut free = room.saturating_sub(gaps.iter().sum());
        while free > 0 {
            let lacking = (0..gaps.len()).filter(|i| gaps[*i] < wanted[*i]);
            let Some(next) = lacking.min_by_key(|i| gaps[*i]) else { break };
            gaps[next] += 1;
            free -= 1;
        }
    }
    let mut at = left;
    let mut lines = vec![at];
    for gap in gaps {
        at += gap;
        lines.push(at);
    }
    lines
}

fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(room.saturating_sub(1)).collect();
    out.push('…');
    out
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Milliseconds, with three digits after the point.
pub(crate) fn millis(duration: Duration) -> String {
    format!("{}.{:03}", duration.as_millis(), duration.as_micros() % 1000)
}

/// A length of time for a person, in the unit that suits it: `0.9 ms`, `1.2 s`, `2:05 min`.
pub fn span(duration: Duration) -> String {
    // What would be rounded up to the next unit is told in that one.
    if duration < Duration::from_micros(999_950) {
        format!("{:.1} ms", duration.as_secs_f64() * 1e3)
    } else if duration < Duration::from_millis(99_950) {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        let seconds = duration.as_secs();
        format!("{}:{:02} min", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_their_units() {
        let cases = [
            (0, "0.0 ms"),
            (945, "0.9 ms"),
            (8_700, "8.7 ms"),
            (999_949, "999.9 ms"),
            (999_950, "1.0 s"),
            (4_600_000, "4.6 s"),
            (99_949_999, "99.9 s"),
            (99_950_000, "1:39 min"),
            (125_000_000, "2:05 min"),
        ];
        for (micros, text) in cases {
            assert_eq!(span(Duration::from_micros(micros)), text, "{micros} µs");
        }
    }
}
