//! What the whole-system tests share: a network in the simulator.
