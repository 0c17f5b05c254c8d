//! Chooses the cheapest way to read, and gathers World into Live.
