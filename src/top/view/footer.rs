//! The last line: keys, a question, or what became of a change.

use crate::terminal::{Line, Looks, Style, shown};

use super::super::ui::Mode;
use super::super::world::Seen;
use super::Picture;

/// The one that fits what keys mean now.
pub fn line(it: &Picture<'_>, looks: Looks) -> Line {
    let name = |name: &super::super::sample::Name| shown(&name.to_string(), looks.unicode);
    let ask = |text: String| Line::of(Style::BOLD, text).reversed();
    match &it.ui.mode {
        Mode::Look => keys(it),
        Mode::Help => Line::of(Style::FAINT, " any key goes back, q quits"),
        Mode::Menu(of) => ask(format!(
            " {}: d drain  r ready  m maintenance  w weight  Esc nothing",
            name(of)
        )),
        Mode::Filter(_) => {
            ask(format!(" only with: {}_  Enter keep  Esc as before", it.ui.filter))
        }
        Mode::Weight(of, text) => {
            ask(format!(" weight of {}: {text}_  Enter go on  Esc nothing", name(of)))
        }
        Mode::Confirm(change) => {
            let has = |seen: &&Seen| {
                seen.is_present()
                    && seen.sample.backends.iter().any(|it| it.name == change.name)
            };
            let count = it.all.iter().filter(has).count();
            let at = match it.ui.only {
                None if it.all.len() > 1 => format!(" at {count} of {}", it.all.len()),
                _ => String::new(),
            };
            ask(format!(" {}{at}? y/n", shown(&change.what, looks.unicode)))
        }
    }
}

fn keys(it: &Picture<'_>) -> Line {
    if let Some((ink, text)) = &it.ui.message {
        return Line::of(Style::ink(*ink).bold(), format!(" {text}"));
    }
    let mut text = " q quit  ? help  Tab view  s sort  / filter  space pause".to_owned();
    if it.ui.selected.is_some() && it.ui.view.has_backends() {
        text += "  Enter change";
    } else {
        text += "  arrows choose";
    }
    Line::of(Style::FAINT, text)
}
