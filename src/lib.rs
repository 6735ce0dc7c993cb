//! Serpentarium.
