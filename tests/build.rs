//! Writes a call of each operation, made of the contract's examples, and looks for the programs that some tests need. A
//! test whose program is missing is reported as ignored:
//! `#[cfg_attr(not(redis_server), ignore = "needs redis-server")]`.

#[path = "../build/mod.rs"]
mod build;
#[path = "build/example_calls.rs"]
mod example_calls;

use std::path::Path;
use std::{env, fs};

const CONTRACT: &str = "../openapi.yaml";

/// Each program, and the `cfg` that is set where it is in the `PATH`.
const PROGRAMS: [(&str, &str); 4] =
    [("haproxy", "haproxy"), ("nginx", "nginx"), ("python3", "python3"), ("redis-server", "redis_server")];

fn main() {
    for source in ["build.rs", "build", "../build", CONTRACT] {
        println!("cargo::rerun-if-changed={source}");
    }
    if let Err(error) = write_calls() {
        println!("cargo::error={error}");
    }
    find_programs();
}

fn write_calls() -> Result<(), Box<dyn std::error::Error>> {
    let contract = fs::read_to_string(CONTRACT)?;
    let directory = env::var("OUT_DIR")?;
    let (calls, schemas) = build::with_context(&contract, |context| {
        Ok((build::postprocess::render(&example_calls::calls(context)?), example_calls::schemas(context)))
    })?;
    fs::write(Path::new(&directory).join("calls.rs"), calls)?;
    fs::write(Path::new(&directory).join("schemas.rs"), schemas)?;
    Ok(())
}

fn find_programs() {
    println!("cargo::rerun-if-env-changed=PATH");
    let path = env::var_os("PATH").unwrap_or_default();
    let directories: Vec<_> = env::split_paths(&path).filter(|directory| directory.is_dir()).collect();
    for (program, cfg) in PROGRAMS {
        println!("cargo::rustc-check-cfg=cfg({cfg})");
        if let Some(found) = directories.iter().map(|directory| directory.join(program)).find(|file| file.is_file()) {
            println!("cargo::rustc-cfg={cfg}");
            rerun_if_changed(&found);
        } else {
            // To be installed in one of these.
            for directory in &directories {
                rerun_if_changed(directory);
            }
        }
    }
}

fn rerun_if_changed(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}
