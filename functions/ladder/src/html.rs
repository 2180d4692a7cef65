//! A ladder as one HTML file that needs nothing else: the drawing is inline SVG, and a click on an
//! arrow shows the whole message. Everything that came from a message is escaped, and the page's own
//! policy forbids it to load anything.

use std::fmt::Write as _;

use base::Service;
use base::time::Duration;

use crate::dissect::{full_text, plain};
use crate::json::service_name;
use crate::ladder::{Arrow, Ladder, utc};
use crate::text::{millis, span};

const CSS: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// Pixels: the column of times, the row of names, one arrow.
const LEFT: usize = 150;
const TOP: usize = 56;
const STEP: usize = 30;
/// A pause of this length widens the space before an arrow.
const PAUSE: Duration = Duration::from_millis(500);

/// The ladder as a whole file.
pub fn render(ladder: &Ladder) -> String {
    let mut out =
        String::from("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    out.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n",
    );
    let title = escape(&ladder.title);
    let length = ladder.arrows.last().map_or(Duration::ZERO, |arrow| arrow.offset);
    let facts = format!(
        "{} · {} messages · {}",
        escape(&utc(ladder.started)),
        ladder.arrows.len(),
        escape(&span(length))
    );
    out.push_str(&format!("<title>{title}</title>\n<style>\n{CSS}</style></head><body>\n"));
    out.push_str(&format!("<header><h1>{title}</h1><p>{facts}</p></header>\n"));
    out.push_str("<div class=\"ladder\">\n");
    drawing(ladder, &mut out);
    out.push_str("</div>\n<aside>\n<p class=\"hint\">Choose an arrow to read its message.</p>\n");
    for (number, arrow) in ladder.arrows.iter().enumerate() {
        message(ladder, number, arrow, &mut out);
    }
    out.push_str(&format!("</aside>\n<script>\n{SCRIPT}</script>\n</body></html>\n"));
    out
}

fn drawing(ladder: &Ladder, out: &mut String) {
    let columns = columns(ladder);
    let mut rows = Vec::with_capacity(ladder.arrows.len());
    let mut pauses = Vec::new();
    let mut y = TOP + STEP;
    let mut before = Duration::ZERO;
    for arrow in &ladder.arrows {
        if arrow.offset.saturating_sub(before) >= PAUSE {
            pauses.push((y - STEP / 2, arrow.offset.saturating_sub(before)));
            y += STEP;
        }
        before = arrow.offset;
        rows.push(y);
        y += STEP;
    }
    let width = columns.last().map_or(LEFT, |last| last + 90);
    put(
        out,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{y}\" viewBox=\"0 0 {width} {y}\" role=\"img\">\n"
        ),
    );
    for (participant, x) in ladder.participants.iter().zip(&columns) {
        let name = participant.name.as_deref().unwrap_or("");
        let hover = format!("{name} {}", participant.endpoint);
        let half = participant.label.chars().count() * 4 + 12;
        put(
            out,
            format_args!(
                "<line class=\"life\" x1=\"{x}\" y1=\"{TOP}\" x2=\"{x}\" y2=\"{y}\"/>\
             <g><title>{}</title><rect class=\"box\" x=\"{}\" y=\"16\" width=\"{}\" height=\"28\" rx=\"6\"/>\
             <text class=\"who\" x=\"{x}\" y=\"34\">{}</text></g>\n",
                escape(hover.trim()),
                x.saturating_sub(half),
                2 * half,
                escape(&participant.label)
            ),
        );
    }
    for (y, pause) in pauses {
        for x in &columns {
            put(
                out,
                format_args!(
                    "<line class=\"pause\" x1=\"{x}\" y1=\"{}\" x2=\"{x}\" y2=\"{}\"/>",
                    y - 6,
                    y + 18
                ),
            );
        }
        put(
            out,
            format_args!("<text class=\"time\" x=\"84\" y=\"{}\">{}</text>\n", y + 10, span(pause)),
        );
    }
    for (number, (arrow, y)) in ladder.arrows.iter().zip(rows).enumerate() {
        draw_arrow(number, arrow, columns[arrow.from], columns[arrow.to], y, width, out);
    }
    out.push_str("</svg>\n");
}

/// As far apart as the titles of arrows between neighbours want, within reason.
fn columns(ladder: &Ladder) -> Vec<usize> {
    let mut gaps = vec![120; ladder.participants.len().saturating_sub(1)];
    for arrow in &ladder.arrows {
        let (low, high) = (arrow.from.min(arrow.to), arrow.from.max(arrow.to));
        if high == low + 1 {
            gaps[low] = (arrow.summary.title.chars().count() * 7 + 40).clamp(gaps[low], 280);
        }
    }
    let mut x = LEFT;
    let mut columns: Vec<usize> = ladder.participants.first().map(|_| x).into_iter().collect();
    for gap in gaps {
        x += gap;
        columns.push(x);
    }
    columns
}

fn draw_arrow(
    number: usize,
    arrow: &Arrow,
    from: usize,
    to: usize,
    y: usize,
    width: usize,
    out: &mut String,
) {
    let mut class = format!("arrow {}", service_name(arrow.record.service));
    for (set, name) in [
        (arrow.summary.answer.is_some(), " answer"),
        (arrow.summary.is_failure(), " bad"),
        (arrow.retransmission, " again"),
    ] {
        class.push_str(if set { name } else { "" });
    }
    let mark = if arrow.retransmission { "↻ " } else { "" };
    let label = escape(&format!("{mark}{}", arrow.summary.title));
    let time = millis(arrow.offset);
    put(
        out,
        format_args!(
            "<g class=\"{class}\" data-message=\"{number}\" tabindex=\"0\" role=\"button\">\
         <rect class=\"hit\" x=\"0\" y=\"{}\" width=\"{width}\" height=\"{STEP}\"/>\
         <text class=\"time\" x=\"84\" y=\"{}\">{time}</text>",
            y - STEP + 9,
            y + 4
        ),
    );
    let middle = usize::midpoint(from, to);
    if from == to {
        put(
            out,
            format_args!(
                "<path class=\"shaft\" d=\"M{from} {} h28 v12 h-22\"/>\
             <path class=\"head\" d=\"M{from} {} l8 -4 v8 z\"/>\
             <text class=\"label\" x=\"{}\" y=\"{}\">{label}</text>",
                y - 8,
                y + 4,
                from + 34,
                y - 10
            ),
        );
    } else {
        let (end, back) = if from < to { (to - 7, "-8") } else { (to + 7, "8") };
        put(
            out,
            format_args!(
                "<path class=\"shaft\" d=\"M{from} {y} H{end}\"/>\
             <path class=\"head\" d=\"M{to} {y} l{back} -4 v8 z\"/>\
             <text class=\"label\" x=\"{middle}\" y=\"{}\">{label}</text>",
                y - 6
            ),
        );
    }
    out.push_str("</g>\n");
}

fn message(ladder: &Ladder, number: usize, arrow: &Arrow, out: &mut String) {
    let (from, to) = (&ladder.participants[arrow.from], &ladder.participants[arrow.to]);
    put(
        out,
        format_args!(
            "<section id=\"m{number}\" hidden><h2>{}</h2><dl><dt>from</dt><dd>{} ({})</dd>\
         <dt>to</dt><dd>{} ({})</dd><dt>at</dt><dd>{} (+{} ms)</dd><dt>over</dt><dd>{:?}, {} bytes</dd>",
            escape(&arrow.summary.title),
            escape(&from.label),
            arrow.record.from.endpoint,
            escape(&to.label),
            arrow.record.to.endpoint,
            utc(arrow.record.at),
            millis(arrow.offset),
            arrow.record.transport,
            arrow.record.bytes.len(),
        ),
    );
    // The fields of SIP are read as easily in the message itself.
    if arrow.record.service != Service::Sip {
        for (name, value) in &arrow.summary.detail {
            put(out, format_args!("<dt>{}</dt><dd>{}</dd>", escape(name), escape(value)));
        }
    }
    put(out, format_args!("</dl><pre>{}</pre></section>\n", escape(&full_text(&arrow.record))));
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes all text");
}

/// Text as it may stand in elements and quoted attributes; control characters are replaced but for
/// line ends and tabs.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c => out.push_str(&plain(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out
}
