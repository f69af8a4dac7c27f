//! What happens, in which order: a seed's.

use orch_e2e::chance::Chance;

use crate::Settings;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    BrokerKilled,
    BrokerStopped,
    LeaderKilled,
    LeaderStopped,
    OperatorsKilled,
    TwoOperators,
    WorkerKilled,
    WorkerLost,
    WorkerStopped,
    WorkersKilled,
    ApiKilled,
    ApiStopped,
    EtcdKilled,
    EtcdFull,
    AcksDropped,
    LinksSlow,
    LinksCut,
    Garbage,
    Duplicates,
    Stale,
    Oversized,
    Foreign,
    TopicDeleted,
    Conflicts,
    VersionsGone,
    TooManyRequests,
    ApiUnavailable,
    ApiAnswersLost,
    RunCancelled,
    RunDeleted,
    RunOverdue,
}

impl Kind {
    pub(crate) const ALL: [(Self, &str); 31] = [
        (Self::BrokerKilled, "broker-killed"),
        (Self::BrokerStopped, "broker-stopped"),
        (Self::LeaderKilled, "leader-killed"),
        (Self::LeaderStopped, "leader-stopped"),
        (Self::OperatorsKilled, "operators-killed"),
        (Self::TwoOperators, "two-operators"),
        (Self::WorkerKilled, "worker-killed"),
        (Self::WorkerLost, "worker-lost"),
        (Self::WorkerStopped, "worker-stopped"),
        (Self::WorkersKilled, "workers-killed"),
        (Self::ApiKilled, "api-killed"),
        (Self::ApiStopped, "api-stopped"),
        (Self::EtcdKilled, "etcd-killed"),
        (Self::EtcdFull, "etcd-full"),
        (Self::AcksDropped, "acks-dropped"),
        (Self::LinksSlow, "links-slow"),
        (Self::LinksCut, "links-cut"),
        (Self::Garbage, "garbage"),
        (Self::Duplicates, "duplicates"),
        (Self::Stale, "stale"),
        (Self::Oversized, "oversized"),
        (Self::Foreign, "foreign"),
        (Self::TopicDeleted, "topic-deleted"),
        (Self::Conflicts, "api-409"),
        (Self::VersionsGone, "api-410"),
        (Self::TooManyRequests, "api-429"),
        (Self::ApiUnavailable, "api-503"),
        (Self::ApiAnswersLost, "api-answers-lost"),
        (Self::RunCancelled, "run-cancelled"),
        (Self::RunDeleted, "run-deleted"),
        (Self::RunOverdue, "run-overdue"),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    fn named(name: &str) -> Self {
        let found = Self::ALL.iter().find(|(_, of)| *of == name);
        found.unwrap_or_else(|| panic!("no kind of fault is called {name}: {}", Self::names())).0
    }

    fn names() -> String {
        Self::ALL.map(|(_, name)| name).join(" ")
    }
}

/// One that is to come. What its kind leaves open is chance of its own: the plan is the same whatever the machine does.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) chance: Chance,
}

/// Rounds of all kinds, each in an order of its own.
pub(crate) fn plan(settings: &Settings) -> Vec<Fault> {
    let mut chance = Chance::new(settings.seed);
    let mut kinds: Vec<Kind> = settings.kinds.iter().map(|name| Kind::named(name)).collect();
    if kinds.is_empty() {
        kinds = Kind::ALL.map(|(kind, _)| kind).to_vec();
    }
    let mut plan = Vec::new();
    while plan.len() < settings.faults {
        chance.shuffle(&mut kinds);
        for kind in kinds.iter().take(settings.faults - plan.len()) {
            plan.push(Fault { kind: *kind, chance: Chance::new(chance.number()) });
        }
    }
    plan
}

pub(crate) fn text(plan: &[Fault]) -> String {
    plan.iter().map(|fault| fault.kind.name()).collect::<Vec<_>>().join(", ")
}
