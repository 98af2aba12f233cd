//! Raw records made by hand, for benches and replay tests.
