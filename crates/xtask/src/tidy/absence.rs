//! What must not be somewhere: HTTP clients outside `kit`, SQL of our state outside `store`, the environment outside
//! `outflow`.

use super::{Problem, TextFile, find, metadata::Package};

/// A word that only some files may hold.
struct Rule {
    word: &'static str,
    /// Beginnings of paths that may.
    allowed: &'static [&'static str],
    /// Whether tests may everywhere.
    in_tests: bool,
    advice: &'static str,
}

const RULES: [Rule; 3] = [
    Rule {
        word: "reqwest",
        allowed: &["crates/kit/"],
        in_tests: false,
        advice: "only `kit` opens HTTP connections to tools; send through its `Wire`",
    },
    Rule {
        word: "sqlx",
        // The demo's warehouse is an SQLite file, which the demo fills.
        allowed: &["crates/store/", "crates/sources/src/sqlite", "crates/outflow/src/demo"],
        in_tests: true,
        advice: "only `store` holds SQL for our state, and a source its warehouse's; use their methods",
    },
    Rule {
        word: "env::var",
        allowed: &["crates/outflow/", "crates/postgres-server/", "crates/simulation/", "benches/"],
        in_tests: true,
        advice: "only `outflow` reads the environment; take the value as an argument",
    },
];

/// Crates that may depend on a package that others must not have.
const DEPENDENCIES: [(&str, &[&str]); 2] = [("reqwest", &["kit"]), ("sqlx", &["store", "sources", "outflow"])];

/// Packages that must not come in by any way: TLS is rustls on ring, built without a C library's build system.
const BANNED: [&str; 4] = ["aws-lc-sys", "aws-lc-rs", "openssl-sys", "native-tls"];

const LOCK: &str = "Cargo.lock";

pub(super) fn check(files: &[TextFile], packages: &[Package]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| file.is_rust() && !file.starts_with("crates/xtask")) {
        for rule in &RULES {
            let allowed = rule.allowed.iter().any(|start| file.path.to_string_lossy().starts_with(start));
            if allowed || rule.in_tests && file.is_test() {
                continue;
            }
            words(file, rule, &mut problems);
        }
    }
    for package in packages {
        for (name, allowed) in DEPENDENCIES {
            let depends =
                package.dependencies.iter().any(|dependency| dependency.name == name && !dependency.is_for_tests());
            if depends && !allowed.contains(&package.name.as_str()) {
                let message = format!("`{name}` is a dependency of {} only; take it out", allowed.join(", "));
                problems.push(Problem::new(&package.manifest_path, None, message));
            }
        }
    }
    if let Some(lock) = find(files, LOCK) {
        banned(lock, &mut problems);
    }
    problems
}

fn banned(lock: &TextFile, problems: &mut Vec<Problem>) {
    for (line, text) in lock.lines() {
        let name = text.strip_prefix("name = \"").and_then(|rest| rest.strip_suffix('"'));
        if let Some(name) = name.filter(|name| BANNED.contains(name)) {
            let message = format!("`{name}` came in; `cargo tree -i {name}` says by whom: turn its feature off there");
            problems.push(Problem::new(LOCK, line, message));
        }
    }
}

fn words(file: &TextFile, rule: &Rule, problems: &mut Vec<Problem>) {
    for (line, text) in file.lines() {
        let code = text.split("//").next().unwrap_or_default();
        if code.contains(rule.word) {
            problems.push(Problem::new(&file.path, line, format!("`{}`: {}", rule.word, rule.advice)));
        }
    }
}

#[cfg(test)]
mod tests;
