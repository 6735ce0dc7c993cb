"""The parts of scripts/release and scripts/setup-targets."""
