//! What a local run says of the cases: it has no API server, and must not run what one would refuse.

use orch_core::finding::Finding;
use orch_core::plan::plan;
use orch_crds::chunk::Chunk;
use orch_crds::object::ObjectsFormat;
use orch_crds::{PipelineRun, Resource, conversion};
use serde_json::Value;

use crate::cases::{Create, Kind};
use crate::read;

/// Everything that is said of a resource before a local run of it begins.
fn findings(resource: &Value) -> Vec<Finding> {
    let text = serde_yaml::to_string(resource).unwrap();
    let resource = match read(&text) {
        Ok(mut resources) => resources.remove(0),
        Err(findings) => return findings,
    };
    let (name, result) = match &resource {
        Resource::PipelineRun(run) => (&run.metadata.name, plan_of(run)),
        Resource::Pipeline(pipeline) => {
            let run = of_kind(&Kind::PipelineRun.valid());
            let Resource::PipelineRun(mut run) = run else { unreachable!() };
            run.spec.stages = Some(pipeline.spec.stages.clone());
            for object in run.spec.objects.iter_mut().flatten() {
                object.stage = Some(pipeline.spec.stages[0].name.clone());
            }
            (&pipeline.metadata.name, plan_of(&run))
        }
        Resource::ConfigMap(_) => unreachable!(),
    };
    let name = conversion::check_name(name.as_deref().unwrap_or_default());
    name.into_iter().chain(result.err().into_iter().flatten()).collect()
}

fn of_kind(resource: &Value) -> Resource {
    read(&resource.to_string()).unwrap().remove(0)
}

fn plan_of(run: &PipelineRun) -> Result<(), Vec<Finding>> {
    let Resource::Pipeline(pipeline) = of_kind(&Kind::Pipeline.valid()) else { unreachable!() };
    let chunk = |from: &orch_crds::object::ObjectsFrom| {
        let bytes = match from.config_map.format {
            ObjectsFormat::Objects => br#"[{"id": "chunk", "stage": "work"}]"#.to_vec(),
            ObjectsFormat::Catalogue => br#"[{"IdObjet": 1000, "EtatObjet": "actif"}]"#.to_vec(),
        };
        Chunk { source: "configMap o/o.json".to_owned(), format: from.config_map.format, bytes }
    };
    let chunks: Vec<Chunk> = run.spec.objects_from.iter().flatten().map(chunk).collect();
    plan(conversion::run_spec(&run.spec, Some(&pipeline.spec.stages), &chunks)?.spec).map(|_| ())
}

#[test]
fn what_the_server_accepts_runs_locally() {
    for case in Create::table() {
        for patch in &case.accepted {
            let findings = findings(&case.resource(patch));
            assert!(findings.is_empty(), "{patch}: {findings:#?}");
        }
    }
}

#[test]
fn what_the_server_refuses_does_not_run_locally() {
    for case in Create::table() {
        for patch in case.refused.iter().filter(|_| case.local != "none") {
            let findings: Vec<String> =
                findings(&case.resource(patch)).iter().map(Finding::to_string).collect();
            let said = findings.iter().any(|finding| finding.contains(&case.local));
            assert!(said, "{patch}: `{}` is not in {findings:#?}", case.local);
        }
    }
}
