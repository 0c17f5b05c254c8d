//! Reads irsa.toml and what it includes, finds every mistake in it, and resolves it to `Desired`.
