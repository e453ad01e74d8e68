//! Tables for people: aligned columns, numbers to the right, as wide as what is in them.

/// A cell that is longer is cut in its middle: names differ at their ends, too. The last of a row
/// may be as long as it is.
const CELL_CHARS_MAX: usize = 72;

/// Rows below a line of names.
pub struct Table {
    names: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Without rows. A name that begins with `>` is of a column of numbers.
    pub fn new(names: &[&'static str]) -> Table {
        Table { names: names.to_vec(), rows: Vec::new() }
    }

    /// One row more, a cell for each column.
    pub fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.names.len(), "a cell for each column");
        let last = cells.len().saturating_sub(1);
        let fit = |(at, cell)| if at == last { cell } else { cut(cell) };
        self.rows.push(cells.into_iter().enumerate().map(fit).collect());
    }

    /// All of it, a line each.
    pub fn text(&self) -> String {
        let name = |it: &&'static str| it.trim_start_matches('>').to_owned();
        let head: Vec<String> = self.names.iter().map(name).collect();
        let all = || std::iter::once(&head).chain(&self.rows);
        let width = |at: usize| all().map(|it| it[at].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.names.len()).map(width).collect();
        let mut out = String::new();
        for row in all() {
            let mut line = String::new();
            for (at, cell) in row.iter().enumerate() {
                let width = widths[at];
                let is_number = self.names[at].starts_with('>');
                if at > 0 {
                    line.push_str("  ");
                }
                line += &if is_number {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:width$}")
                };
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

fn cut(text: String) -> String {
    let count = text.chars().count();
    if count <= CELL_CHARS_MAX {
        return text;
    }
    let begin = CELL_CHARS_MAX / 2 - 3;
    let end = CELL_CHARS_MAX - begin - 3;
    text.chars()
        .take(begin)
        .chain("...".chars())
        .chain(text.chars().skip(count - end))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them_and_numbers_stand_to_the_right() {
        let mut table = Table::new(&["name", ">active", "state"]);
        table.row(vec!["web/a".into(), "12".into(), "up".into()]);
        table.row(vec!["web/long".into(), "1234567".into(), String::new()]);
        assert_eq!(
            table.text(),
            "name       active  state\nweb/a          12  up\nweb/long  1234567\n"
        );
    }

    #[test]
    fn a_long_cell_is_cut_and_no_line_ends_in_blanks() {
        let mut table = Table::new(&["name", "reason"]);
        let long = format!("{}{}", "é".repeat(60), "x".repeat(60));
        table.row(vec![long.clone(), String::new()]);
        table.row(vec!["a".into(), long.clone()]);
        let text = table.text();
        let cut = format!("{}...{}", "é".repeat(33), "x".repeat(36));
        assert_eq!(text.lines().nth(1), Some(&*cut));
        assert!(text.lines().nth(2).is_some_and(|it| it.ends_with(&long)), "the last is whole");
    }
}
