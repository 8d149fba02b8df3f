"""The app stack: `resources` says what it holds (pure data), `program` is the Pulumi program. Importing this imports no Pulumi."""
