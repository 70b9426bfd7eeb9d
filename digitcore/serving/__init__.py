"""The HTTP API, the command line and the store: what the outside world talks to."""
