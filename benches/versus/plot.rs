//! A row as a picture: a bar for each peer, with its interval, in SVG.

use std::fmt::Write as _;

use crate::contest::{Figure, Result};
use crate::statistics::estimate;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 90.0;
const BAR: f64 = 18.0;
const STEP: f64 = 28.0;
const TOP: f64 = 58.0;

/// Colours that can be read on white and on black.
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#24292f}\
    .t{font-weight:600}.m{fill:#6e7781}.us{fill:#d9480f}.them{fill:#748ca3}\
    .e{stroke:#24292f;stroke-width:1.5}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.m{fill:#9ea7b1}.e{stroke:#e6edf3}}";

/// The picture; shorter is better.
pub fn svg(result: &Result) -> String {
    let entries: Vec<_> = result.entries.iter().filter(|it| !it.costs.is_empty()).collect();
    let height = TOP + STEP * entries.len() as f64 + 12.0;
    let most = entries.iter().map(|it| estimate(&it.costs).high).fold(0.0, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / most.max(f64::MIN_POSITIVE);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n<style>{STYLE}</style>\n\
         <text class=\"t\" x=\"12\" y=\"22\">{}</text>\n\
         <text class=\"m\" x=\"12\" y=\"42\">{}; shorter is better</text>\n",
        result.row.name,
        result.row.measure()
    );
    for (index, entry) in entries.iter().enumerate() {
        let it = estimate(&entry.costs);
        let y = TOP + STEP * index as f64;
        let middle = y + BAR / 2.0;
        let class = if entry.peer.starts_with("pointsman") { "us" } else { "them" };
        let end = LEFT + it.median * scale;
        let low = LEFT + it.low * scale;
        let high = LEFT + it.high * scale;
        // because: writing to a String cannot fail.
        let _ = writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\" \
             rx=\"3\"/>\
             <path class=\"e\" d=\"M{low:.1} {middle:.1}H{high:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT - 8.0,
            middle + 4.5,
            entry.peer,
            end - LEFT,
            high.max(end) + 8.0,
            middle + 4.5,
            Figure(it.median)
        );
    }
    text + "</svg>\n"
}
