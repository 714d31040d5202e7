"""The subcommands, one file for each kind of work. Nothing heavy is imported here before a command runs."""
