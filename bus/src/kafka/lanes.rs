//! Records on their way to partitions, in flights: what comes while one is in the air makes the next. No I/O.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// A flight is one request: librdkafka makes another one of what is above a million bytes, and brokers take no larger one
/// by default. The rest is left for headers.
const FLIGHT_BYTES: usize = 512 * 1024;
/// Above that librdkafka makes another request too (`batch.num.messages`).
const FLIGHT_RECORDS: usize = 10_000;
/// What headers and the like add to a record, roughly.
const RECORD_BYTES: usize = 512;

/// All partitions that have records here or in the air.
pub(super) struct Lanes<T> {
    lanes: HashMap<Arc<str>, BTreeMap<i32, Lane<T>>>,
}

/// One partition.
struct Lane<T> {
    /// With the bytes of each.
    waiting: VecDeque<(usize, T)>,
    /// How many records of the flight have not landed.
    in_the_air: usize,
}

/// Records of one partition that go together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flight<T> {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    /// With the bytes of each.
    pub(super) records: VecDeque<(usize, T)>,
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
    /// The record, of so many bytes, waits for the next flight to its partition.
    pub(super) fn add(&mut self, topic: &Arc<str>, partition: i32, bytes: usize, record: T) {
        self.lane(topic, partition).waiting.push_back((bytes, record));
    }

    /// The flights that may go now: they are in the air from here on.
    pub(super) fn board(&mut self) -> Vec<Flight<T>> {
        let mut flights = Vec::new();
        self.lanes.retain(|topic, lanes| {
            lanes.retain(|partition, lane| {
                let records = lane.board();
                if !records.is_empty() {
                    flights.push(Flight { topic: topic.clone(), partition: *partition, records });
                }
                lane.in_the_air > 0
            });
            !lanes.is_empty()
        });
        flights
    }

    /// The rest of a flight found no room: it goes before all that waits.
    pub(super) fn turn_back(&mut self, flight: Flight<T>) {
        let lane = self.lane(&flight.topic, flight.partition);
        lane.in_the_air = lane.in_the_air.saturating_sub(flight.records.len());
        for record in flight.records.into_iter().rev() {
            lane.waiting.push_front(record);
        }
    }

    /// So many records of a partition are acknowledged or have failed.
    pub(super) fn land(&mut self, topic: &str, partition: i32, count: usize) {
        let lane = self.lanes.get_mut(topic).and_then(|lanes| lanes.get_mut(&partition));
        if let Some(lane) = lane {
            lane.in_the_air = lane.in_the_air.saturating_sub(count);
        }
    }

    /// How many records of a partition have not landed.
    pub(super) fn in_the_air(&self, topic: &str, partition: i32) -> usize {
        let lane = self.lanes.get(topic).and_then(|lanes| lanes.get(&partition));
        lane.map_or(0, |lane| lane.in_the_air)
    }

    fn lane(&mut self, topic: &Arc<str>, partition: i32) -> &mut Lane<T> {
        self.lanes.entry(topic.clone()).or_default().entry(partition).or_default()
    }
}

impl<T> Lane<T> {
    fn board(&mut self) -> VecDeque<(usize, T)> {
        if self.in_the_air > 0 {
            return VecDeque::new();
        }
        let mut left = FLIGHT_BYTES;
        let fits = |(bytes, _): &(usize, T)| {
            let first = left == FLIGHT_BYTES;
            let fits = first || left >= bytes + RECORD_BYTES;
            left = left.saturating_sub(bytes + RECORD_BYTES);
            fits
        };
        let count = self.waiting.iter().take(FLIGHT_RECORDS).map(fits).take_while(|fits| *fits).count();
        self.in_the_air = count;
        let rest = self.waiting.split_off(count);
        std::mem::replace(&mut self.waiting, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "a.ready";

    fn add(lanes: &mut Lanes<u32>, partition: i32, records: std::ops::Range<u32>) {
        for record in records {
            lanes.add(&TOPIC.into(), partition, 300, record);
        }
    }

    /// The records of each flight that goes.
    fn board(lanes: &mut Lanes<u32>) -> Vec<Vec<u32>> {
        let records = |flight: Flight<u32>| flight.records.into_iter().map(|(_, record)| record).collect();
        lanes.board().into_iter().map(records).collect()
    }

    #[test]
    fn what_comes_while_a_flight_is_in_the_air_makes_the_next() {
        let mut lanes = Lanes::default();
        add(&mut lanes, 0, 0..2);
        assert_eq!(board(&mut lanes), [[0, 1]]);
        assert_eq!(lanes.in_the_air(TOPIC, 0), 2);
        add(&mut lanes, 0, 2..4);
        assert!(board(&mut lanes).is_empty());
        add(&mut lanes, 1, 10..11);
        assert_eq!(board(&mut lanes), [[10]], "another partition has flights of its own");
        lanes.land(TOPIC, 0, 1);
        assert!(board(&mut lanes).is_empty(), "half of it has landed");
        lanes.land(TOPIC, 0, 1);
        assert_eq!(board(&mut lanes), [[2, 3]]);
    }

    #[test]
    fn what_finds_no_room_goes_later_in_its_order() {
        let mut lanes = Lanes::default();
        add(&mut lanes, 0, 0..5);
        let mut flight = lanes.board().remove(0);
        flight.records.drain(..2);
        lanes.turn_back(flight);
        add(&mut lanes, 0, 5..6);
        assert!(board(&mut lanes).is_empty());
        lanes.land(TOPIC, 0, 2);
        assert_eq!(board(&mut lanes), [[2, 3, 4, 5]]);
        lanes.land(TOPIC, 0, 4);
        board(&mut lanes);
        assert!(lanes.lanes.is_empty(), "a partition with nothing on its way is forgotten");
        lanes.land(TOPIC, 0, 1);
        lanes.land("another", 0, 1);
    }

    #[test]
    fn a_flight_is_no_larger_than_a_request() {
        let mut lanes = Lanes::default();
        let large = FLIGHT_BYTES + 1;
        let half = FLIGHT_BYTES / 2 - RECORD_BYTES;
        for (record, bytes) in [(0, large), (1, half), (2, half), (3, 1), (4, large)] {
            lanes.add(&TOPIC.into(), 0, bytes, record);
        }
        for expected in [&[0][..], &[1, 2], &[3], &[4]] {
            assert_eq!(board(&mut lanes), [expected]);
            lanes.land(TOPIC, 0, expected.len());
        }
        add(&mut lanes, 0, 0..2_000);
        let first = board(&mut lanes).remove(0).len();
        assert!((500..1_500).contains(&first), "{first}");
    }
}
