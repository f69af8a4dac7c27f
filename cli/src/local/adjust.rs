//! What the arguments change in a run before it starts. Pure.

use orch_core::plan::RunPlan;
use orch_core::spec::RunSpec;
use orch_crds::stage::ProcessorSpec;
use serde_json::{Value, json};

use crate::error::CliError;
use crate::input::Manifest;

/// Makes objects fail for good: every processor `simulate` is told their ids.
pub(crate) fn fail(ids: &[String], spec: &mut RunSpec, manifest: Option<&mut Manifest>) {
    if ids.is_empty() {
        return;
    }
    let stages = spec.stages.iter_mut().map(|stage| &mut stage.processor);
    let own = spec
        .objects
        .iter_mut()
        .filter(|object| ids.contains(&object.id))
        .filter_map(|object| object.processor.as_mut());
    for processor in stages.chain(own) {
        if let Some(changed) = told(processor, ids) {
            *processor = changed;
        }
    }
    let Some(manifest) = manifest else { return };
    let own_stages = manifest.run.spec.stages.iter_mut().flatten();
    let shared = manifest.pipeline.iter_mut().flat_map(|pipeline| &mut pipeline.spec.stages);
    let stages = own_stages.chain(shared).map(|stage| &mut stage.processor);
    let objects = manifest.run.spec.objects.iter_mut().flatten().filter(|object| ids.contains(&object.id));
    for processor in stages.chain(objects.filter_map(|object| object.processor.as_mut())) {
        tell(processor, ids);
    }
}

/// Refuses ids that cannot be made to fail, or that are not there.
pub(crate) fn check_failing(ids: &[String], plan: &RunPlan) -> Result<(), CliError> {
    for id in ids {
        let Some(ix) = plan.find(id) else {
            let problem = format!("--fail {id}: there is no object `{id}`");
            return Err(CliError::usage(problem, "`orch graph FILE -o json` lists them"));
        };
        let processor = plan.object(ix).processor.as_deref().unwrap_or(&plan.stage_of(ix).processor);
        if simulated(processor).is_none() || plan.object(ix).assumed {
            let problem =
                format!("--fail {id}: the processor of `{id}` is not simulate, so it cannot be made to fail");
            return Err(CliError::usage(problem, format!("its processor is {processor}")));
        }
        if !plan.is_needed(ix) {
            return Err(CliError::usage(
                format!("--fail {id}: no target needs `{id}`, so it is not run"),
                "",
            ));
        }
    }
    Ok(())
}

fn simulated(processor: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(processor).ok()?;
    value.get("simulate").is_some_and(Value::is_object).then_some(value)
}

/// The processor as JSON text, if it is `simulate`, with the ids that fail.
fn told(processor: &str, ids: &[String]) -> Option<String> {
    let mut value = simulated(processor)?;
    let simulate = value.get_mut("simulate")?.as_object_mut()?;
    let failing = simulate.entry("failIds").or_insert_with(|| json!([])).as_array_mut()?;
    failing.extend(ids.iter().map(|id| json!(id)));
    Some(value.to_string())
}

fn tell(processor: &mut ProcessorSpec, ids: &[String]) {
    if let Some(simulate) = &mut processor.simulate {
        simulate.fail_ids.get_or_insert_default().extend(ids.iter().cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_added_to_those_that_fail_already() {
        let ids = ["7".to_owned()];
        assert_eq!(told(r#"{"simulate":{}}"#, &ids).unwrap(), r#"{"simulate":{"failIds":["7"]}}"#);
        let two = told(r#"{"simulate":{"failIds":["5"]}}"#, &ids).unwrap();
        assert_eq!(two, r#"{"simulate":{"failIds":["5","7"]}}"#);
        assert_eq!(told(r#"{"exec":{"command":["true"]}}"#, &ids), None);
    }
}
