//! Writes `crds/yaml/*.yaml` and copies them into the chart: `make generate`.

use std::error::Error;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in [here.join("yaml"), here.join("../charts/kafka-orchestrator-crds/files")] {
        fs::create_dir_all(&folder)?;
        for (name, text) in orch_crds::yaml::files()? {
            fs::write(folder.join(name), text)?;
        }
    }
    Ok(())
}
