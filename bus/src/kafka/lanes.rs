//! Records on their way to partitions, in flights: what comes while one is in the air makes the next. No I/O.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// What became of a record that was handed over.
pub(super) enum Handed<T> {
    /// It will be acknowledged or fail.
    Taken,
    /// It failed at once.
    Refused,
    /// There is no room now: it comes back.
    Full(T),
}

/// All partitions that have records here or in the air.
pub(super) struct Lanes<T> {
    lanes: HashMap<Arc<str>, BTreeMap<i32, Lane<T>>>,
}

/// One partition.
struct Lane<T> {
    waiting: VecDeque<T>,
    /// How many records of the flight have not landed.
    in_the_air: usize,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { lanes: HashMap::new() }
    }
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), in_the_air: 0 }
    }
}

impl<T> Lanes<T> {
    /// The record waits for the next flight to its partition.
    pub(super) fn add(&mut self, topic: Arc<str>, partition: i32, record: T) {
        self.lanes.entry(topic).or_default().entry(partition).or_default().waiting.push_back(record);
    }

    /// Lets the flights go that may.
    pub(super) fn launch(&mut self, mut hand_over: impl FnMut(T) -> Handed<T>) {
        self.lanes.retain(|_, lanes| {
            lanes.retain(|_, lane| {
                lane.launch(&mut hand_over);
                !lane.waiting.is_empty() || lane.in_the_air > 0
            });
            !lanes.is_empty()
        });
    }

    /// So many records of a partition are acknowledged, or have failed after they were taken.
    pub(super) fn land(&mut self, topic: &str, partition: i32, count: usize) {
        let lane = self.lanes.get_mut(topic).and_then(|lanes| lanes.get_mut(&partition));
        if let Some(lane) = lane {
            lane.land(count);
        }
    }
}

impl<T> Lane<T> {
    fn launch(&mut self, hand_over: &mut impl FnMut(T) -> Handed<T>) {
        if self.in_the_air > 0 {
            return;
        }
        while let Some(record) = self.waiting.pop_front() {
            match hand_over(record) {
                Handed::Taken => self.in_the_air += 1,
                Handed::Refused => {}
                Handed::Full(record) => {
                    self.waiting.push_front(record);
                    break;
                }
            }
        }
    }

    fn land(&mut self, count: usize) {
        self.in_the_air = self.in_the_air.saturating_sub(count);
    }
}

/// Counts what landed, by partition: neighbours mostly land together.
#[derive(Default)]
pub(super) struct Landed {
    counts: Vec<(String, i32, usize)>,
}

impl Landed {
    pub(super) fn add(&mut self, topic: &str, partition: i32) {
        match self.counts.last_mut() {
            Some((last, number, count)) if *number == partition && last == topic => *count += 1,
            _ => self.counts.push((topic.to_owned(), partition, 1)),
        }
    }

    pub(super) fn into_counts(self) -> impl Iterator<Item = (String, i32, usize)> {
        self.counts.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "a.ready";

    fn add(lanes: &mut Lanes<u32>, partition: i32, records: std::ops::Range<u32>) {
        for record in records {
            lanes.add(TOPIC.into(), partition, record);
        }
    }

    /// Launches into a client with so much room; returns what it took.
    fn launch(lanes: &mut Lanes<u32>, room: usize) -> Vec<u32> {
        let mut taken = Vec::new();
        lanes.launch(|record| {
            if taken.len() == room {
                return Handed::Full(record);
            }
            taken.push(record);
            Handed::Taken
        });
        taken
    }

    #[test]
    fn what_comes_while_a_flight_is_in_the_air_makes_the_next() {
        let mut lanes = Lanes::default();
        add(&mut lanes, 0, 0..2);
        assert_eq!(launch(&mut lanes, 100), [0, 1]);
        add(&mut lanes, 0, 2..4);
        assert_eq!(launch(&mut lanes, 100), [0; 0]);
        add(&mut lanes, 1, 10..11);
        assert_eq!(launch(&mut lanes, 100), [10], "another partition has flights of its own");
        lanes.land(TOPIC, 0, 1);
        assert_eq!(launch(&mut lanes, 100), [0; 0], "half of it has landed");
        lanes.land(TOPIC, 0, 1);
        assert_eq!(launch(&mut lanes, 100), [2, 3]);
    }

    #[test]
    fn what_finds_no_room_goes_later_in_its_order() {
        let mut lanes = Lanes::default();
        add(&mut lanes, 0, 0..5);
        assert_eq!(launch(&mut lanes, 2), [0, 1]);
        add(&mut lanes, 0, 5..6);
        lanes.land(TOPIC, 0, 2);
        assert_eq!(launch(&mut lanes, 0), [0; 0]);
        assert_eq!(launch(&mut lanes, 100), [2, 3, 4, 5]);
        lanes.land(TOPIC, 0, 4);
        launch(&mut lanes, 100);
        assert!(lanes.lanes.is_empty(), "a partition with nothing on its way is forgotten");
    }

    #[test]
    fn what_is_refused_at_once_is_not_waited_for() {
        let mut lanes = Lanes::default();
        add(&mut lanes, 0, 0..3);
        lanes.launch(|record| if record == 1 { Handed::Refused } else { Handed::Taken });
        lanes.land(TOPIC, 0, 2);
        lanes.launch(Handed::Full);
        assert!(lanes.lanes.is_empty());
        lanes.land(TOPIC, 0, 1);
        lanes.land("another", 0, 1);
    }

    #[test]
    fn landings_are_counted_by_partition() {
        let mut landed = Landed::default();
        for (topic, partition) in [("a", 0), ("a", 0), ("a", 1), ("b", 1), ("b", 1), ("a", 0)] {
            landed.add(topic, partition);
        }
        let counts: Vec<_> = landed.into_counts().collect();
        let expected = [("a", 0, 2), ("a", 1, 1), ("b", 1, 2), ("a", 0, 1)];
        assert_eq!(counts, expected.map(|(topic, partition, count)| (topic.to_owned(), partition, count)));
    }
}
