"""A small Slack of our own: the demo's workspace, and the tests' Slack."""
