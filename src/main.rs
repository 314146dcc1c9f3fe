//! The binary: parse, start logging, dispatch, exit code.

fn main() {}
