//! What was measured, as a table: CPU seconds, memory, and the goals.

use serde_json::{Value, json};

use crate::bench::measure::Cost;
use crate::bench::median;

/// One question: what hoist takes, and others for comparison.
#[derive(Debug)]
pub(super) struct Section {
    what: String,
    /// Hoist's way first.
    rows: Vec<Row>,
    /// Most CPU seconds that hoist may take.
    at_most_s: Option<f64>,
    /// Most memory that hoist may hold, in bytes.
    memory_at_most: Option<u64>,
    /// A peer, and the most that hoist may take of its CPU time.
    share: Option<(String, f64)>,
}

/// One way to do it.
#[derive(Debug)]
pub(super) struct Row {
    way: String,
    /// Of each round.
    pub(super) costs: Vec<Cost>,
}

impl Section {
    pub(super) fn new(what: &str, rows: Vec<Row>) -> Self {
        Self { what: what.to_owned(), rows, at_most_s: None, memory_at_most: None, share: None }
    }

    /// Wants hoist to take at most this many CPU seconds.
    pub(super) fn at_most(mut self, seconds: f64) -> Self {
        self.at_most_s = Some(seconds);
        self
    }

    pub(super) fn memory_at_most(mut self, bytes: u64) -> Self {
        self.memory_at_most = Some(bytes);
        self
    }

    /// Wants hoist to take at most this share of the CPU time of `peer`.
    pub(super) fn share(mut self, peer: &str, share: f64) -> Self {
        self.share = Some((peer.to_owned(), share));
        self
    }

    /// The median over the rounds of what hoist takes over what `row` takes in the same round;
    /// none for hoist's own row.
    fn ratio(&self, row: &Row) -> Option<f64> {
        let ours = self.rows.first().filter(|ours| ours.way != row.way)?;
        let pairs = ours.costs.iter().zip(&row.costs);
        Some(median(pairs.map(|(ours, theirs)| ours.cpu.as_secs_f64() / theirs.cpu.as_secs_f64())))
    }

    /// The goals of a row, each with whether it is met.
    fn goals_of(&self, row: &Row) -> Vec<(String, bool)> {
        let Some(ratio) = self.ratio(row) else {
            let seconds = self.at_most_s.map(|most| (format!("≤ {most} s"), row.cpu_s() <= most));
            let megabytes =
                |most: u64| (format!("≤ {} MB", most / 1_000_000), row.rss_bytes() <= most);
            return seconds.into_iter().chain(self.memory_at_most.map(megabytes)).collect();
        };
        let share = self.share.iter().filter(|(peer, _)| *peer == row.way);
        share.map(|(_, most)| (format!("≤ {most:.2} of it"), ratio <= *most)).collect()
    }

    fn lines(&self) -> Vec<String> {
        let line = |(index, row): (usize, &Row)| {
            let what = if index == 0 { format!("**{}**", self.what) } else { String::new() };
            let ratio = self.ratio(row).map_or(String::new(), |ratio| format!("{ratio:.3}"));
            let goals = self.goals_of(row).into_iter();
            let goals: Vec<String> = goals
                .map(|(goal, is_met)| format!("{goal}: {}", if is_met { "met" } else { "MISSED" }))
                .collect();
            let least =
                row.costs.iter().map(|cost| cost.cpu.as_secs_f64()).fold(f64::INFINITY, f64::min);
            format!(
                "| {what} | {} | {:.4} ({least:.4}) | {} | {ratio} | {} |",
                row.way,
                row.cpu_s(),
                (row.rss_bytes() + 500_000) / 1_000_000,
                goals.join(", ")
            )
        };
        self.rows.iter().enumerate().map(line).collect()
    }

    /// A record for each row.
    pub(super) fn records(&self) -> Vec<Value> {
        let record = |row: &Row| {
            json!({
                "what": self.what,
                "way": row.way,
                "cpu_s": row.costs.iter().map(|cost| cost.cpu.as_secs_f64()).collect::<Vec<_>>(),
                "rss_bytes": row.rss_bytes(),
                "cpu_ratio": self.ratio(row),
                "goals": self.goals_of(row).into_iter()
                    .map(|(goal, met)| json!({ "goal": goal, "met": met }))
                    .collect::<Vec<_>>(),
            })
        };
        self.rows.iter().map(record).collect()
    }
}

impl Row {
    pub(super) fn new(way: &str) -> Self {
        Self { way: way.to_owned(), costs: Vec::new() }
    }

    /// The median of the rounds, in seconds.
    fn cpu_s(&self) -> f64 {
        median(self.costs.iter().map(|cost| cost.cpu.as_secs_f64()))
    }

    /// The most of the rounds.
    fn rss_bytes(&self) -> u64 {
        self.costs.iter().map(|cost| cost.rss_bytes).max().unwrap_or(0)
    }
}

/// The table of all sections, in Markdown.
pub(super) fn table(sections: &[Section]) -> String {
    let head = "| what | way | CPU s, median (min) | MB | hoist over it | goal |\n\
                |---|---|---:|---:|---:|---|";
    let lines = sections.iter().flat_map(Section::lines);
    std::iter::once(head.to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn row(way: &str, cpu_ms: &[u64]) -> Row {
        let cost = |&ms: &u64| Cost {
            wall: Duration::from_millis(ms),
            cpu: Duration::from_millis(ms),
            rss_bytes: ms * 1_000_000,
        };
        Row { way: way.to_owned(), costs: cpu_ms.iter().map(cost).collect() }
    }

    #[test]
    fn goals_are_held_against_the_median_and_ratios_are_of_the_same_round() {
        let rows = vec![row("hoist", &[10, 40, 30]), row("peer", &[400, 400, 300])];
        let section = Section::new("check", rows)
            .at_most(0.03)
            .memory_at_most(30_000_000)
            .share("peer", 0.05);
        assert_eq!(
            section.lines(),
            [
                "| **check** | hoist | 0.0300 (0.0100) | 40 |  | ≤ 0.03 s: met, ≤ 30 MB: MISSED |",
                "|  | peer | 0.4000 (0.3000) | 400 | 0.100 | ≤ 0.05 of it: MISSED |",
            ]
        );
        assert_eq!(section.records()[1]["goals"][0]["met"], false);
    }
}
