"""From what users said of served answers to what to teach next, past a holdout that no cycle ever trains on."""
