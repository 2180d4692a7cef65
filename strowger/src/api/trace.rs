//! What crossed, as `strowger trace` reads it: lines of [`ladder::json`], key material overwritten.

use super::Sources;
use super::problem::Problem;
use super::routes::parameter;
use crate::http::Response;
use crate::provision::names;
use crate::recorder::select;

pub(super) fn response(sources: &Sources, query: &str) -> Result<Response, Problem> {
    let who = parameter(query, "who")?;
    let who = who.map(|who| names(&who, &sources.domain)).unwrap_or_default();
    let snapshot = sources.recorder.snapshot();
    let snapshot = snapshot.map_err(|ended| Problem::new(503, ended.to_string()))?;
    let mut lines = String::new();
    for mut record in select(snapshot.records, &who) {
        ladder::redact(&mut record);
        lines += &ladder::json::line(&record);
        lines.push('\n');
    }
    Ok(Response { content_type: "application/x-ndjson", ..Response::text(200, lines) })
}
