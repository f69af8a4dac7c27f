//! How a run must end, computed by a naive fixpoint that shares no code with the engine.

use std::collections::BTreeSet;

/// What a worker makes of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Loads,
    /// Fails, another attempt may help.
    Errs,
    /// Its worker has to stop.
    Drains,
    /// Fails for good.
    Fails,
    /// Takes the record and is never heard of.
    IsSilent,
    /// Starts and is never heard of again.
    Hangs,
}

/// How an object ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Pruned,
    Loaded,
    Failed,
    /// Any of these failures may be named.
    Blocked(BTreeSet<usize>),
}

/// A graph with everything that decides how it ends: by object its parents, outcomes by attempt (the last one repeats)
/// and number of attempts; and the objects that must be loaded.
#[derive(Debug, Clone)]
pub struct Graph {
    pub parents: Vec<Vec<usize>>,
    pub outcomes: Vec<Vec<Outcome>>,
    pub max_attempts: Vec<u32>,
    pub targets: Vec<usize>,
}

impl Graph {
    pub fn outcome(&self, object: usize, attempt: u32) -> Outcome {
        let outcomes = &self.outcomes[object];
        outcomes[(attempt as usize - 1).min(outcomes.len() - 1)]
    }

    fn loads(&self, object: usize) -> bool {
        let (mut left, mut drains) = (self.max_attempts[object], 0);
        for attempt in 1.. {
            match self.outcome(object, attempt) {
                Outcome::Loads => return true,
                Outcome::Fails => return false,
                Outcome::Drains => drains += 1,
                Outcome::Errs | Outcome::IsSilent | Outcome::Hangs => drains = 0,
            }
            // The first five in a row are free.
            if drains == 0 || drains > 5 {
                left -= 1;
            }
            if left == 0 {
                return false;
            }
        }
        unreachable!("attempts are used up")
    }

    /// Looks at all objects again and again until nothing changes.
    pub fn fates(&self) -> Vec<Fate> {
        let mut fates: Vec<Option<Fate>> = vec![None; self.parents.len()];
        let mut needed: BTreeSet<usize> = self.targets.iter().copied().collect();
        loop {
            let before = (fates.clone(), needed.clone());
            for object in 0..fates.len() {
                if needed.contains(&object) {
                    needed.extend(&self.parents[object]);
                }
                let parents: Option<Vec<&Fate>> =
                    self.parents[object].iter().map(|p| fates[*p].as_ref()).collect();
                let Some(parents) = parents else { continue };
                let mut causes = BTreeSet::new();
                for (parent, fate) in self.parents[object].iter().zip(parents) {
                    match fate {
                        Fate::Failed => causes.extend([*parent]),
                        Fate::Blocked(own) => causes.extend(own),
                        Fate::Loaded | Fate::Pruned => {}
                    }
                }
                fates[object] = Some(match self.loads(object) {
                    _ if !causes.is_empty() => Fate::Blocked(causes),
                    true => Fate::Loaded,
                    false => Fate::Failed,
                });
            }
            if before == (fates.clone(), needed.clone()) {
                let fate = |(object, fate): (usize, Option<Fate>)| {
                    if needed.contains(&object) { fate.unwrap() } else { Fate::Pruned }
                };
                return fates.into_iter().enumerate().map(fate).collect();
            }
        }
    }
}

#[test]
fn the_model_itself_knows_the_example_of_the_object_orchestrator() {
    use Outcome::{Fails, Loads};
    // 1010 -> 2040 -> {3030, 3040}; 1020 -> 2005; 3050 needs 2005 and 2040; 1900 has no child.
    let [o1010, o1020, o1900, o2005, o2040, o3030, o3040, o3050] = [0, 1, 2, 3, 4, 5, 6, 7];
    let graph = Graph {
        parents: vec![
            vec![],
            vec![],
            vec![],
            vec![o1020],
            vec![o1010],
            vec![o2040],
            vec![o2040],
            vec![o2005, o2040],
        ],
        outcomes: (0..8).map(|object| vec![if object == o2005 { Fails } else { Loads }]).collect(),
        max_attempts: vec![3; 8],
        targets: vec![o3030, o3040, o3050],
    };
    let fates = graph.fates();
    assert_eq!(fates[o1900], Fate::Pruned);
    assert_eq!(fates[o2005], Fate::Failed);
    assert_eq!(fates[o3050], Fate::Blocked([o2005].into()));
    for loaded in [o1010, o1020, o2040, o3030, o3040] {
        assert_eq!(fates[loaded], Fate::Loaded);
    }
}
