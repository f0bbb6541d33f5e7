"""What the bot does: decisions as pure functions over values, and short lists of effects through ports."""
