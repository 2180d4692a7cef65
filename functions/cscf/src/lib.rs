//! CSCF
