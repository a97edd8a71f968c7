"""What the commands that work with topics share: which broker, which time, how records and values are shown."""
