//! The arguments as they are written. Each command resolves its own.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Runs graphs of data objects, locally or on Kubernetes and Kafka.
///
/// Exit status: 0 succeeded, 1 failed, 2 usage or invalid input.
#[derive(Debug, Parser)]
#[command(name = "orch", version, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Arguments {
    /// Leave out progress, notes and warnings.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Log what happens inside; twice for more. ORCH_LOG has the same effect in finer steps.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a file on this machine: no cluster, no broker.
    Run(RunArgs),
    /// Check a file and say what is in it, or all that is wrong with it.
    Validate(InputArgs),
    /// Write any readable file as a PipelineRun, with ConfigMaps when it is large.
    Convert(ConvertArgs),
    /// Draw the graph of a file or of a run in the cluster.
    Graph(GraphArgs),
    /// Say why an object is where it is.
    Why(WhyArgs),
    /// Show phase, counts, slowest objects, critical path and failures of a run.
    Status(StatusArgs),
    /// Convert a file and create it in the cluster.
    #[cfg(feature = "cluster")]
    Submit(SubmitArgs),
    /// Create a run in the cluster with the graph of an earlier one.
    #[cfg(feature = "cluster")]
    Rerun(RerunArgs),
    /// Follow a run in the cluster until it ends.
    #[cfg(feature = "cluster")]
    Watch(NamedArgs),
    /// End a run in the cluster; every unfinished object becomes Cancelled.
    #[cfg(feature = "cluster")]
    Cancel(NamedArgs),
    /// Print the completion script of a shell.
    Completion {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// A file that holds a run, in any form.
#[derive(Debug, Args)]
pub(crate) struct InputArgs {
    /// Objets.json, a JSON list of objects, lines of `parent<TAB>child`, or a PipelineRun in YAML or JSON; also .gz,
    /// a folder of resources, and - for standard input.
    pub file: PathBuf,
    #[command(flatten)]
    pub choice: ChoiceArgs,
}

/// What a file leaves open.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ChoiceArgs {
    /// Which PipelineRun of a file that holds several.
    #[arg(long = "run", value_name = "NAME")]
    pub run: Option<String>,
    /// What a dependency means that nobody defines. Default: what the file says, else reject.
    #[arg(long, value_name = "POLICY")]
    pub undefined: Option<Undefined>,
}

/// What a dependency means that nobody defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Undefined {
    /// The graph is refused, with every such id.
    Reject,
    /// It counts as loaded from the start.
    AssumeLoaded,
    /// It is run like any other object, with meta null.
    Run,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub input: InputArgs,
    /// Run over this Kafka broker instead of memory. The topics are deleted at the end.
    #[arg(long, value_name = "HOST:PORT")]
    pub kafka: Option<String>,
    /// Folder with client.properties, and ca.crt, tls.crt and tls.key where the broker asks for them.
    #[arg(long, value_name = "DIR")]
    pub kafka_config: Option<PathBuf>,
    /// Make this object fail for good; can be repeated. For objects whose processor is simulate.
    #[arg(long, value_name = "ID")]
    pub fail: Vec<String>,
    /// Divide simulated durations by this number.
    #[arg(long, value_name = "N")]
    pub speed: Option<f64>,
    /// Objects of the run, over all stages, that may be queued or at work at the same time.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_in_flight: Option<u32>,
    /// Objects that each stage works on at the same time. Default: what its workers could do together.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub concurrency: Option<u32>,
    /// End the run as Failed when it takes longer, such as 90s or 1h30m.
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// Print the final PipelineRun, as `kubectl get -o` would, instead of the summary.
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<ResourceFormat>,
}

/// How a resource is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ResourceFormat {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// Arguments of `convert`.
#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    #[command(flatten)]
    pub input: InputArgs,
    /// Folder that gets one file a resource. Default: all of them on standard output.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Name of the PipelineRun. Default: that of the file.
    #[arg(long)]
    pub name: Option<String>,
}

/// A file, or the name of a run in the cluster.
#[derive(Debug, Args)]
pub(crate) struct SubjectArgs {
    /// A file, such as the output of `kubectl get -o yaml`, or the name of a run in the cluster.
    #[arg(value_name = "FILE|NAME")]
    pub subject: String,
    #[command(flatten)]
    pub choice: ChoiceArgs,
    #[cfg(feature = "cluster")]
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Arguments of `graph`.
#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// The form of the drawing.
    #[arg(short, long, visible_alias = "format", value_name = "FORMAT", default_value = "ascii")]
    pub output: GraphFormat,
}

/// The forms of a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// Level by level, for a terminal.
    Ascii,
    /// For Graphviz.
    Dot,
    /// For GitHub and wikis.
    Mermaid,
    /// For programs.
    Json,
}

/// Arguments of `why`.
#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// The object.
    pub id: String,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// Every object, or the resource itself, instead of the summary.
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<StatusFormat>,
}

/// What `status` prints instead of its summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusFormat {
    /// A line for each object.
    Wide,
    /// The resource as JSON, as kubectl prints it.
    Json,
    /// The resource as YAML.
    Yaml,
}

/// Which cluster, and where in it.
#[cfg(feature = "cluster")]
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ClusterArgs {
    /// Namespace. Default: that of the context.
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// Context of the kubeconfig. Default: its current one.
    #[arg(long)]
    pub context: Option<String>,
}

/// Arguments of `submit`.
#[cfg(feature = "cluster")]
#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    pub input: InputArgs,
    /// Name of the PipelineRun. Default: that of the file.
    #[arg(long)]
    pub name: Option<String>,
    /// Follow the run until it ends.
    #[arg(long)]
    pub wait: bool,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Arguments of `rerun`.
#[cfg(feature = "cluster")]
#[derive(Debug, Args)]
pub(crate) struct RerunArgs {
    #[command(flatten)]
    pub run: NamedArgs,
    /// Name of the new run. Default: the first of NAME-2, NAME-3, ... that is free.
    #[arg(id = "new_name", long = "name", value_name = "NEW")]
    pub name: Option<String>,
    /// Follow the new run until it ends.
    #[arg(long)]
    pub wait: bool,
}

/// A run in the cluster.
#[cfg(feature = "cluster")]
#[derive(Debug, Args)]
pub(crate) struct NamedArgs {
    /// Name of the PipelineRun.
    pub name: String,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}
