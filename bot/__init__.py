"""Everything that touches the outside, and the wiring."""
