//! Findings on declared and live trust and permissions. Pure.
