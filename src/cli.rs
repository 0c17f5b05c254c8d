//! Arguments, settings, dispatch; one file per command.
