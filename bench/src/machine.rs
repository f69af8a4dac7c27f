//! What the numbers were measured on.

use k8s_openapi::jiff::Timestamp;

use crate::args::Args;
use crate::results::Machine;

/// This machine, now.
pub(crate) fn this(args: &Args) -> Machine {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let memory = read("/proc/meminfo");
    let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = total.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Machine {
        date: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        memory_mb: kilobytes.unwrap_or(0) / 1_024,
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        kafka: args.kafka_version.clone(),
        revision: args.revision.clone(),
        build: if cfg!(debug_assertions) { "dev" } else { "release" },
    }
}
