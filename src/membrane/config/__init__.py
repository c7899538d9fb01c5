"""From words on a command line to a checked configuration, and from its nodes to objects."""
