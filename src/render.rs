//! One small file per format: a view in, bytes out, no decisions.
