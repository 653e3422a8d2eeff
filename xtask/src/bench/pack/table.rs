//! What was measured, as a table: each way beside hoist's, and the goals.

use serde_json::{Value, json};

use crate::bench::measure::Cost;
use crate::bench::median;

/// Most memory that hoist may hold in any of it.
const RSS_GOAL_BYTES: u64 = 64_000_000;

/// One question: what hoist does, and others for comparison.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) what: String,
    /// Hoist's way first.
    pub(super) rows: Vec<Row>,
    goals: Vec<Goal>,
}

/// One way to do it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) way: String,
    /// Of each round.
    pub(super) costs: Vec<Cost>,
}

/// What of a cost is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Wall,
    Cpu,
}

/// Hoist's share of what a peer takes.
#[derive(Debug)]
struct Goal {
    peer: String,
    of: Of,
    at_most: f64,
}

impl Of {
    fn ms(self, cost: &Cost) -> f64 {
        let time = match self {
            Self::Wall => cost.wall,
            Self::Cpu => cost.cpu,
        };
        time.as_secs_f64() * 1e3
    }

    fn name(self) -> &'static str {
        match self {
            Self::Wall => "wall",
            Self::Cpu => "CPU",
        }
    }
}

impl Section {
    pub(super) fn new(what: &str, rows: Vec<Row>) -> Self {
        Self { what: what.to_owned(), rows, goals: Vec::new() }
    }

    /// Wants hoist to take at most this share of what `peer` takes.
    pub(super) fn goal(mut self, peer: &str, of: Of, at_most: f64) -> Self {
        self.goals.push(Goal { peer: peer.to_owned(), of, at_most });
        self
    }

    /// The median over the rounds of what hoist takes over what `row` takes in the same round;
    /// none for hoist's own row.
    fn ratio(&self, row: &Row, of: Of) -> Option<f64> {
        let ours = self.rows.first().filter(|ours| ours.way != row.way)?;
        let pairs = ours.costs.iter().zip(&row.costs);
        Some(median(pairs.map(|(ours, theirs)| of.ms(ours) / of.ms(theirs))))
    }

    /// The goals of a row, each with whether it is met.
    fn goals_of(&self, row: &Row) -> Vec<(String, bool)> {
        if self.ratio(row, Of::Wall).is_none() {
            return vec![("≤ 64 MB".to_owned(), row.rss_bytes() <= RSS_GOAL_BYTES)];
        }
        let own = self.goals.iter().filter(|goal| goal.peer == row.way);
        own.map(|goal| {
            let is_met = self.ratio(row, goal.of).is_some_and(|ratio| ratio <= goal.at_most);
            (format!("{} ≤ {:.2}", goal.of.name(), goal.at_most), is_met)
        })
        .collect()
    }

    /// The lines of the table.
    fn lines(&self) -> Vec<String> {
        let line = |(index, row): (usize, &Row)| {
            let what = if index == 0 { format!("**{}**", self.what) } else { String::new() };
            let ratio = |of| self.ratio(row, of).map_or(String::new(), |it| format!("{it:.2}"));
            let goals = self.goals_of(row).into_iter();
            let goals: Vec<String> = goals
                .map(|(goal, is_met)| format!("{goal}: {}", if is_met { "met" } else { "MISSED" }))
                .collect();
            format!(
                "| {what} | {} | {} | {} | {} | {} | {} | {} |",
                row.way,
                row.times(Of::Wall),
                row.times(Of::Cpu),
                row.megabytes(),
                ratio(Of::Wall),
                ratio(Of::Cpu),
                goals.join(", ")
            )
        };
        self.rows.iter().enumerate().map(line).collect()
    }

    /// A record for each row.
    pub(super) fn records(&self) -> Vec<Value> {
        let record = |row: &Row| {
            let ms = |of: Of| row.costs.iter().map(|cost| of.ms(cost)).collect::<Vec<_>>();
            let goals = self.goals_of(row).into_iter();
            json!({
                "what": self.what,
                "way": row.way,
                "wall_ms": ms(Of::Wall),
                "cpu_ms": ms(Of::Cpu),
                "rss_bytes": row.rss_bytes(),
                "wall_ratio": self.ratio(row, Of::Wall),
                "cpu_ratio": self.ratio(row, Of::Cpu),
                "goals": goals.map(|(goal, met)| json!({"goal": goal, "met": met}))
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

    fn rss_bytes(&self) -> u64 {
        self.costs.iter().map(|cost| cost.rss_bytes).max().unwrap_or(0)
    }

    /// The most memory, rounded; nothing for what this process did itself.
    fn megabytes(&self) -> String {
        match self.rss_bytes() {
            0 => String::new(),
            bytes => ((bytes + 500_000) / 1_000_000).to_string(),
        }
    }

    /// The median, and the least in parentheses.
    fn times(&self, of: Of) -> String {
        let ms = || self.costs.iter().map(|cost| of.ms(cost));
        let (median, least) = (median(ms()), ms().fold(f64::INFINITY, f64::min));
        if median < 100.0 {
            format!("{median:.1} ({least:.1})")
        } else {
            format!("{median:.0} ({least:.0})")
        }
    }
}

/// The table of all sections, in Markdown.
pub(super) fn table(sections: &[Section]) -> String {
    let head = "| what | way | wall ms (min) | CPU ms (min) | MB | hoist over it: wall | CPU \
                | goal |\n|---|---|---:|---:|---:|---:|---:|---|";
    let lines = sections.iter().flat_map(Section::lines);
    std::iter::once(head.to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn row(way: &str, wall_ms: &[u64]) -> Row {
        let cost = |&ms: &u64| Cost {
            wall: Duration::from_millis(ms),
            cpu: Duration::from_millis(ms / 2),
            rss_bytes: ms * 1_000_000,
        };
        Row { way: way.to_owned(), costs: wall_ms.iter().map(cost).collect() }
    }

    #[test]
    fn ratios_are_of_the_same_round_and_goals_are_held_against_them() {
        let rows = vec![row("hoist", &[10, 40, 30]), row("peer", &[20, 400, 30])];
        let section =
            Section::new("add", rows).goal("peer", Of::Wall, 0.5).goal("peer", Of::Cpu, 0.4);
        assert_eq!(
            section.lines(),
            [
                "| **add** | hoist | 30.0 (10.0) | 15.0 (5.0) | 40 |  |  | ≤ 64 MB: met |",
                "|  | peer | 30.0 (20.0) | 15.0 (10.0) | 400 | 0.50 | 0.50 | \
                 wall ≤ 0.50: met, CPU ≤ 0.40: MISSED |",
            ]
        );
        assert_eq!(section.records()[1]["goals"][1]["met"], false);
    }
}
