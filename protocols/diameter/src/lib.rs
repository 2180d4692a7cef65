//! Diameter.
