"""A small world in one thread: its time, its Slack, its people, its database and its workers, all drawn from a seed."""
