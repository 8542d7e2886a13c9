//! Tells the binary which commit it was built from; `unknown` outside of a checkout.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=.git/HEAD");
    println!("cargo::rerun-if-changed=.git/refs/heads");
    println!("cargo::rerun-if-env-changed=RIVULET_COMMIT");
    let given = std::env::var("RIVULET_COMMIT").ok();
    let asked = || {
        let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    println!("cargo::rustc-env=RIVULET_COMMIT={}", given.or_else(asked).unwrap_or_else(|| "unknown".to_owned()));
}
