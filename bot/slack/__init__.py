"""The door to Slack: payloads become values on the way in, values become blocks on the way out."""
