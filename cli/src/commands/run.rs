//! `orch run FILE`.

use std::collections::HashSet;
use std::sync::Arc;

use orch_core::duration;
use orch_core::engine::Orders;
use orch_core::plan::RunPlan;
use orch_crds::status::RunPhase;
use orch_crds::{PipelineRun, StatusField};

use crate::args::{ResourceFormat, RunArgs};
use crate::commands::resource_text;
use crate::convert;
use crate::error::{CliError, Exit};
use crate::input::{self, Input, Manifest};
use crate::local::{self, KafkaAddress, Session};
use crate::printer::Printer;
use crate::progress::Progress;
use crate::report::Report;

/// The arguments, resolved.
struct Options {
    kafka: Option<KafkaAddress>,
    fail: Vec<String>,
    speed: f64,
    max_in_flight: Option<u32>,
    concurrency: Option<u32>,
    timeout: Option<String>,
    output: Option<ResourceFormat>,
}

impl Options {
    fn resolve(args: RunArgs) -> Result<Self, CliError> {
        let speed = args.speed.unwrap_or(1.0);
        if speed.is_nan() || speed <= 0.0 {
            return Err(CliError::usage(
                "--speed must be greater than 0",
                "`--speed 10` makes simulated work ten times as fast",
            ));
        }
        if let Some(text) = &args.timeout {
            match duration::parse(text) {
                Ok(ms) if ms > 0 => {}
                Ok(_) => {
                    return Err(CliError::usage("--timeout must be longer than 0s", "leave it out for none"));
                }
                Err(error) => return Err(CliError::usage(format!("--timeout: {error}"), "")),
            }
        }
        if args.kafka_config.is_some() && args.kafka.is_none() {
            return Err(CliError::usage("--kafka-config needs --kafka", ""));
        }
        Ok(Self {
            kafka: args.kafka.map(|servers| KafkaAddress::new(servers, args.kafka_config)).transpose()?,
            fail: args.fail,
            speed,
            max_in_flight: args.max_in_flight,
            concurrency: args.concurrency,
            timeout: args.timeout,
            output: args.output,
        })
    }
}

pub(super) fn execute(args: RunArgs, printer: &Printer) -> Result<Exit, CliError> {
    let input = input::load(&args.input, StatusField::Ignored)?;
    let options = Options::resolve(args)?;
    let (session, mut run) = prepare(input, &options, printer)?;
    let bus = local::connect(options.kafka.as_ref())?;
    let created = orch_runner::now_ms();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::broken(format!("threads cannot be started: {error}"), ""))?;
    let mut progress = Progress::new(printer);
    if options.kafka.is_none() {
        // Freeing a million records one by one takes longer than the end of the process does.
        std::mem::forget(bus.clone());
    }
    let result = runtime.block_on(local::run(bus, &session, &mut progress));
    progress.finish();
    // Clients that block must not keep the program.
    runtime.shutdown_background();
    let outcome = result.map_err(|error| match &options.kafka {
        Some(address) => address.explain(error),
        None => error,
    })?;
    local::finished(&mut run, &session.uid, created, &session.plan, &outcome);
    show(&run, &session.plan, options.output, printer)
}

/// Everything that is decided before something happens.
fn prepare(input: Input, options: &Options, printer: &Printer) -> Result<(Session, PipelineRun), CliError> {
    let Input { file, name, manifest, graph } = input;
    let mut graph = graph?;
    let mut manifest = manifest;
    local::fail(&options.fail, &mut graph.spec, manifest.as_mut());
    let mut run = match manifest {
        Some(Manifest { run, .. }) => run,
        // The resource is only looked at when it is printed.
        None if options.output.is_some() => convert::manifest(&name, &graph.spec)?.run,
        None => PipelineRun::new(&name, orch_crds::PipelineRunSpec::default()),
    };
    let (plan, warnings) = input::checked(&file, graph)?;
    printer.warnings(&warnings);
    local::check_failing(&options.fail, &plan)?;
    check_processors(&plan, options.kafka.is_some())?;
    if let Some(text) = &options.timeout {
        run.spec.timeout = Some(text.as_str().into());
    }
    run.spec.max_in_flight = options.max_in_flight.or(run.spec.max_in_flight);
    let session = Session {
        name,
        namespace: run.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned()),
        uid: local::new_uid(),
        plan: Arc::new(plan),
        orders: Orders {
            cancel: run.spec.cancel,
            timeout_ms: run.spec.timeout_ms(),
            max_in_flight: run.spec.max_in_flight.unwrap_or(u32::MAX),
        },
        concurrency: options.concurrency,
        speed: options.speed,
        on_broker: options.kafka.is_some(),
    };
    Ok((session, run))
}

/// What cannot be done here: without a broker nobody else's program can take part, and a small build has fewer
/// processors.
fn check_processors(plan: &RunPlan, on_broker: bool) -> Result<(), CliError> {
    let of_stages = plan.stages.iter().map(|stage| ("stage", stage.name.as_str(), &*stage.processor));
    let own = plan
        .objects
        .iter()
        .filter_map(|object| Some(("object", object.id.as_str(), object.processor.as_deref()?)));
    let mut seen = HashSet::new();
    for (what, name, processor) in of_stages.chain(own).filter(|(.., processor)| seen.insert(*processor)) {
        match local::missing_kind(processor).as_deref() {
            None => {}
            Some("external") if on_broker => {}
            Some("external") => {
                let problem = format!(
                    "{what} `{name}` is left to a program of yours (processor external), which cannot reach a run in memory"
                );
                return Err(CliError::usage(problem, "run it over a broker: --kafka HOST:PORT"));
            }
            Some(kind) => {
                let problem = format!(
                    "{what} `{name}` needs the processor {kind}, which this build of orch does not have"
                );
                let hint = "`cargo build --locked -p orch-cli` builds it with all processors";
                return Err(CliError::usage(problem, hint));
            }
        }
    }
    Ok(())
}

fn show(
    run: &PipelineRun,
    plan: &RunPlan,
    output: Option<ResourceFormat>,
    printer: &Printer,
) -> Result<Exit, CliError> {
    let name = run.metadata.name.as_deref().unwrap_or_default();
    let Some(status) = &run.status else { return Err(CliError::broken("the run has no status", "")) };
    let timeout = run.spec.timeout.as_ref().map(|timeout| timeout.0.as_str());
    let text = match output {
        Some(format) => resource_text(run, format)?,
        None => Report { name, status, timeout, plan: Some(plan), paint: printer.paint() }.summary(),
    };
    printer.data(&text)?;
    Ok(if status.phase == RunPhase::Succeeded { Exit::Succeeded } else { Exit::Failed })
}
