"""Statistics that other parts rest their claims on: pure functions of numbers, with formula and source beside each."""
