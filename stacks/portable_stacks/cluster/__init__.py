"""The cluster stack: `program` is the Pulumi program. Importing this imports no Pulumi."""
