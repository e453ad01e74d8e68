//! Tables for people: aligned columns, numbers to the right, as wide as what is in them.

/// A cell that is longer is cut, so that a line stays within a terminal.
const CELL_CHARS_MAX: usize = 32;

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
        self.rows.push(cells.into_iter().map(cut).collect());
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
    if text.chars().count() <= CELL_CHARS_MAX {
        return text;
    }
    text.chars().take(CELL_CHARS_MAX - 3).chain("...".chars()).collect()
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
        table.row(vec!["é".repeat(40), String::new()]);
        let text = table.text();
        assert_eq!(text.lines().nth(1), Some(&*format!("{}...", "é".repeat(29))));
    }
}
