//! The benchmarks are the files beside this package's manifest.
