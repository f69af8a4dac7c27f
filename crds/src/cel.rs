//! The CEL rules that more than one type needs, and the forms that all rules have.

use kube::core::{Reason, Rule};

/// `metadata.name` of both kinds: a DNS label that leaves room for a stage's name behind it. Stands on the resource
/// itself, because a schema cannot reach into `metadata`.
pub(crate) fn resource_name() -> Rule {
    refuse_unless(
        "self.metadata.name.size() <= 48 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "metadata.name must be a DNS label (lower-case letters, digits and inner dashes) of at most 48 characters",
    )
}

/// Stages are told apart by name. Not a list map: that would compare stages without their order, and the order counts.
pub(crate) fn stage_names_are_unique() -> Rule {
    refuse_unless(
        "!has(self.stages) || self.stages.all(a, self.stages.exists_one(b, b.name == a.name))",
        "two stages have the same name",
    )
    .field_path(".stages")
}

/// A numeric id has one stage.
pub(crate) fn id_ranges_are_disjoint() -> Rule {
    refuse_unless(
        "!has(self.stages) || self.stages.all(a, !has(a.idRange) || self.stages.exists_one(b, has(b.idRange) \
         && b.idRange.from <= a.idRange.to && a.idRange.from <= b.idRange.to))",
        "the idRange of two stages overlap: an id must lead to one stage",
    )
    .field_path(".stages")
}

/// A field that never changes. The rule stands on the spec and not on the field, because a rule on the field is not
/// asked when the field is removed or added.
pub(crate) fn immutable(field: &str) -> Rule {
    Rule::new(format!(
        "has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
    ))
    .message(immutable_message(field).as_str())
    .field_path(format!(".{field}"))
    .reason(Reason::FieldValueForbidden)
}

/// What a refused change says.
fn immutable_message(field: &str) -> String {
    format!("{field} cannot be changed, added or removed after creation: create another resource")
}

/// A rule with its message.
pub(crate) fn refuse_unless(rule: &str, message: &str) -> Rule {
    Rule::new(rule).message(message)
}
