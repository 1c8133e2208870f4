"""The parts of a study: its keys, its plan, the rows of an arm, how an arm is done and measured, and who does it."""
