//! Streams, colour, prompt and progress.
