//! Text whose width is known: what may be wide, invisible or a command is spelt out.
//!
//! There is no table of Unicode's widths here. Characters of scripts and signs that every terminal
//! shows in one column are shown; all others, from a bell to a bidirectional override or an
//! ideograph, become `\u{4e2d}`. So a hostile name can neither move what stands beside it nor seem
//! to be another.

/// Whether a terminal shows it, in one column.
fn is_plain(it: char, unicode: bool) -> bool {
    match it {
        ' '..='~' => true,
        _ if !unicode => false,
        '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{24f}' => true,
        // Greek and Cyrillic, without what is unassigned and what combines.
        '\u{386}'..='\u{3ce}' => !matches!(it, '\u{387}' | '\u{38b}' | '\u{38d}' | '\u{3a2}'),
        '\u{400}'..='\u{482}' | '\u{48a}'..='\u{52f}' => true,
        // Dashes, quotes, dots; none of what turns the direction of writing.
        '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{203a}' => true,
        // Arrows, lines, blocks, shapes, without those that some show as pictures.
        '\u{2190}'..='\u{2193}' | '\u{2500}'..='\u{259f}' => true,
        '\u{25a0}' | '\u{25b2}' | '\u{25bc}' | '\u{25cb}' | '\u{25cf}' | '\u{25d0}' => true,
        _ => false,
    }
}

/// With each character that is not shown in one column spelt out.
pub fn shown(text: &str, unicode: bool) -> String {
    if text.chars().all(|it| is_plain(it, unicode)) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            _ if is_plain(it, unicode) => out.push(it),
            '\n' | '\r' | '\t' => out.extend(it.escape_default()),
            _ => out.extend(it.escape_unicode()),
        }
    }
    out
}

/// The columns of what [`shown`] gave.
pub fn width(text: &str) -> usize {
    text.chars().count()
}

/// At most so many columns of what [`shown`] gave; the last of them says that there was more.
pub fn cut(text: &str, columns: usize, unicode: bool) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let Some(keep) = columns.checked_sub(1) else { return String::new() };
    let more = if unicode { '…' } else { '~' };
    text.chars().take(keep).chain([more]).collect()
}

/// Exactly so many columns, on the left.
pub fn fit(text: &str, columns: usize, unicode: bool) -> String {
    let text = cut(text, columns, unicode);
    format!("{text:columns$}")
}

/// Exactly so many columns, to the right.
pub fn fit_right(text: &str, columns: usize, unicode: bool) -> String {
    let text = cut(text, columns, unicode);
    format!("{text:>columns$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_single_column_is_spelt_out() {
        assert_eq!(shown("web/ä ● ▁", true), "web/ä ● ▁");
        assert_eq!(shown("web/ä", false), "web/\\u{e4}");
        assert_eq!(shown("\x1b[2J\x07", true), "\\u{1b}[2J\\u{7}");
        assert_eq!(shown("a\nb\u{202e}c\u{200b}", true), "a\\nb\\u{202e}c\\u{200b}");
        assert_eq!(
            shown("中e\u{301}😀\u{9b}\u{ad}", true).chars().filter(|it| !it.is_ascii()).count(),
            0
        );
    }

    #[test]
    fn a_text_is_cut_at_columns_and_says_so() {
        assert_eq!(cut("abcdef", 6, true), "abcdef");
        assert_eq!(cut("abcdef", 4, true), "abc…");
        assert_eq!(cut("abcdef", 4, false), "abc~");
        assert_eq!(cut("abcdef", 0, true), "");
        assert_eq!(fit("ab", 4, true), "ab  ");
        assert_eq!(fit_right("ab", 4, true), "  ab");
    }
}
