"""The command `copi-ref`, one subcommand a file."""
