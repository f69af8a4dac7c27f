//! Resolves dependencies to positions and checks that nothing waits for itself.

use super::ids::Ids;
use super::report::{Checks, Report, Section};
use crate::finding::{Finding, FindingKind};
use crate::graph::{self, Graph, GraphBuilder, Order, Rows};
use crate::id::{ObjectId, ObjectIx};
use crate::limits;
use crate::spec::{ObjectSpec, RunSpec, UndefinedPolicy};
use crate::{are, counted};

/// Cycles that are reported at most.
const MAX_CYCLES: usize = 20;
/// Ids that a sentence names before it counts the rest.
const NAMED: usize = 3;
/// Ids that a warning names before it counts the rest.
const NAMED_IN_WARNING: usize = 20;

/// The resolved dependencies.
pub(super) struct Links {
    pub(super) graph: Graph,
    /// The ids that nobody defines, in the order of their first mention; their positions follow those of the spec.
    pub(super) undefined: Vec<Undefined>,
}

/// An id that nobody defines.
pub(super) struct Undefined {
    /// The objects that depend on it: the first few.
    dependants: Vec<u32>,
    /// How many mention it.
    mentions: usize,
    /// Which dependency of the first of them it is.
    nth: usize,
}

impl Links {
    /// What was assumed, for a policy that refuses nothing.
    pub(super) fn warnings(&self, spec: &RunSpec, ids: &Ids) -> Vec<Finding> {
        let Some(first) = self.undefined.first() else { return Vec::new() };
        let names = &ids.names[spec.objects.len()..];
        let quoted: Vec<String> = names.iter().take(NAMED_IN_WARNING).map(|id| format!("`{id}`")).collect();
        let rest = match names.len() - quoted.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let meaning = match spec.undefined_dependencies {
            UndefinedPolicy::AssumeLoaded => "counted as loaded from the start",
            UndefinedPolicy::Run | UndefinedPolicy::Reject => "run without a record of their own",
        };
        let problem = format!(
            "{} {} defined nowhere and {meaning}: {}{rest}",
            counted(names.len(), "dependency"),
            are(names.len()),
            quoted.join(", ")
        );
        vec![Finding::new(FindingKind::UnknownDependency, first.place(spec), problem, "")]
    }
}

impl Undefined {
    /// The position of the object that mentions it first.
    pub(super) fn first_dependant(&self) -> usize {
        self.dependants[0] as usize
    }

    /// Where it is mentioned first.
    pub(super) fn place(&self, spec: &RunSpec) -> String {
        let object = &spec.objects[self.first_dependant()];
        spec.source_of(object).dependency(object.position, self.nth)
    }
}

/// Resolves all dependencies; ids that nobody defines are added to `ids`.
pub(super) fn resolve(spec: &RunSpec, ids: &mut Ids, report: &mut Report) -> Links {
    let defined = spec.objects.len();
    let named: usize = spec.objects.iter().map(|object| object.depends_on.len()).sum();
    let mut builder = GraphBuilder::with_capacity(defined, named + spec.edges.len());
    let resolved = Rows::by_dependant(defined, &spec.edges);
    let mut undefined: Vec<Undefined> = Vec::new();
    let mut checks = Checks::default();
    let mut row: Vec<ObjectIx> = Vec::new();
    for (i, object) in spec.objects.iter().enumerate() {
        let edges = resolved.of(ObjectIx(i as u32));
        if edges.len() + object.depends_on.len() > limits::DEPENDENCIES_OF_ONE {
            checks.push(Section::Object(i), || {
                limits::too_many_dependencies(spec.source_of(object).dependencies(object.position))
            });
            builder.push(&mut row);
            continue;
        }
        row.extend_from_slice(edges);
        for (nth, id) in object.depends_on.iter().enumerate() {
            let found = match ids.find(id) {
                Some(at) => Some(at),
                None => first_mention(spec, id, (i, nth), ids, &mut checks),
            };
            let Some(at) = found else { continue };
            if at as usize == i {
                checks.push(Section::Object(i), || itself(spec, object, nth));
                continue;
            }
            if let Some(unknown) = (at as usize).checked_sub(defined) {
                mention(&mut undefined, unknown, i, nth);
            }
            row.push(ObjectIx(at));
        }
        builder.push(&mut row);
    }
    for _ in &undefined {
        builder.push(&mut row);
    }
    if spec.undefined_dependencies == UndefinedPolicy::Reject {
        for (unknown, id) in undefined.iter().zip(&ids.names[defined..]) {
            checks.push(Section::Object(unknown.first_dependant()), || rejected(spec, unknown, id));
        }
    }
    report.add(checks);
    Links { graph: builder.build(), undefined }
}

fn first_mention(
    spec: &RunSpec,
    id: &str,
    (i, nth): (usize, usize),
    ids: &mut Ids,
    checks: &mut Checks,
) -> Option<u32> {
    let object = &spec.objects[i];
    let place = || spec.source_of(object).dependency(object.position, nth);
    match ObjectId::parse(id) {
        Ok(_) if ids.names.len() == limits::OBJECTS => {
            if !std::mem::replace(&mut ids.is_full, true) {
                checks.push(Section::Object(i), || limits::too_large(place(), limits::OBJECTS, "objects"));
            }
            None
        }
        Ok(parsed) => Some(ids.add(parsed)),
        Err(error) => {
            checks.push(Section::Object(i), || {
                Finding::new(FindingKind::InvalidName, place(), error.to_string(), "")
            });
            None
        }
    }
}

fn mention(undefined: &mut Vec<Undefined>, unknown: usize, by: usize, nth: usize) {
    if unknown == undefined.len() {
        undefined.push(Undefined { dependants: Vec::new(), mentions: 0, nth });
    }
    let entry = &mut undefined[unknown];
    entry.mentions += 1;
    if entry.dependants.len() < NAMED {
        entry.dependants.push(by as u32);
    }
}

fn itself(spec: &RunSpec, object: &ObjectSpec, nth: usize) -> Finding {
    let source = spec.source_of(object);
    Finding::new(
        FindingKind::Cycle,
        source.dependency(object.position, nth),
        format!("`{id}` depends on itself: `{id} -> {id}`", id = object.id),
        source.removal(&object.id, &object.id),
    )
}

fn rejected(spec: &RunSpec, unknown: &Undefined, id: &ObjectId) -> Finding {
    let named: Vec<String> =
        unknown.dependants.iter().map(|i| format!("`{}`", spec.objects[*i as usize].id)).collect();
    let (who, verb) = match unknown.mentions - named.len() {
        0 if named.len() == 1 => (named[0].clone(), "depends"),
        0 => (named.join(", "), "depend"),
        more => (format!("{} and {more} more", named.join(", ")), "depend"),
    };
    Finding::new(
        FindingKind::UnknownDependency,
        unknown.place(spec),
        format!("{who} {verb} on `{id}`, which is defined nowhere"),
        "define it, correct the id, or set `undefinedDependencies` to AssumeLoaded or Run",
    )
}

/// Reports the cycles of the graph, each with its path.
pub(super) fn check_cycles(spec: &RunSpec, ids: &Ids, graph: &Graph, report: &mut Report) {
    if Order::of(graph).is_complete(graph) {
        return;
    }
    let (cycles, more) = graph::cycles(graph, MAX_CYCLES);
    for path in &cycles {
        let (Some(first), Some(last)) = (path.first(), path.last()) else { continue };
        report.push(Section::Object(first.usize()), || {
            let object = &spec.objects[first.usize()];
            let last = &ids.names[last.usize()];
            let nth = object.depends_on.iter().position(|id| id == last.as_str());
            let source = spec.source_of(object);
            let place = source.dependency(object.position, nth.unwrap_or_default());
            let text = graph::path_text(path, |ix| ids.names[ix.usize()].as_str());
            let remedy = source.removal(last.as_str(), &object.id);
            Finding::new(FindingKind::Cycle, place, format!("cycle: `{text}`"), remedy)
        });
    }
    if more > 0 {
        report.push(Section::Targets, || {
            let problem = format!("{} {} not listed", counted(more, "more cycle"), are(more));
            Finding::new(FindingKind::Cycle, "spec.objects", problem, "correct these first")
        });
    }
}
